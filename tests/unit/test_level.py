"""The meter of the sound: peak, loudness and clipping of what was heard."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.capture.level import FULL_SCALE, Level, Meter, level
from hw.capture.source import SoundBlock

NOTHING = Level(7, 0, 0, 0, heard=False)
SAMPLES = st.lists(st.integers(-32_768, 32_767), max_size=300)


def block(samples: list[int] | NDArray[np.int16], heard: bool = True) -> SoundBlock:
    return SoundBlock(7, np.asarray(samples, "<i2").tobytes(), heard)


@pytest.mark.parametrize(
    ("samples", "peak", "rms", "clipped"),
    [
        ([0], 0, 0, 0),
        ([5, 5, 5, 5], 5, 0, 0),  # what does not move is no sound
        ([100, -100], 100, 100, 0),
        ([32_766, -32_766], 32_766, 32_766, 0),
        ([32_767, 0, 0, 0], 32_767, 14_188, 1),
        ([-32_767, 0, 0, 0], 32_767, 14_188, 1),
        ([-32_768, 32_767], 32_768, 32_767, 2),
    ],
)
def test_peak_loudness_and_clipping(samples: list[int], peak: int, rms: int, clipped: int) -> None:
    assert level(block(samples)) == Level(7, peak, rms, clipped, heard=True)


def test_a_sine_on_a_constant_is_as_loud_as_without() -> None:
    wave = 10_000 * np.sin(2 * np.pi * np.arange(48_000) / 48)
    for constant in (0, -3_000):
        assert level(block((wave + constant).astype(np.int16))).rms == pytest.approx(10_000 / 2**0.5, abs=2)


def test_silence_that_stands_in_is_not_heard() -> None:
    assert level(block([1, 2, 3], heard=False)) == NOTHING
    assert level(block([])) == NOTHING
    assert Meter().take(7) == NOTHING


@given(st.lists(st.tuples(SAMPLES, st.booleans()), max_size=6))
def test_many_blocks_are_as_loud_as_one_of_all_that_was_heard(parts: list[tuple[list[int], bool]]) -> None:
    meter = Meter()
    for samples, heard in parts:
        meter.add(block(samples, heard))
    together = [sample for samples, heard in parts if heard for sample in samples]
    assert meter.take(7) == level(block(together))
    assert meter.take(7) == NOTHING


@given(SAMPLES)
def test_values_stay_within_their_bounds(samples: list[int]) -> None:
    found = level(block(samples))
    assert 0 <= found.rms <= 32_768
    assert found.clipped == sum(abs(sample) >= FULL_SCALE for sample in samples)
    assert found.peak == max((abs(sample) for sample in samples), default=0)
