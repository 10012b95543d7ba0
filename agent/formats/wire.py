"""What passes over MQTT 5 between a camera and its dock, beside statements (docs/formats.md, "Over MQTT").

Guarantees: strict parsing, one spelling each; whatever comes in, the only error is FormatError. Nothing here is
evidence or signed by itself: a journal's lines and a dock's statements are, and are checked by who takes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from agent.errors import FormatError
from agent.formats import fields
from agent.formats.canonical import Object, decode, encode

MAX_BATCH_BYTES = 262_144
MAX_STATUS_BYTES = 1024
MAX_CHAIN = 4
MAX_CERTIFICATE_BYTES = 4096
FIRST_PROPERTY = "first"
PREV_PROPERTY = "prev"
CHAIN_PROPERTY = "chain"
STATUS_TYPE = "temoin/status/1"

Properties = Sequence[tuple[str, str]]
"""User properties of a message, in their order, as MQTT has them: names may come twice."""

_ROOT = "temoin/1"
_DECIMAL = fields.matching("0|[1-9][0-9]{0,14}", "a number in decimal of 1 to 15 digits")
_CERTIFICATE = fields.base64_of(100, MAX_CERTIFICATE_BYTES)


class Channel(StrEnum):
    """The last level of a topic. JOURNAL and STATUS go from camera to dock, DOCK the other way."""

    JOURNAL = "journal"
    DOCK = "dock"
    STATUS = "status"


class StatusState(StrEnum):
    """GONE is the will, and the last message of an orderly end."""

    DOCKED = "docked"
    GONE = "gone"


def journal_topic(dev: str) -> str:
    """Camera to dock: batches of whole lines."""
    return topic(dev, Channel.JOURNAL)


def dock_topic(dev: str) -> str:
    """Dock to camera: one statement a message."""
    return topic(dev, Channel.DOCK)


def status_topic(dev: str) -> str:
    """Camera to dock, retained, and the camera's will: `Status`."""
    return topic(dev, Channel.STATUS)


def topic(dev: str, channel: Channel) -> str:
    """The topic of one camera. `+` for `dev` is a dock's subscription to all of them."""
    assert dev == "+" or _is_id(dev)
    return f"{_ROOT}/{dev}/{channel}"


def parse_topic(text: str) -> tuple[str, Channel]:
    """(dev, channel) of a topic. Raises FormatError."""
    dev, _, channel = text.removeprefix(f"{_ROOT}/").partition("/")
    if not text.startswith(f"{_ROOT}/") or channel not in tuple(Channel) or not _is_id(dev):
        raise FormatError("topic", f"{text[:80]!r} is not temoin/1/<dev>/journal, dock or status")
    return dev, Channel(channel)


def _is_id(dev: str) -> bool:
    try:
        fields.identifier(dev, "dev")
    except FormatError:
        return False
    return True


# --- status -----------------------------------------------------------------------------------------------------------

_STATUS = fields.record(
    {
        "dev": fields.identifier,
        "head": fields.hash_hex,
        "jid": fields.random_hex,
        "low": fields.integer(),
        "nonce": fields.random_hex,
        "seq": fields.integer(),
        "session": fields.random_hex,
        "state": fields.one_of(*StatusState),
        "typ": fields.one_of(STATUS_TYPE),
    }
)


@dataclass(frozen=True, slots=True)
class Status:
    """A camera's question. `seq`, `head`: its last durable entry; `low`: the oldest that it still has."""

    dev: str
    jid: str
    session: str
    nonce: str
    state: StatusState
    seq: int
    head: str
    low: int

    def encode(self) -> bytes:
        """Its one encoding. Raises FormatError for values that it cannot carry."""
        value: Object = {
            "dev": self.dev,
            "head": self.head,
            "jid": self.jid,
            "low": self.low,
            "nonce": self.nonce,
            "seq": self.seq,
            "session": self.session,
            "state": self.state.value,
            "typ": STATUS_TYPE,
        }
        _check_status(value["low"], value["seq"])
        _STATUS(value, "status")
        return encode(value)


def parse_status(payload: bytes) -> Status:
    """The question in a message. Raises FormatError that names the field."""
    value = decode(payload, MAX_STATUS_BYTES)
    _STATUS(value, "status")
    _check_status(value["low"], value["seq"])
    return Status(
        dev=fields.text_of(value, "dev"),
        jid=fields.text_of(value, "jid"),
        session=fields.text_of(value, "session"),
        nonce=fields.text_of(value, "nonce"),
        state=StatusState(fields.text_of(value, "state")),
        seq=fields.integer_of(value, "seq"),
        head=fields.text_of(value, "head"),
        low=fields.integer_of(value, "low"),
    )


def _check_status(low: object, seq: object) -> None:
    if isinstance(low, int) and isinstance(seq, int) and low > seq:
        raise FormatError("status.low", f"{low} is after the last entry, {seq}")


# --- journal ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Batch:
    """Whole lines of a journal. `first` is the number of the first one, `prev` the `prev` of its head."""

    first: int
    prev: str
    payload: bytes

    @property
    def properties(self) -> Properties:
        """The user properties of its message."""
        return ((FIRST_PROPERTY, str(self.first)), (PREV_PROPERTY, self.prev))


def parse_batch(payload: bytes, properties: Properties) -> Batch:
    """A batch as far as it can be told without parsing its lines. Raises FormatError."""
    if not 0 < len(payload) <= MAX_BATCH_BYTES:
        raise FormatError("batch", f"{len(payload)} bytes, not 1 to {MAX_BATCH_BYTES}")
    if not payload.endswith(b"\n"):
        raise FormatError("batch", "does not end with a whole line")
    first = _property(properties, FIRST_PROPERTY)
    _DECIMAL(first, f"batch.{FIRST_PROPERTY}")
    number = int(first)
    prev = _property(properties, PREV_PROPERTY)
    fields.hash_hex(prev, f"batch.{PREV_PROPERTY}")
    return Batch(number, prev, payload)


# --- dock -------------------------------------------------------------------------------------------------------------


def chain_properties(chain: Sequence[bytes]) -> Properties:
    """The user property of a statement's message: the signing certificate and its issuers below the root, DER."""
    return ((CHAIN_PROPERTY, " ".join(fields.encode_base64(der) for der in chain)),)


def parse_chain(properties: Properties) -> tuple[bytes, ...]:
    """The DER certificates beside a statement, not yet looked at. Raises FormatError."""
    columns = _property(properties, CHAIN_PROPERTY).split(" ")
    if len(columns) > MAX_CHAIN:
        raise FormatError(CHAIN_PROPERTY, f"more than {MAX_CHAIN} certificates")
    for column in columns:
        _CERTIFICATE(column, CHAIN_PROPERTY)
    return tuple(fields.decode_base64(column, CHAIN_PROPERTY) for column in columns)


def _property(properties: Properties, name: str) -> str:
    found = [value for key, value in properties if key == name]
    if len(found) != 1:
        raise FormatError(name, f"comes {len(found)} times among the user properties, not once")
    return found[0]
