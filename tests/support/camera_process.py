"""The capture process of a real board, and the agent's own intake that takes what it films."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import TracebackType

from agent.config import Board, load_board
from agent.intake import Captured, CaptureGone, InitSeen, Intake, IntakeReport, Observed
from agent.local_socket import listen
from agent.model import NS_PER_MS, NS_PER_S, FragmentInfo
from agent.ring import Ring

STARTS_WITHIN_S = 60.0  # a Zero 2 W reads its libraries from a card
PRERECORD_MS = 30_000


def boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


class Filming:
    """Runs `python -m hw.capture` on the board's own camera while it is a context; killed at its end."""

    def __init__(self, board_file: Path, folder: Path) -> None:
        self.board: Board = load_board(board_file)
        self.fragments: list[FragmentInfo] = []
        self.came_ns: list[int] = []
        """When each fragment was whole in the ring."""
        self.inits = 0
        self.observed: list[Observed] = []
        self.gone: list[CaptureGone] = []
        self.said = folder / "capture.log"
        self._command = [sys.executable, "-m", "hw.capture", "--board", str(board_file)]
        self._command += ["--socket", str(folder / "socket")]
        arena = memoryview(bytearray(self.board.ring_bytes(PRERECORD_MS)))
        ring = Ring(arena, PRERECORD_MS * NS_PER_MS)
        self.intake = Intake(listen(folder / "socket"), ring, self._report, boot_ns)
        self.process = self.start()

    def start(self) -> subprocess.Popen[bytes]:
        """Another capture process; the one before must have ended."""
        self._fresh = True
        self.started_ns = boot_ns()
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        return self.process

    def __enter__(self) -> Filming:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.process.kill()
        self.process.wait()
        self.intake.close()

    def until(self, holds: Callable[[], bool], seconds: float) -> bool:
        """Whether it came to hold, while the intake does its work."""
        ends = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > ends:
                return False
            self.intake.wait(0.05)
            self.intake.step()
        return True

    def take(self, count: int) -> list[FragmentInfo]:
        """The next `count` fragments; fails when they do not come in time."""
        wanted = len(self.fragments) + count
        seconds = count * 1.5 + STARTS_WITHIN_S * self._fresh
        assert self.until(lambda: len(self.fragments) >= wanted, seconds), self.words()
        self._fresh = False
        return self.fragments[wanted - count : wanted]

    def words(self) -> str:
        """What the capture process said, with libcamera's own lines."""
        return self.said.read_text("utf-8", "replace")

    def peak_mib(self) -> int:
        """Of the capture process: the most memory that it had, with the pictures' buffers."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) // 1024

    def cpu_s(self) -> float:
        """What the capture process has used of one core."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100

    def _report(self, report: IntakeReport) -> None:
        if isinstance(report, Captured):
            self.fragments.append(report.info)
            self.came_ns.append(boot_ns())
        elif isinstance(report, InitSeen):
            self.inits += 1
        elif isinstance(report, Observed):
            self.observed.append(report)
        else:
            self.gone.append(report)


def holes_ns(fragments: list[FragmentInfo]) -> list[int]:
    """How far each fragment begins from the end of the one before."""
    return [abs(later.t0_ns - earlier.t0_ns - earlier.dur_ns) for earlier, later in pairwise(fragments)]


def frames_a_second(fragments: list[FragmentInfo]) -> float:
    """From the first fragment's first picture to the last one's end."""
    last = fragments[-1]
    return sum(each.frames for each in fragments) * NS_PER_S / (last.t0_ns + last.dur_ns - fragments[0].t0_ns)
