"""The rig with a dock: the camera's loops, its docking and the dock on one thread and one clock.

At each deletion of a segment's file the card must hold, durably, a receipt and a purge entry for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from agent.evidence import verdict
from agent.evidence.verify import verify
from agent.formats.fields import integer_of, ns_of, text_of
from agent.formats.statement import parse_in
from agent.mailbox import Mailbox
from agent.model import NS_PER_MS, Contact, NetworkEvent
from agent.order_box import FOR_CONTROL
from agent.orders import DockingNews, Kept, Order
from agent.store.outbox import Outbox
from agent.store.relay import newest_version
from agent.store.segments import segment_path
from agent.store.state import Reference
from agent.sync import INBOX, Facts, Outside, Sync, SyncNews
from tests.support.agency import NOW_MS, TestAgency
from tests.support.rig import Rig, _entries
from tests.support.simdock import CALM, SimDock

FOR_DOCKING = 2 * FOR_CONTROL


class DockRig(Rig):
    """One camera and one dock, which stays when the camera is killed or cut."""

    def __init__(
        self, folder: Path, agency: TestAgency, fate: Callable[[int], int] = CALM, purge_days: int = 0
    ) -> None:
        self.sync: Sync | None = None
        self.on_contact = False
        self.docked_news: list[DockingNews] = []
        self.purge_days = purge_days
        self._utc_at_ns = 0
        super().__init__(folder, agency)
        self._started_ns = self.clock.now_ns
        self.dock = SimDock(agency, self.root, lambda: self.clock.now_ns, self.utc_ms, fate)

    def utc_ms(self) -> int:
        """The true time."""
        return NOW_MS + (self.clock.now_ns - self._started_ns) // NS_PER_MS

    # What somebody does.

    def touch(self) -> None:
        """On the dock."""
        self.on_contact = True
        self.supervisor.news.post(Contact(True))
        self.settle()

    def lift(self) -> None:
        """Off it."""
        self.on_contact = False
        self.supervisor.news.post(Contact(False))
        self.settle()

    # The wires.

    def turn(self) -> None:
        super().turn()
        if self.sync is None and self.on_contact:
            self.sync = self._begin()
        sync = self.sync
        if sync is not None:
            self.dock.step()
            sync.step(self.clock.now_ns)
            self.dock.step()
            if sync.ended:
                self.sync = None
                self.dock.post = lambda event: None

    def kill(self) -> None:
        super().kill()
        self.sync = None
        self.on_contact = False
        if hasattr(self, "dock"):
            self.dock.camera_gone()

    def _touched(self, on: bool) -> None:
        if not on and self.sync is not None:
            self.sync.leave()

    def _begin(self) -> Sync:
        inbox: Mailbox[SyncNews] = Mailbox(INBOX)

        def post(event: NetworkEvent) -> None:
            assert inbox.post(event), "the inbox is full"

        self.dock.post = post
        state, agency = self.journal.state, self.agency
        policy = replace(agency.policy, purge_days=self.purge_days)
        facts = Facts(
            self._dev,
            state.position.jid,
            agency.agency,
            agency.root,
            policy,
            max(policy.version, newest_version(self.disk)),
            dict(state.dseq),
            state.ack,
        )
        outside = Outside(
            self.dock, self.dock, self._random, self.keeper, self._order, self._tell, lambda: durable_of(self)
        )
        return Sync(facts, outside, Outbox(self.disk), self.custody, inbox)

    def _order(self, order: Order) -> bool:
        return self.supervisor.orders.post(order, leaving=FOR_DOCKING)

    def _tell(self, news: DockingNews) -> None:
        self.docked_news.append(news)
        self.supervisor.news.post(news)

    def _deliver(self) -> None:
        waiting, self._waiting = self._waiting, []
        for report in waiting:
            if not isinstance(report, Kept):
                self.supervisor.news.post(report)
            elif self.sync is not None:
                self.sync.inbox.post(report)

    def _observe(self, operation: str, path: str) -> None:
        super()._observe(operation, path)
        if operation == "unlink" and path.startswith("segments/"):
            assert {"receipt", "purge"} <= self._allowed(path), f"{path} is deleted without its durable entries"

    def _allowed(self, path: str) -> set[str]:
        found: set[str] = set()
        for entry in _entries(self.root, self._durable_bytes):
            body = entry.body
            assert body is not None
            if entry.head.kind in ("receipt", "purge"):
                value = parse_in(body).value if "statement" in body else body
                if segment_path(text_of(value, "rec"), integer_of(value, "seg")) == path:
                    found.add(entry.head.kind)
        return found

    # What came of it.

    def verify(self) -> verdict.Report:
        return verify(self.root, self.agency.root_pem, now_ms=self.utc_ms())

    def check(self, *, more: frozenset[str] = frozenset()) -> None:
        """As without a dock; a bracket may rest on the dock's claim, and while the dock is right so is the bracket."""
        super().check(more=more | {"bracket-claimed"})
        if self.dock.utc_ms == self.utc_ms:
            self.check_brackets()

    def check_brackets(self) -> None:
        """The true time of each first and last picture lies in its bracket."""
        pictures: dict[str, list[int]] = {}
        for body in self.bodies("fragment"):
            t0_ns = ns_of(body, "t0_ns")
            pictures.setdefault(text_of(body, "rec"), []).extend((t0_ns, t0_ns + ns_of(body, "dur_ns")))
        for each in self.verify().recordings:
            moments = pictures[each.rec]
            for bracket, at_ns in ((each.began, min(moments)), (each.ended, max(moments))):
                true_ns = NOW_MS * NS_PER_MS + at_ns - self._started_ns
                assert not bracket.disputed
                assert bracket.not_before_ms is None or bracket.not_before_ms * NS_PER_MS <= true_ns
                assert bracket.not_after_ms is None or true_ns <= bracket.not_after_ms * NS_PER_MS

    def synced(self) -> bool:
        """The archive ends where the journal ends, but for acks that no dock answers."""
        lines = [entry.line for entry in self.entries()]
        rest = self.entries()[len(self.dock.archive) :]
        return self.dock.archive == lines[: len(self.dock.archive)] and not rest


def durable_of(rig: Rig) -> Reference:
    assert rig.journal.durable is not None
    return rig.journal.durable
