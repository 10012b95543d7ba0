"""`temoin run` as a process of its own on a simulated board, for whoever plays a shift: the demo, `make camera`, tests.

Guarantees: what it starts can be ended, in order or at once; what it knows of the agent comes from the agent's status,
its exit code and what it wrote, as for anybody else. Assumes the commands of this environment.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

COMMANDS = Path(sys.executable).parent
POLL_S = 0.02

Status = Mapping[str, object]


class AgentProcess:
    """The agent of one camera folder, which holds camera.toml; off until `start`."""

    def __init__(self, camera: Path) -> None:
        self._config = camera / "camera.toml"
        self.run = camera / "run"
        self.messages = camera / "agent.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._started().pid

    def start(self) -> None:
        """Switch the camera on. The status of an earlier run does not count."""
        (self.run / "status.json").unlink(missing_ok=True)
        with self.messages.open("ab") as messages:
            self._process = subprocess.Popen(
                [COMMANDS / "temoin", "run", "--config", self._config],
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                process_group=0,  # Ctrl-C at the terminal is for whoever plays: `end` switches the camera off
            )

    def ended(self) -> int | None:
        """The exit code of an agent that ended by itself; None while it runs, or was never started."""
        return None if self._process is None else self._process.poll()

    def wait(self, seconds: float) -> int:
        """The exit code, once it has ended by itself. Raises subprocess.TimeoutExpired."""
        return self._started().wait(seconds)

    def kill(self) -> None:
        """SIGKILL, as a defect or the kernel's memory killer would."""
        self._started().kill()
        self._started().wait()

    def end(self, seconds: float) -> int | None:
        """Switch the camera off, or see that it is; after `seconds` by force. The exit code of an agent that ran."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return None
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(seconds)
        process.kill()
        return process.wait()

    def status(self) -> Status:
        """As `status_in` the agent's run folder."""
        return status_in(self.run)

    def last_words(self) -> str:
        """The last line that the agent wrote."""
        return last_line(self.messages)

    def watch(self, holds: Callable[[Status], bool], seconds: float, meanwhile: Callable[[], None]) -> Status | None:
        """The first status for which `holds` is true; None when that takes longer. `meanwhile` may raise."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            status = self.status()
            if holds(status):
                return status
            meanwhile()
            time.sleep(POLL_S)
        return None

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the camera is off"
        return self._process


def status_in(run: Path) -> Status:
    """What the agent with this run folder last said of itself; empty when it has said nothing."""
    with contextlib.suppress(OSError, ValueError):
        found = json.loads((run / "status.json").read_text(encoding="utf-8"))
        if isinstance(found, dict):
            return found
    return {}


def last_line(log: Path) -> str:
    """The last line that a program wrote to its log."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1].strip()
    return "it said nothing"
