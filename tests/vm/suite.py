"""Which tests run inside the machine. This side lists them too, so that none can be missing unseen."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.vm.debian import PROJECT, VmError

FILES = (
    "tests/vm/guest/test_pins.py",
    "tests/vm/guest/test_battery.py",
    "tests/vm/guest/test_board.py",
    "tests/vm/guest/test_sound.py",
    "tests/vm/guest/test_radio.py",
    "tests/unit/test_inputs.py",
    "tests/unit/test_keeper.py",
    "tests/conformance/test_panel.py",
    "tests/conformance/test_power.py",
    "tests/system/test_keeper_process.py",
)
SETTINGS = {"TEMOIN_VM": "1", "CI": "1"}
"""CI: the same examples each time."""
SOUND_SECONDS = "TEMOIN_SOUND_SECONDS"
"""How long tests/vm/guest/test_sound.py listens."""
LEFT_OUT = ("tests/unit/test_keeper.py::test_without_pins_the_factory_is_one_line_and_lgpio_has_its_folder",)
"""Here there are pins."""
ARGUMENTS = (
    *FILES,
    *(f"--deselect={test}" for test in LEFT_OUT),
    "--color=no",
    "-s",
    "-p",
    "no:cacheprovider",
    "-o",
    "faulthandler_timeout=120",
)


def wanted() -> list[str]:
    """The tests that have to come back, by their names. Raises VmError."""
    command = [sys.executable, "-m", "pytest", "--collect-only", *ARGUMENTS]
    done = subprocess.run(
        command, cwd=PROJECT, env={**os.environ, **SETTINGS}, capture_output=True, text=True, check=False
    )
    found = [line for line in done.stdout.splitlines() if "::" in line]
    if done.returncode != 0 or not found:
        raise VmError(f"the tests cannot be listed\n{(done.stdout + done.stderr)[-3000:]}")
    return found
