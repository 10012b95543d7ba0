"""The self-test: what the camera finds out about itself while it works, for the journal, the officer and the doctor.

Guarantees: it refuses nothing and waits for nothing; each part has one check, whatever is known of it, and what could
not be looked at is unknown, never well. A check that looks at pictures or sound judges nothing by a moment: all of
WINDOW_NS must say the same. Pure: the time and all facts are arguments.
Assumes observations of about one a second (docs/formats.md, "The pipe"), in the order of their times.
Source: docs/hardware.md, "Self-test", which also says what is not told apart, and how the limits were chosen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.config import BatteryLevels
from agent.formats.canonical import Value
from agent.formats.pipe import Observation
from agent.health import CardHealth, Outcome, Reserve, SelfCheck, Supply
from agent.model import NS_PER_S, Battery, Condition, Stamp, TimeSource
from agent.store.space import minutes_left
from agent.troubles import SELFTEST

WINDOW_NS = 20 * NS_PER_S  # a hand before the lens, a passage in the dark: shorter than this
LEAST_SEEN = 15  # of the window's 20: fewer say too little
SILENT_NS = 5 * NS_PER_S  # capture sends an observation each second; a busy machine may be late with a few

MAX_FLAT = 4  # contrast that is not noise: a covered lens shows less, a dark street more
MAX_FLAT_DARK = 5  # what a sensor's noise leaves at its highest gain, once the board has smoothed it
DARK_LUMA = 24  # black of video range, and a little: where more light comes in, the lens is open
LONG_EXPOSURE_US = 30_000  # all that a rate of 30 pictures a second leaves: the sensor looks for more light
HIGH_GAIN_MILLI = 8_000
MIN_SCENE_LUMA = 40  # below, noise looks like detail
MIN_SCENE_CONTRAST = 15  # below, what is left of sharpness is the rounding of pixels to whole numbers
BLUR_PERMILLE = 2  # of the picture's variance, half the difference of neighbours: sharp scenes have four times as much

DEAD_RMS = 0  # even a silent room moves the lowest bit of a microphone that works
CLIPPED_SAMPLES = 48  # a thousandth of a second's: a knock has fewer
CLIPPED_OF_SEEN = 2  # one second in so many

LOW_MINUTES = 240  # less than a long intervention at the board's rate, with what leads to a dock after it
WIDE_CLOCK_MS = 60_000  # docs/time.md: a wider bracket is named to the court
RENEW_WITHIN_DAYS = 30  # an agency needs some weeks to have its cameras enrolled again
WORN_PERCENT = 90  # of the card's life, as it tells itself
WORN_OUT_PERCENT = 110
MS_PER_DAY = 86_400_000

WITHOUT_PICTURES_NS = 60 * NS_PER_S  # a camera whose capture does not start tests the rest
EVERY_NS = 3_600 * NS_PER_S
AFTER_CHANGE_NS = 300 * NS_PER_S  # a part that comes and goes is no flood of entries


@dataclass(frozen=True, slots=True)
class Known:
    """What the agent knows of itself at one moment; None where nobody told.

    `filming`: capture should be delivering. `sound_wanted`: the policy has sound recorded at all. `bit_rate_bps`: of
    what is filmed now. `certificate_until_ms`: the end of the signing key's chain. `key_answers`: it signed the last
    entry.
    """

    filming: bool
    docked: bool
    sound_wanted: bool
    stamp: Stamp
    free_bytes: int | None
    reserve_bytes: int
    bit_rate_bps: int
    key_answers: bool
    certificate_until_ms: int
    policy_version: int
    policy_from_ms: int
    battery: Battery
    levels: BatteryLevels
    card: CardHealth | None
    supply: Supply | None


@dataclass(frozen=True, slots=True)
class Checked:
    """One check's outcome, and the figures that it follows from."""

    check: SelfCheck
    outcome: Outcome
    values: Mapping[str, int | str | None]


Result = tuple[Checked, ...]
"""One for each SelfCheck, in its order."""


