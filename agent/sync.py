"""One docking, from contact to undocking: what is said to the dock, and what is taken of what it says.

Guarantees: no statement has an effect before Hearing has taken it, and none that is journalled before its entry is
durable; the journal goes out from the dock's own position on; nothing waits for the network, and nothing here can delay
a press: the writer does a docking's errands last. Assumes: `step` is called when something was posted and at least
every TICK_NS; `durable` names the writer's last durable entry. Source: docs/docking.md, "One docking".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import keys, orders
from agent.clock import TimeKeeper
from agent.conversation import RANDOM_BYTES, Conversation, Self, Time
from agent.errors import CertificateError, ConfigError, DiskError, StoreError
from agent.formats import fields, wire
from agent.formats.canonical import Object
from agent.formats.statement import NOTHING_SEQ, Policy
from agent.keeping import Entry, Keeping
from agent.mailbox import Mailbox
from agent.model import (
    NS_PER_S,
    Arrived,
    Connected,
    Disconnected,
    NetworkEvent,
    Published,
    PublishRefused,
    Uploaded,
    UploadFailed,
)
from agent.ports import Broker, Random, Uploader
from agent.receipts import Receipts
from agent.sending import Sending
from agent.session import Camera, Heard, Hearing, NotTaken, certificates_of
from agent.store.custody import Custody
from agent.store.outbox import Outbox
from agent.store.state import Reference, parse_reference
from agent.terminal import printable
from agent.uploads import Uploads

TICK_NS = NS_PER_S // 10
INBOX = 256
SILENT_NS = 180 * NS_PER_S  # a dock that has answered nothing for so long is none
FIRST_ACK_NS = 2 * NS_PER_S
REFUSED_PAUSE_NS = 5 * NS_PER_S
LAST_WORDS_NS = 10 * NS_PER_S  # the writer may take so long for `undock`
REFUSAL_NS = 60 * NS_PER_S
TRIM_NS = 3600 * NS_PER_S
MAX_SAID = 200


@dataclass(frozen=True, slots=True)
class Leave:
    """The contact is gone, or the agent ends."""


SyncNews = NetworkEvent | orders.Kept | Leave


@dataclass(frozen=True, slots=True)
class Facts:
    """What a docking begins with. `newest_policy`: version of the newest policy that is on the card; `dseq`, `ack`: as
    the journal has them."""

    dev: str
    jid: str
    agency: str
    root: x509.Certificate
    policy: Policy
    newest_policy: int
    dseq: Mapping[str, int]
    ack: Reference | None


@dataclass(frozen=True, slots=True)
class Outside:
    """Ports and neighbours. `order` is False when the writer has no slot; `durable` may be asked by any thread."""

    broker: Broker
    uploader: Uploader
    random: Random
    keeper: TimeKeeper
    order: Callable[[orders.Order], bool]
    tell: Callable[[orders.DockingNews], None]
    durable: Callable[[], Reference]


class Phase(Enum):
    """How far the docking is."""

    ASKING = auto()
    DOCKED = auto()
    LEAVING = auto()
    ENDED = auto()


class Sync:
    """One docking. It is over when `ended`; the next one is another Sync."""

    def __init__(
        self, facts: Facts, outside: Outside, outbox: Outbox, custody: Custody, inbox: Mailbox[SyncNews]
    ) -> None:
        self.inbox = inbox
        self._facts = facts
        self._outside = outside
        self._outbox = outbox
        self._custody = custody
        self._session = outside.random(RANDOM_BYTES).hex()
        who = Self(facts.dev, facts.jid, self._session, outside.durable, outbox.oldest)
        self._line = Conversation(who, outside.broker, outside.random, facts.root)
        camera = Camera(facts.dev, facts.jid, self._session, facts.root, facts.policy.docks)
        self._hearing = Hearing(camera, facts.dseq)
        self._keeping = Keeping(outside.order, NOTHING_SEQ if facts.ack is None else facts.ack.seq)
        self._receipts = Receipts(custody, self._keeping, outside.broker)
        self._sending = Sending(outbox)
        self._uploads = Uploads(custody, outside.uploader, facts.policy.intake_hosts)
        self._newest_policy = facts.newest_policy
        self._phase = Phase.ASKING
        self._beacon = ""
        self._answered_ns = 0
        self._signed_utc_ms = 0
        self._purge_due = False
        self._trim_due = False
        self._trimmed_ns: int | None = None
        self._leave_by_ns = 0
        self._refused_ns: dict[str, int] = {}
        self._alerted: set[str] = set()
        self._told: orders.Progress | None = None
        self._tell_at_ns = 0

    @property
    def ended(self) -> bool:
        return self._phase is Phase.ENDED

    def leave(self) -> None:
        """End in order: the journal says so, then `ended`."""
        self.inbox.post(Leave())

    def step(self, now_ns: int) -> None:
        """Handle all that was posted, then what time has made due."""
        for item in self.inbox.take():
            self._handle(item, now_ns)
        if self._phase is Phase.LEAVING:
            self._finish_leaving(now_ns)
        elif self._phase is not Phase.ENDED:
            self._stay(now_ns)
        self._keeping.step(now_ns)

    def _stay(self, now_ns: int) -> None:
        self._line.step(now_ns)
        if self._phase is Phase.DOCKED:
            self._send_journal(now_ns)
            for refused in self._receipts.step():
                self._note_refusal(refused, now_ns)
            self._note_refusal(self._uploads.step(now_ns), now_ns)
            self._delete(now_ns)
            self._tell_progress(now_ns)
            if now_ns - self._answered_ns >= SILENT_NS:
                self._leave(now_ns)

    def _handle(self, item: SyncNews, now_ns: int) -> None:
        match item:
            case Connected() | Disconnected() | Arrived() | PublishRefused() if (
                item.connection != self._line.connection
            ):
                pass  # of a connection that is over
            case Connected():
                self._line.connected(item, now_ns)
                self._sending.lost()
            case Disconnected():
                self._line.disconnected(now_ns)
            case Arrived():
                self._arrived(item, now_ns)
            case PublishRefused():
                self._sending.pause(now_ns + REFUSED_PAUSE_NS)
            case Published():
                pass  # the broker has it: that is no promise that the dock will
            case Uploaded() | UploadFailed():
                self._note_refusal(self._uploads.ended(item, now_ns), now_ns)
            case orders.Kept():
                self._kept(self._keeping.kept(item.number), now_ns)
            case Leave():
                self._leave(now_ns)

    # What the dock says.

    def _arrived(self, event: Arrived, now_ns: int) -> None:
        heard = self._hearing.hear(event.payload, event.properties)
        if isinstance(heard, NotTaken):
            self._note_refusal(heard, now_ns)
        elif heard is not None and self._follow(heard, event, now_ns):
            return  # acknowledged once it is durable
        self._outside.broker.acknowledge(event)

    def _follow(self, heard: Heard, event: Arrived, now_ns: int) -> bool:
        """True if the message waits for its entry."""
        value = heard.statement.value
        match heard.statement.name:
            case "beacon":
                self._note_refusal(self._answer(heard, now_ns), now_ns)
            case "ack":
                self._sending.acknowledged(parse_reference(value), self._outside.durable(), now_ns)
                self._keeping.hold(heard)
            case "ticket":
                self._note_refusal(self._uploads.ticket(value, now_ns), now_ns)
            case "receipt" | "assign" | "hold":
                self._receipts.add(heard, event)
                return True
            case "policy":
                self._note_refusal(self._policy(heard), now_ns)
            case name:
                self._note_refusal(NotTaken(f"{name}_unknown", f"this version takes no {name}"), now_ns)
        return False

    def _answer(self, heard: Heard, now_ns: int) -> NotTaken | None:
        """A beacon: the time, if it is an answer."""
        time = self._line.answer(heard, now_ns)
        if not isinstance(time, Time):
            return time
        self._outside.keeper.anchor(time.utc_ms, time.err_ms, now_ns)
        self._answered_ns = now_ns
        self._signed(time.signed_ms)
        self._beacon = heard.statement.digest.hex()
        if self._phase is Phase.ASKING:
            self._dock(heard)
        elif self._phase is Phase.DOCKED:
            self._keeping.hold(heard)
        return None

    def _dock(self, beacon: Heard) -> None:
        """The dock has authenticated itself: from here on it is heard, and nobody else."""
        self._phase = Phase.DOCKED
        self._hearing.settle(beacon)
        chain = [fields.encode_base64(der) for der in beacon.chain]
        self._keeping.add_own("dock", {**self._docking(), "chain": chain})
        self._keeping.add(beacon, None)

    def _docking(self) -> Object:
        return {"session": self._session, "dock": self._hearing.dock, "beacon": self._beacon}

    def _policy(self, heard: Heard) -> NotTaken | None:
        """A newer policy is kept for the next start, if this camera may record under it."""
        version = fields.integer_of(heard.statement.value, "version")
        if version <= self._newest_policy:
            return None
        facts, line = self._facts, heard.statement.line
        try:
            pem = b"".join(each.public_bytes(Encoding.PEM) for each in certificates_of(heard.chain))
            keys.load_policy(line, pem, facts.root, facts.dev, facts.agency, version, "policy")
        except (CertificateError, ConfigError) as error:
            return NotTaken("policy_invalid", str(error))
        if self._outside.order(orders.KeepPolicy(version, line + pem)):
            self._newest_policy = version
        return None

    def _signed(self, utc_ms: int) -> None:
        """The dock has said this time: what is due by it may go."""
        self._signed_utc_ms = max(self._signed_utc_ms, utc_ms)
        self._purge_due = True

    # What is durable.

    def _kept(self, entries: list[Entry], now_ns: int) -> None:
        for entry in entries:
            if entry.arrived is not None:
                self._outside.broker.acknowledge(entry.arrived)
            match entry.kind:
                case "dock" if self._phase is Phase.DOCKED:
                    assert self._hearing.dock is not None
                    self._outside.tell(orders.Docked(self._hearing.dock))
                case "receipt" if entry.heard is not None:
                    self._receipts.kept(entry.heard)
                    self._signed(fields.parse_utc(entry.heard.statement.value["utc"], "receipt.utc"))
                case "ack":
                    self._trim_due = True
                case "undock":
                    self._end()

    def _send_journal(self, now_ns: int) -> None:
        if not self._line.online:
            return
        durable = self._outside.durable()
        if self._sending.position is None and now_ns - self._answered_ns >= FIRST_ACK_NS:
            self._sending.assume(self._facts.ack)
        try:
            while (found := self._sending.next(durable, now_ns)) is not None:
                self._line.publish(wire.journal_topic(self._facts.dev), found.batch.payload, found.batch.properties)
        except (StoreError, DiskError) as error:
            self._alert("journal_unreadable", f"{error.where}: {error.problem}")
        if self._sending.differs:
            self._alert("archive_differs", self._hearing.dock or "")

    def _delete(self, now_ns: int) -> None:
        """What the policy lets go; when depends on times that the dock has signed, on nothing else.

        While the time is disputed no date decides: what the policy purges at once goes, and the rest waits.
        """
        if not self._custody.ready:
            return
        order, policy = self._outside.order, self._facts.policy
        disputed = self._outside.keeper.disputed
        signed_utc_ms = None if disputed else self._signed_utc_ms
        if self._purge_due and order(orders.PurgeDue(signed_utc_ms, policy.purge_days)):
            self._purge_due = False
        if disputed or not self._trim_due or (self._trimmed_ns is not None and now_ns - self._trimmed_ns < TRIM_NS):
            return
        if order(orders.TrimDue(self._signed_utc_ms)):
            self._trim_due, self._trimmed_ns = False, now_ns

    # The end.

    def _leave(self, now_ns: int) -> None:
        docked = self._phase is Phase.DOCKED
        if not docked and self._phase is not Phase.ASKING:
            return
        self._uploads.stop()
        self._outside.tell(orders.Undocked())
        self._phase, self._leave_by_ns = Phase.LEAVING, now_ns + LAST_WORDS_NS
        if docked:
            self._keeping.release()
            self._keeping.add_own("undock", self._docking())
        else:
            self._end()

    def _finish_leaving(self, now_ns: int) -> None:
        if now_ns >= self._leave_by_ns:  # the writer does not answer; the next `dock` entry shows that this one ended
            self._end()

    def _end(self) -> None:
        self._phase = Phase.ENDED
        self._outside.order(orders.Settle())
        self._line.close()

    # What is told.

    def _note_refusal(self, refused: NotTaken | None, now_ns: int) -> None:
        """A refusal becomes an entry, at most one a minute and cause."""
        if refused is None:
            return
        last_ns = self._refused_ns.get(refused.cause)
        if last_ns is not None and now_ns - last_ns < REFUSAL_NS:
            return
        body: Object = {
            "cause": refused.cause,
            "values": {"problem": printable(refused.problem)[:MAX_SAID]},
            "remedy": "see_journal",
        }
        if self._outside.order(orders.Note("refused", body)):
            self._refused_ns[refused.cause] = now_ns

    def _alert(self, cause: str, problem: str) -> None:
        """Once a docking."""
        if cause in self._alerted:
            return
        values: Object = {"problem": printable(problem)[:MAX_SAID]}
        body: Object = {"cause": cause, "values": values, "remedy": "hand_in"}
        if self._outside.order(orders.Note("alert", body)):
            self._alerted.add(cause)

    def _tell_progress(self, now_ns: int) -> None:
        if now_ns < self._tell_at_ns:
            return
        position = self._sending.position
        uploads, upload_bytes = self._custody.unreceived
        total = self._outside.durable().seq + 1
        progress = orders.Progress(0 if position is None else position.seq + 1, total, uploads, upload_bytes)
        if progress != self._told:
            self._told, self._tell_at_ns = progress, now_ns + NS_PER_S
            self._outside.tell(progress)
