"""A real board's whole wiring, but for the pins (gpiozero's mock) and the film: agent, keeper, capture service, card.

Its certificate has the role `camera`: what it records verifies as evidence, not as SIMULATED.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from agent import local_socket
from agent.adapters.status import read_status
from agent.errors import ConfigError
from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.formats.age import RecipientKind
from agent.model import NS_PER_S
from hw.board import POWER_OFF, REBOOT
from hw.boards import board_file
from tests.support.agency import TestAgency, make_agency
from tests.support.boards import smaller
from tests.support.footage import make_footage
from tests.support.journals import bodies

WITHIN_S = 20.0
Status = Mapping[str, object]


class Board:
    """A camera folder as `temoin-fleet` makes it for a real board, with its services in the test's folder."""

    def __init__(self, folder: Path) -> None:
        self.agency: TestAgency = make_agency(folder, RecipientKind.CLASSIC, simulated=False, prerecord_ms=2_000)
        self.camera = self.agency.camera_folder()
        self.run = folder / "run"
        film = make_footage(folder / "film.mp4", frames=50, width=320, height=240, beeps=True)
        (self.camera / "board.toml").write_text(smaller(board_file("zero2w-clipon")), encoding="utf-8")
        places = {
            'board = "sim"': 'board = "./board.toml"',
            '"/run/temoin"  # in memory: it is written twice a second': f'"{self.run}"',
            "/run/temoin-keeper/panel": str(folder / "panel"),
            "/run/temoin-capture/start.sock": str(folder / "start.sock"),
        }
        config = (self.camera / "camera.toml").read_text(encoding="utf-8")
        for place, here in places.items():
            assert config.count(place) == 1, place
            config = config.replace(place, here)
        (self.camera / "camera.toml").write_text(config, encoding="utf-8")
        self.run.mkdir(mode=0o700)
        films = folder / "films.toml"  # there is no camera here: the board that films is the simulated one
        films.write_text(smaller(board_file("sim")), encoding="utf-8")
        arguments = ["--socket", str(self.run / "capture.sock"), "--board", str(films), "--footage", str(film)]
        with local_socket.listen(folder / "start.sock", 0o660) as listener:
            command = [sys.executable, "-m", "hw.capture.service", *arguments]
            self.service = subprocess.Popen(command, stdin=listener.fileno())
        self.agent: subprocess.Popen[str] | None = None
        self._lights = folder / "lights"

    def start(self) -> None:
        with self._lights.open("a") as lights:
            self.agent = subprocess.Popen(
                [sys.executable, "-m", "tests.support.board_process", "--config", str(self.camera / "camera.toml")],
                stdin=subprocess.PIPE,
                stdout=lights,
                text=True,
            )

    def do(self, line: str) -> None:
        assert self.agent is not None
        assert self.agent.stdin is not None
        self.agent.stdin.write(line + "\n")
        self.agent.stdin.flush()

    def lights(self) -> list[str]:
        """Every colour that the lamps have taken."""
        return [line.split()[1] for line in self._lights.read_text().splitlines()]

    def status(self) -> Status:
        try:
            return read_status(self.run)
        except ConfigError:
            return {}

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        ends = time.monotonic() + WITHIN_S
        while time.monotonic() < ends:
            if holds():
                return
            assert self.agent is not None
            assert self.agent.poll() is None, f"it ended with {self.agent.returncode}"
            time.sleep(0.02)
        raise AssertionError(f"{what} never came: {json.dumps(self.status())}")

    def until_activity(self, activity: str) -> None:
        self.until(activity, lambda: self.status().get("activity") == activity)

    def until_durable(self, seconds: float) -> None:
        def holds() -> bool:
            end_ns, press_ns = self.status().get("durable_end_ns"), self.status().get("press_ns")
            return isinstance(end_ns, int) and isinstance(press_ns, int) and end_ns - press_ns > seconds * NS_PER_S

        self.until(f"{seconds} s durable", holds)

    def close(self) -> None:
        for process in (self.agent, self.service):
            if process is not None:
                process.kill()
                process.wait()
        if self.agent is not None and self.agent.stdin is not None:
            self.agent.stdin.close()


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    with contextlib.closing(Board(tmp_path)) as made:
        yield made


