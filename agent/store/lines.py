"""Lines of the journal in their order, read from its files as far as somebody vouches for them.

Guarantees: memory does not grow with the journal (one piece of PIECE_BYTES and one line); lines that repeat across the
border of two files come once; an incomplete last line is never given out. A line is looked at, not parsed: who checks
it is its reader. Assumes that every entry up to the `last` that is asked for is durable. May be used from any one
thread, while another one writes the journal. Source: docs/formats.md, "Files".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.errors import StoreError
from agent.ports import Disk
from agent.store.last import FOLDER, file_numbers, file_path

PIECE_BYTES = 65_536

_HEAD = re.compile(
    rb'\{"body":"[0-9a-f]{64}","boot":"[0-9a-f-]{36}","dev":"[a-z0-9-]{1,32}","jid":"[0-9a-f]{32}",'
    rb'"kind":"([a-z.]{1,32})","mono_ns":"[0-9]{1,19}","prev":"([0-9a-f]{64})","seq":(0|[1-9][0-9]{0,15}),'
)
_KEEP = "keep the card as it is for temoin verify and temoin salvage"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry as it lies in its file, newline included."""

    seq: int
    kind: str
    prev: str
    data: bytes


class JournalLines:
    """A reader with a place in the journal. It may be sent back, or forward, by `seek`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._file: int | None = None
        self._offset = 0  # of what comes after `_piece`
        self._piece = b""
        self._at = 0  # in `_piece`
        self._line: Line | None = None
        self.next_seq = 0

    def oldest(self) -> int:
        """Number of the first entry that is still there. Raises StoreError when there is none, DiskError."""
        numbers = file_numbers(self._disk)
        if not numbers:
            raise StoreError(FOLDER, "holds no journal", _KEEP)
        return numbers[0]

    def seek(self, seq: int) -> None:
        """The next line is entry `seq`. Raises StoreError when it is not there any more, DiskError."""
        before = [number for number in file_numbers(self._disk) if number <= seq]
        if not before:
            raise StoreError(FOLDER, f"entry {seq} is not there any more", "")
        self._open(before[-1])
        self.next_seq = seq

    def peek(self, last: int) -> Line | None:
        """The next line, if its number is at most `last`; it stays the next one. Raises StoreError, DiskError."""
        if self.next_seq > last:
            return None
        while self._line is None:
            line = self._read_line()
            if line.seq == self.next_seq:
                self._line = line
            elif line.seq > self.next_seq:
                raise self._damaged(f"has entry {line.seq} where {self.next_seq} comes next")
        return self._line

    def take(self, last: int) -> Line | None:
        """The same, and go on behind it."""
        line = self.peek(last)
        if line is not None:
            self._line = None
            self.next_seq += 1
        return line

    def _read_line(self) -> Line:
        data = self._read_bytes()
        found = _HEAD.match(data)
        if found is None:
            raise self._damaged("has a line that is no entry")
        return Line(int(found[3]), found[1].decode(), found[2].decode(), data)

    def _read_bytes(self) -> bytes:
        """A whole line of this file, or of the next one."""
        if self._file is None:
            self.seek(self.next_seq)
        while (end := self._piece.find(b"\n", self._at)) < 0:
            assert self._file is not None
            more = self._disk.read(file_path(self._file), self._offset, PIECE_BYTES)
            if not more:
                self._open(self._file_after(self._file))
                continue
            self._offset += len(more)
            self._piece, self._at = self._piece[self._at :] + more, 0
        line, self._at = self._piece[self._at : end + 1], end + 1
        return line

    def _file_after(self, file: int) -> int:
        after = [number for number in file_numbers(self._disk) if number > file]
        if not after:
            raise self._damaged(f"ends before entry {self.next_seq}, which was durable")
        return after[0]

    def _open(self, file: int) -> None:
        self._file, self._offset, self._piece, self._at, self._line = file, 0, b"", 0, None

    def _damaged(self, problem: str) -> StoreError:
        return StoreError(FOLDER if self._file is None else file_path(self._file), problem, _KEEP)
