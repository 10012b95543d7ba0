"""The operating system's boot clock.

Guarantees: CLOCK_BOOTTIME (it counts suspended time too) and the kernel's boot id; the wall clock is never read. No
real-time clock: a board that has one brings its own adapter. Assumes: Linux.
"""

from __future__ import annotations

import time
from pathlib import Path

from agent.errors import ConfigError

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SystemClock:
    """A Clock. Raises ConfigError where the kernel shows no boot id."""

    def __init__(self) -> None:
        try:
            self._boot_id = _BOOT_ID.read_text(encoding="ascii").strip()  # the same until the kernel starts again
        except OSError as error:
            raise ConfigError(str(_BOOT_ID), error.strerror or "cannot be read", "run where /proc is mounted") from None

    def boot_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        return self._boot_id

    def rtc(self) -> tuple[int, int] | None:
        return None
