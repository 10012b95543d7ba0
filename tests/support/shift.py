"""One officer's shift on a simulated board, for system tests: `temoin run` as a process, played by the board's socket.

Guarantees: everything goes through the commands and sockets that people and boards use; each wait has a deadline and
says what it waited for and what the agent last said; no process outlives its shift. Real time passes: these are not
tests of the fast suite. Assumes: the commands of this environment's `temoin`, a free board for each shift.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from agent.formats import entries, fields
from agent.formats.canonical import Object
from agent.model import NS_PER_S
from hw.sim.agent_process import COMMANDS, AgentProcess, Status
from hw.sim.control import send
from hw.sim.finger import HOLD_NS
from hw.sim.power import POWER_CUT_EXIT

DEV = "cam-01"
DEADLINE_S = 60.0  # for what takes a second on a machine of one's own


def boot_ns() -> int:
    """The clock that a camera's `*_ns` are on, read by somebody else than the camera."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def command(name: str, *arguments: str | Path, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """One of the house's commands, with nobody at the terminal."""
    return subprocess.run(
        [COMMANDS / name, *arguments],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )


def succeed(name: str, *arguments: str | Path) -> str:
    """What the command printed; it must end with 0."""
    done = command(name, *arguments)
    assert done.returncode == 0, f"{name} {arguments[0]}: {done.returncode}: {done.stderr}{done.stdout}"
    return done.stdout


@dataclass(frozen=True, slots=True)
class Agency:
    """What `temoin-fleet init` made of one camera and a demo agency, in the folder of each holder."""

    folder: Path

    @property
    def camera(self) -> Path:
        return self.folder / "cameras" / DEV

    @property
    def root(self) -> Path:
        return self.folder / "ca" / "agency.pem"

    @property
    def reader(self) -> Path:
        return self.folder / "reader"

    @property
    def identity(self) -> Path:
        return self.reader / "agency.age-identity"

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the root certificate, as the agency publishes it."""
        words = (self.folder / "ca" / "FINGERPRINT.txt").read_text(encoding="utf-8").split()
        return next(word for word in words if len(word) == 64)


def make_agency(folder: Path, film: Path, kind: str, prerecord_s: int) -> Agency:
    """By the technician's command; `kind` is `post-quantum` or `classic`."""
    who = ("--agency", "ville-test", "--name", "Police municipale", "--camera", DEV)
    what = ("--kind", kind, "--prerecord-s", str(prerecord_s), "--footage", film)
    succeed("temoin-fleet", "init", folder, *who, *what, "--demo")
    return Agency(folder)


