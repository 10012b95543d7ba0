"""The fold over the journal: what it knows, what it refuses, and that a checkpoint keeps all of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import age, fields, statement
from agent.formats.canonical import Object, Value
from agent.formats.entries import Entry, Position, make, parse_line
from agent.model import Stamp, TimeSource
from agent.store.state import (
    MAX_DOCKS,
    JournalState,
    OpenRecording,
    Reference,
    apply,
    checkpoint_body,
    from_checkpoint,
    from_genesis,
    recording_id,
)
from tests.support.signer import SeededSigner
from tests.support.store import fragment_body, recording_start, recording_stop, segment_open

SIGNER = SeededSigner()
HASH = "c" * 64
SALT = bytes(16)
ALERT: Object = {"cause": "test", "values": {}, "remedy": "none"}


class Writer:
    """Makes entries that follow each other, without a card."""

    def __init__(self) -> None:
        self.stamp = Stamp(1_767_225_600_000, 5, TimeSource.RTC, 10**9, "00000001-0000-4000-8000-000000000000")
        chain = [fields.encode_base64(der) for der in SIGNER.chain]
        body: Object = {
            "chain": chain,
            "key_class": "file",
            "slow_signer": True,
            "model": "sim",
            "software": "1.0",
            "enrolment": None,
        }
        self.newest = self.make(Position("cam-1", "d" * 32, 0, fields.ZERO_HASH), "genesis", body)
        self.state = from_genesis(self.newest)

    def make(self, position: Position, kind: str, body: Object, signed: bool = True) -> Entry:
        entry = make(position, kind, body, SALT, self.stamp)
        return entry.with_signature(b"0" * 70) if signed else entry

    def add(self, kind: str, body: Object, signed: bool = True) -> JournalState:
        self.newest = self.make(self.state.position, kind, body, signed)
        self.state = apply(self.state, self.newest)
        return self.state

    def refuse(self, kind: str, body: Object, match: str) -> None:
        before = self.state
        with pytest.raises(FormatError, match=match):
            self.add(kind, body)
        assert self.state is before

    @property
    def rec(self) -> str:
        return self.state.open[0].rec

    def record(self, fragments: int = 0) -> None:
        self.add("recording.start", recording_start(recording_id(self.state.position)))
        self.add("segment.open", segment_open(self.rec, 0))
        for n in range(fragments):
            self.add("fragment", self.fragment(n))

    def fragment(self, n: int, **changed: Value) -> Object:
        off = 65_768 + n * age.SEALED_CHUNK_BYTES
        return {**fragment_body(self.rec, 0, n, off, HASH, HASH, (n + 8) * 10**9), **changed}

    def says(self, kind: str, dock: str, dseq: int, **own: Value) -> Object:
        said: Mapping[str, Value] = {
            "agency": "ville",
            "dock": dock,
            "dev": "cam-1",
            "jid": "d" * 32,
            "dseq": dseq,
            "session": "e" * 32,
            "utc": "2026-01-01T00:00:00.000Z",
            **own,
        }
        text = statement.compose(kind, said)
        signature = SIGNER.sign(hashlib.sha256(text).digest())
        return {"statement": {"text": text.decode(), "sig": fields.encode_base64(signature)}}


@pytest.fixture
def writer() -> Writer:
    return Writer()


def test_genesis_says_who_and_how(writer: Writer) -> None:
    state = writer.state
    assert state.position == Position("cam-1", "d" * 32, 1, writer.newest.digest.hex())
    assert state.chain == tuple(fields.encode_base64(der) for der in SIGNER.chain)
    assert state.slow_signer
    assert state.last_signed == Reference(0, writer.newest.digest.hex())
    assert (state.open, state.interrupted, state.policy, state.ack, state.low) == ((), None, None, None, 0)


def test_a_journal_begins_with_genesis_or_checkpoint(writer: Writer) -> None:
    writer.add("alert", ALERT)
    for first in (from_genesis, from_checkpoint):
        with pytest.raises(FormatError):
            first(writer.newest)


def test_a_recording_from_press_to_stop(writer: Writer) -> None:
    writer.record()
    rec = "cam-1-dddddddd-1"
    assert writer.state.open == (OpenRecording(rec, 7 * 10**9, 7 * 10**9, 1, 0, 7 * 10**9, writer.state.open[0].open),)
    writer.add("fragment", writer.fragment(0))
    writer.add("fragment", writer.fragment(1))
    (found,) = writer.state.open
    assert (found.first_ns, found.end_ns, found.fragments, found.duration_ms) == (8 * 10**9, 10 * 10**9, 2, 2000)
    assert found.open is not None
    assert (found.open.n, found.open.size) == (2, 65_768 + 2 * age.SEALED_CHUNK_BYTES)
    writer.add("segment.seal", {"rec": rec, "seg": 0, "n": 2, "size": found.open.size + 100, "blob": HASH})
    assert writer.state.open[0].open is None
    writer.add("segment.open", segment_open(rec, 1))
    body: Object = {"size": 5, "blob": None, "last_n": None, "last_end": 0, "mismatch_n": None}
    writer.add("segment.recovered", {"rec": rec, "seg": 1, **body})
    stopped = writer.add("recording.stop", recording_stop(rec, 2))
    assert (stopped.open, stopped.interrupted) == ((), None)


def test_an_interrupted_recording_waits_for_the_next_press(writer: Writer) -> None:
    writer.record()
    rec = writer.rec
    writer.add(
        "segment.recovered",
        {"rec": rec, "seg": 0, "size": 0, "blob": None, "last_n": None, "last_end": 0, "mismatch_n": None},
    )
    writer.add("recording.stop", recording_stop(rec, 0, "interrupted"))
    writer.add("alert", ALERT)
    assert writer.state.interrupted == rec
    writer.record()
    assert writer.state.interrupted is None


def test_the_order_of_a_recording(writer: Writer) -> None:
    rec = "cam-1-dddddddd-1"
    writer.refuse("segment.open", segment_open(rec, 0), "is not open")
    writer.refuse("recording.start", recording_start("cam-1-dddddddd-2"), "is not named by this entry")
    writer.refuse("recording.start", recording_start("cam-2-dddddddd-1"), "is not named by this entry")
    writer.add("recording.start", recording_start(rec))
    writer.refuse("recording.start", recording_start("cam-1-dddddddd-2"), "is still open")
    writer.refuse("segment.open", segment_open(rec, 1), "1 cannot be opened")
    writer.refuse("fragment", writer.fragment(0), "0 is not open")
    writer.add("segment.open", segment_open(rec, 0))
    writer.refuse("segment.open", segment_open(rec, 1), "1 cannot be opened")
    writer.refuse("fragment", writer.fragment(1), "1 at .* does not follow")
    writer.refuse("fragment", writer.fragment(0, seg=1), "1 is not open")
    writer.add("fragment", writer.fragment(0))
    writer.refuse("fragment", writer.fragment(0), "does not follow")
    writer.refuse("fragment", writer.fragment(1, off=65_768), "does not follow")
    writer.refuse("segment.seal", {"rec": rec, "seg": 0, "n": 2, "size": 999_999, "blob": HASH}, "not what was written")
    writer.refuse("segment.seal", {"rec": rec, "seg": 0, "n": 1, "size": 131_320, "blob": HASH}, "not what was written")
    writer.refuse("segment.seal", {"rec": rec, "seg": 1, "n": 1, "size": 999_999, "blob": HASH}, "1 is not open")
    writer.refuse("recording.stop", recording_stop(rec, 1), "segment 0 of .* is still open")
    writer.add("segment.seal", {"rec": rec, "seg": 0, "n": 1, "size": 131_321, "blob": HASH})
    writer.refuse("recording.stop", recording_stop(rec, 2), "is not the 1 that were written")
    for kind, body in _within(rec):
        writer.add(kind, body)
    writer.add("recording.stop", recording_stop(rec, 1))
    for kind, body in _within(rec):
        writer.refuse(kind, body, "is not open")


def _within(rec: str) -> list[tuple[str, Object]]:
    return [
        ("gap", {"rec": rec, "from_ns": "1", "to_ns": "2", "cause": "overrun"}),
        ("mark", {"rec": rec, "press_ns": "1"}),
        ("notice", {"rec": rec, "press_ns": "1", "state": "announced", "reason": None}),
        ("place", {"rec": rec, "press_ns": "1", "sealed": fields.encode_base64(bytes(200))}),
    ]


def test_the_chain(writer: Writer) -> None:
    position = writer.state.position
    other = [
        (replace(position, seq=2), "2 where 1 comes next"),
        (replace(position, prev="f" * 64), "does not follow the head before it"),
        (replace(position, dev="cam-2"), "is of another journal"),
        (replace(position, jid="e" * 32), "is of another journal"),
    ]
    for wrong, match in other:
        with pytest.raises(FormatError, match=match):
            apply(writer.state, writer.make(wrong, "alert", ALERT))


def test_another_boot_begins_with_checkpoint_and_boot(writer: Writer) -> None:
    writer.stamp = replace(writer.stamp, boot="00000002-0000-4000-8000-000000000000")
    writer.refuse("alert", ALERT, "another boot begins with checkpoint and boot")
    writer.add("checkpoint", checkpoint_body(writer.state))
    writer.add("alert", ALERT)
    assert writer.state.boot == writer.stamp.boot


def test_a_withheld_body_is_not_the_cameras_own(writer: Writer) -> None:
    entry = writer.make(writer.state.position, "alert", ALERT).without_body()
    with pytest.raises(FormatError, match="alert: its body is withheld"):
        apply(writer.state, entry)


def test_what_is_signed_and_what_is_clean(writer: Writer) -> None:
    writer.record()
    before = writer.state.last_signed
    writer.add("fragment", writer.fragment(0), signed=False)
    assert writer.state.last_signed == before
    writer.add("fragment", writer.fragment(1))
    assert writer.state.last_signed == Reference(4, writer.newest.digest.hex())
    assert writer.add("shutdown", {"cause": "switch"}).clean
    assert not writer.add("alert", ALERT).clean


def test_time_that_nobody_vouches_for_is_not_remembered(writer: Writer) -> None:
    known = writer.state.last_utc_ms
    writer.stamp = replace(writer.stamp, utc_ms=9 * 10**12, source=TimeSource.DISPUTED)
    assert writer.add("alert", ALERT).last_utc_ms == known
    writer.stamp = replace(writer.stamp, utc_ms=None, err_ms=None, source=TimeSource.NONE)
    assert writer.add("alert", ALERT).last_utc_ms == known
    writer.stamp = replace(writer.stamp, utc_ms=1_767_225_700_000, err_ms=1, source=TimeSource.BEACON)
    assert writer.add("alert", ALERT).last_utc_ms == 1_767_225_700_000


def test_a_policy_rises(writer: Writer) -> None:
    writer.add("policy", {"hash": HASH, "version": 3})
    writer.add("policy", {"hash": HASH, "version": 3})
    writer.refuse("policy", {"hash": "a" * 64, "version": 3}, "3 does not follow version 3")
    writer.refuse("policy", {"hash": "a" * 64, "version": 2}, "2 does not follow version 3")
    assert writer.add("policy", {"hash": "a" * 64, "version": 4}).policy == ("a" * 64, 4)


def test_a_key_that_rotates_changes_the_certificate(writer: Writer) -> None:
    chain = SeededSigner(seed="other").chain
    writer.add("key.rotate", {"chain": [fields.encode_base64(chain[0])], "key_class": "chip"})
    assert writer.state.chain == (fields.encode_base64(chain[0]),)


def test_what_docks_said(writer: Writer) -> None:
    writer.add("hold", writer.says("hold", "dock-1", 5, rec="cam-1-dddddddd-1", until=None))
    writer.refuse("hold", writer.says("hold", "dock-1", 5, rec="cam-1-dddddddd-1", until=None), "does not follow 5")
    writer.add("ack", writer.says("ack", "dock-2", 1, seq=1, head=HASH))
    assert writer.state.ack == Reference(1, HASH)
    assert writer.state.dseq == (("dock-1", 5), ("dock-2", 1))
    writer.refuse("ack", writer.says("ack", "dock-2", 2, seq=0, head=HASH), "before the last one acknowledged")
    writer.refuse("ack", writer.says("ack", "dock-2", 2, seq=3, head=HASH), "was never sent")
    writer.add("hold", writer.says("hold", "dock-2", 9, rec="cam-1-dddddddd-1", until=None))
    writer.add("ack", writer.says("ack", "dock-2", 7, seq=2, head=HASH))
    assert dict(writer.state.dseq)["dock-2"] == 9
    nothing = writer.says("ack", "dock-2", 2, seq=-1, head=fields.ZERO_HASH)
    writer.refuse("ack", nothing, "that the archive has nothing is an answer, not an entry")
    writer.add("config", {"hash": HASH, "statement": None})
    statement_body = writer.says("config", "dock-1", 7, hash=HASH, values={})
    writer.add("config", {"hash": HASH, **statement_body})
    assert writer.state.dseq == (("dock-2", 9), ("dock-1", 7))
    assigned = writer.says(
        "assign",
        "dock-1",
        8,
        wearer="a" * 32,
        service="nuit",
        sector="nord",
        **{"from": "2026-01-01T00:00:00.000Z", "until": "2026-01-02T00:00:00.000Z"},
    )
    writer.add("assign", assigned)
    handed_out = checkpoint_body(writer.state)
    assert handed_out["assignment"] == writer.state.position.seq - 1
    writer.add("checkpoint", handed_out)
    chain = list(writer.state.chain)
    writer.add("dock", {"session": "a" * 32, "dock": "dock-1", "beacon": None, "chain": chain})
    assert writer.state.assignment is None
    tsr = fields.encode_base64(bytes(200))
    writer.add("token", writer.says("token", "dock-1", 9, head="b" * 64, imprint=HASH, tsr=tsr))
    assert writer.state.token == "b" * 64


def test_docks_long_unheard_are_forgotten(writer: Writer) -> None:
    for number in range(MAX_DOCKS + 2):
        writer.add("hold", writer.says("hold", f"dock-{number}", 1, rec="cam-1-dddddddd-1", until=None))
    assert [dock for dock, _ in writer.state.dseq] == [f"dock-{number}" for number in range(2, MAX_DOCKS + 2)]
    writer.add("checkpoint", checkpoint_body(writer.state))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prev_head", "f" * 64),
        ("open", []),
        ("ack", {"seq": 0, "head": HASH}),
        ("policy", None),
        ("slow_signer", False),
        ("chain", [fields.encode_base64(bytes(100))]),
        ("dseq", []),
        ("assignment", 1),
        ("last_utc", None),
        ("token", HASH),
        ("interrupted", "cam-1-dddddddd-1"),
        ("low", 99),
    ],
)
def test_a_checkpoint_says_what_the_entries_said(writer: Writer, field: str, value: Value) -> None:
    writer.add("policy", {"hash": HASH, "version": 3})
    writer.add("hold", writer.says("hold", "dock-1", 5, rec="cam-1-dddddddd-1", until=None))
    writer.record(2)
    wrong: Object = {**checkpoint_body(writer.state), field: value}
    writer.refuse("checkpoint", wrong, f"checkpoint.{field}")
    writer.add("checkpoint", {**checkpoint_body(writer.state), "low": 2})
    writer.refuse("checkpoint", {**checkpoint_body(writer.state), "low": 1}, "1 is not from 2")


def test_a_checkpoint_alone_is_checked_as_far_as_it_goes(writer: Writer) -> None:
    writer.record(1)
    good = checkpoint_body(writer.state)
    (recording,) = fields.list_of(good, "open")
    for wrong, match in (
        ({**good, "prev_head": HASH}, "is not the head before it"),
        ({**good, "open": [recording, recording]}, "one at a time"),
    ):
        entry = writer.make(writer.state.position, "checkpoint", wrong)
        with pytest.raises(FormatError, match=match):
            from_checkpoint(entry)


STEPS = st.lists(
    st.sampled_from(["press", "fragment", "roll", "stop", "policy", "dock", "alert", "reboot"]), max_size=30
)


@given(steps=STEPS)
@settings(max_examples=60, deadline=None)
def test_a_state_survives_its_checkpoint(steps: list[str]) -> None:
    """Whatever came before: a reader that begins at the checkpoint knows what one from genesis knows."""
    writer = Writer()
    for number, step in enumerate(steps):
        _take(writer, step, number)
    state = writer.add("checkpoint", checkpoint_body(writer.state))
    assert from_checkpoint(parse_line(writer.newest.line)) == state
    _take(writer, "alert", 0)
    assert apply(state, writer.newest) == writer.state


def _take(writer: Writer, step: str, number: int) -> None:
    found = writer.state.open[0] if writer.state.open else None
    segment = found.open if found is not None else None
    if step == "press" and found is None:
        writer.record()
    elif step == "fragment" and found is not None and segment is not None:
        off = segment.size or 65_768
        writer.add("fragment", fragment_body(found.rec, segment.seg, segment.n, off, HASH, HASH, found.end_ns))
    elif step == "roll" and found is not None and segment is not None:
        size = segment.size + 1
        writer.add("segment.seal", {"rec": found.rec, "seg": segment.seg, "n": segment.n, "size": size, "blob": HASH})
        writer.add("segment.open", segment_open(found.rec, found.segments))
    elif step == "stop" and found is not None and segment is not None:
        _take(writer, "seal", number)
        lost: Object = {"size": 0, "blob": None, "last_n": None, "last_end": 0, "mismatch_n": None}
        writer.add("segment.recovered", {"rec": found.rec, "seg": segment.seg, **lost})
        cause = "interrupted" if number % 2 else "hold"
        writer.add("recording.stop", recording_stop(found.rec, found.fragments, cause))
    elif step == "policy":
        writer.add("policy", {"hash": HASH, "version": 1})
    elif step == "dock":
        writer.add("hold", writer.says("hold", f"dock-{number % 3}", number, rec="cam-1-dddddddd-1", until=None))
    elif step == "reboot":
        writer.stamp = replace(writer.stamp, boot=f"{number + 2:08x}-0000-4000-8000-000000000000")
        writer.add("checkpoint", checkpoint_body(writer.state))
    else:
        writer.add("alert", ALERT)
