"""The activity's table is total, nothing ends a recording but what may, and red never says more than is true."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import NS_PER_S, Activity, Colour, Condition, Cue, Light, Pattern, Tone, Vibration
from agent.states import (
    CUES,
    DARK_AFTER_NS,
    IMPOSSIBLE,
    PANEL,
    RED,
    TABLE,
    WARNINGS,
    Event,
    Moment,
    RecordingLight,
    cue,
    moment,
    next_activity,
    panel,
    shown,
)

SECOND = NS_PER_S
BUSY = (Activity.ARMING, Activity.RECORDING, Activity.STOPPING)
CONDITIONS = st.frozensets(st.sampled_from(Condition))


def after(*events: Event, start: Activity = Activity.BOOTING) -> Activity:
    """Where these events lead; every one of them must be possible."""
    activity = start
    for event in events:
        following = next_activity(activity, event)
        assert following is not None, f"{event} in {activity}"
        activity = following
    return activity


def test_every_pair_is_in_the_table_or_impossible_and_never_both() -> None:
    pairs = set(product(Activity, Event))
    assert TABLE.keys() | IMPOSSIBLE == pairs
    assert not TABLE.keys() & IMPOSSIBLE


@pytest.mark.parametrize(("activity", "event"), sorted(IMPOSSIBLE))
def test_an_impossible_pair_is_reported_and_tells_the_officer_nothing(activity: Activity, event: Event) -> None:
    assert next_activity(activity, event) is None
    assert moment(activity, event) is None


E = Event


@pytest.mark.parametrize(
    ("events", "activity"),
    [
        ((E.OPENED,), Activity.BOOTING),
        ((E.OPENED, E.INIT), Activity.READY),
        ((E.OPENED, E.INIT, E.PRESS), Activity.ARMING),
        ((E.OPENED, E.INIT, E.PRESS, E.DURABLE), Activity.RECORDING),
        ((E.OPENED, E.INIT, E.PRESS, E.DURABLE, E.PRESS, E.HOLD), Activity.STOPPING),
        ((E.OPENED, E.INIT, E.PRESS, E.DURABLE, E.HOLD, E.DURABLE, E.STOPPED), Activity.READY),
        ((E.PRESS, E.OPENED, E.INIT, E.DURABLE), Activity.RECORDING),  # pressed before anything was ready
        ((E.PRESS, E.UNAVAILABLE), Activity.REFUSING),
        ((E.UNAVAILABLE, E.PRESS), Activity.REFUSING),
        ((E.UNAVAILABLE, E.AVAILABLE, E.INIT), Activity.READY),
        ((E.OPENED, E.INIT, E.PRESS, E.START_FAILED), Activity.REFUSING),
        ((E.OPENED, E.RESUME, E.INIT, E.DURABLE), Activity.RECORDING),
        ((E.OPENED, E.INIT, E.DOCKED), Activity.IDLE),
        ((E.OPENED, E.DOCKED, E.PRESS, E.INIT, E.DURABLE, E.HOLD, E.STOPPED, E.DOCKED), Activity.IDLE),
        ((E.OPENED, E.DOCKED, E.UNDOCKED, E.INIT), Activity.READY),
        ((E.OPENED, E.DOCKED, E.INIT), Activity.IDLE),  # from a capture process that is being ended
        ((E.OPENED, E.INIT, E.SWITCH_OFF), Activity.SHUTTING_DOWN),
        ((E.OPENED, E.INIT, E.PRESS, E.DURABLE, E.CUT_OFF, E.STOPPED, E.CUT_OFF), Activity.SHUTTING_DOWN),
        ((E.OPENED, E.INIT, E.PRESS, E.TERMINATE, E.STOPPED, E.TERMINATE), Activity.SHUTTING_DOWN),
        ((E.OPENED, E.INIT, E.PRESS, E.DURABLE, E.STOPPED, E.UNAVAILABLE), Activity.REFUSING),  # the card gave up
    ],
)
def test_what_an_officer_meets(events: tuple[Event, ...], activity: Activity) -> None:
    assert after(*events) is activity


@pytest.mark.parametrize("activity", BUSY)
@pytest.mark.parametrize("event", [E.DOCKED, E.UNDOCKED, E.SWITCH_OFF, E.INIT, E.AVAILABLE, E.PRESS])
def test_nothing_around_the_camera_ends_a_recording(activity: Activity, event: Event) -> None:
    assert next_activity(activity, event) is activity


@pytest.mark.parametrize("event", Event)
def test_only_hold_battery_agent_and_writer_end_a_recording(event: Event) -> None:
    ends = {E.HOLD, E.CUT_OFF, E.TERMINATE, E.STOPPED}
    assert (next_activity(Activity.RECORDING, event) not in (Activity.RECORDING, None)) is (event in ends)


@pytest.mark.parametrize("event", Event)
def test_a_recording_starts_by_the_officers_own_act_alone(event: Event) -> None:
    """No always-on: a press starts it, and a crash of the agent does not end it."""
    starts = {activity for activity in Activity if next_activity(activity, event) is Activity.ARMING}
    assert bool(starts - {Activity.ARMING}) is (event in (E.PRESS, E.RESUME))
    for activity in set(Activity) - {Activity.ARMING, Activity.RECORDING}:
        assert next_activity(activity, event) is not Activity.RECORDING


@pytest.mark.parametrize("activity", Activity)
def test_every_press_is_answered_at_once(activity: Activity) -> None:
    told = moment(activity, Event.PRESS)
    assert told in (Moment.HEARD, Moment.REFUSED)
    assert (told is Moment.REFUSED) is (activity in (Activity.REFUSING, Activity.SHUTTING_DOWN))
    assert cue(told).vibration is not Vibration.NONE


@pytest.mark.parametrize(
    ("activity", "event", "told"),
    [
        (Activity.ARMING, E.DURABLE, Moment.STARTED),
        (Activity.RECORDING, E.DURABLE, None),
        (Activity.ARMING, E.START_FAILED, Moment.REFUSED),
        (Activity.ARMING, E.UNAVAILABLE, Moment.REFUSED),
        (Activity.READY, E.UNAVAILABLE, Moment.WARNING),
        (Activity.STOPPING, E.STOPPED, Moment.STOPPED),
        (Activity.RECORDING, E.SWITCH_OFF, Moment.STILL_RECORDING),
        (Activity.READY, E.SWITCH_OFF, Moment.SWITCHING_OFF),
        (Activity.RECORDING, E.CUT_OFF, None),  # STOPPED tells it
        (Activity.READY, E.CUT_OFF, Moment.SWITCHING_OFF),
        (Activity.READY, E.DOCKED, None),
    ],
)
def test_what_the_officer_is_told(activity: Activity, event: Event, told: Moment | None) -> None:
    assert moment(activity, event) is told


def test_moments_can_be_told_apart_without_seeing_the_light() -> None:
    assert CUES.keys() == set(Moment)
    assert len(set(CUES.values())) == len(Moment)
    assert Cue(Tone.NONE, Vibration.NONE) not in CUES.values()


@given(st.sampled_from(Activity), CONDITIONS)
def test_there_is_always_a_light_and_never_red_from_the_table(
    activity: Activity, conditions: frozenset[Condition]
) -> None:
    light = panel(activity, conditions)
    assert light.colour not in (Colour.OFF, Colour.RED)


@given(CONDITIONS)
def test_conditions_change_neither_what_a_press_gave_nor_a_refusal(conditions: frozenset[Condition]) -> None:
    for activity in (*BUSY, Activity.REFUSING, Activity.SHUTTING_DOWN):
        assert panel(activity, conditions) == panel(activity, frozenset())


@given(CONDITIONS)
def test_steady_green_says_that_nothing_is_wrong(conditions: frozenset[Condition]) -> None:
    steady = panel(Activity.READY, conditions) == Light(Colour.GREEN)
    assert steady is not bool(conditions - {Condition.DOCKED})


def test_every_row_of_the_panel_is_reached() -> None:
    reached = {
        next(row for row in PANEL if activity in row.activities and (not row.conditions or condition in row.conditions))
        for activity in Activity
        for condition in Condition
    }
    assert reached == set(PANEL)
    assert WARNINGS.isdisjoint({Condition.CAMERA_FAILING, Condition.INTERRUPTED, Condition.DOCKED})


# Red. Times in ms; the recording's first commit is at 10,000.
MS = 1_000_000


def light_of(*reports: tuple[str, int, int], captured_ms: int | None = 10_000) -> RecordingLight:
    """A recording's light after ("commit" or "captured", end, now), times in ms."""
    light = RecordingLight(None if captured_ms is None else captured_ms * MS)
    for kind, end_ms, now_ms in reports:
        (light.on_commit if kind == "commit" else light.on_captured)(end_ms * MS, now_ms * MS)
    return light


