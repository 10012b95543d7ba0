"""check.sh and a changed journal: the first entry that is not as signed is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.forgeries import (
    Made,
    check,
    copy_of,
    lines_of,
    make,
    rewrite,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("check"))


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


def test_another_journal_of_the_same_entries_is_named(made: Made, tmp_path: Path) -> None:
    """A body withheld that the exporter had left in."""
    folder = copy_of(made, tmp_path)
    lines = lines_of(folder)
    lines[2] = b"\t".join([*lines[2].split(b"\t")[:2], b"-\n"])
    rewrite(folder, lines)
    found = check(made, folder)
    assert found.code == 1
    assert "journal.log: not the one that the exporter signed" in found.out.splitlines()[-1]
