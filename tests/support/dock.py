"""A dock in tests: the station over simulated disks, lines and blobs to give it, and what it said taken apart.

`Bench.start` is a start of the dock's process: after `kill` (the process alone dies) or `power_cut` everything but the
disks is new.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import create_engine

from agent import keys
from agent.errors import DiskError
from agent.formats import statement, wire
from agent.formats.entries import Entry, parse_line
from agent.formats.fields import ZERO_HASH, text_of
from agent.formats.statement import Statement
from agent.formats.wire import Batch, Status, StatusState
from agent.model import NS_PER_MS, NS_PER_S, Stamp, TimeSource
from agent.ports import File
from dock.archive import Archive
from dock.blobs import BlobStore
from dock.catalogue import Catalogue
from dock.journal import DockJournal
from dock.statements import Author
from dock.station import Message, Moment, Rules, Station
from dock.tables import Base
from firmware.certificates import Issued
from hw.sim.disk import Choose, SimDisk, _Content, _SimFile
from tests.support.agency import TestAgency, seeded_random
from tests.support.evidence import Builder

DOCK = "dock-01"
SESSION = "5e" * 16


class SimArchiveDisk(SimDisk):
    """`ArchiveDisk` that knows what is durable."""

    def resume(self, path: str, length: int) -> File:
        with self._operation("resume", path) as real:
            self._check_plain(path, real)
            if real.stat().st_size < length:
                raise DiskError(path, f"is no file of {length} bytes or more", "")
            descriptor = os.open(real, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
            os.ftruncate(descriptor, length)
            content = self._contents.setdefault(path, _Content(path, length, length))
            content.written_bytes = length
            content.durable_bytes = min(content.durable_bytes, length)
            return _SimFile(self, descriptor, content)


class IssuedSigner:
    """`Signer` of what the agency issued in memory."""

    def __init__(self, issued: Issued) -> None:
        self._key = issued.key
        self.chain = (issued.certificate.public_bytes(Encoding.DER),)
        self.key_class = "file"

    def sign(self, digest: bytes) -> bytes:
        return keys.low_s(self._key.sign(digest, keys._PREHASHED))


def _nobody(operation: str, path: str) -> None:
    """Who watches the operations when nobody asked to."""


@dataclass
class Bench:
    """One dock, its disks, its clock, and all that it ever told anybody."""

    root: Path
    agency: TestAgency
    observe: Callable[[str, str], None] = _nobody
    url: str | None = None
    seconds: int = 0
    starts: int = 0
    told: list[Message] = field(default_factory=list)
    reserve_bytes: int = 0

    def __post_init__(self) -> None:
        for name in ("archive", "data"):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.issued = self.agency.dock(DOCK)
        self.make_disks()

    def make_disks(self) -> None:
        """As after a power cut: what lies there is durable."""
        self.disk = SimArchiveDisk(self.root / "archive", self._observe, flush=lambda descriptor: None)
        self.data = SimArchiveDisk(self.root / "data", self._observe, flush=lambda descriptor: None)

    def _observe(self, operation: str, path: str) -> None:
        self.observe(operation, path)

    def start(self) -> Station:
        """A start of the process. The disks stay."""
        self.starts += 1
        signer = IssuedSigner(self.issued)
        random = seeded_random(f"dock {self.starts}")
        self.archive = Archive(self.disk)
        self.blobs = BlobStore(self.disk)
        self.catalogue = closed_when_forgotten(Catalogue.open(self.url)) if self.url else empty_catalogue()
        self.journal = DockJournal.start(self.data, signer, self._stamp, random, dock=DOCK, software="1.0")
        author = Author(self.journal, signer, self.agency.agency, DOCK)
        rules = Rules(
            root=self.agency.root,
            intake_host="dock-01.test:8443",
            store=DOCK,
            policy=statement.parse_line(self.agency.policy_line),
            policy_chain=tuple(
                each.public_bytes(Encoding.DER) for each in keys.load_chain(self.agency.policy_pem, "policy")
            ),
            reserve_bytes=self.reserve_bytes,
        )
        for _, _, folder in self.archive.journals():
            self.blobs.clean(folder)
        self.station = Station(rules, self.archive, self.blobs, self.catalogue, self.journal, author)
        return self.station

    def power_cut(self, choose: Choose = lambda n: 0) -> None:
        """Power fails; what was not durable goes by `choose`."""
        self.disk.power_cut(choose)
        self.data.power_cut(choose)
        self.make_disks()

    def now(self, seconds: int = 1) -> Moment:
        """Later by so many seconds."""
        self.seconds += seconds
        return Moment(self.agency.now_ms + self.seconds * 1000, 20, self.seconds * NS_PER_S)

    def _stamp(self) -> Stamp:
        boot = f"{self.starts:08x}-0000-4000-8000-000000000000"
        mono_ns = self.seconds * NS_PER_S + NS_PER_MS
        return Stamp(self.agency.now_ms + self.seconds * 1000, 20, TimeSource.RTC, mono_ns, boot)

    # --- what a camera does -------------------------------------------------------------------------------------------

    def ask(
        self, made: Builder, session: str = SESSION, nonce: str = "0" * 32, low: int = 0, **changes: str
    ) -> list[Statement]:
        """A camera's status, and what the station says to it."""
        newest = all_entries(made)[-1]
        value = {"dev": made.dev, "jid": made.jid, "session": session, "nonce": nonce, **changes}
        status = Status(
            dev=value["dev"],
            jid=value["jid"],
            session=value["session"],
            nonce=value["nonce"],
            state=StatusState(changes.get("state", "docked")),
            seq=newest.head.seq,
            head=newest.digest.hex(),
            low=low,
        )
        return self.hear(self.station.on_status(status, self.now()))

    def send(self, made: Builder, entries: Sequence[Entry]) -> list[Statement]:
        """One batch, and what the station says to it."""
        return self.hear(self.station.on_batch(made.dev, batch_of(entries), self.now()))

    def upload(self, made: Builder, said: Statement, data: bytes | None = None) -> list[Statement]:
        """Answer a ticket with the camera's file, or with other bytes."""
        rec, seg, size = text_of(said.value, "rec"), said.value["seg"], said.value["size"]
        assert isinstance(seg, int)
        assert isinstance(size, int)
        upload = self.station.open_upload(made.dev, rec, seg, size, self.now())
        content = blob_of(made, rec, seg) if data is None else data
        for begin in range(0, len(content), 100_000):
            upload.write(content[begin : begin + 100_000])
        outcome = upload.finish()
        return self.hear(self.station.on_blob(upload.blob, outcome, self.now()))

    def tick(self, seconds: int = 1) -> list[Statement]:
        return self.hear(self.station.tick(self.now(seconds)))

    def hear(self, messages: Sequence[Message]) -> list[Statement]:
        """The statements, each checked as a camera checks it."""
        self.told += messages
        return [checked(each, self.agency) for each in messages]

    # --- what lies there ----------------------------------------------------------------------------------------------

    def own_entries(self, kind: str) -> Iterator[Entry]:
        """Entries of the dock's own journal."""
        for path in sorted((self.root / "data" / "journal").glob("*.log")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                entry = parse_line(line + b"\n")
                if entry.head.kind == kind:
                    yield entry


def empty_catalogue() -> Catalogue:
    """In memory, its tables made in one step: lost at each start, and read from the archive again."""
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    return closed_when_forgotten(Catalogue(engine))


def closed_when_forgotten(catalogue: Catalogue) -> Catalogue:
    """A dock that is killed closes nothing; this process, which plays it, must."""
    weakref.finalize(catalogue, catalogue.engine.dispose)
    return catalogue


def checked(message: Message, agency: TestAgency) -> Statement:
    """A message's statement, signed by whom it should be."""
    dev, channel = wire.parse_topic(message.topic)
    assert channel is wire.Channel.DOCK
    found = statement.parse_line(message.payload)
    chain = [keys.parse_certificate(der, "chain") for der in wire.parse_chain(message.properties)]
    keys.verify_statement(found, chain, agency.root, "statement", agency.now_ms)
    assert found.name == "policy" or found.value["dev"] == dev
    return found


def batch_of(entries: Sequence[Entry]) -> Batch:
    """What a camera sends for these entries."""
    head = entries[0].head
    return wire.parse_batch(b"".join(entry.line for entry in entries), (("first", str(head.seq)), ("prev", head.prev)))


def all_entries(made: Builder) -> list[Entry]:
    """Everything in the camera's journal so far."""
    return [entry for file in made.files for entry in file]


def blob_of(made: Builder, rec: str, seg: int) -> bytes:
    """A sealed segment's bytes on the camera."""
    return (made.folder / "segments" / rec / f"{seg:04d}.mp4.age").read_bytes()


def position(said: Statement) -> tuple[object, object]:
    """(seq, head) of an ack."""
    assert said.name == "ack"
    return said.value["seq"], said.value["head"]


def names(said: Sequence[Statement]) -> list[str]:
    """Their types."""
    return [each.name for each in said]


def one(said: Sequence[Statement], name: str) -> Statement:
    """The only statement of that type."""
    (found,) = [each for each in said if each.name == name]
    return found


NOTHING = (-1, ZERO_HASH)
