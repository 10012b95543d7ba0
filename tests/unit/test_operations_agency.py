"""docs/operations-agency.md says what the code does: its options, files, keys and limits."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.config import load_camera
from firmware.cli import main
from firmware.pkcs8 import ROUNDS
from hw.boards import board_file, board_names
from tests.support.agency import make_agency

DOCUMENT = (Path(__file__).parents[2] / "docs" / "operations-agency.md").read_text()
PIN_OR_LAMP = re.compile(r"(?<=^lamps)\.[a-z.]+$|\.(?:gpio|active)$")


def keys_of(table: Mapping[str, object], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in table.items():
        found |= keys_of(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key}
    return found


def test_every_option_is_described_and_none_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["init", "--help"])
    assert caught.value.code == 0
    shown = set(re.findall(r"--[a-z-]+", capsys.readouterr().out)) - {"--help"}
    described = set(re.findall(r"^\| `(--[a-z-]+)", DOCUMENT, re.MULTILINE))
    assert described == shown


def test_every_file_that_is_made_is_named(tmp_path: Path) -> None:
    made = make_agency(tmp_path)
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert path.name in DOCUMENT, path


def test_every_key_of_camera_and_board_files_is_described(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    config = make_agency(tmp_path, footage=film).config()
    assert load_camera(config.file).footage == film
    described = set(re.findall(r"`([a-z_.]+)`", DOCUMENT))
    for path in (config.file, *map(board_file, board_names())):
        keys = {PIN_OR_LAMP.sub("", key) for key in keys_of(tomllib.loads(path.read_text()))}
        assert keys <= described


def test_the_cost_of_a_guess() -> None:
    assert f"{ROUNDS:,} rounds of PBKDF2" in DOCUMENT
