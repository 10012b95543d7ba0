"""A stamp's bound covers whatever nobody has refuted, and grows while nobody says the time."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import STEP_MS, TimeKeeper
from agent.model import NS_PER_MS, NS_PER_S, TimeSource
from tests.support.fake_clock import BOOT_ID, UTC_MS, FakeClock

FLOOR_MS = UTC_MS - 30 * STEP_MS
HOUR_MS = 3_600_000


def said(keeper: TimeKeeper) -> tuple[int | None, int | None, TimeSource]:
    stamp = keeper.stamp()
    return stamp.utc_ms, stamp.err_ms, stamp.source


def test_without_any_source_only_the_boot_clock_is_known() -> None:
    stamp = TimeKeeper(FakeClock(now_ns=7), FLOOR_MS).stamp()
    assert (stamp.utc_ms, stamp.err_ms, stamp.source) == (None, None, TimeSource.NONE)
    assert (stamp.mono_ns, stamp.boot) == (7, BOOT_ID)


def test_a_beacon_counts_from_its_own_moment_and_loses_500_ppm() -> None:
    clock = FakeClock()
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.anchor(UTC_MS, 12, clock.now_ns - 2 * NS_PER_S)
    assert said(keeper) == (UTC_MS + 2_000, 12 + 1, TimeSource.BEACON)
    clock.advance(HOUR_MS)
    assert said(keeper) == (UTC_MS + 2_000 + HOUR_MS, 12 + 1_801, TimeSource.BEACON)


def test_an_anchor_holds_backwards_inside_its_boot() -> None:
    clock = FakeClock()
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.anchor(UTC_MS, 0, clock.now_ns + 10 * NS_PER_S)
    assert said(keeper) == (UTC_MS - 10_000, 5, TimeSource.BEACON)


def test_a_real_time_clock_is_read_at_each_stamp_with_its_own_error() -> None:
    clock = FakeClock(rtc_ms=UTC_MS)
    keeper = TimeKeeper(clock, FLOOR_MS)
    assert said(keeper) == (UTC_MS, 1_000, TimeSource.RTC)
    clock.advance(HOUR_MS)
    assert said(keeper) == (UTC_MS + HOUR_MS, 1_000, TimeSource.RTC)


@pytest.mark.parametrize(
    ("below_ms", "source"), [(0, TimeSource.RTC), (1_000, TimeSource.RTC), (1_001, TimeSource.NONE)]
)
def test_a_real_time_clock_below_the_floor_is_not_believed(below_ms: int, source: TimeSource) -> None:
    keeper = TimeKeeper(FakeClock(rtc_ms=FLOOR_MS - below_ms), FLOOR_MS)
    assert said(keeper)[2] is source


def test_a_clock_whose_battery_died_goes_on_from_what_it_said_last() -> None:
    clock = FakeClock(rtc_ms=UTC_MS)
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.stamp()
    clock.set_rtc(None)
    clock.advance(2_000)
    assert said(keeper) == (UTC_MS + 2_000, 1_001, TimeSource.RTC)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_step_that_no_error_explains_widens_the_bound_for_good(sign: int) -> None:
    clock = FakeClock(rtc_ms=UTC_MS)
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.stamp()
    clock.set_rtc(UTC_MS + sign * HOUR_MS)
    assert said(keeper) == (UTC_MS + sign * HOUR_MS, 1_000 + HOUR_MS, TimeSource.RTC)
    clock.advance(1_000)
    assert said(keeper) == (UTC_MS + 1_000 + sign * HOUR_MS, 1_000 + HOUR_MS, TimeSource.RTC)
    clock.set_rtc(UTC_MS + 1_000)
    assert said(keeper)[1] == 1_000 + 2 * HOUR_MS
    keeper.anchor(UTC_MS + 1_000, 20, clock.now_ns)
    assert said(keeper) == (UTC_MS + 1_000, 20, TimeSource.BEACON)


@pytest.mark.parametrize(("step_ms", "disputed"), [(STEP_MS, False), (STEP_MS + 1, True), (-STEP_MS - 1, True)])
def test_a_step_over_24_hours_is_disputed_and_the_bound_covers_both(step_ms: int, disputed: bool) -> None:
    clock = FakeClock(rtc_ms=UTC_MS)
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.stamp()
    clock.set_rtc(UTC_MS + step_ms)
    utc_ms, err_ms, source = said(keeper)
    assert (source is TimeSource.DISPUTED) is disputed is keeper.disputed
    assert (utc_ms, err_ms) == (UTC_MS + step_ms, abs(step_ms) + 1_000)


def test_a_dispute_outlives_a_step_back() -> None:
    clock = FakeClock(rtc_ms=UTC_MS)
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.stamp()
    clock.set_rtc(UTC_MS + 2 * STEP_MS)
    keeper.stamp()
    clock.set_rtc(UTC_MS)
    assert said(keeper)[2] is TimeSource.DISPUTED


def test_a_beacon_far_from_the_clock_is_disputed_until_a_token_agrees_with_it() -> None:
    clock = FakeClock(rtc_ms=UTC_MS + 3 * STEP_MS)
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.stamp()
    keeper.anchor(UTC_MS, 10, clock.now_ns)
    assert said(keeper) == (UTC_MS, 3 * STEP_MS + 1_000, TimeSource.DISPUTED)
    keeper.agree(UTC_MS - 3 * STEP_MS, clock.now_ns)
    assert keeper.disputed, "a token that agrees with nobody decides nothing"
    keeper.agree(UTC_MS + 5_000, clock.now_ns)
    assert said(keeper) == (UTC_MS, 10, TimeSource.BEACON)


def test_a_token_can_refute_the_beacon() -> None:
    clock = FakeClock()
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.anchor(UTC_MS, 10, clock.now_ns)
    keeper.anchor(UTC_MS + 9 * STEP_MS, 10, clock.now_ns)
    assert said(keeper)[2] is TimeSource.DISPUTED
    keeper.agree(UTC_MS, clock.now_ns)
    assert said(keeper) == (UTC_MS, 10, TimeSource.BEACON)


@pytest.mark.parametrize(("below_ms", "disputed"), [(STEP_MS, False), (STEP_MS + 1, True)])
def test_a_beacon_far_below_the_floor_is_disputed(below_ms: int, disputed: bool) -> None:
    clock = FakeClock()
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.anchor(FLOOR_MS - below_ms, 10, clock.now_ns)
    assert keeper.disputed is disputed
    if disputed:
        assert said(keeper) == (FLOOR_MS - below_ms, below_ms, TimeSource.DISPUTED)
        keeper.agree(FLOOR_MS, clock.now_ns)
        assert said(keeper) == (None, None, TimeSource.NONE), "the floor is no clock"


def test_a_worse_beacon_replaces_a_better_one_only_when_they_disagree() -> None:
    clock = FakeClock()
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.anchor(UTC_MS, 10, clock.now_ns)
    keeper.anchor(UTC_MS + 200, 300, clock.now_ns)
    assert said(keeper) == (UTC_MS, 10, TimeSource.BEACON)
    keeper.anchor(UTC_MS + 400, 300, clock.now_ns)
    assert said(keeper) == (UTC_MS + 400, 300, TimeSource.BEACON)


def test_threads_that_stamp_at_once_count_a_step_once() -> None:
    clock = FakeClock(rtc_ms=UTC_MS)
    keeper = TimeKeeper(clock, FLOOR_MS)
    keeper.stamp()
    clock.set_rtc(UTC_MS + HOUR_MS)
    threads = [threading.Thread(target=keeper.stamp) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said(keeper) == (UTC_MS + HOUR_MS, 1_000 + HOUR_MS, TimeSource.RTC)


CLAIMS = st.lists(
    st.tuples(
        st.sampled_from(["beacon", "rtc", "wait"]), st.integers(-40 * STEP_MS, 40 * STEP_MS), st.integers(0, 60_000)
    ),
    max_size=12,
)


@given(CLAIMS)
def test_utc_and_bound_come_together_and_disputes_cover_the_first_claim(claims: list[tuple[str, int, int]]) -> None:
    clock = FakeClock()
    keeper = TimeKeeper(clock, FLOOR_MS)
    for kind, offset_ms, err_ms in claims:
        now_ms = UTC_MS + clock.now_ns // NS_PER_MS
        if kind == "beacon":
            keeper.anchor(now_ms + offset_ms, err_ms, clock.now_ns)
        elif kind == "rtc":
            clock.rtc_err_ms = err_ms
            clock.set_rtc(now_ms + offset_ms)
        else:
            clock.advance(err_ms)
        was_disputed = keeper.disputed
        stamp = keeper.stamp()
        assert (stamp.utc_ms is None) == (stamp.err_ms is None) == (stamp.source is TimeSource.NONE)
        assert (stamp.source is TimeSource.DISPUTED) is keeper.disputed
        assert stamp.err_ms is None or stamp.err_ms >= 0
        assert keeper.disputed or not was_disputed, "nothing but a token ends a dispute"
