"""What the intake loop makes of observations: a report each, no more than the news can take, a violation hangs up."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent import local_socket
from agent.formats import pipe
from agent.intake import MAX_AHEAD_NS, OBSERVE_EVERY_NS, CaptureGone, InitSeen, Intake, IntakeReport, Observed
from agent.model import NS_PER_S
from agent.ring import Ring
from tests.support import mp4

NOW_NS = 100 * NS_PER_S
SEEN = pipe.Observation(NOW_NS, 90, 40, 900, 33_000, 1_500, True, 900, 120, 3, 0)


@dataclass
class Stage:
    """An intake, and the capture process's end of its socket; `now_ns` is the boot clock."""

    capture: socket.socket
    intake: Intake = field(init=False)
    now_ns: int = NOW_NS
    reports: list[IntakeReport] = field(default_factory=list)

    def send(self, *pieces: bytes) -> list[IntakeReport]:
        """What is reported of them."""
        self.reports.clear()
        for piece in pieces:
            self.capture.sendall(piece)
            self.intake.wait(20)
            self.intake.step()
        return list(self.reports)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    listener = local_socket.listen(tmp_path / "capture.sock")
    with local_socket.connect(tmp_path / "capture.sock", 20) as capture:
        made = Stage(capture)
        ring = Ring(memoryview(bytearray(1024 * 1024)), 60 * NS_PER_S)
        made.intake = Intake(listener, ring, made.reports.append, lambda: made.now_ns)
        made.intake.step()
        yield made
        made.intake.close()


def gone(reports: list[IntakeReport]) -> str | None:
    assert isinstance(reports[-1], CaptureGone)
    return reports[-1].violation


def test_an_observation_is_reported_before_and_after_an_init(stage: Stage) -> None:
    assert stage.send(pipe.pack_observation(SEEN)) == [Observed(SEEN)]
    init = mp4.make_init(sound=False)
    assert stage.send(pipe.pack_init(len(init)) + init) == [InitSeen(1)]
    stage.now_ns += NS_PER_S
    assert stage.send(pipe.pack_observation(SEEN)) == [Observed(SEEN)]


def test_one_in_pieces_is_reported_once_it_is_whole(stage: Stage) -> None:
    packed = pipe.pack_observation(SEEN)
    assert stage.send(packed[:7], packed[7 : pipe.HEADER_BYTES + 1]) == []
    assert stage.send(packed[pipe.HEADER_BYTES + 1 :]) == [Observed(SEEN)]


def test_a_flood_leaves_room_for_other_news(stage: Stage) -> None:
    packed = pipe.pack_observation(SEEN)
    assert stage.send(packed * 100) == [Observed(SEEN)]
    stage.now_ns += OBSERVE_EVERY_NS - 1
    assert stage.send(packed) == []
    stage.now_ns += 1
    assert stage.send(packed) == [Observed(SEEN)]


def test_a_time_to_come_hangs_up(stage: Stage) -> None:
    latest = replace(SEEN, boot_ns=NOW_NS + MAX_AHEAD_NS)
    assert stage.send(pipe.pack_observation(latest)) == [Observed(latest)]
    found = gone(stage.send(pipe.pack_observation(replace(SEEN, boot_ns=NOW_NS + MAX_AHEAD_NS + 1))))
    assert found is not None
    assert found.startswith("boot_ns: an observation of a time to come")


def test_one_that_breaks_the_protocol_hangs_up(stage: Stage) -> None:
    packed = bytearray(pipe.pack_observation(SEEN))
    packed[pipe.HEADER_BYTES + 11] = 1
    assert str(gone(stage.send(bytes(packed)))).startswith("reserved: 1 instead of 0")
