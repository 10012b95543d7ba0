"""A card that is busy: operations on it wait, as they do while a real one cleans up inside."""

from __future__ import annotations

import time

from agent.model import NS_PER_MS, NS_PER_S


class CardStall:
    """Observes the operations of a SimDisk; any thread may ask for a stall."""

    def __init__(self) -> None:
        self._until_ns = 0

    def begin(self, milliseconds: int) -> None:
        """Every operation that begins within that time takes until its end."""
        self._until_ns = time.monotonic_ns() + milliseconds * NS_PER_MS

    def __call__(self, operation: str, path: str) -> None:
        remaining_ns = self._until_ns - time.monotonic_ns()
        if remaining_ns > 0:
            time.sleep(remaining_ns / NS_PER_S)
