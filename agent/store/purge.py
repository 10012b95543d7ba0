"""Deleting: segments that a dock has, and journal files that a dock has had for long. docs/write-orders.md, 10 and 11.

Guarantees: nothing is unlinked before the entry that says so is durable, and no `purge` entry is made without a durable
receipt. A cut in between leaves files whose entry says that they are gone: `finish` unlinks them after the next start.
Assumes the thread that owns the journal.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agent.errors import FormatError
from agent.formats.entries import MAX_FILE_LINE_BYTES, Entry, parse_line
from agent.ports import Disk
from agent.store.custody import MS_PER_DAY, Custody, Holding, LastAck
from agent.store.journal import Journal
from agent.store.last import FOLDER, file_numbers, file_path

TRIM_DAYS = 30


def purge(journal: Journal, disk: Disk, holdings: Sequence[Holding]) -> None:
    """Delete these received segments. Raises StoreError when the journal takes no entry: then all are still there;
    DiskError when an unlink fails: what is left is found by `finish`."""
    for holding in holdings:
        assert holding.receipt is not None, "never without a receipt"
        journal.append("purge", {"rec": holding.rec, "seg": holding.seg, "receipt": holding.receipt.body})
    journal.commit()
    _unlink(disk, [holding.path for holding in holdings])


def trim(journal: Journal, disk: Disk, ack: LastAck, low: int, signed_utc_ms: int) -> None:
    """Delete the journal's oldest files: those wholly acknowledged and below `low`, whose successor is 30 days old and
    begins with a checkpoint under which no recording is open. Raises StoreError, DiskError."""
    numbers = file_numbers(disk)
    keep_from = None
    for number in numbers[1:]:
        if number > min(ack.seq + 1, low):
            break
        first = _first_entry(disk, number)
        if not _is_old(first, signed_utc_ms):
            break
        if first.head.kind == "checkpoint" and first.body is not None and not first.body["open"]:
            keep_from = number
    if keep_from is None:
        return
    journal.append("trim", {"first": 0, "last": keep_from - 1, "ack": ack.entry.body})
    journal.commit()
    _unlink_below(disk, numbers, keep_from)


def finish(disk: Disk, custody: Custody) -> None:
    """After the survey: unlink what entries from before this run say is gone. Raises DiskError."""
    paths, trimmed = custody.unfinished()
    _unlink(disk, paths)
    if trimmed is not None:
        _unlink_below(disk, file_numbers(disk), trimmed + 1)


def file_of(disk: Disk, seq: int) -> int:
    """The number of the journal file that a reader begins with to meet entry `seq`. Raises DiskError."""
    return max(number for number in file_numbers(disk) if number <= seq)


def _unlink(disk: Disk, paths: Iterable[str]) -> None:
    there = [path for path in paths if disk.exists(path)]
    for path in there:
        disk.unlink(path)
    for folder in sorted({path.rpartition("/")[0] for path in there}):
        disk.sync_folder(folder)


def _unlink_below(disk: Disk, numbers: Sequence[int], keep_from: int) -> None:
    """The oldest first: whatever a cut leaves is one journal without a hole."""
    gone = [number for number in numbers if number < keep_from]
    for number in gone:
        disk.unlink(file_path(number))
    if gone:
        disk.sync_folder(FOLDER)


def _first_entry(disk: Disk, number: int) -> Entry:
    path = file_path(number)
    line = disk.read(path, 0, MAX_FILE_LINE_BYTES).split(b"\n", 1)[0]
    try:
        return parse_line(line + b"\n")
    except FormatError as error:
        raise error.at(path) from None


def _is_old(entry: Entry, signed_utc_ms: int) -> bool:
    """All before it is at least as old. An entry without a time says nothing, and keeps what is before it."""
    utc_ms, err_ms = entry.head.stamp.utc_ms, entry.head.stamp.err_ms
    if utc_ms is None or err_ms is None:
        return False
    return utc_ms + err_ms <= signed_utc_ms - TRIM_DAYS * MS_PER_DAY
