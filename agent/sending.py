"""The journal on its way to the dock: which batch goes next, and what an `ack` means for it.

Guarantees: batches go out in order, at most MAX_UNDER_WAY of them unacknowledged, never beyond the durable entry; the
position moves by a dock's `ack` only. Where the archive holds another entry than the camera under the same number
(`differs`) nothing more is sent. Assumes that who gives an ack has verified it. Source: docs/docking.md, 4 and 5.
"""

from __future__ import annotations

from agent.formats.fields import ZERO_HASH
from agent.formats.statement import NOTHING_SEQ
from agent.model import NS_PER_S
from agent.store.outbox import Outbox, Outgoing
from agent.store.state import Reference

MAX_UNDER_WAY = 8
NOTHING = Reference(NOTHING_SEQ, ZERO_HASH)
ANSWER_NS = 10 * NS_PER_S  # no ack for so long: what is under way is sent again
QUIET_NS = NS_PER_S  # acks of what was sent before going back may still come


class Sending:
    """`position` is where the archive ends, as far as a dock has said; None until it has, or until `assume`."""

    def __init__(self, outbox: Outbox) -> None:
        self.position: Reference | None = None
        self.differs = False
        self._outbox = outbox
        self._next_seq = 0
        self._under_way: list[int] = []  # last entry of each batch
        self._progress_ns = 0
        self._quiet_until_ns = 0
        self._pause_until_ns = 0

    def assume(self, position: Reference | None) -> None:
        """Nobody has said where the archive ends: begin behind what was acknowledged last. Its answer will tell."""
        self.position = position or NOTHING
        self._go_back()

    def acknowledged(self, ack: Reference, durable: Reference, now_ns: int) -> None:
        """The dock's archive ends with this entry."""
        before = self.position
        if ack.seq > durable.seq or (ack.seq == durable.seq and ack.head != durable.head):
            self.differs = True
            return
        self.position = ack
        if before is None:
            self._go_back()
        elif ack.seq > before.seq:
            self._progress_ns = now_ns
            self._under_way = [last for last in self._under_way if last > ack.seq]
            self._next_seq = max(self._next_seq, ack.seq + 1)
        elif ack.seq < before.seq or now_ns >= self._quiet_until_ns:
            self._quiet_until_ns = now_ns + QUIET_NS
            self._go_back()

    def lost(self) -> None:
        """Connection gone: what was under way counts for nothing."""
        self._go_back()

    def pause(self, until_ns: int) -> None:
        """The broker, or nobody behind it, takes messages: go back, and wait."""
        self._pause_until_ns = until_ns
        self._go_back()

    def next(self, durable: Reference, now_ns: int) -> Outgoing | None:
        """The batch that may go now. Raises StoreError, DiskError."""
        if self.position is None or self.differs or now_ns < self._pause_until_ns:
            return None
        if self._under_way and now_ns - self._progress_ns >= ANSWER_NS:
            self._go_back()
        first = self._next_seq
        if first > durable.seq or len(self._under_way) >= MAX_UNDER_WAY:
            return None
        if first == self.position.seq + 1:
            first = max(first, self._outbox.oldest())  # an archive that has nothing begins where the camera begins
        found = self._outbox.batch(first, durable.seq)
        assert found is not None
        if first == self.position.seq + 1 and found.batch.prev != self.position.head:
            self.differs = True
            return None
        self._next_seq = found.last + 1
        if not found.only_acks:
            if not self._under_way:
                self._progress_ns = now_ns
            self._under_way.append(found.last)
        return found

    def _go_back(self) -> None:
        self._under_way.clear()
        self._next_seq = 0 if self.position is None else self.position.seq + 1
