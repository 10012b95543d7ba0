"""A press becomes evidence that a court checks: films of different size, rate and sound, with each kind of recipient.

The agent runs as it does on a camera; export, verify, check.sh and ffprobe are run as people run them. What the clip
must show follows from three things that do not know of each other: the numbers burnt into the film, the boot clock as
the finger's owner read it, and what the camera signed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from agent.formats import fields
from agent.model import NS_PER_S
from tests.support.footage import read_beeps, read_numbers
from tests.support.footage_matrix import FILM_S, Case, Film
from tests.support.shift import Fragment, bodies, command, fragments, tool_folder

PRERECORD_NS = 5 * NS_PER_S
HOLD_NS = 2 * NS_PER_S
SLACK_NS = NS_PER_S // 4  # what the agent's loops may take to see what the board says, on a busy machine
LATE_NS = NS_PER_S  # a machine that cannot keep up at the start shows the film that much later
PICTURES_PER_S = 25  # the simulated board's
SOUND_BLOCK_S = 1024 / 48_000  # FFmpeg 7 adds where the first whole block of sound begins to the edit list's length
PICTURE_NS = NS_PER_S // PICTURES_PER_S
FILM_PICTURES = FILM_S * PICTURES_PER_S


def shown(film: Film) -> list[int]:
    """The number that each picture of the board shows, for the film once from its start.

    A picture of the film stands from the board's picture nearest to its time until the next one's.
    """
    starts = [round(Fraction(number * PICTURES_PER_S, film.rate)) for number in range(FILM_S * film.rate + 1)]
    return [number for number in range(FILM_S * film.rate) for _ in range(starts[number], starts[number + 1])]


def signed(case: Case) -> list[Fragment]:
    return fragments(case.worked.data, case.worked.whole)


# --- check.sh and verify ----------------------------------------------------------------------------------------------


def stock_check(case: Case, shell: str, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [shell, "check.sh", "--ca-sha256", case.worked.agency.fingerprint, "--allow-simulated"],
        capture_output=True,
        text=True,
        cwd=case.bundle,
        env={"PATH": path, "LANG": "C.UTF-8"},
        timeout=120,
        check=False,
    )


def test_the_stock_check_passes(case: Case) -> None:
    done = stock_check(case, "sh", os.environ["PATH"])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SIMULATED" in done.stdout


def test_the_stock_check_passes_with_debians_smallest_tools(case: Case, tmp_path: Path) -> None:
    tools = tool_folder(tmp_path / "tools", [("sh", "dash"), ("awk", "mawk")])
    done = stock_check(case, str(tools / "sh"), f"{tools}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_stock_check_finds_one_flipped_bit_of_the_clip(case: Case, tmp_path: Path) -> None:
    """The check that passes above can fail."""
    bundle = tmp_path / "bundle"
    shutil.copytree(case.bundle, bundle)
    with (bundle / "clip.mp4").open("r+b") as clip:
        clip.seek(65_536 * 2 + 4_321)
        (byte,) = clip.read(1)
        clip.seek(-1, os.SEEK_CUR)
        clip.write(bytes([byte ^ 1]))
    done = stock_check(Case(case.film, case.kind, case.worked, bundle), "sh", os.environ["PATH"])
    assert done.returncode == 1
    assert "clip.mp4" in done.stdout + done.stderr


def test_verify_accepts_card_and_bundle(case: Case) -> None:
    for path in (case.worked.data, case.bundle):
        arguments = ("verify", path, "--trust", case.worked.agency.root)
        done = command("temoin", *arguments, "--allow-simulated", "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        assert json.loads(done.stdout)["verdict"] == "SIMULATED"
        assert command("temoin", *arguments).returncode == 1


# --- the clip ---------------------------------------------------------------------------------------------------------


def probe(path: Path) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
    """What ffprobe says of the file and, by kind, of each stream; whatever it complains of fails the test."""
    done = subprocess.run(
        ["ffprobe", "-v", "warning", "-count_frames", "-show_format", "-show_streams", "-of", "json", path],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert done.stderr == ""
    said = cast(dict[str, dict[str, str]], json.loads(done.stdout))
    streams = cast(list[dict[str, str]], said["streams"])
    return said["format"], {stream["codec_type"]: stream for stream in streams}


def test_ffprobe_counts_the_frames_that_the_camera_signed_from_0_on(case: Case) -> None:
    overall, streams = probe(case.bundle / "clip.mp4")
    video, parts = streams["video"], signed(case)
    assert int(video["nb_read_frames"]) == int(video["nb_frames"]) == sum(part.frames for part in parts)
    assert float(overall["start_time"]) == float(video["start_time"]) == 0
    lasted_s = (parts[-1].end_ns - parts[0].t0_ns) / NS_PER_S
    assert float(video["duration"]) == pytest.approx(lasted_s, abs=0.001)
    assert 0 <= float(overall["duration"]) - float(video["duration"]) < SOUND_BLOCK_S
    assert (int(video["width"]), int(video["height"])) == (1280, 720)
    assert float(streams["audio"]["duration"]) == pytest.approx(lasted_s, abs=0.13)


def test_the_recording_is_pre_record_and_pressed_interval_to_the_gop(case: Case) -> None:
    """The journal against the clock of whoever pressed."""
    worked, parts = case.worked, signed(case)
    (start,) = bodies(worked.data, "recording.start", worked.whole)
    (stop,) = bodies(worked.data, "recording.stop", worked.whole)
    press_ns, hold_ns = fields.ns_of(start, "press_ns"), fields.ns_of(stop, "press_ns")
    assert worked.pressed_ns[0] <= press_ns <= worked.pressed_ns[1]
    assert worked.held_ns[0] <= hold_ns <= worked.held_ns[1]
    assert parts[0].t0_ns <= press_ns - PRERECORD_NS < parts[0].end_ns
    recognised_ns = hold_ns + HOLD_NS
    assert parts[-1].t0_ns <= recognised_ns + SLACK_NS
    assert parts[-1].end_ns > recognised_ns
    assert [part.pre for part in parts] == [part.end_ns <= press_ns for part in parts]
    for before, after in pairwise(parts):
        assert abs(after.t0_ns - before.end_ns) <= PICTURE_NS


def test_the_times_that_the_camera_signs_are_those_of_the_clock(case: Case) -> None:
    """A fragment is heard of soon after it ends, and never before: its time is neither late nor early by a GOP."""
    assert 0 <= case.worked.least_lag_ns < NS_PER_S * 3 // 4


def test_the_clip_shows_the_pictures_of_those_moments(case: Case) -> None:
    """The burnt-in numbers: one run without a hole, that begins when the journal says that it does."""
    numbers, parts, table = (
        read_numbers(case.bundle / "clip.mp4", case.film.content_width),
        signed(case),
        shown(case.film),
    )
    assert len(table) == FILM_PICTURES

    def run(first: int) -> list[int]:
        return [table[(first + place) % FILM_PICTURES] for place in range(len(numbers))]

    starts = [first for first in range(FILM_PICTURES) if run(first) == numbers]
    assert len(starts) == 1, f"{len(starts)} places of the film look like {numbers}"
    film_began_ns = parts[0].t0_ns - starts[0] * PICTURE_NS
    latest_ns = case.worked.ready_ns + LATE_NS
    while film_began_ns > latest_ns:  # the film was shown more than once before the press
        film_began_ns -= FILM_PICTURES * PICTURE_NS
    assert case.worked.started_ns < film_began_ns < latest_ns


def test_sound_is_that_of_the_pictures_and_only_from_the_press_on(case: Case) -> None:
    """The policy says no sound before the press. A beep begins with each whole second of the film."""
    parts = signed(case)
    heard = read_beeps(case.bundle / "clip.mp4")
    if not case.film.beeps:
        assert not any(part.sound for part in parts)
        assert heard == []
        return
    first_ns = next(part.t0_ns for part in parts if part.sound)
    press_ns = fields.ns_of(bodies(case.worked.data, "recording.start", case.worked.whole)[0], "press_ns")
    assert press_ns <= first_ns <= press_ns + 2 * NS_PER_S + SLACK_NS
    assert all(part.sound == (part.t0_ns >= first_ns) for part in parts)
    # Each beep begins with a picture whose number is a whole second of the film, `sound_after_frames` later.
    numbers = read_numbers(case.bundle / "clip.mp4", case.film.content_width)
    late_s = case.film.sound_after_frames / case.film.rate
    seconds = [
        place / PICTURES_PER_S + late_s
        for place, number in enumerate(numbers)
        if number % case.film.rate == 0 and (place == 0 or numbers[place - 1] != number)
    ]
    from_s = (first_ns - parts[0].t0_ns) / NS_PER_S
    # Where sound begins, the block that the microphone did not fill as a whole is silent: half a beep is no beep.
    whole = [second for second in seconds if from_s + 0.1 <= second < len(numbers) / PICTURES_PER_S - 0.1]
    assert len(whole) >= 2
    for second in whole:
        assert min(abs(beep - second) for beep in heard) < 0.03
    assert min(heard) > from_s - 0.03


def test_the_agent_had_nothing_to_complain_of(case: Case) -> None:
    assert (case.worked.data.parent / "agent.log").read_text(encoding="utf-8") == ""
