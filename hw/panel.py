"""What is common to panels: a light that is held, and its going dark by itself.

Guarantees: pure; the deadline is absolute, so that whoever reads it needs no help from whoever set it.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.model import DARK, Light


@dataclass(frozen=True, slots=True)
class HeldLight:
    """A light and the moment on the boot clock at which it goes dark; None: held until something else is shown."""

    light: Light
    dark_at_ns: int | None

    @staticmethod
    def shown(light: Light, dark_after_ns: int | None, now_ns: int) -> HeldLight:
        """What `Panel.show` at `now_ns` means."""
        return HeldLight(light, None if dark_after_ns is None else now_ns + dark_after_ns)

    def at(self, now_ns: int) -> Light:
        """What is seen at `now_ns`."""
        return DARK if self.dark_at_ns is not None and now_ns >= self.dark_at_ns else self.light
