"""Footage played as the board would film it: which picture when, which sound with it, and what wrong files say."""

from __future__ import annotations

import io
import struct
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition

from agent.config import Video
from agent.errors import CaptureError
from hw.capture.encoder import Encoder
from hw.capture.fitter import Fitter
from hw.capture.footage import Footage
from hw.capture.look import look
from hw.capture.source import SAMPLE_BYTES, SECOND_NS, Ended, Look, Packet, Picture, SoundBlock
from tests.support.capture import BOOT_NS, SOUND, VIDEO, JumpingPacer, film, footage_parts
from tests.support.footage import luma_of, make_footage, number_in, picture

FRAME_NS = SECOND_NS // 25


def play(path: Path, pictures: int, video: Video = VIDEO, late_ns: dict[int, int] | None = None) -> list[Packet]:
    return film(Footage(path, video, SOUND, JumpingPacer(late_ns)), pictures)


def numbers(packets: list[Packet], content_width: Fraction = Fraction(1)) -> list[int]:
    data = b"".join(packet.data for packet in packets if isinstance(packet, Picture))
    with av.open(io.BytesIO(data), "r", format="h264") as container:
        return [number_in(luma_of(frame), content_width) for frame in container.decode(video=0)]


def error_of(packets: list[Packet]) -> str:
    assert isinstance(packets[-1], Ended)
    return str(packets[-1].error)


def test_it_begins_again_at_its_end(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=10)
    assert numbers(play(path, 25)) == [*range(10), *range(10), *range(5)]


@pytest.mark.parametrize("rate", [Fraction(5), Fraction(24), Fraction(30000, 1001), Fraction(30), Fraction(50)])
def test_each_moment_shows_its_nearest_picture(tmp_path: Path, rate: Fraction) -> None:
    frames = int(rate * 2)
    path = make_footage(tmp_path / "film.mp4", frames=frames, frames_per_second=rate)
    shown = numbers(play(path, 45))
    for moment, number in enumerate(shown):
        assert abs(Fraction(number) / rate - Fraction(moment, 25)) <= max(1 / rate, Fraction(1, 25))


@pytest.mark.parametrize("suffix", [".mkv", ".mov", ".ts"])
def test_other_containers(tmp_path: Path, suffix: str) -> None:
    path = make_footage(tmp_path / f"film{suffix}", frames=20, beeps=True)
    assert numbers(play(path, 20)) == list(range(20))


@pytest.mark.parametrize(
    ("width", "height", "content"),
    [(640, 360, Fraction(1)), (320, 320, Fraction(9, 16)), (320, 90, Fraction(1)), (160, 120, Fraction(3, 4))],
)
def test_shapes_keep_their_proportions(tmp_path: Path, width: int, height: int, content: Fraction) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=12, width=width, height=height)
    packets = play(path, 12)
    assert numbers(packets, content) == list(range(12))


def test_a_look_each_second_at_the_picture_that_was_encoded(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=60)
    looks = [packet for packet in play(path, 60) if isinstance(packet, Look)]
    with av.open(str(path)) as container:
        shown = [luma_of(frame) for frame in container.decode(video=0)]
    assert looks == [look(shown[number], BOOT_NS + number * FRAME_NS, None, None) for number in (0, 25, 50)]


def test_bars_are_black_and_pixels_that_are_not_square_are_stretched() -> None:
    frame = av.VideoFrame.from_ndarray(np.full((180, 120), 200, np.uint8), format="gray")
    luma = luma_of(Fitter(320, 180).fit(frame))
    assert luma.shape == (180, 320)
    assert int(luma[:, :100].max()) <= 17
    assert int(luma[:, 100:220].min()) > 150
    assert int(luma_of(Fitter(320, 180, Fraction(320, 120)).fit(frame)).min()) > 150


