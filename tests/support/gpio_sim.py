"""A GPIO chip of the kernel's gpio-sim, from the outside: its lines are pulled and read in /sys, as by a wire.

Assumes: root, configfs mounted, the module loaded. Source: Documentation/admin-guide/gpio/gpio-sim.rst.
"""

from __future__ import annotations

from pathlib import Path

CONFIG = Path("/sys/kernel/config/gpio-sim")
DEVICES = Path("/sys/devices/platform")
HEADER_LINES = 54  # as a Raspberry Pi has them, of which the header carries 0 to 27


def make_chip() -> None:
    """The one chip. It must be the first of the system: gpiozero looks for its pins on /dev/gpiochip0."""
    bank = CONFIG / "temoin" / "bank0"
    bank.mkdir(parents=True)
    (bank / "num_lines").write_text(f"{HEADER_LINES}\n", encoding="ascii")
    (bank / "label").write_text("pinctrl-temoin\n", encoding="ascii")
    (CONFIG / "temoin" / "live").write_text("1\n", encoding="ascii")
    chip = (bank / "chip_name").read_text(encoding="ascii").strip()
    assert chip == "gpiochip0", f"the chip is {chip}: another one was first"


class Chip:
    """The chip that `make_chip` made."""

    def __init__(self) -> None:
        device = (CONFIG / "temoin" / "dev_name").read_text(encoding="ascii").strip()
        self._folder = DEVICES / device / "gpiochip0"

    def set(self, line: int, high: bool) -> None:
        """Pull the line: what an input reads. An output that is held keeps its level."""
        self._line(line, "pull").write_text("pull-up\n" if high else "pull-down\n", encoding="ascii")

    def pull(self, line: int) -> str:
        """up or down: who opened the line as an input with a pull has set it too."""
        return self._line(line, "pull").read_text(encoding="ascii").strip().removeprefix("pull-")

    def high(self, line: int) -> bool:
        """The level on the wire."""
        return self._line(line, "value").read_text(encoding="ascii") == "1\n"

    def _line(self, line: int, name: str) -> Path:
        return self._folder / f"sim_gpio{line}" / name
