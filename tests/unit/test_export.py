"""export: what leaves is what was signed, only that, whole or not at all; what does not match is refused by name."""

from __future__ import annotations

import base64
import hashlib
import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import CertificateError, ExportError, TemoinError
from agent.evidence.export import ExportSigner, export
from agent.evidence.verify import verify
from agent.formats import bundle, clip, mp4
from agent.formats.age import RecipientKind
from agent.formats.bundle import ExportStatement, SegmentRange
from agent.formats.canonical import Value
from tests.support.agency import TestAgency, make_agency, seeded_random
from tests.support.evidence import Builder, Piece, builder
from tests.support.exports import (
    DAY_MS,
    INIT,
    OTHER_INIT,
    cut_power,
    film,
    make_bundle,
    piece,
    reader,
    record,
    run_check,
    say_again,
)
from tests.support.timestamps import journal_token

SECOND_NS = 1_000_000_000
SEALED = 65_552


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    """With the classic kind of recipient: its headers are small and made fast; one test uses the other kind."""
    return make_agency(tmp_path_factory.mktemp("agency"), kind=RecipientKind.CLASSIC, simulated=False)


def camera(folder: Path, agency: TestAgency, slow_signer: bool = False) -> Builder:
    made = builder(folder / "data", agency, slow_signer=slow_signer)
    made.genesis()
    return made


def shown(folder: Path) -> list[tuple[int, str, bool]]:
    """(seq, kind, is the body there) of the bundle's journal."""
    lines = [line.split(b"\t") for line in (folder / "journal.log").read_bytes().splitlines()]
    heads = [json.loads(head) for head, _, _ in lines]
    return [(head["seq"], head["kind"], body != b"-") for head, (_, _, body) in zip(heads, lines, strict=True)]


def passes(folder: Path, agency: TestAgency) -> bool:
    now_ms = agency.now_ms + 2 * DAY_MS
    return run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=now_ms).code == 0


# --- what is in it ----------------------------------------------------------------------------------------------------


