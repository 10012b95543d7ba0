"""When samples were heard, told from when they arrived.

Samples can only arrive late. So the truth is the lower envelope of their lateness: of all arrivals in the last
WINDOW_NS, the least late one tells when the first sample of the card's count was heard, and by their number the time of
all others. A card whose clock is wrong by 200 ppm moves within that window by 2 ms: no rate need be estimated.

Guarantees: a block's time is that of its first sample, no later than its arrival, off by no more than the least
lateness in the window and 0.2 ms for each second of it; it rises strictly. A block whose arrival is not in line (more
than LATE_NS behind the envelope) is held until the next one that is: then it was only late. When none is for SETTLE_NS
of reading without a stall, samples were lost unsaid: the envelope begins anew, the hole is where it was found, and what
may lie on either side of it is left out. The same at the start, and after a loss that was told. Nothing is held for
more than MAX_HELD_NS of sound.

Assumes that a device delivers what it buffered as fast as it is read, so that a reader who was late is in line again
at the end of it. Silent losses below LATE_NS shift the sound by as much, for no longer than WINDOW_NS.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from hw.capture.source import SAMPLE_BYTES, SECOND_NS, SoundBlock

WINDOW_NS = 10 * SECOND_NS
LATE_NS = 30_000_000
SETTLE_NS = 150_000_000
MAX_HELD_NS = 3 * SECOND_NS  # more than a buffer holds


class SoundClock:
    """Samples with their arrivals in, blocks on the boot clock out. Not for two threads at once."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._count = 0
        self._envelope = _Envelope()
        self._doubt: _Envelope | None = None
        self._doubt_since_ns = 0
        self._arrived_ns = 0
        self._held: list[_Held] = []
        self._last_ns = -1

    def take(self, samples: bytes, arrival_ns: int) -> list[SoundBlock]:
        """Samples that follow those before, whose last one was there at arrival_ns; the blocks whose time is known."""
        if not samples:
            return []
        first, self._count = self._count, self._count + len(samples) // SAMPLE_BYTES
        origin_ns = arrival_ns - self._span_ns(self._count)
        span_ns, since_ns = self._span_ns(self._count - first), arrival_ns - self._arrived_ns
        self._arrived_ns = arrival_ns
        stalled = since_ns > span_ns + LATE_NS
        waited_for = first == 0 or (not stalled and since_ns >= span_ns // 2)
        self._held.append(_Held(first, samples, origin_ns, waited_for))
        known_ns = self._envelope.lowest_ns(arrival_ns)
        if known_ns is not None and origin_ns <= known_ns + LATE_NS:
            self._envelope.add(arrival_ns, origin_ns)
            self._doubt = None
            return self._release()
        doubt = self._doubt
        if doubt is None or stalled:
            for held in self._held[:-1]:
                held.before_stall = True
            doubt, self._doubt_since_ns = _Envelope(), arrival_ns
        doubt.add(arrival_ns, origin_ns)
        self._doubt = doubt
        held_ns = self._span_ns(self._count - self._held[0].count)
        if arrival_ns - self._doubt_since_ns < SETTLE_NS and held_ns < MAX_HELD_NS:
            return []
        self._settle(doubt)
        return self._release()

    def lost(self) -> None:
        """The device says that samples were lost after those that were taken. Whether what is still held was late, or
        came after a loss that was not told, nobody will know."""
        self._held.clear()
        self._count, self._envelope, self._doubt = 0, _Envelope(), None

    def _settle(self, doubt: _Envelope) -> None:
        """The envelope begins anew. What came late, lay ready or came before a stall may have been heard before a loss
        or after it: nobody knows. The first block that was waited for and is in line was heard after it."""
        self._envelope, self._doubt = doubt, None
        origin_ns = doubt.lowest_ns(self._arrived_ns)
        assert origin_ns is not None, "the last arrival is in it"
        while self._held and not self._held[0].came_after_the_loss(origin_ns):
            self._held.pop(0)

    def _release(self) -> list[SoundBlock]:
        released, self._held = self._held, []
        origin_ns = self._envelope.lowest_ns(self._arrived_ns)
        blocks: list[SoundBlock] = []
        for held in released:
            assert origin_ns is not None, "what is held has arrived, and has left its lateness"
            self._last_ns = max(origin_ns + self._span_ns(held.count), self._last_ns + 1)
            blocks.append(SoundBlock(self._last_ns, held.samples, heard=True))
        return blocks

    def _span_ns(self, count: int) -> int:
        return count * SECOND_NS // self._rate_hz


@dataclass(slots=True)
class _Held:
    """Samples whose time is not known yet; `count` came before them. The card's first sample was heard at origin_ns if
    they were not late. `waited_for`: they neither lay ready nor came after a stall."""

    count: int
    samples: bytes
    origin_ns: int
    waited_for: bool
    before_stall: bool = False

    def came_after_the_loss(self, origin_ns: int) -> bool:
        """The card began at origin_ns, by what arrived since."""
        return not self.before_stall and self.waited_for and self.origin_ns <= origin_ns + LATE_NS


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
