"""A press, and what the recording that it starts holds: pre-record, boundary, last fragment, what the officer sees."""

from __future__ import annotations

import pytest

from agent.formats.fields import integer_of, ns_of
from agent.model import NS_PER_MS, NS_PER_S, Activity, Colour
from agent.states import RED, Moment
from tests.support.rig import KEEP_MS, PRERECORD_MS, Rig


def starts(rig: Rig) -> list[int]:
    return [ns_of(body, "t0_ns") for body in rig.bodies("fragment")]


def hold(rig: Rig, script: str = "PPP") -> int:
    """Press long enough while capture goes on; when the press began."""
    press_ns = rig.press()
    rig.film(script)
    rig.release()
    return press_ns


@pytest.mark.parametrize(
    ("before", "got_ms", "reason"),
    [("P" * 12, 10_000, None), ("P" * 3, 3_000, "capture_started_later"), ("", 0, "capture_started_later")],
)
def test_a_press_takes_what_the_ring_holds(rig: Rig, before: str, got_ms: int, reason: str | None) -> None:
    rig.film("I" + before)
    press_ns = rig.press()
    assert rig.felt(Moment.HEARD) == [press_ns]
    rig.film("PP")
    rig.release()
    assert rig.panel.light == RED
    hold(rig)
    (start,) = rig.bodies("recording.start")
    assert start["press_ns"] == str(press_ns)
    assert (start["wanted_ms"], start["got_ms"], start["reason"]) == (PRERECORD_MS, got_ms, reason)
    assert starts(rig)[0] == press_ns - got_ms * NS_PER_MS
    assert [body["pre"] for body in rig.bodies("fragment")].count(True) == got_ms // 1000
    assert rig.activity() is Activity.READY
    rig.check()


def test_a_press_while_booting_is_heard_and_records_from_the_first_fragment(rig: Rig) -> None:
    assert rig.activity() is Activity.BOOTING
    rig.press()
    rig.run(1000)
    rig.release()
    assert rig.activity() is Activity.ARMING
    assert rig.panel.light.colour is Colour.AMBER
    rig.film("IPP")
    assert rig.activity() is Activity.RECORDING
    rig.check(more=frozenset({"open"}))


@pytest.mark.parametrize("after_ms", [0, 1, 500, 999])
def test_the_pre_record_begins_with_the_fragment_that_ends_after_its_edge(rig: Rig, after_ms: int) -> None:
    rig.film("I" + "P" * 13)
    rig.run(after_ms)
    press_ns = rig.press()
    body = rig.bodies("fragment")[0]
    end_ns = ns_of(body, "t0_ns") + ns_of(body, "dur_ns")
    assert end_ns - NS_PER_S <= press_ns - PRERECORD_MS * NS_PER_MS < end_ns
    assert [body["pre"] for body in rig.bodies("fragment")] == [True] * 10


def test_the_first_commit_is_one_fragment_and_groups_share_one_pair_of_fsyncs(rig: Rig) -> None:
    rig.film("I" + "P" * 12)
    syncs: list[str] = []

    def observe(operation: str, path: str) -> int:
        if operation == "sync":
            syncs.append(path.split("/")[0])
        return 0

    rig.observe = observe
    press_ns = rig.press()
    assert [told.end_ns for told in rig.told] == [press_ns - 9 * NS_PER_S, press_ns]
    assert syncs == ["segments", "journal", "segments", "journal"]


