"""Entries of the journal: bytes to values and back (docs/formats.md, "The journal").

A line is `<head>\\t<signature>\\t<body>\\n`. The head binds the body by its hash, and the chain by the hash of the
previous head; the signature is over the head's bytes. Bytes that came from outside are kept and never encoded again.
Guarantees: `parse_line` accepts one spelling only, and takes every line that `make` makes. Neither verifies signatures
(agent/keys.py) nor the chain (the reader). Assumes nothing of the bytes that come in.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import FormatError
from agent.formats import fields
from agent.formats.bodies import KINDS, decode_body, encode_body, line_limit
from agent.formats.canonical import MAX_LONG_LINE_BYTES, Object, Value, decode, shown, spell
from agent.model import Stamp, TimeSource

TYPE = "temoin/entry/1"
UNSIGNED = b"-"
WITHHELD = b"-"
MAX_FILE_LINE_BYTES = MAX_LONG_LINE_BYTES
_MAX_REST_BYTES = 99
"""Two tabs, the newline, and the 96 characters of the longest signature: an entry is made before it is signed."""

_TIME = fields.record(
    {"err_ms": fields.nullable(fields.integer()), "src": fields.one_of(*TimeSource), "utc": fields.nullable(fields.utc)}
)


def _kind(value: Value, name: str) -> None:
    if not isinstance(value, str) or value not in KINDS:
        raise FormatError(name, f"{shown(value)} is not known at version 1")


_HEAD = fields.record(
    {
        "body": fields.hash_hex,
        "boot": fields.boot_id,
        "dev": fields.identifier,
        "jid": fields.random_hex,
        "kind": _kind,
        "prev": fields.hash_hex,
        "seq": fields.integer(),
        "time": _TIME,
        "mono_ns": fields.nanoseconds,
        "typ": fields.one_of(TYPE),
    }
)


# What _HEAD says, over the bytes: one spelling a value means that a pattern can do what parsing, checking, encoding
# again and comparing do, at a fifth of the cost. It may match less (integers near their limits), never more; what it
# does not match goes the long way. tests/unit/test_entries.py holds the two against each other.
_HEAD_BYTES = re.compile(
    rb'\{"body":"([0-9a-f]{64})","boot":"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})",'
    rb'"dev":"([a-z0-9-]{1,32})","jid":"([0-9a-f]{32})","kind":"([a-z.]{1,32})","mono_ns":"(0|[1-9][0-9]{0,17})",'
    rb'"prev":"([0-9a-f]{64})","seq":(0|[1-9][0-9]{0,14}),"time":\{"err_ms":(null|0|[1-9][0-9]{0,14}),'
    rb'"src":"(beacon|rtc|none|disputed)","utc":(?:null|"([0-9T:.Z-]{24})")\},"typ":"temoin/entry/1"\}'
)
_SOURCES = {source.value: source for source in TimeSource}


@dataclass(frozen=True, slots=True)
class Head:
    """The signed part of an entry; `prev` and `body` are hex SHA-256."""

    dev: str
    jid: str
    seq: int
    kind: str
    prev: str
    body: str
    stamp: Stamp


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a journal, with the bytes that it came in or went out as.

    `signature` is DER, None where the line has `-`; `body` is None where it was withheld or erased.
    """

    head: Head
    head_bytes: bytes
    signature: bytes | None
    body: Object | None
    body_bytes: bytes | None

    @property
    def digest(self) -> bytes:
        """SHA-256 of the head's bytes: what is signed, and what the next entry's `prev` names."""
        return hashlib.sha256(self.head_bytes).digest()

    @property
    def line(self) -> bytes:
        signature = UNSIGNED if self.signature is None else fields.encode_base64(self.signature).encode()
        body = WITHHELD if self.body_bytes is None else self.body_bytes
        return b"%s\t%s\t%s\n" % (self.head_bytes, signature, body)

    def with_signature(self, signature: bytes) -> Entry:
        """The same entry, signed."""
        return Entry(self.head, self.head_bytes, signature, self.body, self.body_bytes)

    def without_body(self) -> Entry:
        """The same entry with its body withheld; chain and signature stay whole."""
        return Entry(self.head, self.head_bytes, self.signature, None, None)


@dataclass(frozen=True, slots=True)
class Position:
    """Where the next entry of a journal goes."""

    dev: str
    jid: str
    seq: int
    prev: str


