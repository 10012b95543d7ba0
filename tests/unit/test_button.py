"""Gestures out of bouncing edges: the same whatever the bounce and however late the loop looks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.button import Button, DoubleTap, Gesture, Hold, Press, Stuck, Tap
from agent.model import NS_PER_MS as MS

Edge = tuple[bool, int]
LATER_MS = 1_000_000  # after everything that any of these edges can lead to


def run(
    edges: Sequence[Edge], *, steps_ms: Sequence[int] = (), claims: frozenset[int] = frozenset(), down: bool = False
) -> list[Gesture]:
    """All gestures of `edges` (level, ms), looked at in `steps_ms` and at the end, presses in `claims` claimed."""
    button = Button(down, 0)
    gestures: list[Gesture] = []
    left = sorted(edges, key=lambda edge: edge[1])
    for now_ms in (*sorted(steps_ms), LATER_MS):
        while left and left[0][1] <= now_ms:
            pressed, at_ms = left.pop(0)
            button.edge(pressed, at_ms * MS)
        while found := button.step(now_ms * MS):
            gestures += found
            if isinstance(found[-1], Press) and found[-1].at_ns // MS in claims:
                button.claim()
    return gestures


def presses(*spans_ms: tuple[int, int]) -> list[Edge]:
    return [edge for down, up in spans_ms for edge in ((True, down), (False, up))]


@pytest.mark.parametrize(
    ("length_ms", "then"),
    [
        (60, [Tap(0)]),
        (999, [Tap(0)]),
        (1000, []),
        (1999, []),
        (2000, [Hold(0, 2000 * MS)]),
        (29_999, [Hold(0, 2000 * MS)]),
        (30_000, [Hold(0, 2000 * MS), Stuck(0)]),
    ],
)
def test_the_length_of_a_press_decides(length_ms: int, then: list[Gesture]) -> None:
    assert run(presses((0, length_ms))) == [Press(0), *then]


@pytest.mark.parametrize(
    ("second_ms", "gestures"),
    [
        (499, [Press(0), Press(499 * MS), DoubleTap(0)]),
        (500, [Press(0), Tap(0), Press(500 * MS), Tap(500 * MS)]),
    ],
)
def test_a_second_tap_counts_within_400_ms_of_the_first_ones_release(second_ms: int, gestures: list[Gesture]) -> None:
    assert run(presses((0, 100), (second_ms, second_ms + 100))) == gestures


def test_a_third_tap_begins_anew() -> None:
    gestures = run(presses((0, 100), (200, 300), (400, 500)))
    assert gestures == [Press(0), Press(200 * MS), DoubleTap(0), Press(400 * MS), Tap(400 * MS)]


@pytest.mark.parametrize(
    ("up_ms", "then"), [(1299, [Tap(0)]), (1200, [Tap(0)]), (1199, None), (5000, [Tap(0), Hold(200 * MS, 2200 * MS)])]
)
def test_a_tap_is_not_lost_to_a_long_press_after_it(up_ms: int, then: list[Gesture] | None) -> None:
    expected = [DoubleTap(0)] if then is None else then
    assert run(presses((0, 100), (200, up_ms))) == [Press(0), Press(200 * MS), *expected]


def test_a_tap_is_told_when_its_window_is_over_and_not_before() -> None:
    button = Button(False, 0)
    button.edge(True, 0)
    button.edge(False, 100 * MS)
    assert button.step(100 * MS) == [Press(0)]
    assert button.step(500 * MS - 1) == []
    assert button.step(500 * MS) == [Tap(0)]


def test_a_hold_is_told_while_the_button_is_down() -> None:
    button = Button(False, 0)
    button.edge(True, 5)
    assert button.step(5) == [Press(5)]
    assert button.step(2_000 * MS + 4) == []
    assert button.step(2_000 * MS + 5) == [Hold(5, 2_000 * MS + 5)]
    assert button.step(3_000 * MS) == []


@given(st.integers(60, 40_000))
def test_the_press_that_starts_a_recording_gives_nothing_more_however_long(length_ms: int) -> None:
    gestures = run(presses((0, length_ms)), claims=frozenset({0}))
    assert gestures == [Press(0)] + ([Stuck(0)] if length_ms >= 30_000 else [])


def test_a_claim_is_of_one_press_only() -> None:
    gestures = run(presses((0, 100), (200, 300)), claims=frozenset({0}))
    assert gestures == [Press(0), Press(200 * MS), Tap(200 * MS)]


def test_a_tap_before_a_claimed_press_stays_a_tap() -> None:
    gestures = run(presses((0, 100), (200, 300)), claims=frozenset({200}))
    assert gestures == [Press(0), Press(200 * MS), Tap(0)]


def test_a_level_at_start_is_not_a_press_but_may_be_a_stuck_button() -> None:
    assert run([(False, 500)], down=True) == []
    assert run([], down=True) == [Stuck(0)]
    assert run([(False, 500), (True, 3000), (False, 3100)], down=True) == [Press(3000 * MS), Tap(3000 * MS)]


def test_a_short_touch_inside_the_dead_time_is_a_press_and_its_release_is_not_lost() -> None:
    assert run([(True, 0), (False, 20)]) == [Press(0), Tap(0)]


def test_a_press_again_inside_the_dead_time_after_a_release_is_not_lost() -> None:
    gestures = run([(True, 0), (False, 100), (True, 120), (False, 3000)])
    assert gestures == [Press(0), Press(150 * MS), Tap(0), Hold(150 * MS, 2150 * MS)]


def test_an_edge_that_arrives_late_keeps_its_time() -> None:
    """The loop looked at 1,000 ms; the thread that saw the edge at 995 posts it only now."""
    button = Button(False, 0)
    assert button.step(1000 * MS) == []
    button.edge(True, 995 * MS)
    assert button.step(1001 * MS) == [Press(995 * MS)]


@dataclass(frozen=True)
class Train:
    """Clean edges, and the same with bounces inside the dead time after each."""

    clean: list[Edge]
    bouncing: list[Edge]


@st.composite
def trains(draw: st.DrawFn) -> Train:
    at_ms = draw(st.integers(0, 100))
    clean: list[Edge] = []
    bouncing: list[Edge] = []
    for number in range(2 * draw(st.integers(1, 6))):
        pressed = number % 2 == 0
        clean.append((pressed, at_ms))
        bouncing.append((pressed, at_ms))
        offsets = sorted(draw(st.sets(st.integers(1, 48), max_size=3)))
        for offset in offsets:
            bouncing += [(not pressed, at_ms + offset), (pressed, at_ms + offset + 1)]
        at_ms += draw(st.one_of(st.integers(51, 700), st.integers(900, 2100), st.integers(29_900, 30_100)))
    return Train(clean, sorted(bouncing, key=lambda edge: edge[1]))


@given(trains(), st.frozensets(st.integers(0, 5_000), max_size=10), st.data())
def test_neither_bounce_nor_a_busy_loop_changes_the_gestures(
    train: Train, steps_ms: frozenset[int], data: st.DataObject
) -> None:
    starts = [at_ms for pressed, at_ms in train.clean if pressed]
    claims = data.draw(st.frozensets(st.sampled_from(starts)))
    expected = run(train.clean, claims=claims)
    assert run(train.bouncing, steps_ms=tuple(steps_ms), claims=claims) == expected
    assert [gesture.at_ns // MS for gesture in expected if isinstance(gesture, Press)] == starts


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 300)), max_size=40))
def test_whatever_the_contact_does_its_last_level_counts_and_presses_are_50_ms_apart(
    moves: list[tuple[bool, int]],
) -> None:
    at_ms, edges = 0, []
    for pressed, wait_ms in moves:
        at_ms += wait_ms
        edges.append((pressed, at_ms))
    gestures = run(edges)
    found = [gesture.at_ns for gesture in gestures if isinstance(gesture, Press)]
    assert all(later - earlier >= 100 * MS for earlier, later in itertools.pairwise(found))
    down_at_the_end = bool(edges) and edges[-1][0]
    assert any(isinstance(gesture, Stuck) for gesture in gestures) is down_at_the_end
    given_by = [one.press_ns for one in gestures if not isinstance(one, Press | Stuck)]
    assert set(given_by) <= set(found)
    assert len(set(given_by)) == len(given_by), "two gestures of one press"
