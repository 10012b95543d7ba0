"""Reading a camera's folder: order, repeated lines across files, torn last lines, hostile files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.evidence.read import (
    Damage,
    Line,
    Torn,
    UnreadableError,
    blob_files,
    journal_files,
    read_journal,
)
from agent.formats import entries
from agent.formats.entries import MAX_FILE_LINE_BYTES, Entry, Position
from agent.formats.fields import ZERO_HASH
from agent.model import Stamp, TimeSource

BOOT = "00000000-0000-0000-0000-000000000001"
JID = "0" * 31 + "1"


def chain(count: int) -> list[Entry]:
    """`count` entries after an imagined genesis, from seq 1: enough for a reader, who does not check the chain."""
    made: list[Entry] = []
    prev = "1" * 64
    for seq in range(1, count + 1):
        stamp = Stamp(None, None, TimeSource.NONE, seq, BOOT)
        body = {"cause": "test"}
        entry = entries.make(Position("cam", JID, seq, prev), "shutdown", body, seq.to_bytes(16, "big"), stamp)
        entry = entry.with_signature(b"12345678")
        made.append(entry)
        prev = entry.digest.hex()
    assert prev != ZERO_HASH
    return made


def lay(folder: Path, files: dict[str, bytes]) -> Path:
    (folder / "journal").mkdir(exist_ok=True)
    for name, data in files.items():
        (folder / "journal" / name).write_bytes(data)
    return folder


def lines(made: list[Entry], first: int, last: int) -> bytes:
    return b"".join(entry.line for entry in made[first - 1 : last])


def numbers(folder: Path) -> list[int]:
    return [item.entry.head.seq for item in read_journal(folder) if isinstance(item, Line)]


def damages(folder: Path) -> list[Damage]:
    return [item for item in read_journal(folder) if isinstance(item, Damage)]


def test_entries_come_in_order_with_file_and_offset(tmp_path: Path) -> None:
    made = chain(5)
    lay(tmp_path, {"00000001.log": lines(made, 1, 3), "00000004.log": lines(made, 4, 5)})
    found = [item for item in read_journal(tmp_path) if isinstance(item, Line)]
    assert [(item.file, item.entry.head.seq) for item in found] == [
        *((f"journal/{name}.log", seq) for name, seq in [("00000001", 1), ("00000001", 2), ("00000001", 3)]),
        *((f"journal/{name}.log", seq) for name, seq in [("00000004", 4), ("00000004", 5)]),
    ]
    assert found[2].offset == len(lines(made, 1, 2))
    assert found[2].where == "journal/00000001.log entry 3"
    assert found[4].entry == made[4]


def test_files_are_ordered_by_number_beyond_eight_digits(tmp_path: Path) -> None:
    lay(tmp_path, {"99999999.log": b"x", "100000000.log": b"x", "next.tmp": b"x", "0100000001.log": b"x"})
    logs, others = journal_files(tmp_path)
    assert [log.first_seq for log in logs] == [99_999_999, 100_000_000]
    assert others == ["journal/0100000001.log", "journal/next.tmp"]


def test_lines_repeated_across_a_border_count_once(tmp_path: Path) -> None:
    made = chain(6)
    torn = made[4].line[:-7]
    lay(tmp_path, {"00000001.log": lines(made, 1, 4) + torn, "00000003.log": lines(made, 3, 6)})
    items = list(read_journal(tmp_path))
    assert numbers(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert [item for item in items if isinstance(item, Torn)] == [
        Torn("journal/00000001.log", len(lines(made, 1, 4)), torn)
    ]
    assert not damages(tmp_path)


def test_a_repeated_line_that_differs_is_damage(tmp_path: Path) -> None:
    made = chain(4)
    resigned = made[2].with_signature(b"87654321").line
    lay(tmp_path, {"00000001.log": lines(made, 1, 3), "00000003.log": resigned + made[3].line})
    (found,) = damages(tmp_path)
    assert found.where == "journal/00000003.log entry 3"
    assert "another than in the file before" in found.problem
    assert found.rival is None  # the same head: not another history


def test_a_repeated_number_with_another_head_is_a_rival(tmp_path: Path) -> None:
    made = chain(3)
    other = entries.make(
        Position("cam", JID, 3, "2" * 64), "shutdown", {"cause": "other"}, bytes(16), made[2].head.stamp
    ).with_signature(b"12345678")
    lay(tmp_path, {"00000001.log": lines(made, 1, 3), "00000003.log": other.line})
    (found,) = damages(tmp_path)
    assert found.rival == other


def test_going_back_inside_a_file_is_damage(tmp_path: Path) -> None:
    made = chain(3)
    lay(tmp_path, {"00000001.log": lines(made, 1, 2) + made[1].line + made[2].line})
    assert [(found.number, found.problem) for found in damages(tmp_path)] == [(2, "entry 2 comes after entry 2")]
    assert numbers(tmp_path) == [1, 2, 3]


def test_repeating_more_than_the_file_name_says_is_damage(tmp_path: Path) -> None:
    made = chain(4)
    lay(tmp_path, {"00000001.log": lines(made, 1, 3), "00000003.log": lines(made, 2, 4)})
    assert [found.problem for found in damages(tmp_path)] == ["entry 2 comes again"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"no whole line", "no whole line in the file"),
        (b"a\tb\n", "2 columns"),
        (b"x" * (MAX_FILE_LINE_BYTES + 1), "a line of more than"),
        (b"x" * (3 * MAX_FILE_LINE_BYTES) + b"\n", "a line of more than"),
    ],
)
def test_what_is_no_entry_is_named(tmp_path: Path, data: bytes, problem: str) -> None:
    lay(tmp_path, {"00000007.log": data})
    found = damages(tmp_path)
    assert problem in found[0].problem
    assert found[0].where == "journal/00000007.log entry 7"


def test_reading_goes_on_after_damage(tmp_path: Path) -> None:
    made = chain(3)
    crlf = made[1].line[:-1] + b"\r\n"
    lay(tmp_path, {"00000001.log": made[0].line + crlf + made[2].line})
    assert numbers(tmp_path) == [1, 3]
    assert [found.number for found in damages(tmp_path)] == [2]


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    made = chain(1)
    folder = lay(tmp_path, {"00000001.log": lines(made, 1, 1)})
    os.mkfifo(folder / "journal" / "00000002.log")
    (folder / "journal" / "00000003.log").symlink_to("/dev/zero")
    (folder / "journal" / "00000004.log").mkdir()
    assert [found.problem for found in damages(folder)] == ["not a regular file"] * 3


def test_no_journal_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="journal"):
        list(read_journal(tmp_path))
    (tmp_path / "journal").mkdir()
    with pytest.raises(UnreadableError, match="holds no journal"):
        list(read_journal(tmp_path))


def test_blobs_are_listed_by_the_one_spelling_of_their_name(tmp_path: Path) -> None:
    assert not list(blob_files(tmp_path))
    rec = tmp_path / "segments" / "cam-00000000-7"
    rec.mkdir(parents=True)
    for name in ("0000.mp4.age", "0001.mp4.age", "00002.mp4.age", "3.mp4.age", "0004.mp4"):
        (rec / name).write_bytes(b"")
    (tmp_path / "segments" / "stray").write_bytes(b"")
    found = [(blob.label.removeprefix("segments/"), blob.rec, blob.seg) for blob in blob_files(tmp_path)]
    assert found == [
        ("cam-00000000-7/0000.mp4.age", "cam-00000000-7", 0),
        ("cam-00000000-7/00002.mp4.age", None, None),
        ("cam-00000000-7/0001.mp4.age", "cam-00000000-7", 1),
        ("cam-00000000-7/0004.mp4", None, None),
        ("cam-00000000-7/3.mp4.age", None, None),
        ("stray", None, None),
    ]
