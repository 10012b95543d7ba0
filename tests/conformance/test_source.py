"""What every source of the capture process guarantees (hw/capture/source.py). A new source joins SOURCES.

The board's own camera joins with `pytest -m hil`, on a board (TEMOIN_BOARD: its file) or over libcamera's virtual
camera (`make virtual`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from agent.config import Video, load_board
from hw.capture.camera import Camera
from hw.capture.footage import Footage
from hw.capture.main import BootClock, filmed_by
from hw.capture.source import SAMPLE_BYTES, SECOND_NS, Ended, Look, Packet, Picture, SoundBlock, Source
from tests.support.capture import SOUND, VIDEO, Collected, JumpingPacer
from tests.support.footage import make_footage
from tests.support.simulated_camera import SimulatedCamera

pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")  # picamera2's own

PICTURES = 100
SPS, PPS, IDR, SLICE = 7, 8, 5, 1


@dataclass(frozen=True)
class Made:
    """A source, what it was told to film, the clock that it films by, and how far a picture may be from its moment."""

    source: Source
    video: Video
    boot_ns: Callable[[], int]
    jitter_ns: int = 0


def footage(folder: Path, beeps: bool) -> Made:
    pacer = JumpingPacer()
    path = make_footage(folder / "film.mp4", frames=40, beeps=beeps)
    return Made(Footage(path, VIDEO, SOUND, pacer), VIDEO, pacer.boot_ns)


def simulated_camera() -> Made:
    camera = SimulatedCamera(VIDEO)
    return Made(Camera(lambda: camera, VIDEO, camera), VIDEO, camera.boot_ns)


def board_camera() -> Made:
    """Of the board that TEMOIN_BOARD names; KeyError: it does not."""
    board, clock = load_board(Path(os.environ["TEMOIN_BOARD"])), BootClock()
    return Made(filmed_by(board, clock), board.video, clock.boot_ns, SECOND_NS // board.video.frames_per_second // 2)


@dataclass(frozen=True)
class Filmed:
    """What a source posted, and the boot clock at each post."""

    made: Made
    packets: list[Packet]
    times: list[int]


SOURCES: dict[str, Callable[[Path], Made]] = {
    "footage with sound": lambda folder: footage(folder, beeps=True),
    "footage without sound": lambda folder: footage(folder, beeps=False),
    "simulated camera": lambda _: simulated_camera(),
    "board's camera": lambda _: board_camera(),
}
EACH = [pytest.param(name, marks=pytest.mark.hil) if name == "board's camera" else name for name in SOURCES]


@pytest.fixture(scope="module", params=EACH)
def filmed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    """PICTURES pictures with their sound, and the boot clock at each post."""
    made = SOURCES[str(request.param)](tmp_path_factory.mktemp("source"))
    collected, times = Collected(PICTURES), list[int]()

    def post(packet: Packet) -> None:
        if not collected.done.is_set():
            times.append(made.boot_ns())
            collected.post(packet)

    made.source.start(post)
    assert collected.done.wait(60)
    made.source.stop()
    return Filmed(made, collected.packets, times)


def units(data: bytes) -> list[int]:
    """Types of the NAL units of an Annex B access unit."""
    return [piece[0] & 0x1F for piece in data.split(b"\0\0\1")[1:]]


def pictures(filmed: Filmed) -> list[Picture]:
    return [packet for packet in filmed.packets if isinstance(packet, Picture)]


def blocks(filmed: Filmed) -> list[SoundBlock]:
    return [packet for packet in filmed.packets if isinstance(packet, SoundBlock)]


def test_nothing_but_pictures_and_sound_comes_while_it_films(filmed: Filmed) -> None:
    assert not [packet for packet in filmed.packets if isinstance(packet, Ended)]
    assert len(pictures(filmed)) == PICTURES


def test_pictures_are_annex_b_and_keyframes_bring_their_parameter_sets(filmed: Filmed) -> None:
    for picture in pictures(filmed):
        assert picture.data.startswith((b"\0\0\0\1", b"\0\0\1"))
        kinds = units(picture.data)
        if picture.keyframe:
            assert {SPS, PPS, IDR} <= set(kinds)
            assert SLICE not in kinds
        else:
            assert SLICE in kinds
            assert IDR not in kinds


def test_a_keyframe_comes_first_and_each_second(filmed: Filmed) -> None:
    keyframes = [picture.boot_ns for picture in pictures(filmed) if picture.keyframe]
    assert pictures(filmed)[0].keyframe
    ends = [*keyframes, pictures(filmed)[-1].boot_ns]
    assert all(later - earlier <= SECOND_NS + filmed.made.jitter_ns for earlier, later in pairwise(ends))


def test_times_rise_and_are_never_ahead_of_the_clock(filmed: Filmed) -> None:
    for kind in (Picture, SoundBlock, Look):
        times = [packet.boot_ns for packet in filmed.packets if isinstance(packet, kind)]
        assert all(earlier < later for earlier, later in pairwise(times))
    assert all(
        isinstance(packet, Ended) or packet.boot_ns <= now
        for packet, now in zip(filmed.packets, filmed.times, strict=True)
    )


def test_pictures_come_at_the_boards_rate(filmed: Filmed) -> None:
    times = [picture.boot_ns for picture in pictures(filmed)]
    since_ns = [number * SECOND_NS // filmed.made.video.frames_per_second for number in range(PICTURES)]
    begins_ns = [time - since for time, since in zip(times, since_ns, strict=True)]
    middle_ns = sorted(begins_ns)[PICTURES // 2]
    assert all(abs(begins - middle_ns) <= filmed.made.jitter_ns for begins in begins_ns), begins_ns


def test_a_look_comes_each_second(filmed: Filmed) -> None:
    looks = [packet for packet in filmed.packets if isinstance(packet, Look)]
    first_ns = pictures(filmed)[0].boot_ns
    assert 0 <= looks[0].boot_ns - first_ns < SECOND_NS
    assert all(SECOND_NS // 2 <= later.boot_ns - earlier.boot_ns < 2 * SECOND_NS for earlier, later in pairwise(looks))
    assert pictures(filmed)[-1].boot_ns - looks[-1].boot_ns < 2 * SECOND_NS


def test_sound_follows_without_holes_and_ends_at_its_time(filmed: Filmed) -> None:
    for earlier, later in pairwise(blocks(filmed)):
        count = len(earlier.samples) // SAMPLE_BYTES
        end_ns = earlier.boot_ns + count * SECOND_NS // SOUND.sample_rate_hz
        assert abs(later.boot_ns - end_ns) <= SECOND_NS // SOUND.sample_rate_hz
    for packet, now in zip(filmed.packets, filmed.times, strict=True):
        if isinstance(packet, SoundBlock):
            assert packet.boot_ns + len(packet.samples) // SAMPLE_BYTES * SECOND_NS // SOUND.sample_rate_hz <= now + 1


@pytest.mark.parametrize("name", EACH)
def test_nothing_comes_after_stop(name: str, tmp_path: Path) -> None:
    source = SOURCES[name](tmp_path).source
    posted: list[Packet] = []
    collected = Collected(5)

    def post(packet: Packet) -> None:
        posted.append(packet)
        collected.post(packet)

    source.start(post)
    assert collected.done.wait(60)
    source.stop()
    count = len(posted)
    source.stop()
    assert len(posted) == count
    assert not isinstance(posted[-1], Ended)


@pytest.mark.parametrize("name", EACH)
def test_stop_before_start_is_fine(name: str, tmp_path: Path) -> None:
    SOURCES[name](tmp_path).source.stop()
