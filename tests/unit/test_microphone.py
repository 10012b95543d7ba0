"""The microphone on a clock of the test's: sound lies where it was heard, whatever the card and the scheduler do."""

from __future__ import annotations

import numpy as np
import pytest

from hw.capture.microphone import Microphone
from hw.capture.muxer import SOUND_LAG_NS
from hw.capture.sound_track import SoundTrack
from hw.capture.source import SAMPLE_BYTES, SECOND_NS, SoundBlock
from tests.support.capture import BOOT_NS, JumpingPacer
from tests.support.sound_card import Card, Listener, scheduling, told_apart_ms

RATE = 8_000
DEVICE = "hw:CARD=mic,DEV=0"
Span = tuple[int, int]


def at(second: float) -> int:
    return BOOT_NS + round(second * SECOND_NS)


def spans(*pairs: tuple[float, float]) -> list[Span]:
    """(begin, length) in seconds."""
    return [(at(begin), round(length * SECOND_NS)) for begin, length in pairs]


class Tape:
    """What a SoundTrack makes of the blocks, as the muxer does: how far apart it lies from when it was heard."""

    def __init__(self, pacer: JumpingPacer, rate: int) -> None:
        self._pacer = pacer
        self._rate = rate
        self._track = SoundTrack(rate)
        self.apart_ms = (0, 0)
        self.samples = self.silent = 0

    def take(self, block: SoundBlock) -> None:
        assert block.boot_ns + len(block.samples) // SAMPLE_BYTES * SECOND_NS // self._rate <= self._pacer.boot_ns()
        self._track.fill_to(self._position(self._pacer.boot_ns() - SOUND_LAG_NS))
        self._track.add(self._position(block.boot_ns), block.samples, block.heard)
        for position, data in self._track.blocks():
            samples = np.frombuffer(data, "<i2")
            times = BOOT_NS + (position + np.arange(len(samples))) * SECOND_NS // self._rate
            apart = told_apart_ms(samples, times)
            self.samples += len(samples)
            self.silent += len(samples) - len(apart)
            if len(apart):
                low, high = self.apart_ms
                self.apart_ms = (min(low, int(apart.min())), max(high, int(apart.max())))

    @property
    def silent_s(self) -> float:
        return self.silent / self._rate

    def _position(self, boot_ns: int) -> int:
        return (boot_ns - BOOT_NS) * self._rate // SECOND_NS


def listen(card: Card, seconds: float, said: list[str] | None = None) -> tuple[Tape, list[SoundBlock]]:
    """What the microphone posts until then, and the track of it."""
    tape, blocks = Tape(card.pacer, card.rate_hz), list[SoundBlock]()

    def take(block: SoundBlock) -> None:
        tape.take(block)
        blocks.append(block)

    listener = Listener(card.pacer, at(seconds), take)
    lines = [] if said is None else said
    microphone = Microphone(DEVICE, card.rate_hz, card.pacer, lines.append, card.open)
    microphone.start(listener.post)
    assert listener.done.wait(60)
    microphone.stop()
    return tape, blocks


@pytest.mark.parametrize("ppm", [50, -200])
def test_an_hour_lies_where_it_was_heard(ppm: int) -> None:
    """A clock that is wrong, a reader that wakes late, a stall that the buffer holds and one of 3 s that it does not,
    an overrun of 0.5 s, and half a second that the card lost without a word."""
    stalls = spans((600, 0.9), (1200, 3), (1800, 1.5))
    card = Card(
        JumpingPacer(), 2_000, ppm, late_ns=scheduling(ppm), stalls=stalls, unsaid=spans((2400, 0.5)), period_ms=100
    )
    tape, _ = listen(card, 3600)
    assert -20 <= tape.apart_ms[0] <= tape.apart_ms[1] <= 20
    assert tape.samples >= 3599 * card.rate_hz
    assert tape.silent_s == pytest.approx(3 + 1.5 + 0.5, abs=1)
