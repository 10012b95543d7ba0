"""What the body of each kind of entry holds: the table of docs/formats.md, "The journal", as checks.

Every body also has `salt`. A kind that is not here does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping

from agent.errors import FormatError
from agent.formats.canonical import MAX_LONG_LINE_BYTES, Value
from agent.formats.fields import (
    Check,
    base64_of,
    boolean,
    file_name,
    hash_hex,
    identifier,
    integer,
    listing,
    mapping_of,
    matching,
    nanoseconds,
    nullable,
    one_of,
    random_hex,
    record,
    recording_id,
    text,
    utc,
    word,
)
from agent.model import GapCause, NoticeState, StopCause

MAX_OPEN_RECORDINGS = 4
MAX_SEGMENTS = 100_000
_PLAIN_TEXT = text(200)
_SEGMENT = integer(0, MAX_SEGMENTS)
_SIZE = integer(0)
_PERCENT_FREE_VALUE: Check = matching(r"[^\x00-\x1f]{0,200}", "a short text")
_CERTIFICATE = base64_of(100, 4096)


def _any_scalar(value: Value, name: str) -> None:
    if not isinstance(value, int) and value is not None:
        _PERCENT_FREE_VALUE(value, name)


_VALUES = mapping_of(_any_scalar, 16)
STATEMENT = record({"sig": base64_of(8, 80), "text": text(MAX_LONG_LINE_BYTES)})
_ENTRY_REFERENCE = record({"seq": _SIZE, "head": hash_hex})
_DOCKING = {"session": random_hex, "dock": identifier, "beacon": nullable(hash_hex)}
_RECORDING = {"rec": recording_id}
_SEGMENT_OF = {"rec": recording_id, "seg": _SEGMENT}
OPEN_SEGMENT = record(
    {"seg": _SEGMENT, "n": integer(0, 100_000), "size": _SIZE, "blob": hash_hex, "end_ns": nanoseconds}
)
OPEN_RECORDING = record(
    {
        "rec": recording_id,
        "press_ns": nanoseconds,
        "first_ns": nanoseconds,
        "segments": _SEGMENT,
        "fragments": _SIZE,
        "end_ns": nanoseconds,
        "open": nullable(OPEN_SEGMENT),
    }
)

_FIELDS: dict[str, Mapping[str, Check]] = {
    "genesis": {
        "chain": listing(_CERTIFICATE, 4, least=1),
        "key_class": one_of("file", "chip", "chip+counter"),
        "slow_signer": boolean,
        "model": word,
        "software": word,
        "enrolment": nullable(hash_hex),
    },
    "boot": {
        "software": word,
        "image": nullable(hash_hex),
        "source": _PLAIN_TEXT,
        "clean": boolean,
        "last_signed": _ENTRY_REFERENCE,
        "torn": nullable(record({"file": file_name, "offset": _SIZE, "length": _SIZE, "hash": hash_hex})),
        "leftover": nullable(record({"file": file_name, "length": _SIZE, "hash": hash_hex})),
        "weak": nullable(record({"first": _SIZE, "last": _SIZE})),
        "counter": nullable(_SIZE),
    },
    "checkpoint": {
        "prev_head": hash_hex,
        "open": listing(OPEN_RECORDING, MAX_OPEN_RECORDINGS),
        "ack": nullable(_ENTRY_REFERENCE),
        "policy": nullable(record({"hash": hash_hex, "version": _SIZE})),
        "slow_signer": boolean,
        "certificate": hash_hex,
        "dseq": listing(record({"dock": identifier, "dseq": _SIZE}), 64),
        "assignment": nullable(hash_hex),
        "last_utc": nullable(utc),
        "token": nullable(hash_hex),
        "interrupted": nullable(recording_id),
        "low": _SIZE,
    },
    "policy": {"hash": hash_hex, "version": _SIZE},
    "dock": _DOCKING,
    "undock": _DOCKING,
    **{kind: {"statement": STATEMENT} for kind in ("beacon", "token", "ack", "assign", "receipt", "hold")},
    "selftest": {
        "checks": listing(
            record({"name": word, "ok": boolean, "value": _PERCENT_FREE_VALUE, "remedy": nullable(word)}), 32
        )
    },
    "alert": {"cause": word, "values": _VALUES, "remedy": word},
    "refused": {"cause": word, "values": _VALUES, "remedy": word},
    "recording.start": {
        **_RECORDING,
        "cause": one_of("press"),
        "press_ns": nanoseconds,
        "wanted_ms": integer(0, 120_000),
        "got_ms": integer(0, 200_000),
        "reason": nullable(word),
        "wearer": nullable(random_hex),
        "source": _PLAIN_TEXT,
        "counter": nullable(_SIZE),
    },
    "segment.open": {
        **_SEGMENT_OF,
        "header": hash_hex,
        "nonce": random_hex,
        "init": hash_hex,
        "init_len": integer(65_536, 8 * 1024 * 1024),
        "recipients": listing(hash_hex, 16, least=1),
        "policy": hash_hex,
        "source": _PLAIN_TEXT,
    },
    "fragment": {
        **_SEGMENT_OF,
        "n": integer(0, 100_000),
        "off": _SIZE,
        "len": integer(65_536, 9 * 1024 * 1024),
        "t0_ns": nanoseconds,
        "dur_ns": nanoseconds,
        "frames": integer(1, 1000),
        "sound": boolean,
        "pre": boolean,
        "plain": hash_hex,
        "blob": hash_hex,
    },
    "segment.seal": {**_SEGMENT_OF, "n": integer(0, 100_000), "size": _SIZE, "blob": hash_hex},
    "segment.recovered": {
        **_SEGMENT_OF,
        "size": _SIZE,
        "blob": nullable(hash_hex),
        "last_n": nullable(integer(0, 100_000)),
        "last_end": _SIZE,
        "mismatch_n": nullable(integer(0, 100_000)),
    },
    "gap": {**_RECORDING, "from_ns": nanoseconds, "to_ns": nanoseconds, "cause": one_of(*GapCause)},
    "mark": {**_RECORDING, "press_ns": nanoseconds},
    "notice": {
        **_RECORDING,
        "press_ns": nanoseconds,
        "state": one_of(*NoticeState),
        "reason": nullable(base64_of(100, 8192)),
    },
    "place": {**_RECORDING, "press_ns": nanoseconds, "sealed": base64_of(100, 8192)},
    "recording.stop": {
        **_RECORDING,
        "cause": one_of(*StopCause),
        "press_ns": nullable(nanoseconds),
        "fragments": _SIZE,
        "duration_ms": _SIZE,
    },
    "purge": {**_SEGMENT_OF, "receipt": _ENTRY_REFERENCE},
    "expire": {**_SEGMENT_OF, "rule": word, "proof": _ENTRY_REFERENCE},
    "trim": {"first": _SIZE, "last": _SIZE, "ack": _ENTRY_REFERENCE},
    "orphan": {"file": file_name, "size": _SIZE, "hash": hash_hex},
    "config": {"hash": hash_hex, "statement": nullable(STATEMENT)},
    "update": {"from": word, "to": word, "image": hash_hex},
    "key.rotate": {"chain": listing(_CERTIFICATE, 4, least=1), "key_class": one_of("file", "chip", "chip+counter")},
    "reset": {"cause": word},
    "shutdown": {"cause": word},
}

_BODIES: dict[str, Check] = {kind: record({"salt": random_hex, **fields}) for kind, fields in _FIELDS.items()}
KINDS = frozenset(_BODIES)
LONG_KINDS = frozenset({"token"})


def check_body(kind: str, body: Mapping[str, Value]) -> None:
    """Raise FormatError unless `body` is what an entry of this kind holds."""
    if kind not in _BODIES:
        raise FormatError("kind", f"{kind!r} is not known at version 1")
    _BODIES[kind](body, kind)
