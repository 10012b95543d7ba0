"""The power goes before each operation of the card in a docking: receipts, acks, purges, trims, and what follows.

In the end everything is at the dock exactly once, and nothing was deleted without its durable entries (DockRig looks at
each deletion).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agent.formats.age import RecipientKind
from tests.sim.test_docking_schedules import check, record
from tests.support.agency import TestAgency, make_agency
from tests.support.dock_rig import DockRig
from tests.support.rig import KilledError

CHANGES = frozenset({"create", "write", "sync", "rename", "unlink", "sync_folder", "make_folder"})
CHOICES: dict[str, Callable[[int], int]] = {
    "harshest": lambda n: 0,
    "mildest": lambda n: n - 1,
    "half": lambda n: n // 2,
}
MOST_CHANGES = 40


class Cut:
    """Ends the process before the change of this number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.changes: list[str] = []

    def __call__(self, operation: str, path: str) -> int:
        if operation in CHANGES:
            self.changes.append(f"{operation} {path}")
            if len(self.changes) == self.number:
                raise KilledError
        return 0


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), RecipientKind.CLASSIC)


def dock_until(rig: DockRig, cut: Cut) -> bool:
    """One docking of a card with two segments, and its end; True if the cut came."""
    rig.film("IP")
    record(rig)
    record(rig)
    rig.observe = cut
    try:
        rig.touch()
        rig.run(13_000)
        rig.lift()
        rig.run(500)
    except KilledError:
        return True
    finally:
        rig.observe = lambda operation, path: 0
    return False


def dock_again(rig: DockRig) -> None:
    """Two calm dockings: the second one sends what the first one's end has left in the journal."""
    for _ in range(2):
        rig.touch()
        rig.run(12_000)
        rig.lift()
        rig.run(500)
    rig.touch()
    rig.run(1_000)


@pytest.mark.parametrize(("choice", "every"), [("harshest", 1), ("mildest", 2), ("half", 4)])
def test_a_cut_before_any_change_loses_nothing_and_deletes_nothing_early(
    tmp_path: Path, agency: TestAgency, choice: str, every: int
) -> None:
    for number in range(1, MOST_CHANGES, every):
        rig = DockRig(tmp_path / str(number), agency)
        try:
            if not dock_until(rig, Cut(number)):
                return
            rig.power_cut(CHOICES[choice])
            dock_again(rig)
            check(rig)
        finally:
            rig.close()
    raise AssertionError("the docking never ended")


def test_a_docking_makes_the_changes_that_are_cut_here(tmp_path: Path, agency: TestAgency) -> None:
    rig = DockRig(tmp_path / "rig", agency)
    cut = Cut(0)
    assert not dock_until(rig, cut)
    rig.close()
    assert sum(change.startswith("unlink segments/") for change in cut.changes) == 2
    assert sum(change.startswith("sync_folder segments/") for change in cut.changes) == 2
    assert 12 < len(cut.changes) < MOST_CHANGES
