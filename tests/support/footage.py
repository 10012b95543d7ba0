"""Footage whose frames can be told apart: each carries its number as 16 black and white bars.

The bars stand side by side over the whole width, highest bit on the left, in the middle half of the height: they
survive compression, scaling and letterboxing above and below. With sound on, a beep of 100 ms at 1 kHz begins with each
frame whose index is a multiple of the rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

NUMBER_BITS = 16
SAMPLE_RATE = 48_000
_BEEP_SAMPLES = SAMPLE_RATE // 10
_BEEP_HZ = 1000
_BLACK, _WHITE = 16, 235


def picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """The luma of one frame, shape (height, width): a moving gradient with the bars across its middle half."""
    rows = np.arange(height, dtype=np.uint32)[:, None]
    columns = np.arange(width, dtype=np.uint32)[None, :]
    luma = (64 + (rows + columns * 2 + number * 3) % 128).astype(np.uint8)
    bits = (number >> (NUMBER_BITS - 1 - columns * NUMBER_BITS // width)) & 1
    luma[height // 4 : height * 3 // 4] = np.where(bits, _WHITE, _BLACK).astype(np.uint8)
    return luma


def number_in(luma: NDArray[np.uint8], content_width: Fraction = Fraction(1)) -> int:
    """The number in a frame's luma. `content_width` is the part of the width between bars of pillarboxing."""
    height, width = luma.shape
    content = float(width * content_width)
    left = (width - content) / 2
    middle = luma[height * 15 // 32 : height * 17 // 32]
    number = 0
    for bit in range(NUMBER_BITS):
        first = int(left + content * (bit + 0.3) / NUMBER_BITS)
        last = max(int(left + content * (bit + 0.7) / NUMBER_BITS), first + 1)
        level = float(middle[:, first:last].mean())
        if 90 < level < 160:
            raise ValueError(f"bar {bit} is neither black nor white: {level:.0f}")
        number = number << 1 | (level >= 160)
    return number


def luma_of(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The luma plane of a yuv420p frame without its padding, shape (height, width)."""
    plane = frame.planes[0]
    rows = np.frombuffer(bytes(plane), np.uint8).reshape(plane.height, plane.line_size)
    luma: NDArray[np.uint8] = rows[:, : plane.width]
    return luma


def read_numbers(path: Path, content_width: Fraction = Fraction(1)) -> list[int]:
    """The numbers of all frames of a file, in the order in which a player shows them."""
    with av.open(str(path)) as container:
        return [
            number_in(luma_of(frame.reformat(format="yuv420p")), content_width) for frame in container.decode(video=0)
        ]


def read_beeps(path: Path) -> list[float]:
    """When each beep begins, in seconds of the file's time."""
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        pieces: list[NDArray[np.int16]] = []
        start: float | None = None
        for frame in container.decode(audio=0):
            start = float(frame.time or 0) if start is None else start
            pieces.extend(
                np.frombuffer(bytes(each.planes[0]), np.int16)[: each.samples] for each in resampler.resample(frame)
            )
    if start is None:
        return []
    loud = np.abs(np.concatenate(pieces).astype(np.int32)) > 4000
    quiet_before = SAMPLE_RATE // 4
    indexes = np.flatnonzero(loud)
    begins = [
        int(index) for place, index in enumerate(indexes) if not place or index - indexes[place - 1] > quiet_before
    ]
    return [start + begin / SAMPLE_RATE for begin in begins]


def _sound(frames: int, frames_per_second: Fraction) -> Iterator[av.AudioFrame]:
    """Blocks of 1,024 samples: beeps at whole multiples of the rate, silence between them."""
    total = int(frames * SAMPLE_RATE / frames_per_second)
    second = round(round(frames_per_second) * SAMPLE_RATE / frames_per_second)
    place = np.arange(total) % second
    wave = np.where(place < _BEEP_SAMPLES, np.sin(2 * np.pi * _BEEP_HZ * place / SAMPLE_RATE), 0.0)
    samples = (wave * 16_000).astype(np.int16)
    for first in range(0, total, 1024):
        block = samples[first : first + 1024]
        frame = av.AudioFrame.from_ndarray(block[None, :], format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        frame.time_base = Fraction(1, SAMPLE_RATE)
        frame.pts = first
        yield frame


def make_footage(
    path: Path,
    *,
    frames: int,
    width: int = 320,
    height: int = 180,
    frames_per_second: Fraction | int = 25,
    beeps: bool = False,
    first_number: int = 0,
    codec: str = "libx264",
    sound_after_frames: int = 0,
) -> Path:
    """Write a file of `frames` numbered frames; the container is that of the path's suffix. Returns the path.

    With `sound_after_frames` the sound begins that many frames after the pictures, or before them if it is negative.
    """
    rate = Fraction(frames_per_second)
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.codec_context.time_base = 1 / rate
        if codec == "libx264":
            video.options = {"preset": "ultrafast", "crf": "20"}
        audio = container.add_stream("aac", rate=SAMPLE_RATE, layout="mono") if beeps else None
        grey = np.full((height // 2, width), 128, np.uint8)
        for index in range(frames):
            planes = np.concatenate([picture(first_number + index, width, height), grey])
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index + max(-sound_after_frames, 0), 1 / rate
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        if audio is not None:
            delay = int(max(sound_after_frames, 0) * SAMPLE_RATE / rate)
            for block in _sound(frames, rate):
                block.pts = (block.pts or 0) + delay
                container.mux(audio.encode(block))
            container.mux(audio.encode(None))
    return path
