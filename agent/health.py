"""What a camera can tell of its own state: the self-test's checks and outcomes, and what parts say of themselves.

Frozen values, no behaviour. Source: docs/hardware.md, "Self-test".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class SelfCheck(StrEnum):
    """What a self-test looks at, in the order in which it tells."""

    CAMERA = "camera"
    LENS = "lens"
    FOCUS = "focus"
    MICROPHONE = "microphone"
    CLOCK = "clock"
    SPACE = "space"
    KEY = "key"
    CERTIFICATE = "certificate"
    POLICY = "policy"
    BATTERY = "battery"
    CARD = "card"
    SUPPLY = "supply"


class Outcome(StrEnum):
    """What a check found. FAILED: the part does not do its work now; WARN: not as it should, or not for long.

    UNKNOWN: it could not be looked at. None of them refuses anything.
    """

    WELL = "well"
    WARN = "warn"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Supply:
    """What the firmware says of the board's supply: too little voltage now, slower for it or for heat now, and whether
    there was too little voltage at any time since the board started."""

    under_voltage: bool
    slowed: bool
    under_voltage_before: bool


class Reserve(StrEnum):
    """What is left of the spare blocks of a card (JEDEC's PRE_EOL_INFO): WARNING 20 %, URGENT 10 %."""

    NORMAL = "normal"
    WARNING = "warning"
    URGENT = "urgent"


@dataclass(frozen=True, slots=True)
class CardHealth:
    """What a card tells of its wear: the share of its life that is used, in steps of ten (110: all, and more), and its
    spare blocks; None where it does not tell."""

    used_percent: int | None
    reserve: Reserve | None


class PartKind(StrEnum):
    """The parts of a real board that the kernel shows, and the two services that hold some of them."""

    PINS = "pins"
    SENSOR = "sensor"
    ENCODER = "encoder"
    MICROPHONE = "microphone"
    CLOCK = "clock"
    BATTERY = "battery"
    CHARGER = "charger"
    LED = "led"
    KEEPER = "keeper"
    CAPTURE = "capture"
    RADIO = "radio"


@dataclass(frozen=True, slots=True)
class SeenPart:
    """A part that the board file names, where it was looked for, and whether it is there."""

    kind: PartKind
    where: str
    there: bool


@dataclass(frozen=True, slots=True)
class HealthMeasured:
    """What a board says of its supply, its processor's temperature and its card; None where it does not tell."""

    supply: Supply | None
    celsius: int | None
    card: CardHealth | None
