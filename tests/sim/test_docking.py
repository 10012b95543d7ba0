"""The camera on a dock: what is handed over, what is taken, what is left; and a press at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats.canonical import Object
from agent.formats.wire import StatusState
from agent.model import Activity, ButtonEdge
from agent.orders import Keep
from agent.states import Moment
from tests.support.agency import TestAgency
from tests.support.dock_rig import DockRig


@pytest.fixture
def rig(tmp_path: Path, agency: TestAgency) -> Iterator[DockRig]:
    made = DockRig(tmp_path, agency)
    yield made
    made.close()


def record(rig: DockRig, script: str = "PPPP") -> None:
    rig.film("IP")
    rig.tap()
    rig.film(script)
    rig.press()
    rig.film("PPP")
    rig.release()
    assert rig.activity() in (Activity.READY, Activity.IDLE)


def segment_files(rig: DockRig) -> list[str]:
    return sorted(str(path.relative_to(rig.root)) for path in (rig.root / "segments").glob("*/*"))


def test_a_calm_docking_hands_everything_over_and_purges(rig: DockRig) -> None:
    record(rig)
    assert len(segment_files(rig)) == 1
    rig.touch()
    rig.run(1_000)
    assert rig.activity() is Activity.IDLE
    assert len(rig.dock.blobs) == 1
    assert segment_files(rig) == []
    rig.run(15_000)
    assert rig.synced()
    rig.lift()
    assert rig.activity() is Activity.BOOTING
    kinds = [entry.head.kind for entry in rig.entries() if entry.head.kind in ("dock", "undock", "receipt", "purge")]
    assert kinds == ["dock", "receipt", "purge", "undock"]
    rig.check(more=frozenset({"elsewhere"}))


def test_a_press_on_the_dock_starts_capture_and_records(rig: DockRig) -> None:
    rig.film("IPP")
    rig.touch()
    rig.run(1_000)
    assert rig.activity() is Activity.IDLE
    assert rig.camera.told[-1] == "kill"
    assert not any(rig.arena)
    press_ns = rig.tap()
    assert rig.felt(Moment.HEARD) == [press_ns]
    assert rig.camera.told[-1] == "start"
    rig.film("IPPP")
    assert rig.activity() is Activity.RECORDING
    rig.press()
    rig.film("PPP")
    rig.release()
    assert rig.activity() is Activity.IDLE
    (start,) = rig.bodies("recording.start")
    assert (start["got_ms"], start["reason"]) == (0, "docked")
    rig.run(20_000)
    assert len(rig.dock.blobs) == 1
    rig.lift()
    rig.check(more=frozenset({"elsewhere"}))


def test_a_docking_with_nothing_left_to_do_is_quiet(rig: DockRig) -> None:
    record(rig)
    rig.touch()
    rig.run(25_000)
    entries, batches = len(rig.entries()), len(rig.dock.batches)
    asked = len(rig.dock.statuses)
    rig.run(600_000)
    assert (len(rig.entries()), len(rig.dock.batches)) == (entries, batches)
    assert len(rig.dock.statuses) - asked == 10
    rig.lift()
    assert rig.dock.statuses[-1].state is StatusState.GONE
    kinds = [entry.head.kind for entry in rig.entries()[entries:]]
    assert kinds[:2] == ["beacon", "undock"]


def test_a_press_goes_before_all_that_a_docking_wants(rig: DockRig) -> None:
    rig.film("IPPPPP")
    body: Object = {"cause": "test", "values": {}, "remedy": "none"}
    for number in range(5):
        rig.supervisor.orders.post(Keep(number, (("alert", body),)))
    rig.supervisor.news.post(ButtonEdge(True, rig.clock.now_ns))
    rig.supervisor.step(rig.clock.now_ns)
    rig.film("P")
    kinds = [entry.head.kind for entry in rig.entries() if entry.head.kind in ("alert", "fragment")]
    assert kinds[:5] == ["fragment"] * 5
    assert kinds.count("alert") == 5


@pytest.mark.parametrize("seconds", [120, 400])
def test_a_dock_that_falls_silent_is_left_and_found_again(rig: DockRig, seconds: int) -> None:
    rig.film("IP")
    rig.touch()
    rig.run(5_000)
    rig.dock.dead = True
    rig.dock.cut()
    rig.run(seconds * 1_000)
    assert (rig.activity() is Activity.IDLE) == (seconds < 180)
    rig.dock.dead = False
    rig.run(40_000)
    assert rig.activity() is Activity.IDLE
    assert len(rig.bodies("dock")) == (1 if seconds < 180 else 2)
    rig.lift()
    rig.check()
