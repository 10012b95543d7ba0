"""What holds beside the activity: the conditions of docs/design.md, which warn and never refuse.

Guarantees: each condition follows from what was last told; the clock's dispute is told once each time that it begins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.battery import BatteryWatch
from agent.config import BatteryLevels
from agent.model import Condition, TimeSource


@dataclass(frozen=True, slots=True)
class Rules:
    """What policy and board say to the main loop."""

    sound: bool
    prerecord_sound: bool
    battery: BatteryLevels


class Conditions:
    """`time_source` and `worn` (whether a dock has handed the camera out) return at once."""

    def __init__(
        self, rules: Rules, time_source: Callable[[], TimeSource], worn: Callable[[], bool], interrupted: bool
    ) -> None:
        self._rules = rules
        self._time_source = time_source
        self._worn = worn
        self._disputed = False
        self.battery = BatteryWatch(rules.battery)
        self.interrupted = interrupted
        self.heard = True
        """Whether the newest fragment has sound."""

    def sound_wanted(self, recording: bool) -> bool:
        """Whether sound is to be filmed now: the policy may leave it out of the pre-record."""
        return self._rules.sound and (self._rules.prerecord_sound or recording)

    def newly_disputed(self) -> bool:
        """The clock has come into dispute since the last question."""
        before, self._disputed = self._disputed, self._time_source() is TimeSource.DISPUTED
        return self._disputed and not before

    def hold(self, recording: bool, docked: bool, camera_failing: bool, writer_late: bool) -> frozenset[Condition]:
        """All that hold now; the arguments are what others watch."""
        holds = {
            Condition.DOCKED: docked,
            Condition.NO_WEARER: not self._worn(),
            Condition.INTERRUPTED: self.interrupted,
            Condition.CAMERA_FAILING: camera_failing,
            Condition.WRITER_LATE: writer_late,
            Condition.CLOCK_UNKNOWN: self._time_source() in (TimeSource.NONE, TimeSource.DISPUTED),
            Condition.NO_SOUND: self.sound_wanted(recording) and not self.heard,
            Condition.LOW_BATTERY: self.battery.low,
        }
        return frozenset(condition for condition, true in holds.items() if true)
