"""What the journal says up to an entry, as a value, and the same as the body of a `checkpoint`.

Guarantees: nothing of a state is lost on the way through a checkpoint, but what the entry's head says itself (position,
boot, signature) and `clean`. Source: docs/formats.md, "The journal".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from agent.formats import fields
from agent.formats.canonical import Object, Value
from agent.formats.entries import Entry, Position
from agent.model import NS_PER_MS

NOTHING_HASH = hashlib.sha256().hexdigest()
"""`blob` of an open segment without fragments: nothing of its file is named by an entry yet, so its `size` is 0."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An entry, by its number and the hex SHA-256 of its head."""

    seq: int
    head: str

    @property
    def body(self) -> Object:
        return {"seq": self.seq, "head": self.head}


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """A segment without seal. `n`: fragments so far; `size`: the last one's end in the file; `blob`: hash up to it."""

    seg: int
    n: int
    size: int
    blob: str
    end_ns: int


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """A recording without stop. Without fragments `first_ns` and `end_ns` are `press_ns`; `segments`: opened so far."""

    rec: str
    press_ns: int
    first_ns: int
    segments: int
    fragments: int
    end_ns: int
    open: OpenSegment | None

    @property
    def duration_ms(self) -> int:
        """From the first fragment's start to the last one's end, gaps included."""
        return max(0, self.end_ns - self.first_ns) // NS_PER_MS


@dataclass(frozen=True, slots=True)
class JournalState:
    """What the journal says up to its newest entry. `position` is where the next one goes.

    `chain`: base64 of the camera's certificates, its own first. `policy`: (hash, version) in force. `dseq`: (dock, last
    dseq) of the docks last heard, the newest last. `interrupted`: the recording that a cut ended and nobody
    acknowledged yet. `token`: the head that the last token is over. `low`: the first entry of the oldest file that
    still matters. `clean`: the newest entry is a shutdown.
    """

    position: Position
    boot: str
    last_signed: Reference
    clean: bool
    chain: tuple[str, ...]
    slow_signer: bool
    open: tuple[OpenRecording, ...] = ()
    interrupted: str | None = None
    policy: tuple[str, int] | None = None
    ack: Reference | None = None
    dseq: tuple[tuple[str, int], ...] = ()
    assignment: int | None = None
    """Number of the `assign` entry in force."""
    token: str | None = None
    last_utc_ms: int | None = None
    low: int = 0


def checkpoint_body(state: JournalState) -> Object:
    """The body, without salt, of a checkpoint that follows this state."""
    return {
        "prev_head": state.position.prev,
        "open": [_recording_body(each) for each in state.open],
        "ack": None if state.ack is None else state.ack.body,
        "policy": None if state.policy is None else {"hash": state.policy[0], "version": state.policy[1]},
        "slow_signer": state.slow_signer,
        "chain": list(state.chain),
        "dseq": [{"dock": dock, "dseq": dseq} for dock, dseq in state.dseq],
        "assignment": state.assignment,
        "last_utc": None if state.last_utc_ms is None else fields.format_utc(state.last_utc_ms),
        "token": state.token,
        "interrupted": state.interrupted,
        "low": state.low,
    }


def parse_checkpoint(body: Object, position: Position, boot: str, last_signed: Reference) -> JournalState:
    """The state that a checkpoint's body says; the rest comes from the entry around it."""
    ack, policy, last_utc = body["ack"], body["policy"], body["last_utc"]
    return JournalState(
        position=position,
        boot=boot,
        last_signed=last_signed,
        clean=False,
        chain=parse_chain(body),
        slow_signer=body["slow_signer"] is True,
        open=tuple(_parse_recording(each) for each in fields.list_of(body, "open")),
        interrupted=_optional_text(body, "interrupted"),
        policy=None if policy is None else parse_policy(fields.object_of(body, "policy")),
        ack=None if ack is None else parse_reference(fields.object_of(body, "ack")),
        dseq=tuple(_parse_dseq(each) for each in fields.list_of(body, "dseq")),
        assignment=None if body["assignment"] is None else fields.integer_of(body, "assignment"),
        token=_optional_text(body, "token"),
        last_utc_ms=None if last_utc is None else fields.parse_utc(last_utc, "checkpoint.last_utc"),
        low=fields.integer_of(body, "low"),
    )


def reference_to(entry: Entry) -> Reference:
    """The reference to this very entry."""
    return Reference(entry.head.seq, entry.digest.hex())


def parse_reference(value: Object) -> Reference:
    """`{"seq","head"}` of a checked body."""
    return Reference(fields.integer_of(value, "seq"), fields.text_of(value, "head"))


def parse_policy(value: Object) -> tuple[str, int]:
    """(hash, version) of a checked body."""
    return fields.text_of(value, "hash"), fields.integer_of(value, "version")


def parse_chain(body: Object) -> tuple[str, ...]:
    """Base64 of the camera's certificates, its own first, of a checked body."""
    return tuple(str(each) for each in fields.list_of(body, "chain"))


def _optional_text(body: Object, key: str) -> str | None:
    return None if body[key] is None else fields.text_of(body, key)


def _parse_dseq(value: Value) -> tuple[str, int]:
    assert isinstance(value, dict)
    return fields.text_of(value, "dock"), fields.integer_of(value, "dseq")


def _recording_body(recording: OpenRecording) -> Object:
    found = recording.open
    return {
        "rec": recording.rec,
        "press_ns": str(recording.press_ns),
        "first_ns": str(recording.first_ns),
        "segments": recording.segments,
        "fragments": recording.fragments,
        "end_ns": str(recording.end_ns),
        "open": None
        if found is None
        else {
            "seg": found.seg,
            "n": found.n,
            "size": found.size,
            "blob": found.blob,
            "end_ns": str(found.end_ns),
        },
    }


def _parse_recording(value: Value) -> OpenRecording:
    assert isinstance(value, dict)
    return OpenRecording(
        rec=fields.text_of(value, "rec"),
        press_ns=fields.ns_of(value, "press_ns"),
        first_ns=fields.ns_of(value, "first_ns"),
        segments=fields.integer_of(value, "segments"),
        fragments=fields.integer_of(value, "fragments"),
        end_ns=fields.ns_of(value, "end_ns"),
        open=None if value["open"] is None else _parse_segment(fields.object_of(value, "open")),
    )


def _parse_segment(value: Object) -> OpenSegment:
    return OpenSegment(
        seg=fields.integer_of(value, "seg"),
        n=fields.integer_of(value, "n"),
        size=fields.integer_of(value, "size"),
        blob=fields.text_of(value, "blob"),
        end_ns=fields.ns_of(value, "end_ns"),
    )
