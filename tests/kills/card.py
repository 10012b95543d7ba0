"""Reads a card on its own: opens the folder, not the Disk port; the journal's entries in order, and what they say of
recordings. Signatures and hashes are `temoin verify`'s business, which is asked as well."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from agent.formats import fields
from agent.formats.canonical import Object
from agent.formats.entries import Entry, parse_line
from agent.store.segments import segment_path


@dataclass(frozen=True, slots=True)
class Piece:
    """One fragment entry."""

    seg: int
    t0_ns: int
    end_ns: int
    frames: int

    @property
    def frame_ns(self) -> int:
        return (self.end_ns - self.t0_ns) // self.frames


@dataclass(slots=True)
class Taken:
    """One recording as the journal has it. `gaps`: (from_ns, to_ns, cause). `start_ns`: when it was signed."""

    rec: str
    press_ns: int
    start_ns: int
    pieces: list[Piece] = field(default_factory=list)
    gaps: list[tuple[int, int, str]] = field(default_factory=list)
    recovered: list[int] = field(default_factory=list)
    stopped: str | None = None
    marks: int = 0

    @property
    def segments(self) -> list[int]:
        return sorted({piece.seg for piece in self.pieces})

    def path(self, data: Path, seg: int) -> Path:
        return data / segment_path(self.rec, seg)


@dataclass(frozen=True, slots=True)
class Card:
    """All entries, each once, and the recordings in their order."""

    entries: tuple[Entry, ...]
    recordings: tuple[Taken, ...]

    @property
    def open(self) -> Taken | None:
        """The recording that has not ended."""
        return next((taken for taken in self.recordings if taken.stopped is None), None)

    @property
    def boot(self) -> str:
        """The boot of the last entry."""
        return self.entries[-1].head.stamp.boot

    def of(self, kind: str) -> list[Object]:
        """Bodies of one kind."""
        return [entry.body for entry in self.entries if entry.head.kind == kind and entry.body is not None]


def read_card(data: Path) -> Card:
    """Raises FormatError for a line that no camera writes."""
    entries: dict[int, Entry] = {}
    for path in sorted((data / "journal").glob("*.log")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            entry = parse_line(line + b"\n")
            entries.setdefault(entry.head.seq, entry)
    assert sorted(entries) == list(range(len(entries))), "entries are missing"
    recordings: dict[str, Taken] = {}
    for entry in entries.values():
        if entry.body is not None and "rec" in entry.body:
            _take(recordings, entry, entry.body)
    return Card(tuple(entries.values()), tuple(recordings.values()))


def _take(recordings: dict[str, Taken], entry: Entry, body: Object) -> None:
    rec = fields.text_of(body, "rec")
    match entry.head.kind:
        case "recording.start":
            recordings[rec] = Taken(rec, fields.ns_of(body, "press_ns"), entry.head.stamp.mono_ns)
        case "fragment":
            t0_ns = fields.ns_of(body, "t0_ns")
            end_ns = t0_ns + fields.ns_of(body, "dur_ns")
            piece = Piece(fields.integer_of(body, "seg"), t0_ns, end_ns, fields.integer_of(body, "frames"))
            recordings[rec].pieces.append(piece)
        case "gap":
            gap = fields.ns_of(body, "from_ns"), fields.ns_of(body, "to_ns"), fields.text_of(body, "cause")
            recordings[rec].gaps.append(gap)
        case "segment.recovered":
            recordings[rec].recovered.append(fields.integer_of(body, "seg"))
        case "mark" | "notice":
            recordings[rec].marks += 1
        case "recording.stop":
            recordings[rec].stopped = fields.text_of(body, "cause")
        case _:
            pass
