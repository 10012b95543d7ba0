"""When a hole in the sound is told."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.formats.pipe import Observation
from agent.missed_sound import TELL_EVERY_NS, MissedSound
from agent.model import NS_PER_S


def second(number: int, heard: bool, missing_ms: int) -> Observation:
    peak = 900 if heard else 0
    return Observation((number + 1) * NS_PER_S, 90, 40, 900, None, None, heard, peak, peak, 0, missing_ms)


@given(st.lists(st.tuples(st.booleans(), st.booleans(), st.sampled_from([0, 0, 20, 700])), max_size=60))
def test_all_that_a_recording_misses_is_told_once_and_nothing_else(seconds: list[tuple[bool, bool, int]]) -> None:
    """(recording, heard, missing_ms) of each second; then a recording goes on for as long as something may be due."""
    rule, owed, told_ns = MissedSound(), 0, -TELL_EVERY_NS
    for number, (recording, heard, missing_ms) in enumerate(seconds + [(True, True, 0)] * 12):
        now_ns = (number + 1) * NS_PER_S
        rule.observed(second(number, heard, missing_ms))
        owed = owed + missing_ms * heard if recording else 0
        values = rule.step(recording, now_ns)
        if values is not None:
            assert recording
            assert now_ns - told_ns >= TELL_EVERY_NS
            assert values["missing_ms"] == owed
            owed, told_ns = 0, now_ns
    assert owed == 0
