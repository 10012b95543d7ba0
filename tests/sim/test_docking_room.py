"""What leaves the card and when: by the policy's days, for a press that needs space, and the journal's old files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats.fields import format_utc
from agent.model import NS_PER_MS, Activity, TimeSource
from agent.states import Moment
from agent.store.custody import MS_PER_DAY, Survey
from tests.support.agency import TestAgency
from tests.support.dock_rig import DockRig
from tests.support.rig import RESERVE_BYTES

DAY_MS = MS_PER_DAY


def made(tmp_path: Path, agency: TestAgency, purge_days: int) -> DockRig:
    return DockRig(tmp_path, agency, purge_days=purge_days)


@pytest.fixture
def rig(tmp_path: Path, agency: TestAgency) -> Iterator[DockRig]:
    found = made(tmp_path, agency, purge_days=30)
    yield found
    found.close()


def record(rig: DockRig) -> None:
    rig.run(100)
    rig.tap()
    rig.film("IPPP")
    rig.press()
    rig.film("PPP")
    rig.release()
    rig.run(100)  # over the dead time of this edge


def dock(rig: DockRig, ms: int = 15_000) -> None:
    rig.touch()
    rig.run(ms)
    rig.lift()
    rig.run(500)


def pass_days(rig: DockRig, days: int) -> None:
    """The camera is on a shelf."""
    rig.clock.now_ns += days * DAY_MS * NS_PER_MS
    rig.settle()


def segments(rig: DockRig) -> int:
    return len(list((rig.root / "segments").glob("*/*")))


def test_what_was_received_stays_for_the_policys_days_of_signed_time(rig: DockRig) -> None:
    record(rig)
    dock(rig)
    assert len(rig.bodies("receipt")) == 1
    assert segments(rig) == 1
    pass_days(rig, 29)
    dock(rig)
    assert segments(rig) == 1
    pass_days(rig, 40)
    assert segments(rig) == 1, "only a dock's time counts"
    dock(rig)
    assert segments(rig) == 0
    rig.check(more=frozenset({"elsewhere"}))


def test_what_is_on_hold_stays_past_its_days_until_the_hold_ends(rig: DockRig) -> None:
    record(rig)
    record(rig)
    first, _ = (str(body["rec"]) for body in rig.bodies("recording.start"))
    until = format_utc(rig.utc_ms() + 60 * DAY_MS)
    rig.dock.waiting_orders.append(("hold", {"rec": first, "until": until}))
    dock(rig)
    rig.dock.waiting_orders.clear()
    pass_days(rig, 31)
    dock(rig)
    assert [body["rec"] != first for body in rig.bodies("purge")] == [True]
    pass_days(rig, 31)
    dock(rig)
    assert segments(rig) == 0
    rig.check(more=frozenset({"elsewhere"}))


def test_while_the_time_is_disputed_no_days_and_no_end_of_a_hold_count(rig: DockRig) -> None:
    """A dock says that 60 days have passed, and another docking of the same boot that none has."""
    for _ in range(3):
        record(rig)
        rig.restart()
    first = str(rig.bodies("recording.start")[0]["rec"])
    until = format_utc(rig.utc_ms() + 10 * DAY_MS)
    rig.dock.waiting_orders.append(("hold", {"rec": first, "until": until}))
    dock(rig)
    rig.dock.waiting_orders.clear()
    truth = rig.utc_ms
    rig.dock.utc_ms = lambda: truth() + 60 * DAY_MS
    dock(rig)
    assert rig.keeper.stamp().source is TimeSource.DISPUTED
    assert segments(rig) == 3
    rig.purge_days = 0
    dock(rig)
    assert [body["rec"] for body in rig.bodies("purge")] == [
        body["rec"] for body in rig.bodies("recording.start") if body["rec"] != first
    ], "what goes at once depends on no date"
    assert rig.bodies("trim") == []
    assert [each.rec for each in rig.custody.spare()] == [first], "a press still gets its space"
    rig.check(more=frozenset({"elsewhere", "disputed", "bracket-disputed"}))


def test_a_press_gets_the_space_of_what_a_dock_has_and_never_of_anything_else(rig: DockRig) -> None:
    record(rig)
    record(rig)
    dock(rig)
    rig.film("I")
    record(rig)
    sizes = {path: path.stat().st_size for path in (rig.root / "segments").glob("*/*")}
    free = RESERVE_BYTES - 1

    def freed(operation: str, path: str) -> int:
        gone = sum(size for each, size in sizes.items() if not each.exists())
        rig.disk.say_free(free + gone)
        return 0

    rig.observe = freed
    rig.run(100)
    press_ns = rig.tap()
    assert rig.felt(Moment.HEARD)[-1] == press_ns
    rig.film("PP")
    assert rig.activity() is Activity.RECORDING
    assert len(rig.bodies("purge")) >= 1
    received = {body["rec"] for body in rig.bodies("recording.start")[:2]}
    assert {body["rec"] for body in rig.bodies("purge")} <= received
    free = 0
    rig.run(20_000)
    assert {body["rec"] for body in rig.bodies("purge")} == received
    assert rig.causes("refused") == ["card_full"]


def test_low_rises_when_nothing_is_left_and_a_start_needs_less(rig: DockRig) -> None:
    rig.purge_days = 0
    for _ in range(3):
        record(rig)
        rig.restart()
    record(rig)
    assert rig.journal.state.low == 0
    dock(rig)
    low = rig.journal.state.low
    assert low > 0
    assert (rig.root / "journal" / f"{low:08d}.log").exists()
    assert rig.entries("checkpoint")[-1].body["low"] == low  # type: ignore[index]
    dock(rig)
    rig.restart()
    assert rig.journal.state.low >= low
    assert rig.custody.get(str(rig.bodies("purge")[0]["rec"]), 0) is None
    rig.check(more=frozenset({"elsewhere"}))


def test_low_stays_for_what_no_dock_has_and_a_start_finds_it_again(rig: DockRig) -> None:
    record(rig)
    rec = str(rig.bodies("recording.start")[0]["rec"])
    rig.restart()
    record(rig)
    rig.dock._go_on = lambda: None  # type: ignore[method-assign]
    dock(rig)
    assert rig.journal.state.low == 0
    rig.restart()
    held = rig.custody.get(rec, 0)
    assert held is not None
    assert held.receipt is None
    assert rig.custody.unreceived[0] == 2


def check_trimmed(rig: DockRig) -> None:
    """What was told to be durable may be gone with its entries: the dock has them."""
    report = rig.verify()
    codes = {reason.code for reason in report.reasons}
    assert "trimmed" in codes
    assert codes <= {"simulated", "bracket", "bracket-claimed", "bracket-wide", "elsewhere", "trimmed"}, report.lines()


def test_old_acknowledged_journal_files_are_trimmed_and_the_verifier_agrees(rig: DockRig) -> None:
    rig.purge_days = 0
    for _ in range(3):
        record(rig)
        rig.restart()
    dock(rig)
    files = len(list((rig.root / "journal").glob("*.log")))
    dock(rig)
    assert rig.bodies("trim") == []
    pass_days(rig, 29)
    dock(rig)
    assert rig.bodies("trim") == []
    pass_days(rig, 2)
    dock(rig, 20_000)
    (trim,) = rig.bodies("trim")
    names = sorted(path.name for path in (rig.root / "journal").glob("*.log"))
    assert int(names[0].removesuffix(".log")) == int(str(trim["last"])) + 1
    assert len(names) < files + 4
    check_trimmed(rig)
    rig.restart()
    dock(rig, 20_000)
    entries = rig.entries()
    there = rig.dock.archive[entries[0].head.seq :]
    assert len(there) > 5
    assert there == [entry.line for entry in entries[: len(there)]]
    record(rig)
    dock(rig)
    check_trimmed(rig)


@pytest.mark.parametrize("true_days", [0, 40])
def test_no_journal_file_is_trimmed_while_the_time_is_disputed(rig: DockRig, true_days: int) -> None:
    """The dock is 40 days ahead, or the days have passed: only then something goes."""
    rig.purge_days = 0
    for _ in range(3):
        record(rig)
        rig.restart()
    dock(rig)
    truth = rig.utc_ms
    rig.dock.utc_ms = lambda: truth() + (40 - true_days) * DAY_MS
    pass_days(rig, true_days)
    for _ in range(2):
        dock(rig, 20_000)
    assert (rig.keeper.stamp().source is TimeSource.DISPUTED) is (true_days == 0)
    assert (rig.bodies("trim") == []) is (true_days == 0)


def test_the_survey_needs_no_more_than_its_share_a_step(rig: DockRig) -> None:
    for _ in range(6):
        record(rig)
    rig.restart()
    fresh = Survey(rig.disk, rig.custody, 0, rig.journal.run_begins)
    steps = 0
    while fresh.step():
        steps += 1
    assert steps >= len(rig.entries()) // 64 - 1


@pytest.mark.parametrize("ticks", [*range(12), 20, 40, 80])
def test_undocking_at_any_moment_costs_nothing_but_the_way_to_the_next_docking(
    tmp_path: Path, agency: TestAgency, ticks: int
) -> None:
    rig = made(tmp_path, agency, purge_days=0)
    try:
        record(rig)
        rig.dock.fate = lambda n: 4 if n == 8 else 0  # everything takes 10 ms
        rig.touch()
        for _ in range(ticks):
            rig.run(10)
        rig.lift()
        assert rig.activity() in (Activity.BOOTING, Activity.READY)
        press_ns = rig.tap()
        assert rig.felt(Moment.HEARD)[-1] == press_ns
        rig.film("IPP")
        rig.press()
        rig.film("PPP")
        rig.release()
        rig.dock.fate = lambda n: 0
        dock(rig)
        dock(rig)
        assert len(rig.dock.blobs) == 2
        assert segments(rig) == 0
        rig.check(more=frozenset({"elsewhere"}))
    finally:
        rig.close()
