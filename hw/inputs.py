"""Button, switch-off input and contact of a real board: edges of pins to events.

Guarantees: a callback of gpiozero posts or notes, and returns; it never raises, and never reads a pin. The level at
start is read before the first edge can come, and again after, so that no press between the two is lost. The button's
bounces are posted as they are (agent/button.py). A switch-off input that is held at start means nothing until it was
let go. Time is that of the callback: some milliseconds after the edge (docs/hardware.md).
Assumes: `step` is called by one thread, whenever `wake` was and at the time that it returned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from agent.board_parts import Wiring
from agent.model import NS_PER_MS, NS_PER_S, BoardEvent, ButtonEdge, Contact, SwitchOff
from agent.ports import Clock
from hw.gpio import Factory, Input, open_input

SWITCH_OFF_NS = 5 * NS_PER_S
SETTLED_NS = 200 * NS_PER_MS  # a camera that is put into a dock chatters for less


class HeldInput:
    """A pure rule: True once, when the input was on for 5 s without a break, since an edge that was seen."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def edge(self, on: bool, at_ns: int) -> None:
        if not on:
            self._since_ns = None
        elif self._since_ns is None:
            self._since_ns = at_ns

    @property
    def due_ns(self) -> int | None:
        return None if self._since_ns is None else self._since_ns + SWITCH_OFF_NS

    def step(self, now_ns: int) -> bool:
        due = self.due_ns is not None and now_ns >= self.due_ns
        if due:
            self._since_ns = None  # the next edge that counts is the release, then another press
        return due


class SettledInput:
    """A pure rule: the level once it has stayed for 200 ms; `on` is the level at start."""

    def __init__(self, on: bool) -> None:
        self.on = on
        self._last = on
        self._since_ns: int | None = None

    def edge(self, on: bool, at_ns: int) -> None:
        if on != self._last:
            self._last = on
            self._since_ns = at_ns

    @property
    def due_ns(self) -> int | None:
        return None if self._since_ns is None else self._since_ns + SETTLED_NS

    def step(self, now_ns: int) -> bool:
        """True when `on` has changed."""
        if self.due_ns is None or now_ns < self.due_ns:
            return False
        self._since_ns = None
        changed, self.on = self._last != self.on, self._last
        return changed


@dataclass(frozen=True, slots=True)
class _Edge:
    rule: HeldInput | SettledInput
    on: bool
    at_ns: int


class BoardInputs:
    """Opens the pins. Raises BoardError. `post` and `wake` are called from threads of gpiozero's too."""

    def __init__(
        self,
        wiring: Wiring,
        factory: Factory,
        clock: Clock,
        post: Callable[[BoardEvent], None],
        wake: Callable[[], None],
    ) -> None:
        self._clock = clock
        self._post = post
        self._wake = wake
        self._edges: deque[_Edge] = deque()
        self._button, self._switch_off, self._contact = (
            open_input(factory, pin) for pin in (wiring.button, wiring.switch_off, wiring.contact)
        )
        self.pressed = self._button.is_active
        """The button's level at start: not a press."""
        self._held = HeldInput()
        self._settled = SettledInput(self._contact.is_active)

    @property
    def contact(self) -> bool:
        """A dock or charger touches the contacts."""
        return self._settled.on

    def open(self) -> None:
        """Post from now on; a contact that is there already is posted first."""
        _watch(self._button, self._button_edge)
        _watch(self._switch_off, lambda on: self._note(self._held, on))
        _watch(self._contact, lambda on: self._note(self._settled, on))
        if self._settled.on:
            self._post(Contact(True))
        now_ns = self._clock.boot_ns()
        if self._button.is_active != self.pressed:
            self._post(ButtonEdge(not self.pressed, now_ns))
        self._settled.edge(self._contact.is_active, now_ns)

    def step(self, now_ns: int) -> int | None:
        """Post what is due; returns when something will be, None if nothing."""
        while self._edges:
            edge = self._edges.popleft()
            self._rules(edge.at_ns)
            edge.rule.edge(edge.on, edge.at_ns)
        self._rules(now_ns)
        return min((due for due in (self._held.due_ns, self._settled.due_ns) if due is not None), default=None)

    def close(self) -> None:
        for device in (self._button, self._switch_off, self._contact):
            device.close()

    def _rules(self, now_ns: int) -> None:
        if self._held.step(now_ns):
            self._post(SwitchOff())
        if self._settled.step(now_ns):
            self._post(Contact(self._settled.on))

    def _button_edge(self, on: bool) -> None:
        self._post(ButtonEdge(on, self._clock.boot_ns()))

    def _note(self, rule: HeldInput | SettledInput, on: bool) -> None:
        self._edges.append(_Edge(rule, on, self._clock.boot_ns()))
        self._wake()


def _watch(device: Input, edge: Callable[[bool], None]) -> None:
    device.when_activated = lambda: edge(True)
    device.when_deactivated = lambda: edge(False)
