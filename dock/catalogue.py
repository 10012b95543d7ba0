"""The catalogue: what the archive holds, in tables to search. A copy: it is made again from the archive alone.

Guarantees: the rows of a journal are those of its archived entries up to the number in its own row, whatever crashed;
`catch_up` brings them up to date, from the entries at hand or by reading the archive. `rebuild` makes the same rows as
taking everything in did; only `orders` (what is still to be said to cameras) exist nowhere else, until they are
statements in the dock's journal. What entries make of the rows: dock/rows.py. Assumes one process; SQLite by default,
any database of SQLAlchemy's by URL.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import ColumnElement, Connection, Engine, create_engine, delete, event, select, update
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from agent.errors import FormatError, TemoinError
from agent.formats import canonical, fields, statement
from agent.formats.canonical import Object, Value
from agent.formats.entries import Entry
from dock.archive import Archive
from dock.blobs import Blob, BlobStore
from dock.lines import Tail
from dock.rows import ORDERS, order_value, take
from dock.tables import JournalRow, OrderRow, RecordingRow, SegmentRow

_MIGRATIONS = Path(__file__).parent / "migrations"
_STEP = 2000
"""Entries that are read from the archive for one transaction."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A closed segment: its blob, the entry that closed it, and what became of it."""

    dev: str
    jid: str
    blob: Blob
    seal_seq: int
    seal_head: str
    stored: bool


@dataclass(frozen=True, slots=True)
class Order:
    """A statement to be made: its type and own fields."""

    number: int
    name: str
    value: Object


class CatalogueError(TemoinError):
    """The database refused. Nothing is lost: it is made again from the archive."""


