"""Board files for tests: the packaged ones, but for some of their values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

SMALL = {"width": "320", "height": "240", "bit_rate_bps": "500_000", "max_bit_rate_bps": "1_000_000"}


def changed(board: Path, changes: Mapping[str, str]) -> str:
    """The board's file with other values for these keys, each of which it has once (besides pins of that name)."""
    text = board.read_text(encoding="utf-8")
    for key, value in changes.items():
        text, count = re.subn(rf"(?m)^{key} = (?!\{{)[^ \n]+", f"{key} = {value}", text)
        assert count == 1, key
    return text


def smaller(board: Path) -> str:
    """The board's file, filming 320 x 240: in real time that costs next to nothing."""
    return changed(board, SMALL)
