"""Between a source's threads and the loop that muxes and sends: a bounded queue whose `post` never waits.

Guarantees: what is taken is whole GOPs up to the first picture that did not fit; the rest of that GOP is left out, so
that no picture is shown without those it is made from. The hole shows in the fragments' times.
"""

from __future__ import annotations

import threading
from collections import deque

from hw.capture.source import Ended, Packet, Picture


class Inbox:
    """Holds at most `limit` packets."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._packets: deque[Packet] = deque()
        self._ready = threading.Condition()
        self._dropping = False
        self._dropped = 0

    @property
    def dropped_pictures(self) -> int:
        """How many pictures did not fit since the start."""
        with self._ready:
            return self._dropped

    def post(self, packet: Packet) -> None:
        """Take a packet from any thread."""
        with self._ready:
            if isinstance(packet, Ended) or self._fits(packet):
                self._packets.append(packet)
                self._ready.notify()

    def take(self, timeout_s: float) -> Packet | None:
        """The next packet, None if there is none within timeout_s."""
        with self._ready:
            if not self._packets:
                self._ready.wait(timeout_s)
            return self._packets.popleft() if self._packets else None

    def _fits(self, packet: Packet) -> bool:
        room = len(self._packets) < self._limit
        if not isinstance(packet, Picture):
            return room
        self._dropping = not room or (self._dropping and not packet.keyframe)
        self._dropped += self._dropping
        return not self._dropping
