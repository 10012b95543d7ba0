"""A microphone through muxer and AAC, on a clock of the test's: beeps lie where the boot clock says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hw.capture.footage import Footage
from hw.capture.microphone import Microphone
from hw.capture.muxer import Fragment, Init, Muxer
from hw.capture.source import SECOND_NS, Picture, SoundBlock
from tests.support.capture import BOOT_NS, SOUND, VIDEO, JumpingPacer, film
from tests.support.footage import make_footage, read_beeps
from tests.support.sound_card import MS_NS, Card, Listener, beep, scheduling

SECONDS = 25
FRAME_NS = SECOND_NS // VIDEO.frames_per_second


@pytest.fixture(scope="module")
def gop(tmp_path_factory: pytest.TempPathFactory) -> list[Picture]:
    """One second of pictures."""
    path = make_footage(tmp_path_factory.mktemp("gop") / "film.mp4", frames=VIDEO.frames_per_second)
    packets = film(Footage(path, VIDEO, SOUND, JumpingPacer()), VIDEO.frames_per_second)
    return [packet for packet in packets if isinstance(packet, Picture)]


def muxed(card: Card, gop: list[Picture], seconds: int) -> list[Init | Fragment]:
    """What the capture process makes of that card, beside pictures that leave their encoder after 80 ms."""
    muxer, parts, number = Muxer(VIDEO, SOUND), list[Init | Fragment](), 0

    def take(block: SoundBlock) -> None:
        nonlocal number
        while (due_ns := BOOT_NS + number * FRAME_NS) <= card.pacer.boot_ns() - 80 * MS_NS:
            parts.extend(muxer.picture(replace(gop[number % len(gop)], boot_ns=due_ns)))
            number += 1
        parts.extend(muxer.sound(block))

    listener = Listener(card.pacer, BOOT_NS + seconds * SECOND_NS, take)
    microphone = Microphone("hw:CARD=mic,DEV=0", SOUND.sample_rate_hz, card.pacer, lambda line: None, card.open)
    microphone.start(listener.post)
    try:
        listener.wait()
    finally:
        microphone.stop()
    return parts + muxer.finish()


@pytest.mark.parametrize("ppm", [50, -200])
def test_beeps_lie_where_they_were_heard(ppm: int, gop: list[Picture], tmp_path: Path) -> None:
    """A stall of 3 s and an overrun of half a second lose their beeps; the others stay in their place."""
    stalls = [(BOOT_NS + 5_200 * MS_NS, 3_000 * MS_NS), (BOOT_NS + 12_300 * MS_NS, 1_500 * MS_NS)]
    late_ns = scheduling(1, seldom_ns=20 * MS_NS)
    card = Card(JumpingPacer(), SOUND.sample_rate_hz, ppm, sound=beep, stalls=stalls, late_ns=late_ns)
    parts = muxed(card, gop, SECONDS)
    (tmp_path / "all.mp4").write_bytes(b"".join(part.data for part in parts))
    beeps = read_beeps(tmp_path / "all.mp4")
    assert [round(each) for each in beeps] == [each for each in range(SECONDS) if each not in (6, 7, 8, 13)]
    assert max(abs(each - round(each)) for each in beeps) <= 0.020


def test_a_second_without_the_microphone_says_so(gop: list[Picture]) -> None:
    """It is away for six seconds, and found at the third try, a second after its return."""
    absent = [(BOOT_NS + 3_300 * MS_NS, 6_000 * MS_NS)]
    card = Card(JumpingPacer(), SOUND.sample_rate_hz, sound=beep, absent=absent)
    parts = muxed(card, gop, 15)
    heard = [part.header.sound for part in parts if isinstance(part, Fragment)]
    assert heard[:14] == [True] * 4 + [False] * 6 + [True] * 4
