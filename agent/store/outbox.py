"""What the dock has not acknowledged, as batches made from the journal itself: there is no second queue.

Guarantees: whole lines in their order, each once, at most MAX_BATCH_BYTES a batch, none beyond the entry that is said
to be durable. Memory is bounded by one batch. Source: docs/docking.md, "Topics".
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.formats.wire import MAX_BATCH_BYTES, Batch
from agent.ports import Disk
from agent.store.lines import JournalLines, Line


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A batch, the number of its last entry, and whether it holds nothing but `ack`: then no dock answers it."""

    batch: Batch
    last: int
    only_acks: bool


class Outbox:
    """Batches in order; asking for another first entry than the one that follows costs the way to it."""

    def __init__(self, disk: Disk) -> None:
        self._lines = JournalLines(disk)

    def oldest(self) -> int:
        """The oldest entry that the camera still has."""
        return self._lines.oldest()

    def batch(self, first: int, last: int) -> Outgoing | None:
        """Entries from `first` on, none after `last`; None when there are none. Raises StoreError, DiskError."""
        if first > last:
            return None
        if self._lines.next_seq != first:
            self._lines.seek(first)
        taken: list[Line] = []
        size_bytes = 0
        while (line := self._lines.peek(last)) is not None:
            size_bytes += len(line.data)
            if size_bytes > MAX_BATCH_BYTES:
                break
            self._lines.take(last)
            taken.append(line)
        assert taken, "one line always fits into a batch"
        payload = b"".join(line.data for line in taken)
        only_acks = all(line.kind == "ack" for line in taken)
        return Outgoing(Batch(first, taken[0].prev, payload), taken[-1].seq, only_acks)
