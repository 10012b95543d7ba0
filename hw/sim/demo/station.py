"""The demo's station: a real Mosquitto and a real `temoin-dock`, on free ports of the loopback.

Nothing that it starts outlives `end`. Its folder is `OUT/station`; its archive is `OUT/dock`, one folder a camera.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from hw.sim.demo.shift import COMMANDS
from hw.sim.demo.timeline import DemoError

DOCK = "dock-01"
START_S = 20.0
POLL_S = 0.1
_SBIN = "/usr/sbin:/usr/local/sbin:/usr/bin:/bin"  # where Debian has the broker, and not everybody looks


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Station:
    """One dock with its broker."""

    def __init__(self, out: Path, broker_port: int) -> None:
        self._folder = out / "station"
        self._archive = out / "dock"
        self._broker_port = broker_port
        self._health_port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def archive(self) -> Path:
        """One folder a camera."""
        return self._archive

    def blobs(self) -> int:
        """Segments that the archive has whole."""
        return len(list(self._archive.glob("*/segments/*/*.age")))

    def start(self, enrolled: Path) -> None:
        """Set it up from the folder that `temoin-fleet init` made, and wait until broker and dock are well."""
        shutil.copytree(enrolled, self._folder)
        self._archive.mkdir(mode=0o700)
        config = self._folder / "dock.toml"
        text = config.read_text(encoding="utf-8")
        text = text.replace('archive = "archive"', f'archive = "../{self._archive.name}"')
        config.write_text(text.replace("127.0.0.1:9464", f"127.0.0.1:{self._health_port}"), encoding="utf-8")
        broker = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SBIN)
        if broker is None:
            raise DemoError("mosquitto", "is not installed", "apt install mosquitto")
        self._run("mosquitto", [broker, "-c", "mosquitto.conf"])
        self._wait("mosquitto", self._broker_listens)
        self._run("temoin-dock", [str(COMMANDS / "temoin-dock"), "run", "--config", "dock.toml"])
        self._wait("temoin-dock", self._is_healthy)

    def end(self) -> None:
        """The dock first: it still speaks to its broker."""
        while self._processes:
            process = self._processes.pop()
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _run(self, name: str, command: list[str]) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes.append(
                subprocess.Popen(command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
            )

    def _wait(self, name: str, is_well: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not is_well():
            if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                raise DemoError(name, "did not start", f"see {self._folder / f'{name}.log'}")
            time.sleep(POLL_S)

    def _broker_listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._broker_port), timeout=1):
            return True
        return False

    def _is_healthy(self) -> bool:
        url = f"http://127.0.0.1:{self._health_port}/health"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
        return False
