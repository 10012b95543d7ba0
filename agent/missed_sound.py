"""Holes in a recording's sound that are shorter than a fragment: silence stands there, and an entry says so.

A microphone that is gone for good is another matter: fragments without sound say that by themselves. A pure rule.
"""

from __future__ import annotations

from agent.formats.canonical import Value
from agent.formats.pipe import Observation
from agent.model import NS_PER_S

TELL_EVERY_NS = 10 * NS_PER_S  # a bad contact makes many holes: one entry for those of ten seconds


class MissedSound:
    """Fed with observations, asked once a second."""

    def __init__(self) -> None:
        self._missing_ms = 0
        self._until_ns = 0
        self._tell_ns = 0

    def observed(self, observation: Observation) -> None:
        """What one second sounded like; one in which nothing was heard at all is no hole."""
        if observation.heard and observation.missing_ms:
            self._missing_ms += observation.missing_ms
            self._until_ns = observation.boot_ns

    def step(self, recording: bool, now_ns: int) -> dict[str, Value] | None:
        """The values of an `alert` that is due, else None. What is missed outside of recordings is forgotten."""
        if not recording:
            self._missing_ms = 0
        if not self._missing_ms or now_ns < self._tell_ns:
            return None
        values: dict[str, Value] = {"missing_ms": self._missing_ms, "until_ns": str(self._until_ns)}
        self._missing_ms, self._tell_ns = 0, now_ns + TELL_EVERY_NS
        return values