def examine(known: Known, seen: tuple[Observation, ...], now_ns: int) -> Result:
    """All checks. `seen`: the observations of the last WINDOW_NS, none when capture has only begun."""
    looked = seen if known.filming and len(seen) >= LEAST_SEEN else ()
    return (
        _camera(known, seen, now_ns),
        _lens(looked),
        _focus(looked),
        _microphone(known, looked),
        _clock(known.stamp),
        _space(known),
        Checked(SelfCheck.KEY, Outcome.WELL if known.key_answers else Outcome.FAILED, {}),
        _certificate(known),
        _policy(known),
        _battery(known),
        _card(known.card),
        _supply(known.supply),
    )


def body(result: Result) -> dict[str, Value]:
    """What the `selftest` entry holds besides its salt."""
    checks: list[Value] = [
        {
            "name": one.check.value,
            "outcome": one.outcome.value,
            "values": dict(one.values),
            "remedy": SELFTEST.get((one.check, one.outcome)),
        }
        for one in result
    ]
    return {"checks": checks}


def conditions(result: Result) -> frozenset[Condition]:
    """What the officer is shown of it; battery, clock and camera have rules of their own (agent/conditions.py)."""
    return frozenset(condition for one in result if (condition := _SHOWN.get((one.check, one.outcome))) is not None)


_SHOWN: Mapping[tuple[SelfCheck, Outcome], Condition] = {
    (SelfCheck.LENS, Outcome.FAILED): Condition.LENS_COVERED,
    (SelfCheck.FOCUS, Outcome.WARN): Condition.LENS_BLURRED,
    (SelfCheck.MICROPHONE, Outcome.FAILED): Condition.NO_SOUND,
    (SelfCheck.SPACE, Outcome.WARN): Condition.SPACE_LOW,
    (SelfCheck.SPACE, Outcome.FAILED): Condition.SPACE_LOW,
    (SelfCheck.KEY, Outcome.FAILED): Condition.KEY_LOST,
    (SelfCheck.CARD, Outcome.WARN): Condition.CARD_WORN,
    (SelfCheck.CARD, Outcome.FAILED): Condition.CARD_WORN,
}


def _camera(known: Known, seen: tuple[Observation, ...], now_ns: int) -> Checked:
    if not known.filming:
        return Checked(SelfCheck.CAMERA, Outcome.UNKNOWN, {})
    alive = bool(seen) and now_ns - seen[-1].boot_ns < SILENT_NS
    return Checked(SelfCheck.CAMERA, Outcome.WELL if alive else Outcome.FAILED, {"observations": len(seen)})


def covered(seen: Observation) -> bool:
    """Whether nothing of a scene is in the picture: what contrast it has is noise, whose neighbours know nothing of
    each other (their mean squared difference is twice its variance; `sharpness` has it a hundredfold)."""
    scene_variance = seen.contrast**2 - seen.sharpness // 200
    return scene_variance <= (MAX_FLAT_DARK if _gropes(seen) else MAX_FLAT) ** 2


def _gropes(seen: Observation) -> bool:
    """Dark, and the sensor does all that it can for more light."""
    exposed = seen.exposure_us is not None and seen.exposure_us >= LONG_EXPOSURE_US
    amplified = seen.gain_milli is not None and seen.gain_milli >= HIGH_GAIN_MILLI
    return seen.luma <= DARK_LUMA and (exposed or amplified)


def shows(seen: Observation) -> bool:
    """Whether there is a scene bright and rich enough to tell whether it is sharp."""
    return seen.luma >= MIN_SCENE_LUMA and seen.contrast >= MIN_SCENE_CONTRAST


def blurred(seen: Observation) -> bool:
    """Whether a scene that shows has no detail."""
    return seen.sharpness * 1_000 <= seen.contrast**2 * 200 * BLUR_PERMILLE


def _all(seen: tuple[Observation, ...], rule: Callable[[Observation], bool], found: Outcome) -> Outcome:
    if not seen:
        return Outcome.UNKNOWN
    return found if all(rule(one) for one in seen) else Outcome.WELL


