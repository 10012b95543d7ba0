"""What the archive takes from a camera, and what it refuses: chain, signature, certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.formats.entries import Entry
from agent.formats.fields import encode_base64
from agent.formats.wire import Batch
from dock.lines import RefusedError, Tail, check, follow, follow_all, is_signed_by, parse_batch
from tests.support.agency import TestAgency, make_agency
from tests.support.dock import IssuedSigner, all_entries, batch_of
from tests.support.evidence import Builder, builder


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), cameras=("cam-01", "cam-02"), simulated=False)


@pytest.fixture
def made(agency: TestAgency, tmp_path: Path) -> Builder:
    begun = builder(tmp_path, agency)
    begun.genesis()
    begun.append("shutdown", {"cause": "switch"})
    begun.restart()
    return begun


def taken(made: Builder, entries: list[Entry], tail: Tail | None = None) -> tuple[list[Entry], Tail | None]:
    return check(parse_batch(batch_of(entries), made.dev), tail, made.agency.root)


def test_a_whole_journal(made: Builder) -> None:
    entries = all_entries(made)
    found, tail = taken(made, entries)
    assert found == entries
    assert tail is not None
    assert (tail.dev, tail.jid, tail.first, tail.seq) == (made.dev, made.jid, 0, entries[-1].head.seq)
    assert tail.head == entries[-1].digest.hex()
    assert tail.policy == made.policy[0]
    assert tail.chain == made.signer.chain


def test_from_a_checkpoint_on_and_from_nothing_else(made: Builder) -> None:
    entries = all_entries(made)
    begin = next(index for index, entry in enumerate(entries) if entry.head.kind == "checkpoint")
    found, tail = taken(made, entries[begin:])
    assert found == entries[begin:]
    assert tail is not None
    assert tail.first == begin
    with pytest.raises(RefusedError, match="a journal does not begin with boot"):
        taken(made, entries[begin + 1 :])


def test_in_any_pieces(made: Builder) -> None:
    entries = all_entries(made)
    whole = taken(made, entries)[1]
    for cut in range(1, len(entries)):
        tail = taken(made, entries[:cut])[1]
        assert taken(made, entries[cut:], tail)[1] == whole


def other_body(entry: Entry) -> Entry:
    body = (entry.body_bytes or b"").replace(b'"switch"', b'"button"')
    return Entry(entry.head, entry.head_bytes, entry.signature, None, body)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda entry: entry.without_body(), "its body is withheld"),
        (lambda entry: entry.with_signature(b"0" * 70), "signature"),
        (other_body, "its hash is not the one in the head"),
        (
            lambda entry: replace(entry, head_bytes=entry.head_bytes.replace(b"cam-01", b"cam-02")),
            "is of camera cam-02",
        ),
        (lambda entry: replace(entry, head_bytes=entry.head_bytes.replace(b'"seq":3', b'"seq":4')), "does not follow"),
    ],
)
def test_a_changed_line(made: Builder, change: Callable[[Entry], Entry], problem: str) -> None:
    """None of the batch is taken."""
    entries = all_entries(made)
    entries[3] = change(entries[3])
    with pytest.raises(RefusedError, match=problem) as caught:
        taken(made, entries)
    assert caught.value.where == "entry 3"


def test_a_line_left_out(made: Builder) -> None:
    entries = all_entries(made)
    with pytest.raises(RefusedError, match="does not follow"):
        taken(made, [*entries[:3], *entries[4:]])


@pytest.mark.parametrize("changes", [{"first": 1}, {"prev": "1" * 64}])
def test_properties_that_are_not_the_lines(made: Builder, changes: dict[str, int | str]) -> None:
    good = batch_of(all_entries(made))
    wrong = Batch(int(changes.get("first", good.first)), str(changes.get("prev", good.prev)), good.payload)
    with pytest.raises(RefusedError, match=r"entry [01]"):
        parse_batch(wrong, made.dev)


def test_junk_is_no_line(made: Builder) -> None:
    with pytest.raises(RefusedError, match="entry 0: line: 1 columns"):
        parse_batch(Batch(0, "0" * 64, b"\n\n"), made.dev)
    with pytest.raises(RefusedError):
        parse_batch(Batch(0, "0" * 64, b"\r\x85\x1c\n"), made.dev)


def test_the_journal_of_another_camera(agency: TestAgency, tmp_path: Path) -> None:
    other = builder(tmp_path, agency, "cam-02")
    other.genesis()
    with pytest.raises(RefusedError, match="is of camera cam-02"):
        parse_batch(batch_of(all_entries(other)), "cam-01")


@pytest.mark.parametrize("kind", ["dock", "policy", "export"])
def test_a_certificate_of_another_role(agency: TestAgency, tmp_path: Path, kind: str) -> None:
    made = builder(tmp_path, agency)
    made.signer = IssuedSigner(agency.issue(kind, "cam-01"))
    made.genesis()
    with pytest.raises(RefusedError, match="not of the kind camera or sim"):
        taken(made, all_entries(made))


def test_a_certificate_of_another_camera_or_agency(agency: TestAgency, tmp_path: Path) -> None:
    made = builder(tmp_path, agency)
    made.signer = IssuedSigner(agency.issue("camera", "cam-02"))
    made.genesis()
    with pytest.raises(RefusedError, match="the journal is of cam-01"):
        taken(made, all_entries(made))
    stranger = builder(tmp_path, make_agency(tmp_path, simulated=False, seed="other"))
    stranger.genesis()
    with pytest.raises(RefusedError, match="not issued by this authority"):
        check(parse_batch(batch_of(all_entries(stranger)), "cam-01"), None, agency.root)


def test_a_checkpoint_with_another_certificate(agency: TestAgency, made: Builder) -> None:
    other = agency.issue("camera", "cam-01")
    made.lies["checkpoint"] = {"chain": [encode_base64(other.certificate.public_bytes(Encoding.DER))]}
    made.rotate()
    with pytest.raises(RefusedError, match="names other certificates"):
        taken(made, all_entries(made))


def test_a_key_that_rotates(agency: TestAgency, made: Builder) -> None:
    new = IssuedSigner(agency.issue("camera", "cam-01"))
    made.append("key.rotate", {"chain": [encode_base64(new.chain[0])], "key_class": "file"})
    old, made.signer = made.signer, new
    made.rotate()
    assert taken(made, all_entries(made))[0] == all_entries(made)
    made.signer = old
    made.append("selftest", {"checks": []})
    with pytest.raises(RefusedError, match="not of this key"):
        taken(made, all_entries(made))


def test_a_key_that_rotates_to_another_camera(agency: TestAgency, made: Builder) -> None:
    chain = [encode_base64(agency.issue("camera", "cam-02").certificate.public_bytes(Encoding.DER))]
    made.append("key.rotate", {"chain": chain, "key_class": "file"})
    with pytest.raises(RefusedError, match="the journal is of cam-01"):
        taken(made, all_entries(made))


def test_unsigned_lines_wait_for_the_signature_that_vouches_for_them(agency: TestAgency, tmp_path: Path) -> None:
    made = builder(tmp_path, agency, slow_signer=True)
    made.genesis()
    made.start()
    segment = made.open_segment()
    for signed in (False, True, False, False):
        made.fragment(segment, signed=signed)
    entries = all_entries(made)
    found, tail = taken(made, entries)
    assert found == entries[:-2]
    assert tail is not None
    assert taken(made, entries[-2:], tail) == ([], tail)
    made.fragment(segment)
    assert taken(made, all_entries(made)[-3:], tail)[0] == all_entries(made)[-3:]


def test_unsigned_lines_of_a_camera_that_always_signs(agency: TestAgency, tmp_path: Path) -> None:
    made = builder(tmp_path, agency)
    made.genesis()
    made.start()
    segment = made.open_segment()
    made.fragment(segment, signed=False)
    made.fragment(segment)
    with pytest.raises(RefusedError, match="declares no slow signer"):
        taken(made, all_entries(made))


def test_who_signed(agency: TestAgency, made: Builder) -> None:
    entry = all_entries(made)[-1]
    tail = taken(made, all_entries(made))[1]
    assert tail is not None
    assert is_signed_by(entry, tail)
    assert not is_signed_by(entry, replace(tail, chain=IssuedSigner(agency.dock()).chain))
    assert not is_signed_by(replace(entry, signature=None), tail)
    assert follow(tail, entry).seq == entry.head.seq


def test_the_tail_after_many_entries_is_that_after_each_in_turn(agency: TestAgency, made: Builder) -> None:
    new = IssuedSigner(agency.issue("camera", "cam-01"))
    made.append("key.rotate", {"chain": [encode_base64(new.chain[0])], "key_class": "file"})
    made.signer = new
    made.append("policy", {"hash": "a" * 64, "version": 7})
    made.append("shutdown", {"cause": "switch"})
    entries = all_entries(made)
    tails: list[Tail | None] = [None]
    for entry in entries:
        tails.append(follow(tails[-1], entry))
    for begin in range(len(entries)):
        for end in range(begin + 1, len(entries) + 1):
            assert follow_all(tails[begin], entries[begin:end]) == tails[end]
            assert check(entries[begin:end], tails[begin], agency.root)[1] == tails[end]
