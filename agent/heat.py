"""How much of its bit rate a camera that gets hot may film with: less footage a second, before seconds are lost.

A pure rule over the processor's temperature. It steps down while the board is warmer than it may stay, well before the
firmware slows it by itself (80 degrees on every Raspberry Pi; then pictures are late or lost), and up again, slowly,
when it has cooled for a while. A temperature that is not known changes nothing.
"""

from __future__ import annotations

from agent.model import NS_PER_S

HOT_C = 75
COOL_C = 68  # what falls by a step down must not at once lead up again
STEPS_PERCENT = (100, 70, 50, 35)  # of the board's bit rate; the last is still a face at arm's length
DOWN_AFTER_NS = 20 * NS_PER_S  # heat follows load with a delay: a step has to show its effect before the next
UP_AFTER_NS = 120 * NS_PER_S


class HeatRule:
    """Fed with each measurement; `percent` is what to film with."""

    def __init__(self) -> None:
        self._step = 0
        self._changed_ns: int | None = None
        self._cool_since_ns: int | None = None

    @property
    def percent(self) -> int:
        return STEPS_PERCENT[self._step]

    def measured(self, celsius: int | None, now_ns: int) -> bool:
        """Take a temperature; True when `percent` is another one for it."""
        if celsius is None or celsius > COOL_C:
            self._cool_since_ns = None
        elif self._cool_since_ns is None:
            self._cool_since_ns = now_ns
        before = self._step
        if celsius is not None and celsius >= HOT_C and self._rested(now_ns):
            self._step = min(before + 1, len(STEPS_PERCENT) - 1)
        elif self._cool_since_ns is not None and now_ns - self._cool_since_ns >= UP_AFTER_NS and before > 0:
            self._step = before - 1
            self._cool_since_ns = now_ns  # the next one has to be earned again
        if self._step != before:
            self._changed_ns = now_ns
        return self._step != before

    def _rested(self, now_ns: int) -> bool:
        return self._changed_ns is None or now_ns - self._changed_ns >= DOWN_AFTER_NS
