"""The one small interface between whatever films and the muxer.

A source posts packets from any thread of its own; `post` copies nothing, waits for nothing and never raises, as
picamera2's encoders demand of their outputs. Guarantees that every source gives (tests/conformance/test_source.py):

- pictures are whole H.264 access units in Annex B form, in the order in which they are shown (no B-frames); a keyframe
  carries its SPS and PPS, and comes first and at least once a second;
- `boot_ns` is CLOCK_BOOTTIME of the first exposure of a picture, of the first sample of a block; it rises strictly
  within each kind, and is never later than the post;
- sound is 16-bit little-endian, one channel, at the board's rate; where the microphone is lost, blocks may be missing;
- a look at a picture comes about once a second, with the sensor's exposure and gain where it tells them;
- after `Ended` or the return of `stop` nothing is posted any more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from agent.errors import CaptureError

SAMPLE_BYTES = 2
SECOND_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Picture:
    """One encoded picture."""

    boot_ns: int
    data: bytes
    keyframe: bool


@dataclass(frozen=True, slots=True)
class SoundBlock:
    """Samples that follow one another. `heard` is False for silence that stands in for a missing microphone."""

    boot_ns: int
    samples: bytes
    heard: bool


@dataclass(frozen=True, slots=True)
class Look:
    """How the picture of `boot_ns` looks (hw/capture/look.py says how it is measured).

    `luma` is the mean of its luma, 0 to 255; `contrast` the standard deviation, 0 to 127; `sharpness` a hundred times
    the mean squared difference of neighbours, 0 to 6,502,500. `exposure_us` and `gain_milli` (1,000 is no
    amplification) are the sensor's, None where it does not tell.
    """

    boot_ns: int
    luma: int
    contrast: int
    sharpness: int
    exposure_us: int | None
    gain_milli: int | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The source cannot go on."""

    error: CaptureError


Packet = Picture | SoundBlock | Look | Ended
Post = Callable[[Packet], None]


class Pacer(Protocol):
    """The boot clock, and waiting for it."""

    def boot_ns(self) -> int:
        """CLOCK_BOOTTIME."""
        ...

    def wait_until(self, boot_ns: int, stop: threading.Event) -> None:
        """Return when the clock reaches boot_ns, or when `stop` is set."""
        ...


class Source(Protocol):
    """A camera with its microphone, or something that plays one."""

    def start(self, post: Post) -> None:
        """Begin to film; returns at once. Called once."""
        ...

    def film_at(self, percent: int) -> None:
        """From one of the next pictures on, film with this share of the board's bit rate. Raises CaptureError."""
        ...

    def stop(self) -> None:
        """End filming; may be called before `start` and more than once."""
        ...
