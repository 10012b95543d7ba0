"""The simulated board: what happens to it is posted, and its devices outlive the agent."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.button import Button, Gesture, Hold, Press, Tap
from agent.errors import CaptureError, ConfigError, FormatError
from agent.model import (
    DARK,
    NS_PER_S,
    Battery,
    BatteryChanged,
    BoardEvent,
    ButtonEdge,
    Colour,
    Contact,
    Cue,
    Light,
    OutputFailed,
    Tone,
)
from hw.sim.board import Misfortunes, SimBoard
from hw.sim.camera import SimCamera, capture_command
from hw.sim.clock import SimClock
from hw.sim.control import Action, send
from hw.sim.finger import HOLD_NS, TAP_NS, Finger
from hw.sim.panel import PANEL, SimPanel, light_now
from hw.sim.power import POWER, SimPower
from hw.sim.timeline import LOG
from tests.support.fake_clock import FakeClock

RED = Light(Colour.RED)
FILMS = [sys.executable, "-c", "import time; time.sleep(60)"]


def gestures(edges: list[ButtonEdge]) -> list[Gesture]:
    button = Button(False, 0)
    for edge in edges:
        button.edge(edge.pressed, edge.at_ns)
    found: list[Gesture] = []
    while more := button.step(60 * NS_PER_S):
        found += more
    return found


@pytest.mark.parametrize(("length_ns", "gesture"), [(TAP_NS, Tap(NS_PER_S)), (HOLD_NS, Hold(NS_PER_S, 3 * NS_PER_S))])
def test_a_finger_makes_the_gesture_that_it_means_bounces_included(length_ns: int, gesture: Gesture) -> None:
    finger = Finger()
    edges = finger.press(NS_PER_S, length_ns)
    assert len(edges) > 1, "a contact bounces"
    assert finger.step(NS_PER_S + length_ns - 1) == []
    released = finger.step(NS_PER_S + length_ns + 77)
    assert (released[0].pressed, released[0].at_ns) == (False, NS_PER_S + length_ns), "at its own time, however late"
    edges += released
    assert finger.release_at_ns is None
    assert gestures(edges) == [Press(NS_PER_S), gesture]


def test_one_press_at_a_time() -> None:
    finger = Finger()
    with pytest.raises(FormatError, match="release: the button is not down"):
        finger.release(0)
    finger.press(0)
    with pytest.raises(FormatError, match="press: the button is down already"):
        finger.press(1, TAP_NS)
    finger.release(2)
    finger.press(3, TAP_NS)
    finger.release(4)
    assert finger.step(60 * NS_PER_S) == [], "let go of earlier than meant"


@dataclass
class Rig:
    """A board whose misfortunes are noted, and what it posted."""

    run: Path
    posted: list[BoardEvent] = field(default_factory=list)
    stalls: list[int] = field(default_factory=list)
    cuts: list[Light] = field(default_factory=list)

    def board(self) -> SimBoard:
        return SimBoard(
            self.run,
            FILMS,
            2_000,
            self.posted.append,
            Misfortunes(self.stalls.append, lambda: self.cuts.append(light_now(self.run, 0))),
        )

    def logged(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in (self.run / LOG).read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path / "new" / "run")


@pytest.fixture
def board(rig: Rig) -> Iterator[SimBoard]:
    found = rig.board()
    yield found
    found.camera.kill()
    found.close()


def test_the_button_posts_edges_with_their_time(rig: Rig, board: SimBoard) -> None:
    before_ns = board.clock.boot_ns()
    board.perform(Action("press"))
    board.perform(Action("release"))
    edges = [event for event in rig.posted if isinstance(event, ButtonEdge)]
    assert edges == rig.posted
    assert before_ns <= edges[0].at_ns <= board.clock.boot_ns()
    assert (edges[0].pressed, edges[-1].pressed) == (True, False)


@pytest.mark.parametrize(("name", "least_s"), [("tap", 0.15), ("hold", 2.45)])
def test_a_tap_or_hold_says_how_long_it_still_takes(board: SimBoard, name: str, least_s: float) -> None:
    assert board.step() is None
    board.perform(Action(name))
    wait_s = board.step()
    assert wait_s is not None
    assert least_s < wait_s <= least_s + 0.05
    with pytest.raises(FormatError, match="the button is down already"):
        board.perform(Action("press"))


@pytest.mark.parametrize("name", ["dock", "contact"])
def test_contacts_charge_and_are_posted(rig: Rig, board: SimBoard, name: str) -> None:
    board.perform(Action(name))
    board.perform(Action("undock"))
    assert rig.posted == [
        Contact(True),
        BatteryChanged(Battery(100, charging=True)),
        Contact(False),
        BatteryChanged(Battery(100)),
    ]


def test_the_battery_is_as_full_after_the_agents_restart(rig: Rig, board: SimBoard) -> None:
    board.perform(Action("battery", 4))
    board.perform(Action("contact"))
    assert rig.posted[0] == BatteryChanged(Battery(4))
    again = SimPower(rig.run)
    assert (again.battery(), again.contact) == (Battery(4, charging=True), True)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"percent":400,"contact":true}', '{"percent":"4","contact":true}'])
def test_a_power_file_that_nobody_of_us_wrote_is_a_full_battery(tmp_path: Path, text: str) -> None:
    (tmp_path / POWER).write_text(text, encoding="utf-8")
    assert SimPower(tmp_path).battery() == Battery(100)


def test_a_card_stall_is_handed_on(rig: Rig, board: SimBoard) -> None:
    board.perform(Action("card-stall", 5000))
    assert rig.stalls == [5000]


def test_clock_steps_add_up_and_outlive_the_agent_and_the_power(rig: Rig, board: SimBoard) -> None:
    before = board.clock.rtc()
    board.perform(Action("clock-step", 7200))
    board.perform(Action("clock-step", -3600))
    board.clock.power_cut()
    after = SimClock(rig.run, 2_000).rtc()
    assert before is not None
    assert after is not None
    assert 3_600_000 <= after[0] - before[0] < 3_605_000
    assert after[1] == 2_000


def test_a_power_cut_takes_everything_at_once_and_makes_another_boot(rig: Rig, board: SimBoard) -> None:
    boot_id = board.clock.boot_id()
    assert SimClock(rig.run, None).boot_id() == boot_id
    board.camera.start()
    board.panel.show(RED, 3 * NS_PER_S)
    board.perform(Action("power-cut"))
    board.panel.show(RED, 3 * NS_PER_S)
    assert rig.cuts == [DARK]
    assert light_now(rig.run, board.clock.boot_ns()) == DARK, "shown without power"
    assert not board.camera.alive()
    assert SimClock(rig.run, None).boot_id() not in (boot_id, "")
    assert [line.get("device") for line in rig.logged() if "device" in line] == ["power-cut"]


@pytest.mark.parametrize("text", ["", "{}", '{"boot":"x","kernel":"y"}', '{"boot":7,"kernel":"y"}'])
def test_a_boot_file_that_nobody_of_us_wrote_is_another_boot(tmp_path: Path, text: str) -> None:
    (tmp_path / "boot.json").write_text(text, encoding="utf-8")
    assert SimClock(tmp_path, None).boot_id() == SimClock(tmp_path, None).boot_id()


def test_a_restart_of_the_machine_is_another_boot(tmp_path: Path) -> None:
    boot_id = SimClock(tmp_path, None).boot_id()
    file = tmp_path / "boot.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**found, "kernel": "another"}), encoding="utf-8")
    assert SimClock(tmp_path, None).boot_id() != boot_id


def test_the_whole_board_over_its_socket(rig: Rig, board: SimBoard) -> None:
    board.open()
    assert send(rig.run, "battery", ["9"]) == "ok"
    assert rig.posted == [BatteryChanged(Battery(9))]
    with pytest.raises(FormatError, match="the button is not down"):
        send(rig.run, "release", [])


def test_a_second_agent_that_is_refused_its_data_folder_takes_nothing_from_the_first(rig: Rig, board: SimBoard) -> None:
    board.open()
    second = rig.board()
    second.close()
    assert send(rig.run, "battery", ["8"]) == "ok"
    assert rig.posted == [BatteryChanged(Battery(8))]


def test_the_run_folder_is_its_owners_alone(rig: Rig, board: SimBoard) -> None:
    assert rig.run.stat().st_mode & 0o777 == 0o700


def test_a_run_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file/run: .*; choose a run folder"):
        Rig(tmp_path / "file" / "run").board()


def test_the_log_has_every_change_once_and_the_darkness_that_came_by_itself(tmp_path: Path) -> None:
    clock = FakeClock(now_ns=0)
    failed: list[OutputFailed] = []
    panel = SimPanel(tmp_path, clock, failed.append)
    panel.show(RED, 3 * NS_PER_S)
    clock.advance(1_000)
    panel.show(RED, 3 * NS_PER_S)
    panel.play(Cue(Tone.MARK))
    clock.advance(5_000)
    panel.show(RED, 3 * NS_PER_S)
    assert failed == []
    red = {"colour": "red", "pattern": "steady"}
    assert [json.loads(line) for line in (tmp_path / LOG).read_text(encoding="utf-8").splitlines()] == [
        {"boot_ns": 0, "light": red, "dark_at_ns": 3 * NS_PER_S},
        {"boot_ns": NS_PER_S, "cue": {"tone": "mark", "vibration": "none"}},
        {"boot_ns": 4 * NS_PER_S, "light": {"colour": "off", "pattern": "steady"}, "dark_at_ns": None},
        {"boot_ns": 6 * NS_PER_S, "light": red, "dark_at_ns": 9 * NS_PER_S},
    ]


def test_the_next_agent_finds_what_the_board_still_shows(tmp_path: Path) -> None:
    clock = FakeClock()
    failed: list[OutputFailed] = []
    SimPanel(tmp_path, clock, failed.append).show(RED, None)
    SimPanel(tmp_path, clock, failed.append).show(RED, None)
    assert len((tmp_path / LOG).read_text(encoding="utf-8").splitlines()) == 1, "no change, no line"


@pytest.mark.parametrize("text", ["", "[]", '{"light":{"colour":"pink","pattern":"steady"},"dark_at_ns":null}'])
def test_a_panel_file_that_nobody_of_us_wrote_is_dark(tmp_path: Path, text: str) -> None:
    (tmp_path / PANEL).write_text(text, encoding="utf-8")
    assert light_now(tmp_path, 0) == DARK


# The camera's process.


@dataclass
class Studio:
    run: Path
    told: list[str] = field(default_factory=list)

    def camera(self, command: list[str] | None = None) -> SimCamera:
        return SimCamera(self.run, command or FILMS, self.told.append)

    def pid(self) -> int:
        return int((self.run / "capture.pid").read_text(encoding="ascii"))


def state(pid: int) -> str:
    """proc(5): S sleeping, T stopped, Z zombie; empty when gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path)


