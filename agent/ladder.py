"""The restart ladder of the camera: restart capture, then power-cycle the sensor, then ask for a controlled reboot.

RestartLadder is a pure rule over the age of the last fragment. It never gives up and never hurries: each rung has time
to show its effect before the next one is tried, and a fragment takes the ladder back to its foot. CameraWatch climbs.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from agent.errors import CaptureError
from agent.formats.canonical import Value
from agent.model import NS_PER_S
from agent.ports import Camera

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
        """The capture process has ended: there is nothing to wait for. One that dies again and again is started again
        after 1, 2, 4 and then 8 seconds."""
        if self._deadline_ns is not None:
            pause_ns = NS_PER_S << min(self._failures, 4) >> 1 if self._failures else 0
            self._deadline_ns = min(self._deadline_ns, now_ns + pause_ns)

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


Alert = Callable[[str, dict[str, Value], str], None]
MAX_SAID = 200


class CameraWatch:
    """Starts the capture process and keeps it delivering; what it said last is told with each rung.

    `resting`: it is off on purpose, and stays so until the next `start`.
    """

    def __init__(self, camera: Camera, alert: Alert) -> None:
        self.has_init = False
        self.resting = False
        self._camera = camera
        self._alert = alert
        self._ladder = RestartLadder()
        self._said = ""

    @property
    def failing(self) -> bool:
        """It was started again, and no fragment has come since."""
        return self._ladder.failing

    @property
    def said(self) -> str:
        """What capture said before the last rung was taken; empty when it delivers."""
        return self._said if self.failing else ""

    def start(self, now_ns: int) -> None:
        """For the first time, or after a rest."""
        self.resting = False
        self._ladder.started(now_ns)
        self._start()

    def rest(self) -> None:
        """End it, and expect nothing of it."""
        self.resting = True
        self.has_init = False
        self._ladder = RestartLadder()
        self._camera.kill()

    def connected(self) -> None:
        """Its init is there."""
        self.has_init = not self.resting

    def delivered(self, now_ns: int) -> None:
        """A fragment arrived."""
        if not self.resting:
            self._ladder.delivered(now_ns)

    def gone(self, violation: str | None, now_ns: int) -> None:
        """Its connection ended. One that broke the protocol would connect and do it again: it is ended."""
        self.has_init = False
        if violation is not None:
            self._alert("capture_violation", {"problem": violation[:MAX_SAID]}, "restart_capture")
            self._camera.kill()
        self._ladder.gone(now_ns)

    def step(self, now_ns: int) -> bool:
        """Take the rung that is due; True if one was."""
        if self.resting:
            return False
        if not self._camera.alive():
            self._ladder.gone(now_ns)
        rung = self._ladder.step(now_ns)
        if rung is None:
            return False
        self._said = self._camera.last_words()[:MAX_SAID]
        self._alert(rung.value, {"said": self._said}, "check_camera")
        self._camera.kill()
        if rung is Rung.POWER_CYCLE:
            self._camera.power_cycle()
        if rung is Rung.REBOOT:
            self._camera.reboot()
        self._start()
        return True

    def _start(self) -> None:
        try:
            self._camera.start()
        except CaptureError as error:  # the ladder goes on
            self._alert("capture_not_started", {"problem": str(error)[:MAX_SAID]}, "check_camera")
