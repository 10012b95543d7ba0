"""What the main loop asks and tells beyond panel, camera and upkeep."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.model import TimeSource


@dataclass(frozen=True, slots=True)
class Outside:
    """Each returns at once.

    `worn`: whether a dock has handed the camera out. `contact`: a dock or charger touches the contacts, or no longer.
    `network`: that dock's network is there, or to be left. `wipe`: nothing stays in the ring.
    """

    want_sound: Callable[[bool], None]
    time_source: Callable[[], TimeSource]
    worn: Callable[[], bool]
    contact: Callable[[bool], None]
    network: Callable[[bool], None]
    wipe: Callable[[], None]
