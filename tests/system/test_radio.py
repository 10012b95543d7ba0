"""The radio over a real wpa_supplicant and a real hostapd, with the files and certificates of `temoin-fleet init`.

Over a wire, where a kernel has no radio: what only the air has is shown in a virtual machine
(`python -m tests.support.radio_hwsim`). As root; needs wpasupplicant, hostapd and iproute2.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.model import RadioChanged, RadioFault
from hw.radio import WifiRadio
from tests.support.agency import TestAgency
from tests.support.radio_bench import ASSOCIATED, OFF, ON_A_WIRE, RadioBench, failed
from tests.support.radio_hosts import LIMIT_S, Wire, access_points, agency_of_yesterday


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return agency_of_yesterday(tmp_path_factory.mktemp("agency"), "own")


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return agency_of_yesterday(tmp_path_factory.mktemp("others"), "others")


@pytest.fixture
def docks(agency: TestAgency, others: TestAgency, tmp_path: Path) -> dict[str, Path | None]:
    return access_points(agency, others, tmp_path)


@pytest.fixture
def wire(agency: TestAgency, tmp_path: Path) -> Iterator[Wire]:
    with Wire(agency.folder / "cameras" / "cam-01", tmp_path) as made:
        yield made


@pytest.fixture
def bench(wire: Wire, docks: dict[str, Path | None]) -> Iterator[RadioBench]:
    def make(post: Callable[[RadioChanged], None]) -> WifiRadio:
        return WifiRadio(wire.interface, SystemClock(), post, wire.control, wire.rfkill, 0.2)

    def blocked() -> bool:
        return struct.unpack("=IBBBB", wire.rfkill.read_bytes()) == (0, 0, 3, 1, 0)

    made = RadioBench(make, lambda kind: wire.put(docks[kind]), lambda: wire.put(None), blocked, LIMIT_S)
    made.start()
    yield made
    made.end()


@pytest.mark.parametrize("scene", ON_A_WIRE, ids=lambda scene: scene.__name__)
def test_a_radio(scene: Callable[[RadioBench], None], bench: RadioBench) -> None:
    scene(bench)


def test_a_camera_is_no_access_point(bench: RadioBench) -> None:
    """Its certificate is of the agency, but for a client of TLS."""
    bench.air("camera")
    bench.radio.on()
    assert ASSOCIATED not in bench.until(failed(RadioFault.WRONG_DOCK))


def test_a_wpa_supplicant_that_is_killed_is_missed(bench: RadioBench, wire: Wire) -> None:
    bench.air("dock")
    bench.radio.on()
    bench.until(ASSOCIATED)
    wire.kill()
    bench.until(failed(RadioFault.NO_SUPPLICANT))
    wire.start()
    bench.until(ASSOCIATED)
    bench.radio.off()
    bench.until(OFF)
