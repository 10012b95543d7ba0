"""check.sh under dash: a bundle passes; a changed clip or journal is named at its first failure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.formats import bundle
from tests.support.exports import (
    CHECK,
    DAY_MS,
    run_check,
)
from tests.support.forgeries import (
    FRAGMENT_BYTES,
    Forge,
    Made,
    change_bytes,
    check,
    copy_of,
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


# --- the journal is changed -------------------------------------------------------------------------------------------


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
