"""What `temoin verify` says of the time after a docking: a camera without a clock, drift, replay, a month's step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.evidence.verdict import Report
from agent.formats.fields import ns_of
from agent.model import NS_PER_MS, NS_PER_S, TimeSource
from tests.support.agency import NOW_MS, TestAgency
from tests.support.dock_rig import DockRig

HOUR_NS = 3600 * NS_PER_S
DAY_MS = 24 * 3600 * 1000
PARTS = frozenset({"elsewhere"})


@pytest.fixture
def rig(tmp_path: Path, agency: TestAgency) -> Iterator[DockRig]:
    made = DockRig(tmp_path, agency)
    made.clock.set_rtc(None)
    made.restart()
    yield made
    made.close()


def record(rig: DockRig) -> None:
    rig.run(100)
    rig.film("IPP")
    rig.tap()
    rig.film("PPP")
    rig.press()
    rig.film("PPP")
    rig.release()


def pass_time(rig: DockRig, length_ns: int) -> None:
    rig.clock.now_ns += length_ns
    rig.settle()


def dock(rig: DockRig) -> None:
    rig.touch()
    rig.run(15_000)
    rig.lift()
    rig.run(500)


def codes(report: Report) -> set[str]:
    return {reason.code for reason in report.reasons} - PARTS - {"simulated"}


@pytest.mark.parametrize("hours", [0, 1, 10])
def test_a_camera_without_a_clock_is_bracketed_by_the_dock_it_comes_to(rig: DockRig, hours: int) -> None:
    """However long the camera lay idle: the ack of the docking's own entries says how late they were."""
    record(rig)
    assert rig.keeper.stamp().source is TimeSource.NONE
    pass_time(rig, hours * HOUR_NS)
    assert codes(rig.verify()) == {"bracket"}
    dock(rig)
    report = rig.verify()
    assert codes(report) == {"bracket-claimed"}, report.lines()
    (recording,) = report.recordings
    assert recording.press.utc_ms is None
    assert recording.widest.docks == ("dock-01",)
    assert recording.widest.width_ms is not None
    assert recording.widest.width_ms < 1_000 + 3_600 * hours
    rig.check(more=PARTS)


def test_what_is_recorded_after_a_docking_widens_by_500_ppm(rig: DockRig) -> None:
    dock(rig)
    pass_time(rig, 8 * HOUR_NS)
    record(rig)
    report = rig.verify()
    assert codes(report) == {"bracket-claimed"}
    assert report.bracket.width_ms is not None
    assert 28_800 < report.bracket.width_ms < 28_800 + 1_000
    rig.check(more=PARTS)


@pytest.mark.parametrize("ppm", [-500, 500])
def test_a_boot_clock_that_drifts_as_far_as_it_may(rig: DockRig, ppm: int) -> None:
    began_ns = rig.clock.now_ns

    def true_ms(boot_ns: int) -> int:
        return NOW_MS + (boot_ns - began_ns) * (1_000_000 + ppm) // (1_000_000 * NS_PER_MS)

    rig.dock.utc_ms = lambda: true_ms(rig.clock.now_ns)
    dock(rig)
    pass_time(rig, 5 * HOUR_NS)
    record(rig)
    pass_time(rig, 20 * HOUR_NS)
    dock(rig)
    (recording,) = rig.verify().recordings
    first, *_, last = rig.bodies("fragment")
    moments = ns_of(first, "t0_ns"), ns_of(last, "t0_ns") + ns_of(last, "dur_ns")
    for bracket, at_ns in zip((recording.began, recording.ended), moments, strict=True):
        assert not bracket.disputed
        assert bracket.not_before_ms is not None
        assert bracket.not_after_ms is not None
        assert bracket.not_before_ms <= true_ms(at_ns) <= bracket.not_after_ms


def test_a_beacon_of_the_docking_before_changes_nothing(rig: DockRig) -> None:
    record(rig)
    dock(rig)
    old = [line for said, line in rig.dock.said if said.name == "beacon"]
    before = rig.verify()
    rig.touch()
    rig.run(15_000)
    for line in old:
        rig.dock.send(line)
        rig.run(200)
    rig.lift()
    rig.run(500)
    assert rig.causes("refused") == ["statement_session"]
    after = rig.verify()
    assert codes(after) == {"bracket-claimed"}
    for one, other in zip(before.recordings, after.recordings, strict=True):
        assert one.widest.width_ms is not None
        assert other.widest.width_ms is not None
        assert other.widest.width_ms <= one.widest.width_ms
    rig.check(more=PARTS)


def test_a_step_of_a_month_is_disputed_and_shown_so(rig: DockRig) -> None:
    record(rig)
    dock(rig)
    assert codes(rig.verify()) == {"bracket-claimed"}
    truth = rig.utc_ms
    rig.dock.utc_ms = lambda: truth() + 30 * DAY_MS
    dock(rig)
    record(rig)
    report = rig.verify()
    assert codes(report) == {"disputed", "bracket-disputed"}
    assert all(each.widest.disputed for each in report.recordings)
    text = "\n".join(report.lines())
    assert "(disputed)" in text
    assert "DISPUTED" in text
    (first, _) = report.recordings
    assert first.widest.width_ms is not None
    assert first.widest.width_ms > 30 * DAY_MS