def test_the_clip_is_front_padded_fragments_and_index(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    rec = record(made, 7, (3, 2))
    made.write()
    out = make_bundle(made, agency, rec, tmp_path / "bundle")
    data = (out.folder / "clip.mp4").read_bytes()
    fragments = b"".join(piece(second).data for second in range(7, 12))
    assert data[65_536 : 65_536 + len(fragments)] == fragments
    assert (out.folder / "init.mp4").read_bytes() == INIT
    init = mp4.parse_init(memoryview(mp4_of(INIT)))
    assert data[:65_536] == clip.front(len(fragments), init.ftyp)
    boxes = [each.kind for each in mp4.walk(memoryview(data))]
    assert boxes == ["ftyp", "free", "mdat", "moov"]
    said = out.statement.clips[0]
    assert said.segments == (SegmentRange(0, 0, 3, 65_536), SegmentRange(1, 0, 2, 4 * 65_536))
    assert (said.fragments, said.frames, said.pre) == (5, 125, 2)
    assert hashlib.sha256(data).hexdigest() == said.sha256
    assert (out.statement.cut_before, out.statement.cut_after, out.statement.gaps) == (0, 0, ())
    assert bundle.parse((out.folder / "statement.json").read_bytes()) == out.statement


def mp4_of(padded: bytes) -> bytes:
    return padded[: mp4.unpadded_length(memoryview(padded), ("ftyp", "moov"))]


def test_it_is_its_owners_only_and_nothing_else_is_left(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    rec = record(made, 0, (1,))
    made.write()
    folder = make_bundle(made, agency, rec, tmp_path / "bundle").folder
    modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert modes.pop("check.sh") == 0o755
    assert set(modes.values()) == {0o600}
    assert sorted(modes) == [
        "CHECK.txt",
        "agency.pem",
        "camera.pem",
        "clip.mp4",
        "init.mp4",
        "journal.log",
        "statement.json",
        "statement.p7s",
    ]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["bundle", "data"]


def test_both_kinds_of_recipient_pass_the_check(tmp_path: Path) -> None:
    for kind in RecipientKind:
        folder = tmp_path / kind.name
        folder.mkdir()
        agency = make_agency(folder, kind=kind, simulated=False)
        made = camera(folder, agency)
        rec = record(made, 0, (2, 1))
        made.write()
        assert passes(make_bundle(made, agency, rec, folder / "bundle").folder, agency)


def test_bodies_of_others_stay_behind(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    other = record(made, 0, (1,))
    made.append("alert", {"cause": "before", "values": {}, "remedy": "none"})
    made.mono_ns += 10 * SECOND_NS
    rec = made.start()
    made.append("alert", {"cause": "within", "values": {}, "remedy": "none"})
    made.append("mark", {"rec": other, "press_ns": "1"})
    made.append("mark", {"rec": rec, "press_ns": "1"})
    theirs, own = (base64.b64encode(text * 100).decode() for text in (b"a", b"b"))
    made.append("place", {"rec": other, "press_ns": "1", "sealed": theirs})
    made.append("place", {"rec": rec, "press_ns": "1", "sealed": own})
    film(made, 20, (1,))
    made.stop()
    made.rotate()
    later = record(made, 30, (1,))
    made.write()
    folder = make_bundle(made, agency, rec, tmp_path / "bundle").folder
    assert passes(folder, agency)
    bodies = (folder / "journal.log").read_text()
    entries = shown(folder)
    assert [seq for seq, _, _ in entries] == list(range(made.seq)), "without a token: from genesis to the head"
    assert '"within"' in bodies
    assert '"before"' not in bodies
    assert f'"rec":"{other}"' not in bodies
    assert f'"rec":"{later}"' not in bodies
    assert own in bodies
    assert theirs not in bodies
    kept = {kind for _, kind, is_there in entries if is_there}
    assert kept == {
        "genesis",
        "boot",
        "policy",
        "checkpoint",
        "recording.start",
        "alert",
        "mark",
        "place",
        "segment.open",
        "fragment",
        "segment.seal",
        "recording.stop",
    }


def assign(made: Builder, wearer: str) -> None:
    span = {"from": "2026-01-01T08:00:00.000Z", "until": "2026-01-01T18:00:00.000Z"}
    made.said("assign", wearer=wearer, service="jour", sector="centre", **span)


def test_only_the_assignment_of_this_wearer_goes_along(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    mine, others = "a" * 32, "b" * 32
    made.dock()
    assign(made, others)
    assign(made, mine)
    made.mono_ns += 10 * SECOND_NS
    rec = made.start()
    say_again(made, {"wearer": mine})
    film(made, 0, (1,))
    made.stop()
    made.write()
    folder = make_bundle(made, agency, rec, tmp_path / "bundle").folder
    assert [is_there for _, kind, is_there in shown(folder) if kind == "assign"] == [False, True]
    assert passes(folder, agency)


def test_the_stretch_goes_from_token_to_token(tmp_path: Path, agency: TestAgency) -> None:
    """The last token before the start, and the first after the stop that is over the stop or what follows it."""
    made = camera(tmp_path, agency)
    reply = bytes(200)

    def stamp(head: str) -> int:
        journal_token(made, head, reply)
        return made.seq - 1

    made.dock()
    stamp(made.files[-1][-1].digest.hex())
    record(made, 0, (1,))
    old = made.files[-1][-1].digest.hex()
    first = stamp(old)
    rec = record(made, 10, (1,))
    stamp(old)
    made.append("selftest", {"checks": []})
    last = stamp(made.files[-1][-1].digest.hex())
    stamp(made.files[-1][-1].digest.hex())
    made.write()
    with pytest.raises(ExportError, match=f"entry {first}: is a time stamp"):
        make_bundle(made, agency, rec, tmp_path / "none")
    out = make_bundle(made, agency, rec, tmp_path / "bundle", tsa_pem=b"roots")
    assert (out.statement.first, out.statement.last) == (first, last)
    assert (out.folder / "before.tsr").read_bytes() == (out.folder / "after.tsr").read_bytes() == reply
    assert out.statement.token_roots == hashlib.sha256(b"roots").hexdigest()


def test_a_slow_signer_is_declared_inside_the_stretch(tmp_path: Path, agency: TestAgency) -> None:
    """A token counts as its beginning only if a checkpoint follows it before the recording."""
    made = camera(tmp_path, agency, slow_signer=True)
    head = "0" * 64
    made.dock()
    journal_token(made, head, bytes(200))
    token = made.seq - 1
    first = record(made, 0, (3,))
    made.rotate()
    second = record(made, 10, (3,))
    made.write()
    out = make_bundle(made, agency, first, tmp_path / "first")
    assert out.statement.first == 0
    assert passes(out.folder, agency)
    out = make_bundle(made, agency, second, tmp_path / "second", tsa_pem=b"roots")
    assert out.statement.first == token


# --- clips ------------------------------------------------------------------------------------------------------------


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-500, 7000), st.integers(-500, 7000))
def test_a_cut_takes_every_fragment_it_touches(
    tmp_path_factory: pytest.TempPathFactory, agency: TestAgency, start_ms: int, end_ms: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    made = camera(folder, agency)
    rec = record(made, 0, (3, 3))
    made.write()
    expected = [n for n in range(6) if (n + 1) * 1000 > start_ms and n * 1000 < end_ms]
    if not expected:
        with pytest.raises(ExportError, match="nothing to export; it lasts 6000 ms"):
            make_bundle(made, agency, rec, folder / "bundle", start_ms=start_ms, end_ms=end_ms)
        return
    said = make_bundle(made, agency, rec, folder / "bundle", start_ms=start_ms, end_ms=end_ms).statement
    assert (said.cut_before, said.cut_after) == (expected[0], 5 - expected[-1])
    numbers = [each.seg * 3 + each.first + n for each in said.clips[0].segments for n in range(each.count)]
    assert numbers == expected


def test_another_init_and_another_capture_process_are_another_clip(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    made.mono_ns += 10 * SECOND_NS
    rec = made.start()
    film(made, 50, (1, 2))
    film(made, 53, (1,), OTHER_INIT)
    film(made, 54, (1,))
    # The process was started again: the same init, file time at 0, the boot clock 2 s on.
    made.gap(2 * SECOND_NS)
    film(made, 0, (2,))
    # And again, after its file time had been lower than it is now.
    made.gap(SECOND_NS)
    film(made, 90, (1,))
    # A hole within one process is no reason.
    made.gap(3 * SECOND_NS)
    film(made, 94, (1,))
    made.stop()
    made.write()
    out = make_bundle(made, agency, rec, tmp_path / "bundle")
    assert [each.fragments for each in out.statement.clips] == [3, 1, 1, 2, 2]
    assert [path.name for path in out.clips] == ["clip.mp4", *(f"clip-{n}.mp4" for n in range(2, 6))]
    assert (out.folder / "init-2.mp4").read_bytes() == OTHER_INIT
    assert len(out.statement.gaps) == 3
    assert passes(out.folder, agency)


# --- after a power cut ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last_n", "shown_count"), [(2, 5), (1, 4), (0, 3), (None, 2)])
def test_a_recovered_segment_goes_up_to_its_last_whole_fragment(
    tmp_path: Path, agency: TestAgency, last_n: int | None, shown_count: int
) -> None:
    made = camera(tmp_path, agency)
    rec, segment = cut_power(made, 3)
    whole = 0 if last_n is None else last_n + 1
    size = segment.end - (3 - whole) * SEALED + (0 if whole == 3 else 1000)
    segment.path.write_bytes(segment.data[:size] + (b"torn" if whole == 3 else b""))
    made.restart()
    made.recover(segment, last_n, None if whole == 3 else whole)
    made.stop("interrupted")
    made.write()
    out = make_bundle(made, agency, rec, tmp_path / "bundle")
    assert sum(each.fragments for each in out.statement.clips) == shown_count
    assert out.statement.cut_after == 5 - shown_count
    found = run_check(out.folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    assert found.code == 0, found.out
    assert "cause: interrupted" in found.out


def test_what_was_lost_in_the_middle_is_named(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    rec, segment = cut_power(made, 3)
    segment.path.write_bytes(segment.data[: segment.end - SEALED])
    made.restart(same_boot=True)
    made.recover(segment, 1, 2)
    film(made, 5, (1,))
    made.stop()
    made.write()
    with pytest.raises(ExportError, match=r"no whole fragment since the power was cut; .*--end 4"):
        make_bundle(made, agency, rec, tmp_path / "bundle")
    assert make_bundle(made, agency, rec, tmp_path / "bundle", end_ms=4000).statement.cut_after == 2


def test_a_recording_that_is_still_open_ends_at_the_last_signature(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency, slow_signer=True)
    made.mono_ns += 10 * SECOND_NS
    rec = made.start()
    segment = made.open_segment(INIT)
    for second, signed in enumerate((False, True, False)):
        made.fragment(segment, piece(second), signed)
    made.leave_open(segment)
    made.write()
    out = make_bundle(made, agency, rec, tmp_path / "bundle")
    assert out.statement.stop is None
    assert out.statement.last == made.seq - 2
    assert out.statement.clips[0].fragments == 2
    assert passes(out.folder, agency)


# --- what does not match ----------------------------------------------------------------------------------------------


def change(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda path: change(path, 30), "age header"),
        (lambda path: change(path, 1000), "its init is not|age chunk 0"),
        (lambda path: change(path, path.stat().st_size - 3000), "0000.mp4.age: entry 7: the file up to here is not"),
        (lambda path: path.write_bytes(path.read_bytes()[:100_000]), "entry 5: the file ends before the fragment"),
        (lambda path: path.write_bytes(path.read_bytes()[:60_000]), "ends before its init"),
        (lambda path: path.unlink(), "0000.mp4.age: is not there"),
        (lambda path: (path.unlink(), path.symlink_to("/dev/zero")), "0000.mp4.age: is not there"),
    ],
)
def test_a_changed_segment_is_refused_and_leaves_nothing(
    tmp_path: Path, agency: TestAgency, spoil: Callable[[Path], object], problem: str
) -> None:
    made = camera(tmp_path, agency)
    rec = record(made, 0, (3,))
    made.write()
    spoil(tmp_path / "data" / "segments" / rec / "0000.mp4.age")
    with pytest.raises(ExportError, match=problem):
        make_bundle(made, agency, rec, tmp_path / "bundle")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["data"]


def test_another_encryption_of_the_same_footage_is_refused(tmp_path: Path, agency: TestAgency) -> None:
    """The same plaintext under another file key: the header is not the one that was signed."""
    made, again = camera(tmp_path / "one", agency), builder(tmp_path / "two" / "data", agency, seed=2)
    again.genesis()
    rec, other = record(made, 0, (2,)), record(again, 0, (2,))
    made.write(), again.write()
    path = tmp_path / "one" / "data" / "segments" / rec / "0000.mp4.age"
    path.write_bytes((tmp_path / "two" / "data" / "segments" / other / "0000.mp4.age").read_bytes())
    with pytest.raises(ExportError, match="its header is not the one of"):
        make_bundle(made, agency, rec, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("made_piece", "changes", "problem"),
    [
        (replace(piece(0), frames=24), {}, "entry 5: 25 frames where the entry says 24"),
        (replace(piece(0), data=bytes(65_536)), {}, "entry 5"),
        (piece(0), {"plain": "0" * 64}, "entry 5: its plaintext is not the one of the entry"),
        (piece(0), {"blob": "0" * 64}, "entry 5: the file up to here is not the one of the entry"),
        (piece(0), {"off": 0}, "entry 5: is at offset 0"),
        (piece(0), {"len": 2 * SEALED}, "entry 5: the file ends before the fragment does"),
        (piece(0), {"n": 1}, "entry 5: fragment 0/1 follows"),
        (piece(0), {"seg": 1}, "entry 5: segment 1 was never opened"),
    ],
)
def test_an_entry_that_does_not_fit_its_fragment_is_refused(
    tmp_path: Path, agency: TestAgency, made_piece: Piece, changes: dict[str, Value], problem: str
) -> None:
    made = camera(tmp_path, agency)
    made.mono_ns += 10 * SECOND_NS
    rec = made.start()
    segment = made.open_segment(INIT)
    made.fragment(segment, made_piece)
    say_again(made, changes)
    made.put(segment)
    made.stop()
    made.write()
    with pytest.raises(ExportError, match=problem):
        make_bundle(made, agency, rec, tmp_path / "bundle")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b'"sound":true', b'"sound":false', "entry 5: body"),
        (b'"err_ms":20', b'"err_ms":21', "the signature is not of this key"),
        (b'"seq":6,', b'"seq":9,', "entry"),
    ],
)
def test_a_changed_journal_is_refused(tmp_path: Path, agency: TestAgency, old: bytes, new: bytes, problem: str) -> None:
    made = camera(tmp_path, agency)
    rec = record(made, 0, (3,))
    made.write()
    path = tmp_path / "data" / "journal" / "00000000.log"
    data = path.read_bytes()
    at = data.index(old, data.index(b'"seq":5,') - 400)
    path.write_bytes(data[:at] + new + data[at + len(old) :])
    with pytest.raises(ExportError, match=problem):
        make_bundle(made, agency, rec, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_refusals_name_what_to_give(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    rec = record(made, 0, (1,))
    made.write()
    other = make_agency(tmp_path, kind=RecipientKind.CLASSIC, simulated=False, seed="other")
    dock = agency.issue("dock", "dock-01")

    def attempt(signer: ExportSigner, recording: str = rec, agency: TestAgency = agency, name: str = "out") -> None:
        export(
            recording,
            made.folder,
            [agency.identity],
            signer,
            agency.root_pem,
            tmp_path / name,
            now_ms=agency.now_ms,
            random=seeded_random("x"),
        )

    cases: list[tuple[type[TemoinError], str, Callable[[], None]]] = [
        (ExportError, "is not in the journal", lambda: attempt(reader(agency), "cam-01-00000000-1")),
        (ExportError, "is already there", lambda: attempt(reader(agency), name="data")),
        (ExportError, "No such file", lambda: attempt(reader(agency), name="no/out")),
        (CertificateError, "not of the kind export", lambda: attempt(ExportSigner(dock.key, (dock.certificate,)))),
        (CertificateError, "not issued by this authority", lambda: attempt(reader(other))),
        (CertificateError, "not the one of the export key", lambda: attempt(replace(reader(agency), key=dock.key))),
        (ExportError, "not issued by this authority", lambda: attempt(reader(other), agency=other)),
    ]
    for kind, problem, call in cases:
        with pytest.raises(kind, match=problem):
            call()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["agency", "data"]


def test_an_identity_that_opens_nothing_is_said(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    rec = record(made, 0, (1,))
    made.write()
    stranger = make_agency(tmp_path, kind=RecipientKind.CLASSIC, seed="stranger")
    with pytest.raises(ExportError, match="no identity matches"):
        export(
            rec,
            made.folder,
            [stranger.identity],
            reader(agency),
            agency.root_pem,
            tmp_path / "bundle",
            now_ms=agency.now_ms,
            random=seeded_random("x"),
        )


def test_temoin_verify_takes_what_was_exported(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    record(made, 0, (1,))
    rec = record(made, 10, (2, 1))
    made.write()
    folder = make_bundle(made, agency, rec, tmp_path / "bundle", start_ms=1000).folder
    report = verify(folder, agency.root_pem, now_ms=agency.now_ms + 2 * DAY_MS)
    assert report.verdict.name == "PARTIAL", report.lines()
    statement = folder / "statement.json"
    statement.write_bytes(statement.read_bytes().replace(b'"level":"PARTIAL"', b'"level":"VALID"'))
    assert verify(folder, agency.root_pem, now_ms=agency.now_ms + 2 * DAY_MS).verdict.name == "INVALID"


def test_the_statement_says_the_verdict_of_the_whole_folder(tmp_path: Path, agency: TestAgency) -> None:
    made = camera(tmp_path, agency)
    other = record(made, 0, (1,))
    rec = record(made, 10, (1,))
    made.write()
    (tmp_path / "data" / "segments" / other / "0000.mp4.age").unlink()
    said: ExportStatement = make_bundle(made, agency, rec, tmp_path / "bundle").statement
    assert said.verdict == "INCOMPLETE"
    assert other in said.reasons[0]
    assert str(tmp_path) not in "".join(said.reasons)
