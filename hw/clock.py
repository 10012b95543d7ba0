"""The clocks of a real board: the kernel's boot clock, and the real-time clock that outlives a power cut.

Guarantees: `rtc` returns at once: only `measure` reads the chip, which may take its time on a slow bus. What the chip
said is carried on by the boot clock, and its error grows with that. A chip that does not answer, or says that it has
lost its time (the kernel then refuses to read it), is no clock: nothing is guessed. Never set by us.
Assumes: `measure` is called by one thread, at the start and again each some minutes. Source:
Documentation/ABI/testing/sysfs-class-rtc: `since_epoch` is whole seconds of UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from agent.model import NS_PER_MS
from agent.ports import Clock
from hw.attributes import first

RTC = Path("/sys/class/rtc/rtc0")

HALF_SECOND_MS = 500  # whole seconds are cut, not rounded: their middle is meant, and this is how far off it may be
CARRIED_PPM = 500  # as agent/clock.py reckons with any crystal

_SECONDS = re.compile(r"([1-9][0-9]{8,10})\n")


@dataclass(frozen=True, slots=True)
class _Reading:
    utc_ms: int
    at_ns: int


class BoardClock:
    """A Clock: `clock` for the boot clock, the chip in `folder` with its own error in ms."""

    def __init__(self, clock: Clock, rtc_error_ms: int, folder: Path = RTC) -> None:
        self._clock = clock
        self._rtc_error_ms = rtc_error_ms
        self._file = folder / "since_epoch"
        self._reading: _Reading | None = None
        self.measure()

    def boot_ns(self) -> int:
        return self._clock.boot_ns()

    def boot_id(self) -> str:
        return self._clock.boot_id()

    def rtc(self) -> tuple[int, int] | None:
        reading = self._reading
        if reading is None:
            return None
        elapsed_ns = self._clock.boot_ns() - reading.at_ns
        drift_ms = -(-elapsed_ns * CARRIED_PPM // (1_000_000 * NS_PER_MS))
        return reading.utc_ms + elapsed_ns // NS_PER_MS, self._rtc_error_ms + HALF_SECOND_MS + drift_ms

    def measure(self) -> None:
        """Read the chip."""
        found = first(self._file, _SECONDS)
        if found is None:
            self._reading = None
        else:
            self._reading = _Reading(int(found) * 1000 + HALF_SECOND_MS, self._clock.boot_ns())
