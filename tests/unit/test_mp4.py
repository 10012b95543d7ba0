"""Padding, walking and parsing of fragmented MP4 at and around their limits."""

from __future__ import annotations

import struct
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import mp4
from agent.formats.boxes import box
from tests.support import mp4 as made

CHUNK = 65_536
INIT = mp4.parse_init(memoryview(made.make_init()))


def slot_with(data: bytes, dirt: int = 0xA5) -> memoryview:
    """A ring slot with room for the padding, full of what was there before."""
    slot = memoryview(bytearray([dirt]) * (len(data) + 2 * CHUNK))
    slot[: len(data)] = data
    return slot


@pytest.mark.parametrize("chunks", [1, 2, 128])
@pytest.mark.parametrize("missing", [0, 1, 6, 7, 8, 9, 100, CHUNK - 1])
def test_padded_length_at_the_limits(chunks: int, missing: int) -> None:
    length = chunks * CHUNK - missing
    expected = chunks * CHUNK + (CHUNK if 1 <= missing <= 7 else 0)
    assert mp4.padded_length(length) == expected


@given(st.integers(1, 9 * 1024 * 1024))
def test_padded_length_is_the_least_that_can_be(length: int) -> None:
    padded = mp4.padded_length(length)
    assert padded % CHUNK == 0
    assert padded == length or 8 <= padded - length <= CHUNK + 7


@settings(max_examples=40)
@given(st.integers(150, 3 * CHUNK) | st.integers(1, 3).flatmap(lambda n: st.integers(n * CHUNK - 12, n * CHUNK + 2)))
def test_a_padded_fragment_is_what_it_was_and_zeros(length: int) -> None:
    data = made.make_fragment_of(length)
    slot = slot_with(data)
    padded = mp4.pad_in_place(slot, length)
    assert bytes(slot[:padded]) == made.padded(data)
    assert bytes(slot[padded:]) == b"\xa5" * (len(slot) - padded)
    assert mp4.unpadded_length(slot[:padded], ("moof", "mdat")) == length


def test_a_slot_without_room_for_the_padding_is_a_mistake_of_ours() -> None:
    with pytest.raises(AssertionError):
        mp4.pad_in_place(memoryview(bytearray(CHUNK - 1)), 100)


@settings(max_examples=40)
@given(st.data())
def test_any_byte_changed_in_the_padding_is_found(data: st.DataObject) -> None:
    fragment = made.make_fragment()
    whole = bytearray(made.padded(fragment))
    at = data.draw(st.integers(len(fragment), len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(FormatError):
        mp4.unpadded_length(memoryview(whole), ("moof", "mdat"))


@given(
    st.lists(st.tuples(st.sampled_from(["free", "moof", "\xa9nam"]), st.binary(max_size=20), st.booleans()), max_size=6)
)
def test_a_walk_names_every_box_and_ends_where_the_data_ends(boxes: list[tuple[str, bytes, bool]]) -> None:
    data = b""
    expected: list[tuple[str, int]] = []
    for kind, body, large in boxes:
        expected.append((kind, len(data)))
        name = kind.encode("latin-1")
        data += struct.pack("!I4sQ", 1, name, 16 + len(body)) + body if large else box(kind, body)
    found = list(mp4.walk(memoryview(data)))
    assert [(each.kind, each.offset) for each in found] == expected
    assert (found[-1].end if found else 0) == len(data)


@given(st.binary(max_size=64))
def test_a_walk_of_anything_ends(data: bytes) -> None:
    try:
        found = list(mp4.walk(memoryview(data)))
    except FormatError:
        return
    assert sum(each.size for each in found) == len(data)


def test_a_walk_stays_inside_its_range() -> None:
    data = memoryview(box("moof", box("traf", b"12345678")) + box("free"))
    outer = next(mp4.walk(data))
    assert [each.kind for each in mp4.walk(data, outer.body, outer.end)] == ["traf"]
    with pytest.raises(FormatError):
        list(mp4.walk(data, outer.body, outer.end - 1))


@settings(max_examples=60)
@given(
    second=st.integers(0, 40_000),
    frames=st.integers(1, 60),
    frame_bytes=st.integers(1, 3000),
    sound_blocks=st.integers(0, 60),
)
def test_a_fragment_gives_back_its_samples(second: int, frames: int, frame_bytes: int, sound_blocks: int) -> None:
    data = made.make_fragment(second, frames=frames, frame_bytes=frame_bytes, sound_blocks=sound_blocks)
    runs = mp4.parse_fragment(memoryview(data), INIT)
    assert [run.track_id for run in runs] == [made.VIDEO] + [made.SOUND] * bool(sound_blocks)
    video = runs[0]
    assert video.decode_time == second * 90_000
    assert video.end_time == second * 90_000 + frames * 3600
    assert [sample.size for sample in video.samples] == [frame_bytes + index for index in range(frames)]
    assert [sample.sync for sample in video.samples] == [True] + [False] * (frames - 1)
    covered = sorted((sample.offset, sample.offset + sample.size) for run in runs for sample in run.samples)
    assert all(end == start for (_, end), (start, _) in pairwise(covered))
    assert covered[-1][1] == len(data)


@settings(max_examples=150)
@given(st.data())
def test_no_change_makes_a_fragment_escape_its_limits(data: st.DataObject) -> None:
    """A changed byte is refused, or the result still covers the mdat once and whole."""
    fragment = bytearray(made.make_fragment(3, frames=4, sound_blocks=3))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, 300))
        fragment[at] = data.draw(st.integers(0, 255))
    try:
        runs = mp4.parse_fragment(memoryview(fragment), INIT)
    except FormatError:
        return
    mdat = list(mp4.walk(memoryview(fragment)))[1]
    taken = sorted((sample.offset, sample.size) for run in runs for sample in run.samples)
    assert taken[0][0] == mdat.body
    assert sum(size for _, size in taken) == mdat.end - mdat.body


