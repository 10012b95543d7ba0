"""The radio over a real wpa_supplicant and a real hostapd, with the files and certificates of `temoin-fleet init`.

Over a wire, where a kernel has no radio: what only the air has is shown in a virtual machine
(`python -m tests.support.radio_hwsim`). As root; needs wpasupplicant, hostapd and iproute2.
"""

from __future__ import annotations

import shutil
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.model import RadioChanged, RadioFault
from hw.radio import WifiRadio
from tests.support.agency import TestAgency, make_agency
from tests.support.radio_bench import ASSOCIATED, OFF, ON_A_WIRE, RadioBench, failed
from tests.support.radio_wired import CAMERA_END, LIMIT_S, Wire

DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    """Made yesterday by this computer's clock, which hostapd goes by."""
    now_ms = time.time_ns() // 1_000_000 - DAY_MS
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False, radio=True, now_ms=now_ms)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    """Another agency, of the same name."""
    now_ms = time.time_ns() // 1_000_000 - DAY_MS
    return make_agency(tmp_path_factory.mktemp("other"), simulated=False, radio=True, now_ms=now_ms, seed="other")


@pytest.fixture
def docks(agency: TestAgency, others: TestAgency, tmp_path: Path) -> dict[str, Path | None]:
    """What may be at the other end."""
    own = agency.folder / "docks" / "dock-01"
    refuses, stranger, camera = (tmp_path / name for name in ("refuses", "stranger", "camera"))
    for made in (refuses, stranger, camera):
        shutil.copytree(own, made)
    shutil.copy(others.folder / "ca" / "agency.pem", refuses / "agency.pem")
    for suffix in ("pem", "key"):
        shutil.copy(others.folder / "docks" / "dock-01" / f"dock-tls.{suffix}", stranger)
        shutil.copy(agency.folder / "cameras" / "cam-01" / f"camera-tls.{suffix}", camera / f"dock-tls.{suffix}")
    return {"dock": own, "nothing": None, "refuses": refuses, "stranger": stranger, "camera": camera}


@pytest.fixture
def wire(agency: TestAgency, tmp_path: Path) -> Iterator[Wire]:
    with Wire(agency.folder / "cameras" / "cam-01", tmp_path) as made:
        yield made


@pytest.fixture
def bench(wire: Wire, docks: dict[str, Path | None]) -> Iterator[RadioBench]:
    def make(post: Callable[[RadioChanged], None]) -> WifiRadio:
        return WifiRadio(CAMERA_END, SystemClock(), post, wire.control, wire.rfkill, 0.2)

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
