"""A camera that is all software: a Device (hw/capture/camera.py) with its own boot clock. Filming takes no time.

It exposes a picture a frame, encodes it and posts it when the one who waits on its clock lets time pass. Faults: it
falls silent after `pictures`, its clock is `ahead_ns` of the boot clock, or it does not open, start or close.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import av
import numpy as np

from agent.config import Video
from agent.errors import CaptureError
from hw.capture.encoder import Encoder
from hw.capture.look import look
from hw.capture.source import SECOND_NS, Picture, Post
from tests.support.capture import BOOT_NS

LATENCY_NS = 60_000_000  # from the exposure of a picture to its last encoded byte
EXPOSURE_US = 8_000
GAIN_MILLI = 2_500


class SimulatedCamera:
    """Its own Pacer. `rates` are the bit rates that it was set to."""

    def __init__(self, video: Video, pictures: int | None = None, ahead_ns: int = 0) -> None:
        self._video = video
        self._pictures = pictures
        self._ahead_ns = ahead_ns
        self._encoder = Encoder(video)
        self._post: Post | None = None
        self._count = 0
        self._now_ns = BOOT_NS
        self._origin_ns = BOOT_NS
        self.rates: list[int] = []
        self.closed = threading.Event()
        self.closing: Callable[[], None] = lambda: None
        self.refusal: CaptureError | None = None

    def boot_ns(self) -> int:
        return self._now_ns

    def wait_until(self, boot_ns: int, stop: threading.Event) -> None:
        while self._post is not None and not stop.is_set() and (due_ns := self._due_ns()) <= boot_ns:
            if self._count == self._pictures:
                break
            self._now_ns = due_ns
            self._expose(self._post)
        if not stop.is_set():
            self._now_ns = max(self._now_ns, boot_ns)

    def start(self, post: Post) -> None:
        if self.refusal is not None:
            raise self.refusal
        self._post = post

    def set_bit_rate(self, bits_per_second: int) -> None:
        self.rates.append(bits_per_second)

    def close(self) -> None:
        self.closing()
        self.closed.set()

    def _due_ns(self) -> int:
        return self._origin_ns + self._count * SECOND_NS // self._video.frames_per_second + LATENCY_NS

    def _expose(self, post: Post) -> None:
        boot_ns = self._due_ns() - LATENCY_NS + self._ahead_ns
        frame = av.VideoFrame.from_ndarray(self._scene(), format="yuv420p")
        if self._count % self._video.frames_per_second == 0:
            post(look(self._scene()[: self._video.height], boot_ns, EXPOSURE_US, GAIN_MILLI))
        data, keyframe = self._encoder.encode(frame)
        self._count += 1
        post(Picture(boot_ns, data, keyframe))

    def _scene(self) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
        """A slope that moves."""
        rows, columns = self._video.height * 3 // 2, self._video.width
        return (np.add.outer(np.arange(rows), np.arange(columns)) + self._count * 3).astype(np.uint8)
