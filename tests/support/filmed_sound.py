"""A microphone filmed as the capture process does it, in real time: Microphone, inbox, muxer, AAC; where beeps lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from agent.config import Sound
from hw.capture.footage import Footage
from hw.capture.inbox import Inbox
from hw.capture.level import Level, Meter
from hw.capture.main import BootClock
from hw.capture.microphone import Microphone
from hw.capture.muxer import Fragment, Init, Muxer
from hw.capture.source import SECOND_NS, Picture, SoundBlock
from tests.support.capture import VIDEO, JumpingPacer, film
from tests.support.footage import make_footage, read_beeps

FRAME_NS = SECOND_NS // VIDEO.frames_per_second


@dataclass(frozen=True)
class Filmed:
    """`path` is an MP4 whose times count from origin_ns on the boot clock; `fragments_heard` of each its flag."""

    path: Path
    origin_ns: int
    fragments_heard: list[bool]
    level: Level
    said: list[str]

    def beeps_ns(self) -> list[int]:
        """When each beep begins, on the boot clock."""
        return [self.origin_ns + round(beep * SECOND_NS) for beep in read_beeps(self.path)]


def film_microphone(device: str, seconds: int, folder: Path, rate_hz: int = 48_000) -> Filmed:
    """What that device hears in that many seconds from now, beside small pictures that are posted when they are due."""
    footage = make_footage(folder / "pictures.mp4", frames=VIDEO.frames_per_second)
    packets = film(Footage(footage, VIDEO, Sound(rate_hz), JumpingPacer()), VIDEO.frames_per_second)
    gop = [packet for packet in packets if isinstance(packet, Picture)]
    clock, inbox, muxer, meter = BootClock(), Inbox(1_000), Muxer(VIDEO, Sound(rate_hz)), Meter()
    said, heard, path = list[str](), list[bool](), folder / "filmed.mp4"
    last = seconds * VIDEO.frames_per_second - 1
    microphone = Microphone(device, rate_hz, clock, said.append)
    microphone.start(inbox.post)
    origin_ns = clock.boot_ns()
    try:
        with path.open("wb") as file:
            for number in range(last + 1):
                due_ns = origin_ns + number * FRAME_NS
                parts = list[Init | Fragment]()
                while (left_ns := due_ns - clock.boot_ns()) > 0:
                    packet = inbox.take(left_ns / SECOND_NS)
                    if isinstance(packet, SoundBlock):
                        meter.add(packet)
                        parts += muxer.sound(packet)
                parts += muxer.picture(replace(gop[number % len(gop)], boot_ns=due_ns))
                for part in parts if number < last else parts + muxer.finish():
                    file.write(part.data)
                    heard += [part.header.sound] if isinstance(part, Fragment) else []
    finally:
        microphone.stop()
    return Filmed(path, origin_ns, heard, meter.take(clock.boot_ns()), said)
