"""Which segments lie on the card, and what docks have said of them: read out of the journal, entry by entry.

Guarantees: what `get` and `purgeable` say is durable in the journal; a segment without a durable receipt is never
purgeable. Entries of this run come live, from whoever commits them; older ones are read in the background (`Survey`),
from the checkpoint's `low` on, and what came live waits until that is done. Any thread may ask. Assumes entries of the
camera's own journal, whose statements were verified before they were journalled (agent/session.py).

Who wears the camera is the exception: a press may come before the survey is done, and its entry says the wearer for
good. So the assignment in force, whose place the journal's state knows, is looked up at the start (`worn_at_start`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from agent.errors import FormatError
from agent.formats import fields, statement
from agent.formats.canonical import Object
from agent.formats.entries import Entry, parse_line
from agent.model import NS_PER_MS, Stamp
from agent.ports import Disk
from agent.store.checkpoint import reference_to
from agent.store.lines import JournalLines
from agent.store.segments import segment_path
from agent.store.state import JournalState, Reference

TOLD_KINDS = frozenset(
    {"segment.seal", "segment.recovered", "receipt", "purge", "expire", "hold", "assign", "dock", "ack", "trim"}
)
MS_PER_DAY = 24 * 3600 * 1000
SURVEY_LINES = 64
"""Lines that one step of a survey looks at: a few milliseconds, so that nothing else waits."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A finished segment on the card. `seal` is the entry that describes it, `receipt` the one that a dock has it,
    `received_ms` the UTC that the dock signed there."""

    rec: str
    seg: int
    size: int
    blob: str
    seal: Reference
    receipt: Reference | None = None
    received_ms: int | None = None

    @property
    def path(self) -> str:
        return segment_path(self.rec, self.seg)


@dataclass(frozen=True, slots=True)
class Assignment:
    """Who wears the camera, and where: the pseudonym and the sector of this hand-out, until `until_ms` (UTC).

    `stamp`: when it was journalled.
    """

    wearer: str
    sector: str
    until_ms: int
    stamp: Stamp
    seq: int

    def holds(self, now: Stamp) -> bool:
        """Within the same boot by the boot clock. In another one only a known time tells; without one nobody does."""
        said = self.stamp
        if said.boot == now.boot and said.utc_ms is not None:
            return now.mono_ns < said.mono_ns + (self.until_ms - said.utc_ms) * NS_PER_MS
        return now.utc_ms is not None and now.utc_ms < self.until_ms


@dataclass(frozen=True, slots=True)
class LastAck:
    """The newest `ack` entry, and the entry that it acknowledges."""

    entry: Reference
    seq: int


class Custody:
    """The index. `ready` says that the survey of older entries is done; until then nothing is known for sure."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ready = False
        self._waiting: list[Entry] = []
        self._holdings: dict[tuple[str, int], Holding] = {}
        self._held: dict[str, int | None] = {}
        self._purged: list[str] = []
        self._trimmed: int | None = None
        self._assignment: Assignment | None = None
        self._looked_up: Assignment | None = None  # the same, until the survey is done
        self._ack: LastAck | None = None

    # What comes in.

    def handed_out(self, assignment: Assignment | None) -> None:
        """What `worn_at_start` found, before anything of this run is taken."""
        with self._lock:
            self._looked_up = assignment

    def take(self, entries: Iterable[Entry]) -> None:
        """Entries of this run that have become durable. For `Journal.watch`."""
        told = [entry for entry in entries if entry.head.kind in TOLD_KINDS]
        if not told:
            return
        with self._lock:
            if not self._ready:
                self._waiting += told
                for entry in told:
                    self._looked_up = _worn_after(self._looked_up, entry)
                return
            for entry in told:
                self._apply(entry)

    def take_older(self, entry: Entry) -> None:
        """An entry from before this run, in its order."""
        with self._lock:
            self._apply(entry)

    def surveyed(self) -> None:
        """All older entries were taken."""
        with self._lock:
            for entry in self._waiting:
                self._apply(entry)
            self._waiting.clear()
            self._ready = True

    # What is known.

    @property
    def ready(self) -> bool:
        return self._ready

    def get(self, rec: str, seg: int) -> Holding | None:
        """A finished segment that is on the card; None too while it is not known yet."""
        with self._lock:
            return self._holdings.get((rec, seg))

    @property
    def unreceived(self) -> tuple[int, int]:
        """How many segments no dock has given a receipt for, and their bytes."""
        with self._lock:
            sizes = [each.size for each in self._holdings.values() if each.receipt is None]
        return len(sizes), sum(sizes)

    def purgeable(self, signed_utc_ms: int | None, purge_days: int) -> list[Holding]:
        """What may go, oldest first: received `purge_days` before the signed time, and not on hold.

        With `signed_utc_ms` None, because the time is disputed, nothing that a date decides: no days, no end of a hold.
        """
        with self._lock:
            received = self._received()
            if signed_utc_ms is None:
                return [each for each in received if purge_days == 0 and each.rec not in self._held]
            due_ms = signed_utc_ms - purge_days * MS_PER_DAY
            return [each for each in received if self._due(each, signed_utc_ms, due_ms)]

    def spare(self) -> list[Holding]:
        """What may go because space is needed: all that was received, oldest first, what is on hold last."""
        with self._lock:
            return sorted(self._received(), key=lambda each: (each.rec in self._held, each.seal.seq))

    def _received(self) -> list[Holding]:
        return [each for each in self._holdings.values() if each.receipt is not None] if self._ready else []

    def _due(self, holding: Holding, signed_utc_ms: int, due_ms: int) -> bool:
        assert holding.received_ms is not None
        until_ms = self._held.get(holding.rec, signed_utc_ms)
        return until_ms is not None and until_ms <= signed_utc_ms and holding.received_ms <= due_ms

    def wearer(self, now: Stamp) -> str | None:
        """Pseudonym of the last assignment since the last docking, while it holds."""
        said = self._in_force(now)
        return None if said is None else said.wearer

    def sector(self, now: Stamp) -> str | None:
        """Where that assignment sends the wearer."""
        said = self._in_force(now)
        return None if said is None else said.sector

    def _in_force(self, now: Stamp) -> Assignment | None:
        with self._lock:
            said = self._assignment if self._ready else self._looked_up
        return said if said is not None and said.holds(now) else None

    def last_ack(self) -> LastAck | None:
        with self._lock:
            return self._ack if self._ready else None

    def oldest_needed(self, next_seq: int) -> int | None:
        """A start has to read from this entry on to know all this again; None while it is not known."""
        with self._lock:
            if not self._ready:
                return None
            needed = [next_seq, *(started_seq(each.rec) for each in self._holdings.values())]
            if self._assignment is not None:
                needed.append(self._assignment.seq)
            return min(needed)

    def unfinished(self) -> tuple[list[str], int | None]:
        """Files of purged segments, and the last trimmed entry: what a cut may have left behind its entry. Once."""
        with self._lock:
            purged, self._purged = self._purged, []
            return purged, self._trimmed

    # One step a kind.

    def _apply(self, entry: Entry) -> None:
        body = entry.body
        assert body is not None, "the camera's own journal withholds nothing"
        match entry.head.kind:
            case "segment.seal" | "segment.recovered":
                self._finished(entry, body)
            case "purge" | "expire":
                gone = self._holdings.pop((fields.text_of(body, "rec"), fields.integer_of(body, "seg")), None)
                if gone is not None and not self._ready:
                    self._purged.append(gone.path)
            case "dock" | "assign":
                self._assignment = _worn_after(self._assignment, entry)
            case "trim":
                self._trimmed = fields.integer_of(body, "last")
            case kind:
                said = statement.parse_in(body)
                self._said(kind, said.value, entry)

    def _finished(self, entry: Entry, body: Object) -> None:
        if body["blob"] is None or body["size"] == 0:
            return  # nothing is there, or nobody could read it: no receipt will ever be for it (docs/docking.md)
        rec, seg = fields.text_of(body, "rec"), fields.integer_of(body, "seg")
        size, blob = fields.integer_of(body, "size"), fields.text_of(body, "blob")
        self._holdings[rec, seg] = Holding(rec, seg, size, blob, reference_to(entry))

    def _said(self, kind: str, value: Object, entry: Entry) -> None:
        match kind:
            case "receipt":
                key = fields.text_of(value, "rec"), fields.integer_of(value, "seg")
                known = self._holdings.get(key)
                if known is not None and (known.blob, known.size) == (value["blob"], value["size"]):
                    received_ms = fields.parse_utc(value["utc"], "receipt.utc")
                    self._holdings[key] = replace(known, receipt=reference_to(entry), received_ms=received_ms)
            case "hold":
                until = value["until"]
                self._held[fields.text_of(value, "rec")] = (
                    None if until is None else fields.parse_utc(until, "hold.until")
                )
            case _:
                self._ack = LastAck(reference_to(entry), fields.integer_of(value, "seq"))


