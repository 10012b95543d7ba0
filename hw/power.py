"""Battery and charger as the kernel tells of them (/sys/class/power_supply), and what the firmware says of the supply.

Guarantees: whatever the files hold, or however they fail, a reading comes of it: what is absent, unreadable or not of
the kernel's form is not known, never a guess; at most 64 bytes of a file are read. `battery` returns at once: only
`measure` reads files, and a gauge on a slow bus may take its time there. Assumes: `measure` is called by one thread.
Source: Documentation/ABI/testing/sysfs-class-power; Raspberry Pi's documentation of vcgencmd get_throttled.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.board_parts import Supplies
from agent.model import Battery

SUPPLIES = Path("/sys/class/power_supply")
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")

READ_BYTES = 64
EMPTY_READINGS = 3  # a motor that starts pulls the voltage down for a moment: so many in a row are no moment
UV_PER_MV = 1_000
MAX_PERCENT = 100

_NUMBER = re.compile(r"(0|[1-9][0-9]{0,9})\n")
_WORD = re.compile(r"([A-Za-z ]{1,32})\n")
_HEX = re.compile(r"([0-9a-f]{1,8})\n")
_CHARGES = {"Charging": True, "Full": True, "Discharging": False}  # "Not charging" and "Unknown" leave it open

_UNDER_VOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = (1 << bit for bit in range(4))
_SINCE_BOOT = 16  # the same bits, 16 higher: it has happened since the board started


@dataclass(frozen=True, slots=True)
class Strain:
    """What the firmware does to protect the board: too little voltage at its input, and slower for heat or voltage."""

    under_voltage: bool
    frequency_capped: bool
    throttled: bool
    soft_limit: bool

    @property
    def any(self) -> bool:
        return self.under_voltage or self.frequency_capped or self.throttled or self.soft_limit


@dataclass(frozen=True, slots=True)
class Strains:
    """Now, and at any time since the board started."""

    now: Strain
    since_boot: Strain


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
        charging = _CHARGES.get(_read(folder / "status", _WORD) or "")
        self._battery = Battery(percent, self._charger() if charging is None else charging)
        if self._is_empty():
            self._battery = Battery(0, self._battery.charging)
        return self._battery

    def _charger(self) -> bool:
        """Whether power comes in from outside."""
        if self._supplies.charger is not None:
            online = _read(self._folder / self._supplies.charger / "online", _NUMBER)
            if online in ("0", "1", "2"):  # 2: one of several inputs
                return online != "0"
        return self._contact()

    def _is_empty(self) -> bool:
        """At or below the cut-off in several readings in a row: an aged battery whose gauge has not learnt of it."""
        cut_off_mv, found_mv = self._supplies.cut_off_mv, self.millivolts
        low = cut_off_mv is not None and found_mv is not None and found_mv <= cut_off_mv
        self._empty_readings = self._empty_readings + 1 if low else 0
        return self._empty_readings >= EMPTY_READINGS


def strains(path: Path = THROTTLED) -> Strains | None:
    """What the firmware tells; None where it does not."""
    found = _read(path, _HEX)
    if found is None:
        return None
    bits = int(found, 16)
    return Strains(_strain(bits), _strain(bits >> _SINCE_BOOT))


def _strain(bits: int) -> Strain:
    return Strain(
        under_voltage=bool(bits & _UNDER_VOLTAGE),
        frequency_capped=bool(bits & _CAPPED),
        throttled=bool(bits & _THROTTLED),
        soft_limit=bool(bits & _SOFT_LIMIT),
    )


def _percent(folder: Path) -> int | None:
    if _read(folder / "present", _NUMBER) == "0":
        return None
    found = _read(folder / "capacity", _NUMBER)
    return int(found) if found is not None and int(found) <= MAX_PERCENT else None


def _millivolts(folder: Path) -> int | None:
    found = _read(folder / "voltage_now", _NUMBER)
    return int(found) // UV_PER_MV if found is not None and int(found) > 0 else None


def _read(path: Path, form: re.Pattern[str]) -> str | None:
    """The text of an attribute without its newline; None unless it is there and of this form."""
    try:
        with path.open("rb") as file:
            match = form.fullmatch(file.read(READ_BYTES + 1).decode("ascii"))
    except (OSError, UnicodeDecodeError):
        return None
    return None if match is None else match[1]
