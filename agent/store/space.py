"""How much of the card a recording may still need, and when a press is refused for it.

Guarantees: a recording that was let in can write its pre-record and some footage, and can always be ended in order.
Nothing is allocated beforehand: the reserve is only never given to anything else.
"""

from __future__ import annotations

from agent.errors import DiskError
from agent.formats.age import SEALED_CHUNK_BYTES
from agent.formats.entries import MAX_FILE_LINE_BYTES
from agent.model import Unavailable
from agent.ports import Disk
from agent.store.journal import MAX_FILE_BYTES
from agent.store.segments import MAX_SEGMENT_BYTES

MS_PER_MINUTE = 60_000
BITS_PER_BYTE = 8
CLOSING_ENTRIES = 16
"""Entries that may still come: seal, stop, gap, marks, an alert, a checkpoint; twice, should the first write fail."""
FILE_SYSTEM_BYTES = 1024 * 1024
"""Folders, and blocks that files do not fill."""


def closing_bytes() -> int:
    """What ends a recording in order: the index in the open segment, the last entries, a new journal file.

    Below this a recording is stopped with the cause `card`.
    """
    return SEALED_CHUNK_BYTES + 2 * CLOSING_ENTRIES * MAX_FILE_LINE_BYTES + FILE_SYSTEM_BYTES


def reserve_bytes(prerecord_ms: int, bits_per_second: int) -> int:
    """What has to be free for a press: the pre-record, one whole segment after it, a journal file, and the closing.

    Sealed footage is taken as a tenth larger than its bit rate says, for padding, tags and hashes (docs/formats.md).
    """
    prerecord_bytes = bits_per_second // BITS_PER_BYTE * prerecord_ms // 1000
    return prerecord_bytes * 11 // 10 + MAX_SEGMENT_BYTES + MAX_FILE_BYTES + closing_bytes()


def room(disk: Disk, reserve_bytes: int) -> Unavailable | None:
    """None if a recording may start; else the reason: `card_full` below the reserve, `card_unreadable` if unknown."""
    try:
        free_bytes = disk.free_bytes()
    except DiskError as error:
        return Unavailable("card_unreadable", {"problem": error.problem})
    if free_bytes >= reserve_bytes:
        return None
    return Unavailable("card_full", {"free_bytes": str(free_bytes), "needed_bytes": str(reserve_bytes)})


def free_bytes(disk: Disk) -> int | None:
    """What is free; None while it cannot be told."""
    try:
        return disk.free_bytes()
    except DiskError:
        return None


def minutes_left(free_bytes: int, reserve_bytes: int, bits_per_second: int) -> int:
    """Whole minutes of footage above the reserve, padding included as in `reserve_bytes`."""
    bytes_per_minute = bits_per_second * MS_PER_MINUTE // 1000 // BITS_PER_BYTE * 11 // 10
    return max(0, free_bytes - reserve_bytes) // bytes_per_minute
