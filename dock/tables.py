"""The catalogue's tables (SQLAlchemy). dock/migrations has the same, step by step.

All but `orders` follow from the archive: entries by number, files by name. Times are UTC as the entries write it.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """All tables."""


class JournalRow(Base):
    """A journal, and how far the catalogue has read it: up to and with entry `seq`. `wearer` to `worn_until`: the
    assignment that the camera has journalled since its last docking, all None without one.
    """

    __tablename__ = "journals"

    dev: Mapped[str] = mapped_column(String(32), primary_key=True)
    jid: Mapped[str] = mapped_column(String(32), primary_key=True)
    folder: Mapped[str] = mapped_column(String(48), unique=True)
    first: Mapped[int] = mapped_column(BigInteger)
    seq: Mapped[int] = mapped_column(BigInteger)
    wearer: Mapped[str | None] = mapped_column(String(32))
    service: Mapped[str | None] = mapped_column(String(100))
    sector: Mapped[str | None] = mapped_column(String(100))
    worn_from: Mapped[str | None] = mapped_column(String(24))
    worn_until: Mapped[str | None] = mapped_column(String(24))


class RecordingRow(Base):
    """A recording. `start_utc`: of its first entry, None if the camera did not know the time. `held`: until further
    notice, or `held_until`.
    """

    __tablename__ = "recordings"

    rec: Mapped[str] = mapped_column(String(64), primary_key=True)
    dev: Mapped[str] = mapped_column(String(32), index=True)
    jid: Mapped[str] = mapped_column(String(32))
    start_seq: Mapped[int] = mapped_column(BigInteger)
    start_utc: Mapped[str | None] = mapped_column(String(24), index=True)
    start_err_ms: Mapped[int | None] = mapped_column(BigInteger)
    wearer: Mapped[str | None] = mapped_column(String(32))
    stop_seq: Mapped[int | None] = mapped_column(BigInteger)
    stop_cause: Mapped[str | None] = mapped_column(String(16))
    fragments: Mapped[int | None] = mapped_column(BigInteger)
    duration_ms: Mapped[int | None] = mapped_column(BigInteger)
    held: Mapped[bool]
    held_until: Mapped[str | None] = mapped_column(String(24))


class SegmentRow(Base):
    """A segment that the camera closed. `stored`: its blob is in the archive. `receipt_seq`, `purge_seq`: the camera's
    entries that say so.
    """

    __tablename__ = "segments"
    __table_args__ = (Index("segments_due", "dev", "jid", "stored", "receipt_seq", "seal_seq"),)

    rec: Mapped[str] = mapped_column(String(64), primary_key=True)
    seg: Mapped[int] = mapped_column(primary_key=True)
    dev: Mapped[str] = mapped_column(String(32))
    jid: Mapped[str] = mapped_column(String(32))
    seal_seq: Mapped[int] = mapped_column(BigInteger)
    seal_head: Mapped[str] = mapped_column(String(64))
    recovered: Mapped[bool]
    size: Mapped[int] = mapped_column(BigInteger)
    blob: Mapped[str] = mapped_column(String(64))
    stored: Mapped[bool]
    receipt_seq: Mapped[int | None] = mapped_column(BigInteger)
    purge_seq: Mapped[int | None] = mapped_column(BigInteger)


class OrderRow(Base):
    """What a camera shall be told: type and own fields of a statement, as canonical JSON. No number comes twice: the
    station remembers by it what it has said.
    """

    __tablename__ = "orders"
    __table_args__ = ({"sqlite_autoincrement": True},)

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    dev: Mapped[str] = mapped_column(String(32), index=True)
    name: Mapped[str] = mapped_column(String(16))
    value: Mapped[str] = mapped_column(Text)
    utc: Mapped[str] = mapped_column(String(24))
