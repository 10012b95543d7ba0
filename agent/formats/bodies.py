"""What the body of each kind of entry holds: the table of docs/formats.md, "Bodies", as checks.

Every body also has `salt`. A kind that is not here does not exist. Guarantees: `encode_body` and `decode_body` accept
the same bytes. Assumes nothing of its input.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from agent.errors import FormatError
from agent.formats import canonical, fields, statement
from agent.formats.canonical import MAX_LINE_BYTES, MAX_LONG_LINE_BYTES, Object, Value
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
    multiple_of,
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
from agent.health import Outcome
from agent.model import GapCause, NoticeState, StopCause

MAX_OPEN_RECORDINGS = 4
MAX_SEGMENTS = fields.MAX_SEGMENTS
MAX_FRAGMENTS = 100_000
MAX_TORN = 32
PADDED_BYTES = 65_536
SEALED_BYTES = 65_552
MAX_CHUNKS = 129
"""Chunks of the longest fragment or init: 8 MiB from the capture process, and one more that padding may need."""

_PLAIN_TEXT = text(200)
_SHORT_VALUE = text(200, least=0)
_SEGMENT = integer(0, MAX_SEGMENTS)
_FRAGMENT = integer(0, MAX_FRAGMENTS)
_SIZE = integer()
_CERTIFICATE = base64_of(100, 4096)
_SEALED = base64_of(100, 11_000)
_KEY_CLASS = one_of("file", "chip", "chip+counter")


def _any_scalar(value: Value, name: str) -> None:
    """An integer, true, false, null or a text of at most 200 characters."""
    if not isinstance(value, int) and value is not None:
        _SHORT_VALUE(value, name)


def _last_of_docks(value: Value, name: str) -> None:
    """A list of at most 64 docks, each once, and the last number heard of it; the dock last heard comes last."""
    listing(_LAST_OF_DOCK, 64)(value, name)
    assert isinstance(value, list | tuple)
    docks = [each["dock"] for each in value if isinstance(each, Mapping)]
    if len(set(docks)) != len(docks):
        raise FormatError(name, "a dock comes twice")


_LAST_OF_DOCK = record({"dock": identifier, "dseq": _SIZE})
_VALUES = mapping_of(_any_scalar, 16)
STATEMENT = statement.EMBEDDED
_ENTRY_REFERENCE = record({"seq": _SIZE, "head": hash_hex})
_CHAIN = listing(_CERTIFICATE, 4, least=1)
_DOCKING = {"session": random_hex, "dock": identifier, "beacon": nullable(hash_hex)}
_RECORDING = {"rec": recording_id}
_SEGMENT_OF = {"rec": recording_id, "seg": _SEGMENT}
OPEN_SEGMENT = record({"seg": _SEGMENT, "n": _FRAGMENT, "size": _SIZE, "blob": hash_hex, "end_ns": nanoseconds})
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
        "chain": _CHAIN,
        "key_class": _KEY_CLASS,
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
        "torn": listing(record({"file": file_name, "offset": _SIZE, "length": _SIZE, "hash": hash_hex}), MAX_TORN),
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
        "chain": _CHAIN,
        "dseq": _last_of_docks,
        "assignment": nullable(_SIZE),
        "last_utc": nullable(utc),
        "token": nullable(hash_hex),
        "interrupted": nullable(recording_id),
        "low": _SIZE,
    },
    "policy": {"hash": hash_hex, "version": _SIZE},
    "dock": {**_DOCKING, "chain": _CHAIN},
    "undock": _DOCKING,
    **{kind: {"statement": STATEMENT} for kind in ("beacon", "token", "ack", "assign", "receipt", "hold")},
    "selftest": {
        "checks": listing(
            record({"name": word, "outcome": one_of(*Outcome), "values": _VALUES, "remedy": nullable(word)}), 32
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
        "init_len": multiple_of(PADDED_BYTES, MAX_CHUNKS),
        "recipients": listing(hash_hex, 16, least=1),
        "policy": hash_hex,
        "source": _PLAIN_TEXT,
    },
    "fragment": {
        **_SEGMENT_OF,
        "n": _FRAGMENT,
        "off": _SIZE,
        "len": multiple_of(SEALED_BYTES, MAX_CHUNKS),
        "t0_ns": nanoseconds,
        "dur_ns": nanoseconds,
        "frames": integer(1, 1000),
        "sound": boolean,
        "pre": boolean,
        "plain": hash_hex,
        "blob": hash_hex,
    },
    "segment.seal": {**_SEGMENT_OF, "n": _FRAGMENT, "size": _SIZE, "blob": hash_hex},
    "segment.recovered": {
        **_SEGMENT_OF,
        "size": _SIZE,
        "blob": nullable(hash_hex),
        "last_n": nullable(_FRAGMENT),
        "last_end": _SIZE,
        "mismatch_n": nullable(_FRAGMENT),
    },
    "gap": {**_RECORDING, "from_ns": nanoseconds, "to_ns": nanoseconds, "cause": one_of(*GapCause)},
    "mark": {**_RECORDING, "press_ns": nanoseconds},
    "notice": {
        **_RECORDING,
        "press_ns": nanoseconds,
        "state": one_of(*NoticeState),
        "reason": nullable(_SEALED),
    },
    "place": {**_RECORDING, "press_ns": nanoseconds, "sealed": _SEALED},
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
    "key.rotate": {"chain": _CHAIN, "key_class": _KEY_CLASS},
    "reset": {"cause": word},
    "shutdown": {"cause": word},
}

FIELDS: Mapping[str, frozenset[str]] = {kind: frozenset({"salt", *own}) for kind, own in _FIELDS.items()}
"""The names of the fields of each kind's body."""
KINDS = frozenset(FIELDS)
LONG_KINDS = frozenset({"token"})
STATEMENT_KINDS = frozenset(kind for kind, own in FIELDS.items() if own == {"salt", "statement"})
"""Kinds whose body is the dock's line; its type has the kind's name."""

