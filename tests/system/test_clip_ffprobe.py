"""Clips made of fragments as the camera seals them, as ffprobe and an independent decoder see them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import cast

import pytest

from agent.config import Video
from agent.formats import clip, mp4
from tests.support.capture import VIDEO, footage_parts
from tests.support.footage import make_footage, read_beeps, read_numbers

SECONDS = 6
SOUND_BLOCK_S = 1024 / 48_000
pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs ffprobe (apt-get install ffmpeg)")


@dataclass(frozen=True, slots=True)
class Film:
    """Padded fragments of one capture with their parsed runs."""

    init: mp4.Init
    fragments: list[tuple[bytes, tuple[mp4.TrackRun, ...]]]


def lasts(overall: dict[str, str], seconds: int) -> bool:
    """The file's duration. FFmpeg 7.1 adds what is left of the last sound block, which the edit list does not show."""
    return seconds <= float(overall["duration"]) < seconds + SOUND_BLOCK_S


def capture(path: Path, video: Video, seconds: int) -> Film:
    init_part, parts = footage_parts(path, seconds, video)
    init = mp4.parse_init(memoryview(init_part.data))
    fragments: list[tuple[bytes, tuple[mp4.TrackRun, ...]]] = []
    for part in parts:
        slot = bytearray(mp4.padded_length(len(part.data)))
        slot[: len(part.data)] = part.data
        mp4.pad_in_place(memoryview(slot), len(part.data))
        fragments.append((bytes(slot), mp4.parse_fragment(memoryview(part.data), init)))
    return Film(init, fragments)


def write_clip(path: Path, film: Film, chosen: Sequence[int]) -> Path:
    """A clip of the fragments with these numbers."""
    body, parts = b"", list[tuple[int, tuple[mp4.TrackRun, ...]]]()
    for number in chosen:
        data, runs = film.fragments[number]
        parts.append((clip.FRONT_BYTES + len(body), runs))
        body += data
    path.write_bytes(clip.front(len(body), film.init.ftyp) + body + clip.movie(film.init, parts))
    return path


