"""The init of a fragmented MP4: which tracks it has, and the boxes of them that a clip keeps byte for byte.

Guarantees: a parsed `Init` has exactly one video track, at most one sound track, one sample description each, no edit
list and no samples of its own. Source: ISO/IEC 14496-12 (section numbers beside the boxes).
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import FormatError
from agent.formats.boxes import Box, Fields, kinds_of, only, optional, walk


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a sample is when the fragment does not say: duration in the track's timescale, bytes, flags."""

    duration: int
    size: int
    flags: int


@dataclass(frozen=True, slots=True)
class Track:
    """One track of an init. `stsd`, `handler_box` and `media_header` are whole boxes, byte for byte as they came.

    handler is `vide` or `soun`; timescale is ticks a second; width and height are 16.16 fixed point as in `tkhd`;
    matrix is the 36 bytes of `tkhd`; language the packed 15 bits of `mdhd`.
    """

    track_id: int
    handler: str
    timescale: int
    language: int
    width: int
    height: int
    matrix: bytes
    handler_box: bytes
    media_header: bytes
    stsd: bytes
    defaults: Defaults


@dataclass(frozen=True, slots=True)
class Init:
    """`ftyp` (a whole box) and the tracks of `moov`, in their order; exactly one of them is `vide`."""

    ftyp: bytes
    tracks: tuple[Track, ...]

    @property
    def video(self) -> Track:
        return next(track for track in self.tracks if track.handler == "vide")

    def track(self, track_id: int) -> Track | None:
        """The track with that id, None if there is none."""
        return next((track for track in self.tracks if track.track_id == track_id), None)


def parse_init(data: memoryview) -> Init:
    """An unpadded init: `ftyp`, then `moov` with one video track, at most one sound track, and no samples.

    Raises FormatError naming box and offset.
    """
    top = list(walk(data))
    if [found.kind for found in top] != ["ftyp", "moov"]:
        raise FormatError("init", f"boxes {kinds_of(top)} where ftyp moov belong")
    inside = list(walk(data, top[1].body, top[1].end))
    if unknown := {found.kind for found in inside} - {"mvhd", "trak", "mvex", "udta"}:
        raise FormatError("moov", f"boxes {' '.join(sorted(unknown))} that do not belong there")
    extends = only(inside, "mvex", "moov")
    defaults = dict(_parse_trex(data, found) for found in walk(data, extends.body, extends.end) if found.kind == "trex")
    tracks = tuple(_parse_track(data, found, defaults) for found in inside if found.kind == "trak")
    handlers = sorted(track.handler for track in tracks)
    if handlers not in (["vide"], ["soun", "vide"]):
        raise FormatError("moov", f"tracks {' '.join(handlers)} where one vide and at most one soun belong")
    if len({track.track_id for track in tracks}) != len(tracks):
        raise FormatError("moov", "two tracks with the same id")
    return Init(bytes(data[top[0].offset : top[0].end]), tracks)


def _parse_trex(data: memoryview, found: Box) -> tuple[int, Defaults]:
    """8.8.3: track id and what its samples are by default."""
    fields = Fields(data, found)
    fields.version_flags((0,))
    track_id, description = fields.u32(), fields.u32()
    if description != 1:
        raise FormatError(fields.where, f"sample description {description} instead of 1")
    defaults = Defaults(fields.u32(), fields.u32(), fields.u32())
    fields.done()
    return track_id, defaults


def _parse_track(data: memoryview, trak: Box, defaults: dict[int, Defaults]) -> Track:
    where = f"trak at offset {trak.offset}"
    inside = list(walk(data, trak.body, trak.end))
    if optional(inside, "edts") is not None:
        raise FormatError(where, "an edit list in an init")
    track_id, matrix, width, height = _parse_tkhd(data, only(inside, "tkhd", where))
    if track_id not in defaults:
        raise FormatError(where, f"no trex for track {track_id}")
    media_box = only(inside, "mdia", where)
    media = list(walk(data, media_box.body, media_box.end))
    timescale, language = _parse_mdhd(data, only(media, "mdhd", "mdia"))
    handler_box = only(media, "hdlr", "mdia")
    handler = bytes(data[handler_box.body + 8 : handler_box.body + 12]).decode("latin-1")
    if handler not in ("vide", "soun"):
        raise FormatError(f"hdlr at offset {handler_box.offset}", f"handler {handler!r} is neither vide nor soun")
    info_box = only(media, "minf", "mdia")
    info = list(walk(data, info_box.body, info_box.end))
    header = only(info, "vmhd" if handler == "vide" else "smhd", "minf")
    table_box = only(info, "stbl", "minf")
    descriptions = only(list(walk(data, table_box.body, table_box.end)), "stsd", "stbl")
    _check_stsd(data, descriptions)
    return Track(
        track_id,
        handler,
        timescale,
        language,
        width,
        height,
        matrix,
        bytes(data[handler_box.offset : handler_box.end]),
        bytes(data[header.offset : header.end]),
        bytes(data[descriptions.offset : descriptions.end]),
        defaults[track_id],
    )


def _parse_tkhd(data: memoryview, found: Box) -> tuple[int, bytes, int, int]:
    """8.3.2: track id, matrix, width and height; dates, layer and volume are of no interest here."""
    fields = Fields(data, found)
    version, _ = fields.version_flags((0, 1))
    fields.take(8 if version == 0 else 16)
    track_id = fields.u32()
    fields.take((8 if version == 0 else 12) + 16)
    matrix = fields.take(36)
    width, height = fields.u32(), fields.u32()
    fields.done()
    if track_id == 0:
        raise FormatError(fields.where, "track id 0")
    return track_id, matrix, width, height


def _parse_mdhd(data: memoryview, found: Box) -> tuple[int, int]:
    """8.4.2: timescale and language."""
    fields = Fields(data, found)
    version, _ = fields.version_flags((0, 1))
    fields.take(8 if version == 0 else 16)
    timescale = fields.u32()
    fields.take(4 if version == 0 else 8)
    language = fields.u16()
    fields.take(2)
    fields.done()
    if timescale == 0:
        raise FormatError(fields.where, "timescale 0")
    return timescale, language


def _check_stsd(data: memoryview, found: Box) -> None:
    """8.5.2: one sample description, which ends where the box does."""
    fields = Fields(data, found)
    fields.version_flags((0,))
    count = fields.u32()
    descriptions = list(walk(data, fields.offset, found.end))
    if count != 1 or len(descriptions) != 1:
        raise FormatError(fields.where, f"{count} sample descriptions instead of 1")
