"""The pins of a board, by gpiozero on lgpio: the one place that imports them.

Guarantees: the pin factory is lgpio's and no other (gpiozero left alone falls back to one that a Pi 5 does not have);
lgpio's folder of notification files is set before lgpio is loaded, and the working directory stays what it was; an
output is off once it is open; a missing or unwilling part is a BoardError. No bounce time is set: debouncing is
agent/button.py's. Assumes: one factory a process, opened before there are threads that mind the working directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

from agent.board_parts import Level, Pin
from agent.errors import BoardError

Opened = TypeVar("Opened")
Switch = Callable[[bool], None]
"""Turns an output on or off. Raises BoardError."""


class Factory(Protocol):
    """gpiozero's pin factory: lgpio's on a board, its mock in tests."""

    def close(self) -> None: ...


class Input(Protocol):
    """What is used of gpiozero's DigitalInputDevice. The callbacks come from a thread of its own."""

    when_activated: Callable[[], None] | None
    when_deactivated: Callable[[], None] | None

    @property
    def is_active(self) -> bool: ...

    def close(self) -> None: ...


class Output(Protocol):
    """What is used of gpiozero's OutputDevice."""

    def on(self) -> None: ...

    def off(self) -> None: ...

    def close(self) -> None: ...


def open_factory(folder: Path) -> Factory:
    """lgpio's, which keeps its files in `folder`: writable, and this process's own. Raises BoardError."""
    os.environ["LG_WD"] = str(folder)  # lgpio reads it when it is loaded

    def made() -> Factory:
        from gpiozero.pins.lgpio import LGPIOFactory

        factory: Factory = LGPIOFactory()
        return factory

    here = Path.cwd()
    try:
        return _opened("gpio", "check the user's group gpio, and that the kernel shows /dev/gpiochip0", made)
    finally:
        os.chdir(here)  # lgpio goes into its folder when it is loaded: every relative path of ours would be another one


def open_input(factory: Factory, pin: Pin) -> Input:
    """Raises BoardError."""

    def made() -> Input:
        from gpiozero import DigitalInputDevice

        device: Input = DigitalInputDevice(_name(pin), pull_up=pin.active is Level.LOW, pin_factory=factory)
        return device

    return _opened(_name(pin), "check that no other program has the pin", made)


def open_output(factory: Factory, pin: Pin) -> Output:
    """Off. Raises BoardError."""

    def made() -> Output:
        from gpiozero import OutputDevice

        device: Output = OutputDevice(_name(pin), active_high=pin.active is Level.HIGH, pin_factory=factory)
        return device

    return _opened(_name(pin), "check that no other program has the pin", made)


def switch(output: Output, pin: Pin) -> Switch:
    """The output as a Switch."""

    def turn(on: bool) -> None:
        _opened(_name(pin), "restart the service; then check the wire", output.on if on else output.off)

    return turn


def _name(pin: Pin) -> str:
    return f"GPIO{pin.gpio}"  # a plain number is read as this too, but says less


def _opened(where: str, remedy: str, make: Callable[[], Opened]) -> Opened:
    try:
        return make()
    except ImportError as error:
        raise BoardError(where, f"{error.name or 'a library'} is not installed", "install temoin[camera]") from None
    except Exception as error:  # lgpio's own error has no base but this, and gpiozero wraps some of them only
        raise BoardError(where, f"{type(error).__name__}: {error}"[:200], remedy) from error
