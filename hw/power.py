"""Battery and charger as the kernel tells of them (/sys/class/power_supply).

Guarantees: whatever the files hold, or however they fail, a reading comes of it: what is absent, unreadable or not of
the kernel's form is not known, never a guess; at most 64 bytes of a file are read. `battery` returns at once: only
`measure` reads files, and a gauge on a slow bus may take its time there. Assumes: `measure` is called by one thread.
Source: Documentation/ABI/testing/sysfs-class-power.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from agent.board_parts import Supplies
from agent.model import Battery
from hw.attributes import first

SUPPLIES = Path("/sys/class/power_supply")

EMPTY_READINGS = 3  # a motor that starts pulls the voltage down for a moment: so many in a row are no moment
UV_PER_MV = 1_000
MAX_PERCENT = 100

_NUMBER = re.compile(r"(0|[1-9][0-9]{0,9})\n")
_WORD = re.compile(r"([A-Za-z ]{1,32})\n")
_CHARGES = {"Charging": True, "Full": True, "Discharging": False}  # "Not charging" and "Unknown" leave it open


class KernelPower:
    """A Power. `contact`: whether a dock or charger touches the contacts. `folder`: as /sys/class/power_supply."""

    def __init__(self, supplies: Supplies, contact: Callable[[], bool], folder: Path = SUPPLIES) -> None:
        self._supplies = supplies
        self._contact = contact
        self._folder = folder
        self._empty_readings = 0
        self._battery = Battery(None)
        self.millivolts: int | None = None
        """Of the battery when it was last measured; None where it does not tell."""
        self.measure()

    def battery(self) -> Battery:
        return self._battery

    def measure(self) -> Battery:
        """Read the files: what `battery` says from now on."""
        name = self._supplies.battery
        if name is None:
            self._battery = Battery(None, charging=self._charger())
            return self._battery
        folder = self._folder / name
        percent, self.millivolts = _percent(folder), _millivolts(folder)
        charging = _CHARGES.get(first(folder / "status", _WORD) or "")
        self._battery = Battery(percent, self._charger() if charging is None else charging)
        if self._is_empty():
            self._battery = Battery(0, self._battery.charging)
        return self._battery

    def _charger(self) -> bool:
        """Whether power comes in from outside."""
        if self._supplies.charger is not None:
            online = first(self._folder / self._supplies.charger / "online", _NUMBER)
            if online in ("0", "1", "2"):  # 2: one of several inputs
                return online != "0"
        return self._contact()

    def _is_empty(self) -> bool:
        """At or below the cut-off in several readings in a row: an aged battery whose gauge has not learnt of it."""
        cut_off_mv, found_mv = self._supplies.cut_off_mv, self.millivolts
        low = cut_off_mv is not None and found_mv is not None and found_mv <= cut_off_mv
        self._empty_readings = self._empty_readings + 1 if low else 0
        return self._empty_readings >= EMPTY_READINGS


def _percent(folder: Path) -> int | None:
    if first(folder / "present", _NUMBER) == "0":
        return None
    found = first(folder / "capacity", _NUMBER)
    return int(found) if found is not None and int(found) <= MAX_PERCENT else None


def _millivolts(folder: Path) -> int | None:
    found = first(folder / "voltage_now", _NUMBER)
    return int(found) // UV_PER_MV if found is not None and int(found) > 0 else None