def test_amber_until_the_first_fragment_is_durable() -> None:
    light = light_of(("captured", 10_500, 10_600))
    assert light.light(10_600 * MS) == Light(Colour.AMBER)
    light.on_commit(10_000 * MS, 10_601 * MS)
    assert light.light(10_601 * MS) == RED


def test_the_press_to_red_does_not_wait_for_the_drain() -> None:
    """A 30 s pre-record: the first commit is its oldest second, 30 s behind what is captured."""
    light = light_of(("commit", -19_000, 10_003))
    assert light.light(10_003 * MS) == RED
    assert not light.writer_late(10_003 * MS)


@pytest.mark.parametrize(("now_ms", "red"), [(12_999, True), (13_000, False)])
def test_red_ends_three_seconds_after_the_last_commit(now_ms: int, red: bool) -> None:
    light = light_of(("commit", 10_000, 10_000), ("captured", 11_000, 11_000), ("captured", 11_900, 11_900))
    assert (light.light(now_ms * MS) == RED) is red


@pytest.mark.parametrize(("now_ms", "red"), [(12_999, True), (13_000, False)])
def test_red_ends_three_seconds_after_the_end_of_the_newest_captured_fragment(now_ms: int, red: bool) -> None:
    light = light_of(("commit", 9_000, 10_500), ("commit", 10_000, 12_900))
    assert (light.light(now_ms * MS) == RED) is red


