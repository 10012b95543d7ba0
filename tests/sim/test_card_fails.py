"""What the card may do: refuse, fail once, fail for good, be full, be slow. What is told, shown and accounted for."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest

from agent.formats.fields import ns_of
from agent.model import NS_PER_S, Activity, Colour, Condition
from agent.states import RED, Moment
from tests.support.rig import RESERVE_BYTES, Rig

OPEN = frozenset({"open"})
RECOVERED = frozenset({"open", "recovered", "orphan"})


def recording(rig: Rig, script: str = "PP") -> None:
    rig.film("IPP")
    rig.tap()
    rig.film(script)
    assert rig.activity() is Activity.RECORDING


def hold(rig: Rig, script: str = "PPP") -> None:
    rig.press()
    rig.film(script)
    rig.release()


def assert_nothing_missing(rig: Rig) -> None:
    """Every captured second has its fragment, and no second has two."""
    starts = [ns_of(body, "t0_ns") for body in rig.bodies("fragment")]
    assert starts == list(range(starts[0], starts[0] + len(starts) * NS_PER_S, NS_PER_S))
    assert not rig.bodies("gap")


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("kept_bytes", [0, 100_000])
def test_a_write_that_fails_goes_into_a_new_segment(rig: Rig, operation: str, kept_bytes: int) -> None:
    recording(rig)
    rig.disk.fail(operation, "segments/*", errno.EIO, kept_bytes=kept_bytes)
    rig.film("PP")
    assert rig.panel.light == RED
    (found,) = rig.bodies("segment.recovered")
    assert found["last_n"] == 3
    assert [body["seg"] for body in rig.bodies("segment.open")] == [0, 1]
    assert rig.causes() == ["card_write_failed"]
    hold(rig)
    assert_nothing_missing(rig)
    rig.check(more=RECOVERED)


@pytest.mark.parametrize("operation", ["make_folder", "create", "write", "sync", "sync_folder"])
def test_a_first_commit_that_fails_is_tried_again_and_its_file_named(rig: Rig, operation: str) -> None:
    rig.film("IPPP")
    rig.disk.fail(operation, "segments*", errno.EIO)
    rig.tap()
    rig.film("P")
    assert rig.activity() is Activity.RECORDING
    assert len(rig.bodies("orphan")) == (0 if operation in ("make_folder", "create") else 1)
    hold(rig)
    assert_nothing_missing(rig)
    rig.check(more=RECOVERED)


def fail_at_rotation(rig: Rig, operation: str) -> None:
    """Let the operation fail while the segment is closed and the next one is opened."""
    recording(rig, "P" * 28)  # 30 fragments: the next one opens a new segment
    rig.disk.fail(operation, "segments/*", errno.EIO)
    rig.film("PP")


@pytest.mark.parametrize("operation", ["write", "sync", "create", "sync_folder"])
def test_a_rotation_that_fails_is_accounted_for(rig: Rig, operation: str) -> None:
    fail_at_rotation(rig, operation)
    assert rig.panel.light == RED
    sealed = 0 if operation in ("write", "sync") else 1
    assert (len(rig.bodies("segment.seal")), len(rig.bodies("segment.recovered"))) == (sealed, 1 - sealed)
    hold(rig)
    assert_nothing_missing(rig)
    rig.check(more=RECOVERED)


def test_a_seal_that_fails_at_the_stop_still_ends_the_recording(rig: Rig) -> None:
    recording(rig)
    rig.press()
    rig.film("PP")
    rig.run(100)
    syncs = 0

    def observe(operation: str, path: str) -> int:
        nonlocal syncs
        if operation == "sync" and path.startswith("segments"):
            syncs += 1
            if syncs == 1:
                rig.disk.fail("write", "segments/*", errno.EIO)  # the last chunk
        return 0

    rig.observe = observe
    rig.film("P")
    rig.release()
    assert rig.activity() is Activity.READY
    assert len(rig.bodies("segment.recovered")) == 1
    assert rig.bodies("recording.stop")[0]["cause"] == "hold"
    assert_nothing_missing(rig)
    rig.check(more=RECOVERED)


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_three_failures_end_the_recording_in_order_and_the_camera_refuses(rig: Rig, operation: str) -> None:
    recording(rig)
    rig.disk.fail(operation, "segments/*", errno.EIO, count=3)
    rig.film("PPP")
    rig.run(1000)
    assert rig.activity() is Activity.REFUSING
    assert rig.panel.light.colour is Colour.AMBER
    assert rig.causes() == ["card_write_failed"] * 3
    (stop,) = rig.bodies("recording.stop")
    assert (stop["cause"], stop["fragments"]) == ("card", 4)
    unavailable = rig.supervisor.status().unavailable
    assert unavailable is not None
    assert unavailable.cause == "card_unwritable"
    rig.tap()
    assert len(rig.felt(Moment.REFUSED)) == 1
    rig.run(15_000)
    assert rig.activity() is Activity.REFUSING
    rig.check(more=RECOVERED)


def test_three_failures_before_anything_is_durable_refuse_the_press(rig: Rig) -> None:
    rig.film("IPP")
    rig.disk.fail("sync", "segments/*", errno.EIO, count=3)
    rig.tap()
    rig.run(1000)
    assert rig.activity() is Activity.REFUSING
    assert len(rig.felt(Moment.REFUSED)) == 1
    assert not rig.bodies("recording.start")
    assert len(rig.bodies("orphan")) == 3
    rig.check(more=RECOVERED)


@pytest.mark.parametrize("operation", ["write", "sync"])
@pytest.mark.parametrize("kept_bytes", [0, 300])
def test_a_journal_write_that_fails_goes_into_a_new_file(rig: Rig, operation: str, kept_bytes: int) -> None:
    recording(rig)
    rig.disk.fail(operation, "journal/*", errno.EIO, kept_bytes=kept_bytes)
    rig.film("PP")
    assert rig.panel.light == RED
    assert rig.causes() == ["journal_write_failed"]
    assert len(list((rig.root / "journal").glob("*.log"))) == 2
    hold(rig)
    assert_nothing_missing(rig)
    rig.restart()  # the torn line is named by the next boot
    rig.check(more=RECOVERED | {"repeated"})


@pytest.mark.parametrize("doing", [recording, lambda rig: rig.film("IPP")])
def test_a_journal_that_fails_twice_is_the_end_until_the_next_start(rig: Rig, doing: Callable[[Rig], None]) -> None:
    doing(rig)
    was_recording = rig.activity() is Activity.RECORDING
    rig.disk.fail("write", "journal/*", errno.EROFS, count=2)
    if not was_recording:
        rig.tap()
    rig.film("PP")
    assert rig.activity() is Activity.REFUSING
    assert rig.panel.light != RED
    assert rig.felt(Moment.REFUSED) or was_recording
    rig.tap()
    assert rig.felt(Moment.REFUSED)
    rig.disk.heal()
    rig.restart()
    rig.film("IPP")
    assert rig.activity() is (Activity.RECORDING if was_recording else Activity.READY)
    rig.check(more=RECOVERED)


def test_a_card_that_becomes_read_only_takes_the_light_out_of_red_at_once(rig: Rig) -> None:
    recording(rig)
    for operation in ("write", "create", "sync", "rename", "make_folder"):
        rig.disk.fail(operation, "*", errno.EROFS, count=99)
    rig.film("P")
    assert rig.activity() is Activity.REFUSING
    assert rig.panel.light.colour is Colour.AMBER


def test_a_press_without_room_is_refused_and_journalled_and_room_comes_back(rig: Rig) -> None:
    rig.film("IPP")
    rig.disk.say_free(RESERVE_BYTES - 1)
    rig.tap()
    assert rig.activity() is Activity.REFUSING
    assert len(rig.felt(Moment.REFUSED)) == 1
    assert rig.causes("refused") == ["card_full"]
    rig.run(500)
    rig.tap()
    rig.settle()
    assert len(rig.felt(Moment.REFUSED)) == 2
    assert rig.causes("refused") == ["card_full", "card_full"]
    rig.disk.say_free(RESERVE_BYTES)
    rig.film("P" * 11)
    assert rig.activity() is Activity.READY
    rig.tap()
    rig.film("P")
    assert rig.activity() is Activity.RECORDING
    rig.check(more=OPEN)


def test_a_full_card_is_found_before_anybody_presses(rig: Rig) -> None:
    rig.film("IPP")
    rig.disk.say_free(0)
    rig.film("P" * 11)
    assert rig.activity() is Activity.REFUSING
    assert rig.panel.light.colour is Colour.AMBER
    rig.disk.fail("free_bytes", "*", errno.EIO)
    rig.disk.say_free(None)
    rig.film("P" * 21)
    assert rig.activity() is Activity.READY


def test_room_that_comes_back_before_capture_does_leads_to_booting(rig: Rig) -> None:
    rig.disk.say_free(0)
    rig.film("I")
    rig.run(11_000)
    assert rig.activity() is Activity.REFUSING
    rig.film("X")
    rig.disk.say_free(None)
    rig.run(11_000)
    assert rig.activity() is Activity.BOOTING
    rig.film("IP")
    assert rig.activity() is Activity.READY


def test_a_recording_on_a_card_that_fills_is_ended_in_order(rig: Rig) -> None:
    recording(rig)
    rig.disk.say_free(1024 * 1024)
    rig.film("PP")
    assert rig.activity() is Activity.REFUSING
    (stop,) = rig.bodies("recording.stop")
    assert stop["cause"] == "card"
    assert len(rig.bodies("segment.seal")) == 1
    assert rig.causes("refused") == ["card_full"]
    rig.check()


def test_enospc_while_recording_loses_nothing_that_was_told(rig: Rig) -> None:
    recording(rig)
    rig.disk.fail("write", "*", errno.ENOSPC, count=99, kept_bytes=1000)
    rig.film("PPP")
    assert rig.activity() is Activity.REFUSING
    assert rig.panel.light != RED
    rig.disk.heal()
    rig.power_cut()
    assert rig.bodies("recording.stop")[0]["cause"] == "interrupted"
    rig.check(more=RECOVERED)


def test_a_writer_that_falls_behind_takes_the_light_out_of_red_with_a_cue(rig: Rig) -> None:
    recording(rig)
    rig.observe = lambda operation, path: 5000 if operation == "sync" and path.startswith("segments") else 0
    rig.film("P")
    rig.observe = lambda operation, path: 0
    rig.film("PP")
    assert rig.panel.light != RED
    assert rig.panel.light.colour is Colour.AMBER
    assert Condition.WRITER_LATE in rig.supervisor.status().conditions
    assert len(rig.felt(Moment.WRITER_LATE)) == 1
    rig.film("PPPP")
    assert rig.panel.light == RED
    assert Condition.WRITER_LATE not in rig.supervisor.status().conditions
    assert_nothing_missing(rig)
    rig.check(more=OPEN)


def test_a_press_is_heard_within_a_tick_while_the_card_is_stuck(rig: Rig) -> None:
    rig.film("IPP")
    rig.observe = lambda operation, path: 10_000 if operation == "sync" else 0
    first_ns = rig.press()
    rig.release()
    rig.run(1000)
    assert rig.activity() is Activity.ARMING
    for _ in range(60):  # more taps than there is room for orders
        rig.tap()
        rig.run(500)
    assert rig.felt(Moment.HEARD)[0] == first_ns
    assert len(rig.felt(Moment.HEARD)) == 61
    rig.observe = lambda operation, path: 0
    rig.run(20_000)
    assert len(rig.bodies("mark")) + lost(rig) >= 60


def lost(rig: Rig) -> int:
    """What the newest alert says of orders that found no slot."""
    told = [body["values"] for body in rig.bodies("alert") if body["cause"] == "queue_full"]
    return int(str(told[-1]["lost"])) if told and isinstance(told[-1], dict) else 0


def test_a_stop_finds_its_slot_however_many_taps_came_before(rig: Rig) -> None:
    recording(rig)
    rig.observe = lambda operation, path: 25_000 if operation == "sync" else 0
    rig.film("P")
    for _ in range(80):
        rig.tap()
        rig.run(450)
    assert len(rig.felt(Moment.WRITER_LATE)) > 1
    rig.observe = lambda operation, path: 0
    rig.press()
    rig.run(2500)
    rig.release()
    rig.run(60_000)
    assert rig.activity() is Activity.READY
    assert lost(rig) > 0
    assert len(rig.bodies("recording.stop")) == 1
    rig.check(more=OPEN)


def test_a_segment_opened_after_a_failure_holds_30_s_at_most(rig: Rig) -> None:
    rig.kill()
    rig.boot(prerecord_ms=50_000, arena_bytes=60 * 131_072)
    rig.film("I" + "P" * 50)
    syncs = 0

    def observe(operation: str, path: str) -> int:
        nonlocal syncs
        if operation == "sync" and path.startswith("segments"):
            syncs += 1
            if syncs == 2:  # the group after the first commit
                rig.disk.fail("sync", "segments/*", errno.EIO)
        return 0

    rig.observe = observe
    rig.tap()
    rig.film("P" * 15)
    counts = [body["n"] for body in rig.bodies("segment.seal")]
    assert counts == [30, 30]
    assert_nothing_missing(rig)
    rig.check(more=RECOVERED)
