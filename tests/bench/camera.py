"""A real camera on a simulated board: `temoin run` in a process of its own, and what an observer sees of it."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.model import NS_PER_MS, NS_PER_S, Colour
from agent.states import CUES, Moment
from hw.sim.agent_process import status_in
from hw.sim.camera import PROCESS
from hw.sim.control import send
from tests.bench.films import Filmed
from tests.support.agency import make_agency

POLL_S = 0.01
PATIENCE_S = 60.0
Event = Mapping[str, object]


def temoin() -> str:
    """The console script of this environment."""
    return str(Path(sys.executable).parent / "temoin")


def boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The folder of an agency with one camera, from which cameras are made."""

    agency: Path
    filmed: Filmed

    @property
    def root(self) -> Path:
        """The agency's certificate."""
        return self.agency / "ca" / "agency.pem"

    def camera(self, folder: Path, data: Path | None = None, program: Sequence[str] = ()) -> Camera:
        """A camera in a new folder; `data` is a card elsewhere, `program` what runs instead of `temoin run`."""
        shutil.copytree(self.agency / "cameras" / "cam-01", folder)
        (folder / "board.toml").write_text(self.filmed.board())
        toml = (folder / "camera.toml").read_text().replace('board = "sim"', 'board = "board.toml"')
        if data is not None:
            toml = toml.replace('data = "data"', f"data = {json.dumps(str(data))}")
        (folder / "camera.toml").write_text(toml)
        return Camera(folder, folder / "data" if data is None else data, program or (temoin(), "run"))


def enrol(folder: Path, films: Path, filmed: Filmed, prerecord_ms: int = 30_000) -> Enrolled:
    """A new agency with a camera that plays the film."""
    now_ms = time.time_ns() // NS_PER_MS
    made = make_agency(folder, prerecord_ms=prerecord_ms, footage=filmed.film(films), now_ms=now_ms)
    return Enrolled(made.folder, filmed)


class Camera:
    """Leaving the context ends all that it started."""

    def __init__(self, folder: Path, data: Path, program: Sequence[str]) -> None:
        self.folder = folder
        self._program = program
        self.data = data
        self.run = folder / "run"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, before: Callable[[], None] | None = None) -> int:
        """Switch it on: another boot. The boot clock just before. `before` runs in the new process."""
        shutil.rmtree(self.run, ignore_errors=True)
        command: list[str | Path] = [
            Path(sys.executable).parent / "temoin",
            "run",
            "--config",
            self.folder / "camera.toml",
        ]
        with (self.folder / "agent.log").open("ab") as said:
            began_ns = boot_ns()
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                preexec_fn=before,
            )
        return began_ns

    def stop(self) -> None:
        """Switch it off in order."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @property
    def pid(self) -> int:
        """The agent's."""
        assert self._process is not None
        return self._process.pid

    @property
    def capture_pid(self) -> int:
        return int((self.run / PROCESS).read_text(encoding="ascii"))

    def do(self, action: str, *values: str) -> int:
        """Something that happens to the board; the boot clock just before."""
        at_ns = boot_ns()
        send(self.run, action, list(values))
        return at_ns

    def light(self, since_ns: int, *colours: Colour) -> int:
        """When the light had one of these colours first, from `since_ns` on."""
        return self._seen(since_ns, lambda event: _colour(event) in colours, f"a light of {colours}")

    def heard(self, since_ns: int) -> int:
        """When a press was answered by vibration."""
        wanted = CUES[Moment.HEARD]
        said = {"tone": wanted.tone.value, "vibration": wanted.vibration.value}
        return self._seen(since_ns, lambda event: event.get("cue") == said, "an answer to the press")

    def events(self) -> list[Event]:
        """All that was seen, heard and felt since it was switched on."""
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in (self.run / "panel.log").read_bytes().split(b"\n")[:-1]]
        return []

    def status(self) -> Event:
        """What it says of itself; written every half second."""
        return status_in(self.run)

    def wait(self, what: str, holds: Callable[[Event], bool]) -> Event:
        """Until its status is as it must become."""
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            status = self.status()
            if status and holds(status):
                return status
            self._check(what)
            time.sleep(POLL_S)
        raise AssertionError(f"no sign of {what}: {self.status()}; {self._said()}")

    def wait_for(self, activity: str) -> Event:
        return self.wait(activity, lambda status: status.get("activity") == activity)

    def _seen(self, since_ns: int, holds: Callable[[Event], bool], what: str) -> int:
        ends = time.monotonic() + PATIENCE_S
        while time.monotonic() < ends:
            for event in self.events():
                at_ns = event["boot_ns"]
                assert isinstance(at_ns, int)
                if at_ns >= since_ns and holds(event):
                    return at_ns
            self._check(what)
            time.sleep(POLL_S)
        raise AssertionError(f"no sign of {what}; {self._said()}")

    def _check(self, what: str) -> None:
        assert self._process is not None, "it is off"
        code = self._process.poll()
        assert code is None, f"ended with {code} while waiting for {what}: {self._said()}"

    def _said(self) -> str:
        return (self.folder / "agent.log").read_text(encoding="utf-8", errors="replace")[-500:]


def ms_between(start_ns: int, end_ns: int) -> float:
    return (end_ns - start_ns) / NS_PER_MS


def seconds_between(start_ns: int, end_ns: int) -> float:
    return (end_ns - start_ns) / NS_PER_S


def _colour(event: Event) -> Colour | None:
    light = event.get("light")
    return Colour(light["colour"]) if isinstance(light, dict) else None
