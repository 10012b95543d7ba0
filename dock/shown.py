"""What `temoin-dock list`, `show` and `doctor` say to dock staff, in their language (agent/catalogue.toml, `dock`).

Pure but for the catalogue that it reads. Guarantees: a recording is named by its own id, and its state says what is
still only on the camera.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from agent.catalogue import say
from agent.errors import ConfigError
from dock.catalogue import Catalogue
from dock.tables import RecordingRow, SegmentRow


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording of the archive with its closed segments: (number, size in bytes, stored, receipt known)."""

    rec: str
    dev: str
    start_utc: str | None
    stop_cause: str | None
    duration_ms: int | None
    held: bool
    held_until: str | None
    wearer: str | None
    segments: tuple[tuple[int, int, bool, bool], ...]

    @property
    def missing(self) -> int:
        """Segments that are still only on the camera."""
        return sum(not stored for _, _, stored, _ in self.segments)


def recordings(catalogue: Catalogue) -> list[Recording]:
    """All of them, in the order of their entries' cameras and numbers."""
    with Session(catalogue.engine) as session:
        rows = session.scalars(
            select(RecordingRow).order_by(RecordingRow.dev, RecordingRow.jid, RecordingRow.start_seq)
        )
        return [_recording(session, row) for row in rows]


def recording(catalogue: Catalogue, rec: str) -> Recording:
    """Raises ConfigError for one that the archive has not."""
    with Session(catalogue.engine) as session:
        row = session.get(RecordingRow, rec)
        if row is None:
            raise ConfigError("RECORDING", f"{rec!r} is not in this archive", "see temoin-dock list")
        return _recording(session, row)


def list_lines(found: Iterable[Recording], language: str) -> list[str]:
    """A line a recording."""
    lines = [say("dock.recording", language, **_values(one, language)) for one in found]
    return lines or [say("dock.nothing", language)]


def show_lines(one: Recording, language: str) -> list[str]:
    """All about one."""
    lines = [say("dock.recording", language, **_values(one, language))]
    lines.append(say("dock.wearer", language, wearer=one.wearer or say("dock.unknown", language)))
    for number, size, stored, receipt in one.segments:
        state = "receipted" if receipt else "stored" if stored else "awaited"
        lines.append(
            "  " + say("dock.segment", language, number=number, size=size, state=say(f"dock.segment_{state}", language))
        )
    return lines


def _values(one: Recording, language: str) -> dict[str, str | int]:
    duration = say("dock.unknown", language) if one.duration_ms is None else f"{one.duration_ms // 1000} s"
    state = say("dock.complete", language) if not one.missing else say("dock.missing", language, count=one.missing)
    if one.held:
        until = one.held_until
        state += ", " + (say("dock.held_until", language, until=until) if until else say("dock.held", language))
    start = one.start_utc or say("dock.no_time", language)
    return {"recording": one.rec, "camera": one.dev, "start": start, "duration": duration, "state": state}


def _recording(session: Session, row: RecordingRow) -> Recording:
    segments: Sequence[SegmentRow] = session.scalars(
        select(SegmentRow).where(SegmentRow.rec == row.rec).order_by(SegmentRow.seg)
    ).all()
    return Recording(
        row.rec,
        row.dev,
        row.start_utc,
        row.stop_cause,
        row.duration_ms,
        row.held,
        row.held_until,
        row.wearer,
        tuple((each.seg, each.size, each.stored, each.receipt_seq is not None) for each in segments),
    )
