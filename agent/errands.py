"""What a docking wants of the writer: entries kept, segments and old journal files deleted, a policy put by.

Guarantees: one errand a step, and only when the writer has nothing else to do: a press is never behind one. Nothing is
deleted before its entry is durable (agent/store/purge.py). A deletion that the card refuses is an `alert`; the journal
goes on. Assumes the thread that owns the journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from agent.errors import DiskError
from agent.orders import Errand, Keep, KeepPolicy, Kept, PurgeDue, Settle, TrimDue
from agent.ports import Disk
from agent.store.custody import Custody, Holding, started_seq
from agent.store.journal import Journal
from agent.store.purge import file_of, finish, purge, trim
from agent.store.relay import keep_policy

PURGES_A_STEP = 16
"""Segments that share the fsyncs of one deletion: half a second of a slow card, after which the press is looked for."""


class Errands:
    """The writer's list. `custody` is fed by the journal, and answers what may be deleted."""

    def __init__(self, journal: Journal, disk: Disk, custody: Custody, report: Callable[[Kept], None]) -> None:
        self._journal = journal
        self._disk = disk
        self._custody = custody
        self._report = report
        self._list: deque[Errand] = deque()
        self._finished = False

    def add(self, errand: Errand) -> None:
        """Do it when its turn comes."""
        self._list.append(errand)

    def step(self) -> bool:
        """Do one; True if there may be more. Raises StoreError when the journal takes nothing more, DiskError."""
        if self._custody.ready and not self._finished:
            self._finished = True
            self._delete(lambda: finish(self._disk, self._custody))
            return True
        if not self._list:
            return False
        errand = self._list[0]
        if not (isinstance(errand, PurgeDue) and self._purge_some(self._due(errand))):
            self._list.popleft()
            self._run_errand(errand)
        return True

    def free_some(self) -> bool:
        """Space is needed: delete some of what a dock has, the oldest first. Whether anything was."""
        return self._purge_some(self._custody.spare())

    def _run_errand(self, errand: Errand) -> None:
        match errand:
            case Keep():
                for kind, body in errand.entries:
                    self._journal.append(kind, body)
                self._journal.commit()
                self._report(Kept(errand.number))
            case KeepPolicy():
                self._delete(lambda: keep_policy(self._disk, errand.version, errand.data))
            case TrimDue():
                self._trim(errand.signed_utc_ms)
            case Settle():
                self._raise_low()
                if self._journal.low_has_risen:
                    self._journal.rotate()
            case PurgeDue():
                pass  # nothing is due any more

    def _due(self, errand: PurgeDue) -> list[Holding]:
        return self._custody.purgeable(errand.signed_utc_ms, errand.purge_days)

    def _purge_some(self, holdings: list[Holding]) -> bool:
        some = holdings[:PURGES_A_STEP]
        return bool(some) and self._delete(lambda: purge(self._journal, self._disk, some))

    def _trim(self, signed_utc_ms: int) -> None:
        self._raise_low()
        ack = self._custody.last_ack()
        if ack is not None:
            low = max(self._journal.state.low, self._low() or 0)
            self._delete(lambda: trim(self._journal, self._disk, ack, low, signed_utc_ms))

    def _raise_low(self) -> None:
        low = self._low()
        if low is not None:
            self._journal.raise_low(low)

    def _low(self) -> int | None:
        needed = self._custody.oldest_needed(self._journal.next_seq - 1)
        if needed is None:
            return None
        return file_of(self._disk, min([needed, *(started_seq(each.rec) for each in self._journal.state.open)]))

    def _delete(self, act: Callable[[], None]) -> bool:
        """Whether the card did it. What it refused is told: the next start tries again."""
        try:
            act()
        except DiskError as error:
            self._journal.append_card_failure("card_delete_failed", error.where, error)
            self._journal.commit()
            return False
        return True
