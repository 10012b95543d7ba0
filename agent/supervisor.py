"""The main loop: button, panel, activity and conditions, the camera's restart ladder, status. It never waits.

Guarantees: every accepted press is answered in the step that sees it; nothing is shown as recorded before the writer
has said that it is durable; an order or news that finds no slot is an `alert`, never a wait. The activity changes only
through agent/states.py. Assumes: `step` is called whenever something was posted, and at least every TICK_NS.
"""

from __future__ import annotations

from agent import orders
from agent.button import Button, DoubleTap, Gesture, Hold, Press, Stuck, Tap
from agent.conditions import Conditions, Rules
from agent.dock_watch import DockWatch
from agent.formats.canonical import Value
from agent.health import HealthMeasured
from agent.intake import Captured, CaptureGone, InitSeen, IntakeReport, Observed
from agent.ladder import CameraWatch
from agent.mailbox import Mailbox
from agent.model import (
    NS_PER_MS,
    NS_PER_S,
    Activity,
    BatteryChanged,
    BoardEvent,
    ButtonEdge,
    Condition,
    Contact,
    GapCause,
    NoticeState,
    OutputFailed,
    Place,
    RadioChanged,
    RadioState,
    StopCause,
    SwitchOff,
    Unavailable,
)
from agent.order_box import OrderBox
from agent.outside import Outside
from agent.ports import Camera, Panel
from agent.showing import Showing
from agent.states import Event, Moment, RecordingLight, moment, next_activity
from agent.status import Status
from agent.upkeep import Doing, Upkeep

TICK_NS = 50 * NS_PER_MS
CHECK_ROOM_NS = 10 * NS_PER_S
STOP_WITHIN_NS = 3 * NS_PER_S  # a stop waits so long for the fragment that holds its moment
NEWS = 512
FOR_REPORTS = 64  # slots that capture leaves to writer and board

News = BoardEvent | orders.Report | IntakeReport | orders.DockingNews


