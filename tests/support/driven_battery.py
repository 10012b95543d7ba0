"""The battery and chargers of the kernel's driver test_power, which say what its parameters were set to.

Assumes: root, the module loaded. Source: drivers/power/supply/test_power.c.
"""

from __future__ import annotations

from pathlib import Path

PARAMETERS = Path("/sys/module/test_power/parameters")


class DrivenBattery:
    """Names as in /sys/class/power_supply."""

    NAME = "test_battery"
    CHARGER = "test_usb"

    def set(self, parameter: str, value: str) -> None:
        """capacity, status, voltage (in µV, as the class has it), present: of the battery."""
        (PARAMETERS / f"battery_{parameter}").write_text(value + "\n", encoding="ascii")

    def plug(self, on: bool) -> None:
        """The charger."""
        (PARAMETERS / "usb_online").write_text("on\n" if on else "off\n", encoding="ascii")
