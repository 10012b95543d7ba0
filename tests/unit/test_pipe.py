"""The capture socket's protocol: what is packed is what is parsed, and each limit holds on the writer's side too."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import PipeError
from agent.formats import pipe

HEADERS = st.builds(
    pipe.FragmentHeader,
    length=st.integers(1, pipe.MAX_PAYLOAD_BYTES),
    t0_ns=st.integers(1, (1 << 63) - 1),
    dur_ns=st.integers(1, pipe.MAX_FRAGMENT_NS),
    frames=st.integers(1, pipe.MAX_FRAMES),
    sound=st.booleans(),
)
OBSERVATIONS = st.builds(
    pipe.Observation,
    boot_ns=st.integers(1, (1 << 63) - 1),
    luma=st.integers(0, 255),
    contrast=st.integers(0, pipe.MAX_CONTRAST),
    sharpness=st.integers(0, pipe.MAX_SHARPNESS),
    exposure_us=st.none() | st.integers(0, (1 << 32) - 1),
    gain_milli=st.none() | st.integers(0, (1 << 32) - 1),
    heard=st.just(True),
    peak=st.just(pipe.MAX_LEVEL),
    rms=st.integers(0, pipe.MAX_LEVEL),
    clipped=st.integers(0, (1 << 32) - 1),
    missing_ms=st.integers(0, pipe.MAX_MISSING_MS),
) | st.builds(
    pipe.Observation,
    *(st.just(1), st.just(16), st.just(0), st.just(0), st.none(), st.none(), st.just(False)),
    *(st.just(0), st.just(0), st.just(0), st.just(0)),
)
SEEN = pipe.Observation(1, 90, 40, 900, 33_000, 1_500, True, 900, 120, 3, 0)


@given(HEADERS)
def test_fragment_header_comes_back(header: pipe.FragmentHeader) -> None:
    packed = pipe.pack_fragment(header)
    assert len(packed) == pipe.HEADER_BYTES
    assert pipe.parse_header(packed) == header


@given(st.integers(1, pipe.MAX_PAYLOAD_BYTES))
def test_init_header_comes_back(length: int) -> None:
    packed = pipe.pack_init(length)
    assert len(packed) == pipe.HEADER_BYTES
    assert pipe.parse_header(packed) == pipe.InitHeader(length)


@given(OBSERVATIONS)
def test_observation_comes_back(seen: pipe.Observation) -> None:
    packed = pipe.pack_observation(seen)
    assert len(packed) == pipe.HEADER_BYTES + pipe.OBSERVATION_BYTES
    assert pipe.parse_header(packed[: pipe.HEADER_BYTES]) == pipe.ObservationHeader()
    assert pipe.parse_observation(packed[pipe.HEADER_BYTES :]) == seen


@given(OBSERVATIONS, st.integers(0, pipe.OBSERVATION_BYTES * 8 - 1))
def test_a_flipped_bit_is_refused_or_another_observation(seen: pipe.Observation, bit: int) -> None:
    data = bytearray(pipe.pack_observation(seen)[pipe.HEADER_BYTES :])
    data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(PipeError):
        other = pipe.parse_observation(bytes(data))
        assert other != seen
        assert pipe.pack_observation(other)[pipe.HEADER_BYTES :] == data


@pytest.mark.parametrize(
    ("seen", "field"),
    [
        (replace(SEEN, boot_ns=0), "boot_ns"),
        (replace(SEEN, luma=256), "luma"),
        (replace(SEEN, contrast=pipe.MAX_CONTRAST + 1), "contrast"),
        (replace(SEEN, sharpness=pipe.MAX_SHARPNESS + 1), "sharpness"),
        (replace(SEEN, exposure_us=1 << 32), "exposure_us"),
        (replace(SEEN, gain_milli=-1), "gain_milli"),
        (replace(SEEN, peak=pipe.MAX_LEVEL + 1), "peak"),
        (replace(SEEN, rms=SEEN.peak + 1), "rms"),
        (replace(SEEN, clipped=1 << 32), "clipped"),
        (replace(SEEN, missing_ms=60_001), "missing_ms"),
        (replace(SEEN, heard=False), "peak"),
    ],
)
def test_a_writer_cannot_break_an_observations_limits(seen: pipe.Observation, field: str) -> None:
    with pytest.raises(PipeError) as raised:
        pipe.pack_observation(seen)
    assert raised.value.where == field


@given(st.booleans())
def test_sound_command_comes_back(on: bool) -> None:
    packed = pipe.pack_sound(on)
    assert len(packed) == pipe.COMMAND_BYTES
    assert pipe.parse_command(packed) == pipe.SoundCommand(on)


@given(st.integers(1, pipe.MAX_PERCENT))
def test_rate_command_comes_back(percent: int) -> None:
    packed = pipe.pack_rate(percent)
    assert len(packed) == pipe.COMMAND_BYTES
    assert pipe.parse_command(packed) == pipe.RateCommand(percent)


@pytest.mark.parametrize("percent", [0, -1, 101])
def test_a_writer_cannot_ask_for_another_rate(percent: int) -> None:
    with pytest.raises(PipeError, match="percent"):
        pipe.pack_rate(percent)


@given(st.binary(min_size=pipe.HEADER_BYTES, max_size=pipe.HEADER_BYTES))
def test_a_header_has_one_encoding(data: bytes) -> None:
    try:
        header = pipe.parse_header(data)
    except PipeError:
        return
    if isinstance(header, pipe.FragmentHeader):
        assert pipe.pack_fragment(header) == data
    elif isinstance(header, pipe.InitHeader):
        assert pipe.pack_init(header.length) == data
    else:
        assert pipe.pack_observation(SEEN)[: pipe.HEADER_BYTES] == data


@given(HEADERS, st.integers(0, pipe.HEADER_BYTES * 8 - 1))
def test_a_flipped_bit_is_refused_or_another_header(header: pipe.FragmentHeader, bit: int) -> None:
    data = bytearray(pipe.pack_fragment(header))
    data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(PipeError):
        assert pipe.parse_header(bytes(data)) != header


@pytest.mark.parametrize(
    ("header", "field"),
    [
        (pipe.FragmentHeader(0, 1, 1, 1, False), "length"),
        (pipe.FragmentHeader(pipe.MAX_PAYLOAD_BYTES + 1, 1, 1, 1, False), "length"),
        (pipe.FragmentHeader(1, 0, 1, 1, False), "t0_ns"),
        (pipe.FragmentHeader(1, 1, 0, 1, False), "dur_ns"),
        (pipe.FragmentHeader(1, 1, pipe.MAX_FRAGMENT_NS + 1, 1, False), "dur_ns"),
        (pipe.FragmentHeader(1, 1, 1, 0, False), "frames"),
        (pipe.FragmentHeader(1, 1, 1, pipe.MAX_FRAMES + 1, False), "frames"),
    ],
)
def test_a_writer_cannot_break_the_limits(header: pipe.FragmentHeader, field: str) -> None:
    with pytest.raises(PipeError) as raised:
        pipe.pack_fragment(header)
    assert raised.value.where == field


@pytest.mark.parametrize("length", [0, pipe.MAX_PAYLOAD_BYTES + 1])
def test_an_init_out_of_range_is_not_packed(length: int) -> None:
    with pytest.raises(PipeError, match="length"):
        pipe.pack_init(length)
