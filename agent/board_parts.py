"""The parts of a real board: what is wired where, from the tables of its file that a simulated board does not have.

Guarantees: no pin has two parts, no two colours of the light look alike, every lamp belongs to a colour; what is wrong
is a ConfigError that names file, key and remedy. Nothing is opened: whether a part answers is for its driver to say.
Assumes: pins are numbered as on the 40-pin header's BCM scheme, which is the one gpiozero takes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from agent.model import Colour
from agent.toml_table import Table

FIRST_PIN, LAST_PIN = 2, 27  # 0 and 1 belong to the HAT's EEPROM, which the firmware reads at boot
MAX_BUS_PINS = LAST_PIN - FIRST_PIN + 1
MIN_CUT_OFF_MV, MAX_CUT_OFF_MV = 2_500, 20_000  # one Li-ion cell that is empty; five of them that are full
MAX_LAMPS = 8

_SENSOR = re.compile(r"[a-z0-9]{1,32}")
_MICROPHONE = re.compile(r"hw:CARD=[A-Za-z0-9_]{1,32},DEV=[0-9]")
_LAMP_NAME = re.compile(r"[a-z0-9]{1,16}")
_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,63}")  # a name in a folder of /sys/class, never a path
_DEVICE_SAID = "the name of its folder there, without /"
_INTERFACE = re.compile(r"[a-z][a-z0-9]{0,14}")  # IFNAMSIZ, without its zero
_LIT = tuple(colour for colour in Colour if colour is not Colour.OFF)


class EncoderKind(StrEnum):
    """Who makes H.264 of the pictures."""

    HARDWARE = "hardware"  # V4L2 memory-to-memory: up to the Pi 4 and the Zero 2 W
    LIBX264 = "libx264"  # the Pi 5 has no encoder


class Level(StrEnum):
    """The level of a wire."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Pin:
    """A wire of the header. An input that is active low is pulled up by the board, one that is active high down."""

    gpio: int
    active: Level


@dataclass(frozen=True, slots=True)
class Led:
    """A LED of the kernel's: its folder's name in /sys/class/leds."""

    name: str


Lamp = Pin | Led


@dataclass(frozen=True, slots=True)
class Wiring:
    """The pins. `sensor`: the camera sensor's power or enable line, None where the board switches none."""

    button: Pin
    switch_off: Pin
    contact: Pin
    buzzer: Pin
    vibration: Pin
    sensor: Pin | None


@dataclass(frozen=True, slots=True)
class Supplies:
    """Names in /sys/class/power_supply, None where there is none; without `battery` the board cannot tell its charge.

    `cut_off_mv`: a battery at or below this is empty, whatever its gauge says.
    """

    battery: str | None
    charger: str | None
    cut_off_mv: int | None


@dataclass(frozen=True, slots=True)
class BoardParts:
    """All parts. `lights`: the lamps that shine together as each colour, by their names in `lamps`.

    `gpsd`: a GNSS receiver is fitted, and gpsd serves it. `radio`: the network interface of the Wi-Fi radio, None for a
    board that docks by a cable.
    """

    sensor: str
    encoder: EncoderKind
    microphone: str
    wiring: Wiring
    lamps: Mapping[str, Lamp]
    lights: Mapping[Colour, frozenset[str]]
    supplies: Supplies
    gpsd: bool
    radio: str | None


def read_parts(root: Table) -> BoardParts:
    """The tables [camera], [microphone], [pins], [lamps], [lights], [power], and the optional [place] and [radio].

    Raises ConfigError.
    """
    camera, microphone, pins, power = (root.table(name) for name in ("camera", "microphone", "pins", "power"))
    lamps_table = root.table("lamps")
    lamps = {name: _lamp(lamps_table, name) for name in lamps_table.keys()}  # noqa: SIM118 - a Table is no mapping
    if not 1 <= len(lamps) <= MAX_LAMPS:
        raise root.error("lamps", f"names {len(lamps)}", f"name 1 to {MAX_LAMPS}")
    parts = BoardParts(
        sensor=camera.matching("sensor", _SENSOR, "the sensor's name in libcamera, like imx708"),
        encoder=EncoderKind(camera.one_of("encoder", tuple(EncoderKind))),
        microphone=microphone.matching("device", _MICROPHONE, "ALSA's name of it, like hw:CARD=mic,DEV=0"),
        wiring=_wiring(pins),
        lamps=lamps,
        lights=_lights(root.table("lights"), lamps),
        supplies=_supplies(power),
        gpsd=_gpsd(root.optional_table("place")),
        radio=_radio(root.optional_table("radio")),
    )
    buses = pins.integers("buses", FIRST_PIN, LAST_PIN, MAX_BUS_PINS)
    for table in (camera, microphone, pins, power):
        table.close()
    _check_pins(parts, buses, pins, lamps_table)
    return parts


