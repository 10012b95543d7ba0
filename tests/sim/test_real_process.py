"""The agent as it is run: a process of its own, real time, a real kill -9 and a simulated power cut. A few seconds."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from agent.adapters.status import read_status
from agent.errors import ConfigError
from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.formats.age import RecipientKind
from agent.formats.canonical import Object
from agent.formats.entries import Entry
from agent.model import NS_PER_S, Colour
from hw.boards import board_file
from hw.sim.control import send
from hw.sim.panel import light_now
from hw.sim.power import SimPower
from tests.support import journals
from tests.support.agency import TestAgency, make_agency
from tests.support.boards import smaller
from tests.support.footage import make_footage

DEADLINE_S = 10
POLL_S = 0.05
HARMLESS = {"simulated", "bracket", "recovered", "torn", "weak", "orphan", "interrupted"}


class RealCamera:
    """`temoin run` on a small board, watched through its own status."""

    def __init__(self, agency: TestAgency) -> None:
        self.agency = agency
        self.config = agency.config()
        self.data = self.config.data
        self.process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        (self.config.run / "status.json").unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent.cli", "run", "--config", str(self.config.file)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait(self, holds: Callable[[Mapping[str, object]], bool]) -> Mapping[str, object]:
        """Until the status is so; it may take DEADLINE_S."""
        until = time.monotonic() + DEADLINE_S
        found: Mapping[str, object] = {}
        while time.monotonic() < until:
            try:
                found = read_status(self.config.run)
            except ConfigError:
                found = {}
            if holds(found):
                return found
            assert self.process is not None
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(POLL_S)
        raise AssertionError(f"never came: {found}")

    def wait_for(self, activity: str) -> Mapping[str, object]:
        return self.wait(lambda status: status.get("activity") == activity)

    def do(self, action: str, *values: str) -> None:
        send(self.config.run, action, list(values))

    def ended(self) -> int:
        """Exit code, once it has ended. It says nothing: whatever it printed is a defect."""
        assert self.process is not None
        said, _ = self.process.communicate(timeout=DEADLINE_S)
        assert said == ""
        code, self.process = self.process.returncode, None
        return code

    def entries(self) -> list[Entry]:
        return journals.entries(self.data)

    def bodies(self, kind: str) -> list[Object]:
        return journals.bodies(self.data, kind)


def small_board(agency: TestAgency) -> None:
    """The packaged simulated board, filming 320 x 240."""
    config = agency.config()
    (config.file.parent / "board.toml").write_text(smaller(board_file("sim")), encoding="utf-8")
    camera = config.file.read_text(encoding="utf-8")
    config.file.write_text(camera.replace('board = "sim"', 'board = "./board.toml"'), encoding="utf-8")


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[RealCamera]:
    film = make_footage(tmp_path / "film.mp4", frames=50, width=320, height=240, beeps=True)
    agency = make_agency(tmp_path, RecipientKind.CLASSIC, prerecord_ms=2_000, footage=film)
    small_board(agency)
    made = RealCamera(agency)
    shutil.rmtree(made.config.run)  # in memory on a board: gone with each boot
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.communicate()


def durable(seconds_after_press: float) -> Callable[[Mapping[str, object]], bool]:
    def holds(status: Mapping[str, object]) -> bool:
        end_ns, press_ns = status.get("durable_end_ns"), status.get("press_ns")
        return (
            isinstance(end_ns, int) and isinstance(press_ns, int) and end_ns - press_ns > seconds_after_press * NS_PER_S
        )

    return holds


def test_a_kill_and_a_power_cut(camera: RealCamera) -> None:
    camera.start()
    camera.wait_for("ready")
    camera.do("tap")
    camera.wait(durable(1))
    assert camera.process is not None
    camera.process.send_signal(signal.SIGKILL)
    assert camera.ended() == -signal.SIGKILL

    camera.start()
    camera.wait_for("recording")
    (gap,) = camera.bodies("gap")
    assert gap["cause"] == "agent_restart"
    camera.do("hold")
    camera.wait_for("ready")
    assert [body["cause"] for body in camera.bodies("recording.stop")] == ["hold"]

    camera.do("tap")
    told = camera.wait(durable(1))
    camera.do("power-cut")
    assert camera.ended() == 137
    assert light_now(camera.config.run, time.clock_gettime_ns(time.CLOCK_BOOTTIME)).colour is Colour.OFF

    camera.start()
    status = camera.wait_for("ready")
    conditions = status["conditions"]
    assert isinstance(conditions, list)
    assert "interrupted" in conditions
    assert [body["cause"] for body in camera.bodies("recording.stop")] == ["hold", "interrupted"]
    ends = [int(str(body["t0_ns"])) + int(str(body["dur_ns"])) for body in camera.bodies("fragment")]
    assert told["durable_end_ns"] in ends
    assert camera.process is not None
    camera.process.send_signal(signal.SIGTERM)
    assert camera.ended() == 0
    assert camera.entries()[-1].head.kind == "shutdown"
    assert read_status(camera.config.run)["activity"] == "shutting_down"

    report = verify(camera.data, camera.agency.root_pem, now_ms=time.time_ns() // 1_000_000)
    assert {reason.code for reason in report.reasons} <= HARMLESS, report.lines()
    assert report.verdict is Verdict.SIMULATED


def test_a_film_that_cannot_be_played_is_one_line_and_the_panel_refuses(camera: RealCamera) -> None:
    assert camera.config.footage is not None
    camera.config.footage.write_bytes(b"no film\n" * 100)
    camera.start()
    assert camera.process is not None
    said, _ = camera.process.communicate(timeout=DEADLINE_S)
    assert camera.process.returncode == 1
    camera.process = None
    assert said.startswith(f"temoin: {camera.config.footage}: ")
    assert said.count("\n") == 1
    assert light_now(camera.config.run, time.clock_gettime_ns(time.CLOCK_BOOTTIME)).colour is Colour.AMBER
    assert read_status(camera.config.run)["activity"] == "refusing"
    assert str(camera.config.footage) in json.dumps(read_status(camera.config.run)["unavailable"])
    assert not camera.bodies("recording.start")


def test_a_second_agent_leaves_the_first_one_alone(camera: RealCamera) -> None:
    camera.config.run.mkdir(exist_ok=True)
    SimPower(camera.config.run).set_percent(15)
    camera.start()
    conditions = camera.wait_for("ready")["conditions"]
    assert isinstance(conditions, list)
    assert "low_battery" in conditions  # read at the start, not only when it changes
    second = subprocess.run(
        [sys.executable, "-m", "agent.cli", "run", "--config", str(camera.config.file)],
        check=False,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"temoin: {camera.data}: another agent")
    assert second.stderr.count("\n") == 1
    assert camera.wait(lambda status: bool(status))["activity"] == "ready"
    camera.do("tap")
    camera.wait_for("recording")
