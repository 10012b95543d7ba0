"""Lamps that the kernel drives: /sys/class/leds.

Guarantees: no trigger of the kernel's moves the LED once it is open, and it is off; a LED that is missing or unwilling
is a BoardError. Why no trigger ends the light: `oneshot` ignores a shot while it blinks, so that it cannot be re-armed
without going out, and `timer` never ends (Documentation/leds/ledtrig-oneshot.rst).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent.board_parts import Led
from agent.errors import BoardError
from hw.gpio import Switch

LEDS = Path("/sys/class/leds")

_BRIGHTNESS = re.compile(rb"([1-9][0-9]{0,4})\n")
_REMEDY = "check the LED's name, its overlay, and who may write to it"


def open_led(led: Led, leds: Path = LEDS) -> Switch:
    """Off, at its full brightness when it is on. Raises BoardError."""
    folder = leds / led.name
    _write(folder / "trigger", b"none\n")
    full = _full_brightness(folder / "max_brightness")

    def turn(on: bool) -> None:
        _write(folder / "brightness", full if on else b"0\n")

    turn(False)
    return turn


def _full_brightness(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            found = file.read(16)
    except OSError as error:
        raise BoardError(str(path), error.strerror or "cannot be read", _REMEDY) from None
    if not _BRIGHTNESS.fullmatch(found):
        raise BoardError(str(path), f"says {found!r}, which is no brightness", _REMEDY)
    return found


def _write(path: Path, value: bytes) -> None:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise BoardError(str(path), error.strerror or "cannot be written", _REMEDY) from None
