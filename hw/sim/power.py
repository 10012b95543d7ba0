"""The simulated battery and contacts: they outlive the agent, as the real ones do."""

from __future__ import annotations

import json
from pathlib import Path

from agent.errors import ConfigError
from agent.model import Battery
from hw.sim.timeline import replace_file

POWER = "power.json"
POWER_CUT_EXIT = 137
"""Exit code of an agent whose board has no power any more."""


class SimPower:
    """A Power in the folder `run`: a full battery off its charger until something else is set."""

    def __init__(self, run: Path) -> None:
        self._file = run / POWER
        self._percent, self._contact = _read(self._file)

    def battery(self) -> Battery:
        return Battery(self._percent, charging=self._contact)

    @property
    def contact(self) -> bool:
        """A dock or charger touches the contacts."""
        return self._contact

    def set_percent(self, percent: int) -> None:
        """0 to 100. Raises ConfigError when it cannot be kept."""
        assert 0 <= percent <= 100
        self._percent = percent
        self._keep()

    def set_contact(self, on: bool) -> None:
        """Raises ConfigError when it cannot be kept."""
        self._contact = on
        self._keep()

    def _keep(self) -> None:
        try:
            replace_file(self._file, json.dumps({"percent": self._percent, "contact": self._contact}))
        except OSError as error:
            problem = error.strerror or "cannot be written"
            raise ConfigError(str(self._file), problem, "choose a run folder of your own") from None


def _read(file: Path) -> tuple[int, bool]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        percent, contact = found["percent"], found["contact"]
    except (OSError, ValueError, KeyError, TypeError):
        return 100, False
    if not isinstance(percent, int) or not 0 <= percent <= 100:
        return 100, False
    return percent, contact is True
