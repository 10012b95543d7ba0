"""A sound card and the process that reads it, on a clock of the test's: its rate, its buffer, what delays its reader.

Each sample tells when it was heard: `tell_time` writes the boot clock's millisecond into it, `beep` a tone at the
beginning of each whole second.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from agent.errors import CaptureError
from hw.capture.alsa import OverrunError
from hw.capture.source import SECOND_NS, Packet, SoundBlock
from tests.support.capture import BOOT_NS, JumpingPacer

MS_NS = 1_000_000
CYCLE_MS = 30_000
"""`tell_time` begins anew after so long."""

_NEVER = threading.Event()

Times = NDArray[np.int64]
Sound = Callable[[Times], NDArray[np.int16]]


def tell_time(boot_ns: Times) -> NDArray[np.int16]:
    """1 to CYCLE_MS, and never 0: that is silence."""
    return (boot_ns // MS_NS % CYCLE_MS + 1).astype(np.int16)


def told_apart_ms(samples: NDArray[np.int16], boot_ns: Times) -> NDArray[np.int64]:
    """How much later than it was heard each sample lies, if it lies at boot_ns; silence left out."""
    heard = samples > 0
    apart = boot_ns[heard] // MS_NS % CYCLE_MS + 1 - samples[heard]
    return (apart + CYCLE_MS // 2) % CYCLE_MS - CYCLE_MS // 2


def beep(boot_ns: Times) -> NDArray[np.int16]:
    """1 kHz for the first 100 ms of each second since BOOT_NS."""
    since_ns = (boot_ns - BOOT_NS) % SECOND_NS
    wave = 16_000 * np.sin(2 * np.pi * 1000 * since_ns / SECOND_NS)
    return np.where(since_ns < 100 * MS_NS, wave, 0).astype(np.int16)


@dataclass
class Card:
    """A card that may be opened again and again. All times are of `pacer`'s clock, in (begin, length) pairs that do not
    overlap: `stalls` keep the reader from reading, `unsaid` are samples that the card lost and does not tell of,
    `absent` is when it is unplugged."""

    pacer: JumpingPacer
    rate_hz: int
    ppm: int = 0
    period_ms: int = 20
    buffer_ms: int = 1000
    sound: Sound = tell_time
    late_ns: Callable[[], int] = lambda: 100_000
    stalls: Sequence[tuple[int, int]] = ()
    unsaid: Sequence[tuple[int, int]] = ()
    absent: Sequence[tuple[int, int]] = ()
    opened_ns: list[int] = field(default_factory=list)

    def open(self, device: str, rate_hz: int) -> RunningCard:
        """As Microphone asks for it."""
        assert rate_hz == self.rate_hz
        now_ns = self.pacer.boot_ns()
        self.opened_ns.append(now_ns)
        if _within(self.absent, now_ns) is not None:
            raise CaptureError(device, "cannot be opened (No such device)", "connect the microphone")
        return RunningCard(self, device)


class RunningCard:
    """One opening of a card."""

    def __init__(self, card: Card, device: str) -> None:
        self._card = card
        self._device = device
        self._period = card.rate_hz * card.period_ms // 1000
        self._sample_ns = SECOND_NS / card.rate_hz * (1 - card.ppm / 1_000_000)
        self._lost = sorted(card.unsaid)
        self._begin()

    def read(self, timeout_ms: int) -> bytes:
        card, pacer = self._card, self._card.pacer
        if (until_ns := _within(card.stalls, pacer.boot_ns())) is not None:
            self._sleep_until(until_ns)
        due_ns = self._heard_ns(self._read + self._period)
        if due_ns > pacer.boot_ns() + timeout_ms * MS_NS:
            self._sleep_until(pacer.boot_ns() + timeout_ms * MS_NS)
            return b""
        if due_ns > pacer.boot_ns():
            self._sleep_until(due_ns + card.late_ns())
        if _within(card.absent, pacer.boot_ns()) is not None:
            raise CaptureError(self._device, "cannot be read (No such device)", "connect the microphone")
        if pacer.boot_ns() - self._heard_ns(self._read) > card.buffer_ms * MS_NS:
            self._begin()
            raise OverrunError(self._device, "sound was lost")
        return self._take()

    def close(self) -> None:
        pass

    def _begin(self) -> None:
        self._began_ns, self._read = self._card.pacer.boot_ns(), 0
        while self._lost and self._lost[0][0] < self._began_ns:
            self._lost.pop(0)

    def _heard_ns(self, number: int) -> int:
        return self._began_ns + round(number * self._sample_ns)

    def _take(self) -> bytes:
        if self._lost and self._lost[0][0] <= self._heard_ns(self._read):
            self._began_ns += self._lost.pop(0)[1]
            self._sleep_until(self._heard_ns(self._read + self._period))
        times = self._began_ns + ((self._read + np.arange(self._period)) * self._sample_ns).astype(np.int64)
        self._read += self._period
        return self._card.sound(times).astype("<i2").tobytes()

    def _sleep_until(self, boot_ns: int) -> None:
        self._card.pacer.wait_until(boot_ns, _NEVER)


class Listener:
    """A `post` that hands on blocks up to a time of the clock, and then says so; `wait` raises what `take` did."""

    def __init__(self, pacer: JumpingPacer, until_ns: int, take: Callable[[SoundBlock], None]) -> None:
        self._pacer = pacer
        self._until_ns = until_ns
        self._take = take
        self.done = threading.Event()
        self.failed: AssertionError | None = None

    def post(self, packet: Packet) -> None:
        if self.done.is_set():
            return
        assert isinstance(packet, SoundBlock)
        try:
            self._take(packet)
        except AssertionError as error:
            self.failed = error
            self.done.set()
        if self._pacer.boot_ns() >= self._until_ns:
            self.done.set()

    def wait(self) -> None:
        """Until that time, or the first block that `take` refused."""
        assert self.done.wait(60), "the microphone is stuck"
        if self.failed is not None:
            raise self.failed


def scheduling(seed: int, often_ns: int = 2 * MS_NS, seldom_ns: int = 120 * MS_NS) -> Callable[[], int]:
    """How late a reader wakes: up to often_ns, once in a hundred times up to seldom_ns, never under 50 us."""
    chance = random.Random(seed)
    return lambda: 50_000 + chance.randrange(seldom_ns if chance.random() < 0.01 else often_ns)


def _within(spans: Sequence[tuple[int, int]], now_ns: int) -> int | None:
    """The end of the span that holds now_ns."""
    return next((begin + length for begin, length in spans if begin <= now_ns < begin + length), None)
