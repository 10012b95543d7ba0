"""The protocol on the local socket between the capture process and the agent.

The capture process connects, sends one `Init`, then `Fragment`s, and each second an `Observation` of what picture and
sound are like; the agent sends commands back on the same socket. A frame is a header of HEADER_BYTES, then
exactly `length` bytes of payload: whoever reads knows where the payload goes, and that it fits there, before the first
byte of it arrives. Network byte order throughout.

    header    magic "TMNP" | version 1 | kind | flags (2) | length (4) | t0_ns (8) | dur_ns (8) | frames (4)    32 bytes
    command   magic "TMNC" | version 1 | kind | value     | 0                                                    8 bytes

Guarantees: one encoding for each value; what is parsed is within every limit below. Assumes that the payload of inits
and fragments is checked by agent.formats.mp4: this module never sees it. Source: docs/formats.md, "The pipe".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from agent.errors import PipeError

VERSION = 1
MAX_PAYLOAD_BYTES = 8 * 1024 * 1024
MAX_FRAGMENT_NS = 10_000_000_000
MAX_FRAMES = 1000
MAX_PERCENT = 100

_HEADER = struct.Struct("!4sBBHIQQI")
_HEADER_MAGIC = b"TMNP"
_INIT = 1
_FRAGMENT = 2
_OBSERVATION = 3
_FLAG_SOUND = 0x0001
_COMMAND = struct.Struct("!4sBBBB")
_COMMAND_MAGIC = b"TMNC"
_SOUND = 1
_RATE = 2
_MAX_TIME_NS = (1 << 63) - 1
_OBSERVED = struct.Struct("!QBBBBIIIHHIH")
_KNOWS_EXPOSURE, _KNOWS_GAIN, _HEARD = 1, 2, 4
_MAX_U32 = (1 << 32) - 1

HEADER_BYTES = _HEADER.size
COMMAND_BYTES = _COMMAND.size
OBSERVATION_BYTES = _OBSERVED.size
MAX_CONTRAST = 127
MAX_SHARPNESS = 255 * 255 * 100
MAX_LEVEL = 32_768
MAX_MISSING_MS = 60_000

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
class ObservationHeader:
    """What follows is an Observation, OBSERVATION_BYTES long."""

    length: int = OBSERVATION_BYTES


@dataclass(frozen=True, slots=True)
class Observation:
    """What one second looked and sounded like; picture and sound themselves are not in it.

    `luma` (mean, 0 to 255), `contrast` (standard deviation, 0 to MAX_CONTRAST) and `sharpness` (a hundred times the
    mean squared difference of neighbours) are of the picture at boot_ns; exposure and gain (1,000: none) are the
    sensor's, None where it does not tell. `heard`: samples came from the microphone since the observation before;
    `peak` and `rms` (0 to MAX_LEVEL) and the number of `clipped` ones are theirs, 0 if there were none. `missing_ms`:
    how much silence stands in the film for sound that should have been there, since the observation before.
    """

    boot_ns: int
    luma: int
    contrast: int
    sharpness: int
    exposure_us: int | None
    gain_milli: int | None
    heard: bool
    peak: int
    rms: int
    clipped: int
    missing_ms: int


Header = InitHeader | FragmentHeader | ObservationHeader


@dataclass(frozen=True, slots=True)
class SoundCommand:
    """From the agent: from the next keyframe on, sound is recorded (True) or replaced by silence (False)."""

    on: bool


@dataclass(frozen=True, slots=True)
class RateCommand:
    """From the agent: from the next picture on, film with this share of the board's bit rate, 1 to 100."""

    percent: int


Command = SoundCommand | RateCommand


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


def pack_observation(seen: Observation) -> bytes:
    """The whole frame of an observation. Raises PipeError naming the field that is out of range."""
    _check_observation(seen)
    known = _KNOWS_EXPOSURE * (seen.exposure_us is not None) | _KNOWS_GAIN * (seen.gain_milli is not None)
    return _HEADER.pack(_HEADER_MAGIC, VERSION, _OBSERVATION, 0, OBSERVATION_BYTES, 0, 0, 0) + _OBSERVED.pack(
        seen.boot_ns,
        seen.luma,
        seen.contrast,
        known | _HEARD * seen.heard,
        0,
        seen.sharpness,
        seen.exposure_us or 0,
        seen.gain_milli or 0,
        seen.peak,
        seen.rms,
        seen.clipped,
        seen.missing_ms,
    )


def pack_sound(on: bool) -> bytes:
    """The command that switches sound on or off, COMMAND_BYTES long."""
    return _COMMAND.pack(_COMMAND_MAGIC, VERSION, _SOUND, int(on), 0)


