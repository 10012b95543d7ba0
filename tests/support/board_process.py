"""`temoin run` on a real board's drivers, over mock pins or the kernel's: `python -m tests.support.board_process
--config F`.

The keeper runs in a thread here, on the same pins. One line of standard input does something to a pin (`press`,
`release`, `contact on`, `contact off`, `off on`, `off off`); each colour that the lamps take is a line of standard
output, after the time.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from pathlib import Path

from agent.__main__ import Real, run_on
from agent.adapters.clock import SystemClock
from agent.board_parts import BoardParts
from agent.config import Board, CameraConfig, load_board, load_camera
from agent.model import NS_PER_MS, Colour
from agent.ports import Devices, Post
from agent.terminal import run
from hw.board import RealBoard
from hw.keeper import Keeper, PipeReader, open_outputs, turn
from tests.support.pins import colour_of, header

LOOK_NS = 20 * NS_PER_MS


class PinnedMachine(Real):
    """A real board on whatever pins there are."""

    def __init__(self, config: CameraConfig, board: Board, parts: BoardParts) -> None:
        super().__init__(config, board, parts)
        self.pins = header()
        assert config.services is not None
        self._parts = parts
        self._keeper = Keeper(open_outputs(parts, self.pins.factory))
        self._reader = PipeReader(config.services.keeper)
        self._colour = Colour.OFF

    def make_devices(self, post: Post) -> Devices:
        return RealBoard(self._board, self._config, SystemClock(), post, open_pins=lambda folder: self.pins.factory)

    def keep(self) -> None:
        """As hw/keeper.py does, and say each colour."""
        clock = SystemClock()
        while True:
            due_ns = turn(self._keeper, self._reader, clock.boot_ns())
            self._look()
            now_ns = clock.boot_ns()
            self._reader.wait(min(LOOK_NS, LOOK_NS if due_ns is None else due_ns - now_ns))

    def obey(self) -> None:
        """Standard input, to its end."""
        wiring = self._parts.wiring
        pins = {"contact": wiring.contact, "off": wiring.switch_off}
        for line in sys.stdin:
            what, _, how = line.strip().partition(" ")
            if what in ("press", "release"):
                self.pins.drive(wiring.button, what == "press")
            else:
                self.pins.drive(pins[what], how == "on")

    def _look(self) -> None:
        colour = colour_of(self._parts, self.pins.is_on)
        if colour is not self._colour:
            self._colour = colour
            print(time.monotonic_ns(), colour.value, flush=True)


def main() -> int:
    """The exit code of `temoin run`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    parsed = parser.parse_args()
    return run("temoin", lambda: _run(parsed.config))


def _run(path: Path) -> int:
    config = load_camera(path)
    board = load_board(config.board_file(Path))
    assert board.parts is not None
    machine = PinnedMachine(config, board, board.parts)
    for task in (machine.keep, machine.obey):
        threading.Thread(target=task, daemon=True).start()
    return run_on(machine, config, board)


if __name__ == "__main__":
    sys.exit(main())
