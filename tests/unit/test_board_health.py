"""What a board says of itself, read from folders made like the kernel's."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.health import HealthMeasured, Supply
from hw.health import TEMPERATURE, THROTTLED, celsius, measure, supply


def say(system: Path, name: str, text: bytes) -> Path:
    (system / name).parent.mkdir(parents=True, exist_ok=True)
    (system / name).write_bytes(text)
    return system


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"0\n", Supply(False, False, False)),
        (b"1\n", Supply(True, False, False)),
        (b"50005\n", Supply(True, True, True)),
        (b"80008\n", Supply(False, True, False)),
        (b"2\n", Supply(False, True, False)),
        (b"10000\n", Supply(False, False, True)),
        (b"fff0fff0\n", Supply(False, False, False)),
    ],
)
def test_what_the_firmware_tells(tmp_path: Path, said: bytes, found: Supply) -> None:
    assert supply(say(tmp_path, THROTTLED, said)) == found


@pytest.mark.parametrize("said", [b"", b"5", b"0x5\n", b"F\n", b"-1\n", b"123456789\n", b"g\n"])
def test_a_firmware_that_tells_nothing(tmp_path: Path, said: bytes) -> None:
    assert supply(tmp_path) is None
    assert supply(say(tmp_path, THROTTLED, said)) is None


@pytest.mark.parametrize(("said", "degrees"), [(b"68999\n", 68), (b"0\n", 0), (b"-1\n", -1), (b"104000\n", 104)])
def test_the_temperature_is_in_whole_degrees(tmp_path: Path, said: bytes, degrees: int) -> None:
    assert celsius(say(tmp_path, TEMPERATURE, said)) == degrees


@pytest.mark.parametrize("said", [b"", b"50", b"50.5\n", b"1234567\n", b"- 1\n", b"\xff\n", b"50000\n\n"])
def test_a_temperature_of_another_form_is_not_known(tmp_path: Path, said: bytes) -> None:
    assert celsius(tmp_path) is None
    assert celsius(say(tmp_path, TEMPERATURE, said)) is None


def test_a_computer_that_tells_nothing_is_measured_all_the_same(tmp_path: Path) -> None:
    assert measure(tmp_path, tmp_path) == HealthMeasured(None, None, None)
