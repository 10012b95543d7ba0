"""`temoin run` with a trap in its card and a witness beside it: `python -m tests.kills.agent --config F`.

The agent is the real one, built as `agent.__main__` builds it. Three things are added: the card's observer looks for
traps; all that the loops tell each other is also written to `told.jsonl`, one line a write, before anybody else hears
it; a power cut keeps what its trap's seed says. `--nearly-full N` puts alerts into the journal until N bytes are
missing to its limit; `--tap F` copies what capture sends into files F.<pid>.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agent.__main__ import Simulated, refuse
from agent.adapters.service import ServiceManager
from agent.adapters.signer import FileSigner
from agent.agent import Agent
from agent.clock import TimeKeeper
from agent.config import Board, CameraConfig, load_board, load_camera
from agent.errors import TemoinError
from agent.formats.canonical import Value
from agent.formats.statement import Policy
from agent.intake import Captured, IntakeReport
from agent.model import BoardEvent
from agent.orders import Durable, Failed, Marked, Refused, Report, Stopped
from agent.ports import Devices, Disk, Post
from agent.store.journal import MAX_FILE_BYTES, Journal
from agent.store.last import LastFile
from agent.terminal import run
from hw.sim.board import SimBoard
from hw.sim.camera import PROCESS
from hw.sim.control import Action
from hw.sim.disk import SimDisk
from hw.sim.power import POWER_CUT_EXIT
from tests.kills.traps import Fate, Trap, Trapped

TOLD = "told.jsonl"
FILLER = {f"filler_{number}": "x" * 200 for number in range(16)}


class Witness:
    """Appends to the run folder's `told.jsonl`: what a killed process wrote stays."""

    def __init__(self, run_folder: Path) -> None:
        run_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(run_folder / TOLD, flags, 0o600)

    def note(self, **what: object) -> None:
        line = json.dumps({"boot_ns": time.clock_gettime_ns(time.CLOCK_BOOTTIME), **what})
        os.write(self._descriptor, line.encode() + b"\n")


class TrappedMachine(Simulated):
    """A simulated board whose card looks for traps, and whose power cut keeps what the trap's seed says."""

    def __init__(self, config: CameraConfig, board: Board, witness: Witness, tap: Path | None) -> None:
        super().__init__(config, board)
        self._witness = witness
        self._tap = tap
        self._choose: Callable[[int], int] = random.SystemRandom().randrange
        self._board_made: SimBoard | None = None

    def open_disk(self, data: Path) -> Disk:
        trapped = Trapped(self._run, self._spring)

        def observe(operation: str, where: str) -> None:
            self._stall(operation, where)
            trapped(operation, where)

        self._disk = SimDisk(data, observe=observe)
        return self._disk

    def make_devices(self, post: Post) -> Devices:
        made = super().make_devices(post)
        assert isinstance(made, SimBoard)
        if self._tap is not None:
            made.camera._command[:0] = [sys.executable, "-m", "tests.kills.tap", str(self._tap)]
        self._board_made = made
        return made

    def _spring(self, trap: Trap, operation: str, path: str) -> None:
        """What the trap is there for. A cut and a kill do not return."""
        self._witness.note(trap=str(trap), operation=operation, path=path)
        if trap.fate is Fate.KILL:
            os.kill(os.getpid(), signal.SIGKILL)
        elif trap.fate is Fate.CAPTURE:
            os.killpg(int((self._run / PROCESS).read_text(encoding="ascii")), signal.SIGKILL)
        else:
            self._choose = random.Random(trap.seed).randrange
            assert self._board_made is not None
            self._board_made.perform(Action("power-cut"))

    def _power_cut(self) -> None:
        self._witness.note(power_cut=True)
        self._disk.power_cut(self._choose)
        os._exit(POWER_CUT_EXIT)


class TrappedAgent(Agent):
    """The agent with a witness, and a journal that may begin nearly full."""

    def __init__(
        self,
        config: CameraConfig,
        board: Board,
        disk: Disk,
        machine: TrappedMachine,
        witness: Witness,
        nearly_full: int | None,
    ) -> None:
        self._witness = witness
        self._nearly_full = nearly_full
        supervision = ServiceManager(os.environ, os.getpid())
        super().__init__(config, board, disk, machine.make_devices, machine.source, supervision)

    def _open_journal(
        self, disk: Disk, signer: FileSigner, keeper: TimeKeeper, found: LastFile | None, policy: Policy
    ) -> Journal:
        journal = super()._open_journal(disk, signer, keeper, found, policy)
        if self._nearly_full is not None:
            values: Mapping[str, Value] = dict(FILLER)
            size_bytes = sum(len(entry.line) for entry in journal._pending)
            while size_bytes < MAX_FILE_BYTES - self._nearly_full:
                alert = journal.append("alert", {"cause": "rehearsal", "values": values, "remedy": "none"})
                size_bytes += len(alert.line)
        return journal

    def _heard(self, report: IntakeReport) -> None:
        if isinstance(report, Captured):
            self._witness.note(captured=[str(report.info.t0_ns), str(report.info.end_ns), report.info.epoch])
        super()._heard(report)

    def _post(self, news: Report | BoardEvent) -> None:
        match news:
            case Durable():
                self._witness.note(durable=news.rec, end_ns=str(news.end_ns))
            case Stopped():
                self._witness.note(stopped=news.rec, cause=news.cause.value)
            case Marked():
                self._witness.note(marked=None if news.notice is None else news.notice.value)
            case Refused() | Failed():
                self._witness.note(refused=news.why.cause)
        super()._post(news)


def main() -> int:
    """The exit code of `temoin run`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--nearly-full", type=int)
    parser.add_argument("--tap", type=Path)
    parsed = parser.parse_args()
    return run("temoin", lambda: _run(parsed.config, parsed.nearly_full, parsed.tap))


def _run(path: Path, nearly_full: int | None, tap: Path | None) -> int:
    config = load_camera(path)
    board = load_board(config.board_file(Path))
    witness = Witness(config.run)
    machine = TrappedMachine(config, board, witness, tap)
    config.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    disk = machine.open_disk(config.data)
    disk.lock()
    agent = TrappedAgent(config, board, disk, machine, witness, nearly_full)
    witness.note(started=os.getpid())
    try:
        agent.open()
        agent.serve()
    except TemoinError as error:
        refuse(config.run, machine, error)
        raise
    finally:
        agent.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
