"""A dock as a device: behind the camera's ports Broker and Uploader, with a network that loses, doubles, delays.

It keeps what docs/docking.md asks of a dock, in its own words: no code of dock/ is here. What is in `archive` and
`blobs` counts as durable there. `fate(n)` draws a number from 0 to n-1 for everything that may go wrong; with `CALM`
all goes well and at once. Lines that differ from what it has fail the test.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from agent.formats import fields, wire
from agent.formats.canonical import Object, Value
from agent.formats.entries import Entry, parse_line
from agent.formats.fields import ZERO_HASH, format_utc
from agent.formats.statement import Statement, compose, parse_embedded
from agent.model import (
    NS_PER_MS,
    NS_PER_S,
    Arrived,
    Connected,
    Disconnected,
    Greeting,
    Message,
    NetworkEvent,
    Published,
    PublishRefused,
    Upload,
    Uploaded,
    UploadFailed,
)
from agent.store.segments import segment_path
from firmware.certificates import sign
from tests.support.agency import TestAgency

DOCK = "dock-01"
TICKET_S = 20
MAX_TICKETS = 2
CALM: Callable[[int], int] = lambda n: 0  # noqa: E731


@dataclass
class SimDock:
    """`now_ns` and `utc_ms` give the time, `card` is the camera's data folder."""

    agency: TestAgency
    card: Path
    now_ns: Callable[[], int]
    utc_ms: Callable[[], int]
    fate: Callable[[int], int] = CALM
    name: str = DOCK
    archive: list[bytes] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    said: list[tuple[Statement, bytes]] = field(default_factory=list)
    statuses: list[wire.Status] = field(default_factory=list)
    batches: list[wire.Batch] = field(default_factory=list)
    acknowledged: list[Arrived] = field(default_factory=list)
    uploads: list[Upload] = field(default_factory=list)
    refuse_messages: int = 0
    dead: bool = False
    post: Callable[[NetworkEvent], None] = lambda event: None

    def __post_init__(self) -> None:
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self.dseq = 0
        self._connection: int | None = None
        self._greeting: Greeting | None = None
        self.session: str | None = None
        self.jid = ""
        self.dev = ""
        self._tickets: dict[tuple[str, int], int] = {}
        self._sealed: dict[tuple[str, int], Entry] = {}
        self._receipted: set[tuple[str, int]] = set()
        self._uploading: dict[int, Upload] = {}
        self.peer = self.agency.issue("dock-tls", self.name).certificate.public_bytes(Encoding.DER)
        issued = self.agency.dock(self.name)
        self.chain, self.key = (issued.certificate.public_bytes(Encoding.DER),), issued.key
        self.waiting_orders: list[tuple[str, Object]] = []

    def step(self) -> None:
        """All that is due by now happens."""
        while self._due and self._due[0][0] <= self.now_ns():
            heapq.heappop(self._due)[2]()

    # Broker.

    def connect(self, connection: int, greeting: Greeting) -> None:
        self._connection = None
        if self.dead or self._goes_wrong(4):
            self._later(lambda: self.post(Disconnected(connection, "no answer")))
            return
        self._connection, self._greeting = connection, greeting
        self._later(lambda: self.post(Connected(connection, self.peer)))

    def publish(self, message: Message) -> None:
        connection = self._connection
        if connection is None:
            return
        if self.refuse_messages > 0:
            self.refuse_messages -= 1
            self._later(lambda: self.post(PublishRefused(connection, message.number, 0x97)))
            return
        if self._goes_wrong(25):
            self.cut()
            return
        self._later(lambda: self.post(Published(connection, message.number)))
        for _ in range(self._copies()):
            self._later(lambda: self._receive(message))

    def acknowledge(self, arrived: Arrived) -> None:
        self.acknowledged.append(arrived)

    def close(self, last: Message | None) -> None:
        if last is not None and self._connection is not None:
            self._receive(last)
        self.cut()

    def camera_gone(self) -> None:
        """The camera's process has ended, and its uploads with it."""
        self._uploading.clear()
        self.cut()
        self.post = lambda event: None

    def cut(self) -> None:
        """The connection is lost."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._later(lambda: self.post(Disconnected(connection, "lost")))

    # Uploader.

    def start(self, upload: Upload) -> None:
        assert not self._uploading, "another upload is under way: undocking now would cost both"
        self.uploads.append(upload)
        self._uploading[upload.number] = upload
        if self._goes_wrong(4):
            self._later(lambda: self._end(upload, UploadFailed(upload.number, "lost")))
        else:
            self._later(lambda: self._store(upload))

    def expect(self, url: str) -> None:
        assert self._uploading, "nothing is under way that another could follow"

    def stop(self) -> None:
        for number in sorted(self._uploading):
            self.post(UploadFailed(number, "stopped"))
        self._uploading.clear()

    @property
    def under_way(self) -> list[Upload]:
        """Begun, and not answered."""
        return list(self._uploading.values())

    def _store(self, upload: Upload) -> None:
        if upload.number not in self._uploading or self.dead:
            return
        try:
            data = (self.card / upload.path).read_bytes()
        except FileNotFoundError:  # its receipt came meanwhile, of an upload whose answer was lost
            self._end(upload, UploadFailed(upload.number, "no such file"))
            return
        assert len(data) == upload.size
        kept = self.blobs.setdefault(upload.path, data)
        answered = not self._goes_wrong(6)  # stored, but the answer is lost
        status = 200 if kept == data else 409
        self._end(upload, Uploaded(upload.number, status) if answered else UploadFailed(upload.number, "lost"))
        self._go_on()

    def _end(self, upload: Upload, event: NetworkEvent) -> None:
        if upload.number in self._uploading:
            del self._uploading[upload.number]
            self.post(event)

    # The dock.

    def _receive(self, message: Message) -> None:
        if self.dead:
            return
        dev, channel = wire.parse_topic(message.topic)
        if channel is wire.Channel.STATUS:
            status = wire.parse_status(message.payload)
            assert (status.dev, message.retained) == (dev, True)
            self.statuses.append(status)
            if status.state is wire.StatusState.DOCKED:
                self._answer(status)
        else:
            self._take(wire.parse_batch(message.payload, message.properties))

    def _answer(self, status: wire.Status) -> None:
        first = status.session != self.session
        self.session, self.jid, self.dev = status.session, status.jid, status.dev
        self.beacon(status.nonce, status.head)
        if not first:
            return
        self._tickets.clear()
        self.ack()
        for kind, body in self.waiting_orders:
            self.say(kind, **body)
        for key in self._sealed:
            if segment_path(*key) in self.blobs and key not in self._receipted:
                self.receipt(key)
        self._go_on()

    def beacon(self, nonce: str, head: str, **changes: Value) -> Statement:
        utc = format_utc(self.utc_ms())
        own: dict[str, Value] = {"nonce": nonce, "head": head, "err_ms": 5, "token": None, "dock_head": ZERO_HASH}
        return self.say("beacon", **{**own, "utc": utc, **changes})

    def ack(self) -> None:
        head = parse_line(self.archive[-1]).digest.hex() if self.archive else ZERO_HASH
        self.say("ack", seq=len(self.archive) - 1, head=head)

    def _take(self, batch: wire.Batch) -> None:
        self.batches.append(batch)
        entries = [parse_line(line + b"\n") for line in batch.payload.split(b"\n")[:-1]]
        new = [entry for entry in entries if entry.head.seq >= len(self.archive)]
        for entry in entries:
            if entry.head.seq < len(self.archive):
                assert entry.line == self.archive[entry.head.seq], "a fork"
        if batch.first > len(self.archive):
            self.ack()
            return
        for entry in new:
            assert entry.head.seq == len(self.archive)
            if self.archive:
                assert entry.head.prev == parse_line(self.archive[-1]).digest.hex()
            self.archive.append(entry.line)
            self._index(entry)
        if not entries or any(entry.head.kind != "ack" for entry in entries):
            self.ack()
        self._go_on()

    def _index(self, entry: Entry) -> None:
        body = entry.body
        assert body is not None
        if entry.head.kind in ("segment.seal", "segment.recovered") and body["blob"] is not None:
            self._sealed[fields.text_of(body, "rec"), fields.integer_of(body, "seg")] = entry
        elif entry.head.kind == "receipt":
            value = parse_embedded(fields.object_of(body, "statement")).value
            self._receipted.add((fields.text_of(value, "rec"), fields.integer_of(value, "seg")))

    def _go_on(self) -> None:
        """Receipts for what has come, tickets for what has not."""
        if self.session is None:
            return
        for key in [key for key in self._tickets if segment_path(*key) in self.blobs]:
            del self._tickets[key]
            self.receipt(key)
        now_ns = self.now_ns()
        self._tickets = {key: until for key, until in self._tickets.items() if until > now_ns}
        for key in self._sealed:
            if len(self._tickets) >= MAX_TICKETS:
                break
            if segment_path(*key) not in self.blobs and key not in self._tickets:
                self._tickets[key] = now_ns + TICKET_S * NS_PER_S
                self.ticket(key)

    def ticket(self, key: tuple[str, int], **changes: Value) -> Statement:
        host = self.agency.policy.intake_hosts[0]
        own: dict[str, Value] = {
            **self._blob(*key),
            "method": "PUT",
            "url": f"https://{host}/blob/{key[0]}/{key[1]}",
            "headers": [],
            "ttl_s": TICKET_S,
        }
        return self.say("ticket", **{**own, **changes})

    def receipt(self, key: tuple[str, int], **changes: Value) -> Statement:
        entry = self._sealed[key]
        data = self.blobs.get(segment_path(*key), b"")
        assert changes or hashlib.sha256(data).hexdigest() == self._blob(*key)["blob"], "not the blob of its entry"
        own: dict[str, Value] = {
            **self._blob(*key),
            "seal_seq": entry.head.seq,
            "seal_head": entry.digest.hex(),
            "store": "folder",
            "version": "1",
            "dock_head": "0" * 64,
        }
        return self.say("receipt", **{**own, **changes})

    def _blob(self, rec: str, seg: int) -> Object:
        body = self._sealed[rec, seg].body
        assert body is not None
        return {"rec": rec, "seg": seg, "blob": body["blob"], "size": body["size"]}

    @property
    def sealed(self) -> list[tuple[str, int]]:
        """Segments that the archive knows of."""
        return list(self._sealed)

    # What it says.

    def make(self, kind: str, **own: Value) -> Statement:
        """A signed statement of this session, its number the next one, unless `own` says otherwise."""
        self.dseq += 1
        value: dict[str, Value] = {
            "agency": self.agency.agency,
            "dock": self.name,
            "dev": self.dev,
            "jid": self.jid,
            "dseq": self.dseq,
            "session": self.session,
            "utc": format_utc(self.utc_ms()),
            **own,
        }
        text = compose(kind, value)
        return Statement(kind, value, text, sign(self.key, text))

    def say(self, kind: str, **own: Value) -> Statement:
        made = self.make(kind, **own)
        self.send(made.line)
        self.said.append((made, made.line))
        return made

    def send(self, line: bytes, chain: tuple[bytes, ...] | None = None) -> None:
        """A message to the camera, through the network."""
        connection, greeting = self._connection, self._greeting
        if connection is None or greeting is None:
            return
        properties = tuple(wire.chain_properties(self.chain if chain is None else chain))
        for _ in range(self._copies()):
            self._later(lambda: self._arrive(Arrived(connection, greeting.listen, line, properties)))

    def _arrive(self, message: Arrived) -> None:
        if message.connection == self._connection:
            self.post(message)

    # The network.

    def _copies(self) -> int:
        drawn = self.fate(12)
        return {10: 0, 11: 2}.get(drawn, 1)

    def _goes_wrong(self, one_in: int) -> bool:
        return self.fate(one_in) == one_in - 1

    def _later(self, act: Callable[[], None]) -> None:
        delay_ms = (0, 0, 0, 0, 10, 200, 1_500, 35_000)[self.fate(8)]
        self._count += 1
        heapq.heappush(self._due, (self.now_ns() + delay_ms * NS_PER_MS, self._count, act))
