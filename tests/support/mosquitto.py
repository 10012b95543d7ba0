"""The real Mosquitto on a free loopback port, with the configuration that `temoin-fleet init` generates.

Guarantees: it is ended, by its own process id, when the context is left, and by the kernel should the tests be killed;
its start is waited for by its socket, at most 10 s. What it logged is in `log`.
"""

from __future__ import annotations

import contextlib
import ctypes
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from agent.errors import ConfigError

START_S = 10
_PR_SET_PDEATHSIG = 1
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/usr/bin")


def free_port() -> int:
    """A loopback port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def mosquitto_program() -> str | None:
    """Where it is installed; Debian has it in /usr/sbin, which is not on everybody's path."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path=":".join(_PLACES))


class Mosquitto:
    """A broker that can be killed and started again on the same port."""

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self.port = port
        self.log = folder / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it listens. Raises ConfigError with its last words if it does not."""
        program = mosquitto_program()
        assert program is not None, "apt install mosquitto (make check does)"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-c", "mosquitto.conf"], cwd=self._folder, stderr=log, stdout=log, preexec_fn=_die_with_us
            )
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return
            time.sleep(0.01)
        self.kill()
        raise ConfigError("mosquitto", self.log.read_text(errors="replace").strip()[-500:], "see mosquitto.conf")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """It keeps its connections and does nothing: a machine that hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def running(folder: Path, port: int) -> Iterator[Mosquitto]:
    """Mosquitto by `folder`/mosquitto.conf, which listens on `port`."""
    broker = Mosquitto(folder, port)
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def _die_with_us() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