def pack_rate(percent: int) -> bytes:
    """The command that sets the share of the bit rate. Raises PipeError naming the field that is out of range."""
    _check("percent", percent, 1, MAX_PERCENT)
    return _COMMAND.pack(_COMMAND_MAGIC, VERSION, _RATE, percent, 0)


def parse_header(data: bytes) -> Header:
    """The header in exactly HEADER_BYTES. Raises PipeError naming the field that is wrong."""
    if len(data) != HEADER_BYTES:
        raise PipeError("header", f"{len(data)} bytes instead of {HEADER_BYTES}", _REMEDY)
    magic, version, kind, flags, length, t0_ns, dur_ns, frames = _HEADER.unpack(data)
    _check_preamble(magic, _HEADER_MAGIC, version)
    _check("length", length, 1, MAX_PAYLOAD_BYTES)
    if kind in (_INIT, _OBSERVATION):
        what = "an init" if kind == _INIT else "an observation"
        for name, value in (("flags", flags), ("t0_ns", t0_ns), ("dur_ns", dur_ns), ("frames", frames)):
            if value:
                raise PipeError(name, f"{value} in {what}, which has none", _REMEDY)
        if kind == _INIT:
            return InitHeader(length)
        _check("length", length, OBSERVATION_BYTES, OBSERVATION_BYTES)
        return ObservationHeader()
    if kind == _FRAGMENT:
        if flags & ~_FLAG_SOUND:
            raise PipeError("flags", f"unknown bits 0x{flags:04x}", _REMEDY)
        header = FragmentHeader(length, t0_ns, dur_ns, frames, flags == _FLAG_SOUND)
        _check_fragment(header)
        return header
    raise PipeError("kind", f"{kind} is not known", _REMEDY)


def parse_observation(data: bytes) -> Observation:
    """The observation in exactly OBSERVATION_BYTES. Raises PipeError naming the field that is wrong."""
    if len(data) != OBSERVATION_BYTES:
        raise PipeError("observation", f"{len(data)} bytes instead of {OBSERVATION_BYTES}", _REMEDY)
    boot_ns, luma, contrast, known, reserved, sharpness, exposure, gain, *sound = _OBSERVED.unpack(data)
    if known & ~(_KNOWS_EXPOSURE | _KNOWS_GAIN | _HEARD):
        raise PipeError("known", f"unknown bits 0x{known:02x}", _REMEDY)
    for name, value, bit in (("exposure_us", exposure, _KNOWS_EXPOSURE), ("gain_milli", gain, _KNOWS_GAIN)):
        if value and not known & bit:
            raise PipeError(name, f"{value} though it is not known", _REMEDY)
    if reserved:
        raise PipeError("reserved", f"{reserved} instead of 0", _REMEDY)
    seen = Observation(
        boot_ns,
        luma,
        contrast,
        sharpness,
        exposure if known & _KNOWS_EXPOSURE else None,
        gain if known & _KNOWS_GAIN else None,
        bool(known & _HEARD),
        *sound,
    )
    _check_observation(seen)
    return seen


def parse_command(data: bytes) -> Command:
    """The command in exactly COMMAND_BYTES. Raises PipeError naming the field that is wrong."""
    if len(data) != COMMAND_BYTES:
        raise PipeError("command", f"{len(data)} bytes instead of {COMMAND_BYTES}", _REMEDY)
    magic, version, kind, value, reserved = _COMMAND.unpack(data)
    _check_preamble(magic, _COMMAND_MAGIC, version)
    if reserved:
        raise PipeError("reserved", f"{reserved} instead of 0", _REMEDY)
    if kind == _SOUND:
        _check("on", value, 0, 1)
        return SoundCommand(value == 1)
    if kind == _RATE:
        _check("percent", value, 1, MAX_PERCENT)
        return RateCommand(value)
    raise PipeError("kind", f"{kind} is not known", _REMEDY)


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


def _check_observation(seen: Observation) -> None:
    _check("boot_ns", seen.boot_ns, 1, _MAX_TIME_NS)
    _check("luma", seen.luma, 0, 255)
    _check("contrast", seen.contrast, 0, MAX_CONTRAST)
    _check("sharpness", seen.sharpness, 0, MAX_SHARPNESS)
    _check("exposure_us", seen.exposure_us or 0, 0, _MAX_U32)
    _check("gain_milli", seen.gain_milli or 0, 0, _MAX_U32)
    _check("peak", seen.peak, 0, MAX_LEVEL if seen.heard else 0)
    _check("rms", seen.rms, 0, seen.peak)
    _check("clipped", seen.clipped, 0, _MAX_U32 if seen.heard else 0)
    _check("missing_ms", seen.missing_ms, 0, MAX_MISSING_MS)
