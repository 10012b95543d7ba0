"""One camera under test: its folder, its agent's process, and the officer's hands. Holds no opinion of what it sees."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.formats.age import Identity
from agent.model import Colour
from hw.sim.agent_process import Status, status_in
from hw.sim.camera import PROCESS
from hw.sim.control import send
from hw.sim.panel import light_now
from tests.kills.agent import TOLD
from tests.kills.footage import BOARD
from tests.kills.traps import Trap, arm, disarm
from tests.support.agency import make_agency

POLL_S = 0.02
PRERECORD_MS = 10_000

Told = Mapping[str, object]


class KillsError(AssertionError):
    """Something that the camera must never do."""


@dataclass(frozen=True, slots=True)
class Agency:
    """What a check needs besides the card."""

    folder: Path
    root_pem: bytes
    identity: Identity


def boot_ns() -> int:
    """The boot clock, which the simulated board has too."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def enrol(folder: Path, film: Path, *, data: Path | None = None, prerecord_ms: int = PRERECORD_MS) -> Agency:
    """Make an agency and its one camera in `folder`/camera; `data` is a data folder elsewhere."""
    now_ms = time.time_ns() // 1_000_000
    made = make_agency(folder, prerecord_ms=prerecord_ms, footage=film, now_ms=now_ms, seed=str(folder))
    camera = folder / "camera"
    shutil.copytree(made.camera_folder(), camera)
    (camera / "board.toml").write_text(BOARD)
    toml = (camera / "camera.toml").read_text()
    toml = toml.replace('board = "sim"', 'board = "board.toml"')
    if data is not None:
        toml = toml.replace('data = "data"', f"data = {json.dumps(str(data))}")
    (camera / "camera.toml").write_text(toml)
    return Agency(made.folder, made.root_pem, made.identity)


class Camera:
    """`folder` holds camera.toml; nothing that it starts outlives `end`."""

    def __init__(self, folder: Path, data: Path | None = None, tap: Path | None = None) -> None:
        self.folder = folder
        self.run = folder / "run"
        self.data = folder / "data" if data is None else data
        self._tap = tap
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, trap: Trap | None = None, nearly_full: int | None = None) -> None:
        """Switch it on; returns at once."""
        assert self._process is None
        (self.run / "status.json").unlink(missing_ok=True)
        disarm(self.run)
        if trap is not None:
            arm(self.run, trap)
        command = [sys.executable, "-m", "tests.kills.agent", "--config", str(self.folder / "camera.toml")]
        if nearly_full is not None:
            command += ["--nearly-full", str(nearly_full)]
        if self._tap is not None:
            command += ["--tap", str(self._tap)]
        with (self.folder / "agent.log").open("ab") as messages:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages)

    def do(self, action: str, *values: str) -> None:
        """Something that happens to the board."""
        send(self.run, action, list(values))

    def arm(self, trap: Trap) -> None:
        """Set a trap while the agent runs."""
        arm(self.run, trap)

    def died(self, seconds: float) -> bool:
        """Wait until the agent is dead, by whatever way; False, and no trap any more, if it lives on."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            if disarm(self.run):
                return False
            self._process.wait(seconds)  # it has come between our looks
        self._process = None
        return True

    @property
    def pid(self) -> int:
        """The agent's."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def signal(self, what: signal.Signals) -> None:
        """Send the agent a signal."""
        assert self._process is not None
        self._process.send_signal(what)

    def kill(self) -> int:
        """SIGKILL; the boot clock just before it."""
        at_ns = boot_ns()
        self.signal(signal.SIGKILL)
        assert self.died(10)
        return at_ns

    def cut(self) -> None:
        """Pull the plug."""
        with contextlib.suppress(Exception):  # without power nobody answers
            self.do("power-cut")
        assert self.died(10)

    def kill_capture(self) -> int:
        """SIGKILL to the capture process; the boot clock just before it."""
        at_ns = boot_ns()
        os.killpg(int((self.run / PROCESS).read_text(encoding="ascii")), signal.SIGKILL)
        return at_ns

    def stop(self) -> None:
        """Switch it off in order."""
        assert self._process is not None
        self.signal(signal.SIGTERM)
        if not self.died(20):
            raise KillsError(f"{self.folder}: does not end when told to")

    def end(self) -> None:
        """Whatever still runs, runs no longer."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()

    def status(self) -> Status:
        """What it says of itself; empty when it has not said anything yet."""
        return status_in(self.run)

    def told(self) -> list[Told]:
        """All that the loops told each other, of all runs."""
        try:
            lines = (self.run / TOLD).read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in lines]

    def panel(self) -> list[dict[str, object]]:
        """All that an observer saw, heard and felt, of all runs (hw/sim/timeline.py)."""
        lines = (self.run / "panel.log").read_bytes().split(b"\n")[:-1]
        return [json.loads(line) for line in lines]

    def seen_red(self) -> list[int]:
        """When the light turned red, of all runs."""
        found: list[int] = []
        for event in self.panel():
            light, at_ns = event.get("light"), event["boot_ns"]
            if isinstance(light, dict) and light["colour"] == Colour.RED and isinstance(at_ns, int):
                found.append(at_ns)
        return found

    def is_red(self) -> bool:
        """What somebody looking at it sees now."""
        return light_now(self.run, boot_ns()).colour is Colour.RED

    def wait(self, what: str, holds: Callable[[Status], bool], seconds: float = 20.0) -> Status:
        """Until its status is as it must become."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            status = self.status()
            if status and holds(status):
                return status
            if not self.alive:
                raise KillsError(f"{self.folder}: ended by itself while waiting for: {what}")
            time.sleep(POLL_S)
        raise KillsError(f"{self.folder}: after {seconds:.0f} s no sign of: {what}; status {self.status()}")

    def wait_for(self, *activities: str, seconds: float = 20.0) -> Status:
        """Until it says one of these activities of itself."""
        return self.wait("/".join(activities), lambda status: status.get("activity") in activities, seconds)

    def wait_told(self, what: str, holds: Callable[[Told], bool], seconds: float = 20.0) -> Told:
        """Until the loops have told each other such a thing."""
        deadline = time.monotonic() + seconds
        seen = 0
        while time.monotonic() < deadline:
            told = self.told()
            for line in told[seen:]:
                if holds(line):
                    return line
            seen = len(told)
            if not self.alive:
                raise KillsError(f"{self.folder}: ended by itself while waiting for: {what}")
            time.sleep(POLL_S)
        raise KillsError(f"{self.folder}: after {seconds:.0f} s nobody was told: {what}")