def _wiring(pins: Table) -> Wiring:
    return Wiring(
        button=_pin(pins.table("button")),
        switch_off=_pin(pins.table("switch_off")),
        contact=_pin(pins.table("contact")),
        buzzer=_pin(pins.table("buzzer")),
        vibration=_pin(pins.table("vibration")),
        sensor=_optional_pin(pins.optional_table("sensor")),
    )


def _optional_pin(table: Table | None) -> Pin | None:
    return None if table is None else _pin(table)


def _pin(table: Table) -> Pin:
    pin = Pin(table.integer("gpio", FIRST_PIN, LAST_PIN), Level(table.one_of("active", tuple(Level))))
    table.close()
    return pin


def _lamp(table: Table, name: str) -> Lamp:
    if not _LAMP_NAME.fullmatch(name):
        raise table.error(name, "is not the name of a lamp", "give 1 to 16 characters a-z and 0-9")
    entry = table.table(name)
    if "led" not in entry.keys():  # noqa: SIM118 - a Table is no mapping
        return _pin(entry)
    lamp = Led(entry.matching("led", _DEVICE, _DEVICE_SAID))
    entry.close()
    return lamp


def _lights(table: Table, lamps: Mapping[str, Lamp]) -> dict[Colour, frozenset[str]]:
    lights: dict[Colour, frozenset[str]] = {}
    for colour in _LIT:
        shining = frozenset(table.texts(colour, tuple(sorted(lamps))))
        for other, same in lights.items():
            if same == shining:
                raise table.error(colour, f"looks like {other}", "let other lamps shine")
        lights[colour] = shining
    table.close()
    dark = sorted(lamps.keys() - frozenset().union(*lights.values()))
    if dark:
        raise table.error(dark[0], "is a lamp of no colour", "remove it from [lamps], or let it shine in one")
    return lights


def _supplies(table: Table) -> Supplies:
    names: dict[str, str | None] = {}
    for key in ("battery", "charger"):
        name = names[key] = table.optional_text(key)
        if name is not None and not _DEVICE.fullmatch(name):
            raise table.error(key, f"{name!r} is not allowed", f"give {_DEVICE_SAID}")
    battery, charger = names["battery"], names["charger"]
    if battery is not None and battery == charger:
        raise table.error("charger", "is the battery", "give the charger's own name, or remove the line")
    cut_off_mv = table.optional_integer("cut_off_mv", MIN_CUT_OFF_MV, MAX_CUT_OFF_MV)
    if cut_off_mv is not None and battery is None:
        raise table.error("cut_off_mv", "is of a battery that is not named", "name power.battery, or remove the line")
    return Supplies(battery, charger, cut_off_mv)


def _gpsd(table: Table | None) -> bool:
    if table is None:
        return False
    fitted = table.boolean("gpsd")
    table.close()
    return fitted


def _radio(table: Table | None) -> str | None:
    if table is None:
        return None
    interface = table.matching("interface", _INTERFACE, "the radio's network interface, like wlan0")
    table.close()
    return interface


def _check_pins(parts: BoardParts, buses: tuple[int, ...], pins: Table, lamps: Table) -> None:
    """One part a pin. `buses` are those that I2C, I2S and the like take by device tree."""
    taken: dict[int, str] = {}
    for gpio in buses:
        if gpio in taken:
            raise pins.error("buses", f"names pin {gpio} twice", "name each pin once")
        taken[gpio] = "pins.buses"
    leds: dict[str, str] = {}
    for name, lamp in parts.lamps.items():
        if isinstance(lamp, Led) and leds.setdefault(lamp.name, name) != name:
            raise lamps.error(f"{name}.led", f"is that of {leds[lamp.name]} too", "give each lamp a LED of its own")
    for where, pin in _pins_of(parts):
        if pin.gpio in taken:
            table, _, key = where.partition(".")
            found = lamps if table == "lamps" else pins
            raise found.error(key, f"{pin.gpio} is the pin of {taken[pin.gpio]} too", "give each part a pin of its own")
        taken[pin.gpio] = where


def _pins_of(parts: BoardParts) -> Iterator[tuple[str, Pin]]:
    wiring = parts.wiring
    wired: dict[str, Lamp | None] = {
        "pins.button": wiring.button,
        "pins.switch_off": wiring.switch_off,
        "pins.contact": wiring.contact,
        "pins.buzzer": wiring.buzzer,
        "pins.vibration": wiring.vibration,
        "pins.sensor": wiring.sensor,
        **{f"lamps.{name}": lamp for name, lamp in parts.lamps.items()},
    }
    for where, part in wired.items():
        if isinstance(part, Pin):
            yield f"{where}.gpio", part
