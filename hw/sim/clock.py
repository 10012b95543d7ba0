"""The simulated board's clocks.

Guarantees: the boot clock is this machine's own, which the capture process reads too. The boot id outlives the agent,
and changes with a simulated power cut or a restart of the machine. The real-time clock is this machine's wall clock
plus the steps that were asked for, which outlive a power cut as a battery-backed clock's error does.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path

from agent.errors import ConfigError
from agent.model import NS_PER_MS
from hw.sim.timeline import replace_file

BOOT = "boot.json"
RTC_STEP = "rtc_step.json"
_KERNEL_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class SimClock:
    """A Clock in the folder `run`. `rtc_err_ms` is the board's, None where it has no real-time clock."""

    def __init__(self, run: Path, rtc_err_ms: int | None) -> None:
        self._run = run
        self._rtc_err_ms = rtc_err_ms
        self._step_s = _read_int(run / RTC_STEP, "step_s")
        self._boot_id = self._same_boot() or self._new_boot()

    def boot_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        return self._boot_id

    def rtc(self) -> tuple[int, int] | None:
        if self._rtc_err_ms is None:
            return None
        return time.time_ns() // NS_PER_MS + self._step_s * 1000, self._rtc_err_ms

    def step(self, seconds: int) -> None:
        """The real-time clock jumps. Raises ConfigError when the step cannot be kept."""
        self._step_s += seconds
        _write(self._run / RTC_STEP, {"step_s": self._step_s})

    def power_cut(self) -> None:
        """The next start is another boot. Raises ConfigError when that cannot be kept."""
        self._boot_id = self._new_boot()

    def _same_boot(self) -> str | None:
        try:
            found = json.loads((self._run / BOOT).read_text(encoding="utf-8"))
            boot_id = str(uuid.UUID(found["boot"]))
            return boot_id if found["kernel"] == _kernel_boot_id() else None
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def _new_boot(self) -> str:
        boot_id = str(uuid.uuid4())
        _write(self._run / BOOT, {"boot": boot_id, "kernel": _kernel_boot_id()})
        return boot_id


def _kernel_boot_id() -> str:
    return _KERNEL_BOOT_ID.read_text(encoding="ascii").strip()


def _read_int(path: Path, key: str) -> int:
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))[key])
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _write(path: Path, value: dict[str, object]) -> None:
    try:
        replace_file(path, json.dumps(value))
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be written", "choose a run folder of your own") from None
