"""The main loop: button, panel, activity and conditions, the camera's restart ladder, status. It never waits.

Guarantees: every accepted press is answered in the step that sees it; nothing is shown as recorded before the writer
has said that it is durable; an order that finds no slot is an `alert`, never a wait. The activity changes only through
agent/states.py. Assumes: `step` is called whenever something was posted, and at least every TICK_NS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.button import Button, DoubleTap, Gesture, Hold, Press, Stuck, Tap
from agent.formats.canonical import Value
from agent.intake import Captured, CaptureGone, InitSeen, IntakeReport
from agent.ladder import RestartLadder, Rung
from agent.mailbox import Mailbox
from agent.model import (
    DARK,
    NS_PER_MS,
    NS_PER_S,
    Activity,
    BatteryChanged,
    BoardEvent,
    ButtonEdge,
    Condition,
    Contact,
    Light,
    NoticeState,
    OutputFailed,
    StopCause,
    SwitchOff,
    TimeSource,
    Unavailable,
)
from agent.orders import (
    CheckRoom,
    CutShort,
    Durable,
    Failed,
    Mark,
    Marked,
    Note,
    Notice,
    Order,
    Refused,
    Report,
    Room,
    Start,
    Stop,
    Stopped,
)
from agent.ports import Camera, Panel
from agent.states import Event, Moment, RecordingLight, cue, moment, next_activity, shown

TICK_NS = 50 * NS_PER_MS
SHOW_AGAIN_NS = NS_PER_S  # well within the 3 s after which a light that nobody shows goes dark
CHECK_ROOM_NS = 10 * NS_PER_S
STOP_WITHIN_NS = 3 * NS_PER_S  # a stop waits so long for the fragment that holds its moment
ORDERS, ORDERS_RESERVED = 64, 16
NEWS, NEWS_RESERVED = 512, 64

News = BoardEvent | Report | IntakeReport


@dataclass(frozen=True, slots=True)
class Rules:
    """What policy and board say to the main loop."""

    sound: bool
    prerecord_sound: bool
    warn_percent: tuple[int, ...]
    cut_off_percent: int


@dataclass(frozen=True, slots=True)
class Status:
    """What `temoin status` shows; times on the boot clock."""

    activity: Activity
    conditions: frozenset[Condition]
    light: Light
    recording: str | None
    press_ns: int | None
    durable_end_ns: int | None
    captured_end_ns: int | None
    notice: NoticeState
    battery_percent: int | None
    unavailable: Unavailable | None


class Supervisor:
    """Owns the activity. What recovery found: `interrupted`; `resuming`, id and press of a recording that goes on."""

    def __init__(
        self,
        rules: Rules,
        panel: Panel,
        camera: Camera,
        want_sound: Callable[[bool], None],
        time_source: Callable[[], TimeSource],
        button: Button,
        interrupted: bool,
        resuming: tuple[str, int] | None,
    ) -> None:
        self.news: Mailbox[News] = Mailbox(NEWS, NEWS_RESERVED)
        self.orders: Mailbox[Order] = Mailbox(ORDERS, ORDERS_RESERVED)
        self.ended = False
        self._rules = rules
        self._panel = panel
        self._camera = camera
        self._want_sound = want_sound
        self._time_source = time_source
        self._button = button
        self._ladder = RestartLadder()
        self._activity = Activity.BOOTING
        self._interrupted = interrupted
        self._recording: RecordingLight | None = None
        self._rec: str | None = None if resuming is None else resuming[0]
        self._press_ns: int | None = None if resuming is None else resuming[1]
        self._kept_press_ns: int | None = None
        self._durable_end_ns: int | None = None
        self._captured_end_ns: int | None = None
        self._stop_by_ns: int | None = None
        self._ending: Event | None = None
        self._end_cause = "switched_off"
        self._notice = NoticeState.UNKNOWN
        self._heard = True
        self._late = False
        self._battery_percent: int | None = None
        self._warned_percent = 101
        self._unavailable: Unavailable | None = None
        self._shown: Light | None = None
        self._show_next_ns = 0
        self._check_room_ns = 0

    def start(self, now_ns: int) -> None:
        """Journal, policy and panel are there: start capture, and go on with what a crash left open."""
        self._event(Event.OPENED, now_ns)
        if self._interrupted:
            self._panel.play(cue(Moment.INTERRUPTED))
        if self._rec is not None:
            self._recording = RecordingLight(self._captured_end_ns)
            self._event(Event.RESUME, now_ns)
        self._wire_sound()
        self._camera.start()
        self._ladder.started(now_ns)
        self._show(now_ns)

    def terminate(self, now_ns: int) -> None:
        """The agent is told to end: seal, sign, go."""
        self._end(Event.TERMINATE, "terminated", now_ns)

    def step(self, now_ns: int) -> None:
        """Handle all that was posted, then what time has made due."""
        for item in self.news.take():
            self._handle(item, now_ns)
        while gestures := self._button.step(now_ns):
            for gesture in gestures:
                self._gesture(gesture, now_ns)
        self._climb(now_ns)
        self._due(now_ns)
        self._show(now_ns)

    def status(self) -> Status:
        """The camera as it is after the last step."""
        return Status(
            self._activity,
            self._conditions(),
            self._shown or DARK,
            self._rec,
            self._press_ns if self._rec else None,
            self._durable_end_ns,
            self._captured_end_ns,
            self._notice,
            self._battery_percent,
            self._unavailable,
        )

    # What was posted.

    def _handle(self, item: News, now_ns: int) -> None:  # noqa: C901 - one row for each thing that can be posted
        match item:
            case ButtonEdge():
                self._button.edge(item.pressed, item.at_ns)
            case Captured():
                self._captured(item, now_ns)
            case Durable():
                self._durable(item, now_ns)
            case InitSeen():
                self._event(Event.INIT, now_ns)
            case CaptureGone():
                self._capture_gone(item, now_ns)
            case Stopped():
                self._stopped(now_ns)
            case Marked():
                self._marked(item)
            case Refused() | Failed():
                self._refused(item, now_ns)
            case Room():
                self._room(item, now_ns)
            case BatteryChanged():
                self._battery(item, now_ns)
            case SwitchOff():
                self._end(Event.SWITCH_OFF, "switched_off", now_ns)
            case OutputFailed():
                self._alert("output_failed", {"output": item.output}, "check_panel")
            case Contact():
                pass  # turns the radio on, nothing else: docking is an authenticated session

    def _captured(self, item: Captured, now_ns: int) -> None:
        self._ladder.delivered(now_ns)
        self._captured_end_ns = item.info.end_ns
        self._heard = item.info.sound
        if self._recording is not None:
            self._recording.on_captured(item.info.end_ns, now_ns)

    def _durable(self, item: Durable, now_ns: int) -> None:
        if self._recording is None:
            return
        self._rec = item.rec
        self._durable_end_ns = item.end_ns
        self._interrupted = False  # this press has acknowledged it: recording.start is durable
        self._recording.on_commit(item.end_ns, now_ns)
        self._event(Event.DURABLE, now_ns)
        self._show_next_ns = now_ns  # red is re-armed by each durable fragment

    def _capture_gone(self, item: CaptureGone, now_ns: int) -> None:
        if item.violation is not None:
            self._alert("capture_violation", {"problem": item.violation[:200]}, "restart_capture")
        self._ladder.gone(now_ns)
        self._order(CutShort())

    def _stopped(self, now_ns: int) -> None:
        self._recording = None
        self._rec = None
        self._stop_by_ns = None
        self._notice = NoticeState.UNKNOWN
        self._event(Event.STOPPED, now_ns)
        self._wire_sound()
        if self._ending is not None:
            self._end(self._ending, self._end_cause, now_ns)
        elif self._kept_press_ns is not None:
            self._press(self._kept_press_ns, now_ns)
        self._kept_press_ns = None

    def _marked(self, item: Marked) -> None:
        told = {None: Moment.MARKED, NoticeState.ANNOUNCED: Moment.ANNOUNCED}
        self._panel.play(cue(told.get(item.notice, Moment.IMPOSSIBLE)))

    def _refused(self, item: Refused | Failed, now_ns: int) -> None:
        self._unavailable = item.why
        arming = self._rec is None and self._recording is not None
        if not arming and isinstance(item, Failed) and self._recording is not None:
            self._stopped(now_ns)
        self._recording = None
        self._event(Event.START_FAILED if arming else Event.UNAVAILABLE, now_ns)
        self._wire_sound()

    def _room(self, item: Room, now_ns: int) -> None:
        if self._unavailable is None and item.why is not None:
            self._unavailable = item.why
            self._event(Event.UNAVAILABLE, now_ns)
        elif self._unavailable is not None and item.why is None and self._unavailable.cause == "card_full":
            self._unavailable = None
            self._event(Event.AVAILABLE, now_ns)
            if self._captured_end_ns is not None:
                self._event(Event.INIT, now_ns)

    def _battery(self, item: BatteryChanged, now_ns: int) -> None:
        percent = self._battery_percent = item.battery.percent
        if percent is None:
            return
        if percent <= self._rules.cut_off_percent and not item.battery.charging:
            self._end(Event.CUT_OFF, "battery", now_ns)
        due = [limit for limit in self._rules.warn_percent if percent <= limit < self._warned_percent]
        self._warned_percent = min((*due, self._warned_percent)) if due else max(self._warned_percent, percent + 1)
        if due:
            self._alert("battery_low", {"percent": percent}, "charge_battery")
            self._panel.play(cue(Moment.WARNING))

    # What the officer does.

    def _gesture(self, gesture: Gesture, now_ns: int) -> None:
        match gesture:
            case Press():
                self._press(gesture.at_ns, now_ns)
            case Tap() if self._recording is not None:
                self._order(Mark(gesture.press_ns))
            case DoubleTap() if self._recording is not None:
                self._notice = (
                    NoticeState.IMPOSSIBLE if self._notice is NoticeState.ANNOUNCED else NoticeState.ANNOUNCED
                )
                self._order(Notice(gesture.press_ns, self._notice))
            case Hold() if self._recording is not None:
                self._event(Event.HOLD, now_ns)
                self._stop(StopCause.HOLD, gesture.press_ns, gesture.recognised_ns, now_ns)
            case Stuck():
                self._alert("button_stuck", {}, "check_button")
            case _:
                pass

    def _press(self, press_ns: int, now_ns: int) -> None:
        before = self._activity
        self._event(Event.PRESS, now_ns)
        if self._activity is Activity.ARMING and before is not Activity.ARMING:
            if press_ns != self._kept_press_ns:
                self._button.claim()
            self._recording = RecordingLight(self._captured_end_ns)
            self._press_ns = press_ns
            self._durable_end_ns = None
            self._wire_sound()
            self._order(Start(press_ns))
        elif before is Activity.STOPPING and self._ending is None:
            self._button.claim()
            self._kept_press_ns = press_ns
        elif self._activity is Activity.REFUSING and self._unavailable is not None:
            values: dict[str, Value] = dict(self._unavailable.values)
            self._order(Note("refused", {"cause": self._unavailable.cause, "values": values, "remedy": "see_status"}))

    def _stop(self, cause: StopCause, press_ns: int | None, until_ns: int, now_ns: int) -> None:
        self._stop_by_ns = now_ns + STOP_WITHIN_NS
        self._order(Stop(cause, press_ns, until_ns))

    def _end(self, event: Event, cause: str, now_ns: int) -> None:
        before = self._activity
        self._event(event, now_ns)
        if self._activity is Activity.STOPPING:
            self._ending, self._end_cause = event, cause
            if before is not Activity.STOPPING:
                stop_cause = StopCause.CUT_OFF if event is Event.CUT_OFF else StopCause.SHUTDOWN
                self._stop(stop_cause, None, now_ns, now_ns)
        elif self._activity is Activity.SHUTTING_DOWN and not self.ended:
            self._ladder.off()
            self._order(Note("shutdown", {"cause": cause}))
            self.ended = True

    # What time makes due.

    def _climb(self, now_ns: int) -> None:
        rung = self._ladder.step(now_ns)
        if rung is None:
            return
        self._alert(rung.value, {}, "check_camera")
        self._order(CutShort())
        self._camera.kill()
        if rung is Rung.POWER_CYCLE:
            self._camera.power_cycle()
        if rung is Rung.REBOOT:
            self._camera.reboot()
        self._camera.start()

    def _due(self, now_ns: int) -> None:
        if self._stop_by_ns is not None and now_ns >= self._stop_by_ns:
            self._stop_by_ns = None
            self._order(CutShort())
        if now_ns >= self._check_room_ns and self._recording is None and not self.ended:
            self._check_room_ns = now_ns + CHECK_ROOM_NS
            self._order(CheckRoom())
        late = self._recording is not None and self._recording.writer_late(now_ns)
        if late and not self._late:
            self._panel.play(cue(Moment.WRITER_LATE))
        self._late = late

    def _show(self, now_ns: int) -> None:
        light, dark_after_ns = shown(self._activity, self._conditions(), self._recording, now_ns)
        if light == self._shown and now_ns < self._show_next_ns:
            return
        self._shown = light
        self._show_next_ns = now_ns + SHOW_AGAIN_NS
        self._panel.show(light, dark_after_ns)

    def _conditions(self) -> frozenset[Condition]:
        holds = {
            Condition.NO_WEARER: True,  # until a dock hands the camera out
            Condition.INTERRUPTED: self._interrupted,
            Condition.CAMERA_FAILING: self._ladder.failing,
            Condition.WRITER_LATE: self._late,
            Condition.CLOCK_UNKNOWN: self._time_source() in (TimeSource.NONE, TimeSource.DISPUTED),
            Condition.NO_SOUND: self._sound_wanted() and not self._heard,
            Condition.LOW_BATTERY: self._battery_percent is not None
            and self._battery_percent <= max(self._rules.warn_percent),
        }
        return frozenset(condition for condition, true in holds.items() if true)

    # How it is said.

    def _event(self, event: Event, now_ns: int) -> None:
        after = next_activity(self._activity, event)
        if after is None:
            self._alert("impossible_event", {"activity": self._activity.value, "event": event.value}, "report_defect")
            return
        told = moment(self._activity, event)
        self._activity = after
        if told is not None:
            self._panel.play(cue(told))
            self._show_next_ns = now_ns

    def _sound_wanted(self) -> bool:
        return self._rules.sound and (self._rules.prerecord_sound or self._recording is not None)

    def _wire_sound(self) -> None:
        self._want_sound(self._sound_wanted())

    def _alert(self, cause: str, values: dict[str, Value], remedy: str) -> None:
        self._order(Note("alert", {"cause": cause, "values": values, "remedy": remedy}))

    def _order(self, order: Order) -> None:
        """Control orders have slots of their own; a note that finds none waits for nobody and is said by the panel."""
        control = not isinstance(order, Note | CheckRoom)
        if not self.orders.post(order, control=control) and control:
            self._panel.play(cue(Moment.WRITER_LATE))