_BODIES: dict[str, Check] = {kind: record({"salt": random_hex, **own}) for kind, own in _FIELDS.items()}

# Nearly every entry is a fragment. One spelling a value means that a pattern over the bytes can do what parsing, each
# field's check, encoding again and comparing do. It may match less than they take (integers near their limits), never
# more; what it does not match goes the long way. tests/unit/test_entries.py holds the two against each other.
_FRAGMENT_BYTES = re.compile(
    rb'\{"blob":"[0-9a-f]{64}","dur_ns":"(?:0|[1-9][0-9]{0,17})","frames":[1-9][0-9]{0,2},"len":([1-9][0-9]{4,6}),'
    rb'"n":(?:0|[1-9][0-9]{0,4}),"off":(?:0|[1-9][0-9]{0,14}),"plain":"[0-9a-f]{64}","pre":(?:true|false),'
    rb'"rec":"[a-z0-9-]{1,32}-[0-9a-f]{8}-[1-9][0-9]{0,15}","salt":"[0-9a-f]{32}","seg":(?:0|[1-9][0-9]{0,4}),'
    rb'"sound":(?:true|false),"t0_ns":"(?:0|[1-9][0-9]{0,17})"\}'
)


def line_limit(kind: str) -> int:
    """Longest line of a kind, in bytes."""
    return MAX_LONG_LINE_BYTES if kind in LONG_KINDS else MAX_LINE_BYTES


def check_body(kind: str, body: Object) -> None:
    """Raise FormatError unless `body` is what an entry of this kind holds."""
    if kind not in _BODIES:
        raise FormatError("kind", f"{canonical.shown(kind)} is not known at version 1")
    _BODIES[kind](body, kind)
    if body.get("statement") is not None:
        _check_statement(kind, fields.object_of(body, "statement"))


def _check_statement(kind: str, embedded: Object) -> None:
    """A statement in a body is whole, and of the type that has the kind's name."""
    try:
        found = statement.parse_embedded(embedded).name
    except FormatError as error:
        raise error.at(f"{kind}.statement") from None
    if found != kind:
        raise FormatError(f"{kind}.statement", f"is a {found}")


def encode_body(kind: str, body: Object) -> bytes:
    """The bytes of a body, its salt included. Raises FormatError unless it is one of this kind."""
    if kind == "fragment":
        data = canonical.spell(body)
        if data is not None and _is_plain_fragment(data):
            return data
    check_body(kind, body)
    return canonical.encode(body)


def decode_body(kind: str, data: bytes) -> Object:
    """The body that these bytes are. Raises FormatError that names the field."""
    if kind == "fragment" and _is_plain_fragment(data):
        value = canonical.parse(data)
        assert isinstance(value, dict)
        return value
    body = canonical.decode(data, line_limit(kind))
    check_body(kind, body)
    return body


def _is_plain_fragment(data: bytes) -> bool:
    found = _FRAGMENT_BYTES.fullmatch(data)
    if found is None:
        return False
    length = int(found[1])
    return length % SEALED_BYTES == 0 and length <= SEALED_BYTES * MAX_CHUNKS
