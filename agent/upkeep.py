"""What a camera watches about itself while it works: its self-test, where it is, and how warm it gets.

Guarantees: refuses nothing, waits for nothing; asks for at most one entry of a kind a second.
Assumes: one thread calls; `step` comes with each turn of the main loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.config import BatteryLevels
from agent.formats.canonical import Value
from agent.health import HealthMeasured
from agent.heat import HeatRule
from agent.intake import Observed
from agent.missed_sound import MissedSound
from agent.model import NS_PER_S, Battery, Condition, Place, Stamp
from agent.orders import Note, Order, Room
from agent.placing import Placing
from agent.selftest import Known, SelfTest

STEP_NS = NS_PER_S


@dataclass(frozen=True, slots=True)
class Lasting:
    """What stays as it is while the agent runs; see agent/selftest.py `Known`."""

    sound_wanted: bool
    reserve_bytes: int
    bit_rate_bps: int
    certificate_until_ms: int
    policy_version: int
    policy_from_ms: int
    levels: BatteryLevels


@dataclass(frozen=True, slots=True)
class Doing:
    """What the camera is doing now. `rec`: the recording of which something is durable, None without one."""

    filming: bool
    docked: bool
    rec: str | None
    battery: Battery


class Upkeep:
    """`stamp` and `film_at` (a share of the bit rate, in percent) return at once."""

    def __init__(
        self,
        lasting: Lasting,
        placing: Placing,
        stamp: Callable[[], Stamp],
        film_at: Callable[[int], None],
    ) -> None:
        self._lasting = lasting
        self._placing = placing
        self._stamp = stamp
        self._film_at = film_at
        self._selftest = SelfTest(stamp().mono_ns)
        self._heat = HeatRule()
        self._missed = MissedSound()
        self._health = HealthMeasured(None, None, None)
        self._step_ns = 0
        self._free_bytes: int | None = None

    @property
    def conditions(self) -> frozenset[Condition]:
        """What the officer is to be shown of it."""
        return self._selftest.conditions

    def take(self, item: Observed | HealthMeasured | Place | Room, now_ns: int) -> list[Order]:
        """What capture, board, receiver or writer say; returns what is to be journalled for it."""
        match item:
            case Observed():
                self._selftest.observed(item.observation)
                self._missed.observed(item.observation)
            case Place():
                self._placing.take(item)
            case Room():
                self._free_bytes = item.free_bytes
            case HealthMeasured():
                return self._measured(item, now_ns)
        return []

    def _measured(self, health: HealthMeasured, now_ns: int) -> list[Order]:
        self._health = health
        if not self._heat.measured(health.celsius, now_ns):
            return []
        self._film_at(self._heat.percent)
        values: dict[str, Value] = {"celsius": health.celsius, "percent": self._heat.percent}
        return [Note("alert", {"cause": "bit_rate_changed", "values": values, "remedy": "let_cool"})]

    def step(self, doing: Doing, now_ns: int) -> list[Order]:
        """What is due to be journalled."""
        if now_ns < self._step_ns:
            return []
        self._step_ns = now_ns + STEP_NS
        located = self._placing.step(now_ns, doing.rec)
        body = self._selftest.step(self._known(doing), now_ns)
        missed = self._missed.step(doing.rec is not None, now_ns)
        due: list[Order] = [] if located is None else [located]
        if missed is not None:
            due.append(Note("alert", {"cause": "sound_missing", "values": missed, "remedy": "check_microphone"}))
        return due if body is None else [*due, Note("selftest", body)]

    def _known(self, doing: Doing) -> Known:
        lasting = self._lasting
        return Known(
            filming=doing.filming,
            docked=doing.docked,
            sound_wanted=lasting.sound_wanted,
            stamp=self._stamp(),
            free_bytes=self._free_bytes,
            reserve_bytes=lasting.reserve_bytes,
            bit_rate_bps=lasting.bit_rate_bps * self._heat.percent // 100,
            key_answers=True,  # a key of the class `file` does, or the writer has failed
            certificate_until_ms=lasting.certificate_until_ms,
            policy_version=lasting.policy_version,
            policy_from_ms=lasting.policy_from_ms,
            battery=doing.battery,
            levels=lasting.levels,
            card=self._health.card,
            supply=self._health.supply,
        )
