"""`make dock` and `make camera` without a terminal: press, hold, dock, hand out, and both end whole."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hw.sim.control import send
from tests.support.footage import make_footage

PROJECT = Path(__file__).parents[2]
COMMANDS = Path(sys.executable).parent
PATIENCE_S = 60


class Side:
    """`make dock` or `make camera` as make runs it, its output in a file."""

    def __init__(self, side: str, folder: Path, *more: str) -> None:
        self.out = folder.parent / f"{side}.out"
        command = [sys.executable, "-m", "hw.sim.play", side, "--folder", str(folder), *more]
        with self.out.open("wb") as out:
            self.process = subprocess.Popen(command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def text(self) -> str:
        return self.out.read_text(encoding="utf-8")

    def wait_for(self, words: str, count: int = 1) -> None:
        wait(lambda: len(re.findall(words, self.text)) >= count, lambda: f"no {words!r} in:\n{self.text}", self.process)

    def wait_for_activity(self, words: str) -> None:
        """Until the newest activity is this one."""
        wait(
            lambda: words in self.text.rpartition("/ activity |")[2],
            lambda: f"no {words!r}:\n{self.text}",
            self.process,
        )

    def end(self) -> int:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE_S)


def wait(holds: Callable[[], bool], said: Callable[[], str], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert process.poll() is None, said()
        assert time.monotonic() < deadline, said()
        time.sleep(0.05)


def left_in(folder: Path) -> list[str]:
    """Command lines of the processes that play in the folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (each / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            where = str((each / "cwd").readlink())
            if int(each.name) != os.getpid() and (str(folder) in command or where.startswith(str(folder))):
                found.append(command)
    return found


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, check=False, capture_output=True, text=True, cwd=PROJECT, timeout=PATIENCE_S)


@pytest.fixture
def sides() -> Iterator[list[Side]]:
    made: list[Side] = []
    yield made
    for side in reversed(made):
        if side.process.poll() is None:
            side.end()


def test_a_camera_needs_a_dock_first(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "hw.sim.play", "camera", "--folder", tmp_path / "play")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith("run first: make dock")
    assert not (tmp_path / "play").exists()


def test_a_shift_is_played_and_nothing_is_left(tmp_path: Path, sides: list[Side]) -> None:
    play = tmp_path / "play"
    film = make_footage(tmp_path / "film.mp4", frames=100, width=320, height=240, frames_per_second=10, codec="mpeg4")
    dock = Side("dock", play, "--footage", str(film))
    sides.append(dock)
    dock.wait_for("Ctrl-C")
    second = run(sys.executable, "-m", "hw.sim.play", "dock", "--folder", play)
    assert (second.returncode, len(second.stderr.splitlines())) == (1, 1)
    assert "another make dock runs in this folder already" in second.stderr

    camera = Side("camera", play)
    sides.append(camera)
    town = play / "town"
    board = town / "camera" / "run"
    camera.wait_for_activity("Ready")
    send(board, "tap", [])
    camera.wait_for("light red")
    send(board, "hold", [])
    camera.wait_for("stop sound")
    camera.wait_for_activity("Ready")
    send(board, "dock", [])
    dock.wait_for(r"cam-01 \| posée / docked \| \d+ \| 1 / 1 \|")

    config = town / "station" / "dock.toml"
    words = ("--service", "Nuit", "--sector", "Nord", "--wearer", "ab" * 16)
    handed = run(COMMANDS / "temoin-dock", "assign", "cam-01", *words, "--config", config)
    assert handed.returncode == 0, handed.stderr
    dock.wait_for(r"\| abababab \|")
    send(board, "undock", [])
    camera.wait_for_activity("Ready")
    send(board, "tap", [])
    camera.wait_for("light red", 2)

    assert camera.end() == 0  # in the middle of a recording: the camera is switched off in order
    dock.wait_for(r"partie / away")
    again = Side("camera", play)
    sides.append(again)
    again.wait_for_activity("Ready")
    send(board, "dock", [])
    dock.wait_for(r"posée / docked \| \d+ \| 2 / 2 \| personne")  # that hand-out is over
    assert again.end() == 0
    listed = run(COMMANDS / "temoin-dock", "list", "--config", config).stdout
    recordings = re.findall(r"^cam-01-\S+", listed, re.M)
    assert len(recordings) == 2
    wearers = [
        run(COMMANDS / "temoin-dock", "show", each, "--config", config).stdout.count(f"Porteur : {'ab' * 16}")
        for each in recordings
    ]
    assert wearers == [0, 1]
    archive = town / "dock" / "cam-01"
    root = town / "agency" / "ca" / "agency.pem"
    checked = run(COMMANDS / "temoin", "verify", archive, "--trust", root, "--allow-simulated")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert dock.end() == 0
    assert left_in(play) == []
