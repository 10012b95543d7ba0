"""The sound of one capture, without holes and on the boot clock.

Guarantees: sample n lies at n / rate after the first picture, to within DRIFT_NS, whatever the microphone's own clock
does. What is off by more is corrected at once: silence is put in where samples are missing, samples that come twice are
left out. What is off by more than SLACK_NS is brought back unheard, by single samples that are doubled or dropped where
the sound moves least, at most one in STEP_NS: a microphone's clock may be wrong by 2,000 ppm. While sound is switched
off, nothing that was heard is in any block of the encoder. It remembers which samples were heard for as long as a
fragment may still hold them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from agent.formats.pipe import MAX_FRAGMENT_NS
from hw.capture.source import SAMPLE_BYTES, SECOND_NS

BLOCK_SAMPLES = 1024
"""What an AAC encoder takes at once; a packet of it also holds half of the block that follows."""
DRIFT_NS = 10_000_000
SLACK_NS = 1_000_000
STEP_NS = 10_000_000


class SoundTrack:
    """Samples counted from the first picture. Not for two threads at once."""

    def __init__(self, rate: int) -> None:
        self._on = True
        self._on_from = 0
        self._drift, self._slack, self._step = (rate * ns // SECOND_NS for ns in (DRIFT_NS, SLACK_NS, STEP_NS))
        self._since_step = 0
        self._keep = rate * (MAX_FRAGMENT_NS + SECOND_NS) // SECOND_NS
        self._held = bytearray()
        self._taken = 0
        self._missing = 0
        self._heard: deque[tuple[int, int]] = deque()

    @property
    def _end(self) -> int:
        return self._taken + len(self._held) // SAMPLE_BYTES

    def switch(self, on: bool, position: int) -> None:
        """At a keyframe at `position`: off at once, also for what was heard after it and came before it; on after two
        of the encoder's blocks, because one that begins before the keyframe, and so belongs to the silent fragment,
        reaches as far."""
        if on and not self._on:
            self._on_from = position + 2 * BLOCK_SAMPLES
        if self._on and not on:
            self._silence_from(position)
        self._on = on

    def fill_to(self, position: int) -> None:
        """Silence up to `position`, if there is nothing yet: sound that should be there is missing."""
        missing = position - self._end
        if missing > 0:
            self._missing += missing * (self._on and bool(self._end))  # what comes first may come late
            self._put_silence(missing)

    def take_missing(self) -> int:
        """For how many samples silence stands, since the last call, though sound was on."""
        missing, self._missing = self._missing, 0
        return missing

    def _put_silence(self, count: int) -> None:
        self._held += bytes(max(count, 0) * SAMPLE_BYTES)

    def add(self, position: int, samples: bytes, heard: bool) -> None:
        """Samples whose first is at `position` by the boot clock."""
        ahead = position - self._end
        tolerance = self._drift if self._end else 0
        if ahead > tolerance:
            self.fill_to(position)
        elif ahead < -tolerance:
            samples = samples[-ahead * SAMPLE_BYTES :]
        else:
            samples = self._drawn_nearer(samples, ahead)
        end = self._end + len(samples) // SAMPLE_BYTES
        first = max(self._end, self._on_from) if self._on else end
        self._put_silence(min(first, end) - self._end)
        if first < end:
            self._held += samples[(first - end) * SAMPLE_BYTES :]
            if heard:
                self._remember(first, end)

    def _drawn_nearer(self, samples: bytes, ahead: int) -> bytes:
        """The samples with as many more, or fewer, as they may have now to end where they should."""
        self._since_step = min(self._since_step, self._step) + len(samples) // SAMPLE_BYTES
        steps = min(abs(ahead) - self._slack, self._since_step // self._step)
        if steps <= 0:
            return samples
        self._since_step = 0
        found = np.frombuffer(samples, "<i2")
        places = _calmest(found, steps)
        return (np.insert(found, places, found[places]) if ahead > 0 else np.delete(found, places)).tobytes()

    def blocks(self, until: int) -> Iterator[tuple[int, bytes]]:
        """(position, samples) of each whole block for the encoder that ends at or before the position `until`: where a
        keyframe may still switch the sound off, nothing is given away."""
        size = BLOCK_SAMPLES * SAMPLE_BYTES
        while len(self._held) >= size and self._taken + BLOCK_SAMPLES <= until:
            samples = bytes(self._held[:size])
            del self._held[:size]
            position, self._taken = self._taken, self._taken + BLOCK_SAMPLES
            yield position, samples

    def heard(self, start: int, end: int) -> bool:
        """Whether blocks of the encoder from start to end hold anything heard; each also holds half of the next one."""
        return any(first < end + BLOCK_SAMPLES and start < last for first, last in self._heard)

    def _silence_from(self, position: int) -> None:
        begin = max(position - self._taken, 0) * SAMPLE_BYTES
        self._held[begin:] = bytes(max(len(self._held) - begin, 0))
        self._heard = deque((first, min(last, position)) for first, last in self._heard if first < position)

    def _remember(self, first: int, last: int) -> None:
        if self._heard and self._heard[-1][1] == first:
            first = self._heard.pop()[0]
        self._heard.append((first, last))
        while self._heard[0][1] < last - self._keep:
            self._heard.popleft()


def _calmest(samples: NDArray[np.int16], count: int) -> list[int]:
    """Where the sound moves least, once in each of `count` equal parts: the index of a sample that is next to equal to
    the one after it. Fewer where a part has fewer than two samples."""
    moves = np.abs(np.diff(samples.astype(np.int32)))
    parts = np.array_split(np.arange(len(moves)), count)
    return [int(part[np.argmin(moves[part])]) for part in parts if len(part)]
