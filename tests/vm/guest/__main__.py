"""The tests, on the drivers that are loaded for them; what they find goes to the second serial port.

Guarantees: each test is told of when it is known, when it starts and when it is done; `end` only after all of them.
"""

from __future__ import annotations

import os
import subprocess
import tty
from pathlib import Path

import pytest

from tests.support.gpio_sim import make_chip
from tests.vm import report
from tests.vm.guest.told import Told
from tests.vm.suite import ARGUMENTS, SETTINGS

PORT = Path("/dev/ttyS1")
MODULES = ("configfs", "gpio-sim", "test_power", "snd-aloop")
REVISION = "902120"  # a Raspberry Pi Zero 2 W, 512 MB: without one gpiozero knows no pins
CPU_INFO = Path("/proc/cpuinfo")


def main() -> None:
    """Never raises what a test raised: that is its outcome."""
    port = os.open(PORT, os.O_WRONLY | os.O_NOCTTY)
    tty.setraw(port)  # else the terminal's rules would add a carriage return
    _load_parts()
    with os.fdopen(port, "w", encoding="utf-8") as out:
        told = Told(out.write, out.flush)
        uptime = Path("/proc/uptime").read_text(encoding="ascii").split(".", 1)[0]
        told.say(report.Begin(os.uname().release, int(uptime)))
        code = pytest.main([*ARGUMENTS], plugins=[told])
        told.say(report.End(int(code)))


def _load_parts() -> None:
    os.environ.update(SETTINGS)
    for module in MODULES:
        subprocess.run(["modprobe", module], check=True)
    subprocess.run(["mount", "-t", "configfs", "config", "/sys/kernel/config"], check=True)
    make_chip()
    described = Path("/run/cpuinfo")
    described.write_text(f"{CPU_INFO.read_text(encoding='ascii')}Revision\t: {REVISION}\n", encoding="ascii")
    subprocess.run(["mount", "--bind", str(described), str(CPU_INFO)], check=True)


if __name__ == "__main__":
    main()
