"""The sensor's power or enable line, under the capture process: a Camera whose sensor is off while nobody films.

Guarantees: the line is on before capture starts, and off within REST_NS after capture was ended, unless it was started
again; off for OFF_NS at least before it is on again, so that the sensor has forgotten its state. No call waits: what
needs time is done by `step`, from another thread. A board without such a line: `power_cycle` changes nothing there, and
the ladder goes on to the reboot.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from agent.errors import BoardError, CaptureError
from agent.model import NS_PER_MS, NS_PER_S, OutputFailed
from agent.ports import Clock
from hw.gpio import Switch

OFF_NS = 500 * NS_PER_MS  # the supply's capacitors are empty by then
REST_NS = NS_PER_S  # capture that is started again by the ladder is so at once: this long means rest


class Capture(Protocol):
    """The capture process alone: what Camera says of these four."""

    def start(self) -> None: ...

    def alive(self) -> bool: ...

    def kill(self) -> None: ...

    def last_words(self) -> str: ...


class SensorCamera:
    """A Camera. `line` is None where the board switches none; `wake` makes the caller of `step` ask again, at once."""

    def __init__(
        self,
        capture: Capture,
        line: Switch | None,
        reboot: Callable[[], None],
        clock: Clock,
        post: Callable[[OutputFailed], None],
        wake: Callable[[], None],
    ) -> None:
        self._capture = capture
        self._line = line
        self._reboot = reboot
        self._clock = clock
        self._post = post
        self._wake = wake
        self._lock = threading.Lock()
        self._on = line is None
        self._off_since_ns = clock.boot_ns()  # it is off once its pin is open
        self._starts = False
        self._rests_at_ns: int | None = None

    def start(self) -> None:
        """At once if the sensor is on, else when it may be. Raises CaptureError when capture cannot be started."""
        with self._lock:
            self._rests_at_ns = None
            if self._on:
                self._capture.start()
                return
            self._starts = True
        self._wake()

    def alive(self) -> bool:
        """It runs, or will as soon as the sensor may be on."""
        with self._lock:
            return self._starts or self._capture.alive()

    def kill(self) -> None:
        with self._lock:
            self._starts = False
            self._capture.kill()
            if self._line is not None and self._on:
                self._rests_at_ns = self._clock.boot_ns() + REST_NS
        self._wake()

    def power_cycle(self) -> None:
        with self._lock:
            if self._line is not None:
                self._cut(self._clock.boot_ns())

    def reboot(self) -> None:
        self._reboot()

    def last_words(self) -> str:
        return self._capture.last_words()

    def step(self, now_ns: int) -> int | None:
        """Do what is due; returns when something will be, None if nothing."""
        with self._lock:
            if self._rests_at_ns is not None and now_ns >= self._rests_at_ns:
                self._cut(now_ns)
            if self._starts and now_ns >= self._off_since_ns + OFF_NS:
                self._begin()
            return self._off_since_ns + OFF_NS if self._starts else self._rests_at_ns

    def _begin(self) -> None:
        self._starts = False
        self._turn(True)
        try:
            self._capture.start()
        except CaptureError:  # it is not alive: the ladder sees it, and goes on
            return

    def _cut(self, now_ns: int) -> None:
        self._rests_at_ns = None
        self._off_since_ns = now_ns
        self._turn(False)

    def _turn(self, on: bool) -> None:
        assert self._line is not None
        self._on = on
        try:
            self._line(on)
        except BoardError:
            self._post(OutputFailed("sensor"))
