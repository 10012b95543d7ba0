"""The writer loop: orders and fragments in, durable evidence out. The only owner of the journal.

Guarantees: an order is answered by a report once what it asks for is durable, never before; orders go before the next
group of fragments, and what a docking wants goes last. What a dock has leaves the card when a recording needs the
space. May wait for the card for seconds; nobody waits for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from agent.errands import Errands
from agent.errors import DiskError, StoreError, TemoinError
from agent.formats.canonical import Value
from agent.model import StopCause, Unavailable
from agent.orders import (
    CheckRoom,
    CutShort,
    Durable,
    Failed,
    Keep,
    KeepPolicy,
    Located,
    Mark,
    Marked,
    Note,
    Notice,
    Order,
    PurgeDue,
    Refused,
    Report,
    Room,
    Settle,
    Start,
    Stop,
    Stopped,
    TrimDue,
)
from agent.recording import GROUP_BYTES, Parts, Recording
from agent.store.custody import Custody
from agent.store.space import closing_bytes, free_bytes, room
from agent.store.state import OpenRecording

ENDING_BYTES = closing_bytes() + 2 * GROUP_BYTES
"""With less than this left a recording is ended in order: one more group, its padding, and the closing."""


class Recorder:
    """One `step` handles all orders that wait, then at most one group of fragments, or else one errand of a docking."""

    def __init__(self, parts: Parts, custody: Custody, reserve_bytes: int, report: Callable[[Report], None]) -> None:
        self._parts = parts
        self._errands = Errands(parts.journal, parts.disk, custody, report)
        self._reserve_bytes = reserve_bytes
        self._report = report
        self._recording: Recording | None = None
        self._waiting: list[Mark | Notice] = []
        self._answers: list[Report] = []  # to be given once their entries are durable
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
            self._commit()
            return self._advance() or self._errands.step()
        except (StoreError, DiskError) as error:
            self._fail(error)
            return False

    def _handle(self, order: Order) -> None:
        match order:
            case Note():
                self._parts.journal.append(order.kind, order.body)
            case Start():
                self._begin(order)
            case CheckRoom():
                why = self._room(self._reserve_bytes)
                self._report(Room(why, free_bytes(self._parts.disk)))
            case Keep() | KeepPolicy() | PurgeDue() | TrimDue() | Settle():
                self._errands.add(order)
            case _ if self._recording is not None:
                self._handle_within(order, self._recording)

    def _handle_within(self, order: Stop | CutShort | Mark | Notice | Located, recording: Recording) -> None:
        match order:
            case Located():
                if recording.started and recording.rec == order.rec:
                    body: dict[str, Value] = {"rec": order.rec, "press_ns": str(order.taken_ns), "sealed": order.sealed}
                    self._parts.journal.append("place", body)
            case Stop():
                recording.stop(order.cause, order.press_ns, order.until_ns)
            case CutShort():
                recording.cut_short(order.why)
            case Mark() | Notice() if recording.started:
                self._sign(order, recording.rec)
            case Mark() | Notice():
                self._waiting.append(order)  # its recording has no name before the first fragment is durable

    def _sign(self, order: Mark | Notice, rec: str) -> None:
        body: dict[str, Value] = {"rec": rec, "press_ns": str(order.press_ns)}
        if isinstance(order, Mark):
            self._parts.journal.append("mark", body)
        else:
            self._parts.journal.append("notice", {**body, "state": order.state.value, "reason": None})
        self._answers.append(Marked(None if isinstance(order, Mark) else order.state))

    def _commit(self) -> None:
        self._parts.journal.commit()
        answers, self._answers = self._answers, []
        for answer in answers:
            self._report(answer)

    def _begin(self, order: Start) -> None:
        assert self._recording is None, "the one before has not stopped"
        refusal = self._room(self._reserve_bytes)
        if refusal is None:
            self._recording = Recording.begin(self._parts, order, self._next_serial)
        else:
            self._refuse(refusal)

    def _room(self, needed_bytes: int) -> Unavailable | None:
        """Why there is no room, after all that a dock has was given up for it as far as needed."""
        found = room(self._parts.disk, needed_bytes)
        while found is not None and found.cause == "card_full" and self._errands.free_some():
            found = room(self._parts.disk, needed_bytes)
        return found

    def _refuse(self, refusal: Unavailable) -> None:
        values: dict[str, Value] = dict(refusal.values)
        self._parts.journal.append("refused", {"cause": refusal.cause, "values": values, "remedy": "dock_camera"})
        self._answers.append(Refused(refusal))

    def _advance(self) -> bool:
        recording = self._recording
        if recording is None:
            return False
        full = self._room(ENDING_BYTES) if recording.started else None
        if full is not None and full.cause == "card_full":
            recording.stop(StopCause.CARD, None, 0)
            self._end(recording.finish())
            self._refuse(full)
            self._commit()
            return True
        progress = recording.advance()
        self._next_serial = recording.next_serial
        if isinstance(progress, Stopped):
            self._end(progress)
        elif isinstance(progress, Durable):
            self._report(progress)
            waiting, self._waiting = self._waiting, []
            for order in waiting:
                self._sign(order, progress.rec)
            self._commit()
        return progress is not None

    def _end(self, stopped: Stopped) -> None:
        self._recording = None
        self._waiting = []
        self._report(stopped)

    def _fail(self, error: TemoinError) -> None:
        """The card does not take it: end what can be ended, and say so. What is durable stays as it is."""
        recording, self._recording = self._recording, None
        self._failed = True
        if recording is not None and recording.started and isinstance(error, DiskError):
            recording.stop(StopCause.CARD, None, 0)
            with contextlib.suppress(TemoinError):  # the journal is gone as well: the next start finds what is there
                self._end(recording.finish())
        self._report(Failed(Unavailable("card_unwritable", {"file": error.where, "problem": error.problem})))