def test_a_press_on_a_pin_becomes_evidence(board: Board) -> None:
    board.start()
    board.until_activity("ready")
    board.do("press")
    board.do("release")
    board.until_durable(1)
    assert board.status()["light"] == {"colour": "red", "pattern": "steady"}
    board.until("red lamps", lambda: board.lights()[-1] == "red")
    board.do("press")
    board.until_activity("ready")
    board.do("release")
    assert board.agent is not None
    board.agent.send_signal(signal.SIGTERM)
    assert board.agent.wait(WITHIN_S) == 0
    lights = board.lights()
    assert lights[0] in ("amber", "blue", "green"), "starting is shown"
    assert lights.index("green") < lights.index("red")
    data = board.camera / "data"
    report = verify(data, board.agency.root_pem, outside_head=None, now_ms=board.agency.now_ms)
    assert not (board.run / POWER_OFF).exists(), "who ends the process may start it again"
    assert report.verdict is Verdict.PARTIAL, report.lines()
    assert {reason.code for reason in report.reasons} <= {"bracket"}
    (stop,) = bodies(data, "recording.stop")
    assert stop["cause"] == "hold"
    (boot,) = bodies(data, "boot")
    assert boot["source"] == "board zero2w-clipon: sensor imx708"


def test_a_stopped_capture_process_is_killed_and_started_by_the_service(board: Board) -> None:
    board.start()
    board.until_activity("ready")
    board.do("press")
    board.do("release")
    board.until_durable(1)
    (capture,) = subprocess.run(
        ["ps", "--ppid", str(board.service.pid), "-o", "pid="], capture_output=True, text=True, check=True
    ).stdout.split()
    subprocess.run(["kill", "-STOP", capture], check=True)
    board.until("its successor", lambda: bool(bodies(board.camera / "data", "gap")))
    board.until_durable(8)
    causes = [body["cause"] for body in bodies(board.camera / "data", "alert")]
    assert "capture_restarted" in causes
    assert not (board.run / REBOOT).exists()


def test_the_off_input_seals_and_asks_for_the_end_of_power(board: Board) -> None:
    board.start()
    board.until_activity("ready")
    board.do("off on")
    assert board.agent is not None
    assert board.agent.wait(WITHIN_S) == 0
    (shutdown,) = bodies(board.camera / "data", "shutdown")
    assert shutdown["cause"] == "switched_off"
    assert (board.run / POWER_OFF).exists()


def test_a_contact_turns_the_radio_on_and_a_radio_that_is_not_there_is_said(board: Board) -> None:
    board.start()
    board.until_activity("ready")
    board.do("contact on")
    board.until("the alert", lambda: bool(failed_radios(board)))
    board.do("press")
    board.do("release")
    board.until_durable(1)
    assert failed_radios(board) in (["no_radio"], ["no_radio", "no_supplicant"], ["no_supplicant"])


def failed_radios(board: Board) -> list[str]:
    values = [body["values"] for body in bodies(board.camera / "data", "alert") if body["cause"] == "radio_failed"]
    return [str(value["fault"]) for value in values if isinstance(value, dict)]


def test_a_missing_pin_chip_is_said_with_its_remedy_and_shown(board: Board) -> None:
    """Without the mock: this computer has no pins, or not those of a board."""
    found = subprocess.run(
        [sys.executable, "-m", "agent.cli", "run", "--config", str(board.camera / "camera.toml")],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert found.returncode == 1
    assert found.stderr.startswith("temoin: gpio: ")
    assert "install temoin[camera]" in found.stderr or "/dev/gpiochip0" in found.stderr
    assert board.status()["activity"] == "refusing"
