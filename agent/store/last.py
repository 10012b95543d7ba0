"""Reads what a start needs of the journal: its last file, and torn last lines since the last start.

Guarantees: nothing is written; a file that is not as this agent writes it is a StoreError, never guessed around. Every
file holds a checkpoint (the first one: genesis) in what its first fsync made durable, so one file tells the state; the
lines before the checkpoint, after a failed write, repeat the file before. Signatures are not verified here: only
whoever holds the card could have changed it, and the verifier looks. Source: docs/formats.md, "The journal".
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from agent.errors import FormatError, StoreError
from agent.formats import fields
from agent.formats.canonical import Object
from agent.formats.entries import MAX_FILE_LINE_BYTES, Entry, parse_line
from agent.ports import Disk
from agent.store.state import JournalState, apply, from_checkpoint, from_genesis

FOLDER = "journal"
NEXT = f"{FOLDER}/next.tmp"

_NAME = re.compile(r"([0-9]{8}|[1-9][0-9]{8,15})\.log")
_KEEP = "keep the card as it is for temoin verify and temoin salvage, and enrol the camera on another card"


@dataclass(frozen=True, slots=True)
class Torn:
    """An incomplete last line: where it is, how long, and the hash of its bytes."""

    file: str
    offset: int
    length: int
    hash: str

    @property
    def body(self) -> Object:
        return {"file": self.file, "offset": self.offset, "length": self.length, "hash": self.hash}


@dataclass(frozen=True, slots=True)
class FragmentEnd:
    """What one fragment entry says of its segment's file: the hash `blob` of all its bytes up to `end`."""

    n: int
    end: int
    blob: str


@dataclass(frozen=True, slots=True)
class LastFile:
    """What the journal's last file says.

    `fragments`: of the segment that is open at its end, as far back as this file goes. `segments`: how many segments
    each recording has that started in this file. `orphans`: files that its entries name so. `torn`: of every file since
    the last start.
    """

    state: JournalState
    first_seq: int
    fragments: tuple[FragmentEnd, ...]
    segments: dict[str, int]
    orphans: frozenset[str]
    torn: tuple[Torn, ...]


def file_path(first_seq: int) -> str:
    """The file of a journal that begins with this entry."""
    return f"{FOLDER}/{first_seq:08d}.log"


def file_numbers(disk: Disk) -> list[int]:
    """The numbers of the first entries of the journal's files, rising. Raises DiskError."""
    return sorted(int(match[1]) for name in disk.names(FOLDER) if (match := _NAME.fullmatch(name)))


def read_last(disk: Disk) -> LastFile | None:
    """None if there is no journal yet. Raises StoreError for a journal that recovery may not touch, DiskError."""
    numbers = file_numbers(disk) if disk.exists(FOLDER) else []
    if not numbers:
        return None
    path = file_path(numbers[-1])
    lines, torn = _split(disk.read(path), path)
    try:
        reading = _Reading(parse_line(line) for line in lines)
    except FormatError as error:
        raise StoreError(path, f"is damaged: {error}", _KEEP) from None
    if reading.state is None or reading.first_seq != numbers[-1]:
        problem = "has no whole line, no checkpoint, or begins with another entry than its name says"
        raise StoreError(path, problem, _KEEP)
    if not reading.starts_a_run:
        torn = [*_torn_before(disk, numbers[:-1]), *torn]
    return LastFile(
        state=reading.state,
        first_seq=reading.first_seq,
        fragments=tuple(reading.fragments),
        segments=reading.segments,
        orphans=frozenset(reading.orphans),
        torn=tuple(torn),
    )


class _Reading:
    """One pass over the entries of a file."""

    def __init__(self, found: Iterable[Entry]) -> None:
        self.state: JournalState | None = None
        self.first_seq = -1
        self.starts_a_run = False
        self.fragments: list[FragmentEnd] = []
        self.segments: dict[str, int] = {}
        self.orphans: set[str] = set()
        previous: Entry | None = None
        for entry in found:
            self._take(entry, previous)
            previous = entry

    def _take(self, entry: Entry, previous: Entry | None) -> None:
        kind = entry.head.kind
        if previous is None:
            self.first_seq = entry.head.seq
        if self.state is not None:
            self.state = apply(self.state, entry)
        else:
            _check_follows(entry, previous)
            if kind == "genesis":
                self.state = from_genesis(entry)
            elif kind == "checkpoint":
                self.state = from_checkpoint(entry)
        self.starts_a_run = self.starts_a_run or kind in ("genesis", "boot")
        self._collect(entry)

    def _collect(self, entry: Entry) -> None:
        kind, body = entry.head.kind, entry.body
        assert body is not None, "a withheld body is refused by the fold, or comes before a checkpoint that is checked"
        if kind == "fragment":
            end = fields.integer_of(body, "off") + fields.integer_of(body, "len")
            self.fragments.append(FragmentEnd(fields.integer_of(body, "n"), end, fields.text_of(body, "blob")))
        elif kind in ("segment.open", "segment.seal", "segment.recovered"):
            self.fragments.clear()
            if kind == "segment.open" and fields.text_of(body, "rec") in self.segments:
                self.segments[fields.text_of(body, "rec")] += 1
        elif kind == "recording.start":
            self.segments[fields.text_of(body, "rec")] = 0
        elif kind == "orphan":
            self.orphans.add(fields.text_of(body, "file"))
        elif kind == "checkpoint":
            self._collect_open()

    def _collect_open(self) -> None:
        """A checkpoint says of the open segment what its last fragment said, in a file before this one."""
        assert self.state is not None
        for recording in self.state.open:
            segment = recording.open
            if segment is not None and segment.n > 0 and not self.fragments:
                self.fragments.append(FragmentEnd(segment.n - 1, segment.size, segment.blob))


def _check_follows(entry: Entry, previous: Entry | None) -> None:
    """The chain among lines that come before the file's checkpoint."""
    if entry.body is None:
        raise FormatError(entry.head.kind, "its body is withheld, which the camera's own journal never does")
    if previous is None:
        return
    if entry.head.seq != previous.head.seq + 1 or entry.head.prev != previous.digest.hex():
        raise FormatError("prev", f"entry {entry.head.seq} does not follow the head before it")


def _split(data: bytes, path: str) -> tuple[list[bytes], list[Torn]]:
    """The whole lines of a file, and its incomplete last one."""
    *lines, rest = data.split(b"\n")
    torn = [Torn(path, len(data) - len(rest), len(rest), hashlib.sha256(rest).hexdigest())] if rest else []
    return [line + b"\n" for line in lines], torn


def _torn_before(disk: Disk, numbers: list[int]) -> list[Torn]:
    """Torn lines of the same run's earlier files: a failed write leaves one, and the run goes on in a new file."""
    found: list[Torn] = []
    for number in reversed(numbers):
        path = file_path(number)
        size = disk.size(path)
        if size > 0 and disk.read(path, size - 1) != b"\n":
            found = [*_split(disk.read(path), path)[1], *found]
        if _starts_a_run(disk.read(path, 0, 2 * MAX_FILE_LINE_BYTES)):
            break
    return found


def _starts_a_run(front: bytes) -> bool:
    """Whether a file is the first of its run: its front holds genesis, or checkpoint and boot."""
    for line in front.split(b"\n")[:2]:
        try:
            kind = parse_line(line + b"\n").head.kind
        except FormatError:
            return False
        if kind in ("genesis", "boot"):
            return True
    return False
