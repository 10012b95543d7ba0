"""Self-test and heat on a whole simulated camera: what is journalled, shown, and told to capture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats import pipe
from agent.health import HealthMeasured, Supply
from agent.heat import COOL_C, HOT_C, STEPS_PERCENT, UP_AFTER_NS
from agent.model import NS_PER_MS, NS_PER_S, Condition
from agent.selftest import LEAST_SEEN, WINDOW_NS
from tests.support.agency import TestAgency
from tests.support.rig import Rig

WINDOW_S = WINDOW_NS // NS_PER_S


@pytest.fixture
def rig(tmp_path: Path, agency: TestAgency) -> Iterator[Rig]:
    made = Rig(tmp_path, agency)
    yield made
    made.close()


def seen(rig: Rig, contrast: int, missing_ms: int = 0) -> bytes:
    return pipe.pack_observation(
        pipe.Observation(rig.clock.now_ns, 90, contrast, contrast * 100, None, None, True, 900, 120, 0, missing_ms)
    )


def watch(rig: Rig, seconds: int, contrast: int) -> None:
    """Film, and say each second what is seen."""
    for _ in range(seconds):
        rig.film("P")
        rig.push(seen(rig, contrast))
        rig.settle()


def outcomes(rig: Rig) -> list[dict[str, str]]:
    """Of each self-test in the journal."""
    found = []
    for entry in rig.entries("selftest"):
        assert entry.body is not None
        checks = entry.body["checks"]
        assert isinstance(checks, list)
        found.append({str(one["name"]): str(one["outcome"]) for one in checks if isinstance(one, dict)})
    return found


def test_a_self_test_is_an_entry_after_ready_and_refuses_nothing(rig: Rig) -> None:
    rig.disk.say_free(10**12)
    rig.film("I")
    watch(rig, WINDOW_S + 2, contrast=0)
    (first,) = outcomes(rig)
    assert (first["lens"], first["camera"], first["space"]) == ("failed", "well", "well")
    assert Condition.LENS_COVERED in rig.supervisor.status().conditions
    rig.tap()
    watch(rig, 2, contrast=0)
    assert rig.entries("recording.start"), "a covered lens films all the same"
    watch(rig, WINDOW_S, contrast=40)
    assert Condition.LENS_COVERED not in rig.supervisor.status().conditions
    rig.check(more=frozenset({"open"}))


def test_without_pictures_the_lens_is_unknown(rig: Rig) -> None:
    rig.film("I")
    watch(rig, LEAST_SEEN - 2, contrast=0)
    for _ in range(12):
        rig.film("P")
    (first,) = outcomes(rig)
    assert (first["lens"], first["microphone"]) == ("unknown", "unknown")


def test_what_the_board_measures_is_in_the_self_test(rig: Rig) -> None:
    rig.supervisor.news.post(HealthMeasured(Supply(True, False, True), 50, None))
    rig.film("I")
    watch(rig, WINDOW_S + 2, contrast=40)
    (first,) = outcomes(rig)
    assert (first["supply"], first["card"]) == ("warn", "unknown")


def test_heat_lowers_the_rate_and_cold_raises_it_and_both_are_entries(rig: Rig) -> None:
    rig.film("IP")
    assert rig._capture is not None
    rig._capture.recv(100)
    rig.supervisor.news.post(HealthMeasured(None, HOT_C, None))
    rig.settle()
    rig.settle()
    assert rig._capture.recv(100) == pipe.pack_rate(STEPS_PERCENT[1])
    rig.supervisor.news.post(HealthMeasured(None, COOL_C, None))
    rig.settle()
    rig.run(UP_AFTER_NS // NS_PER_MS)
    rig.supervisor.news.post(HealthMeasured(None, COOL_C, None))
    rig.settle()
    rates = [body["values"] for body in rig.bodies("alert") if body["cause"] == "bit_rate_changed"]
    assert rates == [{"celsius": HOT_C, "percent": STEPS_PERCENT[1]}, {"celsius": COOL_C, "percent": 100}]


def test_a_hole_in_the_sound_of_a_recording_is_an_entry_one_for_ten_seconds(rig: Rig) -> None:
    def missed() -> list[object]:
        bodies = [body["values"] for body in rig.bodies("alert") if body["cause"] == "sound_missing"]
        return [values["missing_ms"] for values in bodies if isinstance(values, dict)]

    rig.film("I")
    rig.push(seen(rig, 40, missing_ms=300))
    rig.film("PP")
    assert missed() == [], "nothing is recorded"
    rig.tap()
    rig.film("PP")
    for _ in range(5):
        rig.push(seen(rig, 40, missing_ms=100))
        rig.film("P")
    assert missed() == [100]
    rig.film("P" * 8)
    assert missed() == [100, 400]
