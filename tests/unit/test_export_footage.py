"""Real footage through the real muxer: the clip shows exactly the frames of its entries, from 0, with their sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest

from agent.evidence.salvage import salvage
from agent.formats.age import RecipientKind
from tests.support import mp4
from tests.support.agency import TestAgency, make_agency
from tests.support.capture import footage_parts
from tests.support.evidence import Builder, Piece, builder
from tests.support.exports import DAY_MS, make_bundle, run_check
from tests.support.footage import make_footage, read_beeps, read_numbers

SECONDS = 6
FRAMES = 25
SOUND_BLOCK_S = 1024 / 48_000


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), kind=RecipientKind.CLASSIC, simulated=False)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, agency: TestAgency) -> tuple[Builder, str]:
    """Six seconds in two segments, their frames numbered, a beep each second."""
    folder = tmp_path_factory.mktemp("recorded")
    source = make_footage(folder / "source.mp4", frames=(SECONDS + 1) * FRAMES, beeps=True)
    init, fragments = footage_parts(source, SECONDS + 1)
    made = builder(folder / "data", agency)
    made.genesis()
    made.mono_ns += 10_000_000_000
    rec = made.start()
    for part in (fragments[:4], fragments[4:SECONDS]):
        segment = made.open_segment(mp4.padded(init.data))
        for each in part:
            header = each.header
            made.fragment(segment, Piece(mp4.padded(each.data), header.frames, header.dur_ns, header.sound))
        made.seal(segment)
    made.stop()
    made.write()
    return made, rec


def times(path: Path) -> tuple[float, float, float]:
    """Start and duration of the file, and the time of its first picture, in seconds."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0))
        assert container.duration is not None
        start = container.start_time or 0
        return start / av.time_base, container.duration / av.time_base, float(first.time or 0)


def test_the_whole_recording(tmp_path: Path, agency: TestAgency, recorded: tuple[Builder, str]) -> None:
    made, rec = recorded
    out = make_bundle(made, agency, rec, tmp_path / "bundle")
    (path,) = out.clips
    assert read_numbers(path) == list(range(SECONDS * FRAMES))
    start, duration, first = times(path)
    assert (start, first) == (0, 0)
    assert duration == pytest.approx(SECONDS, abs=SOUND_BLOCK_S)
    # A decoder gives out the whole last block, the beginning of another beep in it, which the edit list cuts off.
    beeps = [begin for begin in read_beeps(path) if begin < SECONDS - SOUND_BLOCK_S]
    assert beeps == pytest.approx([float(second) for second in range(SECONDS)], abs=SOUND_BLOCK_S)
    now_ms = agency.now_ms + 2 * DAY_MS
    found = run_check(out.folder, "--ca-sha256", agency.fingerprint, now_ms=now_ms)
    assert found.code == 0, found.out
    assert f"{SECONDS * FRAMES} frames" in found.out


def test_a_cut_begins_at_0_too(tmp_path: Path, agency: TestAgency, recorded: tuple[Builder, str]) -> None:
    made, rec = recorded
    (path,) = make_bundle(made, agency, rec, tmp_path / "bundle", start_ms=2500, end_ms=4500).clips
    assert read_numbers(path) == list(range(2 * FRAMES, 5 * FRAMES))
    start, duration, first = times(path)
    assert (start, first) == (0, 0)
    assert duration == pytest.approx(3, abs=SOUND_BLOCK_S)


def test_what_is_salvaged_plays(tmp_path: Path, agency: TestAgency, recorded: tuple[Builder, str]) -> None:
    made, rec = recorded
    segment = made.folder / "segments" / rec / "0000.mp4.age"
    cut = tmp_path / "cut.mp4.age"
    cut.write_bytes(segment.read_bytes()[:-70_000])
    found = salvage(cut, [agency.identity], tmp_path / "salvaged.mp4")
    assert found.fragments == 3
    assert read_numbers(tmp_path / "salvaged.mp4") == list(range(3 * FRAMES))
    assert Fraction(found.duration_ms, 1000) == 3