UPRIGHT = struct.pack("!9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
TURNED = {
    "left": struct.pack("!9i", 0, -0x10000, 0, 0x10000, 0, 0, 0, 0, 0x40000000),
    "right": struct.pack("!9i", 0, 0x10000, 0, -0x10000, 0, 0, 0, 0, 0x40000000),
    "over": struct.pack("!9i", -0x10000, 0, 0, 0, -0x10000, 0, 0, 0, 0x40000000),
}


@pytest.mark.parametrize("turn", ["left", "right", "over"])
def test_a_film_that_asks_to_be_turned_is_turned(tmp_path: Path, turn: str) -> None:
    """The left half is white, the right half black; turned left, the right half is on top."""
    path = make_footage(tmp_path / "film.mp4", frames=1, width=320, height=180, first_number=0xFF00)
    data = path.read_bytes()
    at = data.index(UPRIGHT, data.index(b"tkhd"))
    path.write_bytes(data[:at] + TURNED[turn] + data[at + len(UPRIGHT) :])
    square = Video(320, 320, 25, 1_000_000, 2_000_000)
    (first,) = play(path, 1, square)
    assert isinstance(first, Picture)
    with av.open(io.BytesIO(first.data), "r", format="h264") as container:
        (frame,) = container.decode(video=0)
    luma = luma_of(frame).astype(int)
    top, bottom = luma[20:140, 120:200].mean(), luma[180:300, 120:200].mean()
    left, right = luma[120:200, 20:140].mean(), luma[120:200, 180:300].mean()
    if turn == "over":
        assert right > 200 > 100 > left
    else:
        lighter, darker = (bottom, top) if turn == "left" else (top, bottom)
        assert lighter > 200 > 100 > darker


def test_the_picture_changes_its_size_in_mid_file() -> None:
    fitter = Fitter(320, 180)
    for width, height in ((320, 180), (640, 360), (320, 180)):
        luma = picture(1234, width, height)
        assert number_in(luma_of(fitter.fit(av.VideoFrame.from_ndarray(luma, format="gray")))) == 1234


def test_sound_comes_with_its_picture_and_is_padded_with_silence(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=30, beeps=True)
    blocks = [packet for packet in play(path, 60) if isinstance(packet, SoundBlock)]
    assert all(block.heard and len(block.samples) == 1920 * SAMPLE_BYTES for block in blocks)
    loud = [
        (block.boot_ns - BOOT_NS) // FRAME_NS
        for block in blocks
        if np.abs(np.frombuffer(block.samples, np.int16).astype(int)).max() > 4000
    ]
    assert [moment % 30 in (0, 1, 2, 25, 26, 27) for moment in loud] == [True] * len(loud)
    assert {0, 25, 30, 55} <= set(loud)


@pytest.mark.parametrize("after", [0, 5, -5])
def test_sound_keeps_its_distance_from_the_pictures(tmp_path: Path, after: int) -> None:
    path = make_footage(tmp_path / "film.mkv", frames=45, beeps=True, sound_after_frames=after)
    blocks = [packet for packet in play(path, 41) if isinstance(packet, SoundBlock)]
    samples = np.frombuffer(b"".join(block.samples for block in blocks), np.int16).astype(int)
    loud = np.abs(samples) > 4000
    second_beep = 25 + after  # in frames; the first one is cut off where the sound begins before the pictures
    begins = second_beep * 1920
    assert not loud[begins - 4800 : begins - 100].any()
    assert loud[begins + 100 : begins + 1920].any()


def test_milliseconds_of_matroska_show_each_picture_once(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mkv", frames=60, frames_per_second=30)
    assert numbers(play(path, 60, replace(VIDEO, frames_per_second=30))) == list(range(60))


def test_silence_where_it_has_none(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=10)
    blocks = [packet for packet in play(path, 10) if isinstance(packet, SoundBlock)]
    assert blocks
    assert not any(block.heard or any(block.samples) for block in blocks)


def test_a_machine_that_falls_behind_shows_a_hole_and_goes_on_with_a_keyframe(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=40)
    late_ns = 700_000_000
    found = [packet for packet in play(path, 20, late_ns={10: late_ns}) if isinstance(packet, Picture)]
    assert found[10].boot_ns - found[9].boot_ns == late_ns + FRAME_NS
    assert found[11].boot_ns - found[10].boot_ns == FRAME_NS
    assert [number for number, each in enumerate(found) if each.keyframe] == [0, 10]


def test_a_little_late_is_caught_up(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=40)
    found = [packet for packet in play(path, 20, late_ns={10: 400_000_000}) if isinstance(packet, Picture)]
    assert [each.boot_ns for each in found] == [BOOT_NS + number * FRAME_NS for number in range(20)]


@pytest.mark.parametrize(
    ("name", "data", "problem"),
    [
        ("empty.mp4", b"", "cannot be opened"),
        ("noise.mp4", bytes(range(256)) * 40, "cannot be opened"),
        ("notes.txt", b"not a film\n" * 50, "is text"),
    ],
)
def test_what_is_no_film_is_refused(tmp_path: Path, name: str, data: bytes, problem: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(CaptureError, match=problem) as raised:
        Footage(path, VIDEO, SOUND, JumpingPacer())
    assert str(raised.value).startswith(f"{path}: ")
    assert "give a video file" in str(raised.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing.mp4", Path("/dev/null"), Path("http://example.com/film.mp4")):
        with pytest.raises(CaptureError, match="is not a file"):
            Footage(path, VIDEO, SOUND, JumpingPacer())


@pytest.mark.parametrize("cover", [False, True])
def test_sound_alone_is_refused(tmp_path: Path, cover: bool) -> None:
    path = tmp_path / "song.m4a"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48_000, layout="mono")
        if cover:
            picture_stream = container.add_stream("mjpeg", rate=1)
            assert isinstance(picture_stream, av.VideoStream)
            picture_stream.width, picture_stream.height, picture_stream.pix_fmt = 64, 64, "yuvj420p"
            picture_stream.disposition = Disposition.attached_pic
            container.mux(picture_stream.encode(av.VideoFrame(64, 64, "yuvj420p")))
            container.mux(picture_stream.encode(None))
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.int16), format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = 48_000, Fraction(1, 48_000), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(CaptureError, match="no pictures"):
        Footage(path, VIDEO, SOUND, JumpingPacer())


def test_a_film_that_breaks_in_the_middle_ends_with_one_line(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=100)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 30_000] = bytes(30_000)
    path.write_bytes(data)
    packets = play(path, 200)
    assert 10 < sum(isinstance(packet, Picture) for packet in packets) < 100
    assert f"{path}: decoding fails after picture " in error_of(packets)


def test_a_film_without_one_picture_ends_with_one_line(tmp_path: Path) -> None:
    init, _ = footage_parts(make_footage(tmp_path / "whole.mp4", frames=25), 1)
    path = tmp_path / "film.mp4"
    path.write_bytes(init.data)
    packets = play(path, 1)
    assert "no picture in it can be decoded" in error_of(packets)


def test_a_film_that_disappears_ends_with_one_line(tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=10)
    footage = Footage(path, VIDEO, SOUND, JumpingPacer())
    path.unlink()
    assert "is not a file" in error_of(film(footage, 20))


@pytest.mark.parametrize(
    ("bit_rate_bps", "max_bit_rate_bps"), [(1_000_000, 2_000_000), (1_000_000, 1_000_000), (500_000, 520_000)]
)
def test_no_second_takes_more_than_the_boards_highest_rate(bit_rate_bps: int, max_bit_rate_bps: int) -> None:
    """Noise after a quiet second: the worst that an encoder meets."""
    video = Video(320, 180, 25, bit_rate_bps, max_bit_rate_bps)
    encoder, random = Encoder(video), np.random.default_rng(20)
    sizes: list[int] = []
    for number in range(100):
        noise = random.integers(0, 256, (270, 320), dtype=np.uint8)
        planes = noise if number >= 25 else np.full((270, 320), 90, np.uint8)
        data, keyframe = encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"))
        assert keyframe == (number % 25 == 0)
        sizes.append(len(data))
    worst = max(sum(sizes[first : first + 25]) for first in range(len(sizes) - 24))
    assert worst * 8 <= max_bit_rate_bps
    assert worst * 8 > max_bit_rate_bps // 4


def test_a_lower_rate_is_kept_and_taken_back_without_a_gap_or_another_keyframe() -> None:
    """Moving noise: what takes all that it is given."""
    encoder, random = Encoder(Video(320, 180, 25, 1_000_000, 2_000_000)), np.random.default_rng(20)
    noise = random.integers(0, 256, (270, 320), dtype=np.uint8)
    seconds: list[int] = []
    for second, percent in enumerate([100, 100, 100, 35, 35, 35, 100, 100, 100]):
        encoder.film_at(percent)
        bits = 0
        for number in range(25):
            planes = np.roll(noise, 3 * (25 * second + number), axis=1)
            data, keyframe = encoder.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p"))
            assert keyframe == (number == 0)
            bits += len(data) * 8
        seconds.append(bits)
    assert 800_000 < seconds[2] < 1_200_000
    assert 280_000 < seconds[5] < 450_000
    assert 800_000 < seconds[8] < 1_200_000


def test_footage_is_filmed_at_the_rate_that_is_asked_for(tmp_path: Path) -> None:
    def size(percent: int) -> int:
        footage = Footage(make_footage(tmp_path / f"{percent}.mkv", frames=50), VIDEO, SOUND, JumpingPacer())
        footage.film_at(percent)
        return sum(len(packet.data) for packet in film(footage, 50) if isinstance(packet, Picture))

    assert size(5) < size(100)


def test_stop_ends_a_wait(tmp_path: Path) -> None:
    """A pacer that never wakes but for `stop`."""

    class Asleep(JumpingPacer):
        def wait_until(self, boot_ns: int, stop: threading.Event) -> None:
            if boot_ns > BOOT_NS:
                stop.wait()

    packets: list[Packet] = []
    first = threading.Event()

    def post(packet: Packet) -> None:
        packets.append(packet)
        first.set()

    footage = Footage(make_footage(tmp_path / "film.mp4", frames=10), VIDEO, SOUND, Asleep())
    footage.start(post)
    assert first.wait(60)
    footage.stop()
    assert len([packet for packet in packets if isinstance(packet, Picture)]) == 1
