"""A long journal, handed over to a real dock that is killed and left in the middle. The whole month: `make month`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.films import SMALL
from tests.month.handover import Station, hand_over
from tests.support.mosquitto import mosquitto_program

ENTRIES, KEPT = 3_000, 44


@pytest.mark.skipif(mosquitto_program() is None, reason="no mosquitto")
def test_everything_arrives_once_and_nothing_begins_again(tmp_path: Path) -> None:
    outcome = hand_over(Station(tmp_path, SMALL, ENTRIES, KEPT))
    heard = outcome.listener
    assert outcome.segments > 0
    assert heard.sent >= outcome.month.entries
    assert heard.acknowledged_again <= heard.most, "what the dock had acknowledged was sent again"
