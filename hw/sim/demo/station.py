"""The demo's station: a real Mosquitto and a real `temoin-dock`, on free ports of the loopback.

Nothing that it starts outlives `end`. Its folder is `OUT/station`; its archive is `OUT/dock`, one folder a camera.
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Callable
from pathlib import Path

from hw.sim.agent_process import COMMANDS, last_line
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
    """One dock with its broker. Its dock.toml keeps the ports."""

    def __init__(self, out: Path) -> None:
        self._folder = out / "station"
        self._archive = out / "dock"
        self._processes: list[subprocess.Popen[bytes]] = []

    @property
    def config(self) -> Path:
        return self._folder / "dock.toml"

    @property
    def archive(self) -> Path:
        """One folder a camera."""
        return self._archive

    def blobs(self) -> int:
        """Segments that the archive has whole."""
        return len(list(self._archive.glob("*/segments/*/*.age")))

    def set_up(self, enrolled: Path) -> None:
        """Once, from the folder that `temoin-fleet init` made."""
        shutil.copytree(enrolled, self._folder)
        self._archive.mkdir(mode=0o700)
        text = self.config.read_text(encoding="utf-8")
        text = text.replace('archive = "archive"', f'archive = "../{self._archive.name}"')
        self.config.write_text(text.replace("127.0.0.1:9464", f"127.0.0.1:{free_port()}"), encoding="utf-8")

    def start(self) -> None:
        """Wait until broker and dock are well. Raises DemoError."""
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
                subprocess.Popen(
                    command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, process_group=0
                )
            )

    def _wait(self, name: str, is_well: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_S
        while not is_well():
            if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                log = self._folder / f"{name}.log"
                raise DemoError(name, f"did not start: {last_line(log)}", f"see {log}")
            time.sleep(POLL_S)

    def ended(self) -> str | None:
        """What no longer runs, in its last words; None while broker and dock do."""
        for name, process in zip(("mosquitto", "temoin-dock"), self._processes, strict=False):
            if process.poll() is not None:
                return f"{name} ended with code {process.returncode}: {last_line(self._folder / f'{name}.log')}"
        return None

    def ask(self, path: str) -> bytes | None:
        """What the dock says of itself on this computer; None while it does not answer with 200."""
        url = f"http://{self._listens('health', 'listen')}{path}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
            return bytes(answer.read()) if answer.status == 200 else None
        return None

    def _listens(self, table: str, key: str) -> str:
        return str(tomllib.loads(self.config.read_text(encoding="utf-8"))[table][key])

    def _broker_listens(self) -> bool:
        host, _, port = self._listens("broker", "address").rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False

    def _is_healthy(self) -> bool:
        return self.ask("/health") is not None
