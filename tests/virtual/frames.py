"""What the virtual camera `film` shows: a street at night as a sensor sees it, hard to encode for its noise."""

from __future__ import annotations

import subprocess
from pathlib import Path

PICTURES = 30
SCENE = "testsrc2=size=1280x720:rate=30,eq=brightness=-0.2:contrast=0.6,noise=alls=40:allf=t"


def make_frames(folder: Path) -> None:
    """0.jpg, 1.jpg, ...: made once."""
    if folder.exists():
        return
    part = folder.with_suffix(".part")
    part.mkdir(exist_ok=True)
    command = ["ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i", SCENE, "-frames:v", str(PICTURES)]
    subprocess.run([*command, "-q:v", "3", "-start_number", "0", str(part / "%d.jpg")], check=True)
    part.rename(folder)
