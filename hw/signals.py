"""How a light blinks, and what buzzer and vibration do for each cue: the times of all of it.

Guarantees: pure, a function of the time that has passed; every sequence ends, within 1.5 s. Source: docs/hardware.md,
whose tables are generated from the ones below.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from agent.model import NS_PER_MS, Pattern, Tone, Vibration

BLINK_MS: Mapping[Pattern, int] = MappingProxyType({Pattern.SLOW: 500, Pattern.FAST: 125})
"""On for so long, off for so long. A steady light does not blink."""

TONE_MS: Mapping[Tone, tuple[int, ...]] = MappingProxyType(
    {
        Tone.NONE: (),
        Tone.START: (150,),
        Tone.STOP: (150, 100, 150),
        Tone.MARK: (40,),
        Tone.WARNING: (80, 80, 80, 80, 80),
        Tone.REFUSAL: (700, 150, 400),
    }
)
"""On, off, on, ... in ms; the end is off."""

VIBRATION_MS: Mapping[Vibration, tuple[int, ...]] = MappingProxyType(
    {
        Vibration.NONE: (),
        Vibration.SHORT: (100,),
        Vibration.DOUBLE: (100, 120, 100),
        Vibration.LONG: (500,),
        Vibration.ALARM: (250, 120, 250, 120, 250),
    }
)
"""As TONE_MS."""

MAX_SEQUENCE_MS = 1_500


def blink(pattern: Pattern, shown_ns: int, now_ns: int) -> tuple[bool, int | None]:
    """Whether a light shown at `shown_ns` is lit at `now_ns`, and when that changes; None: it does not."""
    if pattern is Pattern.STEADY:
        return True, None
    half_ns = BLINK_MS[pattern] * NS_PER_MS
    halves = (now_ns - shown_ns) // half_ns
    return halves % 2 == 0, shown_ns + (halves + 1) * half_ns


def sequence(steps_ms: tuple[int, ...], began_ns: int, now_ns: int) -> tuple[bool, int | None]:
    """Whether a sequence that began at `began_ns` is on at `now_ns`, and when that changes; None: it is over."""
    until_ns = began_ns
    for number, step_ms in enumerate(steps_ms):
        until_ns += step_ms * NS_PER_MS
        if now_ns < until_ns:
            return number % 2 == 0, until_ns
    return False, None
