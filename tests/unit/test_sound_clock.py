"""When samples were heard, told from when they arrived: case by case. All cases at once: test_microphone.py."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.capture.sound_clock import LATE_NS, MAX_HELD_NS, SETTLE_NS, WINDOW_NS, SoundClock
from hw.capture.source import SECOND_NS

RATE = 8_000
MS_NS = 1_000_000
BLOCK_MS = 20
BLOCK = bytes(2 * RATE * BLOCK_MS // 1000)
START_MS = 5_000
Told = list[tuple[int, int]]


class Reader:
    """Reads block after block, and writes down what the clock says of each: (number, milliseconds after START_MS)."""

    def __init__(self) -> None:
        self.clock = SoundClock(RATE)
        self.told: Told = []
        self._number = self._read = 0

    def read(self, *arrivals_ms: int) -> Reader:
        """A block at each of these times."""
        for arrival_ms in arrivals_ms:
            data = self._read.to_bytes(2, "little") + BLOCK[2:]
            self._read += 1
            self._write_down(self.clock.take(data, (START_MS + arrival_ms) * MS_NS))
        return self

    def steady(self, count: int, late_ms: int = 0) -> Reader:
        """The next blocks of a card that began at 0, each as late as this."""
        return self.read(*((self._read + number + 1) * BLOCK_MS + late_ms for number in range(count)))

    def lost(self) -> Reader:
        self.clock.lost()
        return self

    def _write_down(self, blocks: object) -> None:
        assert isinstance(blocks, list)
        for block in blocks:
            number = int.from_bytes(block.samples[:2], "little")
            self.told.append((number, round((block.boot_ns - START_MS * MS_NS) / MS_NS)))


def in_place(*numbers: int) -> Told:
    """Blocks of a card that began at 0 and lost nothing."""
    return [(number, number * BLOCK_MS) for number in numbers]


def test_nothing_is_told_before_the_time_is_known() -> None:
    settled = SETTLE_NS // MS_NS // BLOCK_MS + 2
    reader = Reader().steady(settled - 1)
    assert reader.told == []
    assert reader.steady(1).told == in_place(*range(settled))
    assert reader.steady(1).told[-1:] == in_place(settled)


def test_the_least_late_arrival_counts() -> None:
    reader = Reader().read(*(BLOCK_MS * (number + 1) + late for number, late in enumerate([9, 4, 7, 1, 8, 8, 8, 8, 8])))
    assert reader.told == [(number, number * BLOCK_MS + 1) for number in range(9)]


def test_what_is_late_at_the_start_says_nothing_and_is_left_out() -> None:
    """The first block 100 ms late, then a stall of 400 ms."""
    reader = Reader().read(120, *([520] * 25), *range(540, 700, BLOCK_MS))
    assert reader.told == in_place(*range(26, 34))


def test_a_stall_that_the_buffer_holds_moves_nothing() -> None:
    reader = Reader().steady(50).read(*([1_500] * 25)).steady(10)
    assert reader.told == in_place(*range(85))


def test_a_loss_that_is_told_begins_anew() -> None:
    reader = Reader().steady(50).lost().read(*range(3_020, 3_220, BLOCK_MS))
    assert reader.told == in_place(*range(50)) + [(50 + number, 3_000 + number * BLOCK_MS) for number in range(10)]


def test_what_is_held_when_a_loss_is_told_is_left_out() -> None:
    assert Reader().steady(3).lost().steady(20).told[0][0] == 3
    assert Reader().steady(50).read(1_500, 1_500).lost().told == in_place(*range(50))


def test_a_loss_that_is_not_told_is_a_hole() -> None:
    """The first block after it came late, as after a stall: it may be from before, and is left out."""
    reader = Reader().steady(50).read(*range(1_320, 1_620, BLOCK_MS))
    assert reader.told == in_place(*range(50)) + [(number, 300 + number * BLOCK_MS) for number in range(51, 65)]


def test_what_may_be_from_either_side_of_a_loss_is_left_out() -> None:
    """A stall of 300 ms, of which ten blocks lay ready; then 500 ms that the card lost; nobody knows after which."""
    late = [1_300] * 10
    reader = Reader().steady(50).read(*late, *range(1_820, 2_200, BLOCK_MS))
    told = dict(reader.told)
    assert not set(range(50, 60)) & told.keys()
    assert all(told[number] == 620 - BLOCK_MS + number * BLOCK_MS for number in range(62, 79))


def test_times_rise_strictly_when_the_envelope_falls() -> None:
    clock, times = SoundClock(RATE), list[int]()
    for number in range(30):
        arrival_ms = START_MS + (number + 1) * BLOCK_MS + (25 if number < 20 else 0)
        times += [block.boot_ns for block in clock.take(BLOCK, arrival_ms * MS_NS)]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert times[-1] == (START_MS + 29 * BLOCK_MS) * MS_NS


def test_no_more_is_held_than_a_buffer_has() -> None:
    """Every read is a stall: no time is ever sure, and what cannot be told is given up at last."""
    most = MAX_HELD_NS // MS_NS // BLOCK_MS
    reader = Reader().read(*(number * 100 for number in range(most)))
    assert reader.told == []
    assert [number for number, _ in reader.read(most * 100 - 100 + BLOCK_MS).told] == [most]


@pytest.mark.parametrize("ppm", [-200, 200])
def test_a_wrong_rate_is_followed_within_the_window(ppm: int) -> None:
    """The slow card is behind by what it loses in one window; the fast one never."""
    clock, worst_ns = SoundClock(RATE), 0
    for number in range(3_000):
        heard_ns = START_MS * MS_NS + number * BLOCK_MS * (1_000_000 - ppm)
        for block in clock.take(BLOCK, heard_ns + BLOCK_MS * MS_NS):
            if block.boot_ns > START_MS * MS_NS + WINDOW_NS:
                worst_ns = max(worst_ns, abs(heard_ns - block.boot_ns))
    assert worst_ns <= 200 * WINDOW_NS // 1_000_000 + BLOCK_MS * 1_000


@settings(max_examples=50)
@given(st.lists(st.integers(0, LATE_NS // MS_NS), min_size=10, max_size=60))
def test_no_block_is_told_earlier_than_it_was_heard_nor_later_than_it_arrived(late_ms: list[int]) -> None:
    reader = Reader().read(*((number + 1) * BLOCK_MS + late for number, late in enumerate(late_ms)))
    assert [number for number, _ in reader.told] == list(range(len(reader.told)))
    assert all(0 <= ms - number * BLOCK_MS <= max(late_ms) for number, ms in reader.told)


def test_nothing_is_a_block_of_nothing() -> None:
    assert SoundClock(RATE).take(b"", SECOND_NS) == []
