"""Which parts of a board are there, in folders like the kernel's; each is missed alone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.board_parts import BoardParts, EncoderKind, Lamp, Led, Supplies
from agent.config import Board, Services, load_board
from agent.health import PartKind
from agent.troubles import FINDINGS
from hw.boards import board_file
from hw.parts_seen import parts_seen

SERVICES = Services(Path("/none/panel"), Path("/none/start.sock"))


@pytest.fixture
def board() -> Board:
    """A board that names every part."""
    made = load_board(board_file("zero2w-clipon"))
    parts = made.parts
    assert parts is not None
    lamps: dict[str, Lamp] = {**parts.lamps, "red": Led("temoin:red")}
    return replace(
        made, parts=replace(parts, lamps=lamps, supplies=Supplies("battery", "usb", None), encoder=EncoderKind.HARDWARE)
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A machine that has all of them."""
    folder = tmp_path / "root"
    for name, text in (
        ("dev/gpiochip0", ""),
        ("sys/class/video4linux/video0/name", "unicam-image\n"),
        ("sys/class/video4linux/v4l-subdev0/name", "imx708_wide 10-001a\n"),
        ("sys/class/video4linux/video11/name", "bcm2835-codec-encode\n"),
        ("proc/asound/sndrpigooglevoi/pcm0c/info", ""),
        ("sys/class/rtc/rtc0/since_epoch", ""),
        ("sys/class/power_supply/battery/capacity", ""),
        ("sys/class/power_supply/usb/online", ""),
        ("sys/class/leds/temoin:red/brightness", ""),
        ("sys/class/net/wlan0/address", ""),
    ):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder


def missing(board: Board, root: Path, services: Services | None = None) -> list[PartKind]:
    return [part.kind for part in parts_seen(board, services, root) if not part.there]


def test_all_are_there(board: Board, root: Path) -> None:
    assert missing(board, root) == []
    assert {part.kind for part in parts_seen(board, SERVICES, root)} == set(PartKind)


def test_each_kind_has_its_finding() -> None:
    assert {f"{kind}_missing" for kind in PartKind} <= set(FINDINGS)


GONE: dict[str, PartKind] = {
    "dev/gpiochip0": PartKind.PINS,
    "sys/class/video4linux/v4l-subdev0/name": PartKind.SENSOR,
    "sys/class/video4linux/video11/name": PartKind.ENCODER,
    "proc/asound/sndrpigooglevoi/pcm0c": PartKind.MICROPHONE,
    "sys/class/rtc/rtc0": PartKind.CLOCK,
    "sys/class/power_supply/battery": PartKind.BATTERY,
    "sys/class/power_supply/usb": PartKind.CHARGER,
    "sys/class/leds/temoin:red": PartKind.LED,
    "sys/class/net/wlan0": PartKind.RADIO,
}


@pytest.mark.parametrize("name", GONE)
def test_one_that_is_gone_is_missed_alone(board: Board, root: Path, name: str) -> None:
    (root / name).rename(root / "elsewhere")
    assert missing(board, root) == [GONE[name]]


def test_a_machine_with_nothing(board: Board, tmp_path: Path) -> None:
    found = parts_seen(board, SERVICES, tmp_path)
    assert not any(part.there for part in found)
    assert {part.kind for part in found} == set(PartKind)
    assert {part.where for part in found} >= {"/dev/gpiochip0", "/proc/asound/sndrpigooglevoi/pcm0c", "/none/panel"}


def without(**changes: object) -> Callable[[BoardParts], BoardParts]:
    return lambda parts: replace(parts, **changes)  # type: ignore[arg-type]  # any field of the parts


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (without(encoder=EncoderKind.LIBX264), {PartKind.ENCODER}),
        (without(supplies=Supplies(None, None, None)), {PartKind.BATTERY, PartKind.CHARGER}),
        (without(lamps={}), {PartKind.LED}),
        (without(radio=None), {PartKind.RADIO}),
    ],
)
def test_what_the_board_does_not_name_is_not_missed(
    board: Board, tmp_path: Path, change: Callable[[BoardParts], BoardParts], kinds: set[PartKind]
) -> None:
    assert board.parts is not None
    named = replace(board, parts=change(board.parts))
    assert {part.kind for part in parts_seen(named, SERVICES, tmp_path)} == set(PartKind) - kinds


def test_a_board_without_a_clock_and_a_simulated_one(board: Board, tmp_path: Path) -> None:
    no_clock = replace(board, clock=replace(board.clock, rtc=False))
    assert PartKind.CLOCK not in missing(no_clock, tmp_path)
    assert parts_seen(load_board(board_file("sim")), None, tmp_path) == ()


def test_keeper_and_capture_are_a_pipe_and_a_socket(board: Board, root: Path, tmp_path: Path) -> None:
    services = Services(tmp_path / "panel", tmp_path / "start.sock")
    assert missing(board, root, services) == [PartKind.KEEPER, PartKind.CAPTURE]
    (tmp_path / "panel").write_bytes(b"")
    (tmp_path / "start.sock").write_bytes(b"")
    assert missing(board, root, services) == [PartKind.KEEPER, PartKind.CAPTURE]
    for path in (services.keeper, services.capture):
        path.unlink()
    os.mkfifo(services.keeper)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.fspath(services.capture))
        assert missing(board, root, services) == []
