"""Beeps through the kernel's loopback card, heard, filmed and found again: tests/support/loopback_sound.py, whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from tests.vm.suite import SOUND_SECONDS


def test_every_beep_lies_where_it_was_played(record_property: Callable[[str, object], None]) -> None:
    command = [sys.executable, "-m", "tests.support.loopback_sound", os.environ[SOUND_SECONDS]]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    record_property("sound, least / median / most", done.stdout.splitlines()[-1])
