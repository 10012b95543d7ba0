"""Writes tests/vectors/pipe/index.json: headers, observations, commands, and what a reader says to each.

It shares no code with agent/formats/pipe.py: the bytes are laid out a second time from docs/formats.md, "The pipe".

    python -m tests.vectors.make_pipe [--check]
"""

from __future__ import annotations

import json
import struct
import sys
from pathlib import Path

from tests.support.vectors import run

FOLDER = Path(__file__).parent / "pipe"
MAX_LENGTH = 8 * 1024 * 1024
INIT, FRAGMENT, OBSERVATION = 1, 2, 3
T0, SECOND = 5_000_000_000_000, 1_000_000_000


def header(
    magic: bytes = b"TMNP",
    version: int = 1,
    kind: int = FRAGMENT,
    flags: int = 1,
    length: int = 300_000,
    t0_ns: int = T0,
    dur_ns: int = SECOND,
    frames: int = 25,
) -> bytes:
    return struct.pack("!4sBBHIQQI", magic, version, kind, flags, length, t0_ns, dur_ns, frames)


def init(kind: int = INIT, **wrong: int) -> bytes:
    """An init or an observation."""
    fields = {"flags": 0, "length": 1_235 if kind == INIT else 34, "t0_ns": 0, "dur_ns": 0, "frames": 0} | wrong
    return header(
        kind=kind,
        flags=fields["flags"],
        length=fields["length"],
        t0_ns=fields["t0_ns"],
        dur_ns=fields["dur_ns"],
        frames=fields["frames"],
    )


SEEN = {
    "boot_ns": T0,
    "luma": 90,
    "contrast": 40,
    "known": 7,
    "reserved": 0,
    "sharpness": 12_345,
    "exposure_us": 33_000,
    "gain_milli": 1_500,
    "peak": 900,
    "rms": 120,
    "clipped": 3,
    "missing_ms": 250,
}


def seen(**other: int) -> bytes:
    return struct.pack("!QBBBBIIIHHIH", *(SEEN | other).values())


def observed(**other: int | bool | None) -> str:
    """The repr of what `seen` of the same values says."""
    values = {key: value for key, value in SEEN.items() if key not in ("known", "reserved")} | {"heard": True} | other
    names = ("boot_ns", "luma", "contrast", "sharpness", "exposure_us", "gain_milli", "heard", "peak", "rms", "clipped")
    names += ("missing_ms",)
    return f"Observation({', '.join(f'{name}={values[name]}' for name in names)})"


def command(magic: bytes = b"TMNC", version: int = 1, kind: int = 1, on: int = 1, reserved: int = 0) -> bytes:
    return struct.pack("!4sBBBB", magic, version, kind, on, reserved)


