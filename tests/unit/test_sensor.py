"""The sensor's line: on while capture runs, off at rest, never on too early, and no call that waits."""

from __future__ import annotations

import pytest

from agent.errors import BoardError, CaptureError
from agent.ladder import FAILURES_A_RUNG, START_NS, CameraWatch
from agent.model import NS_PER_MS, OutputFailed
from agent.ports import Camera
from hw.sensor import OFF_NS, REST_NS, SensorCamera
from tests.support.fake_clock import FakeClock


class Bench:
    """A line and a capture process that note what happens to them, in order, with the time in ms."""

    def __init__(self, with_line: bool = True) -> None:
        self.clock = FakeClock(0)
        self.events: list[str] = []
        self.running = False
        self.can_start = True
        self.line_fails = False
        self.posted: list[OutputFailed] = []
        self.woken = 0
        line = self._line if with_line else None
        self.camera = SensorCamera(self, line, lambda: self._note("reboot"), self.clock, self.posted.append, self._wake)
        self.clock.advance(OFF_NS // NS_PER_MS)

    def start(self) -> None:
        if not self.can_start:
            raise CaptureError("capture", "cannot be started", "check it")
        if not self.running:
            self._note("start")
        self.running = True

    def alive(self) -> bool:
        return self.running

    def kill(self) -> None:
        self.running = False
        self._note("kill")

    def last_words(self) -> str:
        return ""

    def run(self, ms: int) -> None:
        """Step as whoever waits for due times does."""
        end_ns = self.clock.now_ns + ms * NS_PER_MS
        while (due_ns := self.camera.step(self.clock.now_ns)) is not None and due_ns <= end_ns:
            assert due_ns > self.clock.now_ns, "nothing that is due is left over"
            self.clock.now_ns = due_ns
        self.clock.now_ns = end_ns
        self.camera.step(end_ns)

    def _line(self, on: bool) -> None:
        self._note("on" if on else "off")
        if self.line_fails:
            raise BoardError("GPIO25", "gone", "check the wire")

    def _wake(self) -> None:
        self.woken += 1

    def _note(self, what: str) -> None:
        self.events.append(f"{what} {self.clock.now_ns // NS_PER_MS}")


def test_the_sensor_is_on_before_capture_and_off_at_rest() -> None:
    bench = Bench()
    bench.camera.start()
    assert bench.camera.alive(), "it will be"
    assert bench.woken == 1
    bench.run(2_000)
    assert bench.events == ["on 500", "start 500"]
    bench.camera.kill()
    assert not bench.camera.alive()
    bench.run(10_000)
    assert bench.events[2:] == ["kill 2500", "off 3500"]


def test_a_restart_leaves_the_sensor_on() -> None:
    bench = Bench()
    bench.camera.start()
    bench.run(1_000)
    bench.camera.kill()
    bench.run(REST_NS // NS_PER_MS - 1)
    bench.camera.start()
    bench.run(60_000)
    assert bench.events == ["on 500", "start 500", "kill 1500", "start 2499"]


def test_a_power_cycle_keeps_it_off_long_enough() -> None:
    bench = Bench()
    bench.camera.start()
    bench.run(1_000)
    bench.camera.kill()
    bench.camera.power_cycle()
    bench.camera.start()
    assert bench.camera.alive(), "the ladder waits for it"
    bench.run(OFF_NS // NS_PER_MS - 1)
    assert bench.events[-1] == "off 1500"
    bench.run(1)
    assert bench.events[-2:] == ["on 2000", "start 2000"]


def test_an_undocking_at_once_after_the_rest_waits_too() -> None:
    bench = Bench()
    bench.camera.start()
    bench.run(0)
    bench.camera.kill()
    bench.run(1_000)
    assert bench.events[-1] == "off 1500"
    bench.clock.advance(100)
    bench.camera.start()
    bench.run(5_000)
    assert bench.events[-2:] == ["on 2000", "start 2000"]


def test_a_start_that_is_taken_back() -> None:
    bench = Bench()
    bench.camera.power_cycle()
    bench.camera.start()
    bench.camera.kill()
    bench.run(60_000)
    assert not bench.camera.alive()
    assert bench.events == ["off 500", "kill 500"]


def test_a_capture_that_cannot_be_started_late_is_not_alive_and_at_once_is_told() -> None:
    bench = Bench()
    bench.can_start = False
    bench.camera.start()
    bench.run(0)
    assert not bench.camera.alive()
    with pytest.raises(CaptureError):
        bench.camera.start()


def test_a_line_that_fails_is_told_and_capture_is_tried_all_the_same() -> None:
    bench = Bench()
    bench.line_fails = True
    bench.camera.start()
    bench.run(0)
    assert bench.posted == [OutputFailed("sensor")]
    assert bench.camera.alive()


def test_a_board_without_a_line_is_its_capture_process() -> None:
    bench = Bench(with_line=False)
    bench.camera.start()
    bench.camera.kill()
    bench.camera.power_cycle()
    bench.camera.start()
    bench.run(60_000)
    assert bench.events == ["start 500", "kill 500", "start 500"]


def test_the_ladder_of_a_camera_that_never_delivers() -> None:
    bench = Bench()
    camera: Camera = bench.camera
    watch = CameraWatch(camera, lambda cause, values, remedy: None)
    watch.start(bench.clock.now_ns)
    for _ in range(2 * FAILURES_A_RUNG + 1):
        bench.run(START_NS // NS_PER_MS)
        watch.step(bench.clock.now_ns)
    bench.run(1_000)
    kinds = [event.split()[0] for event in bench.events]
    cycled = ["kill", "off", "on", "start"]
    assert kinds == ["on", "start", *["kill", "start"] * 3, *cycled * 3, "kill", "reboot", "start"]
