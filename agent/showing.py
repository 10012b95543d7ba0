"""What the officer sees, hears and feels: the main loop says it here, and the panel is told no more than it must be.

Guarantees: a light is shown when it changes, when something was told or kept, and often enough not to go dark by
itself; the writer's lateness is told once each time that it begins. Assumes: `show` is called in every step.
"""

from __future__ import annotations

from agent.model import DARK, NS_PER_S, Activity, Condition, Light
from agent.ports import Panel
from agent.states import Moment, RecordingLight, cue, shown

REMIND_NS = 120 * NS_PER_S  # common practice; felt, not heard: it must not give a hidden officer away
SHOW_AGAIN_NS = NS_PER_S  # well within the 3 s after which a light that nobody shows goes dark


class Showing:
    """Owns the panel."""

    def __init__(self, panel: Panel) -> None:
        self._panel = panel
        self._light: Light | None = None
        self._show_next_ns = 0
        self._failed_outputs: set[str] = set()
        self._remind_ns: int | None = None
        self.writer_late = False

    @property
    def light(self) -> Light:
        """What the panel was last told to show."""
        return self._light or DARK

    def tell(self, moment: Moment) -> None:
        """Once, by ear and by hand."""
        self._panel.play(cue(moment))

    def watch_writer(self, recording: RecordingLight | None, now_ns: int) -> None:
        """Tell when the writer begins to be late; `writer_late` is the condition of that name."""
        late = recording is not None and recording.writer_late(now_ns)
        if late and not self.writer_late:
            self.tell(Moment.WRITER_LATE)
        self.writer_late = late

    def remind(self, recording: bool, now_ns: int) -> None:
        """Tell that it still records, each two minutes of that. Call it in every step."""
        if not recording:
            self._remind_ns = None
        elif self._remind_ns is None:
            self._remind_ns = now_ns + REMIND_NS
        elif now_ns >= self._remind_ns:
            self._remind_ns = now_ns + REMIND_NS
            self.tell(Moment.REMINDED)

    def show_soon(self, now_ns: int) -> None:
        """The next `show` shows the light even if it is the same: that re-arms it."""
        self._show_next_ns = now_ns

    def show(
        self, activity: Activity, conditions: frozenset[Condition], recording: RecordingLight | None, now_ns: int
    ) -> None:
        """The light of this moment; see agent/states.py `shown`."""
        light, dark_after_ns = shown(activity, conditions, recording, now_ns)
        if light == self._light and now_ns < self._show_next_ns:
            return
        self._light = light
        self._show_next_ns = now_ns + SHOW_AGAIN_NS
        self._panel.show(light, dark_after_ns)

    def failed_first(self, output: str) -> bool:
        """A part of the panel has failed; True the first time (it fails again with each second's light)."""
        first = output not in self._failed_outputs
        self._failed_outputs.add(output)
        return first
