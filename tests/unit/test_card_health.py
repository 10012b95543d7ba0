"""What a card tells of its wear, read from folders like the kernel's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.health import CardHealth, Reserve
from hw.card_health import card_health


def system(folder: Path, card: str = "mmcblk0", partition: str | None = "mmcblk0p2") -> Path:
    """A /sys whose block device of this very folder is a partition of `card`; returns the card's `device`."""
    block = folder / "devices" / "platform" / "emmc2bus" / "mmc_host" / "mmc0" / "mmc0:0001" / "block" / card
    device = block / "device"
    device.mkdir(parents=True)
    at = block if partition is None else block / partition
    at.mkdir(exist_ok=True)
    number = folder.stat().st_dev
    links = folder / "dev" / "block"
    links.mkdir(parents=True)
    (links / f"{os.major(number)}:{os.minor(number)}").symlink_to(at)
    return device


def told(folder: Path, life: bytes | None, reserve: bytes | None) -> CardHealth | None:
    device = system(folder)
    if life is not None:
        (device / "life_time").write_bytes(life)
    if reserve is not None:
        (device / "pre_eol_info").write_bytes(reserve)
    return card_health(folder, folder)


@pytest.mark.parametrize(
    ("life", "reserve", "expected"),
    [
        (b"0x01 0x01\n", b"0x01\n", CardHealth(10, Reserve.NORMAL)),
        (b"0x02 0x09\n", b"0x02\n", CardHealth(90, Reserve.WARNING)),
        (b"0x0b 0x01\n", b"0x03\n", CardHealth(110, Reserve.URGENT)),
        (b"0x00 0x05\n", b"0x00\n", CardHealth(50, None)),  # 0x00: not defined
        (b"0x00 0x00\n", b"0x01\n", CardHealth(None, Reserve.NORMAL)),
        (b"0x00 0x00\n", b"0x00\n", None),
        (b"0x01 0x01\n", None, CardHealth(10, None)),
        (None, b"0x01\n", CardHealth(None, Reserve.NORMAL)),
        (None, None, None),
        (b"0x0c 0x01\n", b"0x04\n", None),  # reserved by the standard
        (b"0x1 0x1\n", b"1\n", None),
        (b"0x01 0x01", b"0x01", None),
        (b"0x01 0x01\n" * 20, b"\xff\n", None),
    ],
)
def test_what_is_told(tmp_path: Path, life: bytes | None, reserve: bytes | None, expected: CardHealth | None) -> None:
    assert told(tmp_path, life, reserve) == expected


def test_a_card_without_partitions(tmp_path: Path) -> None:
    (system(tmp_path, partition=None) / "life_time").write_bytes(b"0x03 0x02\n")
    assert card_health(tmp_path, tmp_path) == CardHealth(30, None)


def test_a_disk_that_is_no_card(tmp_path: Path) -> None:
    (system(tmp_path, "sda", "sda1") / "life_time").write_bytes(b"0x03 0x02\n")
    assert card_health(tmp_path, tmp_path) is None


def test_no_such_folder_no_such_device_and_this_machine(tmp_path: Path) -> None:
    assert card_health(tmp_path / "none", tmp_path) is None
    assert card_health(tmp_path, tmp_path) is None
    card_health(tmp_path)  # whatever it is: nothing is raised


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(life=st.binary(max_size=80), reserve=st.binary(max_size=80))
def test_whatever_the_files_hold(tmp_path_factory: pytest.TempPathFactory, life: bytes, reserve: bytes) -> None:
    found = told(tmp_path_factory.mktemp("sys"), life, reserve)
    assert found is None or found.used_percent in (None, *range(10, 120, 10))
