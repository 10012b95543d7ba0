"""Reads the folder of one camera, on its card or in an archive: the journal's entries in order, and the blobs' names.

    <folder>/journal/<seq>.log                  the journal, each file named by its first entry
    <folder>/segments/<rec>/<nnnn>.mp4.age      the blobs

Guarantees: each entry comes once, with the file and the offset of its line; what is no entry comes as `Damage` in its
place and never stops the reading; memory does not grow with the journal; nothing but regular files inside the folder is
ever opened. Neither chain nor signatures are checked here. Assumes that nobody writes to the folder meanwhile: read a
copy, or take the camera's lock. Source: docs/formats.md, "The journal".
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader, FileIO
from pathlib import Path
from typing import BinaryIO

from agent.errors import FormatError, TemoinError
from agent.formats import entries
from agent.formats.entries import MAX_FILE_LINE_BYTES, Entry

JOURNAL = "journal"
SEGMENTS = "segments"
LEFTOVER = "next.tmp"
COPY_MARK = "ARCHIVE"
"""A file of this name beside journal/ says that the folder is a dock's copy."""
MAX_REPEATED_LINES = 16_384
"""Entries that a file may repeat from the one before it: more than a file of 4 MiB holds."""

_NOT_A_FILE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV))
_LOG_NAME = re.compile(r"([0-9]{8,16})\.log")
_SEGMENT_NAME = re.compile(r"([0-9]{4,6})\.mp4\.age")


class UnreadableError(TemoinError):
    """The evidence could not be read, so nothing is said about it."""


@dataclass(frozen=True, slots=True)
class Line:
    """An entry and where it stands: `file` is relative to the folder, `offset` in bytes."""

    entry: Entry
    file: str
    offset: int

    @property
    def where(self) -> str:
        return f"{self.file} entry {self.entry.head.seq}"


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes where an entry belongs, and what is wrong with them.

    `number` is the entry that should be there. `rival` is a whole entry where another with its number came before.
    """

    file: str
    offset: int
    number: int
    problem: str
    rival: Entry | None = None

    @property
    def where(self) -> str:
        return f"{self.file} entry {self.number}"


@dataclass(frozen=True, slots=True)
class Torn:
    """An incomplete last line of a file: what a power cut or a failed write leaves. It is never parsed."""

    file: str
    offset: int
    data: bytes

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, slots=True)
class LogFile:
    """A journal file: `label` is how reports name it, `first_seq` what its name promises (None: no promise)."""

    path: Path
    label: str
    first_seq: int | None


@dataclass(frozen=True, slots=True)
class BlobFile:
    """A file under segments/; `rec` and `seg` are None where its name is no segment's."""

    path: Path
    label: str
    rec: str | None
    seg: int | None


def segment_label(rec: str, seg: int) -> str:
    """Where a segment lies, relative to the folder."""
    return f"{SEGMENTS}/{rec}/{seg:04d}.mp4.age"


def journal_files(folder: Path) -> tuple[list[LogFile], list[str]]:
    """The journal's files in their order, and the labels of whatever else lies in its folder.

    Raises UnreadableError if there is no journal.
    """
    logs: list[LogFile] = []
    others: list[str] = []
    for path in _listing(folder / JOURNAL):
        label = f"{JOURNAL}/{path.name}"
        match = _LOG_NAME.fullmatch(path.name)
        if match and path.name == f"{int(match[1]):08d}.log":
            logs.append(LogFile(path, label, int(match[1])))
        else:
            others.append(label)
    if not logs:
        raise UnreadableError(str(folder / JOURNAL), "holds no journal", "give the folder that holds journal/")
    return sorted(logs, key=lambda log: log.first_seq or 0), others


def blob_files(folder: Path) -> Iterator[BlobFile]:
    """All files under segments/, sorted; none if that folder is missing. Raises UnreadableError."""
    if not os.path.lexists(folder / SEGMENTS):
        return
    for path in _listing(folder / SEGMENTS):
        label = f"{SEGMENTS}/{path.name}"
        if not _is_folder(path, label):
            yield BlobFile(path, label, None, None)
            continue
        for blob in _listing(path):
            match = _SEGMENT_NAME.fullmatch(blob.name)
            inside = f"{label}/{blob.name}"
            if match and inside == segment_label(path.name, int(match[1])):
                yield BlobFile(blob, inside, path.name, int(match[1]))
            else:
                yield BlobFile(blob, inside, None, None)


def read_journal(folder: Path) -> Iterator[Line | Damage | Torn]:
    """Everything in the journal of a camera's folder, in order. Raises UnreadableError."""
    logs, _ = journal_files(folder)
    return read_logs(logs)


def read_logs(logs: Sequence[LogFile]) -> Iterator[Line | Damage | Torn]:
    """Everything in these files, in order; lines that a file repeats from the one before it come once."""
    repeats = _Repeats()
    for index, log in enumerate(logs):
        following = logs[index + 1].first_seq if index + 1 < len(logs) else None
        repeats.begin_file(following)
        yield from _read_log(log, repeats)


