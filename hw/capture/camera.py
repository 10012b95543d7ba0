"""A camera as a source: what holds whichever library drives it.

Guarantees what hw/capture/source.py asks for, of pictures and looks only, and besides: a time that cannot be the boot
clock's (one to come; a first picture that is older than MAX_AGE_NS) ends the source, and so do MAX_SILENCE_NS without a
picture; `stop` returns within STOP_TIMEOUT_S, also when the device hangs, and nothing is posted after it.
Assumes: the process ends after `stop`; a device that hangs is not used again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from agent.config import Video
from agent.errors import CaptureError
from hw.capture.encoder import rate_and_buffer
from hw.capture.source import SECOND_NS, Ended, Pacer, Packet, Picture, Post

MAX_AGE_NS = 2 * SECOND_NS  # what the queues of sensor, processor and encoder hold is a quarter of it
MAX_SILENCE_NS = 2_500_000_000  # less than the agent waits before it kills: it is told why
WATCH_NS = SECOND_NS // 2
STOP_TIMEOUT_S = 2.0
_CABLE = "check the sensor's cable; the camera is started again"


class Device(Protocol):
    """A camera with its encoder, open. What it posts comes from threads of its own."""

    def start(self, post: Post) -> None:
        """Begin to film: Pictures and Looks. Raises CaptureError."""
        ...

    def set_bit_rate(self, bits_per_second: int) -> None:
        """From the next pictures on. Raises CaptureError."""
        ...

    def close(self) -> None:
        """End filming. May never return."""
        ...


class Camera:
    """A Source. `open_device` may take seconds and raises CaptureError; it is called by a thread of the source's."""

    def __init__(self, open_device: Callable[[], Device], video: Video, pacer: Pacer) -> None:
        self._open_device = open_device
        self._rate_bps, _ = rate_and_buffer(video)
        self._pacer = pacer
        self._tuning = threading.Lock()
        self._percent = 100
        self._gate = threading.Lock()
        self._post: Post | None = None  # None: nothing is posted any more, or not yet
        self._over = threading.Event()
        self._heard_ns: int | None = None  # when the last picture came
        self._device: Device | None = None
        self._thread: threading.Thread | None = None

    def start(self, post: Post) -> None:
        self._post = post
        self._thread = threading.Thread(target=self._run, name="camera", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._gate:
            self._post = None
        self._over.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def film_at(self, percent: int) -> None:
        """With this share of the board's bit rate, 1 to 100, without a gap: from the next picture on, or at the start.

        Raises CaptureError.
        """
        with self._tuning:
            self._percent = percent
            if self._device is not None:
                self._device.set_bit_rate(self._rate_bps * percent // 100)

    def _run(self) -> None:
        try:
            self._film()
        except CaptureError as error:
            self._end(error)
        finally:
            self._end(CaptureError("camera", "filming ended unexpectedly", "start the capture again"))

    def _film(self) -> None:
        device = self._open_device()
        try:
            device.start(self._take)
            self._began(device)
            self._watch()
        except CaptureError as error:
            self._end(error)  # said first: what follows may never return
        finally:
            device.close()

    def _began(self, device: Device) -> None:
        with self._tuning:
            self._device = device
            if self._percent < 100:
                device.set_bit_rate(self._rate_bps * self._percent // 100)

    def _watch(self) -> None:
        """Counts looks that saw nothing new, not time: a process that stood still has missed nothing but its turn."""
        silent, seen_ns = 0, self._heard_ns
        while not self._over.is_set():
            self._pacer.wait_until(self._pacer.boot_ns() + WATCH_NS, self._over)
            silent = silent + 1 if self._heard_ns == seen_ns else 0
            seen_ns = self._heard_ns
            if silent * WATCH_NS >= MAX_SILENCE_NS:
                self._end(CaptureError("camera", f"no picture for {silent * WATCH_NS // 1_000_000} ms", _CABLE))

    def _take(self, packet: Packet) -> None:
        """From the device's threads."""
        now_ns = self._pacer.boot_ns()
        if not isinstance(packet, Ended) and packet.boot_ns > now_ns:
            return self._end(_wrong_clock(f"{packet.boot_ns - now_ns} ns to come"))
        if isinstance(packet, Picture):
            if self._heard_ns is None and packet.boot_ns < now_ns - MAX_AGE_NS:
                return self._end(_wrong_clock(f"{now_ns - packet.boot_ns} ns old"))
            self._heard_ns = now_ns
        with self._gate:
            if self._post is not None:
                self._post(packet)
        return None

    def _end(self, error: CaptureError) -> None:
        with self._gate:
            post, self._post = self._post, None
            if post is not None:
                post(Ended(error))
        self._over.set()


def _wrong_clock(problem: str) -> CaptureError:
    remedy = "report the versions of kernel and libcamera: this one's SensorTimestamp is not the boot clock's"
    return CaptureError("camera", f"a picture that is {problem}", remedy)
