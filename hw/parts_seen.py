"""Which parts of a board the kernel shows, for the doctor: names in its folders, nothing is opened that could answer.

Guarantees: read only, and no driver notices; never fails: what cannot be looked at is not there. Whether a part works
is for its own driver and the self-test to say. Assumes the folders of Linux 6: /dev, /proc/asound, /sys/class.
Source: docs/hardware.md, "Self-test".
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.board_parts import BoardParts, EncoderKind, Led
from agent.config import Board, Services
from agent.health import PartKind, SeenPart
from hw.attributes import first

ROOT = Path("/")
HARDWARE_ENCODER = "bcm2835-codec-encode"

_NAME = re.compile(r"([ -~]{1,63})\n")


def parts_seen(board: Board, services: Services | None, root: Path = ROOT) -> tuple[SeenPart, ...]:
    """Each part that the board file names, none of a simulated board. `root`: the folder that has dev, proc and sys."""
    parts = board.parts
    if parts is None:
        return ()
    return tuple(
        SeenPart(kind, f"/{where.relative_to(root)}" if where.is_relative_to(root) else str(where), there)
        for kind, where, there in (
            *_pictures(parts, root),
            _sound(parts, root),
            *_named(board, parts, root),
            *_served(services),
        )
    )


Seen = tuple[PartKind, Path, bool]


def _pictures(parts: BoardParts, root: Path) -> Iterator[Seen]:
    """A sensor's driver names its subdevice after it, as in "imx708_wide 10-001a"."""
    folder = root / "sys" / "class" / "video4linux"
    names = _video_names(folder)
    yield (
        PartKind.SENSOR,
        folder / parts.sensor,
        any(name is not None and name.startswith(parts.sensor) for name in names),
    )
    if parts.encoder is EncoderKind.HARDWARE:
        yield PartKind.ENCODER, folder / HARDWARE_ENCODER, HARDWARE_ENCODER in names


def _video_names(folder: Path) -> frozenset[str | None]:
    try:
        return frozenset(first(device / "name", _NAME) for device in folder.iterdir())
    except OSError:
        return frozenset()


def _sound(parts: BoardParts, root: Path) -> Seen:
    """`hw:CARD=NAME,DEV=N` is /proc/asound/NAME/pcmNc: N's capture side."""
    card, _, device = parts.microphone.removeprefix("hw:CARD=").partition(",DEV=")
    where = root / "proc" / "asound" / card / f"pcm{device}c"
    return PartKind.MICROPHONE, where, where.exists()


def _named(board: Board, parts: BoardParts, root: Path) -> Iterator[Seen]:
    """Parts that the kernel shows under the name that the board file has."""
    classes = root / "sys" / "class"
    wanted = [(PartKind.PINS, root / "dev" / "gpiochip0")]
    if board.clock.rtc:
        wanted.append((PartKind.CLOCK, classes / "rtc" / "rtc0"))
    for kind, name in ((PartKind.BATTERY, parts.supplies.battery), (PartKind.CHARGER, parts.supplies.charger)):
        if name is not None:
            wanted.append((kind, classes / "power_supply" / name))
    wanted += [(PartKind.LED, classes / "leds" / lamp.name) for lamp in parts.lamps.values() if isinstance(lamp, Led)]
    if parts.radio is not None:
        wanted.append((PartKind.RADIO, classes / "net" / parts.radio))
    return ((kind, where, where.exists()) for kind, where in wanted)


def _served(services: Services | None) -> Iterator[Seen]:
    """The keeper makes its pipe, and systemd the socket that starts capture; both are gone when their units are."""
    if services is not None:
        yield PartKind.KEEPER, services.keeper, stat.S_ISFIFO(_mode(services.keeper))
        yield PartKind.CAPTURE, services.capture, stat.S_ISSOCK(_mode(services.capture))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0
