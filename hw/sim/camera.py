"""The simulated camera: the real capture process, filming a file.

Guarantees: it runs in a session of its own, so that nothing sent to the agent's terminal reaches it, and it is ended
whole. One that an earlier agent left behind (stopped, it would never see its socket end) is ended at the next start.
Assumes: one thread starts and kills; another may stall and revive.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from agent.errors import CaptureError
from agent.log_tail import LogTail

PROCESS = "capture.pid"
MESSAGES = "capture.log"


def capture_command(socket: Path, board: Path, footage: Path) -> list[str]:
    """The capture process of a simulated board."""
    return [
        *(sys.executable, "-m", "hw.capture"),
        *("--socket", str(socket), "--board", str(board), "--footage", str(footage)),
    ]


class SimCamera:
    """A Camera that runs `command`. `log` takes what its power line and the board's reset are told."""

    def __init__(self, run: Path, command: Sequence[str], log: Callable[[str], None]) -> None:
        self._run = run
        self._command = list(command)
        self._log = log
        self._messages = LogTail(run / MESSAGES)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Nothing when it is alive. Raises CaptureError when it cannot be started."""
        if self.alive():
            return
        self._end_leftover()
        try:
            with (self._run / MESSAGES).open("ab") as messages:
                self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.DEVNULL,
                    stdout=messages,
                    stderr=messages,
                    start_new_session=True,
                )
            (self._run / PROCESS).write_text(f"{self._process.pid}\n", encoding="ascii")
        except OSError as error:
            problem = error.strerror or "cannot be started"
            raise CaptureError(self._command[0], problem, "check the run folder and the installation") from None

    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                _signal(process.pid, signal.SIGKILL)
            process.wait()

    def power_cycle(self) -> None:
        self._log("power_cycle")

    def reboot(self) -> None:
        self._log("reboot")

    def last_words(self) -> str:
        return self._messages.last_line()

    def stall(self) -> None:
        """It stops delivering, silently: alive, and hung."""
        self._tell(signal.SIGSTOP)

    def revive(self) -> None:
        """It goes on, if nobody has killed it."""
        self._tell(signal.SIGCONT)

    def _tell(self, what: signal.Signals) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            _signal(process.pid, what)

    def _end_leftover(self) -> None:
        """Only a process that runs the very command we are about to start: a pid alone may be anybody's by now."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self._run / PROCESS).read_text(encoding="ascii"))
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
            if arguments[1:] == [os.fsencode(argument) for argument in self._command[1:]]:
                _signal(pid, signal.SIGKILL)


def _signal(pid: int, what: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, what)  # its session's only group
