"""The restart ladder of the camera: restart capture, then power-cycle the sensor, then ask for a controlled reboot.

A pure rule over the age of the last fragment. It never gives up and never hurries: each rung has time to show its
effect before the next one is tried, and a fragment takes the ladder back to its foot.
"""

from __future__ import annotations

from enum import StrEnum

from agent.model import NS_PER_S

STALL_NS = 3 * NS_PER_S  # no fragment for so long, of one a second: capture has stalled
START_NS = 8 * NS_PER_S  # a capture process may take so long to deliver its first fragment
FAILURES_A_RUNG = 3  # restarts that do not help before the sensor's power is taken, and so on


class Rung(StrEnum):
    """What to do next; each is an `alert` entry with this cause."""

    RESTART = "capture_restarted"
    POWER_CYCLE = "sensor_power_cycled"
    REBOOT = "reboot_requested"


class RestartLadder:
    """Fed with what was seen, asked at each step of the main loop."""

    def __init__(self) -> None:
        self._deadline_ns: int | None = None
        self._failures = 0

    def started(self, now_ns: int) -> None:
        """A capture process was started (the first time, or by a rung)."""
        self._deadline_ns = now_ns + START_NS

    def delivered(self, now_ns: int) -> None:
        """A fragment arrived."""
        self._failures = 0
        self._deadline_ns = now_ns + STALL_NS

    def gone(self, now_ns: int) -> None:
        """The capture process ended: there is nothing to wait for, but a process that dies at once is not restarted
        more than once a second."""
        if self._deadline_ns is not None:
            self._deadline_ns = min(self._deadline_ns, now_ns + (NS_PER_S if self._failures else 0))

    def off(self) -> None:
        """Capture is not wanted (docked, or shutting down)."""
        self._deadline_ns = None
        self._failures = 0

    @property
    def failing(self) -> bool:
        """A rung was taken and no fragment has come since."""
        return self._failures > 0

    def step(self, now_ns: int) -> Rung | None:
        """The rung that is due, at most one a step."""
        if self._deadline_ns is None or now_ns < self._deadline_ns:
            return None
        self._failures += 1
        self._deadline_ns = now_ns + START_NS
        rungs = (Rung.RESTART, Rung.POWER_CYCLE, Rung.REBOOT)
        return rungs[min((self._failures - 1) // FAILURES_A_RUNG, len(rungs) - 1)]
