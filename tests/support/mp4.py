"""Init and fragments built box by box, without an encoder: the bytes are the same on every machine.

It shares no code with agent/formats, so that the parsers are held against an independent reading of ISO/IEC 14496-12.
The pictures are not pictures (their bytes only look like samples), so players refuse them; parsers must not.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

VIDEO, SOUND = 1, 2
VIDEO_TIMESCALE, SOUND_TIMESCALE = 90_000, 48_000
FRAME_TICKS = 3_600
SOUND_TICKS = 1_024
_MATRIX = struct.pack("!9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_SYNC, _NOT_SYNC = 0x02000000, 0x01010000


@dataclass(frozen=True, slots=True)
class Pieces:
    """One track of a fragment: sizes of its samples in bytes, the first being the keyframe; `tfdt`; what follows."""

    track_id: int
    decode_time: int
    sizes: Sequence[int]
    first_flags: int = _SYNC
    duration: int = 0
    composition: Sequence[int] = ()


def box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return (8 + len(body)).to_bytes(4) + kind.encode() + body


def full_box(kind: str, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, bytes([version]), flags.to_bytes(3), *parts)


def trak(track_id: int, handler: str, timescale: int, description: bytes) -> bytes:
    """A `trak` without samples."""
    header = full_box("vmhd", 0, 1, bytes(8)) if handler == "vide" else full_box("smhd", 0, 0, bytes(4))
    size = (320 << 16, 180 << 16) if handler == "vide" else (0, 0)
    tables = b"".join(full_box(kind, 0, 0, bytes(4)) for kind in ("stts", "stsc", "stco"))
    table = box("stbl", full_box("stsd", 0, 0, struct.pack("!I", 1), description), tables)
    reference = box("dinf", full_box("dref", 0, 0, struct.pack("!I", 1), full_box("url ", 0, 1)))
    name = handler.encode() + bytes(12) + b"Handler\0"
    media = box(
        "mdia",
        full_box("mdhd", 0, 0, struct.pack("!IIIIHH", 0, 0, timescale, 0, 0x55C4, 0)),
        full_box("hdlr", 0, 0, bytes(4), name),
        box("minf", header, reference, table),
    )
    return box(
        "trak",
        full_box(
            "tkhd", 0, 3, struct.pack("!IIIII", 0, 0, track_id, 0, 0), bytes(16), _MATRIX, struct.pack("!II", *size)
        ),
        media,
    )


def trex(track_id: int, description: int = 1, values: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    """`values` are the samples' default duration, size and flags."""
    return full_box("trex", 0, 0, struct.pack("!IIIII", track_id, description, *values))


def ftyp() -> bytes:
    return box("ftyp", b"iso5", struct.pack("!I", 512), b"iso5iso6mp41")


def moov(*boxes: bytes) -> bytes:
    return box("moov", full_box("mvhd", 0, 0, bytes(96)), *boxes)


def make_init(sound: bool = True) -> bytes:
    """`ftyp` and `moov` of one video track (90 kHz) and, if wanted, one sound track (48 kHz)."""
    tracks = [trak(VIDEO, "vide", VIDEO_TIMESCALE, box("avc1", bytes(78), box("avcC", b"\x01B\xc0\x1e")))]
    extends = [trex(VIDEO)]
    if sound:
        tracks.append(trak(SOUND, "soun", SOUND_TIMESCALE, box("mp4a", bytes(28), full_box("esds", 0, 0, b"\x03"))))
        extends.append(trex(SOUND))
    return ftyp() + moov(*tracks, box("mvex", *extends))


def tfhd(track_id: int, duration: int, flags: int = 0x020028) -> bytes:
    return full_box("tfhd", 0, flags, struct.pack("!III", track_id, duration, _NOT_SYNC))


def trun(pieces: Pieces, data_offset: int) -> bytes:
    """A `trun` with the sizes, the first sample's flags and, if given, composition offsets."""
    flags = 0x205 | (0x800 if pieces.composition else 0)
    rows = b"".join(
        struct.pack("!I", size) + (struct.pack("!i", pieces.composition[index]) if pieces.composition else b"")
        for index, size in enumerate(pieces.sizes)
    )
    fixed = struct.pack("!IiI", len(pieces.sizes), data_offset, pieces.first_flags)
    return full_box("trun", 1 if pieces.composition else 0, flags, fixed, rows)


def traf(pieces: Pieces, data_offset: int) -> bytes:
    duration = pieces.duration or (FRAME_TICKS if pieces.track_id == VIDEO else SOUND_TICKS)
    return box(
        "traf",
        tfhd(pieces.track_id, duration),
        full_box("tfdt", 1, 0, struct.pack("!Q", pieces.decode_time)),
        trun(pieces, data_offset),
    )


def moof(tracks: Sequence[Pieces], sequence: int, shift: int = 0) -> bytes:
    """A `moof` whose samples lie one track after the other in the `mdat` behind it; `shift` moves every offset."""
    lengths = [len(traf(pieces, 0)) for pieces in tracks]
    offset = 8 + 16 + sum(lengths) + 8 + shift
    made: list[bytes] = []
    for pieces in tracks:
        made.append(traf(pieces, offset))
        offset += sum(pieces.sizes)
    return box("moof", full_box("mfhd", 0, 0, struct.pack("!I", sequence)), *made)


def sample_bytes(count: int, seed: int = 0) -> bytes:
    """`count` bytes that are the same in every run."""
    return bytes((seed + index * 7) % 251 for index in range(count))


def make_fragment(
    second: int = 0,
    *,
    frames: int = 25,
    frame_bytes: int = 40,
    sound_blocks: int | None = None,
    sound_from: int | None = None,
) -> bytes:
    """`moof` and `mdat` of the second-th GOP of a capture: pictures, then blocks of sound (none if 0).

    Without `sound_blocks` and `sound_from`, all the blocks that begin within that second, as a muxer puts them.
    """
    tracks = [Pieces(VIDEO, second * VIDEO_TIMESCALE, [frame_bytes + index for index in range(frames)])]
    first, after = (-(-each * SOUND_TIMESCALE // SOUND_TICKS) for each in (second, second + 1))
    begins = first * SOUND_TICKS if sound_from is None else sound_from
    count = after - first if sound_blocks is None else sound_blocks
    if count:
        tracks.append(Pieces(SOUND, begins, [6 + index % 3 for index in range(count)]))
    total = sum(sum(pieces.sizes) for pieces in tracks)
    return moof(tracks, second + 1) + box("mdat", sample_bytes(total, second))


def make_fragment_of(length: int) -> bytes:
    """A fragment of exactly `length` bytes (one picture), for tests at the limits of the padding."""
    overhead = len(moof([Pieces(VIDEO, 0, [1])], 1)) + 8
    size = length - overhead
    assert size > 0, "a fragment has at least one byte of picture"
    return moof([Pieces(VIDEO, 0, [size])], 1) + box("mdat", sample_bytes(size))


def padded(data: bytes) -> bytes:
    """`data` with its `free` box, made another way than the code under test makes it."""
    missing = -len(data) % 65_536
    if 0 < missing < 8:
        missing += 65_536
    return data + (box("free", bytes(missing - 8)) if missing else b"")