def probe(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """What ffprobe says of the format and, by kind, of each stream; whatever it complains of fails the test."""
    command = ["ffprobe", "-v", "warning", "-count_frames", "-show_format", "-show_streams", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    said = cast(dict[str, dict[str, str]], json.loads(done.stdout))
    streams = cast(list[dict[str, str]], said["streams"])
    return said["format"], {stream["codec_type"]: stream for stream in streams}


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Film:
    path = make_footage(tmp_path_factory.mktemp("clip") / "film.mp4", frames=SECONDS * 25, beeps=True)
    return capture(path, VIDEO, SECONDS)


@pytest.mark.parametrize("chosen", [range(SECONDS), range(2, 5), range(5, 6)], ids=["all", "middle", "last"])
def test_start_duration_numbers_and_beeps(film: Film, tmp_path: Path, chosen: range) -> None:
    path = write_clip(tmp_path / "clip.mp4", film, chosen)
    overall, streams = probe(path)
    video, sound = streams["video"], streams["audio"]
    assert float(overall["start_time"]) == float(video["start_time"]) == 0
    assert lasts(overall, len(chosen))
    assert float(video["duration"]) == len(chosen)
    assert int(video["nb_read_frames"]) == int(video["nb_frames"]) == 25 * len(chosen)
    assert 0 <= float(sound["start_time"]) < 0.022
    assert len(chosen) - 0.13 < float(sound["start_time"]) + float(sound["duration"]) <= len(chosen) + 0.022
    assert read_numbers(path) == list(range(25 * chosen[0], 25 * chosen[-1] + 25))
    for second, beep in enumerate(read_beeps(path)):
        # the first block of a clip is heard without the half of it that the block before held: 1,024 samples
        assert abs(beep - second) < (0.025 if second == 0 else 0.001)


def test_a_gap_holds_the_last_picture_and_what_follows_is_in_time(film: Film, tmp_path: Path) -> None:
    path = write_clip(tmp_path / "clip.mp4", film, [1, 4, 5])
    overall, streams = probe(path)
    assert float(overall["start_time"]) == 0
    assert lasts(overall, 5)
    assert float(streams["video"]["duration"]) == 5
    assert int(streams["video"]["nb_read_frames"]) == 75
    assert read_numbers(path) == [*range(25, 50), *range(100, 150)]


@pytest.mark.parametrize("number", [0, 25, 35, 74, 113])
def test_a_seek_shows_the_right_picture(film: Film, tmp_path: Path, number: int) -> None:
    path = write_clip(tmp_path / "clip.mp4", film, range(1, SECONDS))
    shot = tmp_path / "shot.mkv"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-ss",
        f"{number / 25}",
        "-i",
        str(path),
        "-frames:v",
        "1",
        "-c:v",
        "libx264",
        str(shot),
    ]
    subprocess.run(command, check=True)
    assert read_numbers(shot) == [25 + number]


@pytest.mark.parametrize(
    ("width", "height", "per_second", "source_rate", "beeps"),
    [
        (640, 360, 30, Fraction(30000, 1001), True),
        (160, 120, 10, Fraction(25), False),
        (320, 240, 50, Fraction(24), True),
    ],
)
def test_other_boards_and_other_films(
    tmp_path: Path, width: int, height: int, per_second: int, source_rate: Fraction, beeps: bool
) -> None:
    footage = make_footage(
        tmp_path / "film.mp4", frames=60, width=320, height=180, frames_per_second=source_rate, beeps=beeps
    )
    film = capture(footage, Video(width, height, per_second, 1_000_000, 2_000_000), 4)
    path = write_clip(tmp_path / "clip.mp4", film, range(1, 4))
    overall, streams = probe(path)
    assert float(overall["start_time"]) == 0
    assert abs(float(overall["duration"]) - 3) < 1 / per_second
    assert int(streams["video"]["nb_read_frames"]) == 3 * per_second
    assert (int(streams["video"]["width"]), int(streams["video"]["height"])) == (width, height)


def test_hours_after_the_start_of_capture_a_clip_still_begins_at_0(film: Film, tmp_path: Path) -> None:
    """The same fragments with a tfdt of five hours, as they come late in a shift."""
    hours = 5 * 3600
    moved = Film(film.init, [])
    for data, runs in film.fragments:
        shifted = data
        for run in runs:
            timescale = next(track.timescale for track in film.init.tracks if track.track_id == run.track_id)
            old, new = (time.to_bytes(8) for time in (run.decode_time, run.decode_time + hours * timescale))
            at = shifted.index(b"tfdt\1\0\0\0" + old) + 8
            shifted = shifted[:at] + new + shifted[at + 8 :]
        whole = memoryview(shifted)[: mp4.unpadded_length(memoryview(shifted), ("moof", "mdat"))]
        moved.fragments.append((shifted, mp4.parse_fragment(whole, film.init)))
    path = write_clip(tmp_path / "clip.mp4", moved, range(SECONDS))
    overall, _ = probe(path)
    assert float(overall["start_time"]) == 0
    assert lasts(overall, SECONDS)
    early = write_clip(tmp_path / "early.mp4", film, range(SECONDS)).read_bytes()
    late = path.read_bytes()
    assert late[-4000:] == early[-4000:]


def test_a_segment_with_its_index_plays(film: Film, tmp_path: Path) -> None:
    """The payload of a whole segment: padded init, fragments, mfra."""
    path = make_footage(tmp_path / "film.mp4", frames=75)
    init_part, _ = footage_parts(path, 3)
    slot = bytearray(mp4.padded_length(len(init_part.data)))
    slot[: len(init_part.data)] = init_part.data
    mp4.pad_in_place(memoryview(slot), len(init_part.data))
    payload, entries = bytes(slot), list[mp4.IndexEntry]()
    for data, runs in film.fragments:
        entries.append(mp4.index_entry(len(payload), runs))
        payload += data
    whole = tmp_path / "segment.mp4"
    whole.write_bytes(payload + mp4.mfra(entries))
    overall, streams = probe(whole)
    assert float(overall["start_time"]) == 0
    assert int(streams["video"]["nb_read_frames"]) == SECONDS * 25