HEADERS = {
    "init": (init(), "InitHeader(length=1235)"),
    "init-shortest": (init(length=1), "InitHeader(length=1)"),
    "init-longest": (init(length=MAX_LENGTH), f"InitHeader(length={MAX_LENGTH})"),
    "init-too-long": (init(length=MAX_LENGTH + 1), f"length: {MAX_LENGTH + 1} is not within 1 to {MAX_LENGTH}"),
    "init-empty": (init(length=0), f"length: 0 is not within 1 to {MAX_LENGTH}"),
    "init-with-flags": (init(flags=1), "flags: 1 in an init"),
    "init-with-time": (init(t0_ns=1), "t0_ns: 1 in an init"),
    "init-with-duration": (init(dur_ns=1), "dur_ns: 1 in an init"),
    "init-with-frames": (init(frames=1), "frames: 1 in an init"),
    "fragment": (
        header(),
        f"FragmentHeader(length=300000, t0_ns={T0}, dur_ns={SECOND}, frames=25, sound=True)",
    ),
    "fragment-silent": (
        header(flags=0),
        f"FragmentHeader(length=300000, t0_ns={T0}, dur_ns={SECOND}, frames=25, sound=False)",
    ),
    "fragment-least": (
        header(length=1, t0_ns=1, dur_ns=1, frames=1),
        "FragmentHeader(length=1, t0_ns=1, dur_ns=1, frames=1, sound=True)",
    ),
    "fragment-most": (
        header(length=MAX_LENGTH, t0_ns=(1 << 63) - 1, dur_ns=10 * SECOND, frames=1000),
        f"FragmentHeader(length={MAX_LENGTH}, t0_ns={(1 << 63) - 1}, dur_ns={10 * SECOND}, frames=1000, sound=True)",
    ),
    "fragment-too-long": (header(length=MAX_LENGTH + 1), f"length: {MAX_LENGTH + 1} is not within"),
    "fragment-empty": (header(length=0), "length: 0 is not within"),
    "fragment-no-time": (header(t0_ns=0), "t0_ns: 0 is not within"),
    "fragment-time-beyond": (header(t0_ns=1 << 63), f"t0_ns: {1 << 63} is not within"),
    "fragment-no-duration": (header(dur_ns=0), "dur_ns: 0 is not within"),
    "fragment-too-slow": (header(dur_ns=10 * SECOND + 1), f"dur_ns: {10 * SECOND + 1} is not within"),
    "fragment-no-frames": (header(frames=0), "frames: 0 is not within"),
    "fragment-too-many-frames": (header(frames=1001), "frames: 1001 is not within"),
    "fragment-unknown-flag": (header(flags=3), "flags: unknown bits 0x0003"),
    "magic": (header(magic=b"TMNQ"), "magic: 544d4e51 instead of 544d4e50"),
    "magic-of-a-command": (header(magic=b"TMNC"), "magic: 544d4e43 instead of 544d4e50"),
    "version-0": (header(version=0), "version: 0 is not known"),
    "version-2": (header(version=2), "version: 2 is not known"),
    "kind-0": (header(kind=0), "kind: 0 is not known"),
    "kind-4": (header(kind=4), "kind: 4 is not known"),
    "observation": (init(OBSERVATION), "ObservationHeader(length=34)"),
    "observation-short": (init(OBSERVATION, length=33), "length: 33 is not within 34 to 34"),
    "observation-long": (init(OBSERVATION, length=35), "length: 35 is not within 34 to 34"),
    "observation-with-flags": (init(OBSERVATION, flags=1), "flags: 1 in an observation"),
    "observation-with-time": (init(OBSERVATION, t0_ns=1), "t0_ns: 1 in an observation"),
    "observation-with-duration": (init(OBSERVATION, dur_ns=1), "dur_ns: 1 in an observation"),
    "observation-with-frames": (init(OBSERVATION, frames=1), "frames: 1 in an observation"),
    "little-endian": (
        struct.pack("<4sBBHIQQI", b"TMNP", 1, FRAGMENT, 0, 300_000, T0, SECOND, 25),
        "length: 3767731200 is not within",
    ),
    "cut": (header()[:-1], "header: 31 bytes instead of 32"),
    "grown": (header() + b"\0", "header: 33 bytes instead of 32"),
    "nothing": (b"", "header: 0 bytes instead of 32"),
}

