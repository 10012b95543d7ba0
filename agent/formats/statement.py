"""Statements of somebody else: one line `<JSON>\\t<signature>\\n` (docs/formats.md, "Statements of others").

Guarantees: strict parsing of the types of version 1. The signature is not verified here: `agent/keys.py` does, with the
role that the type demands (`ROLE_OF`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import FormatError
from agent.formats import fields
from agent.formats.canonical import MAX_LINE_BYTES, MAX_LONG_LINE_BYTES, Object, Value, decode, encode, shown
from agent.formats.fields import Check, hash_hex, identifier, integer, listing, nullable, one_of, random_hex, text

PROFILES = ("fr-2016", "fr-2022")
MAX_RECIPIENTS = 16
MAX_POST_QUANTUM_RECIPIENTS = 6
"""What is sealed into an entry (place, notice) has a header of 1,560 bytes for each, and must fit into a line."""
NOTHING_SEQ = -1
"""`ack.seq` where the dock's archive has nothing of this journal; its head then is zeros."""
LONG_TYPES = frozenset({"policy", "token"})
_SIGNATURE_COLUMN_BYTES = 98
"""The tab, the 96 characters of the longest signature, the newline."""

_host = fields.matching(r"[a-z0-9.-]{1,253}(:[0-9]{1,5})?", "a host name, with or without a port")
_header = fields.record({"name": text(100), "value": text(2000)})
_recipient = fields.matching("age1[0-9a-z]{1,3996}", "a recipient of age: age1pq... or age1...", 4000)


def _recipients(value: Value, name: str) -> None:
    """1 to 16 recipients; of the post-quantum kind (`age1pq`) at most 6."""
    listing(_recipient, MAX_RECIPIENTS, least=1)(value, name)
    assert isinstance(value, list | tuple)
    if sum(str(item).startswith("age1pq1") for item in value) > MAX_POST_QUANTUM_RECIPIENTS:
        raise FormatError(name, f"more than {MAX_POST_QUANTUM_RECIPIENTS} post-quantum recipients")


_FROM_DOCK: Mapping[str, Check] = {
    "agency": identifier,
    "dock": identifier,
    "dev": identifier,
    "jid": random_hex,
    "dseq": integer(),
    "session": random_hex,
    "utc": fields.utc,
}
_BLOB: Mapping[str, Check] = {
    "rec": fields.recording_id,
    "seg": integer(0, fields.MAX_SEGMENTS),
    "blob": hash_hex,
    "size": integer(),
}
_BY_DOCK: dict[str, Mapping[str, Check]] = {
    "beacon": {
        "nonce": random_hex,
        "head": hash_hex,
        "err_ms": integer(),
        "token": nullable(hash_hex),
        "dock_head": hash_hex,
    },
    "assign": {
        "wearer": random_hex,
        "service": text(100),
        "sector": text(100),
        "from": fields.utc,
        "until": fields.utc,
    },
    "ack": {"seq": integer(NOTHING_SEQ), "head": hash_hex},
    "ticket": {
        **_BLOB,
        "method": one_of("PUT"),
        "url": text(4000),
        "headers": listing(_header, 16),
        "ttl_s": integer(1, 86_400),
    },
    "receipt": {
        **_BLOB,
        "seal_seq": integer(),
        "seal_head": hash_hex,
        "store": text(200),
        "version": text(200),
        "dock_head": hash_hex,
    },
    "token": {"head": hash_hex, "imprint": hash_hex, "tsr": fields.base64_of(100, 40_000)},
    "hold": {"rec": fields.recording_id, "until": nullable(fields.utc)},
    "config": {"hash": hash_hex, "values": fields.mapping_of(text(100), 16)},
}
_POLICY: Mapping[str, Check] = {
    "agency": identifier,
    "version": integer(1),
    "not_before": fields.utc,
    "cameras": listing(identifier, 10_000),
    "profile": one_of(*PROFILES),
    "recipients": _recipients,
    "docks": listing(identifier, 64),
    "intake_hosts": listing(_host, 64),
    "tsa_roots": listing(fields.base64_of(100, 4096), 8),
    "retention_days": integer(1, 400),
    "purge_days": integer(0, 400),
    "prerecord_ms": integer(0, 120_000),
    "prerecord_sound": fields.boolean,
    "sound": fields.boolean,
}