class Survey:
    """Reads the older part of the journal for a Custody, a little at each `step`, in a thread that may wait."""

    def __init__(self, disk: Disk, custody: Custody, low: int, run_begins: int) -> None:
        """Entries from `low` to before `run_begins`, the first one of this run."""
        self._custody = custody
        self._lines = JournalLines(disk)
        self._low = low
        self._last = run_begins - 1
        self._started = False

    def step(self) -> bool:
        """True while there is more to read. Raises StoreError, FormatError, DiskError."""
        if not self._started:
            self._started = True
            self._lines.next_seq = max(self._low, self._lines.oldest())
        for _ in range(SURVEY_LINES):
            line = self._lines.take(self._last)
            if line is None:
                self._custody.surveyed()
                return False
            if line.kind in TOLD_KINDS:
                self._custody.take_older(parse_line(line.data))
        return True


def worn_at_start(disk: Disk, state: JournalState) -> Assignment | None:
    """The assignment in force at the end of the journal. Raises StoreError, FormatError, DiskError.

    One file is read at most, up to that entry: a start that takes longer on a camera handed out days ago is a late one.
    """
    if state.assignment is None:
        return None
    lines = JournalLines(disk)
    lines.seek(state.assignment)
    line = lines.take(state.assignment)
    if line is None or line.kind != "assign":
        raise FormatError(f"entry {state.assignment}", "is not the assignment that the checkpoint says it is")
    return _worn_after(None, parse_line(line.data))


def _worn_after(worn: Assignment | None, entry: Entry) -> Assignment | None:
    """A docking ends an assignment, whoever wore the camera; what else is journalled leaves it."""
    match entry.head.kind:
        case "dock":
            return None
        case "assign":
            assert entry.body is not None, "the camera's own journal withholds nothing"
            said = statement.parse_in(entry.body).value
            until_ms = fields.parse_utc(said["until"], "assign.until")
            wearer, sector = fields.text_of(said, "wearer"), fields.text_of(said, "sector")
            return Assignment(wearer, sector, until_ms, entry.head.stamp, entry.head.seq)
        case _:
            return worn


def started_seq(rec: str) -> int:
    """The number of a recording's first entry, which its name says."""
    return int(rec.rpartition("-")[2])
