"""The demo's hands: starts the agent, presses, waits for what must follow, kills, pulls the plug."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from hw.sim.agent_process import COMMANDS, AgentProcess, Status
from hw.sim.control import send
from hw.sim.demo.timeline import DemoError, Teller

PROGRESS_S = 5.0
END_S = 15.0


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
        self._camera = camera
        self._agent = AgentProcess(camera)
        self._teller = teller

    def start(self) -> None:
        """Switch the camera on."""
        self._agent.start()

    def do(self, who: str, what: str, action: str) -> None:
        """Something that is done to the board."""
        self._teller.say(who, what)
        send(self._agent.run, action, [])

    def kill(self) -> None:
        """SIGKILL to the agent, as a defect or the kernel's memory killer would."""
        self._teller.say("fate", "kill -9 of the agent")
        self._agent.kill()

    def pull_the_plug(self) -> None:
        """All that was not durable is gone, and the agent with it."""
        self.do("fate", "the battery falls out: power cut", "power-cut")
        self._agent.wait(10)

    def end(self) -> None:
        """Switch the camera off, or see that it is."""
        self._agent.end(END_S)

    def segments(self) -> list[Path]:
        """The segment files on the camera's card."""
        return sorted((self._camera / "data" / "segments").glob("*/*.age"))

    def pause(self, seconds: float) -> None:
        """Time passes; the timeline goes on."""
        self._watch(lambda _: False, seconds, None)

    def wait(self, what: str, holds: Callable[[Status], bool], seconds: float = 20.0) -> Status:
        """Until the status is as it must become. Raises DemoError."""
        found = self._watch(holds, seconds, what)
        if found is None:
            raise DemoError(
                "demo", f"after {seconds:.0f} s there is still no sign of: {what}", f"see {self._agent.messages}"
            )
        return found

    def wait_for(self, activity: str, seconds: float = 20.0) -> Status:
        """Until the camera says that activity of itself."""
        return self.wait(activity, lambda status: status.get("activity") == activity, seconds)

    def _watch(self, holds: Callable[[Status], bool], seconds: float, what: str | None) -> Status | None:
        told_s = time.monotonic()

        def seen(status: Status) -> bool:
            self._teller.follow()
            return holds(status)

        def meanwhile() -> None:
            nonlocal told_s
            code = self._agent.ended()
            if what is not None and code is not None:
                said = f"ended with code {code}: {self._agent.last_words()}"
                raise DemoError("temoin run", said, f"see {self._agent.messages}")
            if what is not None and time.monotonic() - told_s > PROGRESS_S:
                told_s = time.monotonic()
                self._teller.say("demo", f"waiting for: {what}")

        found = self._agent.watch(seen, seconds, meanwhile)
        self._teller.follow()
        return found


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
