"""Capture without waiting: a boot clock that is always just where it is wanted, and a source run to its end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from agent.config import Sound, Video
from hw.capture.footage import Footage
from hw.capture.muxer import Fragment, Init, Muxer
from hw.capture.source import SECOND_NS, Ended, Packet, Picture, SoundBlock, Source

BOOT_NS = 7_200_000_000_000
VIDEO = Video(width=320, height=180, frames_per_second=25, bit_rate_bps=1_000_000, max_bit_rate_bps=2_000_000)
SOUND = Sound(sample_rate_hz=48_000)


class JumpingPacer:
    """Waiting takes no time: the clock jumps to where it is waited for. `late` adds to it at chosen waits."""

    def __init__(self, late_ns: dict[int, int] | None = None) -> None:
        self._now_ns = BOOT_NS
        self._late_ns = late_ns or {}
        self._waits = 0

    def boot_ns(self) -> int:
        return self._now_ns

    def wait_until(self, boot_ns: int, stop: threading.Event) -> None:
        self._now_ns = max(self._now_ns, boot_ns) + self._late_ns.get(self._waits, 0)
        self._waits += 1


class Collected:
    """A `post` that keeps the packets until there are `pictures` of them, and then lets no more in."""

    def __init__(self, pictures: int) -> None:
        self.packets: list[Packet] = []
        self.done = threading.Event()
        self._left = pictures

    def post(self, packet: Packet) -> None:
        if self.done.is_set():
            return
        self.packets.append(packet)
        self._left -= isinstance(packet, Picture)
        if self._left <= 0 or isinstance(packet, Ended):
            self.done.set()


def film(source: Source, pictures: int) -> list[Packet]:
    """The source's packets up to that many pictures, or to its end."""
    collected = Collected(pictures)
    source.start(collected.post)
    assert collected.done.wait(60), "the source gave too little"
    source.stop()
    return collected.packets


def mux(
    packets: list[Packet], muxer: Muxer, before: Callable[[Muxer, int], None] | None = None
) -> list[Init | Fragment]:
    """All parts of the packets; `before(muxer, number)` is called before each picture."""
    parts: list[Init | Fragment] = []
    number = 0
    for packet in packets:
        if isinstance(packet, Picture):
            if before is not None:
                before(muxer, number)
            parts.extend(muxer.picture(packet))
            number += 1
        elif isinstance(packet, SoundBlock):
            parts.extend(muxer.sound(packet))
    return parts + muxer.finish()


def footage_parts(path: Path, seconds: int, video: Video = VIDEO, sound: Sound = SOUND) -> tuple[Init, list[Fragment]]:
    """What the capture process would send of a file in that many seconds: whole GOPs only."""
    packets = film(Footage(path, video, sound, JumpingPacer()), seconds * video.frames_per_second)
    init, *fragments = mux(packets, Muxer(video, sound))
    assert isinstance(init, Init)
    return init, [part for part in fragments if isinstance(part, Fragment)]


def seconds_of(packets: list[Packet]) -> float:
    """From the first picture to the last."""
    times = [packet.boot_ns for packet in packets if isinstance(packet, Picture)]
    return (times[-1] - times[0]) / SECOND_NS