def make(position: Position, kind: str, body: Mapping[str, Value], salt: bytes, stamp: Stamp) -> Entry:
    """An entry not yet signed. `body` is without salt (16 bytes).

    Raises FormatError for a body that its kind does not have, and for a stamp or a position that a head cannot carry.
    """
    salted: Object = {**body, "salt": salt.hex()}
    body_bytes = encode_body(kind, salted)
    body_hash = hashlib.sha256(body_bytes).hexdigest()
    head = Head(position.dev, position.jid, position.seq, kind, position.prev, body_hash, stamp)
    head_bytes = spell(_head_object(head))
    if head_bytes is None or _parse_head(head_bytes) != head:
        raise FormatError("head", "has no encoding that says the same")
    size, limit = len(head_bytes) + len(body_bytes) + _MAX_REST_BYTES, line_limit(kind)
    if size > limit:
        raise FormatError(kind, f"a line of {size} bytes is more than {limit}")
    return Entry(head, head_bytes, None, salted, body_bytes)


def parse_line(line: bytes) -> Entry:
    """The entry of one whole line, its newline included. Raises FormatError that names the field."""
    if len(line) > MAX_FILE_LINE_BYTES:
        raise FormatError("line", f"{len(line)} bytes are more than {MAX_FILE_LINE_BYTES}")
    if not line.endswith(b"\n"):
        raise FormatError("line", "does not end in a newline")
    parts = line[:-1].split(b"\t")
    if len(parts) != 3:
        raise FormatError("line", f"{len(parts)} columns, not head, signature and body")
    head_bytes, signature_bytes, body_bytes = parts
    head = _parse_head(head_bytes)
    if len(line) > line_limit(head.kind):
        raise FormatError("line", f"{len(line)} bytes are more than {line_limit(head.kind)}")
    signature = _parse_signature(signature_bytes, head.kind)
    if body_bytes == WITHHELD:
        return Entry(head, head_bytes, signature, None, None)
    if hashlib.sha256(body_bytes).hexdigest() != head.body:
        raise FormatError("body", "its hash is not the one in the head")
    return Entry(head, head_bytes, signature, decode_body(head.kind, body_bytes), body_bytes)


def _parse_head(data: bytes) -> Head:
    found = _HEAD_BYTES.fullmatch(data)
    if found is None or found[5].decode() not in KINDS:
        return _parse_other_head(data)
    body, boot, dev, jid, kind, mono_ns, prev, seq, error, source, moment = found.groups()
    stamp = Stamp(
        None if moment is None else fields.parse_utc(moment.decode(), "head.time.utc"),
        None if error == b"null" else int(error),
        _SOURCES[source.decode()],
        int(mono_ns),
        boot.decode(),
    )
    return _checked(Head(dev.decode(), jid.decode(), int(seq), kind.decode(), prev.decode(), body.decode(), stamp))


def _parse_other_head(data: bytes) -> Head:
    """The long way, which names what is wrong."""
    value = decode(data)
    _HEAD(value, "head")
    time = fields.object_of(value, "time")
    stamp = Stamp(
        None if time["utc"] is None else fields.parse_utc(time["utc"], "head.time.utc"),
        None if time["err_ms"] is None else fields.integer_of(time, "err_ms"),
        _SOURCES[fields.text_of(time, "src")],
        fields.ns_of(value, "mono_ns"),
        fields.text_of(value, "boot"),
    )
    dev, jid, kind = (fields.text_of(value, key) for key in ("dev", "jid", "kind"))
    prev, body = fields.text_of(value, "prev"), fields.text_of(value, "body")
    return _checked(Head(dev, jid, fields.integer_of(value, "seq"), kind, prev, body, stamp))


def _checked(head: Head) -> Head:
    """What holds between the fields of one head."""
    known = head.stamp.utc_ms is not None
    if known != (head.stamp.err_ms is not None) or known != (head.stamp.source is not TimeSource.NONE):
        raise FormatError("head.time", "utc and err_ms are null when src is none, and only then")
    first = head.seq == 0
    if first != (head.kind == "genesis") or first != (head.prev == fields.ZERO_HASH):
        raise FormatError("head.seq", "0 belongs to genesis, and prev is zeros there only")
    return head


def _parse_signature(data: bytes, kind: str) -> bytes | None:
    if data == UNSIGNED:
        if kind != "fragment":
            raise FormatError("signature", f"a {kind} entry is always signed")
        return None
    return fields.decode_signature(data.decode("ascii", "replace"), "signature")


def _head_object(head: Head) -> Object:
    moment = head.stamp.utc_ms
    return {
        "body": head.body,
        "boot": head.stamp.boot,
        "dev": head.dev,
        "jid": head.jid,
        "kind": head.kind,
        "prev": head.prev,
        "seq": head.seq,
        "time": {
            "err_ms": head.stamp.err_ms,
            "src": head.stamp.source.value,
            "utc": None if moment is None else fields.format_utc(moment),
        },
        "mono_ns": str(head.stamp.mono_ns),
        "typ": TYPE,
    }
