"""When a recording's journal says where the camera is, and what: sealed, so that only the agency's readers learn it.

Guarantees: pure but for the randomness that it is given. Of a recording, a place is journalled once one is known, then
when the camera has moved, each minute while a position is known, and when a position is known no more or again; never
within 10 s of the one before. A position that was told more than 10 s ago is not known: then it is the sector of the
hand-out, and without one nothing. Assumes: `step` is called by one thread; any thread may call `take`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Sequence

from agent.formats.age import Recipient, Sealer
from agent.formats.place import place_text
from agent.model import NS_PER_S, Place
from agent.orders import Located
from agent.ports import Random

MAX_AGE_NS = 10 * NS_PER_S
LEAST_NS = 10 * NS_PER_S
AGAIN_NS = 60 * NS_PER_S
MOVED_M = 50  # more than what a receiver at rest between houses wanders in a minute

_METRES_PER_E7 = 40_007_863 / 360 / 10**7  # of latitude: a meridian's length, WGS 84
_HALF_TURN_E7 = 180 * 10**7


class Placing:
    """`sector`: that of the hand-out in force, None without one. `recipients`, `random`: what it is sealed with."""

    def __init__(self, recipients: Sequence[Recipient], random: Random, sector: Callable[[], str | None]) -> None:
        self._recipients = recipients
        self._random = random
        self._sector = sector
        self._newest: Place | None = None
        self._rec: str | None = None
        self._told: Place | str | None = None
        self._told_ns = 0

    def take(self, place: Place) -> None:
        """The newest position."""
        self._newest = place

    def step(self, now_ns: int, rec: str | None) -> Located | None:
        """What is to be journalled now. `rec`: the recording of which something is durable, None without one."""
        if rec != self._rec:
            self._rec, self._told = rec, None
        if rec is None:
            return None
        position = self._position(now_ns)
        where = self._sector() if position is None else position
        if where is None or not self._is_due(where, now_ns):
            return None
        self._told, self._told_ns = where, now_ns
        taken_ns = now_ns if position is None else position.boot_ns
        return Located(rec, taken_ns, self._sealed(where))

    def _position(self, now_ns: int) -> Place | None:
        newest = self._newest
        return newest if newest is not None and now_ns - newest.boot_ns <= MAX_AGE_NS else None

    def _is_due(self, where: Place | str, now_ns: int) -> bool:
        told = self._told
        if told is None:
            return True
        if now_ns - self._told_ns < LEAST_NS:
            return False
        if isinstance(where, Place) and isinstance(told, Place):
            return now_ns - self._told_ns >= AGAIN_NS or distance_m(told, where) > MOVED_M
        return where != told  # another sector; or a position where a sector was, and the reverse

    def _sealed(self, where: Place | str) -> str:
        sealer = Sealer(self._recipients, self._random)
        return base64.b64encode(sealer.header + sealer.nonce + sealer.finish(place_text(where))).decode()


def distance_m(one: Place, other: Place) -> int:
    """Metres over the ground, as on a cylinder that touches there: right to a percent for some kilometres."""
    north_e7 = other.latitude_e7 - one.latitude_e7
    east_e7 = (other.longitude_e7 - one.longitude_e7 + _HALF_TURN_E7) % (2 * _HALF_TURN_E7) - _HALF_TURN_E7
    cosine = math.cos(math.radians((one.latitude_e7 + other.latitude_e7) / 2 / 10**7))
    return int(_METRES_PER_E7 * math.hypot(north_e7, east_e7 * cosine))
