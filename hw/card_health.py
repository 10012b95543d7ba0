"""What a card tells of its wear, where it tells: eMMC does, SD cards and other disks as a rule do not.

Guarantees: never fails: what is absent, unreadable or not of the kernel's form is not known, never a guess; at most 64
bytes of a file are read. Source: drivers/mmc/core/mmc.c (`life_time`: "0x%02x 0x%02x", `pre_eol_info`: "0x%02x");
JEDEC JESD84-B51, DEVICE_LIFE_TIME_EST_TYP_A and _B, PRE_EOL_INFO.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from agent.health import CardHealth, Reserve
from hw.attributes import matched

SYSTEM = Path("/sys")
PERCENT_A_STEP = 10

_CARD = re.compile(r"mmcblk[0-9]{1,3}")
_LIFE = re.compile(r"0x(0[0-9a-b]) 0x(0[0-9a-b])\n")
_RESERVE = re.compile(r"0x0([1-3])\n")
_RESERVES = {"1": Reserve.NORMAL, "2": Reserve.WARNING, "3": Reserve.URGENT}


def card_health(data: Path, system: Path = SYSTEM) -> CardHealth | None:
    """Of the card that `data` is on; None where it is no such card, or tells nothing. `system`: as /sys."""
    try:
        device = data.stat().st_dev
        block = (system / "dev" / "block" / f"{os.major(device)}:{os.minor(device)}").resolve(strict=True)
    except OSError:
        return None
    card = next((folder for folder in (block, *block.parents) if _CARD.fullmatch(folder.name)), None)
    if card is None:
        return None
    used_percent, reserve = _used(card / "device" / "life_time"), _reserve(card / "device" / "pre_eol_info")
    return None if used_percent is None and reserve is None else CardHealth(used_percent, reserve)


def _used(file: Path) -> int | None:
    """The worse of its two kinds of memory: 0x01 is 0 to 10 % of its life, 0x0b all of it and more; 0x00 unknown."""
    found = matched(file, _LIFE)
    steps = 0 if found is None else max(int(found[1], 16), int(found[2], 16))
    return steps * PERCENT_A_STEP if steps else None


def _reserve(file: Path) -> Reserve | None:
    found = matched(file, _RESERVE)
    return None if found is None else _RESERVES[found[1]]