def open_regular(path: Path, label: str) -> FileIO | None:
    """The file, unbuffered; None if it is not there, or is anything but a regular file: a link could lead anywhere, a
    pipe never end.

    Raises UnreadableError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            return None
        raise _unreadable(label, error) from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    return FileIO(descriptor)


class _Repeats:
    """Knows the last entry that came, and the hashes of those that the next file may repeat."""

    def __init__(self) -> None:
        self.last: int | None = None
        self._known: dict[int, tuple[bytes, bytes]] = {}
        self._keep_from: int | None = None
        self._in_front = True

    @property
    def next_number(self) -> int:
        return 0 if self.last is None else self.last + 1

    def begin_file(self, following_first_seq: int | None) -> None:
        """The next file begins; the one after it promises to begin with `following_first_seq`."""
        self._keep_from = following_first_seq
        self._in_front = True

    def is_new(self, entry: Entry) -> bool:
        """Whether the entry comes for the first time; counts it if so."""
        seq = entry.head.seq
        if self.last is not None and seq <= self.last:
            return False
        self._in_front = False
        self.last = seq
        if self._keep_from is not None and seq >= self._keep_from and len(self._known) < MAX_REPEATED_LINES:
            self._known[seq] = (hashlib.sha256(entry.line).digest(), entry.digest)
        return True

    def problem_of_repeated(self, entry: Entry) -> tuple[str, bool] | None:
        """What is wrong with an entry that is not new, and whether it is a rival; None if it may be repeated here."""
        seq = entry.head.seq
        known = self._known.get(seq)
        if not self._in_front:
            return f"entry {seq} comes after entry {self.last}", False
        if known is None:
            return f"entry {seq} comes again", False
        if known[0] != hashlib.sha256(entry.line).digest():
            return f"entry {seq} is another than in the file before", known[1] != entry.digest
        return None

    def end_file(self) -> None:
        """Forget what the next file cannot repeat."""
        keep_from = self._keep_from
        self._known = {seq: known for seq, known in self._known.items() if keep_from is not None and seq >= keep_from}


def _read_log(log: LogFile, repeats: _Repeats) -> Iterator[Line | Damage | Torn]:
    raw = open_regular(log.path, log.label)
    number = repeats.next_number if log.first_seq is None else log.first_seq
    if raw is None:
        yield Damage(log.label, 0, number, "not a regular file")
        return
    empty = True
    with BufferedReader(raw) as file:
        for offset, data in _lines(file, log.label):
            found = _read_line(log, offset, data, repeats, number)
            if empty:
                yield from _check_first(log, found, number)
            if found is not None:
                yield found
            empty = False
            number = repeats.next_number
    if empty:
        yield Damage(log.label, 0, number, "the file is empty")
    repeats.end_file()


def _check_first(log: LogFile, first: Line | Damage | Torn | None, number: int) -> Iterator[Damage]:
    if isinstance(first, Line) and first.entry.head.seq != number and log.first_seq is not None:
        yield Damage(log.label, 0, number, f"the file begins with entry {first.entry.head.seq}, not with its name's")
    elif isinstance(first, Torn):
        yield Damage(log.label, 0, number, "no whole line in the file")


def _read_line(log: LogFile, offset: int, data: bytes, repeats: _Repeats, number: int) -> Line | Damage | Torn | None:
    """What one line is; None if it repeats what came before."""
    if len(data) > MAX_FILE_LINE_BYTES:
        return Damage(log.label, offset, number, f"a line of more than {MAX_FILE_LINE_BYTES} bytes")
    if not data.endswith(b"\n"):
        return Torn(log.label, offset, data)
    try:
        entry = entries.parse_line(data)
    except FormatError as error:
        return Damage(log.label, offset, number, str(error))
    if repeats.is_new(entry):
        return Line(entry, log.label, offset)
    problem = repeats.problem_of_repeated(entry)
    if problem is None:
        return None
    return Damage(log.label, offset, entry.head.seq, problem[0], entry if problem[1] else None)


def _lines(file: BinaryIO, label: str) -> Iterator[tuple[int, bytes]]:
    """(offset, line) with its newline; the last may have none. Of a line that is too long only the start is kept."""
    offset = 0
    try:
        while line := file.readline(MAX_FILE_LINE_BYTES + 1):
            yield offset, line
            offset += len(line)
            too_long = len(line) > MAX_FILE_LINE_BYTES
            while too_long and line and not line.endswith(b"\n"):
                line = file.readline(MAX_FILE_LINE_BYTES + 1)
                offset += len(line)
    except OSError as error:
        raise _unreadable(label, error) from None


def _listing(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(str(folder), error) from None


def _is_folder(path: Path, label: str) -> bool:
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError as error:
        raise _unreadable(label, error) from None


def _unreadable(where: str, error: OSError) -> UnreadableError:
    return UnreadableError(where, error.strerror or "cannot be read", "give a folder that can be read, with journal/")
