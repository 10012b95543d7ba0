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
from agent.formats.bodies import MAX_SEGMENTS
from agent.formats.canonical import MAX_LINE_BYTES, MAX_LONG_LINE_BYTES, Object, Value, decode, encode
from agent.formats.fields import Check, hash_hex, identifier, integer, listing, nullable, one_of, random_hex, text

PROFILES = ("fr-2016", "fr-2022")
MAX_RECIPIENTS = 16

_host = fields.matching(r"[a-z0-9.-]{1,253}(:[0-9]{1,5})?", "a host name, with or without a port")
_header = fields.record({"name": text(100), "value": text(2000)})
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
    "seg": integer(0, MAX_SEGMENTS),
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
    "ack": {"seq": integer(), "head": hash_hex},
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
    "config": {"hash": hash_hex, "values": fields.mapping_of(text(200), 32)},
}
_POLICY: Mapping[str, Check] = {
    "agency": identifier,
    "version": integer(1),
    "not_before": fields.utc,
    "cameras": listing(identifier, 10_000),
    "profile": one_of(*PROFILES),
    "recipients": listing(text(4000), MAX_RECIPIENTS, least=1),
    "docks": listing(identifier, 64),
    "intake_hosts": listing(_host, 64),
    "tsa_roots": listing(fields.base64_of(100, 4096), 8),
    "retention_days": integer(1, 400),
    "prerecord_ms": integer(0, 120_000),
    "prerecord_sound": fields.boolean,
    "sound": fields.boolean,
}

_CHECKS: dict[str, Check] = {
    name: fields.record({"typ": one_of(f"temoin/{name}/1"), **body})
    for name, body in {
        "policy": _POLICY,
        **{name: {**_FROM_DOCK, **own} for name, own in _BY_DOCK.items()},
    }.items()
}
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
    return encode(whole)


def parse_line(line: bytes) -> Statement:
    """The statement of one whole line. Raises FormatError that names the field."""
    if not line.endswith(b"\n") or line.count(b"\t") != 1 or line.count(b"\n") != 1:
        raise FormatError("statement", "not one line of JSON, a tab and a signature")
    signed, signature = line[:-1].split(b"\t")
    return _parse(signed, signature.decode("ascii", "replace"))


def parse_embedded(value: Object) -> Statement:
    """The statement inside an entry's body."""
    return _parse(fields.text_of(value, "text").encode(), fields.text_of(value, "sig"))


def _parse(signed: bytes, signature: str) -> Statement:
    value = decode(signed, MAX_LONG_LINE_BYTES)
    typ = value.get("typ")
    name = typ.split("/")[1] if isinstance(typ, str) and typ.count("/") == 2 else ""
    _check(name, value)
    if name not in ("policy", "token") and len(signed) > MAX_LINE_BYTES:
        raise FormatError("statement", f"{len(signed)} bytes are more than {MAX_LINE_BYTES}")
    return Statement(name, value, signed, fields.decode_base64(signature, "signature"))


def _check(name: str, value: Object) -> None:
    if name not in _CHECKS:
        raise FormatError("typ", f"{value.get('typ')!r} is not known at version 1")
    _CHECKS[name](value, name)


@dataclass(frozen=True, slots=True)
class Policy:
    """The agency's signed policy, typed. `hash_hex` is the SHA-256 of the signed bytes."""

    agency: str
    version: int
    not_before_ms: int
    cameras: tuple[str, ...]
    profile: str
    recipients: tuple[str, ...]
    docks: tuple[str, ...]
    retention_days: int
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
        retention_days=fields.integer_of(value, "retention_days"),
        prerecord_ms=fields.integer_of(value, "prerecord_ms"),
        prerecord_sound=bool(value["prerecord_sound"]),
        sound=bool(value["sound"]),
        hash_hex=statement.digest.hex(),
    )