def test_it_lives_in_a_session_of_its_own_until_killed(studio: Studio) -> None:
    camera = studio.camera()
    assert not camera.alive()
    camera.kill()
    camera.start()
    pid = studio.pid()
    assert camera.alive()
    assert os.getsid(pid) == pid
    camera.start()
    assert studio.pid() == pid, "started twice"
    camera.kill()
    camera.kill()
    assert not camera.alive()
    assert state(pid) == ""


def test_a_stalled_one_is_alive_can_go_on_and_can_be_killed(studio: Studio) -> None:
    camera = studio.camera()
    camera.stall()
    camera.revive()
    camera.start()
    camera.stall()
    os.waitid(os.P_PID, studio.pid(), os.WSTOPPED | os.WNOWAIT)
    assert camera.alive()
    assert state(studio.pid()) == "T"
    camera.revive()
    os.waitid(os.P_PID, studio.pid(), os.WCONTINUED)
    assert state(studio.pid()) != "T"
    camera.stall()
    camera.kill()
    assert state(studio.pid()) == ""


def test_one_that_ends_by_itself_is_not_alive_and_can_be_started_again(studio: Studio) -> None:
    camera = studio.camera([sys.executable, "-c", "import sys; sys.exit('the footage ended')"])
    camera.start()
    first = studio.pid()
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert not camera.alive()
    camera.start()
    assert studio.pid() != first
    os.waitid(os.P_PID, studio.pid(), os.WEXITED | os.WNOWAIT)
    camera.kill()
    assert (studio.run / "capture.log").read_text(encoding="utf-8") == "the footage ended\n" * 2


