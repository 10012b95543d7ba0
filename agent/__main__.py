"""`temoin run`: the agent's process on its board, simulated or real.

Guarantees: what cannot be used at the start is shown on the panel, said in one line, and ends the process with a code
that is not 0: nothing is recorded under a configuration that is not whole, and what capture has filmed by then is never
read. A real camera loads nothing of the simulated board, nor the other way round. The light "starting" comes before all
that takes its time to be loaded: on a small board that is more than a second.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path
from typing import Protocol

from agent.adapters.clock import SystemClock
from agent.adapters.service import ServiceManager
from agent.adapters.status import write_status
from agent.board_parts import BoardParts
from agent.config import Board, CameraConfig, check_footage, load_board, load_camera
from agent.errors import ConfigError, StoreError, TemoinError
from agent.model import Activity
from agent.ports import Devices, Disk, Panel, Post
from agent.states import DARK_AFTER_NS, Moment, cue, panel
from agent.status import refused
from agent.terminal import printable
from hw.boards import board_file


class Machine(Protocol):
    """What the agent runs on."""

    source: str
    """What films, as the journal calls it."""

    def open_disk(self, data: Path) -> Disk:
        """The card. Raises DiskError."""
        ...

    def make_devices(self, post: Post) -> Devices:
        """Raises BoardError, ConfigError."""
        ...

    def open_panel(self) -> Panel:
        """For the time before there are devices, and when there will be none. Raises ConfigError."""
        ...


def run_camera(path: Path) -> int:
    """Run the agent until it is told to end. Raises TemoinError for what cannot be used at the start."""
    config = load_camera(path)
    board = load_board(config.board_file(board_file))
    check_footage(config, board)
    return run_on(Simulated(config, board) if board.parts is None else Real(config, board, board.parts), config, board)


def run_on(machine: Machine, config: CameraConfig, board: Board) -> int:
    """The same on this machine."""
    try:
        disk = _take_card(config.data, machine)
        _make_folder(config.run, "choose a run folder of your own")
        machine.open_panel().show(panel(Activity.BOOTING, frozenset()), DARK_AFTER_NS)
        from agent.agent import Agent

        supervision = ServiceManager(os.environ, os.getpid())
        agent = Agent(config, board, disk, machine.make_devices, machine.source, supervision)
    except StoreError:
        raise  # another agent runs this board: its panel and its status stay its own
    except TemoinError as error:
        refuse(config.run, machine, error)
        raise
    try:
        agent.open()
        agent.serve()
    except TemoinError as error:
        refuse(config.run, machine, error)
        raise
    finally:
        agent.close()
    return 0


def _take_card(data: Path, machine: Machine) -> Disk:
    """The data folder, taken for this process. Raises StoreError when another agent has it, ConfigError, DiskError."""
    _make_folder(data, "give a data folder on a card")
    disk = machine.open_disk(data)
    disk.lock()
    return disk


def _make_folder(path: Path, remedy: str) -> None:
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error), remedy) from None


def refuse(run: Path, machine: Machine, error: TemoinError) -> None:
    """Tell the officer that this camera does not record; the light goes dark by itself."""
    with contextlib.suppress(ConfigError, OSError):  # a run folder that is not there is what is refused
        run.mkdir(mode=0o700, parents=True, exist_ok=True)
        shown = machine.open_panel()
        shown.show(panel(Activity.REFUSING, frozenset()), DARK_AFTER_NS)
        shown.play(cue(Moment.REFUSED))
        write_status(run, refused(error, SystemClock().boot_ns()))


class Simulated:
    """A Machine in the run folder, driven by `temoin sim`."""

    def __init__(self, config: CameraConfig, board: Board) -> None:
        from hw.sim.stall import CardStall

        assert config.footage is not None, "checked by check_footage"
        self.source = printable(f"board {board.name}: footage {config.footage.name}")[:200]
        self._run = config.run
        self._footage = config.footage
        self._board = board
        self._stall = CardStall()

    def open_disk(self, data: Path) -> Disk:
        from hw.sim.disk import SimDisk

        self._disk = SimDisk(data, observe=self._stall)
        return self._disk

    def make_devices(self, post: Post) -> Devices:
        from agent.agent import CAPTURE_SOCKET
        from hw.sim.board import Misfortunes, SimBoard
        from hw.sim.camera import capture_command

        command = capture_command(self._run / CAPTURE_SOCKET, self._board.file, self._footage)
        clock = self._board.clock
        misfortunes = Misfortunes(self._stall.begin, self._power_cut)
        return SimBoard(self._run, command, clock.rtc_error_ms if clock.rtc else None, post, misfortunes)

    def open_panel(self) -> Panel:
        from hw.sim.clock import SimClock
        from hw.sim.panel import SimPanel

        return SimPanel(self._run, SimClock(self._run, None), lambda event: None)

    def _power_cut(self) -> None:
        """The simulated board has no power any more: what was not durable is gone, and so are we, at once."""
        from hw.sim.power import POWER_CUT_EXIT

        self._disk.power_cut(secrets.randbelow)
        os._exit(POWER_CUT_EXIT)


class Real:
    """A Machine of parts."""

    def __init__(self, config: CameraConfig, board: Board, parts: BoardParts) -> None:
        assert config.services is not None, "checked by check_footage"
        self.source = f"board {board.name}: sensor {parts.sensor}"
        self._services = config.services
        self._config = config
        self._board = board

    def open_disk(self, data: Path) -> Disk:
        from agent.adapters.disk import RealDisk

        return RealDisk(data)

    def make_devices(self, post: Post) -> Devices:
        from hw.board import RealBoard

        return RealBoard(self._board, self._config, SystemClock(), post)

    def open_panel(self) -> Panel:
        from hw.panel import PipedPanel

        return PipedPanel(self._services.keeper, SystemClock(), lambda event: None)
