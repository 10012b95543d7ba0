"""The vectors of the journal through the reader, and the script still making the same bytes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TypedDict

import pytest
from cryptography import x509

from agent import keys
from agent.errors import FormatError
from agent.formats import entries
from agent.formats.bodies import KINDS
from agent.formats.canonical import Object
from agent.formats.entries import Position
from agent.formats.fields import ZERO_HASH, object_of
from tests.support.vectors import differences
from tests.vectors import make_entries

FOLDER = Path(__file__).parent / "entries"
OTHERS = ("journal.log", "camera.pem", "agency.pem", "index.json")
LINES = (FOLDER / "journal.log").read_bytes().splitlines(keepends=True)

Index = TypedDict("Index", {"journal.log": list[dict[str, Object]], "refused": dict[str, str]})

INDEX: Index = json.loads((FOLDER / "index.json").read_text())
SEQS = range(len(LINES))


def certificate(name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((FOLDER / name).read_bytes())


def test_the_script_still_makes_these_bytes() -> None:
    assert differences(FOLDER, make_entries.generate()) == []


def test_every_file_is_in_the_index() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*INDEX["refused"], *OTHERS}


def test_every_kind_has_an_entry() -> None:
    assert {entries.parse_line(line).head.kind for line in LINES} == KINDS


@pytest.mark.parametrize("seq", SEQS)
def test_reads(seq: int) -> None:
    entry = entries.parse_line(LINES[seq])
    head, body = INDEX["journal.log"][seq]["head"], INDEX["journal.log"][seq]["body"]
    assert json.loads(entry.head_bytes) == head
    assert (entry.head.seq, entry.head.kind, entry.head.dev) == (seq, head["kind"], head["dev"])
    assert (entry.head.jid, entry.head.prev, entry.head.body) == (head["jid"], head["prev"], head["body"])
    stamp, time = entry.head.stamp, object_of(head, "time")
    assert (str(stamp.mono_ns), stamp.boot, stamp.err_ms, stamp.source) == (
        head["mono_ns"],
        head["boot"],
        time["err_ms"],
        time["src"],
    )
    assert entry.body == body
    assert entry.line == LINES[seq]


@pytest.mark.parametrize("seq", SEQS)
def test_makes_the_same_bytes(seq: int) -> None:
    read = entries.parse_line(LINES[seq])
    assert read.body is not None
    body = dict(read.body)
    salt = bytes.fromhex(str(body.pop("salt")))
    position = Position(read.head.dev, read.head.jid, read.head.seq, read.head.prev)
    made = entries.make(position, read.head.kind, body, salt, read.head.stamp)
    assert (made.head_bytes, made.body_bytes, made.signature) == (read.head_bytes, read.body_bytes, None)
    assert (made if read.signature is None else made.with_signature(read.signature)) == read


@pytest.mark.parametrize("seq", SEQS)
def test_reads_withheld_bodies(seq: int) -> None:
    whole = entries.parse_line(LINES[seq])
    withheld = entries.parse_line(whole.without_body().line)
    assert (withheld.head, withheld.signature, withheld.digest) == (whole.head, whole.signature, whole.digest)
    assert withheld.body is None
    assert withheld.body_bytes is None


def test_heads_are_chained_by_the_hash_of_their_bytes() -> None:
    prev = ZERO_HASH
    for line in LINES:
        head_bytes = line.split(b"\t")[0]
        assert json.loads(head_bytes)["prev"] == prev
        assert entries.parse_line(line).digest.hex() == hashlib.sha256(head_bytes).hexdigest()
        prev = hashlib.sha256(head_bytes).hexdigest()


def test_signatures_are_over_the_bytes_of_the_head() -> None:
    verifier = keys.Verifier(certificate("camera.pem"))
    unsigned = []
    for line in LINES:
        entry = entries.parse_line(line)
        if entry.signature is None:
            unsigned.append(entry.head.kind)
        else:
            verifier.check(entry.digest, entry.signature, entry.head.kind)
    assert unsigned == ["fragment"]


def test_the_camera_is_the_agencys() -> None:
    role = keys.check_chain([certificate("camera.pem")], certificate("agency.pem"), ["camera"], "camera.pem", None)
    assert role.id == "cam-0001"


@pytest.mark.parametrize("name", INDEX["refused"])
def test_refuses(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        entries.parse_line((FOLDER / name).read_bytes())
    assert str(caught.value) == INDEX["refused"][name]