def _lens(seen: tuple[Observation, ...]) -> Checked:
    values: dict[str, int | str | None] = {}
    if seen:
        last = seen[-1]
        values = {
            "luma": last.luma,
            "contrast": last.contrast,
            "sharpness": last.sharpness,
            "exposure_us": last.exposure_us,
            "gain_milli": last.gain_milli,
        }
    return Checked(SelfCheck.LENS, _all(seen, covered, Outcome.FAILED), values)


def _focus(seen: tuple[Observation, ...]) -> Checked:
    judged = tuple(one for one in seen if shows(one))
    if len(judged) < LEAST_SEEN:
        return Checked(SelfCheck.FOCUS, Outcome.UNKNOWN, {})
    values = {"contrast": judged[-1].contrast, "sharpness": judged[-1].sharpness}
    return Checked(SelfCheck.FOCUS, _all(judged, blurred, Outcome.WARN), values)


def _microphone(known: Known, seen: tuple[Observation, ...]) -> Checked:
    if not seen or not known.sound_wanted:
        return Checked(SelfCheck.MICROPHONE, Outcome.UNKNOWN, {})
    clipped = sum(one.clipped >= CLIPPED_SAMPLES for one in seen)
    outcome = _all(seen, lambda one: not one.heard or one.rms <= DEAD_RMS, Outcome.FAILED)
    if outcome is Outcome.WELL and clipped * CLIPPED_OF_SEEN >= len(seen):
        outcome = Outcome.WARN
    values = {"peak": max(one.peak for one in seen), "rms": max(one.rms for one in seen), "clipped_s": clipped}
    return Checked(SelfCheck.MICROPHONE, outcome, values)


def _clock(stamp: Stamp) -> Checked:
    values = {"source": stamp.source.value, "error_ms": stamp.err_ms}
    known = stamp.utc_ms is not None and stamp.err_ms is not None
    if not known or stamp.source in (TimeSource.NONE, TimeSource.DISPUTED):
        return Checked(SelfCheck.CLOCK, Outcome.FAILED, values)
    wide = stamp.err_ms is not None and stamp.err_ms > WIDE_CLOCK_MS
    return Checked(SelfCheck.CLOCK, Outcome.WARN if wide else Outcome.WELL, values)


