"""The officer's one button: from bouncing edges to gestures.

Guarantees: a press is known at its leading edge; edges within the 50 ms after one are ignored, but the level is read
again at their end, so that no real edge is lost; the gestures depend on the edges and on `claim`, not on how often or
how late `step` is called. A level at start is not a press.
Assumes: edges in order, with the time at which they happened, from one poster; `step` and `claim` by one loop.
Source: docs/officer.md, "The button". Pure: the time is an argument.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.model import NS_PER_MS, NS_PER_S

DEAD_TIME_NS = 50 * NS_PER_MS
TAP_UNDER_NS = NS_PER_S
WINDOW_NS = 400 * NS_PER_MS
HOLD_NS = 2 * NS_PER_S
STUCK_NS = 30 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Press:
    """The leading edge of a press. `claim` it if it starts a recording."""

    at_ns: int


@dataclass(frozen=True, slots=True)
class Tap:
    """A press of under 1 s that no second one followed within 400 ms of its release."""

    press_ns: int


@dataclass(frozen=True, slots=True)
class DoubleTap:
    """Two taps, the second pressed within 400 ms of the first one's release. `press_ns` is the first one's."""

    press_ns: int


@dataclass(frozen=True, slots=True)
class Hold:
    """A press that has lasted 2 s, at `recognised_ns`; the button may still be down."""

    press_ns: int
    recognised_ns: int


@dataclass(frozen=True, slots=True)
class Stuck:
    """Down for 30 s without a break: reported once a press. `press_ns` is the agent's start if it was down then."""

    press_ns: int


Gesture = Press | Tap | DoubleTap | Hold | Stuck


class Button:
    """`pressed` is the level read at start, at `at_ns`."""

    def __init__(self, pressed: bool, at_ns: int) -> None:
        self._edges: deque[tuple[bool, int]] = deque()
        self._contact = pressed  # as the last edge left it
        self._pressed = pressed  # after debouncing
        self._dead_until_ns = at_ns
        self._press_ns = at_ns
        self._claimed = pressed  # a press that nobody saw begin gives nothing
        self._held = False
        self._stuck = False
        self._first_tap_ns: int | None = None  # a tap that waits for a second one
        self._window_ends_ns = at_ns
        self._gestures: list[Gesture] = []

    def edge(self, pressed: bool, at_ns: int) -> None:
        """The contact closed (True) or opened at `at_ns`, bounces included."""
        self._edges.append((pressed, at_ns))

    def step(self, now_ns: int) -> list[Gesture]:
        """The gestures up to `now_ns`, in order, at most to the next press: claim it or not, then call again.

        Call until it returns an empty list.
        """
        self._gestures = []
        while not (self._gestures and isinstance(self._gestures[-1], Press)):
            if not self._advance(now_ns):
                break
        return self._gestures

    def claim(self) -> None:
        """The press that `step` just returned starts a recording: it gives no tap and no hold, however long it is."""
        assert self._pressed, "claim a press before stepping on"
        self._claimed = True

    def _advance(self, now_ns: int) -> bool:
        """The next thing that happens: a timer that is due before the next edge (or now), or that edge."""
        horizon_ns = self._edges[0][1] if self._edges else now_ns
        timer = min(self._timers(), default=None, key=lambda timer: timer[0])
        if timer is not None and timer[0] <= horizon_ns:
            due_ns, fire = timer
            fire(due_ns)
            return True
        if not self._edges:
            return False
        self._contact, at_ns = self._edges.popleft()
        if self._contact != self._pressed and at_ns >= self._dead_until_ns:
            self._change(at_ns)
        return True

    def _timers(self) -> list[tuple[int, Callable[[int], None]]]:
        timers: list[tuple[int, Callable[[int], None]]] = []
        if self._contact != self._pressed:
            timers.append((self._dead_until_ns, self._change))
        if self._pressed and not self._stuck:
            timers.append((self._press_ns + STUCK_NS, self._is_stuck))
        if self._pressed and not self._claimed and not self._held:
            timers.append((self._press_ns + HOLD_NS, self._is_held))
        if self._first_tap_ns is not None:
            ends_ns = self._press_ns + TAP_UNDER_NS if self._pressed else self._window_ends_ns
            timers.append((ends_ns, self._was_single))
        return timers

    def _change(self, at_ns: int) -> None:
        self._pressed = not self._pressed
        self._dead_until_ns = at_ns + DEAD_TIME_NS
        if self._pressed:
            self._press_ns = at_ns
            self._claimed = self._held = self._stuck = False
            self._gestures.append(Press(at_ns))
        elif not self._claimed and at_ns - self._press_ns < TAP_UNDER_NS:
            self._tapped(at_ns)

    def _tapped(self, released_ns: int) -> None:
        if self._first_tap_ns is not None:
            self._gestures.append(DoubleTap(self._first_tap_ns))
            self._first_tap_ns = None
        else:
            self._first_tap_ns = self._press_ns
            self._window_ends_ns = released_ns + WINDOW_NS

    def _was_single(self, _: int) -> None:
        assert self._first_tap_ns is not None
        self._gestures.append(Tap(self._first_tap_ns))
        self._first_tap_ns = None

    def _is_held(self, due_ns: int) -> None:
        self._held = True
        self._gestures.append(Hold(self._press_ns, due_ns))

    def _is_stuck(self, _: int) -> None:
        self._stuck = True
        self._gestures.append(Stuck(self._press_ns))