def test_no_group_is_larger_than_4_mib(rig: Rig) -> None:
    rig.kill()
    rig.boot(arena_bytes=32 * 1024 * 1024)
    rig.film("J" + "B" * 10)
    press_ns = rig.press()
    ends = [(press_ns - told.end_ns) // NS_PER_S for told in rig.told]
    assert ends == [9, 7, 5, 3, 2, 1, 0]  # 1.9 MB each: two a group; the segment is full after the eighth


def test_the_press_that_starts_never_stops_however_long(rig: Rig) -> None:
    rig.film("IPP")
    rig.press()
    rig.film("P" * 20)
    rig.release()
    rig.film("PP")
    assert rig.activity() is Activity.RECORDING
    assert not rig.bodies("mark")
    hold(rig)
    assert rig.activity() is Activity.READY


@pytest.mark.parametrize("offset_ms", [0, 50, 500, 950])
def test_the_last_fragment_holds_the_moment_of_the_hold(rig: Rig, offset_ms: int) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    rig.run(offset_ms)
    press_ns = hold(rig, "PPPP")
    rig.film("PP")
    (stop,) = rig.bodies("recording.stop")
    assert (stop["cause"], stop["press_ns"]) == ("hold", str(press_ns))
    recognised_ns = press_ns + 2 * NS_PER_S
    assert starts(rig)[-1] <= recognised_ns < starts(rig)[-1] + NS_PER_S
    assert len(rig.felt(Moment.STOPPED)) == 1
    rig.check()


def test_taps_are_marks_and_notices_with_the_time_of_their_press(rig: Rig) -> None:
    rig.film("IPP")
    rig.tap()
    rig.film("PP")
    mark_ns = rig.tap()
    rig.film("PP")
    assert [body["press_ns"] for body in rig.bodies("mark")] == [str(mark_ns)]
    presses = []
    for _ in range(3):
        presses.append(rig.tap())
        rig.run(200)
        rig.tap()
        rig.film("PP")
    notices = rig.bodies("notice")
    assert [body["press_ns"] for body in notices] == [str(press_ns) for press_ns in presses]
    assert [body["state"] for body in notices] == ["announced", "impossible", "announced"]
    rig.press()
    rig.run(1500)  # neither a tap nor a hold
    rig.release()
    rig.film("PP")
    assert len(rig.bodies("mark")) == 1
    assert rig.activity() is Activity.RECORDING
    assert len(rig.felt(Moment.MARKED)) == 1
    assert len(rig.felt(Moment.ANNOUNCED)) == 2


def test_a_mark_before_the_first_fragment_is_durable_is_written_after_it(rig: Rig) -> None:
    rig.film("I")
    rig.tap()
    rig.run(200)
    mark_ns = rig.tap()
    rig.run(500)
    assert not rig.bodies("mark")
    rig.film("P")
    kinds = [entry.head.kind for entry in rig.entries()]
    assert kinds[-4:] == ["recording.start", "segment.open", "fragment", "mark"]
    assert rig.bodies("mark")[0]["press_ns"] == str(mark_ns)


def test_a_hold_before_any_footage_ends_with_a_refused_press(rig: Rig) -> None:
    rig.film("I")
    start_ns = rig.tap()
    rig.run(500)
    rig.press()
    rig.run(2500)
    rig.release()
    assert rig.activity() is Activity.STOPPING
    rig.run(3000)
    assert rig.activity() is Activity.READY
    (refused,) = rig.bodies("refused")
    assert refused["cause"] == "no_footage"
    assert refused["values"] == {"press_ns": str(start_ns)}
    rig.film("-----PP")
    assert rig.activity() is Activity.READY
    assert not rig.bodies("recording.start")
    rig.check()


def test_a_press_while_stopping_starts_the_next_recording_where_this_one_ends(rig: Rig) -> None:
    rig.film("IPPP")
    rig.tap()
    rig.film("P")
    rig.press()
    rig.film("PP")
    rig.run(100)
    rig.release()
    assert rig.activity() is Activity.STOPPING
    rig.run(100)
    kept_ns = rig.press()
    assert rig.activity() is Activity.STOPPING
    rig.film("PPPP")  # however long it is held
    rig.release()
    assert rig.activity() is Activity.RECORDING
    _, second = rig.bodies("recording.start")
    assert second["press_ns"] == str(kept_ns)
    assert second["reason"] == "earlier_recording"
    fragments = rig.bodies("fragment")
    assert [ns_of(body, "t0_ns") for body in fragments] == sorted({ns_of(body, "t0_ns") for body in fragments})
    rig.check(more=frozenset({"open"}))
    assert not rig.bodies("gap")


def test_footage_that_is_too_old_leaves_the_ring_when_capture_is_silent(rig: Rig) -> None:
    rig.film("IPPP")
    rig.run(KEEP_MS - 3000)
    assert rig.ring.used_bytes() > 0
    rig.run(3500)
    assert rig.ring.used_bytes() == 0
    assert not any(rig.arena)


def test_a_segment_is_closed_before_the_fragment_that_passes_30_s(rig: Rig) -> None:
    rig.film("IP")
    rig.tap()
    rig.film("P" * 65)
    counts = [integer_of(body, "n") for body in rig.bodies("segment.seal")]
    assert counts == [30, 30]
    rig.check(more=frozenset({"open"}))


def test_a_segment_is_closed_before_the_fragment_that_passes_16_mib(rig: Rig) -> None:
    rig.kill()
    rig.boot(arena_bytes=32 * 1024 * 1024)
    rig.film("JB")
    rig.tap()
    rig.film("B" * 9)
    seals = rig.bodies("segment.seal")
    assert [integer_of(body, "n") for body in seals] == [8]
    assert integer_of(seals[0], "size") <= 16 * 1024 * 1024
    rig.check(more=frozenset({"open"}))


def test_the_officer_is_reminded_after_two_minutes_of_a_recording(rig: Rig) -> None:
    rig.film("I")
    rig.tap()
    rig.film("P" * 118)
    assert not rig.felt(Moment.REMINDED)
    rig.film("P" * 4)
    assert len(rig.felt(Moment.REMINDED)) == 1
