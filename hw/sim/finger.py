"""Whatever presses the simulated button: a contact that bounces, as a real one does.

Guarantees: edges carry the time at which they happen, whenever they are asked for; one press at a time. Pure.
"""

from __future__ import annotations

from agent.errors import FormatError
from agent.model import NS_PER_MS, ButtonEdge

TAP_NS = 200 * NS_PER_MS
HOLD_NS = 2_500 * NS_PER_MS
BOUNCES_NS = (2 * NS_PER_MS, 5 * NS_PER_MS)  # open again, then closed for good


class Finger:
    """Up at first."""

    def __init__(self) -> None:
        self._down = False
        self._release_at_ns: int | None = None

    @property
    def release_at_ns(self) -> int | None:
        """When a tap or hold ends: `step` then."""
        return self._release_at_ns

    def press(self, now_ns: int, release_after_ns: int | None = None) -> list[ButtonEdge]:
        """Down, until `release` or for that long. Raises FormatError when it is down already."""
        if self._down:
            raise FormatError("press", "the button is down already", "release it, or wait until a tap or hold is over")
        self._down = True
        self._release_at_ns = None if release_after_ns is None else now_ns + release_after_ns
        return _edges(True, now_ns)

    def release(self, now_ns: int) -> list[ButtonEdge]:
        """Up. Raises FormatError when nothing presses."""
        if not self._down:
            raise FormatError("release", "the button is not down", "press it first")
        self._down = False
        self._release_at_ns = None
        return _edges(False, now_ns)

    def step(self, now_ns: int) -> list[ButtonEdge]:
        """The end of a tap or hold that is due, at its own time."""
        if self._release_at_ns is None or now_ns < self._release_at_ns:
            return []
        return self.release(self._release_at_ns)


def _edges(down: bool, at_ns: int) -> list[ButtonEdge]:
    open_ns, closed_ns = BOUNCES_NS
    return [ButtonEdge(down, at_ns), ButtonEdge(not down, at_ns + open_ns), ButtonEdge(down, at_ns + closed_ns)]
