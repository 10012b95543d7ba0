"""What every source of sound guarantees (hw/capture/source.py), footage and microphone alike. A new one joins SOURCES.

The board's own microphone joins with `pytest -m hil`, on a board (TEMOIN_BOARD: its file).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pytest

from agent.config import load_board
from hw.capture.footage import Footage
from hw.capture.main import BootClock
from hw.capture.microphone import Microphone
from hw.capture.muxer import SOUND_LAG_NS
from hw.capture.source import SAMPLE_BYTES, SECOND_NS, Ended, Packet, Post, SoundBlock
from tests.support.capture import SOUND, VIDEO, JumpingPacer
from tests.support.footage import make_footage
from tests.support.sound_card import MS_NS, Card, scheduling

SECONDS = 3
JITTER_NS = 10 * MS_NS
DEVICE = "hw:CARD=mic,DEV=0"


class Sounding(Protocol):
    """What a source of sound has of a Source."""

    def start(self, post: Post) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True)
class Made:
    """A source, the clock that it hears by, its rate."""

    source: Sounding
    boot_ns: Callable[[], int]
    rate_hz: int


def footage(folder: Path) -> Made:
    pacer = JumpingPacer()
    path = make_footage(folder / "film.mp4", frames=40, beeps=True)
    return Made(Footage(path, VIDEO, SOUND, pacer), pacer.boot_ns, SOUND.sample_rate_hz)


def microphone(ppm: int, late_ns: Callable[[], int]) -> Made:
    pacer, rate_hz = JumpingPacer(), SOUND.sample_rate_hz
    card = Card(pacer, rate_hz, ppm, late_ns=late_ns)
    return Made(Microphone(DEVICE, rate_hz, pacer, pytest.fail, card.open), pacer.boot_ns, rate_hz)


def board_microphone() -> Made:
    """Of the board that TEMOIN_BOARD names; KeyError: it does not."""
    board, clock = load_board(Path(os.environ["TEMOIN_BOARD"])), BootClock()
    assert board.parts is not None, "a simulated board has no microphone"
    rate_hz = board.sound.sample_rate_hz
    return Made(Microphone(board.parts.microphone, rate_hz, clock, pytest.fail), clock.boot_ns, rate_hz)


SOURCES: dict[str, Callable[[Path], Made]] = {
    "footage": footage,
    "microphone": lambda _: microphone(0, lambda: 0),
    "microphone, fast and read late": lambda _: microphone(200, scheduling(1)),
    "microphone, slow and read late": lambda _: microphone(-200, scheduling(2)),
    "board's microphone": lambda _: board_microphone(),
}
EACH = [pytest.param(name, marks=pytest.mark.hil) if name == "board's microphone" else name for name in SOURCES]


class Heard:
    """What a source posts in SECONDS of its clock, with the clock's time of each post; afterwards it only counts."""

    def __init__(self, made: Made) -> None:
        self.made = made
        self.blocks: list[SoundBlock] = []
        self.times: list[int] = []
        self.done = threading.Event()
        self.ended = False
        self.posts = 0
        self._until_ns = made.boot_ns() + SECONDS * SECOND_NS

    def post(self, packet: Packet) -> None:
        self.posts += 1
        now_ns = self.made.boot_ns()
        if now_ns >= self._until_ns or isinstance(packet, Ended):
            self.ended |= isinstance(packet, Ended)
            self.done.set()
        elif isinstance(packet, SoundBlock):
            self.blocks.append(packet)
            self.times.append(now_ns)

    def span_ns(self, block: SoundBlock) -> int:
        return len(block.samples) // SAMPLE_BYTES * SECOND_NS // self.made.rate_hz


@pytest.fixture(scope="module", params=EACH)
def heard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Heard:
    found = Heard(SOURCES[str(request.param)](tmp_path_factory.mktemp("sound")))
    found.made.source.start(found.post)
    assert found.done.wait(60)
    found.made.source.stop()
    return found


def test_it_does_not_end(heard: Heard) -> None:
    assert not heard.ended
    assert heard.blocks


def test_blocks_are_whole_samples_that_were_heard_and_short(heard: Heard) -> None:
    for block in heard.blocks:
        assert len(block.samples) % SAMPLE_BYTES == 0
        assert 0 < heard.span_ns(block) < SOUND_LAG_NS
        assert block.heard


def test_times_rise_strictly_and_a_block_is_over_when_it_is_posted(heard: Heard) -> None:
    assert all(earlier.boot_ns < later.boot_ns for earlier, later in pairwise(heard.blocks))
    for block, now_ns in zip(heard.blocks, heard.times, strict=True):
        assert block.boot_ns + heard.span_ns(block) <= now_ns + 1_000


def test_blocks_follow_one_another_without_holes(heard: Heard) -> None:
    for earlier, later in pairwise(heard.blocks):
        assert abs(later.boot_ns - earlier.boot_ns - heard.span_ns(earlier)) <= JITTER_NS


def test_it_is_as_much_sound_as_time(heard: Heard) -> None:
    first, last = heard.blocks[0], heard.blocks[-1]
    sound_ns = sum(heard.span_ns(block) for block in heard.blocks[:-1])
    assert abs(last.boot_ns - first.boot_ns - sound_ns) <= JITTER_NS
    assert sound_ns >= (SECONDS - 1) * SECOND_NS


def test_nothing_comes_after_stop(heard: Heard) -> None:
    posts = heard.posts
    heard.made.source.stop()
    assert heard.posts == posts


@pytest.mark.parametrize("name", EACH)
def test_stop_before_start_is_fine(name: str, tmp_path: Path) -> None:
    SOURCES[name](tmp_path).source.stop()
