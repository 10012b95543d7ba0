"""What a start does about the run before it: says how the open segment was found, ends what another boot cut off, and
names files that no entry knows.

Guarantees: nothing is deleted, cut or changed; a file that no entry knows gets another name (`<name>.orphan`), after
the entry that says so is durable, so that a new segment can have its number. All that a start found becomes durable
with its `boot` entry, at once, before anything else is recorded; cut off anywhere, the next start does the rest.
docs/write-orders.md has the tables.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.errors import DiskError
from agent.formats.canonical import Object
from agent.formats.fields import file_name_of
from agent.model import StopCause
from agent.ports import Disk
from agent.store.journal import Journal
from agent.store.last import FragmentEnd
from agent.store.segments import FOLDER, segment_path
from agent.store.state import OpenRecording

ORPHAN_SUFFIX = ".orphan"

_READ_BYTES = 1024 * 1024
_SEGMENT_NAME = re.compile(r"([0-9]{4,6})\.mp4\.age")


@dataclass(frozen=True, slots=True)
class RecoveryReport:
    """What came of a start: a recording to go on with, one that was ended as interrupted, files that nobody knew.

    `resume` has no segment open: its caller opens the next one and says the gap. `orphans`: paths as they are now.
    """

    resume: OpenRecording | None
    interrupted: str | None
    orphans: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Unknown:
    """A file that no segment entry knows. `named`: an `orphan` entry does, and only its new name is missing."""

    path: str
    aside: str
    named: bool


def recover(journal: Journal, disk: Disk) -> RecoveryReport:
    """Once, right after `Journal.start`. Makes the start durable. Raises DiskError, StoreError."""
    disk.make_folder(FOLDER)
    disk.sync_folder("")
    found = journal.recovered
    unknown = list(_unknown_files(journal, disk))
    named = [each for each in unknown if each.named]
    for each in named:  # before this start's own entries: the next start looks for such a name in the last file only
        _rename_aside(disk, each)
    orphans = [each for each in unknown if not each.named and _append_orphan(journal, disk, each)]
    for recording in found.open:
        if recording.open is not None:
            assert found.last is not None
            with contextlib.suppress(DiskError):  # missing or unreadable: the comparison says so
                disk.sync_file(segment_path(recording.rec, recording.open.seg))
            _append_recovered(journal, disk, recording, found.last.fragments)
        if not found.same_boot:
            _append_interrupted(journal, recording)
    journal.commit()
    for each in orphans:
        _rename_aside(disk, each)
    return RecoveryReport(
        resume=next(iter(journal.state.open), None),
        interrupted=None if found.same_boot else next((recording.rec for recording in found.open), None),
        orphans=tuple(each.aside for each in (*named, *orphans)),
    )


def recover_segment(journal: Journal, disk: Disk, recording: OpenRecording) -> None:
    """Say how the open segment of a recording is found on the card, after its writer failed. Not committed yet.

    Only the last fragment's entry is compared.
    """
    segment = recording.open
    assert segment is not None, "there is no open segment to recover"
    known = (FragmentEnd(segment.n - 1, segment.size, segment.blob),) if segment.n > 0 else ()
    _append_recovered(journal, disk, recording, known)


def set_aside(journal: Journal, disk: Disk, path: str) -> None:
    """Name a file that no entry knows in an `orphan` entry, and free its name. Commits.

    For who finds that a new segment's file exists already, or leaves one behind that never got its entry. Raises
    DiskError, StoreError.
    """
    unknown = _Unknown(path, _free_name(disk, path), named=False)
    if _append_orphan(journal, disk, unknown):
        journal.commit()
        _rename_aside(disk, unknown)


def _append_recovered(journal: Journal, disk: Disk, recording: OpenRecording, known: Sequence[FragmentEnd]) -> None:
    assert recording.open is not None
    seg = recording.open.seg
    body = _compare(journal, disk, segment_path(recording.rec, seg), known)
    journal.append("segment.recovered", {"rec": recording.rec, "seg": seg, **body})


def _append_interrupted(journal: Journal, recording: OpenRecording) -> None:
    journal.append(
        "recording.stop",
        {
            "rec": recording.rec,
            "cause": StopCause.INTERRUPTED.value,
            "press_ns": None,
            "fragments": recording.fragments,
            "duration_ms": recording.duration_ms,
        },
    )


def _append_orphan(journal: Journal, disk: Disk, unknown: _Unknown) -> bool:
    """False if the file cannot be read: then it keeps its name, and an alert says so."""
    read = _Reader(disk, unknown.path)
    read.up_to(None)
    if read.error is not None:
        journal.append_card_failure("card_read_failed", file_name_of(read.error.where), read.error)
        return False
    body: Object = {"file": file_name_of(unknown.aside), "size": read.size, "hash": read.running.hexdigest()}
    journal.append("orphan", body)
    return True


def _compare(journal: Journal, disk: Disk, path: str, known: Sequence[FragmentEnd]) -> Object:
    """Compare a segment's file, in one pass, with what the entries say of it at each fragment's end.

    A file that is missing or cannot be read to its end has no `blob`; the latter is an alert besides. A bad block in
    one segment is no reason to refuse the next recording.
    """
    read = _Reader(disk, path)
    last: FragmentEnd | None = None
    mismatch: FragmentEnd | None = None
    for end in known:
        read.up_to(end.end)
        if read.size < end.end or read.running.hexdigest() != end.blob:
            mismatch = end
            break
        last = end
    read.up_to(None)
    if read.error is not None and disk.exists(path):
        journal.append_card_failure("card_read_failed", file_name_of(read.error.where), read.error)
    return {
        "size": read.size,
        "blob": None if read.error is not None else read.running.hexdigest(),
        "last_n": None if last is None else last.n,
        "last_end": 0 if last is None else last.end,
        "mismatch_n": None if mismatch is None else mismatch.n,
    }


class _Reader:
    """Reads and hashes a file from its start, a piece at a time. `error`: where reading ended before the file did."""

    def __init__(self, disk: Disk, path: str) -> None:
        self.running = hashlib.sha256()
        self.size = 0
        self.error: DiskError | None = None
        self._disk = disk
        self._path = path

    def up_to(self, end: int | None) -> None:
        """Read on to this offset, or to the end of the file."""
        while self.error is None and (end is None or self.size < end):
            wanted = _READ_BYTES if end is None else min(_READ_BYTES, end - self.size)
            try:
                piece = self._disk.read(self._path, self.size, wanted)
            except DiskError as error:
                self.error = error
                return
            if not piece:
                return
            self.running.update(piece)
            self.size += len(piece)


def _unknown_files(journal: Journal, disk: Disk) -> Iterator[_Unknown]:
    """Files of the run before that no entry knows: of the recording that was open, or of one that never started; and
    those that have their entry but not yet their new name.

    Older folders were looked at by the start that came after them.
    """
    last = journal.recovered.last
    first_seq = 0 if last is None else last.first_seq
    known = {} if last is None else {**last.segments, **{each.rec: each.segments for each in last.state.open}}
    named = frozenset[str]() if last is None else last.orphans
    folders_named = {file.split("/")[1] for file in named if file.startswith(f"{FOLDER}/")}
    for name in disk.names(FOLDER):
        is_ours = name in known or _is_newer(name, journal, first_seq)
        for file in disk.names(f"{FOLDER}/{name}") if is_ours or name in folders_named else ():
            path = f"{FOLDER}/{name}/{file}"
            if file.endswith(ORPHAN_SUFFIX) or _is_known(file, known.get(name, 0)):
                continue
            aside = _free_name(disk, path)
            is_named = file_name_of(aside) in named
            if is_ours or is_named:
                yield _Unknown(path, aside, is_named)


def _is_newer(name: str, journal: Journal, first_seq: int) -> bool:
    """Whether a folder is of this journal, and named by an entry that the last file holds or would have held."""
    position = journal.state.position
    prefix, _, seq = name.rpartition("-")
    return prefix == f"{position.dev}-{position.jid[:8]}" and seq.isdecimal() and int(seq) >= first_seq


def _is_known(file: str, segments: int) -> bool:
    match = _SEGMENT_NAME.fullmatch(file)
    return match is not None and int(match[1]) < segments and file == f"{int(match[1]):04d}.mp4.age"


def _free_name(disk: Disk, path: str) -> str:
    """`<path>.orphan`, or with the first number that nobody has: the same again until the file has it."""
    aside, number = f"{path}{ORPHAN_SUFFIX}", 1
    while disk.exists(aside):
        aside, number = f"{path}.{number}{ORPHAN_SUFFIX}", number + 1
    return aside


def _rename_aside(disk: Disk, unknown: _Unknown) -> None:
    disk.rename(unknown.path, unknown.aside)
    disk.sync_folder(unknown.path.rpartition("/")[0])
