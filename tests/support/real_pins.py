"""The header on the kernel's simulated chip, by the pin factory of a board: gpiozero on lgpio.

Callbacks come from a thread of lgpio's. `drive` waits for a marker, a line beyond the header that is pulled after the
pin: callbacks run one by one and in the order of their edges, so that the pin's has run when the marker's does. The
marker is pulled twice: the first edge may have been collected while the pin's was not yet, the second was not.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from agent.board_parts import Level, Pin
from hw.gpio import Factory, open_factory
from tests.support.gpio_sim import HEADER_LINES, Chip

FOLDER = Path("/run/lgpio")  # one a process: lgpio reads the setting once
MARKER = HEADER_LINES - 1
BOUND_S = 30.0


class WatchedPin(Protocol):
    """What is used of gpiozero's."""

    when_changed: object


class ChipHeader:
    """Opens the chip; `close` gives every pin back, also those that a test has left open."""

    def __init__(self) -> None:
        FOLDER.mkdir(exist_ok=True)
        self.factory: Factory = open_factory(FOLDER)
        import lgpio  # not before its folder is set, nor on a computer that only lists the tests

        self._chip = Chip()
        self._called = threading.Event()
        self._chip.set(MARKER, False)
        self._handle: int = lgpio.gpiochip_open(0)
        self._close_chip: Callable[[int], int] = lgpio.gpiochip_close
        lgpio.gpio_claim_alert(self._handle, MARKER, lgpio.BOTH_EDGES)
        self._callback = lgpio.callback(self._handle, MARKER, lgpio.BOTH_EDGES, lambda *edge: self._called.set())

    def pull_only(self, pin: Pin, on: bool) -> None:
        """And wait for nothing."""
        self._chip.set(pin.gpio, on == (pin.active is Level.HIGH))

    def drive(self, pin: Pin, on: bool) -> None:
        self.pull_only(pin, on)
        for high in (True, False):
            self._called.clear()
            self._chip.set(MARKER, high)
            assert self._called.wait(BOUND_S), "lgpio calls nobody back"

    def is_on(self, pin: Pin) -> bool:
        return self._chip.high(pin.gpio) == (pin.active is Level.HIGH)

    def pull(self, pin: Pin) -> str:
        return self._chip.pull(pin.gpio)

    def close(self) -> None:
        """A callback that is left would have the edges of another factory too: lgpio gives it the same number."""
        self._callback.cancel()
        self._close_chip(self._handle)
        pins: Mapping[object, WatchedPin] = getattr(self.factory, "pins")  # noqa: B009 - Factory does not say it
        for pin in pins.values():
            pin.when_changed = None
        self.factory.close()
