"""The real agent, hung, killed, and slowed by its card: what somebody who looks at it sees.

The light is read by this process from the simulated panel, as an eye would see it: nothing of the agent is asked.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from agent.model import NS_PER_MS, NS_PER_S
from tests.kills.camera import POLL_S, Camera, Told, boot_ns, enrol
from tests.kills.card import read_card
from tests.kills.footage import make_film

DARK_WITHIN_S = 3.0
SLACK_S = 0.1  # our own looking


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture
def camera(tmp_path: Path, film: Path) -> Iterator[Camera]:
    """A camera that records, with its light red."""
    enrol(tmp_path, film)
    found = Camera(tmp_path / "camera")
    try:
        found.start()
        found.wait_for("ready")
        found.do("tap")
        found.wait_for("recording")
        _wait_for_durable(found, boot_ns())
        _wait_for_durable(found, boot_ns())
        assert found.is_red()
        yield found
    finally:
        found.end()


def test_a_stopped_agent_goes_dark_and_goes_on(camera: Camera) -> None:
    camera.signal(signal.SIGSTOP)
    dark_s = _seconds_until_dark(camera)
    time.sleep(1.0)
    assert not camera.is_red()
    camera.signal(signal.SIGCONT)
    again = _wait_for_durable(camera, boot_ns())
    assert dark_s <= DARK_WITHIN_S + SLACK_S
    camera.wait("red", lambda _: camera.is_red())
    camera.stop()
    (taken,) = read_card(camera.data).recordings
    assert taken.stopped == "shutdown"
    assert any(piece.end_ns == again for piece in taken.pieces), "it did not go on in the same recording"


def test_a_killed_agent_goes_dark(camera: Camera) -> None:
    camera.kill()
    assert _seconds_until_dark(camera) <= DARK_WITHIN_S + SLACK_S


def test_a_stalled_card_loses_nothing_and_restarts_nothing(camera: Camera) -> None:
    """5 s in which every operation on the card waits: the light says so; then all is there, from the same capture."""
    process = (camera.run / "capture.pid").read_text()
    stalled_ns = boot_ns()
    camera.do("card-stall", "5000")
    camera.wait("writer late", lambda status: "writer_late" in _texts(status.get("conditions")), seconds=4.5)
    assert not camera.is_red(), "red, and more than 2 s are not durable"
    _wait_for_durable(camera, stalled_ns + 5 * NS_PER_S)
    camera.wait("red again", lambda _: camera.is_red())
    camera.do("hold")
    camera.wait_for("ready")
    assert camera.alive
    assert (camera.run / "capture.pid").read_text() == process, "capture was started again"
    card = read_card(camera.data)
    (taken,) = card.recordings
    assert taken.stopped == "hold"
    assert not taken.gaps
    for before, after in pairwise(taken.pieces):
        assert abs(after.t0_ns - before.end_ns) <= after.frame_ns
    assert taken.pieces[-1].end_ns > stalled_ns + 5 * NS_PER_S
    assert not [body["cause"] for body in card.of("alert") if body["cause"] != "ring_not_locked"]


def test_a_press_is_heard_at_once_while_the_card_stalls(tmp_path: Path, film: Path) -> None:
    """Amber and a vibration within 100 ms of the press, though nothing can be written yet."""
    enrol(tmp_path, film)
    camera = Camera(tmp_path / "camera")
    try:
        camera.start()
        camera.wait_for("ready")
        camera.do("card-stall", "3000")
        pressed_ns = boot_ns()
        camera.do("tap")
        camera.wait("amber", lambda _: any(at_ns >= pressed_ns for at_ns in _cues(camera)), seconds=2)
        heard_ns = min(at_ns for at_ns in _cues(camera) if at_ns >= pressed_ns)
        assert heard_ns - pressed_ns <= 100 * NS_PER_MS
        assert not camera.is_red()
        camera.wait_for("recording", seconds=10)
        camera.stop()
    finally:
        camera.end()


def _seconds_until_dark(camera: Camera) -> float:
    began = time.monotonic()
    while camera.is_red():
        assert time.monotonic() - began < 3 * DARK_WITHIN_S, "the light never went dark"
        time.sleep(POLL_S)
    return time.monotonic() - began


def _wait_for_durable(camera: Camera, since_ns: int) -> int:
    """The end of a fragment that became durable after that moment."""

    def holds(line: Told) -> bool:
        return "durable" in line and int(str(line["boot_ns"])) > since_ns

    return int(str(camera.wait_told("a durable fragment", holds)["end_ns"]))


def _cues(camera: Camera) -> list[int]:
    return [int(str(event["boot_ns"])) for event in camera.panel() if "cue" in event]


def _texts(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
