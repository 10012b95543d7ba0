"""What every Clock does: the system's, the simulated board's, and the one that tests set."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.ports import Clock
from hw.clock import BoardClock
from hw.sim.clock import SimClock
from tests.support.fake_clock import UTC_MS, FakeClock


def fake_rtc(folder: Path, utc_s: int) -> Path:
    """The kernel's folder of a chip that says utc_s."""
    (folder / "since_epoch").write_text(f"{utc_s}\n")
    return folder


MAKERS: dict[str, Callable[[Path], Clock]] = {
    "system": lambda run: SystemClock(),
    "simulated": lambda run: SimClock(run, 2_000),
    "simulated, no real-time clock": lambda run: SimClock(run, None),
    "board": lambda run: BoardClock(SystemClock(), 2_000, fake_rtc(run, UTC_MS // 1000)),
    "board, its chip has lost the time": lambda run: BoardClock(SystemClock(), 2_000, run),
    "fake": lambda run: FakeClock(rtc_ms=UTC_MS),
}


@pytest.fixture(params=MAKERS)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Clock]:
    maker = MAKERS[request.param]
    return lambda: maker(tmp_path)


def test_the_boot_clock_never_goes_back(make: Callable[[], Clock]) -> None:
    clock = make()
    readings = [clock.boot_ns() for _ in range(100)]
    assert readings == sorted(readings)
    assert readings[0] > 0


def test_the_boot_id_is_a_uuid_and_the_same_for_every_agent_of_one_boot(make: Callable[[], Clock]) -> None:
    first, second = make(), make()
    assert first.boot_id() == second.boot_id() == str(uuid.UUID(first.boot_id()))


def test_a_real_time_clock_says_how_wrong_it_may_be_or_is_not_there(make: Callable[[], Clock]) -> None:
    reading = make().rtc()
    assert reading is None or (reading[0] > 1_577_836_800_000 and reading[1] >= 0)  # 2020
