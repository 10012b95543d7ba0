"""The real capture process on the camera of the board that TEMOIN_BOARD names, into the agent's own intake.

Stopped and killed it loses what was in flight, and nothing else: what came is whole, what comes next follows in time.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from agent.formats.pipe import MAX_PERCENT
from agent.model import NS_PER_MS, NS_PER_S
from tests.support.camera_process import Filming, boot_ns, frames_a_second, holes_ns

pytestmark = pytest.mark.hil

SECONDS = 20
STOPPED_S = 4


@pytest.fixture
def filming(tmp_path: Path) -> Iterator[Filming]:
    with Filming(Path(os.environ["TEMOIN_BOARD"]), tmp_path) as running:
        yield running


def test_every_second_is_filmed_at_its_time(filming: Filming, capsys: pytest.CaptureFixture[str]) -> None:
    video = filming.board.video
    filming.take(1)
    began_s, used_s = time.monotonic(), filming.cpu_s()
    fragments = filming.take(SECONDS)
    used = (filming.cpu_s() - used_s) / (time.monotonic() - began_s)
    with capsys.disabled():
        bits = sum(each.length for each in fragments) * 8 // SECONDS
        print(
            f"\n{video.width}x{video.height}: {frames_a_second(fragments):.3f} pictures a second, largest hole"
            f" {max(holes_ns(fragments)) / NS_PER_MS:.3f} ms, {bits // 1000} kbit/s padded,"
            f" {used:.0%} of a core, peak {filming.peak_mib()} MiB, first picture"
            f" {(filming.fragments[0].t0_ns - filming.started_ns) // NS_PER_MS} ms after its start"
        )
    frame_ns = NS_PER_S // video.frames_per_second
    assert not filming.gone, filming.words()
    assert filming.inits == 1
    assert all(hole <= frame_ns for hole in holes_ns(fragments))
    assert {each.frames for each in fragments} == {video.frames_per_second}
    assert abs(fragments[-1].end_ns - fragments[0].t0_ns - SECONDS * NS_PER_S) <= frame_ns
    for each, came_ns in zip(filming.fragments, filming.came_ns, strict=True):
        assert each.t0_ns + each.dur_ns - frame_ns < came_ns < each.t0_ns + each.dur_ns + NS_PER_S
    assert len(filming.observed) >= SECONDS - 1


def test_a_process_that_is_stopped_and_killed_loses_what_was_in_flight(filming: Filming) -> None:
    before = filming.take(3)
    filming.process.send_signal(signal.SIGSTOP)
    stopped_ns = boot_ns()
    filming.until(lambda: False, STOPPED_S)
    assert not filming.gone
    assert filming.fragments[-1].end_ns > stopped_ns - 3 * NS_PER_S
    assert filming.fragments[: len(before)] == before
    filming.process.kill()
    killed_ns = boot_ns()
    assert filming.until(lambda: bool(filming.gone), 5)
    assert filming.gone[0].violation is None
    assert boot_ns() - killed_ns < NS_PER_S
    filming.process.wait()
    filming.start()
    after = filming.take(4)
    assert filming.inits == 2
    assert len(filming.gone) == 1
    assert after[0].t0_ns > killed_ns
    assert all(hole <= NS_PER_S // filming.board.video.frames_per_second for hole in holes_ns(after[-3:]))


def test_one_that_is_stopped_and_let_go_films_on(filming: Filming) -> None:
    filming.take(2)
    filming.process.send_signal(signal.SIGSTOP)
    filming.until(lambda: False, STOPPED_S)
    filming.process.send_signal(signal.SIGCONT)
    fragments = filming.take(6)
    assert not filming.gone, filming.words()
    frame_ns = NS_PER_S // filming.board.video.frames_per_second
    assert all(later.t0_ns >= earlier.end_ns - frame_ns for earlier, later in pairwise(fragments))
    assert all(hole <= frame_ns for hole in holes_ns(fragments[-3:]))


def test_it_ends_by_itself_when_the_agent_does(filming: Filming) -> None:
    filming.take(2)
    filming.intake.close()
    assert filming.process.wait(10) == 0, filming.words()


@pytest.mark.parametrize("percent", [MAX_PERCENT, 35])
def test_a_rate_that_is_asked_for_costs_no_picture(filming: Filming, percent: int) -> None:
    filming.take(2)
    filming.intake.rate(percent)
    fragments = filming.take(6)
    assert not filming.gone, filming.words()
    assert {each.frames for each in fragments} == {filming.board.video.frames_per_second}
