"""What the camera is doing, what may follow from it, and what the officer sees, hears and feels of it.

Guarantees: TABLE and IMPOSSIBLE together name every pair of activity and event exactly once; nothing but a row of TABLE
changes the activity. Red is shown by RecordingLight alone, and only while its rule holds. Every light goes dark by
itself when nobody shows it again: no program that hangs can go on promising anything.
Assumes: events come from one loop, in the order in which they happened. Pure: the time is an argument.
Source: docs/officer.md; its tables are generated from the ones below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from agent.model import (
    NS_PER_S,
    Activity,
    Colour,
    Condition,
    Cue,
    Light,
    Pattern,
    Tone,
    Vibration,
)


class Event(StrEnum):
    """What can happen to the activity."""

    OPENED = "opened"  # the journal is open, policy and recipients are valid
    INIT = "init"  # all of OPENED, and capture's Init is there: the ring is filling
    UNAVAILABLE = "unavailable"  # nothing can be recorded; the cause travels beside it
    AVAILABLE = "available"  # ... and now it can again; INIT follows once the ring is filling
    PRESS = "press"  # the leading edge of the button
    RESUME = "resume"  # this boot's recording was left open by a crash of the agent: it goes on
    DURABLE = "durable"  # a fragment of the recording is durable
    START_FAILED = "start_failed"  # the first fragment could not be made durable, nothing is recorded
    HOLD = "hold"  # 2 s on a press that did not start the recording
    CUT_OFF = "cut_off"  # the battery is at the board's cut-off
    TERMINATE = "terminate"  # the agent is told to end
    STOPPED = "stopped"  # recording.stop is durable, or the recording ended without one
    DOCKED = "docked"  # a session with a dock of the policy; given again once a recording has stopped
    UNDOCKED = "undocked"  # that session is over: capture starts
    SWITCH_OFF = "switch_off"  # the board's own input, held 5 s


def _rows(event: Event, *pairs: tuple[Activity, Activity]) -> dict[tuple[Activity, Event], Activity]:
    return {(before, event): after for before, after in pairs}


def _stays(event: Event, *activities: Activity) -> dict[tuple[Activity, Event], Activity]:
    return {(activity, event): activity for activity in activities}


_BOOTING, _IDLE, _READY = Activity.BOOTING, Activity.IDLE, Activity.READY
_ARMING, _RECORDING, _STOPPING = Activity.ARMING, Activity.RECORDING, Activity.STOPPING
_REFUSING, _ENDING = Activity.REFUSING, Activity.SHUTTING_DOWN

TABLE: Mapping[tuple[Activity, Event], Activity] = MappingProxyType(
    {
        # BOOTING is also the way from the dock, or from a refusal, to READY: capture is starting.
        **_rows(Event.OPENED, (_REFUSING, _BOOTING)),
        **_stays(Event.OPENED, _BOOTING, _ARMING, _STOPPING, _ENDING),
        # An Init while a recording runs is a capture process started again; one in IDLE is of a process being ended.
        **_rows(Event.INIT, (_BOOTING, _READY)),
        **_stays(Event.INIT, _IDLE, _READY, _ARMING, _RECORDING, _STOPPING, _REFUSING, _ENDING),
        # A recording never ends because a new one could not start: its writer says STOPPED when the card gives up.
        **_rows(Event.UNAVAILABLE, *((before, _REFUSING) for before in (_BOOTING, _IDLE, _READY, _ARMING))),
        **_stays(Event.UNAVAILABLE, _RECORDING, _STOPPING, _REFUSING, _ENDING),
        **_rows(Event.AVAILABLE, (_REFUSING, _BOOTING)),
        **_stays(Event.AVAILABLE, _BOOTING, _IDLE, _READY, _ARMING, _RECORDING, _STOPPING, _ENDING),
        # Heard while booting or docked: the recording begins with the first fragment. A press in STOPPING is kept by
        # the caller, and given again after STOPPED: nothing is lost, the ring reaches back to it.
        **_rows(Event.PRESS, *((before, _ARMING) for before in (_BOOTING, _IDLE, _READY))),
        **_stays(Event.PRESS, _ARMING, _RECORDING, _STOPPING, _REFUSING, _ENDING),
        **_rows(Event.RESUME, (_BOOTING, _ARMING)),
        **_rows(Event.DURABLE, (_ARMING, _RECORDING)),
        **_stays(Event.DURABLE, _RECORDING, _STOPPING),
        **_rows(Event.START_FAILED, (_ARMING, _REFUSING), (_STOPPING, _REFUSING)),
        # A hold can be recognised just after the recording under it has ended: then it means nothing.
        **_rows(Event.HOLD, (_ARMING, _STOPPING), (_RECORDING, _STOPPING)),
        **_stays(Event.HOLD, _BOOTING, _IDLE, _READY, _STOPPING, _REFUSING, _ENDING),
        # A recording is sealed first; the caller gives the event again after STOPPED.
        **{
            (before, event): after
            for event in (Event.CUT_OFF, Event.TERMINATE)
            for before, after in (
                *((quiet, _ENDING) for quiet in (_BOOTING, _IDLE, _READY, _REFUSING, _ENDING)),
                *((busy, _STOPPING) for busy in (_ARMING, _RECORDING, _STOPPING)),
            )
        },
        **_rows(Event.STOPPED, (_STOPPING, _READY), (_RECORDING, _READY)),
        # A dock, a charger or a contact never ends or refuses a recording, and never hides a refusal.
        **_rows(Event.DOCKED, (_BOOTING, _IDLE), (_READY, _IDLE)),
        **_stays(Event.DOCKED, _IDLE, _ARMING, _RECORDING, _STOPPING, _REFUSING, _ENDING),
        **_rows(Event.UNDOCKED, (_IDLE, _BOOTING)),
        **_stays(Event.UNDOCKED, _BOOTING, _READY, _ARMING, _RECORDING, _STOPPING, _REFUSING, _ENDING),
        # Refused while recording.
        **_rows(Event.SWITCH_OFF, *((before, _ENDING) for before in (_BOOTING, _IDLE, _READY, _REFUSING))),
        **_stays(Event.SWITCH_OFF, _ARMING, _RECORDING, _STOPPING, _ENDING),
    }
)

IMPOSSIBLE: frozenset[tuple[Activity, Event]] = frozenset(
    {
        *((activity, Event.OPENED) for activity in (_IDLE, _READY, _RECORDING)),
        *((activity, Event.RESUME) for activity in Activity if activity is not _BOOTING),
        *((activity, Event.DURABLE) for activity in (_BOOTING, _IDLE, _READY, _REFUSING, _ENDING)),
        *((activity, Event.START_FAILED) for activity in (_BOOTING, _IDLE, _READY, _RECORDING, _REFUSING, _ENDING)),
        *((activity, Event.STOPPED) for activity in (_BOOTING, _IDLE, _READY, _ARMING, _REFUSING, _ENDING)),
    }
)
"""Pairs that only a programming error can produce. On the camera: an `alert`, and the event is ignored."""


def next_activity(activity: Activity, event: Event) -> Activity | None:
    """The activity after the event; None for an impossible pair (journal an alert, stay where you are)."""
    return TABLE.get((activity, event))


WARNINGS = frozenset(
    {
        Condition.LOW_BATTERY,
        Condition.NO_SOUND,
        Condition.WRITER_LATE,
        Condition.CLOCK_UNKNOWN,
        Condition.NO_WEARER,
        Condition.KEY_LOST,
        Condition.LENS_COVERED,
        Condition.LENS_BLURRED,
        Condition.SPACE_LOW,
        Condition.CARD_WORN,
    }
)
"""Conditions under which a press still becomes a whole recording, but not as good a one as it should be."""


@dataclass(frozen=True, slots=True)
class PanelRow:
    """One row of the priority table: shown in these activities when one of the conditions holds (none: always)."""

    activities: frozenset[Activity]
    conditions: frozenset[Condition]
    light: Light


def _row(light: Light, *activities: Activity, when: frozenset[Condition] = frozenset()) -> PanelRow:
    return PanelRow(frozenset(activities), when, light)


PANEL: tuple[PanelRow, ...] = (
    _row(Light(Colour.AMBER, Pattern.FAST), _REFUSING),
    _row(Light(Colour.BLUE, Pattern.FAST), _ENDING),
    _row(Light(Colour.AMBER, Pattern.FAST), _RECORDING),  # unless RecordingLight says red
    _row(Light(Colour.AMBER), _ARMING, _STOPPING),
    _row(
        Light(Colour.AMBER, Pattern.SLOW),
        _READY,
        _IDLE,
        when=frozenset({Condition.INTERRUPTED, Condition.CAMERA_FAILING}),
    ),
    _row(Light(Colour.AMBER, Pattern.SLOW), _BOOTING, when=frozenset({Condition.INTERRUPTED})),
    _row(Light(Colour.BLUE), _IDLE),
    _row(Light(Colour.BLUE, Pattern.SLOW), _BOOTING),
    _row(Light(Colour.GREEN, Pattern.SLOW), _READY, when=WARNINGS),
    _row(Light(Colour.GREEN), _READY),
)
"""First match wins. No row is red: that is RecordingLight's."""

