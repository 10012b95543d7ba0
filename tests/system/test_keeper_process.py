"""The keeper as a process, a pipe of the kernel's, and an agent that is stopped and killed.

Its lamps are files made like the kernel's LEDs; where the kernel has a simulated chip, they are its pins.
"""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.model import NS_PER_S
from hw.boards import board_file
from tests.support.gpio_sim import Chip
from tests.support.real_parts import REAL_PARTS

HELD_MS = 600
RED_PIN = 5  # the clip-on's
MARGIN_S = 5.0  # of a busy machine; what is asked is that it ends at all

KEEPER = """
import signal, sys
from pathlib import Path
from gpiozero.pins.mock import MockFactory
from agent.config import load_board
from hw import keeper
folder = Path(sys.argv[1])
signal.signal(signal.SIGTERM, keeper._end)
parts = load_board(folder / "board.toml").parts
keeper.keep(keeper.open_outputs(parts, MockFactory(), folder / "leds"), folder / "panel")
"""

AGENT = """
import sys, time
from pathlib import Path
from agent.adapters.clock import SystemClock
from agent.model import Colour, Light
from hw.panel import PipedPanel
panel = PipedPanel(Path(sys.argv[1]) / "panel", SystemClock(), print)
while True:
    panel.show(Light(Colour.RED), int(sys.argv[2]) * 1_000_000)
    time.sleep(0.05)
"""


class Bench:
    """Lamps that are files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lamp = folder / "leds" / "red" / "brightness"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.wire()

    def wire(self) -> None:
        """The board file, and the lamps that it names."""
        text = board_file("zero2w-clipon").read_text()
        for name in ("red", "green", "blue"):
            led = self.folder / "leds" / name
            led.mkdir(parents=True)
            (led / "trigger").write_text("none\n")
            (led / "max_brightness").write_text("1\n")
            (led / "brightness").write_text("1\n")
            before = next(line for line in text.splitlines() if line.startswith(f"{name} = {{"))
            text = text.replace(before, f'{name} = {{ led = "{name}" }}')
        (self.folder / "board.toml").write_text(text)

    def keeper(self) -> subprocess.Popen[bytes]:
        return self.start("-c", KEEPER, str(self.folder))

    def agent(self, held_ms: int) -> subprocess.Popen[bytes]:
        return self.start("-c", AGENT, str(self.folder), str(held_ms))

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, *arguments])
        self.processes.append(process)
        return process

    def lit(self) -> bool:
        return self.lamp.read_bytes()[:1] == b"1"

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            process.wait()


class ChipBench(Bench):
    """Lamps on pins of the kernel's simulated chip, and the keeper as a board starts it."""

    def wire(self) -> None:
        shutil.copy(board_file("zero2w-clipon"), self.folder / "board.toml")
        self.chip = Chip()
        (self.folder / "lgpio").mkdir()

    def keeper(self) -> subprocess.Popen[bytes]:
        board, pipe, lgpio = (str(self.folder / name) for name in ("board.toml", "panel", "lgpio"))
        return self.start("-m", "hw.keeper", "--board", board, "--pipe", pipe, "--folder", lgpio)

    def lit(self) -> bool:
        return self.chip.high(RED_PIN)


def wait_until(true: Callable[[], bool], within_s: float) -> float:
    """The seconds that it took."""
    began_ns = time.monotonic_ns()
    while not true():
        assert time.monotonic_ns() - began_ns < within_s * NS_PER_S, "in vain"
        time.sleep(0.002)
    return (time.monotonic_ns() - began_ns) / NS_PER_S


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = ChipBench(tmp_path) if REAL_PARTS else Bench(tmp_path)
    yield bench
    bench.close()


def test_the_light_goes_dark_when_the_agent_is_stopped_and_when_it_is_killed(
    bench: Bench, record_property: Callable[[str, object], None]
) -> None:
    keeper = bench.keeper()
    wait_until(lambda: not bench.lit() and (bench.folder / "panel").is_fifo(), 20)
    agent = bench.agent(HELD_MS)
    for last in (signal.SIGSTOP, signal.SIGKILL):
        wait_until(bench.lit, 20)
        agent.send_signal(last)
        took_s = wait_until(lambda: not bench.lit(), HELD_MS / 1000 + MARGIN_S)
        assert took_s > (HELD_MS - 200) / 1000, "not before its deadline"
        record_property(f"dark after {last.name}", f"{took_s * 1000:.0f} ms of {HELD_MS}")
        print(f"{last.name}: dark after {took_s * 1000:.0f} ms of {HELD_MS}")
        agent.send_signal(signal.SIGCONT)
    assert keeper.poll() is None
    bench.agent(HELD_MS)
    wait_until(bench.lit, 20)


def test_a_keeper_that_is_told_to_end_is_dark(bench: Bench) -> None:
    keeper = bench.keeper()
    wait_until((bench.folder / "panel").is_fifo, 20)
    bench.agent(60_000)
    wait_until(bench.lit, 20)
    keeper.terminate()
    assert keeper.wait(timeout=20) == 0
    assert not bench.lit()
    bench.keeper()
    wait_until(bench.lit, 20)


def test_the_module_names_a_board_that_has_no_lamps(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "hw.keeper", "--board", str(board_file("sim")), "--pipe", str(tmp_path / "panel"),
         "--folder", str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.endswith("sim.toml: a simulated board has no lamps; give the file of a real one\n")
    assert done.stderr.count("\n") == 1
