"""The demo's hands: starts the agent, presses, waits for what must follow, kills, pulls the plug."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hw.sim.control import send
from hw.sim.demo.timeline import DemoError, Teller

POLL_S = 0.05
PROGRESS_S = 5.0
COMMANDS = Path(sys.executable).parent

Status = Mapping[str, object]


def command(name: str, *arguments: str | Path, folder: Path | None = None) -> str:
    """What one of the house's commands printed. Raises DemoError with its own words if it fails."""
    done = subprocess.run(
        [COMMANDS / name, *arguments], check=False, capture_output=True, text=True, cwd=folder, stdin=subprocess.DEVNULL
    )
    if done.returncode != 0:
        said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()
        raise DemoError(f"{name} {arguments[0]}", f"exit code {done.returncode}: {said[0]}")
    return done.stdout


class Shift:
    """One camera, one officer. `camera` holds camera.toml; nothing that it starts outlives `end`."""

    def __init__(self, camera: Path, teller: Teller) -> None:
        self._config = camera / "camera.toml"
        self._run = camera / "run"
        self._messages = camera / "agent.log"
        self._teller = teller
        self._agent: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Switch the camera on."""
        (self._run / "status.json").unlink(missing_ok=True)
        with self._messages.open("ab") as messages:
            self._agent = subprocess.Popen(
                [COMMANDS / "temoin", "run", "--config", self._config],
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=messages,
                process_group=0,  # Ctrl-C at the terminal is for whoever plays: `end` switches the camera off
            )

    def ended(self) -> int | None:
        """The exit code of an agent that ended by itself; None while it runs."""
        return None if self._agent is None else self._agent.poll()

    def last_words(self) -> str:
        """The last line that the agent wrote to its standard error."""
        return last_line(self._messages)

    def do(self, who: str, what: str, action: str) -> None:
        """Something that is done to the board."""
        self._teller.say(who, what)
        send(self._run, action, [])

    def kill(self) -> None:
        """SIGKILL to the agent, as a defect or the kernel's memory killer would."""
        agent = self._running()
        self._teller.say("fate", "kill -9 of the agent")
        agent.send_signal(signal.SIGKILL)
        agent.wait()

    def pull_the_plug(self) -> None:
        """All that was not durable is gone, and the agent with it."""
        self.do("fate", "the battery falls out: power cut", "power-cut")
        self._running().wait(timeout=10)

    def end(self) -> None:
        """Switch the camera off, or see that it is."""
        agent, self._agent = self._agent, None
        if agent is None or agent.poll() is not None:
            return
        agent.send_signal(signal.SIGTERM)
        try:
            agent.wait(timeout=15)
        except subprocess.TimeoutExpired:
            agent.kill()
            agent.wait()

    def segments(self) -> list[Path]:
        """The segment files on the camera's card."""
        return sorted((self._config.parent / "data" / "segments").glob("*/*.age"))

    def pause(self, seconds: float) -> None:
        """Time passes; the timeline goes on."""
        self._watch(lambda _: False, seconds, None)

    def wait(self, what: str, holds: Callable[[Status], bool], seconds: float = 20.0) -> Status:
        """Until the status is as it must become. Raises DemoError."""
        found = self._watch(holds, seconds, what)
        if found is None:
            raise DemoError("demo", f"after {seconds:.0f} s there is still no sign of: {what}", f"see {self._messages}")
        return found

    def wait_for(self, activity: str, seconds: float = 20.0) -> Status:
        """Until the camera says that activity of itself."""
        return self.wait(activity, lambda status: status.get("activity") == activity, seconds)

    def _watch(self, holds: Callable[[Status], bool], seconds: float, what: str | None) -> Status | None:
        started = told = time.monotonic()
        while time.monotonic() - started < seconds:
            self._teller.follow()
            status = self.status()
            if holds(status):
                self._teller.follow()
                return status
            if what is not None and self._agent is not None and self._agent.poll() is not None:
                code = self._agent.returncode
                raise DemoError("temoin run", f"ended with code {code}: {self.last_words()}", f"see {self._messages}")
            if what is not None and time.monotonic() - told > PROGRESS_S:
                told = time.monotonic()
                self._teller.say("demo", f"waiting for: {what}")
            time.sleep(POLL_S)
        self._teller.follow()
        return None

    def status(self) -> Status:
        """What the agent last said of itself; empty when it has said nothing."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self._run / "status.json").read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return found
        return {}

    def _running(self) -> subprocess.Popen[bytes]:
        if self._agent is None:
            raise DemoError("demo", "the agent does not run")
        return self._agent


def last_line(log: Path) -> str:
    """The last line that a program wrote to its log."""
    with contextlib.suppress(OSError):
        lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
        if lines:
            return lines[-1].strip()
    return "it said nothing"


def frames_of(clip: Path) -> int:
    """Pictures of a clip, counted by ffprobe."""
    return int(_ffprobe(clip, "-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames"))


def start_of(clip: Path) -> float:
    """Where players say that a clip begins, in seconds."""
    return float(_ffprobe(clip, "-show_entries", "format=start_time"))


def _ffprobe(clip: Path, *what: str) -> str:
    arguments: Sequence[str | Path] = ["ffprobe", "-v", "error", *what, "-of", "csv=p=0", clip]
    done = subprocess.run(arguments, check=False, capture_output=True, text=True)
    if done.returncode != 0 or done.stderr:
        raise DemoError(str(clip), f"ffprobe: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip().rstrip(",")
