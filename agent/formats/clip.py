"""The clip that leaves the camera: the front before the fragments and the plain `moov` after them.

    offset 0         ftyp (from the init), free, header of one 64-bit mdat      FRONT_BYTES together
    offset 65,536    the padded fragments, bit-exact as they were sealed        each a multiple of ALIGN_BYTES
    then             moov: sample tables into the mdat, stsd byte for byte      plays from 0, no mvex

Guarantees: the same init and fragments give the same bytes, on any machine and at any time, so that a verifier derives
them again; the first picture is shown at 0; picture and sound keep the distance that they had in the capture process.

Assumes fragments of one init and one capture process, in the order of their capture. Where fragments are missing in
between, the last picture before the hole stands until the next one (its duration is extended), and so does sound.
Source: docs/formats.md, "The bundle"; ISO/IEC 14496-12 (section numbers beside the boxes).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from agent.errors import FormatError
from agent.formats.boxes import box, full_box
from agent.formats.mp4 import ALIGN_BYTES, Init, Sample, Track, TrackRun

FRONT_BYTES = ALIGN_BYTES
"""The fragments begin here; the mdat's header ends here."""

_MDAT_HEADER_BYTES = 16
_FREE_HEADER_BYTES = 8
_UNITY_MATRIX = struct.pack("!9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
_TRACK_ENABLED_IN_MOVIE = 0x000003
_SELF_CONTAINED = 0x000001
_MAX_TICKS = (1 << 32) - 1


@dataclass(frozen=True, slots=True)
class _Line:
    """One track's samples in the clip: offsets are in the file, times begin at `start` in the track's timescale."""

    track: Track
    start: int
    samples: tuple[Sample, ...]

    @property
    def duration(self) -> int:
        return sum(sample.duration for sample in self.samples)


def front(payload_bytes: int, ftyp: bytes) -> bytes:
    """The first FRONT_BYTES of a clip whose fragments take `payload_bytes` with their padding.

    `ftyp` is the whole box of the init. Raises FormatError if it does not leave room.
    """
    free_bytes = FRONT_BYTES - len(ftyp) - _MDAT_HEADER_BYTES
    if free_bytes < _FREE_HEADER_BYTES:
        raise FormatError("ftyp", f"{len(ftyp)} bytes do not fit in the front of a clip")
    free = box("free", bytes(free_bytes - _FREE_HEADER_BYTES))
    return ftyp + free + struct.pack("!I4sQ", 1, b"mdat", _MDAT_HEADER_BYTES + payload_bytes)


def movie(init: Init, fragments: Sequence[tuple[int, Sequence[TrackRun]]]) -> bytes:
    """The `moov` of a clip: for each fragment the offset of its `moof` in the file, and its parsed runs.

    Movie time is in the video track's timescale; its duration is that of the picture. A track of which nothing
    falls into that time is left out. Raises FormatError if there is no fragment, or if one begins before the one before
    it ends: that is another capture process, whose fragments belong in another clip.
    """
    if not fragments:
        raise FormatError("clip", "no fragments")
    lines = [line for track in init.tracks if (line := _line(track, fragments)) is not None]
    picture = next(line for line in lines if line.track is init.video)
    tracks = [trak for line in lines if (trak := _trak(line, picture)) is not None]
    next_id = max(track.track_id for track in init.tracks) + 1
    header = full_box(
        "mvhd",
        1,
        0,
        struct.pack("!QQIQ", 0, 0, picture.track.timescale, picture.duration),
        struct.pack("!IH10x", 0x10000, 0x0100),
        _UNITY_MATRIX,
        struct.pack("!24xI", next_id),
    )
    return box("moov", header, *tracks)


def _line(track: Track, fragments: Sequence[tuple[int, Sequence[TrackRun]]]) -> _Line | None:
    """The track's samples of all fragments; a hole before a run extends the sample before it."""
    samples: list[Sample] = []
    start = end = -1
    for file_offset, runs in fragments:
        run = next((each for each in runs if each.track_id == track.track_id), None)
        if run is None:
            continue
        if not samples:
            start = end = run.decode_time
        if run.decode_time < end:
            raise FormatError(
                f"fragment at offset {file_offset}",
                f"track {track.track_id} begins at {run.decode_time}, before the one before it ends ({end})",
            )
        if run.decode_time > end:
            last = samples[-1]
            samples[-1] = replace(last, duration=last.duration + run.decode_time - end)
        samples.extend(replace(sample, offset=sample.offset + file_offset) for sample in run.samples)
        end = run.end_time
    if not samples:
        return None
    if any(sample.duration > _MAX_TICKS for sample in samples):
        raise FormatError("clip", f"a hole of more than {_MAX_TICKS} ticks in track {track.track_id}")
    return _Line(track, start, tuple(samples))


def _trak(line: _Line, picture: _Line) -> bytes | None:
    """8.3: one track, shifted by its edit list so that the first picture is at 0; None if nothing of it is shown."""
    track = line.track
    sound = track.handler == "soun"
    edits = _edits(line, picture)
    if not edits:
        return None
    shown = sum(duration for duration, _ in edits)
    rows = b"".join(struct.pack("!QqHH", duration, media_time, 1, 0) for duration, media_time in edits)
    edit_list = box("edts", full_box("elst", 1, 0, struct.pack("!I", len(edits)), rows))
    header = full_box(
        "tkhd",
        1,
        _TRACK_ENABLED_IN_MOVIE,
        struct.pack("!QQI4xQ8x", 0, 0, track.track_id, shown),
        struct.pack("!HHH2x", 0, 1 if sound else 0, 0x0100 if sound else 0),
        track.matrix,
        struct.pack("!II", track.width, track.height),
    )
    media_header = full_box("mdhd", 1, 0, struct.pack("!QQIQH2x", 0, 0, track.timescale, line.duration, track.language))
    data_information = box("dinf", full_box("dref", 0, 0, struct.pack("!I", 1), full_box("url ", 0, _SELF_CONTAINED)))
    information = box("minf", track.media_header, data_information, _tables(line))
    return box("trak", header, edit_list, box("mdia", media_header, track.handler_box, information))


def _edits(line: _Line, picture: _Line) -> list[tuple[int, int]]:
    """8.6.6: the edit list as (duration in movie time, media time, -1 for waiting); empty if nothing is shown.

    Sound that begins before the first picture is cut off in front, sound that begins after it waits; sound that goes on
    after the last picture is cut off at its end.
    """
    scale, movie_scale = line.track.timescale, picture.track.timescale
    zero = picture.start + _first_shown(picture)
    ahead = zero * scale - (line.start + _first_shown(line)) * movie_scale
    skipped = max(ahead, 0) // movie_scale
    wait = max(-ahead, 0) // scale
    shown = min((line.duration - skipped) * movie_scale // scale, picture.duration - wait)
    if shown <= 0:
        return []
    edits = [(wait, -1)] if wait else []
    edits.append((shown, skipped + _first_shown(line)))
    return edits


def _first_shown(line: _Line) -> int:
    """Composition offset of the first sample: what decoding needs ahead of it."""
    return line.samples[0].composition


def _tables(line: _Line) -> bytes:
    """8.5 to 8.7: when, how big, where, and which samples are keyframes."""
    samples = line.samples
    chunks = _chunks(samples)
    parts = [line.track.stsd, full_box("stts", 0, 0, *_runs([sample.duration for sample in samples], "!II"))]
    if any(sample.composition for sample in samples):
        parts.append(full_box("ctts", 1, 0, *_runs([sample.composition for sample in samples], "!Ii")))
    synced = [number for number, sample in enumerate(samples, start=1) if sample.sync]
    if len(synced) != len(samples):
        parts.append(full_box("stss", 0, 0, struct.pack(f"!I{len(synced)}I", len(synced), *synced)))
    parts.append(_samples_to_chunks([count for _, count in chunks]))
    sizes = [sample.size for sample in samples]
    parts.append(full_box("stsz", 0, 0, struct.pack(f"!II{len(sizes)}I", 0, len(sizes), *sizes)))
    offsets = [offset for offset, _ in chunks]
    parts.append(full_box("co64", 0, 0, struct.pack(f"!I{len(offsets)}Q", len(offsets), *offsets)))
    return box("stbl", *parts)


def _chunks(samples: Sequence[Sample]) -> list[tuple[int, int]]:
    """(offset, count) of the samples that lie one behind the other."""
    chunks: list[tuple[int, int]] = []
    end = -1
    for sample in samples:
        if sample.offset == end:
            chunks[-1] = (chunks[-1][0], chunks[-1][1] + 1)
        else:
            chunks.append((sample.offset, 1))
        end = sample.offset + sample.size
    return chunks


def _runs(values: Sequence[int], row: str) -> tuple[bytes, bytes]:
    """Run lengths as `stts` and `ctts` want them: number of rows, then (count, value)."""
    rows = [struct.pack(row, len(list(group)), value) for value, group in groupby(values)]
    return struct.pack("!I", len(rows)), b"".join(rows)


def _samples_to_chunks(counts: Sequence[int]) -> bytes:
    """8.7.4: a row where the number of samples in a chunk changes."""
    rows: list[bytes] = []
    for number, count in enumerate(counts, start=1):
        if number == 1 or count != counts[number - 2]:
            rows.append(struct.pack("!III", number, count, 1))
    return full_box("stsc", 0, 0, struct.pack("!I", len(rows)), b"".join(rows))
