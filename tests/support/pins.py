"""A real board's parts on pins, mock or the kernel's, and an observer who looks at the pins alone."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Protocol

from gpiozero.pins.mock import MockFactory

from agent.board_parts import BoardParts, Level, Pin
from agent.config import load_board
from agent.model import DARK, NS_PER_MS, Colour, Light, OutputFailed, Pattern
from hw.boards import board_file
from hw.gpio import Factory
from hw.keeper import Keeper, PipeReader, open_outputs, turn
from hw.panel import PipedPanel
from tests.support.fake_clock import FakeClock
from tests.support.real_parts import REAL_PARTS

GLANCE_NS = 25 * NS_PER_MS
GLANCES = 40  # a second of looking: two turns of the slowest light


class Header(Protocol):
    """The header's pins, as somebody with a probe sees and drives them. `drive` returns once it was called back."""

    @property
    def factory(self) -> Factory: ...

    def drive(self, pin: Pin, on: bool) -> None: ...

    def is_on(self, pin: Pin) -> bool: ...

    def pull(self, pin: Pin) -> str:
        """up, down: where the board pulls an input to."""
        ...

    def close(self) -> None: ...


class MockHeader:
    """gpiozero's mock pins."""

    def __init__(self) -> None:
        self.factory = MockFactory()

    def drive(self, pin: Pin, on: bool) -> None:
        mock = self._mock(pin)
        if on == (pin.active is Level.HIGH):
            mock.drive_high()
        else:
            mock.drive_low()

    def is_on(self, pin: Pin) -> bool:
        return self._mock(pin).state == (pin.active is Level.HIGH)

    def pull(self, pin: Pin) -> str:
        return self._mock(pin).pull

    def close(self) -> None:
        self.factory.close()

    def _mock(self, pin: Pin) -> MockPin:
        found: MockPin = self.factory.pin(f"GPIO{pin.gpio}")
        return found


class MockPin(Protocol):
    """What is used of gpiozero's."""

    state: bool
    pull: str

    def drive_high(self) -> None: ...

    def drive_low(self) -> None: ...


def header() -> Header:
    """The kernel's simulated chip where there is one, else gpiozero's mock pins."""
    if not REAL_PARTS:
        return MockHeader()
    from tests.support.real_pins import ChipHeader

    return ChipHeader()


def clip_on() -> BoardParts:
    """The packaged clip-on's parts: all of its lamps are pins."""
    parts = load_board(board_file("zero2w-clipon")).parts
    assert parts is not None
    return parts


def colour_of(parts: BoardParts, is_on: Callable[[Pin], bool]) -> Colour:
    """The colour that the board's lamps show together; OFF when they are dark, or of none."""
    shining = {name for name, lamp in parts.lamps.items() if isinstance(lamp, Pin) and is_on(lamp)}
    return next((colour for colour, lamps in parts.lights.items() if lamps == shining), Colour.OFF)


class KeptBoard:
    """A panel, its pipe, and a keeper that is stepped by hand."""

    def __init__(self, path: Path) -> None:
        self.reader_path = path
        self.clock = FakeClock()
        self.posted: list[OutputFailed] = []
        self.pins = header()
        self.parts = clip_on()
        self.keeper = Keeper(open_outputs(self.parts, self.pins.factory))
        self.reader: PipeReader | None = PipeReader(path)
        self.panel = PipedPanel(path, self.clock, self.posted.append)

    def turn(self) -> int | None:
        """The keeper's turn at this moment."""
        assert self.reader is not None
        return turn(self.keeper, self.reader, self.clock.now_ns)

    def close(self) -> None:
        """Everything that was opened here."""
        self.panel.close()
        if self.reader is not None:
            self.end_keeper()
        self.pins.close()

    def end_keeper(self) -> None:
        """Its process is gone."""
        assert self.reader is not None
        self.reader.close()
        self.reader = None

    def colour(self) -> Colour:
        """Which colour shines at this moment."""
        return colour_of(self.parts, self.pins.is_on)

    def seen(self) -> Light:
        """The light of now. Its pattern shows in the second that ends now: the past says how a light that is not dark
        blinks, and the future might be past its deadline."""
        self.turn()
        if self.colour() is Colour.OFF and self._dark_for_good():
            return DARK
        past = [self._at(self.clock.now_ns - back * GLANCE_NS) for back in reversed(range(GLANCES))]
        changes = sum(before is not after for before, after in pairwise(past))
        pattern = Pattern.STEADY if changes == 0 else Pattern.SLOW if changes <= 3 else Pattern.FAST
        (colour,) = set(past) - {Colour.OFF} or {Colour.OFF}
        self._at(self.clock.now_ns)
        return Light(colour, pattern)

    def _at(self, now_ns: int) -> Colour:
        self.keeper.step(now_ns)
        return self.colour()

    def _dark_for_good(self) -> bool:
        return self.keeper.step(self.clock.now_ns) is None
