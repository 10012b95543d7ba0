"""`make demo FOOTAGE=<file> OUT=<folder>` plays any film, and says in one line what is wrong with one that is none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.footage import make_footage

PROJECT = Path(__file__).parents[2]


def make_demo(footage: Path, out: Path) -> subprocess.CompletedProcess[str]:
    """As somebody types it, but that what it needs is there. What make was told from outside does not count."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return subprocess.run(
        ["make", "--no-print-directory", "--old-file=setup", "demo", f"FOOTAGE={footage}", f"OUT={out}"],
        capture_output=True,
        text=True,
        cwd=PROJECT,
        env=variables,
        timeout=300,
        check=False,
    )


def test_it_plays_a_film_of_any_size(tmp_path: Path) -> None:
    film = make_footage(
        tmp_path / "ma caméra.mkv", frames=50, width=176, height=144, frames_per_second=10, codec="mpeg4"
    )
    done = make_demo(film, tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"agency", "camera", "bundle"}
    assert str(tmp_path / "out" / "bundle" / "clip.mp4") in done.stdout
    assert (tmp_path / "out" / "bundle" / "clip.mp4").stat().st_size > 65_536


def test_it_says_in_one_line_that_a_file_is_no_film(tmp_path: Path) -> None:
    noise = tmp_path / "noise.mp4"
    noise.write_bytes(bytes(range(256)) * 40)
    for footage in (noise, tmp_path / "missing.mp4"):
        done = make_demo(footage, tmp_path / f"out-{footage.stem}")
        assert done.returncode != 0
        (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
        assert str(footage) in line
        assert "give a video file" in line
        assert "Traceback" not in done.stdout + line