MAX_SHARPNESS = 255 * 255 * 100
MAX_U32 = (1 << 32) - 1
SILENT = {"peak": 0, "rms": 0, "clipped": 0}
OBSERVATIONS = {
    "all-known": (seen(), observed()),
    "nothing-known": (
        seen(known=0, exposure_us=0, gain_milli=0, **SILENT),
        observed(exposure_us=None, gain_milli=None, heard=False, **SILENT),
    ),
    "least": (
        seen(boot_ns=1, luma=0, contrast=0, sharpness=0, exposure_us=0, gain_milli=0, **SILENT),
        observed(boot_ns=1, luma=0, contrast=0, sharpness=0, exposure_us=0, gain_milli=0, **SILENT),
    ),
    "most": (
        seen(
            boot_ns=(1 << 63) - 1,
            luma=255,
            contrast=127,
            sharpness=MAX_SHARPNESS,
            exposure_us=MAX_U32,
            gain_milli=MAX_U32,
            peak=32_768,
            rms=32_768,
            clipped=MAX_U32,
        ),
        observed(
            boot_ns=(1 << 63) - 1,
            luma=255,
            contrast=127,
            sharpness=MAX_SHARPNESS,
            exposure_us=MAX_U32,
            gain_milli=MAX_U32,
            peak=32_768,
            rms=32_768,
            clipped=MAX_U32,
        ),
    ),
    "no-time": (seen(boot_ns=0), "boot_ns: 0 is not within"),
    "time-beyond": (seen(boot_ns=1 << 63), f"boot_ns: {1 << 63} is not within"),
    "contrast-beyond": (seen(contrast=128), "contrast: 128 is not within 0 to 127"),
    "sharpness-beyond": (seen(sharpness=MAX_SHARPNESS + 1), f"sharpness: {MAX_SHARPNESS + 1} is not within"),
    "peak-beyond": (seen(peak=32_769), "peak: 32769 is not within 0 to 32768"),
    "rms-above-peak": (seen(rms=901), "rms: 901 is not within 0 to 900"),
    "exposure-though-not-known": (seen(known=6), "exposure_us: 33000 though it is not known"),
    "gain-though-not-known": (seen(known=5), "gain_milli: 1500 though it is not known"),
    "sound-without-a-microphone": (seen(known=3), "peak: 900 is not within 0 to 0"),
    "clipped-without-a-microphone": (seen(known=3, peak=0, rms=0), "clipped: 3 is not within 0 to 0"),
    "missing-beyond": (seen(missing_ms=60_001), "missing_ms: 60001 is not within 0 to 60000"),
    "missing-most": (seen(missing_ms=60_000), observed(missing_ms=60_000)),
    "unknown-bit": (seen(known=15), "known: unknown bits 0x0f"),
    "reserved": (seen(reserved=1), "reserved: 1 instead of 0"),
    "cut": (seen()[:-1], "observation: 33 bytes instead of 34"),
    "grown": (seen() + b"\0", "observation: 35 bytes instead of 34"),
}

COMMANDS = {
    "sound-on": (command(), "SoundCommand(on=True)"),
    "sound-off": (command(on=0), "SoundCommand(on=False)"),
    "sound-2": (command(on=2), "on: 2 is not within 0 to 1"),
    "magic": (command(magic=b"TMNP"), "magic: 544d4e50 instead of 544d4e43"),
    "version-2": (command(version=2), "version: 2 is not known"),
    "rate-whole": (command(kind=2, on=100), "RateCommand(percent=100)"),
    "rate-least": (command(kind=2, on=1), "RateCommand(percent=1)"),
    "rate-0": (command(kind=2, on=0), "percent: 0 is not within 1 to 100"),
    "rate-101": (command(kind=2, on=101), "percent: 101 is not within 1 to 100"),
    "kind-0": (command(kind=0), "kind: 0 is not known"),
    "kind-3": (command(kind=3), "kind: 3 is not known"),
    "reserved": (command(reserved=1), "reserved: 1 instead of 0"),
    "rate-reserved": (command(kind=2, reserved=1), "reserved: 1 instead of 0"),
    "cut": (command()[:-1], "command: 7 bytes instead of 8"),
    "grown": (command() + b"\0", "command: 9 bytes instead of 8"),
}


def generate() -> dict[str, bytes]:
    """`index.json`: name, bytes and outcome (the value's repr, or how the error's line begins) of every vector."""
    index = {
        kind: {name: {"bytes": data.hex(), "outcome": outcome} for name, (data, outcome) in vectors.items()}
        for kind, vectors in (("headers", HEADERS), ("observations", OBSERVATIONS), ("commands", COMMANDS))
    }
    return {"index.json": (json.dumps(index, indent=1) + "\n").encode()}


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
