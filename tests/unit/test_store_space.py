"""The space reserve: when a press is refused, and what the officer is told is left."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from agent.model import Unavailable
from agent.store.journal import MAX_FILE_BYTES
from agent.store.segments import MAX_SEGMENT_BYTES
from agent.store.space import closing_bytes, minutes_left, reserve_bytes, room
from hw.sim.disk import SimDisk

EIGHT_MBIT = 8_000_000


@pytest.mark.parametrize(("free", "fits"), [(0, False), (99_999, False), (100_000, True), (100_001, True)])
def test_a_press_needs_the_reserve(tmp_path: Path, free: int, fits: bool) -> None:
    disk = SimDisk(tmp_path)
    disk.say_free(free)
    needed = {"free_bytes": str(free), "needed_bytes": "100000"}
    assert room(disk, 100_000) == (None if fits else Unavailable("card_full", needed))


def test_a_card_that_does_not_answer_is_no_room(tmp_path: Path) -> None:
    disk = SimDisk(tmp_path)
    disk.fail("free_bytes", "*", errno.EIO)
    assert room(disk, 1) == Unavailable("card_unreadable", {"problem": "the card failed to read or write"})


def test_the_reserve_holds_prerecord_segment_journal_and_closing() -> None:
    without = reserve_bytes(0, EIGHT_MBIT)
    assert without == MAX_SEGMENT_BYTES + MAX_FILE_BYTES + closing_bytes()
    assert reserve_bytes(30_000, EIGHT_MBIT) == without + 33_000_000


def test_the_closing_holds_the_index_and_every_last_line_twice() -> None:
    assert 65_552 + 2 * 16 * 65_536 < closing_bytes() < 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("free", "minutes"), [(0, 0), (1000, 0), (1000 + 65_999_999, 0), (1000 + 66_000_000, 1), (1000 + 660_000_000, 10)]
)
def test_minutes_left(free: int, minutes: int) -> None:
    assert minutes_left(free, 1000, EIGHT_MBIT) == minutes
