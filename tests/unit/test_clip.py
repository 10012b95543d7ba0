"""The clip's front and movie box: layout, timeline, and that both are the same for the same fragments."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import clip, mp4
from tests.support import mp4 as made

INIT = mp4.parse_init(memoryview(made.make_init()))
SILENT = mp4.parse_init(memoryview(made.make_init(sound=False)))
Parts = list[tuple[int, Sequence[mp4.TrackRun]]]


def laid_out(fragments: Sequence[bytes], init: mp4.Init = INIT) -> tuple[bytes, Parts]:
    """The fragments behind the front as they lie in a clip, and what `movie` wants to know of them."""
    body = b""
    parts: Parts = []
    for data in fragments:
        parts.append((clip.FRONT_BYTES + len(body), mp4.parse_fragment(memoryview(data), init)))
        body += made.padded(data)
    return body, parts


@dataclass(frozen=True, slots=True)
class Read:
    """One track of a movie box as an independent reader sees it."""

    duration: int
    shown: int
    edits: list[tuple[int, int]]
    durations: list[int]
    offsets: list[int]
    sizes: list[int]
    keyframes: list[int] | None


def body_of(data: bytes, path: str, start: int = 0, end: int | None = None, nth: int = 0) -> tuple[int, int]:
    """Where the body of a box is; `path` as in `mdia/minf/stbl/stts`."""
    kind, _, rest = path.partition("/")
    found = [each for each in mp4.walk(memoryview(data), start, end) if each.kind == kind][nth]
    return body_of(data, rest, found.body, found.end) if rest else (found.body, found.end)


def words(data: bytes, at: int, count: int, letter: str = "I") -> list[int]:
    return list(struct.unpack_from(f"!{count}{letter}", data, at))


def read_track(moov: bytes, nth: int) -> Read:
    """Reads one trak of a moov through its own tables, without the code under test."""
    start, end = body_of(moov, "moov")
    trak = body_of(moov, "trak", start, end, nth)
    table = body_of(moov, "mdia/minf/stbl", *trak)
    at, _ = body_of(moov, "edts/elst", *trak)
    edits = [tuple(words(moov, at + 8 + 20 * row, 2, "q")) for row in range(words(moov, at + 4, 1)[0])]
    at, _ = body_of(moov, "stts", *table)
    pairs = [words(moov, at + 8 + 8 * row, 2) for row in range(words(moov, at + 4, 1)[0])]
    durations = [duration for count, duration in pairs for _ in range(count)]
    at, _ = body_of(moov, "stsz", *table)
    sizes = words(moov, at + 12, words(moov, at + 8, 1)[0])
    at, _ = body_of(moov, "co64", *table)
    chunks = words(moov, at + 8, words(moov, at + 4, 1)[0], "Q")
    at, _ = body_of(moov, "stsc", *table)
    rows = [words(moov, at + 8 + 12 * row, 3) for row in range(words(moov, at + 4, 1)[0])]
    offsets: list[int] = []
    for number, chunk in enumerate(chunks, start=1):
        per_chunk = [count for first, count, _ in rows if first <= number][-1]
        for _ in range(per_chunk):
            offsets.append(chunk)
            chunk += sizes[len(offsets) - 1]
    kinds = [each.kind for each in mp4.walk(memoryview(moov), *table)]
    keyframes = None
    if "stss" in kinds:
        at, _ = body_of(moov, "stss", *table)
        keyframes = words(moov, at + 8, words(moov, at + 4, 1)[0])
    header, _ = body_of(moov, "tkhd", *trak)
    media, _ = body_of(moov, "mdia/mdhd", *trak)
    return Read(
        words(moov, media + 24, 1, "Q")[0],
        words(moov, header + 28, 1, "Q")[0],
        [(duration, time) for duration, time in edits],
        durations,
        offsets,
        sizes,
        keyframes,
    )


@given(st.integers(0, 1 << 50), st.integers(8, 200))
def test_the_front_ends_with_the_mdat_header(payload_bytes: int, ftyp_bytes: int) -> None:
    ftyp = made.box("ftyp", bytes(ftyp_bytes - 8))
    data = clip.front(payload_bytes, ftyp)
    assert len(data) == clip.FRONT_BYTES == 65_536
    assert data.startswith(ftyp)
    assert data[-16:] == struct.pack("!I4sQ", 1, b"mdat", payload_bytes + 16)
    free_at = len(ftyp)
    assert data[free_at : free_at + 8] == struct.pack("!I4s", 65_536 - 16 - free_at, b"free")
    assert not any(data[free_at + 8 : -16])


def test_the_front_has_no_room_for_a_long_ftyp() -> None:
    assert len(clip.front(1, made.box("ftyp", bytes(65_536 - 16 - 8 - 8)))) == 65_536
    with pytest.raises(FormatError, match="ftyp"):
        clip.front(1, made.box("ftyp", bytes(65_536 - 16 - 8 - 7)))


@settings(max_examples=40)
@given(seconds=st.sets(st.integers(0, 12), min_size=1, max_size=5), start=st.integers(0, 200_000))
def test_every_sample_is_where_the_tables_say(seconds: set[int], start: int) -> None:
    chosen = sorted(start + second for second in seconds)
    fragments = [made.make_fragment(second, frame_bytes=30 + second % 7) for second in chosen]
    body, parts = laid_out(fragments)
    whole = clip.front(len(body), INIT.ftyp) + body
    moov = clip.movie(INIT, parts)
    for nth, track_id in enumerate((made.VIDEO, made.SOUND)):
        track = read_track(moov, nth)
        expected = [
            fragment[sample.offset : sample.offset + sample.size]
            for fragment, (_, runs) in zip(fragments, parts, strict=True)
            for run in runs
            if run.track_id == track_id
            for sample in run.samples
        ]
        found = [whole[at : at + size] for at, size in zip(track.offsets, track.sizes, strict=True)]
        assert found == expected
        assert sum(track.durations) == track.duration
    video = read_track(moov, 0)
    assert video.duration == (chosen[-1] - chosen[0] + 1) * 90_000
    assert video.edits == [(video.duration, 0)]
    assert video.keyframes == [1 + 25 * number for number in range(len(chosen))]
    assert words(moov, body_of(moov, "moov/mvhd")[0] + 24, 1, "Q")[0] == video.duration


@settings(max_examples=60)
@given(second=st.integers(0, 100_000), shift=st.integers(-3000, 3000))
def test_picture_and_sound_keep_their_distance(second: int, shift: int) -> None:
    begins = max(second * 48_000 + shift, 0)
    _, parts = laid_out([made.make_fragment(second, sound_from=begins)])
    moov = clip.movie(INIT, parts)
    sound = read_track(moov, 1)
    wait = sound.edits[0][0] if sound.edits[0][1] == -1 else 0
    shown, media_time = sound.edits[-1]
    assert abs((wait / 90_000 - media_time / 48_000) - (begins / 48_000 - second)) < 1 / 45_000
    assert sound.shown == wait + shown <= 90_000
    assert media_time >= 0
    assert len(sound.edits) == (2 if wait else 1)


def test_a_hole_extends_what_came_before_it() -> None:
    _, parts = laid_out([made.make_fragment(1), made.make_fragment(4)])
    moov = clip.movie(INIT, parts)
    video, sound = read_track(moov, 0), read_track(moov, 1)
    assert video.duration == 4 * 90_000
    assert video.durations == [3600] * 24 + [3600 + 2 * 90_000] + [3600] * 25
    first, second = (runs[1] for _, runs in parts)
    assert sound.durations[len(first.samples) - 1] == 1024 + second.decode_time - first.end_time


@pytest.mark.parametrize("order", [[1, 0], [1, 1]])
def test_another_capture_process_does_not_fit_in(order: list[int]) -> None:
    _, parts = laid_out([made.make_fragment(second) for second in order])
    with pytest.raises(FormatError, match="before the one before it ends"):
        clip.movie(INIT, parts)


def test_a_clip_of_nothing_is_refused() -> None:
    with pytest.raises(FormatError, match="no fragments"):
        clip.movie(INIT, [])


def test_a_hole_that_no_duration_can_hold_is_refused() -> None:
    _, parts = laid_out([made.make_fragment(0), made.make_fragment(60_000)])
    with pytest.raises(FormatError, match="hole"):
        clip.movie(INIT, parts)


@pytest.mark.parametrize(
    "fragment",
    [
        made.make_fragment(3, sound_blocks=0),
        made.make_fragment(3, sound_blocks=1, sound_from=0),
        made.make_fragment(3, sound_from=4 * 48_000),
    ],
    ids=["none", "all before the first picture", "all after the last"],
)
def test_a_track_of_which_nothing_is_shown_is_left_out(fragment: bytes) -> None:
    _, parts = laid_out([fragment])
    start, end = body_of(clip.movie(INIT, parts), "moov")
    kinds = [each.kind for each in mp4.walk(memoryview(clip.movie(INIT, parts)), start, end)]
    assert kinds == ["mvhd", "trak"]


def test_sound_missing_in_one_fragment_is_a_hole_in_sound_only() -> None:
    _, parts = laid_out([made.make_fragment(0), made.make_fragment(1, sound_blocks=0), made.make_fragment(2)])
    moov = clip.movie(INIT, parts)
    assert set(read_track(moov, 0).durations) == {3600}
    assert len([each for each in read_track(moov, 1).durations if each != 1024]) == 1


def test_composition_offsets_stay_and_the_first_picture_shows_at_0() -> None:
    pieces = made.Pieces(made.VIDEO, 900, [5, 6, 7], composition=[3600, 7200, -3600])
    data = made.moof([pieces], 1) + made.box("mdat", made.sample_bytes(18))
    _, parts = laid_out([data], SILENT)
    moov = clip.movie(SILENT, parts)
    start, end = body_of(moov, "moov")
    table = body_of(moov, "trak/mdia/minf/stbl", start, end)
    at, _ = body_of(moov, "ctts", *table)
    assert words(moov, at, 2) == [1 << 24, 3]
    assert [words(moov, at + 8 + 8 * row, 2, "i") for row in range(3)] == [[1, 3600], [1, 7200], [1, -3600]]
    assert read_track(moov, 0).edits == [(3 * 3600, 3600)]


def test_the_boxes_of_the_init_stay_byte_for_byte_and_nothing_extends_the_movie() -> None:
    _, parts = laid_out([made.make_fragment(0)])
    moov = clip.movie(INIT, parts)
    for track in INIT.tracks:
        assert track.stsd in moov
        assert track.handler_box in moov
    assert b"mvex" not in moov
    assert moov == clip.movie(INIT, parts)
