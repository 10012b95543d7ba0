"""The archive's journals: each camera's own lines, byte for byte, durable before anybody hears of them.

    <archive>/<dev>/journal/<seq>.log        the first journal that came from a camera, in the camera's own layout
    <archive>/<dev>.<jid, 8>/journal/        another journal of the same camera: a new card, or a stranger
    <archive>/<dev>/fork-<jid, 8>-<seq>-<head, 8>/<seq>.log      a second history, from entry `seq` on, as it came
    <archive>/<dev>/ARCHIVE                  says that this is a copy: torn lines never reach it, blobs may not lack

Guarantees: after `append` returns, all lines up to its tail are durable under names that are durable. A file begins at
genesis or at a checkpoint, or, after a failed write, at the first line that was not told to be durable. What a restart
finds counts only once it was synced again. A fork stays in its folder until `settle`; a folder once named keeps its
name. Assumes one thread, one process (the disk's lock), and lines that dock/lines.py checked.

Write orders (P: the power fails here). New file: write `next.tmp` P sync P rename P sync folder P. Nothing was told
before the end; a leftover `next.tmp` is deleted at the next start. Same file: write P sync P: a part of a line at most,
which the next start cuts off. Source: docs/docking.md, "The dock's archive".
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.adapters.disk import LOCK_NAME
from agent.errors import DiskError, FormatError, StoreError
from agent.evidence.read import COPY_MARK, JOURNAL, SEGMENTS
from agent.formats.entries import MAX_FILE_LINE_BYTES, Entry, parse_line
from agent.ports import File
from dock.disk import ArchiveDisk
from dock.lines import Tail, follow, follow_all

MARK_TEXT = (
    b"Copie au depot du journal et des fichiers d'une camera. / A dock's copy of a camera's journal and files.\n"
    b"temoin verify FOLDER --trust agency.pem\n"
)

_NEXT = "next.tmp"
_READ_BYTES = 1024 * 1024
_LOG_NAME = re.compile(r"[0-9]{8,16}\.log")
_FORK = re.compile(r"fork-[0-9a-f]{8}-[0-9]+-[0-9a-f]{8}")
_FOLDER = re.compile(r"[a-z0-9-]{1,32}(\.[0-9a-f]{8})?")
_MAX_OPEN = 64
_BEGINNINGS = ("genesis", "checkpoint")
_DAMAGED = "restore the archive from its backup, then start the dock again"


@dataclass(slots=True)
class _Journal:
    """One journal that is open here. `file` is None until something is written, and after a failed write."""

    folder: str
    tail: Tail | None
    file: File | None = None
    path: str = ""


class Archive:
    """All journals under one folder."""

    def __init__(self, disk: ArchiveDisk) -> None:
        self.disk = disk
        self._open: dict[tuple[str, str], _Journal] = {}
        self._forked: dict[str, bool] = {}

    # --- reading ------------------------------------------------------------------------------------------------------

    def journals(self) -> Iterator[tuple[str, str, str]]:
        """(dev, jid, folder) of every journal, in the order of the folders' names. Raises DiskError, StoreError."""
        for folder in self.disk.names(""):
            if not _FOLDER.fullmatch(folder) or folder == LOCK_NAME:
                continue
            found = self._identity(folder)
            if found is not None:
                yield (*found, folder)

    def folder(self, dev: str, jid: str) -> str | None:
        """Where this journal lies, None if it is not here."""
        known = self._open.get((dev, jid))
        if known is not None and known.tail is not None:
            return known.folder
        return next((each for each in self._folders(dev) if self._identity(each) == (dev, jid)), None)

    def knows(self, dev: str) -> bool:
        """Whether any journal of this camera is here."""
        return any(self._identity(folder) is not None for folder in self._folders(dev))

    def tail(self, dev: str, jid: str) -> Tail | None:
        """Where the archive ends for this journal, durable; None if it has nothing of it."""
        return self._journal(dev, jid).tail

    def lines(self, dev: str, jid: str, first: int = 0) -> Iterator[tuple[int, bytes]]:
        """(number, line) of the archived entries from number `first` on, each once. Raises DiskError, StoreError."""
        folder = self.folder(dev, jid)
        if folder is None:
            return
        numbers = self._numbers(folder)
        wanted = first
        for index, number in enumerate(numbers):
            if index + 1 < len(numbers) and numbers[index + 1] <= first:
                continue
            for seq, (line, _) in enumerate(self._lines(_file(folder, number)), number):
                if seq >= wanted:
                    wanted = seq + 1
                    yield seq, line

    def entries(self, dev: str, jid: str, first: int = 0) -> Iterator[Entry]:
        """The same, parsed."""
        for seq, line in self.lines(dev, jid, first):
            yield _parse(line, f"{dev}: entry {seq}")

    # --- writing ------------------------------------------------------------------------------------------------------

    def append(self, dev: str, jid: str, entries: Sequence[Entry]) -> Tail:
        """Make these entries durable; they follow `tail`, or begin the journal.

        Raises DiskError: then some of them may be durable, and `tail` says which.
        """
        assert entries
        journal = self._journal(dev, jid)
        self._open[dev, jid] = journal
        for run in _runs(entries):
            tail = follow_all(journal.tail, run)
            if journal.file is None or run[0].head.kind in _BEGINNINGS:
                self._begin_file(journal, run)
            else:
                self._extend(journal, run)
            journal.tail = tail
        assert journal.tail is not None
        return journal.tail

    def release(self, dev: str) -> None:
        """Close what is open of this camera."""
        for key in [key for key in self._open if key[0] == dev]:
            self._forget(key)

    def _begin_file(self, journal: _Journal, run: Sequence[Entry]) -> None:
        """A new file, whose name comes last."""
        disk, folder = self.disk, journal.folder
        key = run[0].head.dev, run[0].head.jid
        temporary, path = f"{folder}/{JOURNAL}/{_NEXT}", _file(folder, run[0].head.seq)
        file: File | None = None
        try:
            if journal.tail is None:
                self._make_folders(folder)
            if disk.exists(temporary):
                disk.unlink(temporary)
            file = disk.create(temporary)
            file.write(b"".join(entry.line for entry in run))
            file.sync()
            disk.rename(temporary, path)
            disk.sync_folder(f"{folder}/{JOURNAL}")
        except DiskError:
            if file is not None:
                file.close()
            self._forget(key)  # perhaps it has its name: read the folder again
            raise
        if journal.file is not None:
            journal.file.close()
        journal.file, journal.path = file, path

    def _extend(self, journal: _Journal, run: Sequence[Entry]) -> None:
        assert journal.file is not None
        try:
            journal.file.write(b"".join(entry.line for entry in run))
            journal.file.sync()
        except DiskError:
            # Nobody knows what it holds: the same lines go into a new file, and the tail stays where it was.
            journal.file.close()
            journal.file = None
            raise

    def _make_folders(self, folder: str) -> None:
        disk = self.disk
        for path in (folder, f"{folder}/{JOURNAL}", f"{folder}/{SEGMENTS}"):
            disk.make_folder(path)
        if not disk.exists(f"{folder}/{COPY_MARK}"):
            mark = disk.create(f"{folder}/{COPY_MARK}")
            with contextlib.closing(mark):
                mark.write(MARK_TEXT)
                mark.sync()
        disk.sync_folder(folder)
        disk.sync_folder("")

    # --- forks --------------------------------------------------------------------------------------------------------

    def keep_fork(self, dev: str, jid: str, entries: Sequence[Entry]) -> bool:
        """Keep a second history, whose first entry has a number that the archive has already. False if this branch was
        kept before, undecided or settled. Raises DiskError.
        """
        disk, folder, seq = self.disk, self.folder(dev, jid), entries[0].head.seq
        assert folder is not None
        name = f"{jid[:8]}-{seq}-{entries[0].digest.hex()[:8]}"
        place, log = f"{folder}/fork-{name}", f"{seq:08d}.log"
        if any(disk.exists(f"{each}/{log}") for each in (place, f"{folder}/settled-{name}")):
            return False
        disk.make_folder(place)
        disk.sync_folder(folder)
        if disk.exists(f"{place}/{_NEXT}"):
            disk.unlink(f"{place}/{_NEXT}")
        with contextlib.closing(disk.create(f"{place}/{_NEXT}")) as file:
            file.write(b"".join(entry.line for entry in entries))
            file.sync()
        disk.rename(f"{place}/{_NEXT}", f"{place}/{log}")
        disk.sync_folder(place)
        self._forked[dev] = True
        return True

    def forks(self, dev: str) -> list[str]:
        """Folders of second histories of this camera that nobody has decided about."""
        found = []
        for folder in self._folders(dev):
            places = [f"{folder}/{name}" for name in self.disk.names(folder) if _FORK.fullmatch(name)]
            found += [place for place in places if any(_LOG_NAME.fullmatch(name) for name in self.disk.names(place))]
        return found

    def is_forked(self, dev: str) -> bool:
        """Whether this camera is refused until somebody decides."""
        if dev not in self._forked:
            self._forked[dev] = bool(self.forks(dev))
        return self._forked[dev]

    def settle(self, dev: str) -> list[str]:
        """Somebody has decided: the archive's branch stands, the other stays under `settled-...`. Returns the folders.

        The camera can go on under a new journal; the branch itself stays refused. Raises DiskError.
        """
        settled = []
        for place in self.forks(dev):
            folder, _, name = place.rpartition("/")
            settled.append(f"{folder}/settled-{name.removeprefix('fork-')}")
            self.disk.rename(place, settled[-1])
            self.disk.sync_folder(folder)
        self._forked.pop(dev, None)
        return settled

    # --- what is there ------------------------------------------------------------------------------------------------

    def _journal(self, dev: str, jid: str) -> _Journal:
        known = self._open.get((dev, jid))
        if known is not None:
            return known
        found = self._recover(dev, jid)
        if found.tail is not None:  # of what is not here, anybody could ask without end
            if len(self._open) >= _MAX_OPEN:
                self._forget(next(iter(self._open)))
            self._open[dev, jid] = found
        return found

    def _forget(self, key: tuple[str, str]) -> None:
        known = self._open.pop(key, None)
        if known is not None and known.file is not None:
            known.file.close()

    def _recover(self, dev: str, jid: str) -> _Journal:
        """Read from the last file that begins with certificates, nearly always the last file. All that is found is made
        durable before it counts: it may have been written by a process that was killed before its sync.
        """
        folder = self.folder(dev, jid)
        if folder is None:
            return _Journal(self._free_folder(dev, jid), None)
        numbers = self._numbers(folder)
        tail, length = self._read_tail(folder, numbers)
        path = _file(folder, numbers[-1])
        file = self.disk.resume(path, length)
        try:
            file.sync()
            if self.disk.exists(f"{folder}/{JOURNAL}/{_NEXT}"):
                self.disk.unlink(f"{folder}/{JOURNAL}/{_NEXT}")
            self._make_folders(folder)
            self.disk.sync_folder(f"{folder}/{JOURNAL}")
        except DiskError:
            file.close()
            raise
        return _Journal(folder, tail, file, path)

    def _read_tail(self, folder: str, numbers: list[int]) -> tuple[Tail, int]:
        """The tail, and the bytes of whole lines in the last file."""
        begin = len(numbers) - 1
        while begin > 0 and self._first(folder, numbers[begin]).head.kind not in _BEGINNINGS:
            begin -= 1
        tail: Tail | None = None
        length = 0
        for number in numbers[begin:]:
            path = _file(folder, number)
            length = 0
            for line, end in self._lines(path):
                entry = _parse(line, path)
                length = end
                if tail is None or entry.head.seq > tail.seq:
                    tail = follow(tail, entry)
        assert tail is not None, "a named file has a whole first line, or `_first` has raised"
        first = self._first(folder, numbers[0]).head.seq
        return Tail(tail.dev, tail.jid, first, tail.seq, tail.head, tail.chain, tail.slow_signer, tail.policy), length

    def _folders(self, dev: str) -> list[str]:
        names = (name for name in self.disk.names("") if _FOLDER.fullmatch(name) and name != LOCK_NAME)
        return [name for name in names if name == dev or name.startswith(f"{dev}.")]

    def _free_folder(self, dev: str, jid: str) -> str:
        """The camera's own name for its first journal; a name with the journal's for every other."""
        for folder in (dev, f"{dev}.{jid[:8]}"):
            if folder != LOCK_NAME and self._identity(folder) is None:
                return folder
        raise StoreError(f"{dev}.{jid[:8]}", f"holds another journal than {jid}", "move that folder out of the archive")

    def _identity(self, folder: str) -> tuple[str, str] | None:
        """Whose journal lies there."""
        if not self.disk.exists(f"{folder}/{JOURNAL}"):
            return None
        numbers = self._numbers(folder)
        if not numbers:
            return None
        head = self._first(folder, numbers[-1]).head
        return head.dev, head.jid

    def _numbers(self, folder: str) -> list[int]:
        names = self.disk.names(f"{folder}/{JOURNAL}")
        return sorted(int(name[:-4]) for name in names if _LOG_NAME.fullmatch(name))

    def _first(self, folder: str, number: int) -> Entry:
        path = _file(folder, number)
        line, newline, _ = self.disk.read(path, 0, MAX_FILE_LINE_BYTES).partition(b"\n")
        return _parse(line + newline, path)

    def _lines(self, path: str) -> Iterator[tuple[bytes, int]]:
        """The whole lines of a file, and where each ends; of a long file never more than a piece in memory."""
        offset, rest, end = 0, b"", 0
        while piece := self.disk.read(path, offset, _READ_BYTES):
            offset += len(piece)
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                end += len(line) + 1
                yield line + b"\n", end
            if len(rest) > MAX_FILE_LINE_BYTES:
                raise StoreError(path, "holds a line that is too long", _DAMAGED)


def segment_path(folder: str, rec: str, seg: int) -> str:
    """Where a blob lies in the folder of its journal."""
    return f"{folder}/{SEGMENTS}/{rec}/{seg:04d}.mp4.age"


def _file(folder: str, number: int) -> str:
    return f"{folder}/{JOURNAL}/{number:08d}.log"


def _parse(line: bytes, path: str) -> Entry:
    try:
        return parse_line(line)
    except FormatError as error:
        raise StoreError(path, f"is damaged: {error}", _DAMAGED) from None


def _runs(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    """Stretches of entries that go into one file: a checkpoint begins the next one."""
    begin = 0
    for index in range(1, len(entries)):
        if entries[index].head.kind in _BEGINNINGS:
            yield entries[begin:index]
            begin = index
    yield entries[begin:]