@pytest.mark.parametrize(("captured_ms", "red"), [(11_999, True), (12_000, False)])
def test_red_ends_when_the_lag_reaches_two_seconds(captured_ms: int, red: bool) -> None:
    light = light_of(("commit", 10_000, 10_100), ("captured", captured_ms, 12_050))
    assert (light.light(12_050 * MS) == RED) is red
    assert light.writer_late(12_050 * MS) is not red
    if not red:
        assert light.light(12_050 * MS) == Light(Colour.AMBER, Pattern.FAST)


@pytest.mark.parametrize(("now_ms", "red"), [(11_999, True), (12_000, False)])
def test_a_drain_that_does_not_catch_up_counts_as_lag_after_two_seconds(now_ms: int, red: bool) -> None:
    light = light_of(("commit", -19_000, 10_000), ("captured", 11_000, 11_000), ("commit", -15_000, 11_500))
    assert (light.light(now_ms * MS) == RED) is red


def test_once_caught_up_the_lag_counts_at_once() -> None:
    light = light_of(("commit", -19_000, 10_000), ("commit", 9_000, 10_200), ("captured", 11_500, 11_500))
    assert light.light(11_500 * MS) == Light(Colour.AMBER, Pattern.FAST)


def test_the_report_of_a_fragment_may_come_after_that_of_its_commit() -> None:
    light = light_of(("commit", 10_000, 10_050), ("captured", 10_000, 10_060), captured_ms=None)
    assert light.light(10_060 * MS) == RED


def test_a_capture_process_that_lies_about_the_future_prolongs_nothing() -> None:
    light = light_of(("commit", 10_000, 10_000), ("captured", 99_000, 10_001))
    assert light.red_until_ns(10_001 * MS) == 13_000 * MS


REPORTS = st.lists(st.tuples(st.sampled_from(["commit", "captured"]), st.integers(0, 2_000)), max_size=20)


@given(REPORTS, st.integers(0, 9_000))
def test_red_says_no_more_than_the_rule(reports: list[tuple[str, int]], wait_ms: int) -> None:
    """Against the rule as written, from the whole history."""
    now = 10_000
    light = RecordingLight(now * MS)
    captured, caught = [10_000], False
    commits: list[tuple[int, int]] = []
    for kind, step_ms in reports:
        now += step_ms
        if kind == "commit":
            end = captured[len(commits)] if len(commits) < len(captured) else captured[-1]
            commits.append((end, now))
            light.on_commit(end * MS, now * MS)
            caught = caught or max(captured) - end < 2_000
        else:
            captured.append(now)
            light.on_captured(now * MS, now * MS)
    now += wait_ms
    rule = (
        bool(commits)
        and now - commits[-1][1] < 3_000
        and now - max(captured) < 3_000
        and (max(captured) - commits[-1][0] < 2_000 or not (caught or now - commits[0][1] >= 2_000))
    )
    assert (light.light(now * MS) == RED) is rule
    seen, dark_after_ns = shown(Activity.RECORDING, frozenset(), light, now * MS)
    assert (seen == RED) is rule
    assert 0 < dark_after_ns <= DARK_AFTER_NS
    if rule:
        assert now * MS + dark_after_ns <= (commits[-1][1] + 3_000) * MS, "showing it again made red longer"


@pytest.mark.parametrize("activity", Activity)
def test_red_is_of_a_recording_only(activity: Activity) -> None:
    light = light_of(("commit", 10_000, 10_000))
    seen, _ = shown(activity, frozenset(), light, 10_000 * MS)
    assert (seen == RED) is (activity in (Activity.RECORDING, Activity.STOPPING))
    assert shown(activity, frozenset(), None, 10_000 * MS) == (panel(activity, frozenset()), DARK_AFTER_NS)