DARK_AFTER_NS = 3 * NS_PER_S
"""A light that nobody shows again goes dark after this long. The main loop shows it again at least once a second."""


def panel(activity: Activity, conditions: frozenset[Condition]) -> Light:
    """The light for the activity under these conditions, red left aside."""
    for row in PANEL:
        if activity in row.activities and (not row.conditions or row.conditions & conditions):
            return row.light
    raise AssertionError(f"no row for {activity}")


RED = Light(Colour.RED)
RED_WITHIN_NS = 3 * NS_PER_S
MAX_LAG_NS = 2 * NS_PER_S
DRAIN_NS = 2 * NS_PER_S


class RecordingLight:
    """The light of one recording, from its press on: red only while what is seen is really being kept.

    Red means: a fragment became durable less than 3 s ago, the newest captured one ended less than 3 s ago, and the
    durable lag (newest captured end - newest durable end) is under 2 s. The lag does not count until the drain of the
    pre-record has caught up (the lag was once under 2 s) or 2 s have passed since the first commit.
    `captured_end_ns` is the end of the newest captured fragment at the press, None when there is none yet.
    """

    def __init__(self, captured_end_ns: int | None) -> None:
        self._first_commit_ns: int | None = None
        self._last_commit_ns = 0
        self._durable_end_ns = 0
        self._captured_end_ns = captured_end_ns
        self._caught_up = False

    def on_commit(self, end_ns: int, now_ns: int) -> None:
        """A fragment that ends at `end_ns` has become durable."""
        if self._first_commit_ns is None:
            self._first_commit_ns = now_ns
        self._last_commit_ns = now_ns
        self._durable_end_ns = max(self._durable_end_ns, min(end_ns, now_ns))
        self.on_captured(end_ns, now_ns)  # what is durable was captured: the two reports race
        if self._lag_ns() < MAX_LAG_NS:
            self._caught_up = True

    def on_captured(self, end_ns: int, now_ns: int) -> None:
        """A fragment that ends at `end_ns` has entered the ring; one that says it ends later than now ended now."""
        end_ns = min(end_ns, now_ns)
        self._captured_end_ns = end_ns if self._captured_end_ns is None else max(self._captured_end_ns, end_ns)

    def writer_late(self, now_ns: int) -> bool:
        """The lag counts and is too long: the condition of the same name."""
        if self._first_commit_ns is None:
            return False
        counts = self._caught_up or now_ns - self._first_commit_ns >= DRAIN_NS
        return counts and self._lag_ns() >= MAX_LAG_NS

    def red_until_ns(self, now_ns: int) -> int | None:
        """When red ends by itself if nothing more is reported; None when it may not be shown now."""
        if self._first_commit_ns is None or self._captured_end_ns is None or self.writer_late(now_ns):
            return None
        until_ns = min(self._last_commit_ns, self._captured_end_ns) + RED_WITHIN_NS
        return until_ns if now_ns < until_ns else None

    def light(self, now_ns: int) -> Light:
        """Red, or amber: steady before the first commit, fast when the recording is not kept as it should be."""
        if self.red_until_ns(now_ns) is not None:
            return RED
        return panel(Activity.ARMING if self._first_commit_ns is None else Activity.RECORDING, frozenset())

    def _lag_ns(self) -> int:
        return 0 if self._captured_end_ns is None else self._captured_end_ns - self._durable_end_ns


