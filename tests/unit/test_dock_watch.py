"""What the main loop believes of a dock."""

from __future__ import annotations

from agent.dock_watch import DockWatch
from agent.orders import Docked, Progress, Undocked
from agent.status import Docking


def test_a_session_begins_with_the_contact_on_and_ends_with_it() -> None:
    watch = DockWatch()
    assert not watch.touched(True)
    assert not watch.told(Docked("dock-01"))
    watch.told(Progress(3, 9, 1, 5))
    assert watch.docking == Docking("dock-01", 3, 9, 1, 5)
    assert watch.touched(False)
    assert not watch.docked
    assert not watch.told(Undocked()), "it has ended already"


def test_what_is_told_after_the_contact_is_gone_comes_too_late() -> None:
    watch = DockWatch()
    watch.touched(True)
    watch.touched(False)
    watch.told(Docked("dock-01"))
    assert not watch.docked


def test_a_dock_that_is_left_ends_the_session_and_the_next_one_begins_at_nothing() -> None:
    watch = DockWatch()
    watch.touched(True)
    watch.told(Docked("dock-01"))
    watch.told(Progress(3, 9, 1, 5))
    assert watch.told(Undocked())
    watch.told(Docked("dock-02"))
    assert watch.docking == Docking("dock-02", 0, 0, 0, 0)
