"""check.sh under dash: a bundle passes; what is changed is named at its first failure (tests/system has the rest)."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from agent.evidence.export import ExportSigner
from agent.formats import bundle
from tests.support.agency import make_agency
from tests.support.evidence import builder
from tests.support.exports import CHECK, DAY_MS, make_bundle, reader, record, run_check
from tests.support.forgeries import (
    FRAGMENT_BYTES,
    Forge,
    Made,
    change_bytes,
    check,
    copy_of,
    last_failure,
    lines_of,
    make,
    rechained,
    resigned,
    rewrite,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("check"))


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


# --- the journal, the keys --------------------------------------------------------------------------------------------


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


def test_expired_certificates_fail_without_a_token(made: Made) -> None:
    for years in (11, -1):
        now_ms = made.agency.now_ms + years * 366 * DAY_MS
        found = run_check(made.folder, "--ca-sha256", made.agency.fingerprint, now_ms=now_ms)
        assert "statement.p7s: the signature or its certificate does not verify" in last_failure(found)


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
