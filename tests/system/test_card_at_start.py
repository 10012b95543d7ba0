"""A card that cannot be used when the agent starts: a read-only one, and one without any room. Needs mount."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.status import read_status
from agent.formats.age import RecipientKind
from tests.support.agency import TestAgency, make_agency
from tests.support.footage import make_footage

REMEDIES = {"ro,size=20m": "read-only", "size=64k": "full"}


@pytest.fixture(params=REMEDIES)
def card(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[TestAgency, str]]:
    film = make_footage(tmp_path / "film.mp4", frames=25)
    agency = make_agency(tmp_path, RecipientKind.CLASSIC, footage=film)
    data = agency.config().data
    data.mkdir(exist_ok=True)
    options = str(request.param)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", data], check=False, capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("mount is not allowed here")
    if "ro" not in options:
        (data / "filler").write_bytes(bytes(64 * 1024))
    yield agency, REMEDIES[options]
    subprocess.run(["umount", data], check=True)


def test_a_card_that_takes_nothing_at_the_start(card: tuple[TestAgency, str]) -> None:
    agency, problem = card
    config = agency.config()
    ended = subprocess.run(
        [sys.executable, "-m", "agent.cli", "run", "--config", str(config.file)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("temoin: ")
    assert ended.stderr.count("\n") == 1
    assert f"the card is {problem}" in ended.stderr
    assert read_status(config.run)["activity"] == "refusing"
