"""check.sh under dash: a bundle passes, every forgery of it is named at its first failure, nothing hostile is run."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.evidence import export
from agent.evidence.export import ExportSigner
from agent.formats import bundle
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import builder
from tests.support.exports import (
    CHECK,
    DAY_MS,
    INIT,
    OTHER_INIT,
    Checked,
    film,
    make_bundle,
    piece,
    reader,
    record,
    run_check,
)

Forge = Callable[[Path], None]
FRAGMENT_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class Made:
    """A bundle as it was made; tests change copies.

    Its journal: 0 genesis, 1 boot, 2 policy, 3 start, 4 open, 5 6 7 fragments, 8 seal, 9 open, 10 11 fragments, 12
    seal, 13 stop.
    """

    agency: TestAgency
    folder: Path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    base = tmp_path_factory.mktemp("check")
    agency = make_agency(base, simulated=False)
    camera = builder(base / "data", agency)
    camera.genesis()
    rec = record(camera, 0, (3, 2))
    camera.write()
    make_bundle(camera, agency, rec, base / "bundle")
    return Made(agency, base / "bundle")


def copy_of(made: Made, tmp_path: Path) -> Path:
    return shutil.copytree(made.folder, tmp_path / "copy")


def check(made: Made, folder: Path, *more: str, shell: str = "dash", script: Path | None = None) -> Checked:
    now_ms = made.agency.now_ms + 2 * DAY_MS
    return run_check(folder, "--ca-sha256", made.agency.fingerprint, *more, now_ms=now_ms, shell=shell, script=script)


def resigned(
    made: Made, folder: Path, changes: Mapping[str, object] | None = None, signer: ExportSigner | None = None
) -> None:
    """The statement with these fields changed, signed by an entitled reader who lies (or by another signer)."""
    value = json.loads((folder / bundle.STATEMENT_FILE).read_bytes()) | (changes or {})
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    (folder / bundle.STATEMENT_FILE).write_bytes(text)
    (folder / bundle.SIGNATURE_FILE).write_bytes(export.sign_statement(text, signer or reader(made.agency)))


def change_bytes(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


# --- it passes --------------------------------------------------------------------------------------------------------


def test_a_bundle_passes_and_says_what_is_not_proven(made: Made) -> None:
    found = check(made, made.folder)
    assert (found.code, found.err) == (0, "")
    lines = found.out.splitlines()
    assert [line[:4] for line in lines if line.startswith("OK")] == [f"OK {number}" for number in range(1, 8)]
    assert lines[-1].startswith("CONFORME")
    assert any(line.startswith("NON PROUVE") for line in lines)
    assert "no token" in found.out
    assert all(" | " in line for line in lines), "each line is in French and in English"


def test_under_another_shell_and_from_elsewhere(made: Made, tmp_path: Path) -> None:
    assert check(made, made.folder, shell="bash").code == 0
    assert check(made, made.folder, str(made.folder), script=CHECK).code == 0


def test_the_fingerprint_may_have_colons_and_capitals(made: Made) -> None:
    pairs = ":".join(made.agency.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    assert run_check(made.folder, "--ca-sha256", pairs, now_ms=made.agency.now_ms + DAY_MS).code == 0


# --- the clip is changed ----------------------------------------------------------------------------------------------


def fragment_at(number: int) -> int:
    return FRAGMENT_BYTES * (1 + number)


def drop_fragment(folder: Path) -> None:
    data = (folder / "clip.mp4").read_bytes()
    (folder / "clip.mp4").write_bytes(data[: fragment_at(2)] + data[fragment_at(3) :])


def repeat_fragment(folder: Path) -> None:
    data = (folder / "clip.mp4").read_bytes()
    (folder / "clip.mp4").write_bytes(data[: fragment_at(3)] + data[fragment_at(2) :])


def swap_fragments(folder: Path) -> None:
    data = (folder / "clip.mp4").read_bytes()
    one, two = data[fragment_at(1) : fragment_at(2)], data[fragment_at(2) : fragment_at(3)]
    change_bytes(folder / "clip.mp4", fragment_at(1), two + one)


def end_of_clip(folder: Path) -> int:
    return (folder / "clip.mp4").stat().st_size


@pytest.mark.parametrize(
    ("forge", "named"),
    [
        pytest.param(drop_fragment, "clip.mp4: the bytes at offset 196608 are not those of entry 7", id="dropped"),
        pytest.param(repeat_fragment, "clip.mp4: the bytes at offset 262144 are not those of entry 10", id="repeated"),
        pytest.param(swap_fragments, "clip.mp4: the bytes at offset 131072 are not those of entry 6", id="swapped"),
        pytest.param(
            lambda folder: change_bytes(folder / "clip.mp4", fragment_at(4) + 3000, b"!"),
            "clip.mp4: the bytes at offset 327680 are not those of entry 11",
            id="byte of a fragment",
        ),
        pytest.param(
            lambda folder: change_bytes(folder / "clip.mp4", fragment_at(5) - 1, b"!"),
            "clip.mp4: the bytes at offset 327680 are not those of entry 11",
            id="byte of the padding",
        ),
        pytest.param(
            lambda folder: change_bytes(folder / "clip.mp4", end_of_clip(folder) - 9, b"\7"),
            "clip.mp4: moov is not the one that the statement names",
            id="moov",
        ),
        pytest.param(
            lambda folder: change_bytes(folder / "clip.mp4", 4, b"skip"),
            "clip.mp4: not the file that the statement names (its front)",
            id="front",
        ),
        pytest.param(
            lambda folder: change_bytes(folder / "clip.mp4", end_of_clip(folder), b"more"),
            "clip.mp4: its size is not fragments and moov",
            id="grown",
        ),
        pytest.param(
            lambda folder: change_bytes(folder / "init.mp4", 700, b"!"),
            "init.mp4: not the one of segment.open",
            id="init",
        ),
        pytest.param(
            lambda folder: change_bytes(folder / "init.mp4", 65_536, b"!"),
            "init.mp4: not the one of segment.open",
            id="init grown",
        ),
        pytest.param(lambda folder: (folder / "clip.mp4").unlink(), "clip.mp4: missing", id="no clip"),
    ],
)
def test_a_changed_clip_is_named(made: Made, tmp_path: Path, forge: Forge, named: str) -> None:
    folder = copy_of(made, tmp_path)
    forge(folder)
    found = check(made, folder)
    assert found.code == 1
    assert named in found.out.splitlines()[-1]


# --- the journal is changed -------------------------------------------------------------------------------------------


def lines_of(folder: Path) -> list[bytes]:
    return (folder / "journal.log").read_bytes().splitlines(keepends=True)


def rewrite(folder: Path, lines: list[bytes]) -> None:
    (folder / "journal.log").write_bytes(b"".join(lines))


def flip(column: int, at: int) -> Callable[[bytes], bytes]:
    """Change one character of a column: a hex digit to another, a letter to another."""

    def change(line: bytes) -> bytes:
        columns = line[:-1].split(b"\t")
        data = bytearray(columns[column])
        data[at] = ord("1") if data[at] == ord("0") else ord("0")
        columns[column] = bytes(data)
        return b"\t".join(columns) + b"\n"

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param(lambda lines: lines[:6] + lines[7:], "journal.log entry 7: unexpected number", id="dropped"),
        pytest.param(lambda lines: [*lines[:7], *lines[6:]], "entry 6: unexpected number", id="doubled"),
        pytest.param(
            lambda lines: [*lines[:6], lines[7], lines[6], *lines[8:]], "entry 7: unexpected number", id="swapped"
        ),
        pytest.param(lambda lines: lines[:-1], "the last entry is not", id="tail cut"),
        pytest.param(lambda lines: lines[1:], "entry 1: unexpected number", id="head cut"),
        pytest.param(
            lambda lines: [*lines[:6], flip(0, 40)(lines[6]), *lines[7:]],
            "entry 6: the body is not the one of the head",
            id="body hash in the head",
        ),
        pytest.param(
            lambda lines: [*lines[:6], lines[6].replace(b'"err_ms":20', b'"err_ms":21'), *lines[7:]],
            "entry 7: prev is not the hash",
            id="head",
        ),
        pytest.param(
            lambda lines: [*lines[:6], flip(2, 30)(lines[6]), *lines[7:]], "entry 6: the body is not", id="body"
        ),
        pytest.param(
            lambda lines: [*lines[:6], flip(1, 30)(lines[6]), *lines[7:]],
            "entry 6: the signature is not of camera.pem",
            id="signature",
        ),
        pytest.param(
            lambda lines: [
                *lines[:6],
                b"\t".join([lines[6].split(b"\t")[0], lines[7].split(b"\t")[1], lines[6].split(b"\t")[2]]),
                *lines[7:],
            ],
            "entry 6: the signature is not of camera.pem",
            id="borrowed signature",
        ),
        pytest.param(
            lambda lines: [
                *(
                    b"\t".join([line.split(b"\t")[0], b"-", line.split(b"\t")[2]]) if n == 7 else line
                    for n, line in enumerate(lines)
                )
            ],
            "entry 7: not signed, and the camera declares no slow signer",
            id="stripped signature of a fragment",
        ),
        pytest.param(
            lambda lines: [
                *(
                    b"\t".join([line.split(b"\t")[0], b"-", line.split(b"\t")[2]]) if n == 2 else line
                    for n, line in enumerate(lines)
                )
            ],
            "entry 2: not signed",
            id="stripped signature of another",
        ),
        pytest.param(
            lambda lines: [
                *(b"\t".join([*line.split(b"\t")[:2], b"-\n"]) if n == 7 else line for n, line in enumerate(lines))
            ],
            "entry 8: the count of the segment is not that of the journal",
            id="withheld body of a shown fragment",
        ),
        pytest.param(lambda lines: [line[:-1] + b"\r\n" for line in lines], "unexpected bytes", id="CRLF"),
        pytest.param(lambda lines: [*lines[:-1], lines[-1][:-1]], "unexpected bytes", id="torn"),
        pytest.param(
            lambda lines: [*lines[:3], lines[3].replace(b"\t", b"\tx\t", 1), *lines[4:]],
            "line 4: not three columns",
            id="columns",
        ),
        pytest.param(
            lambda lines: [*lines[:3], lines[3].replace(b'{"body"', b'{"body":"0","body"', 1), *lines[4:]],
            "line 4: not of the expected form",
            id="duplicate key",
        ),
        pytest.param(
            lambda lines: [*lines[:3], lines[3].replace(b',"seq"', b', "seq"', 1), *lines[4:]],
            "line 4: not of the expected form",
            id="white space",
        ),
        pytest.param(lambda lines: [*lines[:3], b"\n", *lines[3:]], "line 4: not three columns", id="empty line"),
    ],
)
def test_a_changed_journal_is_named(
    made: Made, tmp_path: Path, change: Callable[[list[bytes]], list[bytes]], named: str
) -> None:
    folder = copy_of(made, tmp_path)
    rewrite(folder, change(lines_of(folder)))
    found = check(made, folder)
    assert found.code == 1
    assert named in found.out.splitlines()[-1]


def rechained(lines: list[bytes], number: int, old: bytes, new: bytes) -> list[bytes]:
    """An entry changed, and every body hash and `prev` made to fit again: only signatures can tell."""
    made = lines[:number]
    before = None if number == 0 else hashlib.sha256(lines[number - 1].split(b"\t")[0]).hexdigest()
    for n, line in enumerate(lines[number:], start=number):
        head, signature, body = line[:-1].split(b"\t")
        value = json.loads(head)
        if n == number:
            assert old in body
            body = body.replace(old, new)
            value["body"] = hashlib.sha256(body).hexdigest()
        value["prev"] = before
        head = json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
        before = hashlib.sha256(head).hexdigest()
        made.append(b"\t".join((head, signature, body)) + b"\n")
    return made


def test_a_journal_chained_anew_fails_at_the_first_signature(made: Made, tmp_path: Path) -> None:
    """Even with a statement that an entitled reader signs over the forged journal."""
    folder = copy_of(made, tmp_path)
    lines = rechained(lines_of(folder), 7, b'"sound":true', b'"sound":false')
    rewrite(folder, lines)
    value = json.loads((folder / bundle.STATEMENT_FILE).read_bytes())["journal"]
    value["head"] = hashlib.sha256(lines[-1].split(b"\t")[0]).hexdigest()
    value["sha256"] = hashlib.sha256(b"".join(lines)).hexdigest()
    resigned(made, folder, {"journal": value})
    found = check(made, folder)
    assert found.code == 1
    assert "journal.log entry 7: the signature is not of camera.pem" in found.out.splitlines()[-1]


def test_another_journal_of_the_same_entries_is_named(made: Made, tmp_path: Path) -> None:
    """A body withheld that the exporter had left in."""
    folder = copy_of(made, tmp_path)
    lines = lines_of(folder)
    lines[2] = b"\t".join([*lines[2].split(b"\t")[:2], b"-\n"])
    rewrite(folder, lines)
    found = check(made, folder)
    assert found.code == 1
    assert "journal.log: not the one that the exporter signed" in found.out.splitlines()[-1]


# --- the statement lies -----------------------------------------------------------------------------------------------


def clip_claim(made: Made, changes: Mapping[str, object]) -> list[object]:
    value = json.loads((made.folder / bundle.STATEMENT_FILE).read_bytes())
    return [{**value["clips"][0], **changes}]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fragments": 4}, "the counts of clip.mp4"),
        ({"frames": 124}, "the counts of clip.mp4"),
        ({"pre": 3}, "the counts of clip.mp4"),
        ({"segments": [{"count": 3, "first": 0, "offset": 65536, "seg": 0}]}, "the counts of clip.mp4"),
        (
            {
                "segments": [
                    {"count": 3, "first": 0, "offset": 65536, "seg": 0},
                    {"count": 2, "first": 0, "offset": 262145, "seg": 1},
                ]
            },
            "offset in clip.mp4",
        ),
        (
            {
                "segments": [
                    {"count": 2, "first": 0, "offset": 65536, "seg": 0},
                    {"count": 2, "first": 0, "offset": 196608, "seg": 1},
                ]
            },
            "the fragments of clip.mp4 are not those of the journal",
        ),
        ({"file": "../clip.mp4"}, "statement.json: not of the expected form"),
        ({"moov": {"sha256": "0" * 64, "size": 2712}}, "clip.mp4: its size"),
        ({"sha256": "$(touch forged)" + "0" * 49}, "statement.json: not of the expected form"),
    ],
)
def test_what_is_said_of_the_clip_is_derived_again(
    made: Made, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    folder = copy_of(made, tmp_path)
    resigned(made, folder, {"clips": clip_claim(made, changes)})
    found = check(made, folder)
    assert found.code == 1
    assert named in found.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"agency": "pm-other"}, "another agency"),
        ({"camera": "0" * 64}, "camera.pem: not the one"),
        ({"cut": {"after": 1, "before": 0}}, "statement.json: cut"),
        ({"cut": {"after": 0, "before": 1}}, "the fragments of clip.mp4 are not those"),
        ({"dev": "cam-02"}, "of another camera or journal"),
        ({"exporter": "somebody"}, "does not have the role export:somebody"),
        ({"gaps": [7]}, "gaps are not those of the journal"),
        ({"recording": "cam-01-00000000-3"}, "no recording.start"),
        ({"stop": 3}, "stop is not that of the journal"),
        ({"typ": "temoin/export/2"}, "not of the expected form"),
        ({"more": 1}, "not of the expected form"),
        ({"tokens": {"after": "0" * 64, "before": None, "roots": None}}, "after.tsr, but no token"),
        ({"tokens": {"after": None, "before": "0" * 64, "roots": None}}, "before.tsr, but no token"),
        ({"journal": {"first": 1, "head": "0" * 64, "last": 13, "sha256": "0" * 64}}, "entry 0: unexpected number"),
    ],
)
def test_what_is_said_of_the_journal_is_derived_again(
    made: Made, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    folder = copy_of(made, tmp_path)
    resigned(made, folder, changes)
    found = check(made, folder)
    assert found.code == 1
    assert named in found.out.splitlines()[-1]


# --- the keys are others ----------------------------------------------------------------------------------------------


def last_failure(found: Checked) -> str:
    assert found.code == 1
    return found.out.splitlines()[-1]


def test_a_statement_changed_after_signing_fails(made: Made, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path)
    text = (folder / bundle.STATEMENT_FILE).read_bytes()
    (folder / bundle.STATEMENT_FILE).write_bytes(text.replace(b'"level":"PARTIAL"', b'"level":"VALID"'))
    assert "statement.p7s: the signature or its certificate does not verify" in last_failure(check(made, folder))


@pytest.mark.parametrize("kind", ["camera", "dock"])
def test_a_signer_of_the_same_agency_with_another_role_fails(made: Made, tmp_path: Path, kind: str) -> None:
    issued = made.agency.issue(kind, "pm-test")
    folder = copy_of(made, tmp_path)
    resigned(made, folder, signer=ExportSigner(issued.key, (issued.certificate,)))
    assert "does not have the role export:pm-test" in last_failure(check(made, folder))


def test_another_agency_fails_at_its_fingerprint_and_at_the_chains(made: Made, tmp_path: Path) -> None:
    other = make_agency(tmp_path, simulated=False, seed="other")
    folder = copy_of(made, tmp_path)
    (folder / "agency.pem").write_bytes(other.root_pem)
    assert "agency.pem: not the published certificate" in last_failure(check(made, folder))
    now_ms = made.agency.now_ms + DAY_MS
    found = run_check(folder, "--ca-sha256", other.fingerprint, now_ms=now_ms)
    assert "statement.p7s: the signature" in last_failure(found)
    resigned(made, folder, signer=reader(other))
    found = run_check(folder, "--ca-sha256", other.fingerprint, now_ms=now_ms)
    assert "camera.pem: no valid chain to the agency" in last_failure(found)


def test_a_second_authority_behind_the_published_one_is_not_trusted(made: Made, tmp_path: Path) -> None:
    other = make_agency(tmp_path, simulated=False, seed="other")
    folder = copy_of(made, tmp_path)
    (folder / "agency.pem").write_bytes(made.agency.root_pem + other.root_pem)
    resigned(made, folder, signer=reader(other))
    assert "statement.p7s: the signature" in last_failure(check(made, folder))


def test_expired_certificates_fail_without_a_token(made: Made) -> None:
    for years in (11, -1):
        now_ms = made.agency.now_ms + years * 366 * DAY_MS
        found = run_check(made.folder, "--ca-sha256", made.agency.fingerprint, now_ms=now_ms)
        assert "statement.p7s: the signature or its certificate does not verify" in last_failure(found)


def test_an_expired_camera_fails_under_a_younger_export_key(made: Made, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path)
    late = replace(made.agency, now_ms=made.agency.now_ms + 9 * 365 * DAY_MS).issue("export", "pm-test")
    resigned(made, folder, signer=ExportSigner(late.key, (late.certificate,)))
    now_ms = made.agency.now_ms + 11 * 365 * DAY_MS
    found = run_check(folder, "--ca-sha256", made.agency.fingerprint, now_ms=now_ms)
    assert "camera.pem: no valid chain to the agency on 2036-12-29" in last_failure(found)


def test_a_camera_of_the_same_agency_is_not_this_one(made: Made, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path)
    issued = made.agency.issue("camera", "cam-02")
    der = issued.certificate.public_bytes(Encoding.DER)
    (folder / "camera.pem").write_bytes(issued.pem)
    assert "camera.pem: not the one that the statement names" in last_failure(check(made, folder))
    resigned(made, folder, {"camera": hashlib.sha256(der).hexdigest()})
    assert "camera.pem: the role is not camera:cam-01" in last_failure(check(made, folder))


def test_a_simulated_camera_says_so(tmp_path: Path) -> None:
    agency = make_agency(tmp_path)
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    rec = record(camera, 0, (1,))
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle").folder
    now_ms = agency.now_ms + DAY_MS
    found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=now_ms)
    assert "SIMULATED" in last_failure(found)
    found = run_check(folder, "--ca-sha256", agency.fingerprint, "--allow-simulated", now_ms=now_ms)
    assert found.code == 0
    assert "SIMULATED" in found.out


# --- odd bundles that pass --------------------------------------------------------------------------------------------


def test_a_cut_with_two_inits_a_gap_and_text_that_looks_like_fields(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    trap = '"},"plain":"' + "0" * 64 + '","rec":"x'
    camera.mono_ns += 10_000_000_000
    rec = camera.start()
    second = film(camera, 0, (3,))
    camera.append("alert", {"cause": "test", "values": {"plain": trap}, "remedy": "none"})
    camera.gap(2_000_000_000)
    film(camera, second + 2, (2,), OTHER_INIT)
    camera.stop()
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle", start_ms=1500, end_ms=6500).folder
    found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    assert found.code == 0, found.out
    assert "4 of the recording's 5 fragments" in found.out
    assert "1 gaps named" in found.out
    assert "the clip is a cut" in found.out
    assert (folder / "clip-2.mp4").exists()
    change_bytes(folder / "clip-2.mp4", FRAGMENT_BYTES, b"!")
    assert "clip-2.mp4: the bytes at offset 65536" in last_failure(
        run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    )


def test_a_hole_that_no_gap_names_fails(tmp_path: Path) -> None:
    """Whatever its exporter thought of it."""
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    rec = record(camera, 0, (2,))
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle").folder
    lines = rechained(lines_of(folder), 6, b'"t0_ns":"', b'"t0_ns":"1')
    rewrite(folder, lines)
    found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    assert "entry 6" in last_failure(found)


def test_a_slow_signer_is_covered_by_its_next_signature(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency, slow_signer=True)
    camera.genesis()
    rec = record(camera, 0, (4,))
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle").folder
    found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    assert found.code == 0, found.out
    assert "2 fragments covered by the next one" in found.out
    lines = lines_of(folder)
    for number, problem in ((1, "entry 1: not signed"), (6, "not the one that the exporter signed")):
        forged = [b"\t".join([*lines[number].split(b"\t")[:1], b"-", lines[number].split(b"\t")[2]])]
        rewrite(folder, [*lines[:number], *forged, *lines[number + 1 :]])
        found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
        assert problem in last_failure(found)


def test_an_unsigned_tail_is_nobodys(tmp_path: Path) -> None:
    """A slow signer's last fragments, put behind the last signature by an exporter who signs for them."""
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency, slow_signer=True)
    camera.genesis()
    camera.mono_ns += 10_000_000_000
    rec = camera.start()
    segment = camera.open_segment(INIT)
    camera.fragment(segment, piece(0))
    tail = camera.fragment(segment, piece(1), signed=False)
    camera.leave_open(segment)
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle").folder
    rewrite(folder, [*lines_of(folder), tail.line])
    value = json.loads((folder / bundle.STATEMENT_FILE).read_bytes())["journal"]
    value |= {"last": tail.head.seq, "head": tail.digest.hex()}
    value["sha256"] = hashlib.sha256((folder / "journal.log").read_bytes()).hexdigest()
    made = Made(agency, folder)
    resigned(made, folder, {"journal": value, "cut": {"after": 1, "before": 0}})
    assert f"entry {tail.head.seq}: no signature follows" in last_failure(check(made, folder))
