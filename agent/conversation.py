"""The line to the dock: connecting again and again, asking the time, and telling whether an answer is one.

Guarantees: one connection is tried at a time, after pauses that grow, up to LONGEST_BACK_OFF_S; the time comes only
from a beacon that answers the one open question within ANSWER_WITHIN_NS, under certificates that are valid at the time
that it says. The error bound covers all of the round trip. Source: docs/docking.md, "One docking", 1 to 3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from agent.errors import CertificateError
from agent.formats import fields, wire
from agent.model import NS_PER_MS, NS_PER_S, Connected, Greeting, Message
from agent.ports import Broker, Random
from agent.session import Heard, NotTaken, check_dates
from agent.store.state import Reference

RANDOM_BYTES = 16
QUESTION_NS = 10 * NS_PER_S  # to the next question while none was answered
NEXT_QUESTION_NS = 60 * NS_PER_S
ANSWER_WITHIN_NS = 30 * NS_PER_S
LONGEST_BACK_OFF_S = 32


@dataclass(frozen=True, slots=True)
class Self:
    """Who asks: `durable` and `oldest` name the last durable entry and the number of the oldest one."""

    dev: str
    jid: str
    session: str
    durable: Callable[[], Reference]
    oldest: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Time:
    """What a beacon has said of this moment. `signed_ms` is what it says itself."""

    utc_ms: int
    err_ms: int
    signed_ms: int


@dataclass(frozen=True, slots=True)
class _Question:
    nonce: str
    head: str
    asked_ns: int


class Conversation:
    """Messages go out by `publish`; the events of the connection come in by `connected` and `disconnected`."""

    def __init__(self, who: Self, broker: Broker, random: Random, root: x509.Certificate) -> None:
        self.connection = 0
        self.online = False
        self._who = who
        self._broker = broker
        self._random = random
        self._root = root
        self._trying = False
        self._peer = b""
        self._failures = 0
        self._connect_at_ns = 0
        self._messages = 0
        self._question: _Question | None = None
        self._ask_at_ns = 0

    def step(self, now_ns: int) -> None:
        """Connect, or ask, when it is time."""
        if not self.online and not self._trying and now_ns >= self._connect_at_ns:
            self._connect()
        if self.online and now_ns >= self._ask_at_ns:
            self._ask(now_ns)

    def connected(self, event: Connected, now_ns: int) -> None:
        """The broker is there: the first thing is a question."""
        self.online, self._trying = True, False
        self._peer = event.peer
        self._ask_at_ns = now_ns

    def disconnected(self, now_ns: int) -> None:
        """It is not, or no longer."""
        self.online = self._trying = False
        self._question = None
        self._failures += 1
        longest_ms = 1000 * min(1 << min(self._failures, 6) >> 1, LONGEST_BACK_OFF_S)
        jitter_ms = int.from_bytes(self._random(2), "big") * longest_ms >> 16
        self._connect_at_ns = now_ns + (longest_ms + jitter_ms) // 2 * NS_PER_MS

    def answer(self, beacon: Heard, now_ns: int) -> Time | NotTaken | None:
        """The time, if the beacon answers the open question. Another one is late: nothing follows from it (None)."""
        asked, value = self._question, beacon.statement.value
        if asked is None or (value["nonce"], value["head"]) != (asked.nonce, asked.head):
            return None
        if now_ns - asked.asked_ns > ANSWER_WITHIN_NS:
            return None
        self._question = None
        trip_ms = -(-(now_ns - asked.asked_ns) // NS_PER_MS)
        signed_ms = fields.parse_utc(value["utc"], "beacon.utc")
        utc_ms, err_ms = signed_ms + trip_ms // 2, fields.integer_of(value, "err_ms") + (trip_ms + 1) // 2
        try:
            check_dates(beacon.chain, "dock", self._root, utc_ms, err_ms)
            check_dates((self._peer,), "dock-tls", self._root, utc_ms, err_ms)
        except CertificateError as error:
            self._broker.close(None)
            return NotTaken("certificate_dates", str(error))
        self._ask_at_ns = now_ns + NEXT_QUESTION_NS
        self._failures = 0
        return Time(utc_ms, err_ms, signed_ms)

    def publish(self, topic: str, payload: bytes, properties: wire.Properties = ()) -> None:
        """Send; whether it arrives is for the dock to say."""
        self._broker.publish(self._message(topic, payload, properties))

    def close(self) -> None:
        """The last word."""
        status = self._status(wire.StatusState.GONE)
        self._broker.close(self._message(wire.status_topic(self._who.dev), status.encode(), retained=True))

    def _connect(self) -> None:
        self.connection += 1
        self._trying = True
        dev = self._who.dev
        will = self._status(wire.StatusState.GONE).encode()
        self._broker.connect(self.connection, Greeting(wire.dock_topic(dev), wire.status_topic(dev), will))

    def _ask(self, now_ns: int) -> None:
        status = self._status(wire.StatusState.DOCKED)
        self._question = _Question(status.nonce, status.head, now_ns)
        self._ask_at_ns = now_ns + QUESTION_NS
        self._broker.publish(self._message(wire.status_topic(self._who.dev), status.encode(), retained=True))

    def _status(self, state: wire.StatusState) -> wire.Status:
        who, durable = self._who, self._who.durable()
        nonce = self._random(RANDOM_BYTES).hex()
        low = min(who.oldest(), durable.seq)
        return wire.Status(who.dev, who.jid, who.session, nonce, state, durable.seq, durable.head, low)

    def _message(self, topic: str, payload: bytes, properties: wire.Properties = (), retained: bool = False) -> Message:
        self._messages += 1
        return Message(self._messages, topic, payload, tuple(properties), retained)
