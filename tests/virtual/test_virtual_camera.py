"""What only a camera that obeys shows: one that stops in mid-film, is another's, or films what is hard to encode."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import MAX_PADDING_BYTES
from agent.model import NS_PER_S, FragmentInfo
from hw.capture.encoder import rate_and_buffer
from tests.support.camera_process import Filming, boot_ns
from tests.virtual.board import board_file

pytestmark = pytest.mark.hil

HOLD = Path(os.environ.get("VIRTUAL_CAMERA_HOLD", "/nonexistent"))


@pytest.fixture
def let_go() -> Iterator[None]:
    yield
    HOLD.unlink(missing_ok=True)


@pytest.mark.usefixtures("let_go")
def test_a_sensor_that_stops_is_told_and_the_pictures_before_are_kept(tmp_path: Path) -> None:
    with Filming(board_file(tmp_path, "film"), tmp_path) as filming:
        filming.take(3)
        HOLD.touch()
        held_ns = boot_ns()
        assert filming.until(lambda: bool(filming.gone), 6), filming.words()
        assert filming.process.wait(5) == 1
        assert "capture: camera: no picture for 2" in filming.words()
        assert filming.gone[0].violation is None
        assert filming.fragments[-1].end_ns >= held_ns - NS_PER_S // 10
        HOLD.unlink()
        filming.start()
        filming.take(2)


@pytest.mark.usefixtures("let_go")
def test_a_camera_that_cannot_be_stopped_is_told_and_holds_nobody_up(tmp_path: Path) -> None:
    with Filming(board_file(tmp_path, "film"), tmp_path) as filming:
        filming.take(2)
        HOLD.write_text("hang")
        assert filming.until(lambda: bool(filming.gone), 8), filming.words()
        assert "capture: camera: no picture for 2" in filming.words()
        assert filming.gone[0].violation is None
        assert filming.process.wait(5) == 1


def test_another_sensor_than_the_boards_is_named(tmp_path: Path) -> None:
    with Filming(board_file(tmp_path, "imx708"), tmp_path) as filming:
        assert filming.process.wait(30) == 1
        assert "capture: camera: no imx708, but " in filming.words()


def test_a_board_whose_encoder_is_not_there_says_so(tmp_path: Path) -> None:
    with Filming(board_file(tmp_path, "film", encoder="hardware"), tmp_path) as filming:
        assert filming.process.wait(30) == 1
        assert "capture: encoder: FileNotFoundError" in filming.words()


def test_a_noisy_night_stays_within_the_boards_rate_and_obeys_a_lower_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Filming(board_file(tmp_path, "film"), tmp_path) as filming:
        video = filming.board.video
        rate_bps, _ = rate_and_buffer(video)
        filming.take(3)
        full = filming.take(8)
        filming.intake.rate(35)
        filming.take(3)
        low = filming.take(8)
        most = max(each.length * 8 for each in (*full, *low))
        with capsys.disabled():
            print(f"\n{_bps(full)} bit/s, at most {most} in a second, then {_bps(low)}, padded")
        assert most <= video.max_bit_rate_bps + 8 * MAX_PADDING_BYTES
        assert 0.7 * rate_bps < _bps(full) < 1.25 * rate_bps
        assert _bps(low) < 0.5 * rate_bps
        assert {each.frames for each in (*full, *low)} == {video.frames_per_second}


def _bps(fragments: list[FragmentInfo]) -> int:
    return sum(each.length for each in fragments) * 8 // len(fragments)
