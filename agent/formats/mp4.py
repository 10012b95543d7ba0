"""Fragmented MP4: padding parts to whole age chunks, reading fragments, and the index of a segment.

Guarantees: a parsed fragment is what one capture process can have written and nothing else: every box ends
where its parent says, every sample lies inside the `mdat`, the samples cover the `mdat` once and whole, the first
picture is a keyframe. The padding is one `free` box of zeros, and only as long as it must be. All of it works on views:
nothing here copies a picture.

Assumes default-base-is-moof addressing, as the capture process writes it; other addressing is refused.
Source: ISO/IEC 14496-12 (section numbers beside the boxes) and docs/formats.md, "Segments".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.errors import FormatError
from agent.formats.boxes import Box, Fields, box, full_box, kinds_of, walk
from agent.formats.tracks import Defaults, Init, Track, parse_init

__all__ = [
    "ALIGN_BYTES",
    "MAX_DECODE_TIME",
    "MAX_SAMPLES",
    "Box",
    "Defaults",
    "IndexEntry",
    "Init",
    "Sample",
    "Track",
    "TrackRun",
    "index_entry",
    "mfra",
    "pad_in_place",
    "padded_length",
    "parse_fragment",
    "parse_init",
    "parse_padded_fragment",
    "parse_padded_init",
    "unpadded_length",
    "video_of",
    "walk",
]

ALIGN_BYTES = 65_536
"""The payload of one age chunk: init and fragments are padded to a multiple of it."""

_FREE_HEADER_BYTES = 8
_ZEROS = bytes(ALIGN_BYTES + _FREE_HEADER_BYTES)
_ZEROS_VIEW = memoryview(_ZEROS)

_DEFAULT_BASE_IS_MOOF = 0x020000
_TFHD_OPTIONAL = ((0x000002, "description"), (0x000008, "duration"), (0x000010, "size"), (0x000020, "flags"))
_TRUN_DATA_OFFSET = 0x000001
_TRUN_FIRST_FLAGS = 0x000004
_TRUN_DURATION = 0x000100
_TRUN_SIZE = 0x000200
_TRUN_FLAGS = 0x000400
_TRUN_COMPOSITION = 0x000800
_TRUN_KNOWN = 0x000F05
_NOT_SYNC = 0x00010000
MAX_SAMPLES = 10_000
"""Samples of one track in one fragment: 10 s hold 1,000 pictures and 470 blocks of sound."""
MAX_DECODE_TIME = 1 << 48
"""Ticks since the capture process started: 99 years at 90 kHz. Above it, sums would not fit their fields."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture or block of sound. Times in the track's timescale; offset from the first byte of the `moof`."""

    offset: int
    size: int
    duration: int
    composition: int
    sync: bool


@dataclass(frozen=True, slots=True)
class TrackRun:
    """What one fragment holds of one track, in decode order; decode_time is its `tfdt`."""

    track_id: int
    decode_time: int
    samples: tuple[Sample, ...]

    @property
    def end_time(self) -> int:
        """Decode time after the last sample."""
        return self.decode_time + sum(sample.duration for sample in self.samples)


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """Where a fragment's `moof` is in the segment's plaintext payload, and (track_id, decode_time) of its tracks."""

    offset: int
    times: tuple[tuple[int, int], ...]


# --- padding ----------------------------------------------------------------------------------------------------------


def padded_length(length: int) -> int:
    """The multiple of ALIGN_BYTES that init or fragment of `length` bytes takes with its `free` box.

    An exact multiple has no `free` box; 1 to 7 bytes short, where no box header fits, takes ALIGN_BYTES more.
    """
    missing = -length % ALIGN_BYTES
    if missing == 0:
        return length
    return length + missing + (ALIGN_BYTES if missing < _FREE_HEADER_BYTES else 0)


def pad_in_place(view: memoryview, length: int) -> int:
    """Write the `free` box behind the `length` bytes of payload in `view`; returns the padded length.

    Allocates nothing. `view` must be writable and hold padded_length(length) bytes.
    """
    padded = padded_length(length)
    assert len(view) >= padded, "the slot of a fragment has room for its padding"
    if padded > length:
        struct.pack_into("!I4s", view, length, padded - length, b"free")
        start = length + _FREE_HEADER_BYTES
        view[start:padded] = _ZEROS_VIEW[: padded - start]
    return padded


