"""How loud the microphone was: enough to find one that is dead, covered or overdriven, not to hear what was said.

Guarantees: nothing is kept of the sound but four sums, however long nobody asks; silence that stands in for a missing
microphone counts for nothing. Assumes 16-bit little-endian samples of one channel (hw/capture/source.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

import numpy as np

from hw.capture.source import SoundBlock

FULL_SCALE = 32_767
"""A sample that reaches it on either side is clipped: the converter may have had more to tell."""


@dataclass(frozen=True, slots=True)
class Level:
    """What was heard up to `boot_ns` since the level before.

    `peak`: the largest sample, whatever its sign, 0 to 32,768. `rms`: without the constant part that many I2S
    microphones add, 0 to 32,768. `clipped`: how many samples reached FULL_SCALE. `heard`: False when no sample came
    from the microphone; all else is 0 then. A microphone that is dead but answers is heard, with an `rms` of next to 0.
    """

    boot_ns: int
    peak: int
    rms: int
    clipped: int
    heard: bool


class Meter:
    """Sums up the blocks between two levels. Not for two threads at once."""

    def __init__(self) -> None:
        self._count = self._sum = self._squares = self._peak = self._clipped = 0

    def add(self, block: SoundBlock) -> None:
        """One block of the source's."""
        if not block.heard or not block.samples:
            return
        samples = np.frombuffer(block.samples, "<i2")  # a view
        lowest, highest = int(samples.min()), int(samples.max())
        self._count += len(samples)
        self._sum += int(samples.sum(dtype=np.int64))
        self._squares += int(np.square(samples, dtype=np.int64).sum())
        self._peak = max(self._peak, highest, -lowest)
        if max(highest, -lowest) >= FULL_SCALE:
            self._clipped += int(np.count_nonzero((samples == FULL_SCALE) | (samples <= -FULL_SCALE)))

    def take(self, boot_ns: int) -> Level:
        """The level of what came since the last call; begins anew."""
        count = self._count
        rms = isqrt(count * self._squares - self._sum**2) // count if count else 0
        found = Level(boot_ns, self._peak, rms, self._clipped, heard=count > 0)
        self._count = self._sum = self._squares = self._peak = self._clipped = 0
        return found


def level(block: SoundBlock) -> Level:
    """The level of one block alone, at its first sample's time."""
    meter = Meter()
    meter.add(block)
    return meter.take(block.boot_ns)