EMBEDDED = fields.record({"sig": fields.signature, "text": text(MAX_LONG_LINE_BYTES)})
_CHECKS: dict[str, Check] = {
    name: fields.record({"typ": one_of(f"temoin/{name}/1"), **body})
    for name, body in {
        "policy": _POLICY,
        **{name: {**_FROM_DOCK, **own} for name, own in _BY_DOCK.items()},
    }.items()
}
FIELDS: Mapping[str, frozenset[str]] = {
    "policy": frozenset({"typ", *_POLICY}),
    **{name: frozenset({"typ", *_FROM_DOCK, *own}) for name, own in _BY_DOCK.items()},
}
"""The names of the fields of each type."""
TYPES = frozenset(_CHECKS)
ROLE_OF: Mapping[str, str] = {name: "policy" if name == "policy" else "dock" for name in TYPES}
"""First part of the role (`policy:<agency>`, `dock:<id>`) whose certificate may sign each type."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed statement with the exact bytes that were signed. `name` is the type without `temoin/` and version."""

    name: str
    value: Object
    text: bytes
    signature: bytes

    @property
    def digest(self) -> bytes:
        """SHA-256 of the signed bytes."""
        return hashlib.sha256(self.text).digest()

    @property
    def line(self) -> bytes:
        return b"%s\t%s\n" % (self.text, fields.encode_base64(self.signature).encode())

    @property
    def embedded(self) -> Object:
        """What an entry's body carries of it: `{"sig","text"}`."""
        return {"sig": fields.encode_base64(self.signature), "text": self.text.decode()}


def compose(name: str, value: Mapping[str, Value]) -> bytes:
    """The bytes to sign for a statement of this type; `value` is without `typ`. Raises FormatError."""
    whole: Object = {**value, "typ": f"temoin/{name}/1"}
    _check(name, whole)
    signed = encode(whole)
    _check_size(name, len(signed))
    return signed


def parse_line(line: bytes) -> Statement:
    """The statement of one whole line. Raises FormatError that names the field."""
    if len(line) > MAX_LONG_LINE_BYTES:
        raise FormatError("statement", f"{len(line)} bytes are more than {MAX_LONG_LINE_BYTES}")
    if not line.endswith(b"\n") or line.count(b"\t") != 1 or line.count(b"\n") != 1:
        raise FormatError("statement", "not one line of JSON, a tab and a signature")
    signed, signature = line[:-1].split(b"\t")
    return _parse(signed, signature.decode("ascii", "replace"))


def parse_embedded(value: Object) -> Statement:
    """The statement inside an entry's body: `value` is `{"sig","text"}`. Raises FormatError that names the field."""
    EMBEDDED(value, "statement")
    return _parse(fields.text_of(value, "text").encode("utf-8", "surrogatepass"), fields.text_of(value, "sig"))


def parse_in(body: Object) -> Statement:
    """The statement that an entry carries in its body. Raises FormatError that names the field."""
    return parse_embedded(fields.object_of(body, "statement"))


def _parse(signed: bytes, signature: str) -> Statement:
    value = decode(signed, MAX_LONG_LINE_BYTES)
    typ = value.get("typ")
    name = typ.split("/")[1] if isinstance(typ, str) and typ.count("/") == 2 else ""
    _check(name, value)
    _check_size(name, len(signed))
    return Statement(name, value, signed, fields.decode_signature(signature, "signature"))


def _check(name: str, value: Object) -> None:
    if name not in _CHECKS:
        raise FormatError("typ", f"{shown(value.get('typ'))} is not known at version 1")
    _CHECKS[name](value, name)
    if name == "ack" and (value["seq"] == NOTHING_SEQ) != (value["head"] == fields.ZERO_HASH):
        raise FormatError("ack.head", f"is zeros when seq is {NOTHING_SEQ}, and only then")


def _check_size(name: str, signed_bytes: int) -> None:
    limit = MAX_LONG_LINE_BYTES if name in LONG_TYPES else MAX_LINE_BYTES
    if signed_bytes > limit - _SIGNATURE_COLUMN_BYTES:
        raise FormatError("statement", f"{signed_bytes} signed bytes do not fit into a line of {limit}")


@dataclass(frozen=True, slots=True)
class Policy:
    """The agency's signed policy, typed. `hash_hex` is the SHA-256 of the signed bytes.

    `purge_days`: how long after its receipt a received blob stays on the card; 0: it leaves at once.
    """

    agency: str
    version: int
    not_before_ms: int
    cameras: tuple[str, ...]
    profile: str
    recipients: tuple[str, ...]
    docks: tuple[str, ...]
    intake_hosts: tuple[str, ...]
    retention_days: int
    purge_days: int
    prerecord_ms: int
    prerecord_sound: bool
    sound: bool
    hash_hex: str


def policy_of(statement: Statement) -> Policy:
    """The typed policy of a `policy` statement. The caller has verified its signature."""
    value = statement.value
    assert statement.name == "policy"

    def texts(key: str) -> tuple[str, ...]:
        return tuple(str(item) for item in fields.list_of(value, key))

    return Policy(
        agency=fields.text_of(value, "agency"),
        version=fields.integer_of(value, "version"),
        not_before_ms=fields.parse_utc(value["not_before"], "policy.not_before"),
        cameras=texts("cameras"),
        profile=fields.text_of(value, "profile"),
        recipients=texts("recipients"),
        docks=texts("docks"),
        intake_hosts=texts("intake_hosts"),
        retention_days=fields.integer_of(value, "retention_days"),
        purge_days=fields.integer_of(value, "purge_days"),
        prerecord_ms=fields.integer_of(value, "prerecord_ms"),
        prerecord_sound=bool(value["prerecord_sound"]),
        sound=bool(value["sound"]),
        hash_hex=statement.digest.hex(),
    )
