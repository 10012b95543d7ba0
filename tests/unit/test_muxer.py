"""The muxer: the pictures' own bytes, times of the boot clock, sound where it belongs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from agent.errors import CaptureError
from agent.formats import mp4, pipe
from hw.capture import muxer as under_test
from hw.capture.footage import Footage
from hw.capture.muxer import Fragment, Init, Muxer
from hw.capture.source import SECOND_NS, Packet, Picture, SoundBlock
from tests.support.capture import BOOT_NS, SOUND, VIDEO, JumpingPacer, film, mux
from tests.support.footage import make_footage, read_beeps, read_numbers

FRAME_NS = SECOND_NS // 25
SECONDS = 4
NOT_SLICES = {6, 7, 8, 9}


@pytest.fixture(scope="module")
def packets(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    """SECONDS of numbered pictures with beeps, and one picture more: what a muxer is given."""
    path = make_footage(tmp_path_factory.mktemp("muxer") / "film.mp4", frames=SECONDS * 25 + 1, beeps=True)
    filmed = film(Footage(path, VIDEO, SOUND, JumpingPacer()), SECONDS * 25 + 1)
    return [packet for packet in filmed if isinstance(packet, Picture | SoundBlock)]


def only_pictures(packets: Iterable[Packet]) -> list[Packet]:
    return [packet for packet in packets if isinstance(packet, Picture)]


def fragments(parts: list[Init | Fragment]) -> list[Fragment]:
    assert isinstance(parts[0], Init)
    return [part for part in parts[1:] if isinstance(part, Fragment)]


def parsed(parts: list[Init | Fragment]) -> list[tuple[mp4.TrackRun, ...]]:
    init = mp4.parse_init(memoryview(parts[0].data))
    return [mp4.parse_fragment(memoryview(part.data), init) for part in fragments(parts)]


def nal_units(data: bytes) -> list[bytes]:
    return [piece.removesuffix(b"\0") for piece in data.split(b"\0\0\1")[1:]]


def test_one_init_then_a_fragment_for_each_gop(packets: list[Packet]) -> None:
    parts = mux(packets, Muxer(VIDEO, SOUND))
    found = fragments(parts)
    assert [part.header.frames for part in found] == [25] * SECONDS + [1]
    assert [part.header.t0_ns for part in found] == [BOOT_NS + second * SECOND_NS for second in range(SECONDS + 1)]
    assert [part.header.dur_ns for part in found] == [SECOND_NS] * SECONDS + [FRAME_NS]
    for part in found:
        assert part.header.length == len(part.data)
        assert pipe.parse_header(pipe.pack_fragment(part.header)) == part.header


def test_the_file_counts_from_the_first_picture_on_both_tracks(packets: list[Packet]) -> None:
    runs = parsed(mux(packets, Muxer(VIDEO, SOUND)))
    assert [run[0].decode_time for run in runs] == [second * 90_000 for second in range(SECONDS + 1)]
    sound = [run[1] for run in runs if len(run) == 2]
    assert sound[0].decode_time == 0
    for earlier, later in pairwise(sound):
        assert later.decode_time == earlier.end_time
    for second, run in enumerate(sound[1:], start=1):
        assert 0 <= run.decode_time - second * SOUND.sample_rate_hz < 1024


def test_pictures_are_not_encoded_again(packets: list[Packet]) -> None:
    parts = mux(packets, Muxer(VIDEO, SOUND))
    found: list[bytes] = []
    for part, runs in zip(fragments(parts), parsed(parts), strict=True):
        for sample in runs[0].samples:
            data, at = part.data[sample.offset : sample.offset + sample.size], 0
            while at < len(data):
                length = int.from_bytes(data[at : at + 4])
                found.append(data[at + 4 : at + 4 + length])
                at += 4 + length
    given = [unit for packet in packets if isinstance(packet, Picture) for unit in nal_units(packet.data)]
    assert [unit for unit in found if unit[0] & 31 not in NOT_SLICES] == [
        unit for unit in given if unit[0] & 31 not in NOT_SLICES
    ]


def test_numbers_and_beeps_lie_where_they_were(packets: list[Packet], tmp_path: Path) -> None:
    path = tmp_path / "all.mp4"
    path.write_bytes(b"".join(part.data for part in mux(packets, Muxer(VIDEO, SOUND))))
    assert read_numbers(path) == list(range(SECONDS * 25 + 1))
    assert [round(beep) for beep in read_beeps(path)] == list(range(SECONDS))
    assert all(abs(beep - round(beep)) < 0.015 for beep in read_beeps(path))


def test_pictures_before_the_first_keyframe_and_sound_before_it_are_left_out(packets: list[Packet]) -> None:
    begun = packets[20:]
    parts = mux(begun, Muxer(VIDEO, SOUND))
    assert fragments(parts)[0].header.t0_ns == BOOT_NS + SECOND_NS
    assert [run.decode_time for run in parsed(parts)[0]] == [0, 0]


def test_nothing_in_nothing_out() -> None:
    assert Muxer(VIDEO, SOUND).finish() == []


def test_a_microphone_that_says_nothing_is_silence_and_delays_little(packets: list[Packet]) -> None:
    muxer = Muxer(VIDEO, SOUND)
    came: list[int] = []
    for packet in only_pictures(packets):
        assert isinstance(packet, Picture)
        came += [packet.boot_ns - BOOT_NS for part in muxer.picture(packet) if isinstance(part, Fragment)]
    assert came[0] <= SECOND_NS + under_test.SOUND_LAG_NS + 3 * FRAME_NS
    parts = mux(only_pictures(packets), Muxer(VIDEO, SOUND))
    assert not any(part.header.sound for part in fragments(parts))
    assert all(len(runs) == 2 for runs in parsed(parts)[:SECONDS])


def test_a_fragment_comes_soon_after_its_last_picture(packets: list[Packet]) -> None:
    muxer, came = Muxer(VIDEO, SOUND), list[int]()
    for packet in packets:
        if isinstance(packet, Picture):
            parts = muxer.picture(packet)
        else:
            assert isinstance(packet, SoundBlock)
            parts = muxer.sound(packet)
        came += [packet.boot_ns - part.header.t0_ns - SECOND_NS for part in parts if isinstance(part, Fragment)]
    assert len(came) == SECONDS - 1
    assert max(came) <= 2 * FRAME_NS


def test_sound_goes_off_and_on_at_keyframes(packets: list[Packet]) -> None:
    switched = {30: False, 60: True}

    def before(muxer: Muxer, number: int) -> None:
        if number in switched:
            muxer.set_sound(switched[number])

    parts = mux(packets, Muxer(VIDEO, SOUND), before)
    assert [part.header.sound for part in fragments(parts)[:SECONDS]] == [True, True, False, True]
    silent = [runs[1] for runs in parsed(parts)[:SECONDS]][2]
    assert max(sample.size for sample in silent.samples) < 40  # AAC of pure silence


def test_sound_that_comes_before_its_picture_is_silent_from_the_same_keyframe_on(
    packets: list[Packet],
) -> None:
    def came_ns(packet: Packet) -> int:
        return _time(packet) + (200_000_000 if isinstance(packet, Picture) else 60_000_000)

    def before(muxer: Muxer, number: int) -> None:
        if number == 30:
            muxer.set_sound(False)

    parts = mux(sorted(packets, key=came_ns), Muxer(VIDEO, SOUND), before)
    assert [part.header.sound for part in fragments(parts)[:SECONDS]] == [True, True, False, False]
    for runs in parsed(parts)[2:SECONDS]:
        assert max(sample.size for sample in runs[1].samples) < 40


def test_a_lost_gop_ends_the_fragment_before_it(packets: list[Packet]) -> None:
    kept = [packet for packet in packets if not BOOT_NS + SECOND_NS + 1 < _time(packet) < BOOT_NS + 2 * SECOND_NS]
    found = fragments(mux(kept, Muxer(VIDEO, SOUND)))
    assert [part.header.frames for part in found] == [25, 1, 25, 25, 1]
    assert [part.header.dur_ns for part in found][:3] == [SECOND_NS, FRAME_NS, SECOND_NS]


def test_one_lost_picture_before_a_keyframe_is_covered(packets: list[Packet]) -> None:
    kept = [
        packet for packet in packets if not (isinstance(packet, Picture) and packet.boot_ns == BOOT_NS + 24 * FRAME_NS)
    ]
    first, second, *_ = fragments(mux(kept, Muxer(VIDEO, SOUND)))
    assert first.header.frames == 24
    assert first.header.t0_ns + first.header.dur_ns == second.header.t0_ns


def _time(packet: Packet) -> int:
    assert isinstance(packet, Picture | SoundBlock)
    return packet.boot_ns


def picture_at(packets: list[Packet], number: int, boot_ns: int) -> Picture:
    found = [packet for packet in packets if isinstance(packet, Picture)][number]
    return replace(found, boot_ns=boot_ns)


@pytest.mark.parametrize(
    ("times_ns", "problem"),
    [
        ([0, 0], "before the last one"),
        ([0, FRAME_NS, FRAME_NS - 1], "before the last one"),
        ([0, under_test.MAX_PICTURE_GAP_NS + 1], "no picture for"),
        ([second * SECOND_NS for second in range(11)], "no keyframe for"),
    ],
)
def test_a_source_that_breaks_its_word_is_named(packets: list[Packet], times_ns: list[int], problem: str) -> None:
    muxer = Muxer(VIDEO, SOUND)
    muxer.picture(picture_at(packets, 0, BOOT_NS))
    *fine_ns, last_ns = times_ns[1:]
    for number, time_ns in enumerate(fine_ns, start=1):
        muxer.picture(picture_at(packets, number, BOOT_NS + time_ns))
    with pytest.raises(CaptureError, match=problem):
        muxer.picture(picture_at(packets, len(times_ns), BOOT_NS + last_ns))


def test_a_keyframe_without_parameter_sets_is_named(packets: list[Packet]) -> None:
    first = picture_at(packets, 0, BOOT_NS)
    bare = b"".join(b"\0\0\0\1" + unit for unit in nal_units(first.data) if unit[0] & 31 == 5)
    muxer = Muxer(VIDEO, SOUND)
    with pytest.raises(CaptureError, match="no SPS and PPS"):
        muxer.picture(replace(first, data=bare))


def test_another_sample_rate(packets: list[Packet], tmp_path: Path) -> None:
    path = make_footage(tmp_path / "film.mp4", frames=50, beeps=True)
    sound = replace(SOUND, sample_rate_hz=16_000)
    parts = mux(film(Footage(path, VIDEO, sound, JumpingPacer()), 51), Muxer(VIDEO, sound))
    (tmp_path / "all.mp4").write_bytes(b"".join(part.data for part in parts))
    assert mp4.parse_init(memoryview(parts[0].data)).tracks[1].timescale == 16_000
    assert [round(beep, 1) for beep in read_beeps(tmp_path / "all.mp4")] == [0.0, 1.0]
