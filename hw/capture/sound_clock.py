"""When samples were heard, told from when they arrived.

Samples can only arrive late. So the truth is the lower envelope of their lateness: of all arrivals in the last
WINDOW_NS, the least late one tells when the first sample of the card's count was heard, and by their number the time of
all others. A card whose clock is wrong by 200 ppm moves within that window by 2 ms: no rate need be estimated.

Guarantees: a block's time is that of its first sample, no later than its arrival, off by no more than the least
lateness in the window and 0.2 ms for each second of it; it rises strictly. A block whose arrival is not in line (more
than LATE_NS behind the envelope) is held until the next one that is: then it was only late. When none is for SETTLE_NS,
samples were lost unsaid: the envelope begins anew, and the hole is where it was found. The same at the start, and after
a loss that was told.

Assumes that a device delivers what it buffered as fast as it is read, so that a reader who was late is in line again
at the end of it. Silent losses below LATE_NS shift the sound by as much, for no longer than WINDOW_NS.
"""

from __future__ import annotations

from collections import deque

from hw.capture.source import SAMPLE_BYTES, SECOND_NS, SoundBlock

WINDOW_NS = 10 * SECOND_NS
LATE_NS = 30_000_000
SETTLE_NS = 150_000_000


class SoundClock:
    """Samples with their arrivals in, blocks on the boot clock out. Not for two threads at once."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._count = 0
        self._envelope = _Envelope()
        self._doubt: _Envelope | None = None
        self._doubt_since_ns = 0
        self._held: list[tuple[int, bytes]] = []
        self._last_ns = -1

    def take(self, samples: bytes, arrival_ns: int) -> list[SoundBlock]:
        """Samples that follow those before, whose last one was there at arrival_ns; the blocks whose time is known."""
        if not samples:
            return []
        self._held.append((self._count, samples))
        self._count += len(samples) // SAMPLE_BYTES
        origin_ns = arrival_ns - self._span_ns(self._count)
        known_ns = self._envelope.lowest_ns(arrival_ns)
        if known_ns is not None and origin_ns <= known_ns + LATE_NS:
            self._envelope.add(arrival_ns, origin_ns)
            self._doubt = None
            return self._release(arrival_ns)
        if self._doubt is None:
            self._doubt, self._doubt_since_ns = _Envelope(), arrival_ns
        self._doubt.add(arrival_ns, origin_ns)
        if arrival_ns - self._doubt_since_ns < SETTLE_NS:
            return []
        self._envelope, self._doubt = self._doubt, None
        return self._release(arrival_ns)

    def lost(self, now_ns: int) -> list[SoundBlock]:
        """The device says that samples were lost after those that were taken."""
        if self._doubt is not None and self._envelope.lowest_ns(now_ns) is None:
            self._envelope = self._doubt
        released = self._release(now_ns)
        self._count, self._envelope, self._doubt = 0, _Envelope(), None
        return released

    def _release(self, now_ns: int) -> list[SoundBlock]:
        held, self._held = self._held, []
        origin_ns = self._envelope.lowest_ns(now_ns)
        blocks: list[SoundBlock] = []
        for count, samples in held:
            assert origin_ns is not None, "what is held has arrived, and has left its lateness"
            self._last_ns = max(origin_ns + self._span_ns(count), self._last_ns + 1)
            blocks.append(SoundBlock(self._last_ns, samples, heard=True))
        return blocks

    def _span_ns(self, count: int) -> int:
        return count * SECOND_NS // self._rate_hz


class _Envelope:
    """The lowest of the values of the last WINDOW_NS: those that no later one undercuts, oldest and lowest first."""

    def __init__(self) -> None:
        self._lowest: deque[tuple[int, int]] = deque()

    def add(self, now_ns: int, value_ns: int) -> None:
        while self._lowest and self._lowest[-1][1] >= value_ns:
            self._lowest.pop()
        self._lowest.append((now_ns, value_ns))

    def lowest_ns(self, now_ns: int) -> int | None:
        while self._lowest and self._lowest[0][0] < now_ns - WINDOW_NS:
            self._lowest.popleft()
        return self._lowest[0][1] if self._lowest else None
