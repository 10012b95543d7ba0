"""The protocol on the local socket between the capture process and the agent.

The capture process connects, sends one `Init`, then `Fragment`s; the agent sends `SoundCommand`s back on the same
socket. A frame is a header of HEADER_BYTES, then exactly `length` bytes of payload: whoever reads knows where the
payload goes, and that it fits there, before the first byte of it arrives. Network byte order throughout.

    header    magic "TMNP" | version 1 | kind | flags (2) | length (4) | t0_ns (8) | dur_ns (8) | frames (4)    32 bytes
    command   magic "TMNC" | version 1 | kind | on        | 0                                                    8 bytes

Guarantees: one encoding for each value; a parsed header is within every limit below. Assumes that the payload is
checked by agent.formats.mp4: this module never sees it. Source: docs/formats.md, "The pipe".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agent.errors import PipeError

VERSION = 1
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
MAX_FRAGMENT_NS = 10_000_000_000
MAX_FRAMES = 1000

_HEADER = struct.Struct("!4sBBHIQQI")
_HEADER_MAGIC = b"TMNP"
_INIT = 1
_FRAGMENT = 2
_FLAG_SOUND = 0x0001
_COMMAND = struct.Struct("!4sBBBB")
_COMMAND_MAGIC = b"TMNC"
_SOUND = 1
_MAX_TIME_NS = (1 << 63) - 1

HEADER_BYTES = _HEADER.size
COMMAND_BYTES = _COMMAND.size

_REMEDY = "the socket is closed and the capture process started again"


@dataclass(frozen=True, slots=True)
class InitHeader:
    """What follows is `ftyp` and `moov` of a new capture, `length` bytes."""

    length: int


@dataclass(frozen=True, slots=True)
class FragmentHeader:
    """What follows is `moof` and `mdat` of one GOP, `length` bytes.

    t0_ns is CLOCK_BOOTTIME of its first frame, dur_ns the time that its `frames` cover; `sound` is True when any of its
    sound came from the microphone, False when all of it is silence put in.
    """

    length: int
    t0_ns: int
    dur_ns: int
    frames: int
    sound: bool


@dataclass(frozen=True, slots=True)
class SoundCommand:
    """From the agent: from the next keyframe on, sound is recorded (True) or replaced by silence (False)."""

    on: bool


def _check(name: str, value: int, lowest: int, highest: int) -> None:
    if not lowest <= value <= highest:
        raise PipeError(name, f"{value} is not within {lowest} to {highest}", _REMEDY)


def pack_init(length: int) -> bytes:
    """The header before an init of `length` bytes. Raises PipeError naming the field that is out of range."""
    _check("length", length, 1, MAX_PAYLOAD_BYTES)
    return _HEADER.pack(_HEADER_MAGIC, VERSION, _INIT, 0, length, 0, 0, 0)


def pack_fragment(header: FragmentHeader) -> bytes:
    """The header before a fragment. Raises PipeError naming the field that is out of range."""
    _check_fragment(header)
    flags = _FLAG_SOUND if header.sound else 0
    return _HEADER.pack(
        _HEADER_MAGIC, VERSION, _FRAGMENT, flags, header.length, header.t0_ns, header.dur_ns, header.frames
    )


def pack_sound(on: bool) -> bytes:
    """The command that switches sound on or off, COMMAND_BYTES long."""
    return _COMMAND.pack(_COMMAND_MAGIC, VERSION, _SOUND, int(on), 0)


def parse_header(data: bytes) -> InitHeader | FragmentHeader:
    """The header in exactly HEADER_BYTES. Raises PipeError naming the field that is wrong."""
    if len(data) != HEADER_BYTES:
        raise PipeError("header", f"{len(data)} bytes instead of {HEADER_BYTES}", _REMEDY)
    magic, version, kind, flags, length, t0_ns, dur_ns, frames = _HEADER.unpack(data)
    _check_preamble(magic, _HEADER_MAGIC, version)
    _check("length", length, 1, MAX_PAYLOAD_BYTES)
    if kind == _INIT:
        for name, value in (("flags", flags), ("t0_ns", t0_ns), ("dur_ns", dur_ns), ("frames", frames)):
            if value:
                raise PipeError(name, f"{value} in an init, which has none", _REMEDY)
        return InitHeader(length)
    if kind == _FRAGMENT:
        if flags & ~_FLAG_SOUND:
            raise PipeError("flags", f"unknown bits 0x{flags:04x}", _REMEDY)
        header = FragmentHeader(length, t0_ns, dur_ns, frames, flags == _FLAG_SOUND)
        _check_fragment(header)
        return header
    raise PipeError("kind", f"{kind} is not known", _REMEDY)


def parse_command(data: bytes) -> SoundCommand:
    """The command in exactly COMMAND_BYTES. Raises PipeError naming the field that is wrong."""
    if len(data) != COMMAND_BYTES:
        raise PipeError("command", f"{len(data)} bytes instead of {COMMAND_BYTES}", _REMEDY)
    magic, version, kind, on, reserved = _COMMAND.unpack(data)
    _check_preamble(magic, _COMMAND_MAGIC, version)
    if kind != _SOUND:
        raise PipeError("kind", f"{kind} is not known", _REMEDY)
    _check("on", on, 0, 1)
    if reserved:
        raise PipeError("reserved", f"{reserved} instead of 0", _REMEDY)
    return SoundCommand(on == 1)


def _check_preamble(magic: bytes, expected: bytes, version: int) -> None:
    if magic != expected:
        raise PipeError("magic", f"{magic.hex()} instead of {expected.hex()}", _REMEDY)
    if version != VERSION:
        raise PipeError("version", f"{version} is not known", _REMEDY)


def _check_fragment(header: FragmentHeader) -> None:
    _check("length", header.length, 1, MAX_PAYLOAD_BYTES)
    _check("t0_ns", header.t0_ns, 1, _MAX_TIME_NS)
    _check("dur_ns", header.dur_ns, 1, MAX_FRAGMENT_NS)
    _check("frames", header.frames, 1, MAX_FRAMES)
