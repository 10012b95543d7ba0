"""When the battery is worth a warning, and when it is too empty to go on. A pure rule over its percentages."""

from __future__ import annotations

from agent.config import BatteryLevels
from agent.model import Battery


class BatteryWatch:
    """Warns once at each of the board's levels, again only after the charge was above it."""

    def __init__(self, levels: BatteryLevels) -> None:
        self._levels = levels
        self._warned_percent = 100
        self.reading = Battery(None)
        self.empty = False

    @property
    def percent(self) -> int | None:
        """The last reading's."""
        return self.reading.percent

    @property
    def low(self) -> bool:
        """At or below the first warning."""
        return self.percent is not None and self.percent <= self._levels.warn_percent[0]

    def take(self, battery: Battery) -> bool:
        """A new reading; True if the officer is to be warned of it."""
        self.reading = battery
        percent = battery.percent
        self.empty = percent is not None and percent <= self._levels.cut_off_percent and not battery.charging
        if percent is None:
            return False
        reached = min((level for level in self._levels.warn_percent if percent <= level), default=100)
        warn, self._warned_percent = reached < self._warned_percent, reached
        return warn