class Camera:
    """A camera in its folder (with camera.toml). Leaving the context switches it off."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.agent = AgentProcess(folder)
        self.least_lag_ns: int | None = None
        """How long after its end the newest fragment was first heard of, at best; under 0: filmed what is to come."""

    def __enter__(self) -> Camera:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.switch_off()

    def start(self) -> None:
        """Switch on."""
        self.agent.start()

    def do(self, action: str, *values: str) -> tuple[int, int]:
        """Something that happens to the board; the boot clock before and after."""
        before_ns = boot_ns()
        send(self.agent.run, action, values)
        return before_ns, boot_ns()

    def wait(self, what: str, holds: Callable[[Status], bool]) -> Status:
        """Until the status is as it must become; fails at the deadline, or if the agent ends."""

        def seen(status: Status) -> bool:
            self._note_lag(status.get("captured_end_ns"))
            return holds(status)

        def alive() -> None:
            code = self.agent.ended()
            assert code is None, f"temoin run ended with {code}: {self.said()}"

        found = self.agent.watch(seen, DEADLINE_S, alive)
        assert found is not None, f"after {DEADLINE_S:.0f} s not {what}: {self.agent.status()}; {self.said()}"
        return found

    def wait_for(self, activity: str) -> Status:
        return self.wait(activity, lambda status: status.get("activity") == activity)

    def wait_until_captured(self, end_ns: int) -> None:
        """Until the camera has filmed up to that time."""
        self.wait(f"filmed up to {end_ns}", lambda status: _at_least(status.get("captured_end_ns"), end_ns))

    def wait_until_durable(self, end_ns: int) -> None:
        """Until what was filmed up to that time is on the card."""
        self.wait(f"durable up to {end_ns}", lambda status: _at_least(status.get("durable_end_ns"), end_ns))

    def wait_until(self, time_ns: int) -> None:
        """Until the boot clock says so."""
        self.wait("that late", lambda _: boot_ns() >= time_ns)

    def cut_power(self) -> None:
        """What was not durable is gone, and the agent with it."""
        self.do("power-cut")
        assert self.agent.wait(DEADLINE_S) == POWER_CUT_EXIT, self.said()

    def switch_off(self) -> None:
        """Tell the agent to end, and see that it does."""
        code = self.agent.end(DEADLINE_S)
        assert code in (0, None), self.said()

    def said(self) -> str:
        """What the agent wrote on its standard error: nothing, on a good day."""
        return self.agent.messages.read_text(encoding="utf-8", errors="replace")

    def _note_lag(self, end_ns: object) -> None:
        if isinstance(end_ns, int):
            lag_ns = boot_ns() - end_ns
            self.least_lag_ns = lag_ns if self.least_lag_ns is None else min(self.least_lag_ns, lag_ns)


def _at_least(value: object, least: int) -> bool:
    return isinstance(value, int) and value >= least


@dataclass(frozen=True, slots=True)
class Worked:
    """A shift that was worked: a whole recording, then one that a power cut ended, then the boot that recovered it.

    Pairs of ns are the boot clock just before and after the finger moved.
    """

    agency: Agency
    data: Path
    started_ns: int
    ready_ns: int
    least_lag_ns: int
    pressed_ns: tuple[int, int]
    held_ns: tuple[int, int]
    whole: str
    cut: str


def work(folder: Path, film: Path, kind: str, prerecord_s: int = 5, pressed_s: float = 2.6) -> Worked:
    """The shift, in real time (about 20 s); `folder` is new."""
    agency = make_agency(folder / "agency", film, kind, prerecord_s)
    shutil.copytree(agency.camera, folder / "camera")
    with Camera(folder / "camera") as camera:
        started_ns = boot_ns()
        camera.start()
        camera.wait_for("ready")
        ready_ns = boot_ns()
        camera.wait_until_captured(ready_ns + (prerecord_s + 1) * NS_PER_S)
        pressed_ns = camera.do("tap")
        whole = str(camera.wait_for("recording")["recording"])
        camera.wait_until_captured(pressed_ns[1] + int(pressed_s * NS_PER_S))
        held_ns = camera.do("hold")
        camera.wait_for("ready")
        camera.wait_until(held_ns[1] + HOLD_NS + NS_PER_S // 10)  # the finger is off again
        again_ns, _ = camera.do("tap")
        cut = str(camera.wait_for("recording")["recording"])
        camera.wait_until_durable(again_ns + 2 * NS_PER_S)
        camera.cut_power()
        camera.start()
        camera.wait_for("ready")
    lag_ns = camera.least_lag_ns
    assert lag_ns is not None
    return Worked(agency, camera.data, started_ns, ready_ns, lag_ns, pressed_ns, held_ns, whole, cut)


# --- what the journal says of it --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Fragment:
    """A `fragment` entry; `offset` and `length_bytes` are in the file."""

    seg: int
    n: int
    offset: int
    length_bytes: int
    t0_ns: int
    end_ns: int
    frames: int
    sound: bool
    pre: bool
    plain: str


def bodies(data: Path, kind: str, rec: str) -> list[Object]:
    """The bodies of all entries of that kind that a recording has, in order."""
    return [body for found, body in _entries(data) if found == kind and body.get("rec") == rec]


def fragments(data: Path, rec: str) -> list[Fragment]:
    """What a recording holds, as the camera signed it."""
    return [
        Fragment(
            seg=fields.integer_of(body, "seg"),
            n=fields.integer_of(body, "n"),
            offset=fields.integer_of(body, "off"),
            length_bytes=fields.integer_of(body, "len"),
            t0_ns=fields.ns_of(body, "t0_ns"),
            end_ns=fields.ns_of(body, "t0_ns") + fields.ns_of(body, "dur_ns"),
            frames=fields.integer_of(body, "frames"),
            sound=body["sound"] is True,
            pre=body["pre"] is True,
            plain=fields.text_of(body, "plain"),
        )
        for body in bodies(data, "fragment", rec)
    ]


def _entries(data: Path) -> Iterator[tuple[str, Object]]:
    for file in sorted((data / "journal").glob("*.log")):
        for line in file.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n"):  # a line that a power cut tore is no entry
                entry = entries.parse_line(line)
                assert entry.body is not None
                yield entry.head.kind, entry.body


# --- stock tools ------------------------------------------------------------------------------------------------------


def tool_folder(folder: Path, links: Sequence[tuple[str, str]]) -> Path:
    """A folder for the front of PATH in which each name is that other program."""
    folder.mkdir()
    for name, program in links:
        path = shutil.which(program)
        assert path is not None, f"{program} is not installed"
        (folder / name).symlink_to(path)
    return folder
