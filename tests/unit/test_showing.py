"""What the officer is reminded of, and when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.model import NS_PER_S, Cue, Light
from agent.showing import REMIND_NS, Showing
from agent.states import Moment, cue


class Felt:
    """A Panel that keeps the cues."""

    def __init__(self) -> None:
        self.cues: list[Cue] = []

    def show(self, light: Light, dark_after_ns: int | None) -> None: ...

    def play(self, cue: Cue) -> None:
        self.cues.append(cue)


@given(st.lists(st.tuples(st.integers(1, 900), st.booleans()), min_size=1, max_size=12))
def test_a_reminder_comes_each_two_minutes_of_a_recording_and_only_then(spans: list[tuple[int, bool]]) -> None:
    """`spans`: so many seconds, recording or not; a reminder belongs to one recording."""
    panel, now_ns, expected, recorded = Felt(), 0, 0, 0
    showing = Showing(panel)
    for seconds, recording in spans:
        for _ in range(seconds):
            showing.remind(recording, now_ns)
            now_ns += NS_PER_S
            expected += recording and recorded > 0 and recorded % (REMIND_NS // NS_PER_S) == 0
            recorded = recorded + 1 if recording else 0
    assert panel.cues == [cue(Moment.REMINDED)] * expected