class Catalogue:
    """Rows of one database. `open` first brings its tables up to date."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Catalogue:
        """The catalogue of an URL like `sqlite:////var/lib/temoin-dock/catalogue.sqlite`. Raises CatalogueError, as
        every method does.
        """
        with _in_words():
            engine = create_engine(url)
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _configure_sqlite)
            try:
                with engine.begin() as connection:
                    _migrate(connection)
            except BaseException:
                engine.dispose()
                raise
            return cls(engine)

    def close(self) -> None:
        """Release the database."""
        self.engine.dispose()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Session]:
        """A session to read from, beside whoever writes. Errors of the database become CatalogueError."""
        with _in_words(), Session(self.engine) as session:
            yield session

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Session]:
        with self.reading() as session, session.begin():
            yield session

    # --- from the archive ---------------------------------------------------------------------------------------------

    def catch_up(self, archive: Archive, tail: Tail, entries: Sequence[Entry] = ()) -> None:
        """Bring the rows of this journal up to its tail. `entries` are the newest ones, if they are at hand."""
        with self.reading() as session:
            row = session.get(JournalRow, (tail.dev, tail.jid))
            known = -1 if row is None else row.seq
        if known >= tail.seq:
            return
        if entries and entries[0].head.seq <= known + 1:
            self._take(archive, tail, [entry for entry in entries if entry.head.seq > known])
            return
        step: list[Entry] = []
        for entry in archive.entries(tail.dev, tail.jid, known + 1):
            step.append(entry)
            if len(step) >= _STEP:
                self._take(archive, tail, step)
                step = []
        if step:
            self._take(archive, tail, step)

    def rebuild(self, archive: Archive, blobs: BlobStore) -> None:
        """Forget everything but the orders, and read the archive. Blobs count as stored by name and size."""
        with self._writing() as session:
            for table in (JournalRow, RecordingRow, SegmentRow):
                session.execute(delete(table))
        for dev, jid, _ in archive.journals():
            tail = archive.tail(dev, jid)
            if tail is not None:
                self.catch_up(archive, tail)
            archive.release(dev)
        self.find_blobs(archive, blobs)

    def find_blobs(self, archive: Archive, blobs: BlobStore) -> None:
        """Mark as stored what has a file."""
        with self._writing() as session:
            for row in session.scalars(select(SegmentRow).where(~SegmentRow.stored)):
                folder = archive.folder(row.dev, row.jid)
                if folder is not None and blobs.has(Blob(folder, row.rec, row.seg, row.size, row.blob)):
                    row.stored = True

    def _take(self, archive: Archive, tail: Tail, entries: Sequence[Entry]) -> None:
        with self._writing() as session:
            row = session.get(JournalRow, (tail.dev, tail.jid))
            if row is None:
                folder = archive.folder(tail.dev, tail.jid)
                assert folder is not None
                row = JournalRow(dev=tail.dev, jid=tail.jid, folder=folder, first=entries[0].head.seq)
                session.add(row)
            row.seq = entries[-1].head.seq
            take(session, row, entries)

    # --- what the station asks ----------------------------------------------------------------------------------------

    def journals(self) -> list[tuple[str, str, str]]:
        """(dev, jid, folder) of every journal."""
        with self.reading() as session:
            rows = session.scalars(select(JournalRow).order_by(JournalRow.folder))
            return [(row.dev, row.jid, row.folder) for row in rows]

    def segment(self, rec: str, seg: int) -> Segment | None:
        """A closed segment by its name."""
        with self.reading() as session:
            row = session.get(SegmentRow, (rec, seg))
            if row is None:
                return None
            journal = session.get(JournalRow, (row.dev, row.jid))
            assert journal is not None
            return _segment(row, journal.folder)

    def due(self, dev: str, jid: str, limit: int) -> list[Segment]:
        """Closed segments whose blob is not here, and still on the camera, the oldest first."""
        return self._segments(
            limit, SegmentRow.dev == dev, SegmentRow.jid == jid, ~SegmentRow.stored, SegmentRow.purge_seq.is_(None)
        )

    def unreceipted(self, dev: str, jid: str, limit: int = 256) -> list[Segment]:
        """Closed segments whose blob is here, and whose receipt the camera's journal does not tell of."""
        own = SegmentRow.dev == dev, SegmentRow.jid == jid
        return self._segments(limit, *own, SegmentRow.stored.is_(True), SegmentRow.receipt_seq.is_(None))

    def lost(self, limit: int = 256) -> list[Segment]:
        """Segments that left their camera, and whose blob is not here: restore them from the backup."""
        return self._segments(limit, ~SegmentRow.stored, SegmentRow.purge_seq.is_not(None))

    def _segments(self, limit: int, *conditions: ColumnElement[bool]) -> list[Segment]:
        # The folder comes with the row: asked for one by one, the folders of 256 rows cost as much as a batch of lines.
        own = (JournalRow.dev == SegmentRow.dev) & (JournalRow.jid == SegmentRow.jid)
        query = select(SegmentRow, JournalRow.folder).join(JournalRow, own).where(*conditions)
        with self.reading() as session:
            rows = session.execute(query.order_by(SegmentRow.seal_seq).limit(limit))
            return [_segment(row, folder) for row, folder in rows]

    def mark_stored(self, rec: str, seg: int) -> None:
        """The blob is durable in the archive."""
        with self._writing() as session:
            session.execute(update(SegmentRow).where(SegmentRow.rec == rec, SegmentRow.seg == seg).values(stored=True))

    # --- orders -------------------------------------------------------------------------------------------------------

    def order(self, dev: str, name: str, value: Object, utc_ms: int) -> int:
        """Have a camera told something at its next docking, or now. Returns the order's number. An order for the same
        (an assignment, the same recording) replaces the one before it. Raises FormatError.
        """
        if name not in ORDERS:
            raise FormatError("order", f"{name} is none of {', '.join(ORDERS)}")
        probe: dict[str, Value] = {"agency": "a", "dock": "d", "dev": dev, "jid": "0" * 32, "dseq": 0}
        statement.compose(name, {**probe, "session": "0" * 32, "utc": fields.format_utc(utc_ms), **value})
        with self._writing() as session:
            for row in session.scalars(select(OrderRow).where(OrderRow.dev == dev, OrderRow.name == name)):
                if name != "hold" or order_value(row)["rec"] == value["rec"]:
                    session.delete(row)
            made = OrderRow(dev=dev, name=name, value=canonical.encode(value).decode(), utc=fields.format_utc(utc_ms))
            session.add(made)
            session.flush()
            return made.number

    def withdraw(self, dev: str, name: str) -> None:
        """Forget the orders of this type that this camera has not journalled yet."""
        with self._writing() as session:
            session.execute(delete(OrderRow).where(OrderRow.dev == dev, OrderRow.name == name))

    def orders(self, dev: str) -> list[Order]:
        """What this camera has not journalled yet, the oldest first."""
        with self.reading() as session:
            rows = session.scalars(select(OrderRow).where(OrderRow.dev == dev).order_by(OrderRow.number))
            return [Order(row.number, row.name, order_value(row)) for row in rows]


def _segment(row: SegmentRow, folder: str) -> Segment:
    blob = Blob(folder, row.rec, row.seg, row.size, row.blob)
    return Segment(row.dev, row.jid, blob, row.seal_seq, row.seal_head, row.stored)


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        problem = str(error).partition("\n")[0]
        raise CatalogueError(
            "catalogue", problem, "look at the database; it can be made again from the archive"
        ) from None


def _configure_sqlite(connection: DBAPIConnection, record: ConnectionPoolEntry) -> None:
    """Readers beside the writer, and no fsync a transaction: what is lost is read again from the archive."""
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _migrate(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
