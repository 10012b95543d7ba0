"""The real-time clock of a real board: read seldom, carried on by the boot clock, never guessed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import TimeKeeper
from agent.model import NS_PER_MS, NS_PER_S, TimeSource
from hw.clock import BoardClock
from tests.support.fake_clock import UTC_MS, FakeClock

UTC_S = UTC_MS // 1000


def chip(folder: Path, text: str) -> Path:
    (folder / "since_epoch").write_text(text)
    return folder


def test_the_chip_is_read_when_it_is_measured_and_not_when_it_is_asked(tmp_path: Path) -> None:
    system = FakeClock()
    clock = BoardClock(system, 2_000, chip(tmp_path, f"{UTC_S}\n"))
    assert clock.rtc() == (UTC_S * 1000 + 500, 2_500)
    chip(tmp_path, f"{UTC_S + 60}\n")
    system.now_ns += 10 * NS_PER_S
    assert clock.rtc() == (UTC_S * 1000 + 10_500, 2_505)
    clock.measure()
    assert clock.rtc() == (UTC_S * 1000 + 60_500, 2_500)


@given(true_ms=st.integers(UTC_MS, UTC_MS + 10**9), later_ms=st.integers(0, 7 * 86_400_000))
def test_the_error_covers_the_truth_of_a_chip_that_cuts_its_seconds(
    true_ms: int, later_ms: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    system = FakeClock()
    clock = BoardClock(system, 1, chip(tmp_path_factory.getbasetemp(), f"{true_ms // 1000}\n"))
    system.now_ns += later_ms * NS_PER_MS
    found = clock.rtc()
    assert found is not None
    assert abs(found[0] - (true_ms + later_ms)) <= found[1]


@pytest.mark.parametrize(
    "text", ["", "0\n", "-1\n", "1767225600", "1767225600\n\n", "99999999999999999\n", "x\n", "\xff\n"]
)
def test_a_chip_that_says_something_else_is_no_clock(tmp_path: Path, text: str) -> None:
    assert BoardClock(FakeClock(), 2_000, chip(tmp_path, text)).rtc() is None


def test_a_chip_that_comes_to_itself_and_fails_again(tmp_path: Path) -> None:
    clock = BoardClock(FakeClock(), 2_000, tmp_path)
    assert clock.rtc() is None
    chip(tmp_path, f"{UTC_S}\n")
    clock.measure()
    assert clock.rtc() is not None
    (tmp_path / "since_epoch").unlink()
    clock.measure()
    assert clock.rtc() is None


def test_a_measurement_each_ten_seconds_never_looks_like_a_step(tmp_path: Path) -> None:
    """Whole seconds jitter by one: that is within the error, and widens nothing."""
    system = FakeClock()
    clock = BoardClock(system, 2_000, chip(tmp_path, f"{UTC_S}\n"))
    keeper = TimeKeeper(clock, 0)
    for turn in range(1, 400):
        system.now_ns += 10_300 * NS_PER_MS
        chip(tmp_path, f"{(UTC_S * 1000 + turn * 10_300) // 1000}\n")
        clock.measure()
        stamp = keeper.stamp()
        assert stamp.source is TimeSource.RTC
        assert stamp.err_ms is not None
        assert stamp.err_ms <= 2_502
