"""What an onlooker finds out about a simulated board: what its clock shows, and what its capture process said.

Guarantees: read only: nothing of the board changes, whether or not its agent runs.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from agent.model import NS_PER_MS
from hw.sim.camera import MESSAGES, PROCESS
from hw.sim.clock import RTC_STEP

MAX_STEP_S = 100 * 365 * 86_400  # whatever the file says, the clock stays within the years that can be written


def utc_ms(run: Path) -> int:
    """UTC as the board's real-time clock shows it, its steps included."""
    try:
        step_s = int(json.loads((run / RTC_STEP).read_text(encoding="utf-8"))["step_s"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        step_s = 0
    return time.time_ns() // NS_PER_MS + max(-MAX_STEP_S, min(step_s, MAX_STEP_S)) * 1000


def capture_log(run: Path) -> Path | None:
    """Where the capture process has spoken since it was last started; None if it has not."""
    log = run / MESSAGES
    try:
        return log if log.stat().st_mtime_ns > (run / PROCESS).stat().st_mtime_ns else None
    except OSError:
        return None
