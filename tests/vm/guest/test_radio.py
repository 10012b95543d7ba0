"""The radio on the kernel's own simulated air: tests/support/radio_hwsim.py, whole."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def test_every_scene_on_the_air(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    command = [sys.executable, "-m", "tests.support.radio_hwsim", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    *scenes, times = done.stdout.splitlines() or [""]
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(scenes) > 3
    record_property("scenes of the radio", f"{len(scenes)} ok")
    record_property("contact to association", times.partition("ms: ")[2])