class Supervisor:
    """Owns the activity. `outside` is what it asks and tells beyond panel and camera.

    What recovery found: `interrupted`; `resuming`, id and press of a recording that goes on.
    """

    def __init__(
        self,
        rules: Rules,
        panel: Panel,
        camera: Camera,
        outside: Outside,
        upkeep: Upkeep,
        button: Button,
        interrupted: bool,
        resuming: tuple[str, int] | None,
    ) -> None:
        self.news: Mailbox[News] = Mailbox(NEWS)
        self.ended = False
        self.powers_off = False
        """It has ended by the switch, or for want of power: the board is to be without it."""
        self._showing = showing = Showing(panel)
        self._orders = OrderBox(lambda: showing.tell(Moment.WRITER_LATE))
        self.orders = self._orders.mailbox
        self._camera = CameraWatch(camera, self._orders.alert)
        self._outside = outside
        self._upkeep = upkeep
        self._dock = DockWatch()
        self._button = button
        self._activity = Activity.BOOTING
        self._conditions = Conditions(rules, outside.time_source, outside.worn, interrupted)
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
        self._unavailable: Unavailable | None = None
        self._check_room_ns = 0

    def start(self, now_ns: int) -> None:
        """Journal, policy and panel are there: start capture, and go on with what a crash left open."""
        self._event(Event.OPENED, now_ns)
        if self._conditions.interrupted:
            self._showing.tell(Moment.INTERRUPTED)
        if self._rec is not None:
            self._recording = RecordingLight(self._captured_end_ns)
            self._event(Event.RESUME, now_ns)
        self._wire_sound()
        self._camera.start(now_ns)
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
        if self._camera.step(now_ns):
            self._cut_short(GapCause.CAPTURE_RESTART)
        self._due(now_ns)
        self._rest_or_film(now_ns)
        self._orders.post_all(self._upkeep.step(self._doing(), now_ns))
        self._orders.tell_lost(self.news.refused)
        self._show(now_ns)

    def status(self) -> Status:
        """The camera as it is after the last step."""
        return Status(
            self._activity,
            self._holding(),
            self._showing.light,
            self._rec,
            self._press_ns if self._rec else None,
            self._durable_end_ns,
            self._captured_end_ns,
            self._notice,
            self._conditions.battery.percent,
            self._unavailable,
            self._camera.said,
            self._dock.docking,
        )

    # What was posted.

    def _handle(self, item: News, now_ns: int) -> None:  # noqa: C901 - one row for each thing that can be posted
        match item:
            case ButtonEdge():
                self._button.edge(item.pressed, item.at_ns)
            case Captured():
                self._captured(item, now_ns)
            case orders.Durable():
                self._durable(item, now_ns)
            case InitSeen():
                self._camera.connected()
                self._event(Event.INIT, now_ns)
            case CaptureGone():
                self._capture_gone(item, now_ns)
            case orders.Stopped():
                self._stopped(now_ns)
            case orders.Marked():
                self._marked(item)
            case orders.Refused() | orders.Failed():
                self._refused(item, now_ns)
            case orders.Room():
                self._room(item, now_ns)
            case BatteryChanged():
                self._battery_changed(item, now_ns)
            case SwitchOff():
                self._end(Event.SWITCH_OFF, "switched_off", now_ns)
            case OutputFailed():
                if self._showing.failed_first(item.output):
                    self._orders.alert("output_failed", {"output": item.output}, "check_panel")
            case Contact():
                self._touched(item.on, now_ns)
            case Observed() | HealthMeasured() | Place():
                self._orders.post_all(self._upkeep.take(item, now_ns))
            case RadioChanged():
                self._radio(item)
            case orders.Docked() | orders.Progress() | orders.Undocked():
                self._docking(self._dock.told(item), now_ns)

    def _doing(self) -> Doing:
        rec = None if self._recording is None else self._rec
        return Doing(not self._camera.resting, self._dock.docked, rec, self._conditions.battery.reading)

    def _capture_gone(self, item: CaptureGone, now_ns: int) -> None:
        self._camera.gone(item.violation, now_ns)
        self._cut_short(GapCause.CAPTURE_RESTART)
        if self._camera.resting:
            self._outside.wipe()  # what was still on its way when capture ended

    def _captured(self, item: Captured, now_ns: int) -> None:
        self._camera.delivered(now_ns)
        self._captured_end_ns = item.info.end_ns
        self._conditions.heard = item.info.sound
        if self._recording is not None:
            self._recording.on_captured(item.info.end_ns, now_ns)

    def _durable(self, item: orders.Durable, now_ns: int) -> None:
        if self._recording is None:
            return
        self._rec = item.rec
        self._durable_end_ns = item.end_ns
        self._conditions.interrupted = False  # this press has acknowledged it: recording.start is durable
        self._recording.on_commit(item.end_ns, now_ns)
        self._event(Event.DURABLE, now_ns)
        self._showing.show_soon(now_ns)  # red is re-armed by each durable fragment

    def _stopped(self, now_ns: int) -> None:
        self._event(Event.STOPPED, now_ns)
        self._forget_recording()
        kept_ns, self._kept_press_ns = self._kept_press_ns, None
        if self._ending is not None:
            self._end(self._ending, self._end_cause, now_ns)
        elif kept_ns is not None:
            self._press(kept_ns, now_ns, claimed=True)

    def _forget_recording(self) -> None:
        self._recording = None
        self._rec = None
        self._stop_by_ns = None
        self._notice = NoticeState.UNKNOWN
        self._wire_sound()

    def _marked(self, item: orders.Marked) -> None:
        told = {None: Moment.MARKED, NoticeState.ANNOUNCED: Moment.ANNOUNCED}
        self._showing.tell(told.get(item.notice, Moment.IMPOSSIBLE))

    def _refused(self, item: orders.Refused | orders.Failed, now_ns: int) -> None:
        self._unavailable = item.why
        self._kept_press_ns = None
        if self._activity is Activity.RECORDING:  # the writer has given up
            self._event(Event.STOPPED, now_ns)
        waiting = self._activity in (Activity.ARMING, Activity.STOPPING)
        self._event(Event.START_FAILED if waiting else Event.UNAVAILABLE, now_ns)
        self._forget_recording()
        if self._ending is not None:
            self._end(self._ending, self._end_cause, now_ns)

    def _room(self, item: orders.Room, now_ns: int) -> None:
        self._upkeep.take(item, now_ns)
        if self._recording is not None:
            return  # a press came after the question: its own answer tells
        if self._unavailable is None and item.why is not None:
            self._unavailable = item.why
            self._event(Event.UNAVAILABLE, now_ns)
        elif self._unavailable is not None and item.why is None:  # the writer answers: the card takes its journal
            self._unavailable = None
            self._event(Event.AVAILABLE, now_ns)
            if self._camera.has_init:
                self._event(Event.INIT, now_ns)

    def _battery_changed(self, item: BatteryChanged, now_ns: int) -> None:
        if self._conditions.battery.take(item.battery):
            self._orders.alert("battery_low", {"percent": self._conditions.battery.percent}, "charge_battery")
            self._showing.tell(Moment.WARNING)
        if self._conditions.battery.empty:
            self._end(Event.CUT_OFF, "battery", now_ns)

    # The dock.

    def _touched(self, on: bool, now_ns: int) -> None:
        """A contact turns the radio on, nothing else: docking is an authenticated session. Without it there is none."""
        self._outside.contact(on)
        if not on:
            self._outside.network(False)
        self._docking(self._dock.touched(on), now_ns)

    def _radio(self, changed: RadioChanged) -> None:
        if changed.state is RadioState.ASSOCIATED and self._dock.on_contact:
            self._outside.network(True)
        if changed.fault is not None and self._dock.failed_first(changed.fault):
            self._orders.alert("radio_failed", {"fault": changed.fault.value}, "check_dock_network")

    def _docking(self, ended: bool, now_ns: int) -> None:
        if ended:
            self._event(Event.UNDOCKED, now_ns)

    def _rest_or_film(self, now_ns: int) -> None:
        """Docked and not recording: capture is off and the ring is empty."""
        if self._dock.docked and self._activity in (Activity.BOOTING, Activity.READY):
            self._event(Event.DOCKED, now_ns)
        if self._activity is Activity.SHUTTING_DOWN:
            return
        rest = self._dock.docked and self._activity in (Activity.IDLE, Activity.REFUSING)
        if rest and not self._camera.resting:
            self._camera.rest()
            self._captured_end_ns = None
            self._outside.wipe()
        elif not rest and self._camera.resting:
            self._camera.start(now_ns)

    # What the officer does.

    def _gesture(self, gesture: Gesture, now_ns: int) -> None:
        match gesture:
            case Press():
                self._press(gesture.at_ns, now_ns)
            case Tap() if self._recording is not None:
                self._orders.post(orders.Mark(gesture.press_ns))
            case DoubleTap() if self._recording is not None:
                self._notice = (
                    NoticeState.IMPOSSIBLE if self._notice is NoticeState.ANNOUNCED else NoticeState.ANNOUNCED
                )
                self._orders.post(orders.Notice(gesture.press_ns, self._notice))
            case Hold() if self._recording is not None:
                self._event(Event.HOLD, now_ns)
                self._stop(StopCause.HOLD, gesture.press_ns, gesture.recognised_ns, now_ns)
            case Stuck():
                self._orders.alert("button_stuck", {}, "check_button")
            case _:
                pass

    def _press(self, press_ns: int, now_ns: int, claimed: bool = False) -> None:
        before = self._activity
        self._event(Event.PRESS, now_ns)
        if before is not Activity.ARMING and self._activity is Activity.ARMING:
            self._recording = RecordingLight(self._captured_end_ns)
            self._press_ns = press_ns
            self._durable_end_ns = None
            self._wire_sound()
            self._orders.post(orders.Start(press_ns, "docked" if before is Activity.IDLE else None))
        elif before is Activity.STOPPING:
            self._kept_press_ns = self._kept_press_ns or press_ns
        else:
            if self._activity is Activity.REFUSING and self._unavailable is not None:
                values: dict[str, Value] = dict(self._unavailable.values)
                cause = self._unavailable.cause
                self._orders.post(orders.Note("refused", {"cause": cause, "values": values, "remedy": "see_status"}))
            return
        if not claimed:
            self._button.claim()

    def _stop(self, cause: StopCause, press_ns: int | None, until_ns: int, now_ns: int) -> None:
        self._stop_by_ns = now_ns + STOP_WITHIN_NS
        self._orders.post(orders.Stop(cause, press_ns, until_ns))

    def _end(self, event: Event, cause: str, now_ns: int) -> None:
        before = self._activity
        self._event(event, now_ns)
        if self._activity is Activity.STOPPING:
            self._ending, self._end_cause = event, cause
            if before is not Activity.STOPPING:
                stop_cause = StopCause.CUT_OFF if event is Event.CUT_OFF else StopCause.SHUTDOWN
                self._stop(stop_cause, None, now_ns, now_ns)
        elif self._activity is Activity.SHUTTING_DOWN and not self.ended:
            self._orders.post(orders.Note("shutdown", {"cause": cause}))
            self.ended = True
            self.powers_off = event is not Event.TERMINATE

    # What time makes due.

    def _cut_short(self, why: GapCause) -> None:
        """Only a stop waits for footage; a recording goes on when capture is back."""
        if self._activity is Activity.STOPPING:
            self._orders.post(orders.CutShort(why))

    def _due(self, now_ns: int) -> None:
        if self._stop_by_ns is not None and now_ns >= self._stop_by_ns:
            self._stop_by_ns = None
            self._cut_short(GapCause.CAPTURE_LATE)
        if now_ns >= self._check_room_ns and self._recording is None and not self.ended:
            self._check_room_ns = now_ns + CHECK_ROOM_NS
            self._orders.post(orders.CheckRoom())
        if self._conditions.newly_disputed():
            self._orders.alert("clock_disputed", {}, "dock_camera")
        self._showing.watch_writer(self._recording, now_ns)
        self._showing.remind(self._activity is Activity.RECORDING, now_ns)

    def _show(self, now_ns: int) -> None:
        self._showing.show(self._activity, self._holding(), self._recording, now_ns)

    def _holding(self) -> frozenset[Condition]:
        recording = self._recording is not None
        docked, late = self._dock.docked, self._showing.writer_late
        return self._upkeep.conditions | self._conditions.hold(recording, docked, self._camera.failing, late)

    # How it is said.

    def _event(self, event: Event, now_ns: int) -> None:
        after = next_activity(self._activity, event)
        if after is None:
            self._orders.alert(
                "impossible_event", {"activity": self._activity.value, "event": event.value}, "report_defect"
            )
            return
        told = moment(self._activity, event)
        self._activity = after
        if told is not None:
            self._showing.tell(told)
            self._showing.show_soon(now_ns)

    def _wire_sound(self) -> None:
        self._outside.want_sound(self._conditions.sound_wanted(self._recording is not None))
