"""The bit rate of a camera that gets hot."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.heat import COOL_C, DOWN_AFTER_NS, HOT_C, STEPS_PERCENT, UP_AFTER_NS, HeatRule
from agent.model import NS_PER_S


def test_it_steps_down_at_once_and_then_as_heat_lasts() -> None:
    rule = HeatRule()
    assert not rule.measured(HOT_C - 1, 0)
    assert rule.measured(HOT_C, 1)
    assert rule.percent == STEPS_PERCENT[1]
    assert not rule.measured(HOT_C, DOWN_AFTER_NS)
    assert rule.measured(HOT_C, DOWN_AFTER_NS + 1)
    assert rule.measured(HOT_C, 2 * DOWN_AFTER_NS + 1)
    assert rule.percent == STEPS_PERCENT[-1]
    assert not rule.measured(HOT_C + 30, 3 * DOWN_AFTER_NS + 1), "there is no lower one"


def test_it_steps_up_when_it_has_been_cool_without_a_break() -> None:
    rule = HeatRule()
    for now_ns in (0, DOWN_AFTER_NS):
        rule.measured(HOT_C, now_ns)
    since_ns = 2 * DOWN_AFTER_NS
    assert not rule.measured(COOL_C, since_ns)
    assert not rule.measured(COOL_C + 1, since_ns + 1), "between the two nothing changes"
    assert not rule.measured(COOL_C, since_ns + 2)
    assert not rule.measured(COOL_C, since_ns + 1 + UP_AFTER_NS)
    assert rule.measured(COOL_C, since_ns + 2 + UP_AFTER_NS)
    assert not rule.measured(COOL_C, since_ns + 1 + 2 * UP_AFTER_NS)
    assert rule.measured(COOL_C, since_ns + 2 + 2 * UP_AFTER_NS)
    assert rule.percent == 100


def test_a_temperature_that_is_not_known_changes_nothing_and_is_not_cool() -> None:
    rule = HeatRule()
    rule.measured(HOT_C, 0)
    rule.measured(COOL_C, 1)
    assert not rule.measured(None, 2)
    assert not rule.measured(COOL_C, 3 * UP_AFTER_NS), "the coolness begins again"


@given(st.lists(st.tuples(st.integers(1, 300), st.none() | st.integers(-20, 110)), max_size=60))
def test_whatever_comes_it_moves_by_one_step_and_never_hurries(measurements: list[tuple[int, int | None]]) -> None:
    rule, now_ns, changes = HeatRule(), 0, [(-(10**18), 0)]
    for seconds, celsius in measurements:
        now_ns += seconds * NS_PER_S
        before = STEPS_PERCENT.index(rule.percent)
        changed = rule.measured(celsius, now_ns)
        after = STEPS_PERCENT.index(rule.percent)
        assert changed == (before != after)
        assert abs(after - before) <= 1
        if changed:
            changes.append((now_ns, after))
    for (earlier_ns, low), (later_ns, high) in pairwise(changes):
        assert later_ns - earlier_ns >= (DOWN_AFTER_NS if high > low else UP_AFTER_NS)
