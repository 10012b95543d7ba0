"""`<run>/panel.log`: what an observer of the simulated board sees, hears and feels, one JSON object a line.

    {"boot_ns": N, "light": {"colour": C, "pattern": P}, "dark_at_ns": N or null}   the light changed
    {"boot_ns": N, "cue": {"tone": T, "vibration": V}}                              a momentary signal
    {"boot_ns": N, "device": NAME}                                                  something else of the board

Guarantees: a line is one write, in the order of events; never raises (a failed write is the caller's to report).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

LOG = "panel.log"


class Timeline:
    """Appends to the log of the folder `run`."""

    def __init__(self, run: Path) -> None:
        self._path = run / LOG

    def add(self, boot_ns: int, what: Mapping[str, object]) -> bool:
        """One line; False if it could not be written."""
        line = json.dumps({"boot_ns": boot_ns, **what}) + "\n"
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                return os.write(descriptor, line.encode()) == len(line)
            finally:
                os.close(descriptor)
        except OSError:
            return False


def replace_file(path: Path, text: str) -> None:
    """Readers see the old text or the new one. Not durable: it is the state of a device. Raises OSError."""
    new = path.with_name(path.name + ".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
