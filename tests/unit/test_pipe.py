"""The capture socket's protocol: what is packed is what is parsed, and each limit holds on the writer's side too."""

from __future__ import annotations

import contextlib

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


@given(st.booleans())
def test_sound_command_comes_back(on: bool) -> None:
    packed = pipe.pack_sound(on)
    assert len(packed) == pipe.COMMAND_BYTES
    assert pipe.parse_command(packed) == pipe.SoundCommand(on)


@given(st.binary(min_size=pipe.HEADER_BYTES, max_size=pipe.HEADER_BYTES))
def test_a_header_has_one_encoding(data: bytes) -> None:
    try:
        header = pipe.parse_header(data)
    except PipeError:
        return
    again = pipe.pack_init(header.length) if isinstance(header, pipe.InitHeader) else pipe.pack_fragment(header)
    assert again == data


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
