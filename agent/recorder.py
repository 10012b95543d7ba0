"""The writer loop: orders and fragments in, durable evidence out. The only owner of the journal.

Guarantees: an order is answered by a report once what it asks for is durable, never before; orders go before the next
group of fragments. May wait for the card for seconds; nobody waits for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from agent.errors import DiskError, StoreError, TemoinError
from agent.formats.canonical import Value
from agent.model import GapCause, StopCause, Unavailable
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
from agent.recording import Parts, Recording
from agent.store.space import room
from agent.store.state import OpenRecording


class Recorder:
    """One `step` handles all orders that wait, then at most one group of fragments."""

    def __init__(self, parts: Parts, reserve_bytes: int, report: Callable[[Report], None]) -> None:
        self._parts = parts
        self._reserve_bytes = reserve_bytes
        self._report = report
        self._recording: Recording | None = None
        self._start: Start | None = None
        self._waiting: list[Mark | Notice] = []
        self._next_serial = 0
        self._failed = False

    def resume(self, found: OpenRecording) -> None:
        """Go on with a recording that a crash of the agent left open in this boot."""
        self._recording = Recording.resume(self._parts, found)

    def step(self, orders: list[Order]) -> bool:
        """True if there may be more to do at once."""
        if self._failed:
            return False
        try:
            for order in orders:
                self._handle(order)
            return self._advance()
        except (StoreError, DiskError) as error:
            self._fail(error)
            return False

    def _handle(self, order: Order) -> None:
        if isinstance(order, Note):
            self._parts.journal.append(order.kind, order.body)
            self._parts.journal.commit()
        elif isinstance(order, Start):
            self._begin(order)
        elif isinstance(order, Stop):
            self._stop(order)
        elif isinstance(order, CutShort):
            self._cut_short()
        elif isinstance(order, CheckRoom):
            self._report(Room(room(self._parts.disk, self._reserve_bytes)))
        elif self._recording is not None and self._recording.started:
            self._sign(order, self._recording.rec)
        elif self._recording is not None or self._start is not None:
            self._waiting.append(order)  # its recording has no name before the first fragment is durable

    def _sign(self, order: Mark | Notice, rec: str) -> None:
        body: dict[str, Value] = {"rec": rec, "press_ns": str(order.press_ns)}
        if isinstance(order, Mark):
            self._parts.journal.append("mark", body)
        else:
            self._parts.journal.append("notice", {**body, "state": order.state.value, "reason": None})
        self._parts.journal.commit()
        self._report(Marked(None if isinstance(order, Mark) else order.state))

    def _begin(self, order: Start) -> None:
        if self._recording is not None or self._start is not None:
            return
        refusal = room(self._parts.disk, self._reserve_bytes)
        if refusal is None:
            self._start = order
            return
        values: dict[str, Value] = dict(refusal.values)
        self._parts.journal.append("refused", {"cause": refusal.cause, "values": values, "remedy": "dock_camera"})
        self._parts.journal.commit()
        self._report(Refused(refusal))

    def _stop(self, order: Stop) -> None:
        if self._recording is not None:
            self._recording.stop(order.cause, order.press_ns, order.until_ns)

    def _cut_short(self) -> None:
        if self._recording is None:
            return
        self._recording.gap(GapCause.CAPTURE_RESTART)
        if self._recording.until_ns is not None:
            self._end(self._recording.finish())

    def _advance(self) -> bool:
        if self._start is not None and self._recording is None:
            self._recording = Recording.begin(self._parts, self._start, self._next_serial)
        if self._recording is None:
            return False
        if self._parts.ring.take_drops():
            self._recording.gap(GapCause.OVERRUN)
        progress = self._recording.advance()
        self._next_serial = self._recording.next_serial
        if isinstance(progress, Stopped):
            self._end(progress)
        elif isinstance(progress, Durable):
            self._start = None
            self._report(progress)
            waiting, self._waiting = self._waiting, []
            for order in waiting:
                self._sign(order, progress.rec)
        return progress is not None

    def _end(self, stopped: Stopped | None) -> None:
        self._recording = None
        self._start = None
        self._waiting = []
        if stopped is not None:
            self._report(stopped)

    def _fail(self, error: TemoinError) -> None:
        """The card does not take it: end what can be ended, and say so. What is durable stays as it is."""
        recording, self._recording = self._recording, None
        if recording is not None and not isinstance(error, StoreError):
            recording.stop(StopCause.CARD, None, 0)
            with contextlib.suppress(TemoinError):  # the journal is gone as well: the next start finds what is there
                self._end(recording.finish())
        self._failed = True
        self._report(Failed(Unavailable("card_unwritable", {"file": error.where, "problem": error.problem})))
