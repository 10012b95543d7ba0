"""A bundle passes; each forgery of it is named in the first line, the untouched copy passing before and after."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.evidence import cms
from agent.evidence.export import ExportSigner, sign_statement
from agent.evidence.read import UnreadableError
from agent.evidence.verdict import Report, Verdict
from agent.evidence.verify import verify
from agent.formats import bundle
from agent.formats.bundle import ExportStatement, SegmentRange
from agent.formats.canonical import Value
from agent.formats.clip import FRONT_BYTES
from agent.formats.fields import format_utc
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import builder
from tests.support.exports import DAY_MS, OTHER_INIT, film, make_bundle, reader, record

CHUNK = 65_536
CLEAN = {"bracket", "withheld"}


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle as it was made; tests change copies."""

    agency: TestAgency
    folder: Path

    def check(self, folder: Path, **options: tuple[int, str]) -> Report:
        return verify(folder, self.agency.root_pem, now_ms=self.agency.now_ms + 2 * DAY_MS, **options)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The middle one of three recordings; its second clip has another init. It passes before and after all tests."""
    base = tmp_path_factory.mktemp("bundle")
    agency = make_agency(base, simulated=False)
    camera = builder(base / "data", agency)
    camera.genesis()
    record(camera, 0, (2,))
    camera.mono_ns += 10_000_000_000
    camera.utc_ms += 10_000
    rec = camera.start()
    film(camera, 100, (3, 2))
    film(camera, 105, (2,), OTHER_INIT)
    camera.stop()
    record(camera, 200, (1,))
    camera.write()
    make_bundle(camera, agency, rec, base / "bundle")
    untouched = Made(agency, base / "bundle")
    assert_clean(untouched.check(untouched.folder))
    yield untouched
    assert_clean(untouched.check(untouched.folder))


@pytest.fixture
def copy(made: Made, tmp_path: Path) -> Path:
    return shutil.copytree(made.folder, tmp_path / "copy")


def codes(report: Report) -> set[str]:
    return {reason.code for reason in report.reasons}


def assert_clean(report: Report) -> None:
    assert codes(report) == CLEAN, report.lines()
    assert report.verdict is Verdict.PARTIAL
    assert report.exit_code(allow_simulated=False) == 0


def assert_found(report: Report, where: str, *, verdict: str = "INVALID") -> None:
    assert report.lines()[0].startswith(f"{verdict}: {where}"), report.lines()
    assert report.exit_code(allow_simulated=True) == 1


def said(folder: Path) -> ExportStatement:
    return bundle.parse((folder / bundle.STATEMENT_FILE).read_bytes())


def restate(folder: Path, signer: ExportSigner, changed: ExportStatement) -> None:
    """Another statement, signed by an entitled reader who lies (or by whoever `signer` is)."""
    text = changed.encode()
    (folder / bundle.STATEMENT_FILE).write_bytes(text)
    (folder / bundle.SIGNATURE_FILE).write_bytes(sign_statement(text, signer))


def with_clip(folder: Path, signer: ExportSigner, data: bytes) -> None:
    """A clip, and a statement that fits its bytes: only the journal can tell."""
    (folder / "clip.mp4").write_bytes(data)
    old = said(folder)
    first = old.clips[0]
    moov = data[-first.moov_bytes :]
    clip = replace(
        first,
        size_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        moov_sha256=hashlib.sha256(moov).hexdigest(),
    )
    restate(folder, signer, replace(old, clips=(clip, *old.clips[1:])))


# --- it passes --------------------------------------------------------------------------------------------------------


def test_a_bundle_passes_and_says_what_it_holds(made: Made) -> None:
    report = made.check(made.folder)
    assert_clean(report)
    assert report.layout == "bundle"
    assert report.camera == "cam-01"
    assert report.role == "urn:temoin:camera:cam-01"
    assert report.counts["fragments in clips"] == 7
    assert "NOT PROVEN" in "\n".join(report.lines())


def test_a_simulated_bundle_is_said_to_be(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, seed="simulated")
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    rec = record(camera)
    camera.write()
    make_bundle(camera, agency, rec, tmp_path / "bundle")
    report = verify(tmp_path / "bundle", agency.root_pem, now_ms=agency.now_ms + 2 * DAY_MS)
    assert report.verdict is Verdict.SIMULATED
    assert codes(report) == {"simulated", "bracket"}
    assert (report.exit_code(allow_simulated=True), report.exit_code(allow_simulated=False)) == (0, 1)


def test_a_part_of_a_recording_says_what_was_left_out(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, simulated=False, seed="part")
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    rec = record(camera)
    camera.write()
    made = make_bundle(camera, agency, rec, tmp_path / "bundle", start_ms=1000, end_ms=4000)
    report = verify(made.folder, agency.root_pem, now_ms=agency.now_ms + 2 * DAY_MS)
    assert "excerpt" in codes(report)
    assert report.verdict is Verdict.PARTIAL
    reason = next(reason for reason in report.reasons if reason.code == "excerpt")
    assert "1 fragments before the clips and 1 after them" in reason.problem


# --- the clip ---------------------------------------------------------------------------------------------------------


def clip_parts(data: bytes) -> tuple[bytes, list[bytes], bytes]:
    """Front, the five fragments of one chunk each, moov."""
    chunks = [data[FRONT_BYTES + CHUNK * n : FRONT_BYTES + CHUNK * (n + 1)] for n in range(5)]
    return data[:FRONT_BYTES], chunks, data[FRONT_BYTES + 5 * CHUNK :]


ForgeClip = Callable[[bytes], bytes]


def dropped(data: bytes) -> bytes:
    front, chunks, moov = clip_parts(data)
    return front + b"".join(chunks[:2] + chunks[3:]) + moov


def repeated(data: bytes) -> bytes:
    front, chunks, moov = clip_parts(data)
    return front + b"".join([*chunks[:3], chunks[2], *chunks[3:]]) + moov


def replaced_by_its_neighbour(data: bytes) -> bytes:
    front, chunks, moov = clip_parts(data)
    return front + b"".join([*chunks[:3], chunks[2], chunks[4]]) + moov


def swapped(data: bytes) -> bytes:
    front, chunks, moov = clip_parts(data)
    return front + b"".join([chunks[0], chunks[2], chunks[1], *chunks[3:]]) + moov


def picture_changed(data: bytes) -> bytes:
    offset = FRONT_BYTES + 3 * CHUNK + 900
    return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]


def padding_changed(data: bytes) -> bytes:
    offset = FRONT_BYTES + 4 * CHUNK - 1
    return data[:offset] + b"X" + data[offset + 1 :]


def moov_changed(data: bytes) -> bytes:
    return data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]


def front_changed(data: bytes) -> bytes:
    return data[:1000] + b"X" + data[1001:]


CLIP_FORGERIES: list[ForgeClip] = [
    dropped,
    repeated,
    replaced_by_its_neighbour,
    swapped,
    picture_changed,
    padding_changed,
    moov_changed,
    front_changed,
    lambda data: data[:-1],
    lambda data: data + b"\0",
    lambda data: b"",
]


@pytest.mark.parametrize("forge", CLIP_FORGERIES)
@pytest.mark.parametrize("restated", [False, True])
def test_a_clip_changed(made: Made, copy: Path, forge: ForgeClip, restated: bool) -> None:
    """Also where a lying reader signs a statement that fits the forged bytes."""
    data = forge((copy / "clip.mp4").read_bytes())
    if restated and data:
        with_clip(copy, reader(made.agency), data)
    else:
        (copy / "clip.mp4").write_bytes(data)
    assert_found(made.check(copy), "clip.mp4: ")


def test_the_fragment_that_differs_is_named(made: Made, copy: Path) -> None:
    (copy / "clip.mp4").write_bytes(picture_changed((copy / "clip.mp4").read_bytes()))
    first = made.check(copy).lines()[0]
    assert "are not fragment 0 of segment 1, journal.log entry" in first


@pytest.mark.parametrize("name", ["init.mp4", "init-2.mp4"])
def test_an_init_changed(made: Made, copy: Path, name: str) -> None:
    data = (copy / name).read_bytes()
    (copy / name).write_bytes(data[:100] + bytes([data[100] ^ 1]) + data[101:])
    assert_found(made.check(copy), f"{name}: ")


def test_the_inits_swapped(made: Made, copy: Path) -> None:
    one, two = (copy / "init.mp4").read_bytes(), (copy / "init-2.mp4").read_bytes()
    (copy / "init.mp4").write_bytes(two)
    (copy / "init-2.mp4").write_bytes(one)
    assert_found(made.check(copy), "init.mp4: ")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "clip.mp4",
        "clip-2.mp4",
        "init.mp4",
        "statement.json",
        "statement.p7s",
        "journal.log",
        "camera.pem",
        "agency.pem",
    ],
)
def test_a_file_missing(made: Made, copy: Path, name: str) -> None:
    (copy / name).unlink()
    report = made.check(copy)
    assert report.exit_code(allow_simulated=True) == 1
    assert name in report.lines()[0]


def test_a_file_too_many_and_scripts_of_another_version(made: Made, copy: Path) -> None:
    (copy / "README").write_text("read me")
    (copy / "check.sh").write_text("rm -rf /")
    report = made.check(copy)
    assert codes(report) == CLEAN | {"stranger"}
    assert any("check.sh" in note for note in report.notes)


# --- the journal ------------------------------------------------------------------------------------------------------


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "journal.log").read_bytes().splitlines(keepends=True)


def put(folder: Path, lines: list[bytes]) -> None:
    (folder / "journal.log").write_bytes(b"".join(lines))


def number_of(folder: Path, kind: bytes, nth: int = 0) -> int:
    found = [
        n for n, line in enumerate(lines_of(folder)) if b'"kind":"%s"' % kind in line and not line.endswith(b"-\n")
    ]
    return found[nth]


def test_an_entry_dropped(made: Made, copy: Path) -> None:
    lines, number = lines_of(copy), number_of(copy, b"fragment", 1)
    put(copy, lines[:number] + lines[number + 1 :])
    assert_found(made.check(copy), f"journal.log entry {number + 1}: ")


def test_the_tail_cut(made: Made, copy: Path) -> None:
    put(copy, lines_of(copy)[:-1])
    assert_found(made.check(copy), "statement.json: ")


def test_the_last_line_torn(made: Made, copy: Path) -> None:
    put(copy, [*lines_of(copy), b"and more"])
    assert_found(made.check(copy), "journal.log: ")


def test_crlf(made: Made, copy: Path) -> None:
    put(copy, [line[:-1] + b"\r\n" for line in lines_of(copy)])
    assert_found(made.check(copy), "journal.log entry 0: ")


def test_a_body_changed(made: Made, copy: Path) -> None:
    lines, number = lines_of(copy), number_of(copy, b"fragment", 2)
    lines[number] = lines[number].replace(b'"sound":true', b'"sound":false')
    put(copy, lines)
    assert_found(made.check(copy), f"journal.log entry {number}: ")


def test_a_body_of_the_recording_withheld(made: Made, copy: Path) -> None:
    """The hash of the file is in the statement; whoever signs another one is caught by the gap in the recording."""
    lines, number = lines_of(copy), number_of(copy, b"fragment", 2)
    head, signature, _ = lines[number].split(b"\t")
    lines[number] = b"\t".join((head, signature, b"-\n"))
    put(copy, lines)
    changed = hashlib.sha256(b"".join(lines)).hexdigest()
    restate(copy, reader(made.agency), replace(said(copy), journal_sha256=changed))
    report = made.check(copy)
    assert "hidden" in codes(report)
    assert report.exit_code(allow_simulated=True) == 1


def test_the_outside_head(made: Made, copy: Path) -> None:
    assert_clean(made.check(copy, outside_head=(said(copy).last, said(copy).head)))
    assert_found(made.check(copy, outside_head=(said(copy).last, "0" * 64)), "journal.log entry", verdict="FORK")


# --- the statement ----------------------------------------------------------------------------------------------------


def moved(ranges: tuple[SegmentRange, ...]) -> tuple[SegmentRange, ...]:
    """The second range one chunk further on."""
    return (ranges[0], replace(ranges[1], offset=ranges[1].offset + CHUNK))


Lie = Callable[[ExportStatement], ExportStatement]
LIES: list[Lie] = [
    lambda old: replace(old, stop=None),
    lambda old: replace(old, gaps=(5,)),
    lambda old: replace(old, cut_after=1),
    lambda old: replace(old, first=old.first + 1),
    lambda old: replace(old, last=old.last + 1),
    lambda old: replace(old, head="0" * 64),
    lambda old: replace(old, clips=old.clips[:1]),
    lambda old: replace(old, clips=(replace(old.clips[0], frames=1), *old.clips[1:])),
    lambda old: replace(old, clips=(replace(old.clips[0], pre=0), *old.clips[1:])),
    lambda old: replace(old, clips=(replace(old.clips[0], init_bytes=1), *old.clips[1:])),
    lambda old: replace(old, clips=(replace(old.clips[0], sha256="0" * 64), *old.clips[1:])),
    lambda old: replace(old, clips=(replace(old.clips[0], moov_bytes=old.clips[0].moov_bytes - 1), *old.clips[1:])),
    lambda old: replace(old, clips=(replace(old.clips[0], segments=moved(old.clips[0].segments)), *old.clips[1:])),
    lambda old: replace(old, journal_sha256="0" * 64),
    lambda old: replace(old, camera="0" * 64),
    lambda old: replace(old, recording=f"{old.dev}-{old.jid[:8]}-{old.last}"),
]


@pytest.mark.parametrize("lie", LIES)
def test_a_reader_who_lies(made: Made, copy: Path, lie: Lie) -> None:
    restate(copy, reader(made.agency), lie(said(copy)))
    report = made.check(copy)
    assert report.verdict is Verdict.INVALID
    assert codes(report) & {"statement", "journal", "clip", "moov"}


def test_a_statement_changed_after_it_was_signed(made: Made, copy: Path) -> None:
    (copy / bundle.STATEMENT_FILE).write_bytes(replace(said(copy), utc_ms=said(copy).utc_ms + 1).encode())
    assert_found(made.check(copy), "statement.p7s: ")


def test_a_statement_that_is_none(made: Made, copy: Path) -> None:
    path = copy / bundle.STATEMENT_FILE
    path.write_bytes(path.read_bytes() + b"\n")
    assert_found(made.check(copy), "statement.json: ")


@pytest.mark.parametrize("kind", ["dock", "camera"])
def test_another_role_of_the_agency_signed(made: Made, copy: Path, kind: str) -> None:
    issued = made.agency.issue(kind, said(copy).exporter)
    restate(copy, ExportSigner(issued.key, (issued.certificate,)), said(copy))
    assert_found(made.check(copy), "statement.p7s: ", verdict="UNTRUSTED")


def test_another_reader_signed(made: Made, copy: Path) -> None:
    issued = made.agency.issue("export", "somebody-else")
    restate(copy, ExportSigner(issued.key, (issued.certificate,)), said(copy))
    assert_found(made.check(copy), "statement.p7s: ", verdict="UNTRUSTED")


def test_another_agency_signed(made: Made, copy: Path, tmp_path: Path) -> None:
    stranger = make_agency(tmp_path, simulated=False, seed="stranger")
    restate(copy, reader(stranger), said(copy))
    assert_found(made.check(copy), "statement.p7s: ")


def test_another_agency_is_not_trusted(made: Made, copy: Path, tmp_path: Path) -> None:
    stranger = make_agency(tmp_path, agency="stranger", simulated=False, seed="stranger")
    report = verify(copy, stranger.root_pem, now_ms=stranger.now_ms + 2 * DAY_MS)
    assert report.exit_code(allow_simulated=True) == 1
    assert {"agency", "certificate", "exporter"} <= codes(report)


def test_another_agency_beside_the_evidence(made: Made, copy: Path, tmp_path: Path) -> None:
    stranger = make_agency(tmp_path, simulated=False, seed="stranger")
    (copy / "agency.pem").write_bytes(stranger.root_pem)
    assert_found(made.check(copy), "agency.pem: ", verdict="UNTRUSTED")


def test_an_export_certificate_that_has_expired(made: Made, copy: Path) -> None:
    report = verify(copy, made.agency.root_pem, now_ms=made.agency.now_ms + 15 * 365 * DAY_MS)
    assert "exporter" in codes(report)
    assert report.exit_code(allow_simulated=True) == 1


def test_without_openssl_nothing_is_said(made: Made, copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="openssl"):
        cms.check_detached(b"", b"", made.agency.authority().certificate, "export", "x", None, path=str(tmp_path))


# --- any byte ---------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_no_changed_byte_passes_and_nothing_raises(
    made: Made, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "copy"
    shutil.copytree(made.folder, folder)
    names = ["clip.mp4", "clip-2.mp4", "init.mp4", "statement.json", "statement.p7s", "journal.log", "camera.pem"]
    path = folder / data.draw(st.sampled_from([*names, "agency.pem"]))
    original = path.read_bytes()
    offset = data.draw(st.integers(0, len(original) - 1))
    kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
    middle = {"flip": bytes([original[offset] ^ 1]) + original[offset + 1 :], "cut": b""}
    path.write_bytes(original[:offset] + middle.get(kind, b"Z" + original[offset:]))
    report = made.check(folder)
    shutil.rmtree(folder)
    if path.name != bundle.SIGNATURE_FILE:  # in PEM and DER some bytes mean nothing, text around it for example
        assert report.exit_code(allow_simulated=True) == 1, (kind, offset, report.lines())


def test_a_bundle_shows_what_docks_claim_of_the_time_as_the_cameras_folder_does(
    agency_of_docks: TestAgency, tmp_path: Path
) -> None:
    """Hours lie between the recording and its docking: without the `ack` the bracket would be as wide."""
    camera = builder(tmp_path / "data", agency_of_docks)
    camera.genesis()
    rec = record(camera, 0, (2,))
    camera.mono_ns += 7_200_000_000_000
    camera.utc_ms += 7_200_000
    head = camera._prev
    camera.dock()
    common: dict[str, Value] = {"nonce": "1" * 32, "err_ms": 5, "token": None, "dock_head": "0" * 64}
    camera.said("beacon", head=head, utc=format_utc(camera.utc_ms), **common)
    camera.said("ack", seq=camera.seq - 1, head=camera._prev, utc=format_utc(camera.utc_ms))
    camera.write()
    make_bundle(camera, agency_of_docks, rec, tmp_path / "bundle")
    whole = verify(camera.folder, agency_of_docks.root_pem)
    report = verify(tmp_path / "bundle", agency_of_docks.root_pem)
    assert codes(whole) == codes(report) == {"bracket-claimed"}
    assert whole.bracket == report.bracket
    assert report.bracket.docks == ("dock-01",)


@pytest.fixture
def agency_of_docks(tmp_path: Path) -> TestAgency:
    return make_agency(tmp_path, simulated=False)
