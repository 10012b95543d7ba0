"""What adapters post, waited for: at most WAIT_S, never by sleeping."""

from __future__ import annotations

import queue
from typing import TypeVar

from agent.model import NetworkEvent

WAIT_S = 25  # more than the 20 s that a port allows itself; reached by a failing test only
_Event = TypeVar("_Event")


class Posts:
    """A `post` callback, and the events it was called with, in their order."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[NetworkEvent] = queue.SimpleQueue()
        self.passed: list[NetworkEvent] = []

    def __call__(self, event: NetworkEvent) -> None:
        self._queue.put(event)

    def next(self) -> NetworkEvent:
        """The next event, whatever it is."""
        event = self._queue.get(timeout=WAIT_S)
        self.passed.append(event)
        return event

    def wait_for(self, kind: type[_Event]) -> _Event:
        """The next event of this kind; what came before it is in `passed`."""
        while True:
            event = self.next()
            if isinstance(event, kind):
                return event

    def empty(self) -> bool:
        return self._queue.empty()