def unpadded_length(data: memoryview, kinds: tuple[str, str]) -> int:
    """Length of the two boxes `kinds` (`("ftyp", "moov")` or `("moof", "mdat")`) that a padded part begins with.

    Demands that what follows is exactly the padding that pad_in_place writes. Raises FormatError.
    """
    end = count = 0
    for expected, found in zip(kinds, walk(data), strict=False):
        if found.kind != expected:
            raise FormatError(f"offset {found.offset}", f"a {found.kind} box where {expected} belongs")
        end, count = found.end, count + 1
    if count != len(kinds):
        raise FormatError("free", f"no {' '.join(kinds)} before the padding")
    padding = padded_length(end) - end
    if end + padding != len(data):
        raise FormatError("free", f"padding of {len(data) - end} bytes where {padding} belong")
    if padding:
        if data[end : end + _FREE_HEADER_BYTES] != struct.pack("!I4s", padding, b"free"):
            raise FormatError(f"offset {end}", "the padding is not one free box")
        body = bytes(data[end + _FREE_HEADER_BYTES :])
        if body != _ZEROS_VIEW[: len(body)]:
            raise FormatError(f"offset {end}", "the padding is not all zeros")
    return end


def parse_padded_init(data: memoryview) -> Init:
    """The init of a part as it is sealed: `ftyp`, `moov` and exactly their padding. Raises FormatError."""
    return parse_init(data[: unpadded_length(data, ("ftyp", "moov"))])


def parse_padded_fragment(data: memoryview, init: Init) -> tuple[TrackRun, ...]:
    """The fragment of a part as it is sealed: `moof`, `mdat` and exactly their padding. Raises FormatError."""
    return parse_fragment(data[: unpadded_length(data, ("moof", "mdat"))], init)


# --- fragment ---------------------------------------------------------------------------------------------------------


def parse_fragment(data: memoryview, init: Init) -> tuple[TrackRun, ...]:
    """An unpadded fragment: `moof` and `mdat` of one GOP. One TrackRun a track, in the order of the `moof`.

    The video track must be there and begin with its keyframe; sound may be missing. Raises FormatError naming box and
    offset.
    """
    top = list(walk(data))
    if [found.kind for found in top] != ["moof", "mdat"]:
        raise FormatError("fragment", f"boxes {kinds_of(top)} where moof mdat belong")
    inside = list(walk(data, top[0].body, top[0].end))
    if not inside or inside[0].kind != "mfhd" or any(found.kind != "traf" for found in inside[1:]):
        raise FormatError("moof", f"boxes {kinds_of(inside)} where mfhd and traf belong")
    runs = tuple(_parse_traf(data, found, init) for found in inside[1:])
    identities = [run.track_id for run in runs]
    if len(set(identities)) != len(identities):
        raise FormatError("moof", "two traf boxes of the same track")
    video = next((run for run in runs if run.track_id == init.video.track_id), None)
    if video is None:
        raise FormatError("moof", "no traf of the video track")
    if not video.samples[0].sync:
        raise FormatError("moof", "the first picture is not a keyframe")
    _check_coverage(runs, top[1])
    return runs


def video_of(runs: Sequence[TrackRun], init: Init) -> TrackRun:
    """The pictures of a parsed fragment."""
    return next(run for run in runs if run.track_id == init.video.track_id)


def _parse_traf(data: memoryview, traf: Box, init: Init) -> TrackRun:
    inside = list(walk(data, traf.body, traf.end))
    if [found.kind for found in inside[:3]] != ["tfhd", "tfdt", "trun"] or {f.kind for f in inside[3:]} - {"trun"}:
        raise FormatError(f"traf at offset {traf.offset}", f"boxes {kinds_of(inside)} where tfhd tfdt trun belong")
    track_id, defaults = _parse_tfhd(data, inside[0], init)
    fields = Fields(data, inside[1])
    version, _ = fields.version_flags((0, 1))
    decode_time = fields.u32() if version == 0 else fields.u64()
    fields.done()
    if decode_time > MAX_DECODE_TIME:
        raise FormatError(fields.where, f"decode time {decode_time} is beyond {MAX_DECODE_TIME}")
    samples: list[Sample] = []
    for found in inside[2:]:
        samples.extend(_parse_trun(data, found, defaults))
    if not 0 < len(samples) <= MAX_SAMPLES:
        raise FormatError(f"traf at offset {traf.offset}", f"{len(samples)} samples, not 1 to {MAX_SAMPLES}")
    return TrackRun(track_id, decode_time, tuple(samples))


