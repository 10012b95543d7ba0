"""What a reader of the journal knows after an entry: a pure fold over the entries, one at a time.

Guarantees: `apply` raises FormatError for what no camera writes: an entry out of its place in the chain, a second
recording while one is open, a fragment outside its open segment, a checkpoint that says something else than the entries
before it. A state survives its own checkpoint: `from_checkpoint` of the entry made from `checkpoint_body(state)` is the
state that `apply` makes of it. Assumes entries whose bodies are whole (a camera's own journal; nothing is withheld
there) and checked (`entries.parse_line` or `entries.make`); signatures are not verified here.
Source: docs/formats.md, "The journal".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from agent.errors import FormatError
from agent.formats import fields, statement
from agent.formats.bodies import STATEMENT_KINDS
from agent.formats.canonical import Object
from agent.formats.entries import Entry, Head, Position
from agent.model import StopCause, TimeSource
from agent.store.checkpoint import (
    NOTHING_HASH,
    JournalState,
    OpenRecording,
    OpenSegment,
    Reference,
    checkpoint_body,
    parse_chain,
    parse_checkpoint,
    parse_policy,
    parse_reference,
    reference_to,
)

__all__ = [
    "JournalState",
    "OpenRecording",
    "OpenSegment",
    "Reference",
    "apply",
    "checkpoint_body",
    "from_checkpoint",
    "from_genesis",
    "parse_reference",
    "recording_id",
]

MAX_DOCKS = 64

_UNKNOWN_TIME = (TimeSource.NONE, TimeSource.DISPUTED)
_FIRST_AFTER_START = ("checkpoint", "boot")
_HELD_BACK = ("beacon", "ack")
"""Statements that are journalled some time after they came, behind others with higher numbers."""


def from_genesis(entry: Entry) -> JournalState:
    """The state after the first entry of a journal."""
    body = _body_of(entry)
    if entry.head.kind != "genesis":
        raise FormatError("kind", f"a journal does not begin with {entry.head.kind}")
    return _after(
        JournalState(
            position=_next_position(entry),
            boot=entry.head.stamp.boot,
            last_signed=reference_to(entry),
            clean=False,
            chain=parse_chain(body),
            slow_signer=body["slow_signer"] is True,
        ),
        entry,
    )


def from_checkpoint(entry: Entry) -> JournalState:
    """The state after a checkpoint, for a reader that begins there."""
    body = _body_of(entry)
    if entry.head.kind != "checkpoint":
        raise FormatError("kind", f"{entry.head.kind} says nothing of what came before")
    if body["prev_head"] != entry.head.prev:
        raise FormatError("checkpoint.prev_head", "is not the head before it")
    if len(fields.list_of(body, "open")) > 1:
        raise FormatError("checkpoint.open", "names two recordings, and a camera makes one at a time")
    return _after(parse_checkpoint(body, _next_position(entry), entry.head.stamp.boot, reference_to(entry)), entry)


def apply(state: JournalState, entry: Entry) -> JournalState:
    """The state after the next entry. Raises FormatError that names what is impossible about it."""
    head, position = entry.head, state.position
    if head.seq != position.seq:
        raise FormatError("seq", f"{head.seq} where {position.seq} comes next")
    if head.prev != position.prev:
        raise FormatError("prev", f"entry {head.seq} does not follow the head before it")
    if head.jid != position.jid or head.dev != position.dev:
        raise FormatError("jid", f"entry {head.seq} is of another journal")
    if head.stamp.boot != state.boot and head.kind not in _FIRST_AFTER_START:
        raise FormatError("boot", f"another boot begins with checkpoint and boot, not with {head.kind}")
    body = _body_of(entry)
    if head.kind == "fragment":  # nearly every entry: only the open recording grows
        return _after(state, entry, (_with_fragment(state, head, body),))
    step = _STEPS.get(head.kind)
    return _after(state if step is None else step(state, head, body), entry)


def _after(state: JournalState, entry: Entry, grown: tuple[OpenRecording, ...] | None = None) -> JournalState:
    """What every entry changes. Spelled out: `dataclasses.replace` would cost a fragment as much as its signature."""
    head, stamp = entry.head, entry.head.stamp
    digest = entry.digest.hex()
    return JournalState(
        position=Position(head.dev, head.jid, head.seq + 1, digest),
        boot=stamp.boot,
        last_signed=state.last_signed if entry.signature is None else Reference(head.seq, digest),
        clean=head.kind == "shutdown",
        chain=state.chain,
        slow_signer=state.slow_signer,
        open=state.open if grown is None else grown,
        interrupted=state.interrupted,
        policy=state.policy,
        ack=state.ack,
        dseq=state.dseq,
        assignment=state.assignment,
        token=state.token,
        last_utc_ms=state.last_utc_ms if stamp.source in _UNKNOWN_TIME else stamp.utc_ms,
        low=state.low,
    )


# One step a kind: what its body changes.


def _checkpoint(state: JournalState, head: Head, body: Object) -> JournalState:
    low = fields.integer_of(body, "low")
    if not state.low <= low <= head.seq:
        raise FormatError("checkpoint.low", f"{low} is not from {state.low} to {head.seq}")
    for key, value in checkpoint_body(state).items():
        if key != "low" and body[key] != value:
            raise FormatError(f"checkpoint.{key}", "is not what the entries before it say")
    return replace(state, low=low)


def _policy(state: JournalState, head: Head, body: Object) -> JournalState:
    found = parse_policy(body)
    if state.policy is not None and state.policy != found and found[1] <= state.policy[1]:
        raise FormatError("policy.version", f"{found[1]} does not follow version {state.policy[1]}")
    return replace(state, policy=found)


def _statement(state: JournalState, head: Head, body: Object) -> JournalState:
    """What the dock said, of whichever type: its number, and what the type adds."""
    said = statement.parse_in(body)
    dock, dseq = fields.text_of(said.value, "dock"), fields.integer_of(said.value, "dseq")
    last = dict(state.dseq).get(dock, -1)
    if dseq <= last and head.kind not in _HELD_BACK:
        raise FormatError(f"{head.kind}.statement.dseq", f"{dseq} of dock {dock} does not follow {last}")
    others = tuple(each for each in state.dseq if each[0] != dock)
    state = replace(state, dseq=(*others, (dock, max(dseq, last)))[-MAX_DOCKS:])
    if head.kind == "ack":
        return replace(state, ack=_acknowledged(state, parse_reference(said.value)))
    if head.kind == "assign":
        return replace(state, assignment=head.seq)
    if head.kind == "token":
        return replace(state, token=fields.text_of(said.value, "head"))
    return state


def _acknowledged(state: JournalState, ack: Reference) -> Reference:
    if ack.seq < 0:
        raise FormatError("ack.statement.seq", "that the archive has nothing is an answer, not an entry")
    if ack.seq >= state.position.seq or (state.ack is not None and ack.seq < state.ack.seq):
        raise FormatError("ack.statement.seq", f"{ack.seq} was never sent, or is before the last one acknowledged")
    return ack


def _dock(state: JournalState, head: Head, body: Object) -> JournalState:
    """Whoever wore the camera has brought it back."""
    return replace(state, assignment=None)


def _config(state: JournalState, head: Head, body: Object) -> JournalState:
    return state if body["statement"] is None else _statement(state, head, body)


def _key_rotate(state: JournalState, head: Head, body: Object) -> JournalState:
    return replace(state, chain=parse_chain(body))


def recording_id(position: Position) -> str:
    """The id of a recording whose `recording.start` goes there."""
    return f"{position.dev}-{position.jid[:8]}-{position.seq}"


def _recording_start(state: JournalState, head: Head, body: Object) -> JournalState:
    rec = fields.text_of(body, "rec")
    if state.open:
        raise FormatError("recording.start.rec", f"{state.open[0].rec} is still open")
    if rec != recording_id(state.position):
        raise FormatError("recording.start.rec", f"{rec} is not named by this entry")
    press_ns = fields.ns_of(body, "press_ns")
    started = OpenRecording(rec, press_ns, press_ns, 0, 0, press_ns, None)
    return replace(state, open=(started,), interrupted=None)


def _segment_open(state: JournalState, head: Head, body: Object) -> JournalState:
    recording = _recording_of(state, head, body)
    seg = fields.integer_of(body, "seg")
    if recording.open is not None or seg != recording.segments:
        raise FormatError("segment.open.seg", f"{seg} cannot be opened: {_so_far(recording)}")
    opened = OpenSegment(seg, 0, 0, NOTHING_HASH, recording.end_ns)
    return replace(state, open=(replace(recording, segments=seg + 1, open=opened),))


def _with_fragment(state: JournalState, head: Head, body: Object) -> OpenRecording:
    recording = _recording_of(state, head, body)
    segment = _segment_of(recording, head, body)
    n, offset = fields.integer_of(body, "n"), fields.integer_of(body, "off")
    if n != segment.n or (n > 0 and offset != segment.size):
        raise FormatError("fragment.n", f"{n} at {offset} does not follow: {_so_far(recording)}")
    t0_ns = fields.ns_of(body, "t0_ns")
    end_ns = t0_ns + fields.ns_of(body, "dur_ns")
    size = offset + fields.integer_of(body, "len")
    return OpenRecording(
        rec=recording.rec,
        press_ns=recording.press_ns,
        first_ns=recording.first_ns if recording.fragments else t0_ns,
        segments=recording.segments,
        fragments=recording.fragments + 1,
        end_ns=end_ns,
        open=OpenSegment(segment.seg, n + 1, size, fields.text_of(body, "blob"), end_ns),
    )


def _segment_seal(state: JournalState, head: Head, body: Object) -> JournalState:
    recording = _recording_of(state, head, body)
    segment = _segment_of(recording, head, body)
    if fields.integer_of(body, "n") != segment.n or fields.integer_of(body, "size") <= segment.size:
        raise FormatError("segment.seal.n", f"is not what was written: {_so_far(recording)}")
    return replace(state, open=(replace(recording, open=None),))


def _segment_recovered(state: JournalState, head: Head, body: Object) -> JournalState:
    recording = _recording_of(state, head, body)
    _segment_of(recording, head, body)
    return replace(state, open=(replace(recording, open=None),))


def _within(state: JournalState, head: Head, body: Object) -> JournalState:
    """Only checks that its recording is the open one."""
    _recording_of(state, head, body)
    return state


def _recording_stop(state: JournalState, head: Head, body: Object) -> JournalState:
    recording = _recording_of(state, head, body)
    if recording.open is not None:
        raise FormatError("recording.stop.rec", f"segment {recording.open.seg} of {recording.rec} is still open")
    if fields.integer_of(body, "fragments") != recording.fragments:
        raise FormatError("recording.stop.fragments", f"is not the {recording.fragments} that were written")
    interrupted = recording.rec if body["cause"] == StopCause.INTERRUPTED else state.interrupted
    return replace(state, open=(), interrupted=interrupted)


_STEPS: dict[str, Callable[[JournalState, Head, Object], JournalState]] = {
    "checkpoint": _checkpoint,
    "policy": _policy,
    **dict.fromkeys(STATEMENT_KINDS, _statement),
    "config": _config,
    "dock": _dock,
    "key.rotate": _key_rotate,
    "recording.start": _recording_start,
    "segment.open": _segment_open,
    "segment.seal": _segment_seal,
    "segment.recovered": _segment_recovered,
    **dict.fromkeys(("gap", "mark", "notice", "place"), _within),
    "recording.stop": _recording_stop,
}


def _recording_of(state: JournalState, head: Head, body: Object) -> OpenRecording:
    rec = fields.text_of(body, "rec")
    for recording in state.open:
        if recording.rec == rec:
            return recording
    raise FormatError(f"{head.kind}.rec", f"{rec} is not open")


def _segment_of(recording: OpenRecording, head: Head, body: Object) -> OpenSegment:
    seg = fields.integer_of(body, "seg")
    if recording.open is None or recording.open.seg != seg:
        raise FormatError(f"{head.kind}.seg", f"{seg} is not open: {_so_far(recording)}")
    return recording.open


def _so_far(recording: OpenRecording) -> str:
    if recording.open is None:
        return f"{recording.rec} has {recording.segments} segments, none open"
    return f"{recording.rec} has segment {recording.open.seg} open with {recording.open.n} fragments"


def _body_of(entry: Entry) -> Object:
    if entry.body is None:
        raise FormatError(entry.head.kind, "its body is withheld, which the camera's own journal never does")
    return entry.body


def _next_position(entry: Entry) -> Position:
    return Position(entry.head.dev, entry.head.jid, entry.head.seq + 1, entry.digest.hex())
