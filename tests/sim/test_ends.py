"""How a run ends: told to, battery, kill at any operation, power cut at any operation; and how the next one begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.formats.fields import ns_of
from agent.model import Activity, Battery, BatteryChanged, Condition
from agent.states import Moment
from tests.support.agency import TestAgency
from tests.support.rig import KilledError, Rig

HARMLESS = frozenset({"open", "recovered", "orphan", "torn", "weak", "interrupted"})


def shift(rig: Rig) -> None:
    """Ring of two, press, mark, a new segment, hold."""
    rig.film("IPP")
    rig.tap()
    rig.film("P")
    rig.tap()
    rig.film("P")
    rig.film("XI")
    rig.press()
    rig.film("PPP")
    rig.release()
    rig.supervisor.terminate(rig.clock.now_ns)
    rig.settle()


def durable_operations(folder: Path, agency: TestAgency) -> list[int]:
    """Which operations of the shift make something durable, or give it its name."""
    found: list[int] = []
    count = 0

    def observe(operation: str, path: str) -> int:
        nonlocal count
        if operation in ("sync", "sync_folder", "rename"):
            found.append(count)
        count += 1
        return 0

    rig = Rig(folder, agency)
    rig.observe = observe
    shift(rig)
    rig.close()
    return found


def run_to(rig: Rig, stop_at: int) -> bool:
    """The shift until before that operation; whether it came to that."""
    left = stop_at

    def observe(operation: str, path: str) -> int:
        nonlocal left
        if left == 0:
            raise KilledError(f"{operation} {path}")
        left -= 1
        return 0

    rig.observe = observe
    try:
        shift(rig)
    except KilledError:
        return True
    finally:
        rig.observe = lambda operation, path: 0
    return False


def test_the_shift_itself_is_whole(rig: Rig) -> None:
    shift(rig)
    assert rig.supervisor.ended
    assert [entry.head.kind for entry in rig.entries()][-1] == "shutdown"
    assert len(rig.bodies("segment.seal")) == 2
    rig.check()


def test_a_kill_at_any_durable_operation_resumes_or_has_nothing_to_resume(agency: TestAgency, tmp_path: Path) -> None:
    for at in durable_operations(tmp_path / "whole", agency):
        rig = Rig(tmp_path / str(at), agency)
        assert run_to(rig, at)
        was_open = len(rig.entries("recording.start")) > len(rig.entries("recording.stop"))
        rig.clock.advance(300)
        rig.restart()
        rig.film("IPP")
        assert (rig.activity() is Activity.RECORDING) is was_open, at
        if was_open:
            assert rig.bodies("gap")[-1]["cause"] == "agent_restart", at
            assert not rig.supervisor.status().conditions & {Condition.INTERRUPTED}
            rig.press()
            rig.film("PPP")
            rig.release()
            assert rig.activity() is Activity.READY, at
        rig.check(more=HARMLESS)
        rig.close()


@pytest.mark.parametrize("mildness", [0, 1, 2])
def test_a_power_cut_at_any_durable_operation_is_interrupted_at_worst(
    agency: TestAgency, tmp_path: Path, mildness: int
) -> None:
    for at in durable_operations(tmp_path / "whole", agency):
        rig = Rig(tmp_path / str(at), agency)
        assert run_to(rig, at)
        rig.power_cut(lambda n: mildness * (n - 1) // 2)
        opened = len(rig.entries("recording.start"))
        rig.film("IPP")
        assert rig.activity() is Activity.READY, at
        stops = [str(body["cause"]) for body in rig.bodies("recording.stop")]
        assert len(stops) == opened, at
        interrupted = stops[-1:] == ["interrupted"]
        assert (Condition.INTERRUPTED in rig.supervisor.status().conditions) is interrupted
        assert bool(rig.felt(Moment.INTERRUPTED)) is interrupted
        assert not rig.bodies("gap") or rig.bodies("gap")[-1]["cause"] != "agent_restart"
        rig.check(more=HARMLESS)
        rig.close()


def test_interrupted_is_said_until_the_next_recording_is_durable(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("P")
    rig.power_cut()
    rig.power_cut()  # said again by every boot
    assert Condition.INTERRUPTED in rig.supervisor.status().conditions
    rig.film("IPP")
    assert Condition.INTERRUPTED in rig.supervisor.status().conditions
    rig.tap()
    rig.film("P")
    assert Condition.INTERRUPTED not in rig.supervisor.status().conditions
    rig.power_cut()
    rig.check(more=HARMLESS)


def test_the_hole_of_a_restart_is_named_from_what_was_durable(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    durable_ns = rig.durable_end_ns()
    rig.run(700)
    rig.restart()
    assert rig.activity() is Activity.ARMING
    rig.run(500)
    rig.film("IP")
    (gap,) = rig.bodies("gap")
    assert (gap["from_ns"], gap["cause"]) == (str(durable_ns), "agent_restart")
    assert ns_of(gap, "to_ns") == ns_of(rig.bodies("fragment")[-1], "t0_ns")
    rig.check(more=HARMLESS)


def test_a_second_crash_before_capture_is_back_resumes_again(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("P")
    rig.restart()
    rig.run(200)
    rig.restart()
    rig.film("IP")
    assert rig.activity() is Activity.RECORDING
    assert len(rig.bodies("gap")) == 1
    rig.check(more=HARMLESS)


def test_a_hold_after_a_crash_and_before_capture_is_back_names_the_hole(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("P")
    rig.restart()
    rig.press()
    rig.run(2500)
    rig.release()
    assert rig.activity() is Activity.STOPPING
    rig.run(3000)
    assert rig.activity() is Activity.READY
    (stop,) = rig.bodies("recording.stop")
    assert stop["fragments"] == 3
    assert len(rig.bodies("gap")) == 1
    rig.check(more=HARMLESS)


@pytest.mark.parametrize("script", ["", "I", "IPP"])
def test_told_to_end_without_a_recording_ends_at_once(rig: Rig, script: str) -> None:
    rig.film(script)
    rig.supervisor.terminate(rig.clock.now_ns)
    rig.settle()
    assert rig.supervisor.ended
    assert rig.bodies("shutdown")[0]["cause"] == "terminated"


def test_told_to_end_while_recording_seals_first(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("P")
    rig.run(300)
    told_ns = rig.clock.now_ns
    rig.supervisor.terminate(told_ns)
    rig.settle()
    before = rig.supervisor.ended
    rig.tap()  # too late
    rig.film("PP")
    assert (before, rig.supervisor.ended) == (False, True)
    kinds = [entry.head.kind for entry in rig.entries()]
    assert kinds[-3:] == ["segment.seal", "recording.stop", "shutdown"]
    assert rig.bodies("recording.stop")[0]["cause"] == "shutdown"
    last = rig.bodies("fragment")[-1]
    assert ns_of(last, "t0_ns") <= told_ns < ns_of(last, "t0_ns") + ns_of(last, "dur_ns")
    rig.check()


def test_told_to_end_while_nothing_comes_does_not_wait_for_ever(rig: Rig) -> None:
    rig.film("I")
    rig.tap()
    rig.supervisor.terminate(rig.clock.now_ns)
    rig.run(3500)
    assert rig.supervisor.ended


def test_told_to_end_when_the_card_has_failed(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("P")
    rig.disk.fail("write", "*", 5, count=99)
    rig.supervisor.terminate(rig.clock.now_ns)
    rig.film("PP")
    rig.run(3500)
    assert rig.supervisor.ended


def test_the_battery_warns_once_a_level_and_seals_at_the_cut_off(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    for percent in (50, 20, 19, 10, 9, 10, 5, 4):
        rig.battery(BatteryChanged(Battery(percent)))
    rig.settle()
    warned = [body["values"] for body in rig.bodies("alert")]
    assert warned == [{"percent": 20}, {"percent": 10}, {"percent": 5}]
    assert len(rig.felt(Moment.WARNING)) == 3
    assert Condition.LOW_BATTERY in rig.supervisor.status().conditions
    rig.battery(BatteryChanged(Battery(3, charging=True)))
    rig.film("P")
    assert rig.activity() is Activity.RECORDING
    rig.battery(BatteryChanged(Battery(3)))
    rig.film("PP")
    assert rig.supervisor.ended
    assert rig.bodies("recording.stop")[0]["cause"] == "cut_off"
    assert rig.bodies("shutdown")[0]["cause"] == "battery"
    rig.check()


def test_a_battery_that_cannot_be_read_is_no_alarm(rig: Rig) -> None:
    rig.battery(BatteryChanged(Battery(None)))
    assert rig.supervisor.status().battery_percent is None
    assert not rig.causes()
