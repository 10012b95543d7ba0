"""Button and lamp on a board's own pins, joined by two wires to pins that are free: docs/hil.md.

TEMOIN_BOARD names the board's file. `pytest -s -m hil tests/board`, with agent and keeper stopped.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.adapters.clock import SystemClock
from agent.board_parts import BoardParts, Level, Pin
from agent.config import load_board
from agent.model import NS_PER_MS, BoardEvent, ButtonEdge, Colour, Light
from hw.gpio import Factory, open_factory, open_input, open_output
from hw.inputs import BoardInputs
from hw.panel import PipedPanel

pytestmark = pytest.mark.hil

FINGER = Pin(26, Level.HIGH)  # a wire from here to the button's pin: high lets go of a button that is active low
EYE = Pin(16, Level.HIGH)  # a wire from the red lamp's pin to here
PRESSES = 100
WORST_MS = 50.0  # half of what a press may take to be heard
BOUND_S = 10.0
HELD_MS = 600
LATE_MS = 100.0


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Factory]:
    made = open_factory(tmp_path_factory.mktemp("lgpio"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def parts() -> BoardParts:
    found = load_board(Path(os.environ["TEMOIN_BOARD"])).parts
    assert found is not None
    return found


def test_every_edge_of_the_button_is_posted_and_soon(factory: Factory, parts: BoardParts) -> None:
    clock, came, posted = SystemClock(), threading.Semaphore(0), list[BoardEvent]()

    def post(event: BoardEvent) -> None:
        posted.append(event)
        came.release()

    finger = open_output(factory, FINGER)
    idle = finger.on if parts.wiring.button.active is Level.LOW else finger.off
    press = finger.off if parts.wiring.button.active is Level.LOW else finger.on
    idle()
    inputs = BoardInputs(parts.wiring, factory, clock, post, lambda: None)
    inputs.open()
    took_ms: list[float] = []
    for pressed in (True, False) * PRESSES:
        moved_ns = clock.boot_ns()
        (press if pressed else idle)()
        assert came.acquire(timeout=BOUND_S), f"{len(posted)} of {2 * PRESSES} came: is the wire there?"
        event = posted[-1]
        assert isinstance(event, ButtonEdge)
        assert event.pressed is pressed
        took_ms.append((event.at_ns - moved_ns) / NS_PER_MS)
    inputs.close()
    finger.close()
    print(f"\nedge to posted event: {statistics.median(took_ms):.2f} ms, worst {max(took_ms):.2f} ms of {len(took_ms)}")
    assert len(posted) == 2 * PRESSES
    assert max(took_ms) < WORST_MS


def test_the_red_lamp_goes_dark_at_its_deadline_with_nobody_there(factory: Factory, tmp_path: Path) -> None:
    eye = open_input(factory, EYE)
    (tmp_path / "lgpio").mkdir()
    pipe = tmp_path / "panel"
    command = [sys.executable, "-m", "hw.keeper", "--board", os.environ["TEMOIN_BOARD"], "--pipe", str(pipe)]
    keeper = subprocess.Popen([*command, "--folder", str(tmp_path / "lgpio")])
    try:
        within(pipe.is_fifo)
        panel = PipedPanel(pipe, SystemClock(), print)
        panel.show(Light(Colour.RED), HELD_MS * NS_PER_MS)
        panel.close()
        within(lambda: eye.is_active)
        began_s = time.monotonic()
        within(lambda: not eye.is_active)
        took_ms = (time.monotonic() - began_s) * 1000
        print(f"\nred for {took_ms:.0f} ms of {HELD_MS}")
        assert HELD_MS - LATE_MS < took_ms < HELD_MS + LATE_MS
    finally:
        keeper.terminate()
        assert keeper.wait(BOUND_S) == 0
        eye.close()


def within(holds: Callable[[], bool]) -> None:
    ends_s = time.monotonic() + BOUND_S
    while not holds():
        assert time.monotonic() < ends_s, "in vain: is the wire there?"
        time.sleep(0.001)
