"""Where a run of the agent is to end: at the n-th operation on the card inside one function of the program.

A trap is a file in the run folder: set before the start, or while the agent runs. The card's observer looks for it
before each operation, on the thread that makes it, and knows by the call stack which part of the program asks. Nothing
sleeps and nothing is guessed: a trap that never comes is seen by whoever set it.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType

from hw.sim.timeline import replace_file

FILE = "trap.json"


class Fate(StrEnum):
    """What a trap does to its agent, or to the capture process."""

    KILL = "kill"
    CUT = "cut"
    CAPTURE = "capture"


@dataclass(frozen=True, slots=True)
class Trap:
    """`fate` comes before operation `number` (from 1) inside the function `inside`, counted from the first operation
    inside `after` on. `seed` says how much of what was not durable a power cut leaves."""

    fate: Fate
    inside: str
    number: int
    seed: int
    after: str | None = None

    def __str__(self) -> str:
        since = f" after {self.after}" if self.after else ""
        return f"{self.fate} before operation {self.number} of {self.inside}{since}"


def arm(run: Path, trap: Trap) -> None:
    """Set the trap of the agent in the folder `run`."""
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_file(run / FILE, json.dumps(asdict(trap)))


def disarm(run: Path) -> bool:
    """Take the trap away; False if there is none, or it has come."""
    try:
        (run / FILE).unlink()
    except FileNotFoundError:
        return False
    return True


class Trapped:
    """An observer of a SimDisk. `spring(trap, operation, path)` is called once, on the thread that operates."""

    def __init__(self, run: Path, spring: Callable[[Trap, str, str], None]) -> None:
        self._run = run
        self._spring = spring
        self._trap: Trap | None = None
        self._begun = False
        self._count = 0

    def __call__(self, operation: str, path: str) -> None:
        trap = self._armed()
        if trap is None:
            return
        names = _callers()
        self._begun = self._begun or trap.after is None or trap.after in names
        if not self._begun or trap.inside not in names:
            return
        self._count += 1
        if self._count == trap.number:
            disarm(self._run)
            self._spring(trap, operation, path)

    def _armed(self) -> Trap | None:
        try:
            found = json.loads((self._run / FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        trap = Trap(**{**found, "fate": Fate(found["fate"])})
        if trap != self._trap:
            self._trap, self._begun, self._count = trap, False, 0
        return trap


def _callers() -> set[str]:
    """Qualified names of all functions that this thread is in."""
    names: set[str] = set()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        names.add(frame.f_code.co_qualname)
        frame = frame.f_back
    return names
