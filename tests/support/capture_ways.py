"""Both ways to run a capture process, each as an agent has it: a child (hw/sim/camera.py), and the capture service.

The process is a stand-in that connects to the agent's socket and delivers bytes; or it says what the file `fails`
holds, and ends.
"""

from __future__ import annotations

import contextlib
import select
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from agent import local_socket
from hw.capture_service import ServiceCapture
from hw.sensor import Capture
from hw.sim.camera import SimCamera

WITHIN_S = 20.0  # of a busy machine; what is asked is that it happens at all

FILMING = """
import pathlib, socket, sys, time
agent, fails = map(pathlib.Path, sys.argv[1:])
connection = socket.socket(socket.AF_UNIX)
if not fails.exists():
    connection.connect(str(agent))
while not fails.exists():
    connection.send(b"x")
    time.sleep(0.002)
sys.exit(fails.read_text())
"""
SERVICE = "import socket, sys; from hw.capture.service import serve; serve(socket.socket(fileno=0), sys.argv[1:])"


class Filming:
    """The agent's listening socket, and one way to run the process that connects to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fails = folder / "fails"
        self.listener = local_socket.listen(folder / "capture.sock", 0o660)
        self.command = [sys.executable, "-I", "-c", FILMING, str(folder / "capture.sock"), str(self.fails)]
        self.captures: list[Capture] = []
        self._connected: list[Connected] = []

    def capture(self) -> Capture:
        """Another agent's: the earlier ones are never asked for anything again."""
        self.captures.append(self._capture())
        return self.captures[-1]

    def _capture(self) -> Capture:
        return SimCamera(self.folder, self.command, lambda line: None)

    def fail(self, words: str) -> None:
        """From now on every process says this and ends."""
        new = self.folder / "new"
        new.write_text(words, encoding="utf-8")
        new.rename(self.fails)

    def connected(self) -> Connected:
        """The process that has connected, once one has."""
        assert readable(self.listener, WITHIN_S), "nobody connects"
        connection, _ = self.listener.accept()
        self._connected.append(Connected(connection))
        return self._connected[-1]

    def nobody(self) -> bool:
        """Whether nobody else is waiting to be taken."""
        return not readable(self.listener, 0)

    def close(self) -> None:
        for capture in self.captures:
            capture.kill()
        for process in self._connected:
            process.close()
        self.listener.close()


class Serviced(Filming):
    """By the service, which is a process of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.start_socket = folder / "start.sock"
        with local_socket.listen(self.start_socket, 0o660) as listener:
            self.service = subprocess.Popen(
                [sys.executable, "-c", SERVICE, *self.command], stdin=listener.fileno(), stderr=subprocess.DEVNULL
            )

    def _capture(self) -> Capture:
        return ServiceCapture(self.start_socket)

    def close(self) -> None:
        super().close()
        self.service.send_signal(signal.SIGCONT)
        self.service.kill()
        self.service.wait()


class Connected:
    """A capture process as the agent's socket has it."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(WITHIN_S)
        self._connection = connection
        size = struct.calcsize("3i")
        self.pid: int = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))[0]

    def delivers(self) -> bool:
        """It has something more to say; False when its end has come."""
        with contextlib.suppress(ConnectionResetError):
            return bool(self._connection.recv(1))
        return False

    def close(self) -> None:
        self._connection.close()

    def ended(self) -> bool:
        """Whether the process only waits for its parent to hear of its end."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"

    def over(self) -> bool:
        """Whether its end is there now, after what it had said before: nobody has to wait for it."""
        while readable(self._connection, 0):
            if not self._connection.recv(65_536):
                return True
        return False


def readable(which: socket.socket, seconds: float) -> bool:
    return bool(select.select([which], [], [], seconds)[0])


MakeFilming = Callable[[Path], Filming]
