"""The pins of a board on the kernel's simulated chip: what mock pins cannot show. hw/inputs.py, hw/gpio.py."""

from __future__ import annotations

import contextlib
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
from agent.board_parts import Pin
from agent.button import Button, Gesture, Press
from agent.model import NS_PER_MS, BoardEvent, ButtonEdge
from hw.gpio import Factory
from hw.inputs import BoardInputs
from tests.support.gpio_sim import Chip
from tests.support.pins import clip_on
from tests.support.real_pins import ChipHeader

PRESSES = 100
BURSTS = 20
BOUNCES = 4
OUT_OF_BOUNCES_S = 0.1  # the button's dead time is half of it
BOUND_S = 30.0
NOBODY = 65534
WIRING = clip_on().wiring
BUTTON = WIRING.button.gpio


class Listener:
    """Takes what is posted, from any thread."""

    def __init__(self) -> None:
        self.posted: list[BoardEvent] = []
        self._came = threading.Semaphore(0)

    def post(self, event: BoardEvent) -> None:
        self.posted.append(event)
        self._came.release()

    def wait(self) -> BoardEvent:
        assert self._came.acquire(timeout=BOUND_S), "nothing was posted"
        return self.posted[-1]


@pytest.fixture
def header() -> Iterator[ChipHeader]:
    header = ChipHeader()
    yield header
    header.close()


@contextlib.contextmanager
def opened_inputs(factory: Factory, listener: Listener) -> Iterator[BoardInputs]:
    with contextlib.closing(BoardInputs(WIRING, factory, SystemClock(), listener.post, lambda: None)) as inputs:
        inputs.open()
        yield inputs


def test_every_edge_is_posted_and_soon(header: ChipHeader, record_property: Callable[[str, object], None]) -> None:
    clock, chip, listener = SystemClock(), Chip(), Listener()
    took_ms: list[float] = []
    with opened_inputs(header.factory, listener):
        for pressed in (True, False) * PRESSES:
            pulled_ns = clock.boot_ns()
            chip.set(BUTTON, not pressed)
            event = listener.wait()
            assert isinstance(event, ButtonEdge)
            assert event.pressed is pressed
            took_ms.append((event.at_ns - pulled_ns) / NS_PER_MS)
    assert len(listener.posted) == 2 * PRESSES, "none missed, none made up"
    record_property("edge to posted event", f"{statistics.median(took_ms):.1f} ms, worst {max(took_ms):.1f} ms")
    record_property("edges missed", f"0 of {len(took_ms)}")


def test_of_bounces_too_quick_for_the_kernel_the_last_level_is_posted(
    header: ChipHeader, record_property: Callable[[str, object], None]
) -> None:
    """It reads the level when it comes to it: two edges within a fraction of a millisecond may be one, or none."""
    listener = Listener()
    with opened_inputs(header.factory, listener):
        for burst in range(BURSTS):
            last = burst % 2 == 0
            for _ in range(BOUNCES):
                header.pull_only(WIRING.button, not last)
                header.pull_only(WIRING.button, last)
            header.drive(WIRING.button, last)
            edges = [event for event in listener.posted if isinstance(event, ButtonEdge)]
            assert edges[-1].pressed is last
    assert [edge.pressed for edge in edges] == [number % 2 == 0 for number in range(len(edges))], "press, release, ..."
    assert [edge.at_ns for edge in edges] == sorted(edge.at_ns for edge in edges)
    record_property("quick bounces posted", f"{len(edges)} of {BURSTS * (2 * BOUNCES - 1)}")


class HeldFrom:
    """A factory on which somebody presses the button while another pin is being opened: opening pulls a line of the
    chip to its idle level, so that a press from before would be gone."""

    def __init__(self, factory: Factory, pin: Pin, press: Callable[[], None]) -> None:
        self._factory = factory
        self._name = f"GPIO{pin.gpio}"
        self._press = press

    def pin(self, name: str) -> object:
        if name == self._name:
            self._press()
        found: object = self._factory.pin(name)  # type: ignore[attr-defined] # gpiozero has no types
        return found

    def __getattr__(self, name: str) -> object:
        return getattr(self._factory, name)


def test_a_button_that_is_held_at_the_start_is_a_level_and_no_press(header: ChipHeader) -> None:
    """The edge may be called back late, once the level was read: it is the same press, and none."""
    chip, listener, clock = Chip(), Listener(), SystemClock()
    held: Factory = HeldFrom(header.factory, WIRING.contact, lambda: chip.set(BUTTON, False))  # type: ignore[assignment]
    with opened_inputs(held, listener) as inputs:
        assert inputs.pressed
        button = Button(inputs.pressed, clock.boot_ns())
        for pressed in (False, True, False):
            time.sleep(OUT_OF_BOUNCES_S)
            header.drive(WIRING.button, pressed)
    for event in listener.posted:
        assert isinstance(event, ButtonEdge)
        button.edge(event.pressed, event.at_ns)
    gestures: list[Gesture] = []
    while more := button.step(clock.boot_ns()):
        gestures += more
    assert len([gesture for gesture in gestures if isinstance(gesture, Press)]) == 1, "the second one"


OPENED = """
import os, sys
from pathlib import Path
os.chdir(sys.argv[1])
os.setgid(int(sys.argv[3])); os.setuid(int(sys.argv[3]))
from hw.gpio import open_factory, open_input
from agent.board_parts import Level, Pin
from agent.errors import BoardError
try:
    factory = open_factory(Path(sys.argv[2]))
    button = open_input(factory, Pin(17, Level.LOW))
    button.when_activated = print
    assert os.getcwd() == sys.argv[1], os.getcwd()
    button.close()
    factory.close()
except BoardError as error:
    print(error)
    sys.exit(1)
"""


def opened(working: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """A user who is not root opens the chip from `working`, and gives lgpio `folder`."""
    command = [sys.executable, "-c", OPENED, str(working), str(folder), str(NOBODY)]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


@pytest.fixture
def working() -> Iterator[Path]:
    """A folder that nobody but root writes to; the chip is everybody's meanwhile, as the group gpio's on a board."""
    working = Path("/run/working")
    working.mkdir(mode=0o755)
    chip = Path("/dev/gpiochip0")
    chip.chmod(0o666)
    yield working
    chip.chmod(0o600)
    for path in working.iterdir():
        path.unlink()
    working.rmdir()


def test_lgpio_writes_into_its_folder_and_not_where_it_was_started(working: Path) -> None:
    folder = Path("/run/lgpio-of-nobody")
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    done = opened(working, folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), "whole, down to the end of the process"
    assert list(working.iterdir()) == []
    assert [path.name[:8] for path in folder.iterdir()] == [".lgd-nfy"]


def test_a_folder_that_lgpio_cannot_write_is_one_line(working: Path) -> None:
    done = opened(working, working)
    assert done.returncode == 1
    assert done.stdout.startswith("gpio: ")
    assert done.stdout.count("\n") == 1
