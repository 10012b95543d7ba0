"""The agent's side of the capture service (hw/capture/service.py): start and kill capture without any right over it.

Guarantees: no call waits but `kill`, for KILL_WITHIN_S at most: it returns once the process can deliver nothing
more, or after that time when the service itself hangs. Whatever becomes of this process, its connection ends with it,
or when its successor's begins: then the service kills what it had started.
Assumes: calls come one at a time (hw/sensor.py has a lock).
"""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path

from agent import local_socket
from agent.errors import CaptureError, ConfigError
from agent.terminal import printable

SAID_BYTES = 4096
KILL_WITHIN_S = 0.2


class ServiceCapture:
    """A Capture (hw/sensor.py) at the service that listens on `path`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: socket.socket | None = None
        self._said = b""

    def start(self) -> None:
        """Nothing when it is alive. Raises CaptureError when the service cannot be reached."""
        if self.alive():
            return
        self.kill()
        try:
            self._connection = local_socket.connect(self._path, timeout_s=0)
        except ConfigError as error:
            raise CaptureError(error.where, error.problem, "start the unit temoin-capture.socket") from None

    def alive(self) -> bool:
        """The service keeps the connection for as long as the process runs, and has not even taken it yet at first."""
        return self._listen()

    def kill(self) -> None:
        connection = self._connection
        if connection is None:
            return
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_WR)
            ends = time.monotonic() + KILL_WITHIN_S
            while self._listen() and (left := ends - time.monotonic()) > 0:
                connection.settimeout(left)
                connection.recv(1, socket.MSG_PEEK)
                connection.settimeout(0)
        connection.close()
        self._connection = None

    def last_words(self) -> str:
        """The last line that it, or the one before it, wrote; printable."""
        self._listen()
        lines = [line for line in self._said.decode(errors="replace").splitlines() if line.strip()]
        return printable(lines[-1].strip()) if lines else ""

    def _listen(self) -> bool:
        """Take what it has said; False when the connection has ended."""
        while self._connection is not None:
            try:
                words = self._connection.recv(SAID_BYTES, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError:
                words = b""
            if not words:
                return False
            self._said = (self._said + words)[-SAID_BYTES:]
        return False
