"""The bounded queues that join the loops.

Guarantees: `post` never blocks and never raises; who posts leaves slots to what matters more. What found no slot is
counted in `refused`, for the taker's owner to report (an `alert`): nothing is dropped in silence.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Many posters, one taker, `capacity` items."""

    def __init__(self, capacity: int) -> None:
        assert capacity > 0
        self._capacity = capacity
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._refused = 0

    def post(self, item: Item, *, leaving: int = 0) -> bool:
        """True if the item is in the queue; False if it would leave fewer than `leaving` slots."""
        with self._lock:
            if self._capacity - len(self._items) <= leaving:
                self._refused += 1
                return False
            self._items.append(item)
        self._filled.set()
        return True

    def has_room(self, leaving: int = 0) -> bool:
        """Whether such a `post` would find a slot. Certain only for the one poster of a queue that has one."""
        with self._lock:
            return self._capacity - len(self._items) > leaving

    @property
    def refused(self) -> int:
        """How many items found no slot so far."""
        with self._lock:
            return self._refused

    def take(self) -> list[Item]:
        """All items, oldest first."""
        with self._lock:
            items = list(self._items)
            self._items.clear()
            self._filled.clear()
        return items

    def nudge(self) -> None:
        """Wake the taker without an item."""
        self._filled.set()

    def wait(self, timeout_s: float) -> None:
        """Until something was posted or the taker was nudged, at most `timeout_s`. For the loop's own thread only."""
        self._filled.wait(timeout_s)
