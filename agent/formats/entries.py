"""Entries of the journal: bytes to values and back (docs/formats.md, "The journal").

A line is `<head>\\t<signature>\\t<body>\\n`. The head binds the body by its hash, and the chain by the hash of the
previous head; the signature is over the head's bytes. Bytes that came from outside are kept and never encoded again.
Guarantees: `parse_line` accepts one spelling only. It does not verify signatures (agent/keys.py) nor the chain (the
reader).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import FormatError
from agent.formats import fields
from agent.formats.bodies import KINDS, LONG_KINDS, check_body
from agent.formats.canonical import MAX_LINE_BYTES, MAX_LONG_LINE_BYTES, Object, Value, decode, encode
from agent.model import Stamp, TimeSource

TYPE = "temoin/entry/1"
UNSIGNED = b"-"
WITHHELD = b"-"
MAX_FILE_LINE_BYTES = MAX_LONG_LINE_BYTES

_TIME = fields.record(
    {"err_ms": fields.nullable(fields.integer()), "src": fields.one_of(*TimeSource), "utc": fields.nullable(fields.utc)}
)
_HEAD = fields.record(
    {
        "body": fields.hash_hex,
        "boot": fields.boot_id,
        "dev": fields.identifier,
        "jid": fields.random_hex,
        "kind": fields.one_of(*sorted(KINDS)),
        "prev": fields.hash_hex,
        "seq": fields.integer(),
        "time": _TIME,
        "mono_ns": fields.nanoseconds,
        "typ": fields.one_of(TYPE),
    }
)


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
    """An entry not yet signed. `body` is without salt. Raises FormatError for a body that its kind does not have."""
    salted: Object = {**body, "salt": salt.hex()}
    check_body(kind, salted)
    body_bytes = encode(salted)
    head = Head(
        position.dev, position.jid, position.seq, kind, position.prev, hashlib.sha256(body_bytes).hexdigest(), stamp
    )
    entry = Entry(head, encode(_head_object(head)), None, salted, body_bytes)
    limit = line_limit(kind)
    if len(entry.line) > limit:
        raise FormatError(kind, f"a line of {len(entry.line)} bytes is more than {limit}")
    return entry


def line_limit(kind: str) -> int:
    """Longest line of a kind, in bytes."""
    return MAX_LONG_LINE_BYTES if kind in LONG_KINDS else MAX_LINE_BYTES


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
    body = decode(body_bytes, line_limit(head.kind))
    check_body(head.kind, body)
    return Entry(head, head_bytes, signature, body, body_bytes)


def _parse_head(data: bytes) -> Head:
    value = decode(data)
    _HEAD(value, "head")
    time = fields.object_of(value, "time")
    moment = time["utc"]
    error = time["err_ms"]
    assert error is None or isinstance(error, int)
    if (moment is None) != (error is None):
        raise FormatError("head.time", "utc and err_ms are known together or not at all")
    seq = fields.integer_of(value, "seq")
    kind = fields.text_of(value, "kind")
    prev = fields.text_of(value, "prev")
    if (seq == 0) != (kind == "genesis") or (seq == 0) != (prev == fields.ZERO_HASH):
        raise FormatError("head.seq", "0 belongs to genesis, and prev is zeros there only")
    stamp = Stamp(
        None if moment is None else fields.parse_utc(moment, "head.time.utc"),
        error,
        TimeSource(fields.text_of(time, "src")),
        fields.ns_of(value, "mono_ns"),
        fields.text_of(value, "boot"),
    )
    return Head(
        fields.text_of(value, "dev"),
        fields.text_of(value, "jid"),
        seq,
        kind,
        prev,
        fields.text_of(value, "body"),
        stamp,
    )


def _parse_signature(data: bytes, kind: str) -> bytes | None:
    if data == UNSIGNED:
        if kind != "fragment":
            raise FormatError("signature", f"a {kind} entry is always signed")
        return None
    return fields.decode_base64(data.decode("ascii", "replace"), "signature")


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
