"""Boards whose camera is one of tests/virtual/virtual.yaml's; everything else is as a Pi 5 has it."""

from __future__ import annotations

import re
from pathlib import Path

from hw.boards import board_file as packaged

SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
RATES_BPS = {"720p": (4_000_000, 6_000_000), "1080p": (8_000_000, 12_000_000)}


def board_file(folder: Path, sensor: str, size: str = "720p", encoder: str = "libx264") -> Path:
    """Written into the folder."""
    text = packaged("pi5").read_text("utf-8")
    (width, height), (rate, most) = SIZES[size], RATES_BPS[size]
    changes: dict[str, object] = {"width": width, "height": height, "bit_rate_bps": rate, "max_bit_rate_bps": most}
    changes |= {"sensor": f'"{sensor}"', "encoder": f'"{encoder}"'}
    for key, value in changes.items():
        text, count = re.subn(rf"(?m)^{key} = (?!\{{)[^ \n]+", f"{key} = {value}", text, count=1)
        assert count == 1, key
    path = folder / f"{sensor}-{size}-{encoder}.toml"
    path.write_text(text, "utf-8")
    return path
