"""What capture may do: die, hang, come back, fall silent, lie. What it must not: harm."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.formats import pipe
from agent.formats.fields import ns_of
from agent.intake import CaptureGone
from agent.ladder import STALL_NS, START_NS, RestartLadder, Rung
from agent.model import NS_PER_S, Activity, Condition
from agent.states import RED
from tests.support.rig import Rig, big_film, film

OPEN = frozenset({"open"})


def gaps(rig: Rig) -> list[tuple[str, float, float]]:
    """Cause, and how long after the press it begins and ends, in seconds."""
    press_ns = ns_of(rig.bodies("recording.start")[0], "press_ns")
    return [
        (
            str(body["cause"]),
            (ns_of(body, "from_ns") - press_ns) / NS_PER_S,
            (ns_of(body, "to_ns") - press_ns) / NS_PER_S,
        )
        for body in rig.bodies("gap")
    ]


def hold(rig: Rig, script: str) -> int:
    press_ns = rig.press()
    rig.film(script)
    rig.release()
    return press_ns


def test_a_capture_that_dies_is_replaced_and_the_recording_goes_on_in_a_new_segment(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PPX")
    assert rig.camera.told == ["start", "kill", "start"]
    assert rig.causes() == ["capture_restarted"]
    assert rig.bodies("alert")[0]["values"] == {"said": "its last words"}
    rig.run(400)
    rig.film("IPP")
    assert rig.activity() is Activity.RECORDING
    assert gaps(rig) == [("capture_restart", 2.0, 2.4)]
    assert [body["seg"] for body in rig.bodies("segment.open")] == [0, 1]
    assert len(rig.bodies("segment.seal")) == 1
    rig.check(more=OPEN)


def test_a_capture_that_hangs_is_killed_after_3_s_and_the_light_leaves_red(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    rig.run(2950)
    assert "kill" not in rig.camera.told
    rig.run(100)
    assert rig.camera.told[-2:] == ["kill", "start"]
    assert rig.panel.light != RED
    assert Condition.CAMERA_FAILING in rig.supervisor.status().conditions
    assert rig.supervisor.status().camera_said == "its last words"
    rig.film("IPP")
    assert rig.panel.light == RED
    assert rig.supervisor.status().camera_said == ""


def test_a_late_fragment_is_a_gap_and_so_is_a_new_init_of_the_same_process(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("P-P")
    assert gaps(rig) == [("capture_late", 1.0, 2.0)]
    rig.send_init(big_film()[0])
    rig.film("BB")
    assert gaps(rig) == [("capture_late", 1.0, 2.0)]
    assert [body["seg"] for body in rig.bodies("segment.open")] == [0, 1]
    rig.check(more=OPEN)


def test_capture_dies_while_stopping_and_what_is_there_is_kept(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    press_ns = hold(rig, "PPX")
    rig.run(100)
    assert rig.activity() is Activity.READY
    (stop,) = rig.bodies("recording.stop")
    assert (stop["fragments"], stop["press_ns"]) == (6, str(press_ns))
    rig.check()


def test_a_stop_whose_last_fragment_never_comes_ends_after_3_s_and_names_the_hole(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    hold(rig, "--")
    rig.run(900)
    assert rig.activity() is Activity.STOPPING
    rig.run(2200)
    assert rig.activity() is Activity.READY
    assert [cause for cause, _, _ in gaps(rig)] == ["capture_restart"]
    assert gaps(rig)[0][1:] == (2.0, 4.0)
    rig.check()


def test_a_fragment_after_the_hold_is_not_taken_for_the_one_that_was_lost(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    rig.run(500)
    hold(rig, "PP-P")
    assert gaps(rig) == [("capture_late", 4.0, 4.5)]
    assert rig.bodies("recording.stop")[0]["fragments"] == 6
    rig.check()


def test_a_stop_waits_for_a_slow_card_and_loses_nothing_that_was_captured(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    rig.observe = lambda operation, path: 6000 if operation == "sync" and path.startswith("segments") else 0
    rig.film("P")
    hold(rig, "PPP")
    rig.observe = lambda operation, path: 0
    rig.film("PPPPPP")
    assert rig.activity() is Activity.READY
    assert not rig.bodies("gap")
    (stop,) = rig.bodies("recording.stop")
    assert stop["fragments"] == 8
    rig.check()


def test_what_the_ring_cannot_take_is_a_gap_whose_cause_is_the_overrun(rig: Rig) -> None:
    rig.kill()
    rig.boot(arena_bytes=8 * 131_072)
    rig.film("IPP")
    rig.tap()
    rig.observe = lambda operation, path: 12_000 if operation == "sync" and path.startswith("segments") else 0
    rig.film("P" * 10)
    rig.observe = lambda operation, path: 0
    rig.film("P" * 12)
    assert [cause for cause, _, _ in gaps(rig)] == ["overrun"]
    rig.check(more=OPEN)


def test_the_ladder_climbs_and_comes_down() -> None:
    ladder = RestartLadder()
    now_ns = 0
    ladder.started(now_ns)
    rungs: list[tuple[int, Rung]] = []
    while len(rungs) < 8:
        now_ns += NS_PER_S // 2
        rung = ladder.step(now_ns)
        if rung is not None:
            rungs.append((now_ns // NS_PER_S, rung))
    assert [rung for _, rung in rungs] == [Rung.RESTART] * 3 + [Rung.POWER_CYCLE] * 3 + [Rung.REBOOT] * 2
    assert [at for at, _ in rungs] == [(START_NS // NS_PER_S) * (index + 1) for index in range(8)]
    climbed = ladder.failing
    ladder.delivered(now_ns)
    assert (climbed, ladder.failing) == (True, False)
    assert ladder.step(now_ns + STALL_NS - 1) is None
    assert ladder.step(now_ns + STALL_NS) is Rung.RESTART


def test_a_capture_that_dies_at_once_is_not_started_in_a_hurry(rig: Rig) -> None:
    started = []
    for _ in range(400):
        rig.camera.die()
        rig.run(100)
        started.append(rig.camera.told.count("start"))
    times = [index for index in range(1, 400) if started[index] != started[index - 1]]
    assert [after - before for before, after in pairwise(times)] == pytest.approx([20, 40, 80, 80, 80, 80], abs=2)
    assert rig.camera.told.count("power_cycle") == 3
    assert rig.camera.told.count("reboot") == 2


def test_a_camera_that_cannot_be_started_is_an_alert(rig: Rig) -> None:
    rig.film("IPP")
    rig.camera.cannot_start = True
    rig.film("X")
    rig.run(100)
    assert rig.causes() == ["capture_restarted", "capture_not_started"]
    assert rig.activity() is Activity.READY


# Hostile captures.


def header(length: int, t0_ns: int, **changes: int) -> bytes:
    values = {"dur_ns": NS_PER_S, "frames": 25, **changes}
    return pipe.pack_fragment(pipe.FragmentHeader(length, t0_ns, values["dur_ns"], values["frames"], True))


def assert_unharmed(rig: Rig, alerts: int = 1) -> None:
    """The connection is closed, the process ended, the alert durable; and the next capture works."""
    rig.settle()
    assert rig.causes().count("capture_violation") == alerts
    assert "kill" in rig.camera.told
    assert rig.intake._connection is None
    rig.run(9000)
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    assert rig.activity() is Activity.RECORDING
    rig.check(more=OPEN)


LIES = {
    "another magic": lambda rig: b"HTTP" + bytes(28),
    "a length of 0": lambda rig: b"TMNP\x01\x02" + bytes(26),
    "a length of 4 GiB": lambda rig: b"TMNP\x01\x02\x00\x01\xff\xff\xff\xff" + bytes(20),
    "a fragment that is none": lambda rig: header(1000, rig.clock.now_ns) + bytes(1000),
    "boxes with names that no journal takes": lambda rig: (
        header(16, rig.clock.now_ns) + b"\0\0\0\x10\x01\n\xff\0" + bytes(8)
    ),
    "an init that is none": lambda rig: pipe.pack_init(64) + b"\xff" * 64,
    "more pictures than there are": lambda rig: header(len(film()[1][0]), rig.clock.now_ns, frames=26) + film()[1][0],
    "the future": lambda rig: header(len(film()[1][0]), rig.clock.now_ns + NS_PER_S) + film()[1][0],
    "the past again": lambda rig: header(len(film()[1][0]), rig.clock.now_ns - 3 * NS_PER_S) + film()[1][0],
    "a time before the boot": lambda rig: header(len(film()[1][0]), 1) + film()[1][0],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_closes_the_connection_and_does_no_harm(rig: Rig, lie: str) -> None:
    rig.film("IPP")
    rig.push(LIES[lie](rig))
    assert_unharmed(rig)


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_while_recording_costs_no_footage(rig: Rig, lie: str) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("P")
    rig.push(LIES[lie](rig))
    assert rig.bodies("fragment")[-1]["n"] == 2
    assert rig.activity() is Activity.RECORDING
    rig.film("IPP")
    assert rig.activity() is Activity.RECORDING
    rig.check(more=OPEN)


def test_a_fragment_before_any_init_takes_no_room_in_the_ring(rig: Rig) -> None:
    rig.film("IPP")
    before = rig.ring.used_bytes()
    rig.connect()
    rig.push(header(8 * 1024 * 1024, rig.clock.now_ns - NS_PER_S))
    assert rig.ring.used_bytes() == before
    assert_unharmed(rig)


@pytest.mark.parametrize("missing", [1, 31, 32, 33, 1000])
def test_a_frame_that_ends_too_early_is_forgotten(rig: Rig, missing: int) -> None:
    rig.film("IP")
    data = film()[1][1]
    whole = header(len(data), rig.clock.now_ns) + data
    rig.push(whole[:-missing] if missing >= 1000 else whole[:missing])
    rig.hang_up()
    rig.settle()
    assert isinstance(rig.news[-1], CaptureGone)
    assert rig.news[-1].violation is None
    rig.film("IPP")
    assert rig.ring.newest is not None
    assert rig.ring.newest.serial == 2
    assert not rig.causes().count("capture_violation")


def test_a_second_process_replaces_the_first(rig: Rig) -> None:
    rig.film("IPP")
    first, rig._capture = rig._capture, None
    assert first is not None
    rig.film("I")
    assert first.recv(100) in (b"", pipe.pack_sound(False))
    first.close()
    rig.film("PP")
    assert rig.activity() is Activity.READY


def test_a_process_that_lies_again_is_ended_at_once_not_when_the_ladder_comes_to_it(rig: Rig) -> None:
    for _ in range(2):
        rig.connect()
        rig.push(b"x" * 64)
    assert not rig.camera.alive()


def test_a_flood_of_violations_is_not_a_flood_of_entries(rig: Rig) -> None:
    rig.film("IPP")
    before = len(rig.entries())
    for _ in range(200):
        rig.connect()
        rig.push(b"x" * 64)
    assert len(rig.entries()) - before <= 3 * 200
    rig.run(9000)
    rig.film("IPP")
    assert rig.activity() is Activity.READY


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(min_size=1, max_size=200), good=st.booleans())
def test_random_bytes_do_no_harm(rig: Rig, data: bytes, good: bool) -> None:
    rig.connect()
    if good:
        rig.send_init(film()[0])
    rig.push(data)
    rig.hang_up()
    rig.settle()
    rig.run(100)
    assert rig.activity() in (Activity.READY, Activity.BOOTING)
    assert rig.intake._connection is None
    assert not any(rig.arena[: rig.ring.used_bytes()])


def test_sound_is_switched_at_the_press_and_again_for_each_capture(rig: Rig) -> None:
    rig.film("IP")
    rig.tap()
    rig.film("P")
    assert rig._capture is not None
    assert rig._capture.recv(100) == pipe.pack_sound(False) + pipe.pack_sound(True)
    rig.film("XI")
    rig.settle()
    assert rig._capture.recv(100) == pipe.pack_sound(True)


def test_the_rate_is_told_when_it_changes_and_to_each_new_capture_process(rig: Rig) -> None:
    rig.film("IP")
    assert rig._capture is not None
    assert rig._capture.recv(100) == pipe.pack_sound(False), "the whole rate is what capture begins with"
    rig.intake.rate(50)
    rig.settle()
    assert rig._capture.recv(100) == pipe.pack_rate(50)
    rig.film("XI")
    rig.settle()
    assert rig._capture.recv(100) == pipe.pack_sound(False) + pipe.pack_rate(50)
