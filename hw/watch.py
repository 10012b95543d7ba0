"""What a real board's parts do in their own time: inputs that settle, a sensor that may be on again, a battery read.

Guarantees: `turn` waits until something is due or `wake` was called, never longer; a battery is read every 10 s, and
posted when it is another one. A slow gauge delays switching off and the contact, never the button (gpiozero's thread
posts it) and never the main loop. Assumes: `turn` is called again and again by one thread (agent/threads.py Loop).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from agent.model import NS_PER_S, Battery, BatteryChanged
from agent.ports import Clock

MEASURE_NS = 10 * NS_PER_S


class Stepped(Protocol):
    """A part with its own times: inputs, sensor."""

    def step(self, now_ns: int) -> int | None: ...


class Measured(Protocol):
    """A battery."""

    def measure(self) -> Battery: ...


class BoardWatch:
    """`wake` may be called by any thread, also before there are parts."""

    def __init__(self, clock: Clock, post: Callable[[BatteryChanged], None]) -> None:
        self._clock = clock
        self._post = post
        self._woken = threading.Event()
        self._measure_ns = 0
        self._battery: Battery | None = None

    def wake(self) -> None:
        """Something may be due earlier than was thought; or this is to end."""
        self._woken.set()

    def turn(self, parts: tuple[Stepped, ...], power: Measured, also: tuple[Callable[[], None], ...] = ()) -> None:
        """Do what is due, then wait for the next thing."""
        due_ns = self.step(parts, power, also)
        self._woken.wait(max(0, due_ns - self._clock.boot_ns()) / NS_PER_S)

    def step(self, parts: tuple[Stepped, ...], power: Measured, also: tuple[Callable[[], None], ...] = ()) -> int:
        """Do what is due; returns when something will be. `also`: what else is measured with the battery."""
        self._woken.clear()  # before looking: what comes after it wakes the wait
        now_ns = self._clock.boot_ns()
        if now_ns >= self._measure_ns:
            self._measure_ns = now_ns + MEASURE_NS
            for measure in also:
                measure()
            battery = power.measure()
            if battery != self._battery:
                self._battery = battery
                self._post(BatteryChanged(battery))
        return min([self._measure_ns, *(due for part in parts if (due := part.step(now_ns)) is not None)])