def _space(known: Known) -> Checked:
    if known.free_bytes is None:
        return Checked(SelfCheck.SPACE, Outcome.UNKNOWN, {})
    minutes = minutes_left(known.free_bytes, known.reserve_bytes, known.bit_rate_bps)
    values = {"hours": minutes // 60, "minutes": minutes % 60, "free_bytes": known.free_bytes}
    if known.free_bytes < known.reserve_bytes:
        return Checked(SelfCheck.SPACE, Outcome.FAILED, values)
    return Checked(SelfCheck.SPACE, Outcome.WARN if minutes < LOW_MINUTES else Outcome.WELL, values)


def _certificate(known: Known) -> Checked:
    now_ms, until_ms = known.stamp.utc_ms, known.certificate_until_ms
    if now_ms is None:
        return Checked(SelfCheck.CERTIFICATE, Outcome.UNKNOWN, {})
    values = {"days": max(until_ms - now_ms, 0) // MS_PER_DAY}
    if now_ms - (known.stamp.err_ms or 0) > until_ms:
        return Checked(SelfCheck.CERTIFICATE, Outcome.FAILED, values)
    ending = values["days"] < RENEW_WITHIN_DAYS
    return Checked(SelfCheck.CERTIFICATE, Outcome.WARN if ending else Outcome.WELL, values)


def _policy(known: Known) -> Checked:
    now_ms, values = known.stamp.utc_ms, {"version": known.policy_version}
    if now_ms is None:
        return Checked(SelfCheck.POLICY, Outcome.UNKNOWN, values)
    early = now_ms + (known.stamp.err_ms or 0) < known.policy_from_ms
    return Checked(SelfCheck.POLICY, Outcome.FAILED if early else Outcome.WELL, values)


def _battery(known: Known) -> Checked:
    percent, charging = known.battery.percent, known.battery.charging
    values = {"percent": percent}
    if percent is None:
        return Checked(SelfCheck.BATTERY, Outcome.UNKNOWN, {})
    if percent <= known.levels.cut_off_percent and not charging:
        return Checked(SelfCheck.BATTERY, Outcome.FAILED, values)
    low = percent <= known.levels.warn_percent[0]
    return Checked(SelfCheck.BATTERY, Outcome.WARN if low else Outcome.WELL, values)


def card_outcome(health: CardHealth | None) -> Outcome:
    """What a card's own words mean."""
    if health is None or (health.used_percent is None and health.reserve is None):
        return Outcome.UNKNOWN
    used_percent = health.used_percent or 0
    if used_percent >= WORN_OUT_PERCENT or health.reserve is Reserve.URGENT:
        return Outcome.FAILED
    worn = used_percent >= WORN_PERCENT or health.reserve is Reserve.WARNING
    return Outcome.WARN if worn else Outcome.WELL


def _card(health: CardHealth | None) -> Checked:
    outcome = card_outcome(health)
    if health is None or outcome is Outcome.UNKNOWN:
        return Checked(SelfCheck.CARD, outcome, {})
    reserve = None if health.reserve is None else health.reserve.value
    return Checked(SelfCheck.CARD, outcome, {"used_percent": health.used_percent, "reserve": reserve})


def _supply(supply: Supply | None) -> Checked:
    if supply is None:
        return Checked(SelfCheck.SUPPLY, Outcome.UNKNOWN, {})
    values = {
        "under_voltage": int(supply.under_voltage),
        "slowed": int(supply.slowed),
        "before": int(supply.under_voltage_before),
    }
    strained = supply.under_voltage or supply.slowed or supply.under_voltage_before
    return Checked(SelfCheck.SUPPLY, Outcome.WARN if strained else Outcome.WELL, values)


class SelfTest:
    """Says when a self-test is to be journalled: after ready, at each docking's end, each hour, and on a change.

    Not for two threads at once. `started_ns`: of the agent, on the boot clock.
    """

    def __init__(self, started_ns: int) -> None:
        self._seen: deque[Observation] = deque()
        self._filming = False
        self._since_ns = started_ns  # since when capture films, or does not; docked: now
        self._told_ns: int | None = None
        self._told: dict[SelfCheck, Outcome] = {}
        self._undocked = False
        self.conditions: frozenset[Condition] = frozenset()
        """What the officer is to be shown since the last step."""

    def observed(self, observation: Observation) -> None:
        """What capture sent; of another capture process too, whose times go on from the one before."""
        self._seen.append(observation)

    def step(self, known: Known, now_ns: int) -> dict[str, Value] | None:
        """The body of a `selftest` entry that is due now, else None. Call it about once a second."""
        self._keep(known, now_ns)
        result = examine(known, tuple(self._seen), now_ns)
        self.conditions = conditions(result)
        found = {one.check: one.outcome for one in result if one.outcome is not Outcome.UNKNOWN}
        if not self._due(found, now_ns):
            return None
        self._told_ns, self._undocked = now_ns, False
        self._told.update(found)
        return body(result)

    def _keep(self, known: Known, now_ns: int) -> None:
        """The window's observations, and since when capture films or not; a dock puts off every self-test."""
        self._undocked = self._undocked or known.docked
        if known.docked or known.filming is not self._filming:
            self._filming, self._since_ns = known.filming, now_ns
        while self._seen and self._seen[0].boot_ns <= now_ns - WINDOW_NS:
            self._seen.popleft()

    def _due(self, found: Mapping[SelfCheck, Outcome], now_ns: int) -> bool:
        if now_ns - self._since_ns < (WINDOW_NS if self._filming else WITHOUT_PICTURES_NS):
            return False
        if self._told_ns is None or self._undocked:
            return True
        passed_ns = now_ns - self._told_ns
        changed = any(self._told.get(check) is not outcome for check, outcome in found.items())
        return passed_ns >= (AFTER_CHANGE_NS if changed else EVERY_NS)
