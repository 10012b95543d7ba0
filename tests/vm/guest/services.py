"""A camera as its board runs it, and the dock that it belongs to: keeper, capture service, agent, broker, dock, each a
process started by the command of its unit. Its wires are gpio-sim's, its pictures libcamera's virtual camera's.

Assumes: what tests/virtual/stubs stands in for; a board file of which only what this machine has is another.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agent import local_socket
from agent.adapters.status import read_status
from agent.board_parts import Pin
from agent.config import load_board
from agent.errors import ConfigError
from agent.formats.age import RecipientKind
from agent.model import Colour
from hw.boards import board_file
from tests.support.agency import TestAgency, make_agency
from tests.support.boards import changed
from tests.support.dock_process import RunningDock
from tests.support.driven_battery import DrivenBattery
from tests.support.gpio_sim import Chip
from tests.support.mosquitto import free_port, running
from tests.support.pins import colour_of

WITHIN_S = 120.0
LOOK_S = 0.005
STUBS = Path(__file__).parents[2] / "virtual" / "stubs"
CHANGES = {
    "width": "160",
    "height": "120",
    "frames_per_second": "10",
    "bit_rate_bps": "250_000",
    "max_bit_rate_bps": "500_000",
    "sensor": '"bars"',
    "encoder": '"libx264"',
    "device": '"hw:CARD=Loopback,DEV=1"',
    "battery": f'"{DrivenBattery.NAME}"',
}
RADIO = (
    '[radio]                        # Wi-Fi, on while the camera is in its dock and never else\ninterface = "wlan0"\n'
)
"""Without it the board docks by a cable: this machine's loopback."""

Status = Mapping[str, object]


def write_board(to: Path) -> None:
    """The clip-on's file, but for what is filmed and heard, and the names of the battery and of no radio."""
    text = changed(board_file("zero2w-clipon"), CHANGES)
    assert text.count(RADIO) == 1
    to.write_text(text.replace(RADIO, ""), encoding="utf-8")


class Board:
    """`folder` gets everything. Its battery is full."""

    def __init__(self, agency: TestAgency, folder: Path) -> None:
        self.folder = agency.camera_folder()
        self.run = folder / "run"
        self._chip = Chip()
        self._processes: list[subprocess.Popen[bytes]] = []
        write_board(self.folder / "board.toml")
        parts = load_board(self.folder / "board.toml").parts
        assert parts is not None
        self.parts = parts
        battery = DrivenBattery()
        for parameter, value in (("capacity", "90"), ("status", "discharging"), ("voltage", "3900000")):
            battery.set(parameter, value)
        for pin in (parts.wiring.button, parts.wiring.switch_off, parts.wiring.contact):
            self.wire(pin, False)
        self._configure(folder)
        self._start_services(folder)

    def _configure(self, folder: Path) -> None:
        places = {
            'board = "sim"': 'board = "./board.toml"',
            '"/run/temoin"  # in memory: it is written twice a second': f'"{self.run}"',
            "/run/temoin-keeper/panel": str(folder / "panel"),
            "/run/temoin-capture/start.sock": str(folder / "start.sock"),
        }
        path = self.folder / "camera.toml"
        config = path.read_text(encoding="utf-8")
        for place, here in places.items():
            assert config.count(place) == 1, place
            config = config.replace(place, here)
        path.write_text(config, encoding="utf-8")
        self.run.mkdir(mode=0o700)

    def _start_services(self, folder: Path) -> None:
        board = str(self.folder / "board.toml")
        (folder / "lgpio").mkdir()
        self._start("hw.keeper", "--board", board, "--pipe", str(folder / "panel"), "--folder", str(folder / "lgpio"))
        wait_until("the keeper's pipe", (folder / "panel").is_fifo)
        films = {"PYTHONPATH": f"{STUBS}:{Path.cwd()}", "VIRTUAL_CAMERA_HOLD": str(folder / "hold")}
        with local_socket.listen(folder / "start.sock", 0o660) as listener:
            arguments = ("--socket", str(self.run / "capture.sock"), "--board", board)
            self._start("hw.capture.service", *arguments, listener=listener.fileno(), **films)

    def start(self) -> None:
        """The agent, as `temoin run`."""
        self._start("agent.cli", "run", "--config", str(self.folder / "camera.toml"))

    def wire(self, pin: Pin, on: bool) -> None:
        """Press, touch, or let go."""
        self._chip.set(pin.gpio, on == (pin.active == "high"))

    def colour(self) -> Colour:
        """Of the lamps, as they shine at this moment."""
        return colour_of(self.parts, lambda pin: self._chip.high(pin.gpio) == (pin.active == "high"))

    def status(self) -> Status:
        """Empty until there is one."""
        try:
            return read_status(self.run)
        except ConfigError:
            return {}

    def until(self, what: str, holds: Callable[[], bool]) -> float:
        """The milliseconds that it took. What runs goes on running meanwhile."""

        def holds_and_lives() -> bool:
            for process in self._processes:
                assert process.poll() is None, f"{process.args!r} ended with {process.returncode}; {self.status()}"
            return holds()

        return wait_until(what, holds_and_lives, lambda: json.dumps(self.status()))

    def until_activity(self, activity: str) -> float:
        return self.until(activity, lambda: self.status().get("activity") == activity)

    def close(self) -> None:
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(WITHIN_S)
            finally:
                process.kill()

    def _start(self, module: str, *arguments: str, listener: int | None = None, **settings: str) -> None:
        command = [sys.executable, "-m", module, *arguments]
        self._processes.append(subprocess.Popen(command, stdin=listener, env={**os.environ, **settings}))


def wait_until(what: str, holds: Callable[[], bool], said: Callable[[], str] = str) -> float:
    """The milliseconds that it took."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() - began_s < WITHIN_S, f"{what} never came {said()}"
        time.sleep(LOOK_S)
    return (time.monotonic() - began_s) * 1000


@contextlib.contextmanager
def camera_and_dock(folder: Path) -> Iterator[tuple[Board, RunningDock]]:
    """Both of one agency, running; ended in order."""
    broker, intake, health = free_port(), free_port(), free_port()
    now_ms = (time.time_ns() // 1_000_000_000 - 60) * 1000
    agency = make_agency(folder, RecipientKind.CLASSIC, simulated=False, prerecord_ms=2_000, now_ms=now_ms,
                         broker_port=broker, intake_port=intake)  # fmt: skip
    config = agency.dock_folder() / "dock.toml"
    config.write_text(config.read_text().replace("127.0.0.1:9464", f"127.0.0.1:{health}"))
    with running(agency.dock_folder(), broker) as mosquitto:
        dock = RunningDock(agency, mosquitto, health, folder / "dock.log")
        dock.start()
        try:
            with contextlib.closing(Board(agency, folder)) as board:
                board.start()
                yield board, dock
        finally:
            dock.kill()