def shown(
    activity: Activity, conditions: frozenset[Condition], recording: RecordingLight | None, now_ns: int
) -> tuple[Light, int]:
    """What Panel.show takes: the light, and how long it holds unless it is shown again.

    `recording` is the current recording's, None outside one. While it is red the time left runs from the last durable
    fragment: showing it again without a new one does not make it longer.
    """
    if recording is not None and activity in (Activity.RECORDING, Activity.STOPPING):
        until_ns = recording.red_until_ns(now_ns)
        if until_ns is not None:
            return RED, min(until_ns - now_ns, DARK_AFTER_NS)
    return panel(activity, conditions), DARK_AFTER_NS


class Moment(StrEnum):
    """What the officer is told once, by ear and by hand."""

    HEARD = "heard"
    STARTED = "started"
    MARKED = "marked"
    ANNOUNCED = "announced"
    IMPOSSIBLE = "impossible"
    REMINDED = "reminded"
    STOPPED = "stopped"
    REFUSED = "refused"
    STILL_RECORDING = "still_recording"
    WARNING = "warning"
    INTERRUPTED = "interrupted"
    WRITER_LATE = "writer_late"
    SWITCHING_OFF = "switching_off"


CUES: Mapping[Moment, Cue] = MappingProxyType(
    {
        Moment.HEARD: Cue(Tone.NONE, Vibration.SHORT),
        Moment.STARTED: Cue(Tone.START, Vibration.DOUBLE),
        Moment.MARKED: Cue(Tone.MARK, Vibration.SHORT),
        Moment.ANNOUNCED: Cue(Tone.MARK, Vibration.DOUBLE),
        Moment.IMPOSSIBLE: Cue(Tone.MARK, Vibration.LONG),
        Moment.REMINDED: Cue(Tone.NONE, Vibration.DOUBLE),
        Moment.STOPPED: Cue(Tone.STOP, Vibration.LONG),
        Moment.REFUSED: Cue(Tone.REFUSAL, Vibration.ALARM),
        Moment.STILL_RECORDING: Cue(Tone.REFUSAL, Vibration.SHORT),
        Moment.WARNING: Cue(Tone.WARNING, Vibration.DOUBLE),
        Moment.INTERRUPTED: Cue(Tone.WARNING, Vibration.LONG),
        Moment.WRITER_LATE: Cue(Tone.WARNING, Vibration.ALARM),
        Moment.SWITCHING_OFF: Cue(Tone.STOP, Vibration.SHORT),
    }
)


def cue(moment: Moment) -> Cue:
    """The tone and vibration of a moment; no two moments share one."""
    return CUES[moment]


def moment(activity: Activity, event: Event) -> Moment | None:
    """What the officer is told when the event finds the camera in this activity; None for nothing.

    Every press is answered at once: heard, or refused. The rest is told when it is durable, by whoever knows.
    """
    after = next_activity(activity, event)
    if after is None:
        return None
    if event is Event.PRESS:
        return Moment.REFUSED if after in (_REFUSING, _ENDING) else Moment.HEARD
    if event is Event.SWITCH_OFF and after is not _ENDING:
        return Moment.STILL_RECORDING
    if after is activity:
        return None
    if event is Event.START_FAILED or (event is Event.UNAVAILABLE and activity is _ARMING):
        return Moment.REFUSED
    return {
        Event.DURABLE: Moment.STARTED,
        Event.STOPPED: Moment.STOPPED,
        Event.UNAVAILABLE: Moment.WARNING,
        Event.SWITCH_OFF: Moment.SWITCHING_OFF,
        Event.CUT_OFF: Moment.SWITCHING_OFF if after is _ENDING else None,
        Event.TERMINATE: Moment.SWITCHING_OFF if after is _ENDING else None,
    }.get(event)
