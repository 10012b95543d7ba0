"""Trimming at its borders: never past what is acknowledged, below `low`, old by signed time, or begins a file anew."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent.formats.entries import parse_line
from agent.store.custody import MS_PER_DAY, LastAck
from agent.store.last import file_numbers
from agent.store.purge import TRIM_DAYS, file_of, trim
from agent.store.state import Reference
from hw.sim.disk import SimDisk
from tests.support.signer import SeededSigner
from tests.support.store import Board, Camera

FILES = 6


class Made:
    """A journal of FILES files of three entries each."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = root
        self.disk = SimDisk(root, flush=lambda descriptor: None)
        self.camera = Camera(self.disk, Board(), SeededSigner("purge"), [], {})
        self.camera.commit()
        for _ in range(FILES - 1):
            self.note()
            self.camera.journal.rotate()
        self.numbers = file_numbers(self.disk)
        assert len(self.numbers) == FILES

    def note(self) -> None:
        self.camera.append("alert", {"cause": "test", "values": {}, "remedy": "none"})
        self.camera.commit()

    def utc_ms(self, number: int) -> int:
        """The latest time that the first entry of a file may be of."""
        line = (self.root / "journal" / f"{number:08d}.log").read_bytes().split(b"\n")[0] + b"\n"
        stamp = parse_line(line).head.stamp
        assert stamp.utc_ms is not None
        assert stamp.err_ms is not None
        return stamp.utc_ms + stamp.err_ms

    def trim(self, ack: int, low: int, signed_utc_ms: int) -> list[int]:
        """What is left."""
        journal = self.camera.journal
        trim(journal, self.disk, LastAck(Reference(1, "0" * 64), ack), low, signed_utc_ms)
        return file_numbers(self.disk)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "data")


LATER = 10**13


@pytest.mark.parametrize("file", range(FILES))
@pytest.mark.parametrize("by", ["ack", "ack just", "low", "age"])
def test_a_file_goes_when_it_is_acknowledged_below_low_and_old(made: Made, file: int, by: str) -> None:
    number = made.numbers[file]
    old_ms = made.utc_ms(number) + TRIM_DAYS * MS_PER_DAY
    left = {
        "ack": lambda: made.trim(number - 1, 10**6, LATER),
        "ack just": lambda: made.trim(number - 2 if file else 0, 10**6, LATER),
        "low": lambda: made.trim(10**6, number, LATER),
        "age": lambda: made.trim(10**6, 10**6, old_ms),
    }[by]()
    expected = max(0, file - 1) if by == "ack just" else file
    assert left == made.numbers[expected:]
    last = made.numbers[expected] - 1
    made.camera.journal.commit()
    lines = [line for path in (made.root / "journal").glob("*.log") for line in path.read_bytes().split(b"\n")]
    trims = [parse_line(line + b"\n").body for line in lines if b'"kind":"trim"' in line]
    assert [(body["first"], body["last"]) for body in trims if body is not None] == ([(0, last)] if expected else [])


def test_the_journal_never_begins_while_a_recording_is_open(made: Made) -> None:
    made.disk.make_folder("segments")
    made.camera.start_recording()
    made.camera.journal.rotate()
    last = file_numbers(made.disk)[-1]
    assert made.trim(10**6, 10**6, LATER) == [made.numbers[-1], last]


def test_the_journal_never_begins_with_repeated_lines(made: Made) -> None:
    made.disk.fail("sync", "journal/*.log", errno.EIO)
    made.note()
    last = file_numbers(made.disk)[-1]
    assert last > made.numbers[-1]
    assert made.trim(10**6, 10**6, LATER) == [made.numbers[-1], last]


def test_the_file_of_an_entry(made: Made) -> None:
    for number, after in zip(made.numbers, made.numbers[1:], strict=False):
        assert file_of(made.disk, number) == file_of(made.disk, after - 1) == number