def _parse_tfhd(data: memoryview, found: Box, init: Init) -> tuple[int, Defaults]:
    """8.8.7: track id, and the defaults of the init where this fragment has none of its own."""
    fields = Fields(data, found)
    _, flags = fields.version_flags((0,))
    known = _DEFAULT_BASE_IS_MOOF | sum(bit for bit, _ in _TFHD_OPTIONAL)
    if not flags & _DEFAULT_BASE_IS_MOOF or flags & ~known:
        raise FormatError(fields.where, f"flags 0x{flags:06x}: not addressed from the moof alone")
    track_id = fields.u32()
    track = init.track(track_id)
    if track is None:
        raise FormatError(fields.where, f"track {track_id} is not in the init")
    values = {name: fields.u32() for bit, name in _TFHD_OPTIONAL if flags & bit}
    fields.done()
    if values.get("description", 1) != 1:
        raise FormatError(fields.where, f"sample description {values['description']} instead of 1")
    return track_id, Defaults(
        values.get("duration", track.defaults.duration),
        values.get("size", track.defaults.size),
        values.get("flags", track.defaults.flags),
    )


def _parse_trun(data: memoryview, found: Box, defaults: Defaults) -> Iterator[Sample]:
    """8.8.8: the samples of one run, one after the other from its data offset."""
    fields = Fields(data, found)
    version, flags = fields.version_flags((0, 1))
    if not flags & _TRUN_DATA_OFFSET or flags & ~_TRUN_KNOWN:
        raise FormatError(fields.where, f"flags 0x{flags:06x}: no data offset, or bits that are not known")
    if flags & _TRUN_FIRST_FLAGS and flags & _TRUN_FLAGS:
        raise FormatError(fields.where, "flags of the first sample given twice")
    count = fields.u32()
    if count > MAX_SAMPLES:
        raise FormatError(fields.where, f"{count} samples, more than {MAX_SAMPLES}")
    offset = fields.s32()
    first_flags = fields.u32() if flags & _TRUN_FIRST_FLAGS else None
    for index in range(count):
        duration = fields.u32() if flags & _TRUN_DURATION else defaults.duration
        size = fields.u32() if flags & _TRUN_SIZE else defaults.size
        sample_flags = fields.u32() if flags & _TRUN_FLAGS else defaults.flags
        if index == 0 and first_flags is not None:
            sample_flags = first_flags
        composition = 0
        if flags & _TRUN_COMPOSITION:
            composition = fields.u32() if version == 0 else fields.s32()
        if size == 0 or duration == 0:
            raise FormatError(fields.where, f"sample {index} has {size} bytes and {duration} ticks")
        yield Sample(offset, size, duration, composition, not sample_flags & _NOT_SYNC)
        offset += size
    fields.done()


def _check_coverage(runs: Sequence[TrackRun], mdat: Box) -> None:
    """Every byte of the `mdat` belongs to exactly one sample."""
    position = mdat.body
    for offset, size in sorted((sample.offset, sample.size) for run in runs for sample in run.samples):
        if offset != position:
            raise FormatError("trun", f"a sample at offset {offset} where the next byte of the mdat is {position}")
        position += size
    if position != mdat.end:
        raise FormatError("trun", f"samples end at offset {position}, the mdat at {mdat.end}")


# --- index ------------------------------------------------------------------------------------------------------------


def index_entry(offset: int, runs: Sequence[TrackRun]) -> IndexEntry:
    """The entry of a parsed fragment whose `moof` is at `offset` of the segment's plaintext payload."""
    return IndexEntry(offset, tuple((run.track_id, run.decode_time) for run in runs))


def mfra(entries: Sequence[IndexEntry]) -> bytes:
    """The index at the end of a segment: a `tfra` for each track, and `mfro` (8.8.9 to 8.8.11).

    Under ALIGN_BYTES for the fragments of any segment (64 of them with two tracks take 2,504 bytes).
    """
    rows: dict[int, list[bytes]] = {}
    for entry in entries:
        for number, (track_id, decode_time) in enumerate(entry.times, start=1):
            rows.setdefault(track_id, []).append(struct.pack("!QQBBB", decode_time, entry.offset, number, 1, 1))
    tables = b"".join(
        full_box("tfra", 1, 0, struct.pack("!III", track_id, 0, len(rows[track_id])) + b"".join(rows[track_id]))
        for track_id in sorted(rows)
    )
    total = 8 + len(tables) + 16
    assert total < ALIGN_BYTES, "a segment has at most 30 s of fragments"
    return box("mfra", tables + full_box("mfro", 0, 0, struct.pack("!I", total)))
