"""How a picture looks: values at their bounds, the same at every size, read where the picture lies."""

from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hw.capture.look import SHARPNESS_SCALE, look
from hw.capture.source import Look

Luma = NDArray[np.uint8]
SIZES = [(1080, 1920), (720, 1280), (180, 320)]
HIGHEST = 255 * 255 * SHARPNESS_SCALE


def seen(luma: Luma) -> Look:
    return look(luma, 5, None, None)


def flat(height: int, width: int, level: int) -> Luma:
    return np.full((height, width), level, np.uint8)


def stripes(height: int, width: int, wide: int) -> Luma:
    """Black and white stripes, each `wide` pixels."""
    row = (np.arange(width) // wide % 2 * 255).astype(np.uint8)
    return np.tile(row, (height, 1))


@pytest.mark.parametrize("level", [0, 16, 255])
def test_one_colour_has_neither_contrast_nor_sharpness(level: int) -> None:
    assert look(flat(180, 320, level), 7, 33_000, 1_500) == Look(7, level, 0, 0, 33_000, 1_500)


def test_half_black_half_white_has_the_highest_contrast() -> None:
    luma = flat(180, 320, 0)
    luma[:, 160:] = 255
    assert (seen(luma).luma, seen(luma).contrast) == (128, 127)


def test_stripes_of_one_pixel_have_the_highest_sharpness() -> None:
    assert seen(stripes(180, 320, 1)).sharpness == HIGHEST


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_the_same_scene_is_as_sharp_at_every_size(height: int, width: int) -> None:
    """Stripes of a 40th of the width: 39 edges in a row of samples, whose number is the same at 720p and 1080p."""
    samples = width // max(width // 640, 1)
    assert seen(stripes(height, width, width // 40)).sharpness == round(HIGHEST * 39 / (samples - 1))


def test_what_stands_beside_the_picture_in_memory_is_not_looked_at() -> None:
    padded = flat(180, 384, 255)
    padded[:, :320] = 40
    assert seen(padded[:, :320]) == seen(flat(180, 320, 40))


@given(st.integers(2, 200), st.integers(2, 900), st.integers(0, 2**32 - 1))
def test_values_stay_within_their_bounds(height: int, width: int, seed: int) -> None:
    found = seen(np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8))
    assert 0 <= found.luma <= 255
    assert 0 <= found.contrast <= 127
    assert 0 <= found.sharpness <= HIGHEST


def test_no_full_picture_is_copied_and_the_plane_stays_as_it_is() -> None:
    luma = np.random.default_rng(1).integers(0, 256, (1080, 1920), np.uint8)
    luma.setflags(write=False)
    seen(luma)
    tracemalloc.start()
    seen(luma)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < luma.nbytes


def test_full_hd_takes_little() -> None:
    """Processor time, the best of many: the machine may be busy."""
    luma = np.random.default_rng(1).integers(0, 256, (1080, 1920), np.uint8)

    def took_ns() -> int:
        begin_ns = time.thread_time_ns()
        seen(luma)
        return time.thread_time_ns() - begin_ns

    assert min(took_ns() for _ in range(20)) < 2_000_000