@settings(max_examples=150)
@given(st.integers(0, len(made.make_init()) - 1), st.integers(0, 255))
def test_a_changed_init_is_refused_or_still_an_init(at: int, value: int) -> None:
    data = bytearray(made.make_init())
    data[at] = value
    try:
        init = mp4.parse_init(memoryview(data))
    except FormatError:
        return
    assert [track.handler for track in init.tracks] == ["vide", "soun"]
    assert init.video.timescale > 0


@given(st.integers(0, len(made.make_fragment(frames=3, sound_blocks=2)) - 1))
def test_a_cut_fragment_is_refused(length: int) -> None:
    with pytest.raises(FormatError):
        mp4.parse_fragment(memoryview(made.make_fragment(frames=3, sound_blocks=2))[:length], INIT)


def test_defaults_of_the_init_hold_where_the_fragment_is_silent() -> None:
    init = mp4.parse_init(
        memoryview(made.make_init(sound=False).replace(made.trex(1), made.trex(1, values=(3600, 5, 0))))
    )
    inside = (
        made.full_box("tfhd", 0, 0x020000, struct.pack("!I", 1)),
        made.full_box("tfdt", 0, 0, struct.pack("!I", 7)),
        made.full_box("trun", 0, 0x001, struct.pack("!Ii", 2, 100)),
    )
    head = made.box("moof", made.full_box("mfhd", 0, 0, bytes(4)), made.box("traf", *inside))
    data = head.replace(struct.pack("!Ii", 2, 100), struct.pack("!Ii", 2, len(head) + 8)) + made.box("mdat", bytes(10))
    (run,) = mp4.parse_fragment(memoryview(data), init)
    assert (run.decode_time, run.end_time) == (7, 7207)
    assert [(sample.size, sample.sync) for sample in run.samples] == [(5, True), (5, True)]


def test_the_stsd_is_kept_byte_for_byte() -> None:
    data = made.make_init()
    at = data.index(b"stsd") - 4
    stsd = INIT.video.stsd
    assert data[at : at + len(stsd)] == stsd
    assert int.from_bytes(stsd[:4]) == len(stsd)


def test_mfra_names_each_fragment_and_its_own_length() -> None:
    entries = [
        mp4.index_entry(CHUNK * (1 + number), mp4.parse_fragment(memoryview(made.make_fragment(number)), INIT))
        for number in range(3)
    ]
    data = mp4.mfra(entries)
    (outer,) = mp4.walk(memoryview(data))
    inside = list(mp4.walk(memoryview(data), outer.body, outer.end))
    assert [each.kind for each in inside] == ["tfra", "tfra", "mfro"]
    assert int.from_bytes(data[-4:]) == len(data) == outer.size
    for table, track, times in ((inside[0], 1, [0, 90_000, 180_000]), (inside[1], 2, [0, 47 * 1024, 94 * 1024])):
        fields = struct.unpack_from("!IIII", data, table.body)
        assert fields == (1 << 24, track, 0, 3)
        rows = [struct.unpack_from("!QQBBB", data, table.body + 16 + 19 * number) for number in range(3)]
        assert rows == [(time, CHUNK * (1 + number), track, 1, 1) for number, time in enumerate(times)]


def test_mfra_of_a_whole_segment_fits_in_its_chunk() -> None:
    entries = [mp4.IndexEntry(number * CHUNK, ((1, number), (2, number))) for number in range(64)]
    assert len(mp4.mfra(entries)) == 2504
    assert mp4.mfra([])[4:8] == b"mfra"
