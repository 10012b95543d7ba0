"""What archived entries make of the catalogue's rows.

Guarantees: `take` leaves the rows that taking the same entries one by one would; a row that exists is filled in, never
taken back. Takes no signed line's word for what is not its own: a recording belongs to the journal that its name names.
Assumes the entries of one journal, in their order, and a session that somebody else commits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import select, tuple_
from sqlalchemy.orm import Session

from agent.formats import canonical, fields, statement
from agent.formats.canonical import Object
from agent.formats.entries import Entry
from dock.tables import JournalRow, OrderRow, RecordingRow, SegmentRow

MAX_BLOB_BYTES = 32 * 1024 * 1024
"""A segment ends before 16 MiB of footage; what says that it is larger than twice that is not asked for."""
ORDERS = ("assign", "hold", "config")

_WORN = ("wearer", "service", "sector", "from", "until")
_STATEMENTS = frozenset({*ORDERS, "receipt"})
_TELLING = _STATEMENTS | {"dock", "purge", "recording.start", "recording.stop", "segment.recovered", "segment.seal"}


def take(session: Session, journal: JournalRow, entries: Sequence[Entry]) -> None:
    """Bring the rows of this journal, and the orders for its camera, up to these entries."""
    told = [each for each in map(_told, entries) if each is not None]
    rows = _Rows(session, journal, told)
    for each in told:
        _take_told(rows, each)


def order_value(row: OrderRow) -> Object:
    """The statement's own fields."""
    return canonical.decode(row.value.encode())


@dataclass(frozen=True, slots=True)
class _Told:
    """What an entry tells the catalogue: `value` is its body, or, of a dock's statement in it, the statement's fields.

    `rec`: the recording that it speaks of, None where it speaks of none, or of one that is not this journal's.
    """

    entry: Entry
    name: str
    value: Object
    rec: str | None


def _told(entry: Entry) -> _Told | None:
    name, value = entry.head.kind, entry.body
    if name not in _TELLING or value is None:
        return None
    if name in _STATEMENTS:
        if value.get("statement") is None:
            return None
        value = statement.parse_in(value).value
    rec = value.get("rec")
    return _Told(entry, name, value, rec if isinstance(rec, str) and _is_own(entry, rec) else None)


class _Rows:
    """The rows that some entries of one journal speak of, asked for together: one by one they cost as much as parsing
    the entries does.
    """

    def __init__(self, session: Session, journal: JournalRow, told: Sequence[_Told]) -> None:
        self.journal = journal
        self._session = session
        segments = {(each.rec, each.value["seg"]) for each in told if each.rec is not None and "seg" in each.value}
        names = {each.rec for each in told if each.rec is not None and "seg" not in each.value}
        own = tuple_(SegmentRow.rec, SegmentRow.seg)
        found = session.scalars(select(SegmentRow).where(own.in_(segments))) if segments else ()
        self.segments = {(row.rec, row.seg): row for row in found}
        known = session.scalars(select(RecordingRow).where(RecordingRow.rec.in_(names))) if names else ()
        self.recordings = {row.rec: row for row in known}
        ordered = any(each.name in ORDERS for each in told)
        orders = session.scalars(select(OrderRow).where(OrderRow.dev == journal.dev)) if ordered else ()
        self._orders = list(orders)

    def add_recording(self, row: RecordingRow) -> None:
        self.recordings[row.rec] = row
        self._session.add(row)

    def add_segment(self, row: SegmentRow) -> None:
        self.segments[row.rec, row.seg] = row
        self._session.add(row)

    def drop_orders(self, name: str, said: Object) -> None:
        """Those that this statement fulfils."""
        for order in self._orders:
            if order.name == name and all(said[key] == value for key, value in order_value(order).items()):
                self._session.delete(order)


def _take_told(rows: _Rows, told: _Told) -> None:
    name, value = told.name, told.value
    if name == "dock":
        _take_wearer(rows.journal, {})
    elif name == "assign":
        _take_wearer(rows.journal, value)
    elif told.rec is not None:
        _take_own(rows, told, told.rec)
    if name in ORDERS:
        rows.drop_orders(name, value)


def _take_own(rows: _Rows, told: _Told, rec: str) -> None:
    """What is said of a recording of this journal, or of one of its segments."""
    name, value, seq = told.name, told.value, told.entry.head.seq
    if name == "recording.start":
        _take_start(rows, told.entry, value)
    elif name == "recording.stop":
        _take_stop(rows.recordings.get(rec), seq, value)
    elif name in ("segment.seal", "segment.recovered"):
        _take_closed(rows, told.entry, value)
    elif name == "hold":
        recording, until = rows.recordings.get(rec), value["until"]
        if recording is not None:
            recording.held, recording.held_until = True, None if until is None else str(until)
    else:
        _take_gone(rows.segments.get((rec, fields.integer_of(value, "seg"))), name, seq, value)


def _take_wearer(journal: JournalRow, assignment: Object) -> None:
    """What an `assign` says, or, by a new docking, nothing any more."""
    said = {key: None if key not in assignment else fields.text_of(assignment, key) for key in _WORN}
    journal.wearer, journal.service, journal.sector = said["wearer"], said["service"], said["sector"]
    journal.worn_from, journal.worn_until = said["from"], said["until"]


def _take_start(rows: _Rows, entry: Entry, body: Object) -> None:
    head, rec = entry.head, fields.text_of(body, "rec")
    if rec in rows.recordings:
        return
    utc_ms, wearer = head.stamp.utc_ms, body["wearer"]
    rows.add_recording(
        RecordingRow(
            rec=rec,
            dev=head.dev,
            jid=head.jid,
            start_seq=head.seq,
            start_utc=None if utc_ms is None else fields.format_utc(utc_ms),
            start_err_ms=head.stamp.err_ms,
            wearer=None if wearer is None else fields.text_of(body, "wearer"),
            held=False,
        )
    )


def _take_stop(row: RecordingRow | None, seq: int, body: Object) -> None:
    if row is not None and row.stop_seq is None:
        row.stop_seq = seq
        row.stop_cause = fields.text_of(body, "cause")
        row.fragments = fields.integer_of(body, "fragments")
        row.duration_ms = fields.integer_of(body, "duration_ms")


def _take_closed(rows: _Rows, entry: Entry, body: Object) -> None:
    """A segment that has an end: of one that could not be read, or is not there, nothing can be asked for."""
    head, rec, seg = entry.head, fields.text_of(body, "rec"), fields.integer_of(body, "seg")
    size = fields.integer_of(body, "size")
    if body["blob"] is None or not 0 < size <= MAX_BLOB_BYTES or (rec, seg) in rows.segments:
        return
    rows.add_segment(
        SegmentRow(
            rec=rec,
            seg=seg,
            dev=head.dev,
            jid=head.jid,
            seal_seq=head.seq,
            seal_head=entry.digest.hex(),
            recovered=head.kind == "segment.recovered",
            size=size,
            blob=fields.text_of(body, "blob"),
            stored=False,
        )
    )


def _take_gone(row: SegmentRow | None, name: str, seq: int, value: Object) -> None:
    """The camera has the receipt of this segment, or has deleted it."""
    if row is None:
        return
    if name == "purge" and row.purge_seq is None:
        row.purge_seq = seq
    elif name == "receipt" and row.receipt_seq is None and row.blob == value["blob"]:
        row.receipt_seq = seq


def _is_own(entry: Entry, rec: str) -> bool:
    """Whether the recording is named by an entry of this very journal."""
    return rec.rpartition("-")[0] == f"{entry.head.dev}-{entry.head.jid[:8]}"
