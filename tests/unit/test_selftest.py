"""The self-test's rules: each at its boundaries, none by a moment, nothing called well that was not looked at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import TypedDict

import av
import pytest
from av.filter import Graph
from hypothesis import given
from hypothesis import strategies as st

from agent import selftest
from agent.config import BatteryLevels
from agent.formats import pipe
from agent.formats.bodies import check_body
from agent.formats.pipe import Observation
from agent.health import CardHealth, Outcome, Reserve, SelfCheck, Supply
from agent.model import NS_PER_S, Battery, Condition, Stamp, TimeSource
from agent.selftest import (
    AFTER_CHANGE_NS,
    EVERY_NS,
    LEAST_SEEN,
    LOW_MINUTES,
    MS_PER_DAY,
    RENEW_WITHIN_DAYS,
    SILENT_NS,
    WIDE_CLOCK_MS,
    WINDOW_NS,
    WITHOUT_PICTURES_NS,
    Known,
    SelfTest,
    body,
    conditions,
    examine,
)
from agent.troubles import SELFTEST
from hw.capture.look import look
from tests.support.footage import luma_of, make_footage

NOW_NS = 1_000 * NS_PER_S
NOW_MS = 1_790_000_000_000
STAMP = Stamp(NOW_MS, 100, TimeSource.BEACON, NOW_NS, "boot")
RATE_BPS = 4_000_000
MINUTE_BYTES = RATE_BPS * 60 // 8 * 11 // 10
RESERVE_BYTES = 256 * 1024 * 1024
KNOWN = Known(
    filming=True,
    docked=False,
    sound_wanted=True,
    stamp=STAMP,
    free_bytes=RESERVE_BYTES + MINUTE_BYTES * 1_000,
    reserve_bytes=RESERVE_BYTES,
    bit_rate_bps=RATE_BPS,
    key_answers=True,
    certificate_until_ms=NOW_MS + 400 * MS_PER_DAY,
    policy_version=7,
    policy_from_ms=NOW_MS - MS_PER_DAY,
    battery=Battery(80),
    levels=BatteryLevels((20, 10, 5), 3),
    card=CardHealth(10, Reserve.NORMAL),
    supply=Supply(False, False, False),
)
DAY = Observation(NOW_NS, 100, 45, 4_000, 5_000, 1_000, True, 3_000, 200, 0, 0)
COVERED = replace(DAY, luma=16, contrast=3, sharpness=900, exposure_us=33_000, gain_milli=16_000)
WELL = dict.fromkeys(SelfCheck, Outcome.WELL)


class Changes(TypedDict, total=False):
    """Fields of an observation."""

    luma: int
    contrast: int
    sharpness: int
    exposure_us: int | None
    gain_milli: int | None
    heard: bool
    peak: int
    rms: int
    clipped: int


def seconds(one: Observation, count: int = 20) -> tuple[Observation, ...]:
    """One observation a second, the last of them now."""
    return tuple(replace(one, boot_ns=NOW_NS - (count - 1 - number) * NS_PER_S) for number in range(count))


def outcomes(known: Known = KNOWN, seen: tuple[Observation, ...] = seconds(DAY)) -> dict[SelfCheck, Outcome]:
    return {one.check: one.outcome for one in examine(known, seen, NOW_NS)}


def of(check: SelfCheck, known: Known = KNOWN, seen: tuple[Observation, ...] = seconds(DAY)) -> Outcome:
    return outcomes(known, seen)[check]


def test_a_camera_in_order_is_well_in_everything() -> None:
    assert outcomes() == WELL
    assert conditions(examine(KNOWN, seconds(DAY), NOW_NS)) == frozenset()


# Pictures and sound.


@pytest.mark.parametrize(
    ("changed", "is_covered"),
    [
        ({"contrast": 4, "sharpness": 0}, True),
        ({"contrast": 5, "sharpness": 0}, False),
        ({"luma": 200, "contrast": 0, "sharpness": 0}, True),
        # Noise of 8: its neighbours differ by twice its variance.
        ({"contrast": 8, "sharpness": 200 * 64}, True),
        ({"contrast": 8, "sharpness": 200 * 48}, True),
        ({"contrast": 8, "sharpness": 200 * 47}, False),
        # In the dark, the sensor at its limits: smoothed noise is left.
        ({"luma": 24, "contrast": 5, "sharpness": 0, "exposure_us": 30_000}, True),
        ({"luma": 24, "contrast": 5, "sharpness": 0, "gain_milli": 8_000}, True),
        ({"luma": 24, "contrast": 6, "sharpness": 0, "exposure_us": 30_000}, False),
        ({"luma": 25, "contrast": 5, "sharpness": 0, "exposure_us": 30_000}, False),
        ({"luma": 24, "contrast": 5, "sharpness": 0, "exposure_us": 29_999, "gain_milli": 7_999}, False),
        ({"luma": 24, "contrast": 5, "sharpness": 0, "exposure_us": None, "gain_milli": None}, False),
    ],
)
def test_the_lens_is_covered_when_nothing_but_noise_is_seen(changed: Changes, is_covered: bool) -> None:
    seen = seconds(replace(DAY, **changed))
    assert of(SelfCheck.LENS, seen=seen) is (Outcome.FAILED if is_covered else Outcome.WELL)


def test_a_night_scene_is_no_covered_lens() -> None:
    """A street by its lamps: dark, the sensor at its limits, much of the contrast is noise."""
    night = replace(DAY, luma=28, contrast=13, sharpness=200 * 60, exposure_us=33_000, gain_milli=16_000)
    assert of(SelfCheck.LENS, seen=seconds(night)) is Outcome.WELL
    assert of(SelfCheck.FOCUS, seen=seconds(night)) is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"contrast": 50, "sharpness": 1_000}, Outcome.WARN),
        ({"contrast": 50, "sharpness": 1_001}, Outcome.WELL),
        ({"contrast": 15, "sharpness": 90}, Outcome.WARN),
        ({"contrast": 14, "sharpness": 0}, Outcome.UNKNOWN),
        ({"luma": 40, "sharpness": 0}, Outcome.WARN),
        ({"luma": 39, "sharpness": 0}, Outcome.UNKNOWN),
    ],
)
def test_a_scene_without_detail_is_blurred(changed: Changes, expected: Outcome) -> None:
    seen = seconds(replace(DAY, **changed))
    assert of(SelfCheck.FOCUS, seen=seen) is expected
    assert of(SelfCheck.LENS, seen=seen) is Outcome.WELL


def test_sharpness_is_judged_by_enough_bright_seconds() -> None:
    dark, soft = replace(DAY, luma=20), replace(DAY, sharpness=0)
    for bright, expected in ((LEAST_SEEN - 1, Outcome.UNKNOWN), (LEAST_SEEN, Outcome.WARN)):
        seen = (*seconds(dark)[:-bright], *seconds(soft)[-bright:])
        assert of(SelfCheck.FOCUS, seen=seen) is expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"heard": False, "peak": 0, "rms": 0}, Outcome.FAILED),
        ({"rms": 0}, Outcome.FAILED),
        ({"rms": 1}, Outcome.WELL),
        ({"clipped": 48}, Outcome.WARN),
        ({"clipped": 47}, Outcome.WELL),
    ],
)
def test_the_microphone_is_dead_or_overdriven(changed: Changes, expected: Outcome) -> None:
    seen = seconds(replace(DAY, **changed))
    assert of(SelfCheck.MICROPHONE, seen=seen) is expected
    assert of(SelfCheck.MICROPHONE, replace(KNOWN, sound_wanted=False), seen) is Outcome.UNKNOWN


def test_sound_is_overdriven_when_half_of_the_seconds_are() -> None:
    loud = replace(DAY, clipped=48)
    for clipped, expected in ((9, Outcome.WELL), (10, Outcome.WARN)):
        seen = (*seconds(DAY)[:-clipped], *seconds(loud)[-clipped:])
        assert of(SelfCheck.MICROPHONE, seen=seen) is expected


@given(st.integers(0, 19), st.sampled_from([COVERED, replace(DAY, sharpness=100), replace(DAY, heard=False, rms=0)]))
def test_one_good_second_in_the_window_is_enough(good: int, bad: Observation) -> None:
    seen = list(seconds(bad))
    seen[good] = replace(DAY, boot_ns=seen[good].boot_ns)
    found = outcomes(seen=tuple(seen))
    assert found.pop(SelfCheck.FOCUS) in (Outcome.WELL, Outcome.UNKNOWN)
    assert set(found.values()) == {Outcome.WELL}


def test_too_few_observations_say_nothing_of_lens_and_microphone() -> None:
    found = outcomes(seen=seconds(COVERED, LEAST_SEEN - 1))
    assert [found[check] for check in (SelfCheck.LENS, SelfCheck.FOCUS, SelfCheck.MICROPHONE)] == [Outcome.UNKNOWN] * 3
    assert of(SelfCheck.LENS, seen=seconds(COVERED, LEAST_SEEN)) is Outcome.FAILED


def test_pictures_that_stop_are_found_and_a_camera_at_rest_is_not_judged() -> None:
    late = tuple(replace(one, boot_ns=one.boot_ns - SILENT_NS) for one in seconds(DAY))
    assert of(SelfCheck.CAMERA, seen=late) is Outcome.FAILED
    assert of(SelfCheck.CAMERA, seen=tuple(replace(one, boot_ns=one.boot_ns + 1) for one in late)) is Outcome.WELL
    assert of(SelfCheck.CAMERA, seen=()) is Outcome.FAILED
    rests = outcomes(replace(KNOWN, filming=False), seconds(COVERED))
    assert rests[SelfCheck.CAMERA] is rests[SelfCheck.LENS] is rests[SelfCheck.MICROPHONE] is Outcome.UNKNOWN


# Everything else.


@pytest.mark.parametrize(
    ("stamp", "expected"),
    [
        (replace(STAMP, err_ms=WIDE_CLOCK_MS), Outcome.WELL),
        (replace(STAMP, err_ms=WIDE_CLOCK_MS + 1), Outcome.WARN),
        (replace(STAMP, source=TimeSource.RTC), Outcome.WELL),
        (replace(STAMP, source=TimeSource.DISPUTED), Outcome.FAILED),
        (Stamp(None, None, TimeSource.NONE, NOW_NS, "boot"), Outcome.FAILED),
    ],
)
def test_the_clock_is_known_within_a_bound(stamp: Stamp, expected: Outcome) -> None:
    assert of(SelfCheck.CLOCK, replace(KNOWN, stamp=stamp)) is expected


@pytest.mark.parametrize(
    ("free_bytes", "expected"),
    [
        (RESERVE_BYTES + MINUTE_BYTES * LOW_MINUTES, Outcome.WELL),
        (RESERVE_BYTES + MINUTE_BYTES * LOW_MINUTES - 1, Outcome.WARN),
        (RESERVE_BYTES, Outcome.WARN),
        (RESERVE_BYTES - 1, Outcome.FAILED),
        (None, Outcome.UNKNOWN),
    ],
)
def test_room_for_four_hours(free_bytes: int | None, expected: Outcome) -> None:
    known = replace(KNOWN, free_bytes=free_bytes)
    assert of(SelfCheck.SPACE, known) is expected
    shown = conditions(examine(known, seconds(DAY), NOW_NS))
    assert (Condition.SPACE_LOW in shown) is (expected in (Outcome.WARN, Outcome.FAILED))


@pytest.mark.parametrize(
    ("until_ms", "expected"),
    [
        (NOW_MS + RENEW_WITHIN_DAYS * MS_PER_DAY, Outcome.WELL),
        (NOW_MS + RENEW_WITHIN_DAYS * MS_PER_DAY - 1, Outcome.WARN),
        (NOW_MS - 100, Outcome.WARN),  # the clock's error may explain it
        (NOW_MS - 101, Outcome.FAILED),
    ],
)
def test_the_certificate_ends(until_ms: int, expected: Outcome) -> None:
    assert of(SelfCheck.CERTIFICATE, replace(KNOWN, certificate_until_ms=until_ms)) is expected


@pytest.mark.parametrize(
    ("from_ms", "expected"), [(NOW_MS + 100, Outcome.WELL), (NOW_MS + 101, Outcome.FAILED), (NOW_MS, Outcome.WELL)]
)
def test_the_policy_begins(from_ms: int, expected: Outcome) -> None:
    assert of(SelfCheck.POLICY, replace(KNOWN, policy_from_ms=from_ms)) is expected


def test_certificate_and_policy_are_not_judged_without_the_time() -> None:
    known = replace(KNOWN, stamp=Stamp(None, None, TimeSource.NONE, NOW_NS, "boot"), certificate_until_ms=0)
    assert of(SelfCheck.CERTIFICATE, known) is of(SelfCheck.POLICY, known) is Outcome.UNKNOWN


def test_a_key_that_does_not_answer() -> None:
    known = replace(KNOWN, key_answers=False)
    assert of(SelfCheck.KEY, known) is Outcome.FAILED
    assert conditions(examine(known, seconds(DAY), NOW_NS)) == {Condition.KEY_LOST}


@pytest.mark.parametrize(
    ("battery", "expected"),
    [
        (Battery(21), Outcome.WELL),
        (Battery(20), Outcome.WARN),
        (Battery(4), Outcome.WARN),
        (Battery(3), Outcome.FAILED),
        (Battery(3, charging=True), Outcome.WARN),
        (Battery(None), Outcome.UNKNOWN),
    ],
)
def test_the_battery_by_the_boards_levels(battery: Battery, expected: Outcome) -> None:
    assert of(SelfCheck.BATTERY, replace(KNOWN, battery=battery)) is expected


@pytest.mark.parametrize(
    ("card", "expected"),
    [
        (None, Outcome.UNKNOWN),
        (CardHealth(None, None), Outcome.UNKNOWN),
        (CardHealth(80, None), Outcome.WELL),
        (CardHealth(None, Reserve.NORMAL), Outcome.WELL),
        (CardHealth(90, Reserve.NORMAL), Outcome.WARN),
        (CardHealth(100, Reserve.NORMAL), Outcome.WARN),
        (CardHealth(10, Reserve.WARNING), Outcome.WARN),
        (CardHealth(110, Reserve.NORMAL), Outcome.FAILED),
        (CardHealth(10, Reserve.URGENT), Outcome.FAILED),
    ],
)
def test_a_card_by_what_it_tells(card: CardHealth | None, expected: Outcome) -> None:
    known = replace(KNOWN, card=card)
    assert of(SelfCheck.CARD, known) is expected
    shown = conditions(examine(known, seconds(DAY), NOW_NS))
    assert (Condition.CARD_WORN in shown) is (expected in (Outcome.WARN, Outcome.FAILED))


@given(st.builds(Supply, st.booleans(), st.booleans(), st.booleans()) | st.none())
def test_the_supply_by_what_the_firmware_tells(supply: Supply | None) -> None:
    expected = Outcome.UNKNOWN
    if supply is not None:
        strained = supply.under_voltage or supply.slowed or supply.under_voltage_before
        expected = Outcome.WARN if strained else Outcome.WELL
    assert of(SelfCheck.SUPPLY, replace(KNOWN, supply=supply)) is expected


# What becomes of it.

STAMPS = st.builds(
    lambda utc_ms, err_ms, source: Stamp(utc_ms, err_ms, source, NOW_NS, "boot"),
    *(st.integers(0, 2 * NOW_MS), st.integers(0, 10**9)),
    st.sampled_from([TimeSource.BEACON, TimeSource.RTC, TimeSource.DISPUTED]),
) | st.just(Stamp(None, None, TimeSource.NONE, NOW_NS, "boot"))
ANY_KNOWN = st.builds(
    Known,
    *(st.booleans(), st.booleans(), st.booleans(), STAMPS),
    st.none() | st.integers(0, 2**40),
    st.integers(0, 2**30),
    st.integers(100_000, 40_000_000),
    st.booleans(),
    st.integers(0, 2 * NOW_MS),
    st.integers(0, 10**6),
    st.integers(0, 2 * NOW_MS),
    st.builds(Battery, st.none() | st.integers(0, 100), st.booleans()),
    st.just(KNOWN.levels),
    st.none()
    | st.builds(CardHealth, st.none() | st.sampled_from(range(10, 120, 10)), st.none() | st.sampled_from(Reserve)),
    st.none() | st.builds(Supply, st.booleans(), st.booleans(), st.booleans()),
)
ANY_SEEN = st.builds(
    Observation,
    st.just(NOW_NS),
    st.integers(0, 255),
    st.integers(0, pipe.MAX_CONTRAST),
    st.integers(0, pipe.MAX_SHARPNESS),
    st.none() | st.integers(0, 2**32 - 1),
    st.none() | st.integers(0, 2**32 - 1),
    st.booleans(),
    st.just(pipe.MAX_LEVEL),
    st.integers(0, pipe.MAX_LEVEL),
    st.integers(0, 2**32 - 1),
)


@given(ANY_KNOWN, st.lists(ANY_SEEN, max_size=25))
def test_whatever_is_known_the_entry_is_whole(known: Known, seen: list[Observation]) -> None:
    """Every check once, in order; a body that the journal takes; a remedy for each trouble, and only for troubles."""
    result = examine(known, tuple(seen), NOW_NS)
    assert [one.check for one in result] == list(SelfCheck)
    check_body("selftest", {**body(result), "salt": "0" * 32})
    for one in result:
        assert ((one.check, one.outcome) in SELFTEST) is (one.outcome in (Outcome.WARN, Outcome.FAILED))


class Played:
    """A self-test on a clock of seconds; `told` is when entries were due."""

    def __init__(self) -> None:
        self.now_s = 1_000
        self.test = SelfTest(self.now_s * NS_PER_S)
        self.told: list[int] = []

    def run(self, count: int, known: Known = KNOWN, seen: Observation | None = DAY) -> None:
        for _ in range(count):
            self.now_s += 1
            if seen is not None:
                self.test.observed(replace(seen, boot_ns=self.now_s * NS_PER_S))
            if self.test.step(known, self.now_s * NS_PER_S) is not None:
                self.told.append(self.now_s - 1_000)


BOOTING = replace(KNOWN, filming=False)
DOCKED = replace(KNOWN, filming=False, docked=True)
WINDOW_S, HOUR_S, CHANGE_S = WINDOW_NS // NS_PER_S, EVERY_NS // NS_PER_S, AFTER_CHANGE_NS // NS_PER_S


def test_the_first_comes_once_the_window_is_full_and_then_each_hour() -> None:
    played = Played()
    played.run(3, BOOTING, None)
    played.run(2 * HOUR_S + WINDOW_S)
    first = 4 + WINDOW_S
    assert played.told == [first, first + HOUR_S]


def test_a_camera_whose_capture_does_not_start_tests_the_rest() -> None:
    played = Played()
    played.run(100, BOOTING, None)
    assert played.told == [WITHOUT_PICTURES_NS // NS_PER_S]


def test_the_end_of_a_docking_and_none_while_docked() -> None:
    played = Played()
    played.run(100)
    played.run(2 * HOUR_S, DOCKED, None)
    played.run(5, BOOTING, None)
    assert played.told == [1 + WINDOW_S]
    played.run(WINDOW_S + 100)
    assert played.told[1:] == [100 + 2 * HOUR_S + 5 + 1 + WINDOW_S]


def test_a_change_is_told_when_it_lasts_and_not_more_often_than_the_limit() -> None:
    played = Played()
    played.run(1_000)
    played.run(WINDOW_S - 1, seen=COVERED)
    assert played.test.conditions == frozenset()
    played.run(1, seen=COVERED)
    assert played.test.conditions == {Condition.LENS_COVERED}
    assert played.told == [1 + WINDOW_S, 1_000 + WINDOW_S]
    played.run(1)
    assert played.test.conditions == frozenset()
    for _ in range(20):  # comes and goes
        played.run(WINDOW_S, seen=COVERED)
        played.run(WINDOW_S)
    later = [after - before for before, after in zip(played.told[1:], played.told[2:], strict=False)]
    assert later
    assert min(later) >= CHANGE_S


def test_what_is_unknown_for_a_while_is_no_change() -> None:
    played = Played()
    played.run(1_000)
    played.run(1_000, replace(KNOWN, free_bytes=None, card=None))
    assert len(played.told) == 1


@given(
    st.lists(
        st.tuples(st.sampled_from([KNOWN, BOOTING, DOCKED]), ANY_SEEN | st.none(), st.integers(1, 40)), max_size=30
    )
)
def test_entries_are_few_and_memory_is_bounded(turns: list[tuple[Known, Observation | None, int]]) -> None:
    played = Played()
    for known, seen, count in turns:
        played.run(count, known, seen)
        assert len(played.test._seen) <= WINDOW_S
    undockings = sum(known.docked for known, _, _ in turns)
    assert len(played.told) <= 1 + undockings + played.now_s // CHANGE_S


# The limits on pictures that are covered, blurred and noisy.

WIDTH, HEIGHT = 640, 360


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> list[av.VideoFrame]:
    path = make_footage(tmp_path_factory.mktemp("scene") / "film.mp4", frames=4, width=WIDTH, height=HEIGHT)
    with av.open(str(path)) as container:
        return [frame.reformat(format="yuv420p") for frame in container.decode(video=0)]


def filtered(frames: list[av.VideoFrame], *steps: str) -> list[Observation]:
    graph = Graph()
    nodes = [graph.add_buffer(width=WIDTH, height=HEIGHT, format=frames[0].format, time_base=Fraction(1, 25))]
    for step in (*steps, "buffersink"):
        name, _, arguments = step.partition("=")
        nodes.append(graph.add(name, arguments))
    graph.link_nodes(*nodes).configure()
    made: list[Observation] = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, 25)
        graph.vpush(frame)
        one = look(luma_of(graph.vpull()), NOW_NS, None, None)
        seen = replace(DAY, luma=one.luma, contrast=one.contrast, sharpness=one.sharpness)
        made.append(replace(seen, exposure_us=33_000, gain_milli=16_000))  # as at night: the wider limit is tried
    return made


def every(rule: Callable[[Observation], bool], seen: list[Observation]) -> bool:
    found = {rule(one) for one in seen}
    assert len(found) == 1, seen
    return found.pop()


@pytest.mark.parametrize(
    ("steps", "is_covered", "is_blurred"),
    [
        (("null",), False, False),
        (("lutyuv=y=16",), True, False),  # tape
        (("lutyuv=y=16", "noise=c0s=12:c0f=t"), True, False),  # ... and the sensor at its highest gain
        (("lutyuv=y=16", "noise=c0s=30:c0f=t"), True, False),
        (("lutyuv=y=16", "noise=c0s=30:c0f=t", "gblur=sigma=1"), True, False),  # ... smoothed
        (("lutyuv=y=180",), True, False),  # paper in the light
        (("lutyuv=y=16+(val-16)*0.15", "noise=c0s=12:c0f=t"), False, False),  # night
        (("lutyuv=y=16+(val-16)*0.5", "noise=c0s=6:c0f=t"), False, False),  # dusk
        (("noise=c0s=20:c0f=t",), False, False),
        (("gblur=sigma=1",), False, False),  # a soft lens
        (("gblur=sigma=20",), False, True),  # grease or breath
    ],
)
def test_the_limits_on_pictures(
    frames: list[av.VideoFrame], steps: tuple[str, ...], is_covered: bool, is_blurred: bool
) -> None:
    seen = filtered(frames, *steps)
    assert every(selftest.covered, seen) is is_covered
    assert every(lambda one: selftest.shows(one) and selftest.blurred(one), seen) is is_blurred
