"""What a board says of itself: the firmware of the supply, the kernel of the temperature, the card of its wear.

Guarantees: what is absent or not of the kernel's form is None. Source: Raspberry Pi's documentation of `vcgencmd
get_throttled`; the kernel's Documentation/ABI/testing/sysfs-class-thermal (thousandths of a degree).
"""

from __future__ import annotations

import re
from pathlib import Path

from agent.health import HealthMeasured, Supply
from hw.attributes import first
from hw.card_health import card_health

SYSTEM = Path("/sys")
THROTTLED = "devices/platform/soc/soc:firmware/get_throttled"
TEMPERATURE = "class/thermal/thermal_zone0/temp"

_HEX = re.compile(r"([0-9a-f]{1,8})\n")
_MILLIDEGREES = re.compile(r"(-?[0-9]{1,6})\n")
_UNDER_VOLTAGE, _CAPPED, _THROTTLED, _SOFT_LIMIT = (1 << bit for bit in range(4))
_SLOWED = _CAPPED | _THROTTLED | _SOFT_LIMIT
_SINCE_BOOT = 16  # the same bits, 16 higher: it has happened since the board started


def measure(data: Path, system: Path = SYSTEM) -> HealthMeasured:
    """Read the files. `data`: a folder on the card that is meant; `system`: as /sys."""
    return HealthMeasured(supply(system), celsius(system), card_health(data, system))


def supply(system: Path = SYSTEM) -> Supply | None:
    """What the firmware tells; None where it does not."""
    found = first(system / THROTTLED, _HEX)
    if found is None:
        return None
    bits = int(found, 16)
    return Supply(bool(bits & _UNDER_VOLTAGE), bool(bits & _SLOWED), bool(bits >> _SINCE_BOOT & _UNDER_VOLTAGE))


def celsius(system: Path = SYSTEM) -> int | None:
    """Of the processor, in whole degrees."""
    found = first(system / TEMPERATURE, _MILLIDEGREES)
    return None if found is None else int(found) // 1000
