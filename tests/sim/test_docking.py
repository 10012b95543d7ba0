"""The camera on a dock: what is handed over, what is taken, what is left; and a press at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model import Activity
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
