"""The capture's sound: no holes, on the boot clock, silent when switched off."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.capture.sound_track import BLOCK_SAMPLES, SoundTrack

RATE = 48_000
ALL = 2**62
DRIFT = RATE // 100


def tone(count: int, value: int = 7) -> bytes:
    return value.to_bytes(2, "little") * count


def encoded(track: SoundTrack, until: int = ALL) -> bytes:
    """All whole blocks, which must follow one another."""
    data, first = b"", None
    for position, samples in track.blocks(until):
        first = position if first is None else first
        assert (position - first) * 2 == len(data)
        assert len(samples) == BLOCK_SAMPLES * 2
        data += samples
    return data


def values(data: bytes) -> list[int]:
    return [int(value) for value in np.frombuffer(data, "<i2")]


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(-3000, 6000), st.integers(0, 3000)), max_size=20))
def test_positions_hold_whatever_the_microphone_does(moves: list[tuple[int, int]]) -> None:
    """A sample of a block is never further from its own time than the drift allowed, or it is left out."""
    track = SoundTrack(RATE)
    time = 0
    for number, (move, count) in enumerate(moves, start=1):
        time = max(time + move, 0)
        track.add(time, tone(count, number), heard=True)
        time += count
    track.add(time + 10 * BLOCK_SAMPLES, b"", heard=True)
    track.fill_to(time + 10 * BLOCK_SAMPLES)
    found = values(encoded(track))
    time = 0
    for number, (move, count) in enumerate(moves, start=1):
        time = max(time + move, 0)
        places = [at for at, value in enumerate(found) if value == number]
        assert all(time - DRIFT <= at < time + count + DRIFT for at in places)
        time += count


def test_the_first_block_is_exact() -> None:
    track = SoundTrack(RATE)
    track.add(100, tone(2 * BLOCK_SAMPLES), heard=True)
    assert values(encoded(track))[98:102] == [0, 0, 7, 7]
    track = SoundTrack(RATE)
    track.add(-100, tone(99) + tone(1, 8) + tone(BLOCK_SAMPLES, 9), heard=True)
    assert values(encoded(track))[0] == 9


def test_small_drift_is_left_alone_and_large_is_corrected() -> None:
    track = SoundTrack(RATE)
    track.add(0, tone(BLOCK_SAMPLES, 1), heard=True)
    track.add(BLOCK_SAMPLES + DRIFT, tone(BLOCK_SAMPLES, 2), heard=True)
    track.add(3 * BLOCK_SAMPLES + DRIFT, tone(3 * BLOCK_SAMPLES, 3), heard=True)
    found = values(encoded(track))
    assert found[BLOCK_SAMPLES] == 2
    assert found.index(3) == 3 * BLOCK_SAMPLES + DRIFT


def test_what_comes_late_after_silence_was_put_in_is_left_out() -> None:
    track = SoundTrack(RATE)
    track.fill_to(5 * BLOCK_SAMPLES)
    track.add(3 * BLOCK_SAMPLES, tone(3 * BLOCK_SAMPLES), heard=True)
    found = values(encoded(track))
    assert found == [0] * (5 * BLOCK_SAMPLES) + [7] * BLOCK_SAMPLES
    assert not track.heard(0, 4 * BLOCK_SAMPLES)
    assert track.heard(4 * BLOCK_SAMPLES, 5 * BLOCK_SAMPLES)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.booleans(), st.integers(1, 4)), min_size=1, max_size=8))
def test_a_silent_stretch_holds_nothing_heard_and_its_neighbours_say_so(stretches: list[tuple[bool, int]]) -> None:
    track = SoundTrack(RATE)
    data, borders, position = b"", list[tuple[bool, int, int]](), 0
    for on, count in stretches:
        track.switch(on, position)
        end = position + count * 5 * BLOCK_SAMPLES
        track.add(position, tone(end - position), heard=True)
        borders.append((on, position, end))
        position = end
        data += encoded(track)
    found = values(data)
    for on, start, end in borders:
        assert on or not any(found[start:end])
        # the encoder's blocks from start to end also hold half of the block that follows
        silent = not any(found[start : end + BLOCK_SAMPLES])
        assert track.heard(start, end) == (not silent)
        assert on or silent


@settings(max_examples=40)
@given(st.integers(0, 12 * BLOCK_SAMPLES), st.integers(0, 8), st.integers(-DRIFT, DRIFT))
def test_what_came_before_the_picture_that_switches_the_sound_off_is_silent_after_it(
    keyframe: int, ahead: int, drift: int
) -> None:
    """A microphone is often faster than an encoder: blocks up to `ahead` of its own come before the keyframe does."""
    track, data = SoundTrack(RATE), b""
    count = keyframe // BLOCK_SAMPLES + ahead
    for number in range(count):
        track.add(number * BLOCK_SAMPLES + (drift if number else 0), tone(BLOCK_SAMPLES), heard=True)
        data += encoded(track, min(number * BLOCK_SAMPLES, keyframe))
    track.switch(False, keyframe)
    for number in range(count, count + 10):
        track.add(number * BLOCK_SAMPLES + drift, tone(BLOCK_SAMPLES), heard=True)
    data += encoded(track)
    assert not any(values(data)[keyframe:])
    assert not track.heard(keyframe, count * BLOCK_SAMPLES)
    assert track.heard(0, keyframe) == any(values(data))


@pytest.mark.parametrize("ppm", [-1_500, -200, 50, 1_500])
@pytest.mark.parametrize("block", [480, BLOCK_SAMPLES, 1_920])
def test_a_card_of_another_rate_is_followed_without_a_click(ppm: int, block: int) -> None:
    """A ramp stays one: no sample is further from the one before than one that was doubled or dropped makes it, and
    such places lie apart."""
    track, taken, data = SoundTrack(RATE), 0, b""
    while taken < 6 * RATE:
        ramp = (np.arange(taken, taken + block) % 30_000).astype("<i2")
        track.add(round(taken * (1 - ppm / 1_000_000)), ramp.tobytes(), heard=True)
        taken += block
        data += encoded(track)
    steps = np.mod(np.diff(np.frombuffer(data, "<i2").astype(np.int32)), 30_000)
    assert set(steps) <= {0, 1, 2}
    places = np.flatnonzero(steps != 1)
    assert len(places) == pytest.approx(max(abs(ppm) * 6 * RATE / 1_000_000 - RATE / 1_000, 0), abs=6)
    assert len(places) < 2 or np.diff(places).mean() >= RATE // 100
    index = np.arange(len(steps)) + 1
    apart = index - np.cumsum(steps) * (1 - ppm / 1_000_000)
    assert np.abs(apart).max() <= RATE / 1_000 + block * 2 // 1_000 + 3


def test_a_sample_is_doubled_where_the_sound_moves_least() -> None:
    calm = np.arange(BLOCK_SAMPLES, dtype=np.int16) * 20
    calm[301] = calm[300] + 1
    track = SoundTrack(RATE)
    track.add(0, tone(BLOCK_SAMPLES), heard=True)
    track.add(BLOCK_SAMPLES + RATE // 1_000 + 1, calm.astype("<i2").tobytes(), heard=True)
    track.fill_to(3 * BLOCK_SAMPLES)
    found = values(encoded(track))[BLOCK_SAMPLES:]
    assert found[298:303] == [*calm[298:301], calm[300], calm[301]]


def test_a_long_time_in_place_allows_no_more_steps_at_once() -> None:
    track = SoundTrack(RATE)
    for number in range(200):
        track.add(number * BLOCK_SAMPLES, tone(BLOCK_SAMPLES), heard=True)
    encoded(track)
    track.add(200 * BLOCK_SAMPLES + DRIFT, tone(BLOCK_SAMPLES), heard=True)
    track.fill_to(203 * BLOCK_SAMPLES)
    assert np.count_nonzero(values(encoded(track))) == BLOCK_SAMPLES + 1 + BLOCK_SAMPLES // (RATE // 100)


def test_what_comes_at_most_a_millisecond_apart_is_left_as_it_is() -> None:
    track = SoundTrack(RATE)
    for number in range(50):
        apart = (RATE // 1_000) * (number % 3 - 1) if number else 0
        track.add(number * BLOCK_SAMPLES + apart, tone(BLOCK_SAMPLES, number), heard=True)
    assert values(encoded(track)) == [number for number in range(50) for _ in range(BLOCK_SAMPLES)]


def test_silence_of_the_source_is_not_heard() -> None:
    track = SoundTrack(RATE)
    track.add(0, tone(BLOCK_SAMPLES), heard=False)
    assert not track.heard(0, BLOCK_SAMPLES)


def test_what_was_heard_long_ago_is_forgotten() -> None:
    track = SoundTrack(RATE)
    for second in range(0, 60, 2):
        track.add(second * RATE, tone(RATE // 2), heard=True)
    assert not track.heard(0, RATE)
    assert track.heard(56 * RATE, 57 * RATE)


def test_silence_for_missing_sound_is_counted_once_and_none_other() -> None:
    track = SoundTrack(48_000)
    track.fill_to(12_000)
    assert track.take_missing() == 0, "a microphone may begin later than the picture"
    track.add(12_000, bytes(2 * 4_800), heard=True)
    track.add(12_000 + 4_800 + 9_600, bytes(2 * 4_800), heard=True)
    assert track.take_missing() == 9_600
    assert track.take_missing() == 0
    track.fill_to(60_000)
    assert track.take_missing() == 60_000 - 31_200
    track.add(60_000 - 4_800, bytes(2 * 9_600), heard=True)
    assert track.take_missing() == 0, "what came late was counted already"
    track.switch(False, 64_800)
    track.fill_to(96_000)
    track.add(96_000, bytes(2 * 4_800), heard=True)
    assert track.take_missing() == 0, "switched off, nothing is missing"
    track.switch(True, 100_800)
    track.add(100_800, bytes(2 * 9_600), heard=True)
    assert track.take_missing() == 0, "nor while it comes on"
