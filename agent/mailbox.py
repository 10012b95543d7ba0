"""The bounded queues that join the loops.

Guarantees: `post` never blocks and never raises; control items find the slots reserved for them when ordinary ones have
filled the rest. A refused item is the poster's to report (an `alert`): nothing is dropped in silence.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Mailbox(Generic[Item]):
    """Many posters, one taker. `capacity` items, of which `reserved` only for control items."""

    def __init__(self, capacity: int, reserved: int) -> None:
        assert 0 < reserved < capacity
        self._capacity = capacity
        self._open_to_all = capacity - reserved
        self._items: deque[Item] = deque()
        self._lock = threading.Lock()
        self._filled = threading.Event()

    def post(self, item: Item, *, control: bool = False) -> bool:
        """True if the item is in the queue; False if there is no slot for it."""
        with self._lock:
            if len(self._items) >= (self._capacity if control else self._open_to_all):
                return False
            self._items.append(item)
        self._filled.set()
        return True

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
