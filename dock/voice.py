"""What the station says, as messages: each statement signed, numbered, and journalled first where it binds the dock.

Guarantees: a receipt, an assignment, a hold or a configuration is an entry of the dock's own journal, durable, before
its message exists. Source: docs/docking.md, "One docking".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.formats import wire
from agent.formats.canonical import Value
from agent.formats.fields import ZERO_HASH
from agent.formats.statement import NOTHING_SEQ, Statement
from agent.formats.wire import Properties, Status
from dock.blobs import Blob, url_path
from dock.catalogue import Order, Segment
from dock.journal import DockJournal
from dock.lines import Tail
from dock.statements import Addressee, Author


@dataclass(frozen=True, slots=True)
class Moment:
    """Now: UTC in ms with its error bound, and the boot clock."""

    utc_ms: int
    err_ms: int
    mono_ns: int


@dataclass(frozen=True, slots=True)
class Message:
    """A statement to publish: `payload` is its line, `properties` the chain that it is checked with."""

    topic: str
    payload: bytes
    properties: Properties


class Voice:
    """Makes messages. Each method raises StoreError or SignatureError when the dock's journal or key is lost."""

    def __init__(self, author: Author, journal: DockJournal) -> None:
        self._author = author
        self._journal = journal

    def beacon(self, to: Addressee, status: Status, now: Moment) -> Message:
        """The time, as the answer to this very question."""
        own: dict[str, Value] = {
            "nonce": status.nonce,
            "head": status.head,
            "err_ms": now.err_ms,
            "token": None,
            "dock_head": self._journal.head,
        }
        return self._message("beacon", to, now, own)

    def ack(self, to: Addressee, tail: Tail | None, now: Moment) -> Message:
        """Where the archive ends."""
        own: dict[str, Value] = {"seq": NOTHING_SEQ, "head": ZERO_HASH}
        if tail is not None:
            own = {"seq": tail.seq, "head": tail.head}
        return self._message("ack", to, now, own)

    def ticket(self, to: Addressee, blob: Blob, host: str, ttl_s: int, now: Moment) -> Message:
        """Where this blob may be sent."""
        url = f"https://{host}{url_path(blob.rec, blob.seg)}"
        own = {**_named(blob), "method": "PUT", "url": url, "headers": [], "ttl_s": ttl_s}
        return self._message("ticket", to, now, own)

    def receipt(self, to: Addressee, found: Segment, store: str, now: Moment) -> Message:
        """This blob is durable here."""
        own = {
            **_named(found.blob),
            "seal_seq": found.seal_seq,
            "seal_head": found.seal_head,
            "store": store,
            "version": "1",
            "dock_head": self._journal.head,
        }
        return self._message("receipt", to, now, own, journalled=True)

    def order(self, to: Addressee, order: Order, now: Moment) -> Message:
        """What somebody at the dock said."""
        return self._message(order.name, to, now, order.value, journalled=True)

    def policy(self, to: Addressee, policy: Statement, chain: tuple[bytes, ...]) -> Message:
        """The agency's policy, as it came."""
        return Message(wire.dock_topic(to.dev), policy.line, wire.chain_properties(chain))

    def _message(
        self, name: str, to: Addressee, now: Moment, own: Mapping[str, Value], journalled: bool = False
    ) -> Message:
        said = self._author.say(name, to, now.utc_ms, **own)
        if journalled:
            self._journal.record(said)
        return Message(wire.dock_topic(to.dev), said.line, wire.chain_properties(self._author.chain))


def _named(blob: Blob) -> dict[str, Value]:
    return {"rec": blob.rec, "seg": blob.seg, "blob": blob.blob, "size": blob.size}
