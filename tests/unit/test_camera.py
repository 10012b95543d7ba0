"""The rules of a camera as a source (hw/capture/camera.py), and of choosing one (hw/capture/picamera.py)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import pytest

from agent.errors import CaptureError
from hw.capture.camera import MAX_AGE_NS, MAX_SILENCE_NS, STOP_TIMEOUT_S, WATCH_NS, Camera
from hw.capture.encoder import rate_and_buffer
from hw.capture.picamera import MAX_SLEPT_NS, check_clocks, find
from hw.capture.source import SECOND_NS, Ended, Look, Packet, Picture
from tests.support.capture import BOOT_NS, VIDEO, Collected, film
from tests.support.simulated_camera import EXPOSURE_US, GAIN_MILLI, LATENCY_NS, SimulatedCamera


def over(device: SimulatedCamera, pictures: int = 1_000) -> tuple[list[Packet], SimulatedCamera]:
    """What it posted up to its end, or to that many pictures."""
    return film(Camera(lambda: device, VIDEO, device), pictures), device


def reason(packets: list[Packet]) -> str:
    assert isinstance(packets[-1], Ended)
    assert not [packet for packet in packets[:-1] if isinstance(packet, Ended)]
    return str(packets[-1].error)


@pytest.mark.parametrize("pictures", [0, 1, 30])
def test_a_camera_that_falls_silent_ends_with_what_to_do(pictures: int) -> None:
    packets, device = over(SimulatedCamera(VIDEO, pictures=pictures))
    assert "no picture for" in reason(packets)
    assert "cable" in reason(packets)
    assert len([packet for packet in packets if isinstance(packet, Picture)]) == pictures
    frame_ns = SECOND_NS // VIDEO.frames_per_second
    last_ns = BOOT_NS + (pictures - 1) * frame_ns + LATENCY_NS if pictures else BOOT_NS
    assert MAX_SILENCE_NS <= device.boot_ns() - last_ns <= MAX_SILENCE_NS + WATCH_NS
    assert device.closed.wait(60)


@pytest.mark.parametrize("ahead_ns", [LATENCY_NS, -MAX_AGE_NS + LATENCY_NS])
def test_a_picture_may_be_just_now_or_of_two_seconds_ago(ahead_ns: int) -> None:
    packets, _ = over(SimulatedCamera(VIDEO, ahead_ns=ahead_ns), pictures=3)
    assert not [packet for packet in packets if isinstance(packet, Ended)]


@pytest.mark.parametrize(
    ("ahead_ns", "said"), [(LATENCY_NS + 1, "1 ns to come"), (-MAX_AGE_NS + LATENCY_NS - 1, "2000000001 ns old")]
)
def test_a_clock_that_is_not_the_boot_clock_ends_it_before_a_picture(ahead_ns: int, said: str) -> None:
    packets, device = over(SimulatedCamera(VIDEO, ahead_ns=ahead_ns))
    assert said in reason(packets)
    assert not [packet for packet in packets if isinstance(packet, Picture)]
    assert device.closed.wait(60)


def test_pictures_that_waited_are_not_lost() -> None:
    """A process that stood still gets them late: only the first picture says what clock it is."""

    class Waking(SimulatedCamera):
        def boot_ns(self) -> int:
            return super().boot_ns() + (5 * SECOND_NS if self._count > 10 else 0)

    packets, _ = over(Waking(VIDEO), pictures=20)
    assert not [packet for packet in packets if isinstance(packet, Ended)]


def test_a_process_that_stood_still_films_on() -> None:
    """Nothing came for ten seconds, because nobody ran: the watch neither."""

    class Frozen(SimulatedCamera):
        def wait_until(self, boot_ns: int, stop: threading.Event) -> None:
            if self._count < 30 or self._origin_ns > BOOT_NS:
                return super().wait_until(boot_ns, stop)
            self._origin_ns += 10 * SECOND_NS
            self._now_ns += 10 * SECOND_NS
            return None

    packets, _ = over(Frozen(VIDEO), pictures=90)
    assert not [packet for packet in packets if isinstance(packet, Ended)]


def test_a_look_has_what_the_sensor_tells() -> None:
    packets, _ = over(SimulatedCamera(VIDEO), pictures=60)
    looks = [packet for packet in packets if isinstance(packet, Look)]
    assert [(look.exposure_us, look.gain_milli) for look in looks] == [(EXPOSURE_US, GAIN_MILLI)] * 3


def test_a_camera_that_does_not_open_ends_with_its_reason() -> None:
    def missing() -> SimulatedCamera:
        raise CaptureError("camera", "is missing", "connect it")

    camera = Camera(missing, VIDEO, SimulatedCamera(VIDEO))
    assert reason(film(camera, 1)) == "camera: is missing; connect it"


def test_one_that_does_not_start_is_closed() -> None:
    device = SimulatedCamera(VIDEO)
    device.refusal = CaptureError("encoder", "refuses", "restart")
    packets, _ = over(device)
    assert reason(packets) == "encoder: refuses; restart"
    assert device.closed.wait(60)


@pytest.mark.parametrize("refusal", [None, CaptureError("encoder", "refuses", "restart")])
def test_the_reason_is_said_before_a_close_that_never_returns(refusal: CaptureError | None) -> None:
    device, never = SimulatedCamera(VIDEO, pictures=5), threading.Event()
    device.closing = lambda: _wait(never)
    device.refusal = refusal
    collected = Collected(1_000)
    Camera(lambda: device, VIDEO, device).start(collected.post)
    assert collected.done.wait(20)
    assert ("no picture for" if refusal is None else "encoder: refuses") in reason(collected.packets)
    never.set()


def test_stop_returns_though_closing_hangs() -> None:
    device, never, closing = SimulatedCamera(VIDEO), threading.Event(), threading.Event()

    def hang() -> None:
        closing.set()
        _wait(never)

    device.closing = hang
    camera, collected = Camera(lambda: device, VIDEO, device), Collected(3)
    camera.start(collected.post)
    assert collected.done.wait(60)
    returned = _in_a_thread(camera.stop)
    assert closing.wait(60)
    assert returned.wait(STOP_TIMEOUT_S + 60)
    assert not device.closed.is_set()
    never.set()
    assert device.closed.wait(60)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_end_that_nobody_foresaw_is_an_end() -> None:
    class Broken(SimulatedCamera):
        def start(self, post: Callable[[Packet], None]) -> None:
            raise RuntimeError

    packets, device = over(Broken(VIDEO))
    assert "filming ended unexpectedly" in reason(packets)
    assert device.closed.wait(60)


def test_the_rate_is_a_share_of_the_boards_before_and_while_it_films() -> None:
    device = SimulatedCamera(VIDEO)
    rate_bps, _ = rate_and_buffer(VIDEO)
    camera, collected = Camera(lambda: device, VIDEO, device), Collected(3)
    camera.film_at(60)
    camera.start(collected.post)
    assert collected.done.wait(60)
    camera.film_at(35)
    camera.stop()
    assert device.rates == [rate_bps * 60 // 100, rate_bps * 35 // 100]


@pytest.mark.parametrize("model", ["imx708", "imx708_wide", "imx708_noir", "imx708_wide_noir"])
def test_the_boards_camera_is_found_by_its_sensor(model: str) -> None:
    cameras: list[Mapping[str, object]] = [{"Model": "UVC Camera (046d:0825)"}, {}, {"Model": model}]
    assert find(cameras, "imx708") == 2


@pytest.mark.parametrize("models", [["imx219"], ["imx70"], ["imx7080"], ["ov5647", "imx708x_wide"]])
def test_another_sensor_is_named(models: list[str]) -> None:
    with pytest.raises(CaptureError) as raised:
        find([{"Model": model} for model in models], "imx708")
    assert f"no imx708, but {', '.join(models)}" in str(raised.value)


def test_no_camera_is_said() -> None:
    with pytest.raises(CaptureError, match="the system sees none"):
        find([], "imx708")


def test_a_board_that_has_slept_films_nothing() -> None:
    check_clocks(7 * SECOND_NS + MAX_SLEPT_NS, 7 * SECOND_NS)
    with pytest.raises(CaptureError, match="has slept for 10 ms"):
        check_clocks(7 * SECOND_NS + MAX_SLEPT_NS + 1, 7 * SECOND_NS)


def _wait(never: threading.Event) -> None:
    never.wait(120)


def _in_a_thread(call: Callable[[], None]) -> threading.Event:
    returned = threading.Event()

    def run() -> None:
        call()
        returned.set()

    threading.Thread(target=run, daemon=True).start()
    return returned