def test_what_a_killed_agent_left_stalled_is_ended(studio: Studio) -> None:
    left = subprocess.Popen(FILMS, start_new_session=True)
    (studio.run / "capture.pid").write_text(f"{left.pid}\n", encoding="ascii")
    left.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, left.pid, os.WSTOPPED | os.WNOWAIT)  # it has a command line only once exec is over
    camera = studio.camera()
    camera.start()
    camera.kill()
    try:
        assert left.wait(timeout=10) == -signal.SIGKILL
    finally:
        left.kill()


def test_a_process_that_is_not_ours_is_left_alone(studio: Studio) -> None:
    """The pid of a capture process that ended long ago is somebody else's by now."""
    other = subprocess.Popen([*FILMS, "other"], start_new_session=True)
    try:
        (studio.run / "capture.pid").write_text(f"{other.pid}\n", encoding="ascii")
        camera = studio.camera()
        camera.start()
        camera.kill()
        assert other.poll() is None
    finally:
        other.kill()
        assert other.wait(timeout=10) == -signal.SIGKILL


def test_what_cannot_be_started_says_so(studio: Studio) -> None:
    with pytest.raises(CaptureError, match="/no/such/program: No such file or directory; check"):
        studio.camera(["/no/such/program"]).start()


def test_the_higher_rungs_are_logged(studio: Studio) -> None:
    camera = studio.camera()
    camera.power_cycle()
    camera.reboot()
    assert studio.told == ["power_cycle", "reboot"]


def test_the_command_is_the_capture_process() -> None:
    command = capture_command(Path("/run/capture.sock"), Path("/boards/sim.toml"), Path("/film.mp4"))
    assert command[1:3] == ["-m", "hw.capture"]
    assert command[3:] == ["--socket", "/run/capture.sock", "--board", "/boards/sim.toml", "--footage", "/film.mp4"]
