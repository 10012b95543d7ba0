"""What is not there where there is no camera, and what stands in for it.

- dma-buf heaps: their place is taken by memory of the process, a memfd a buffer, which libcamera maps as well;
- raw streams, which picamera2 asks a camera for when it opens it: the virtual one refuses, its other sizes are given;
- the status of a picture: libcamera 0.4.0's virtual camera leaves it as the memory was, and picamera2 drops pictures by
  it: all are good;
- a sensor's pace: the virtual camera gives a picture as soon as it is asked (377 a second). It is asked at the rate
  that was set; and not at all while the file `hold` is there: a sensor that has stopped. With HANG in that file the
  camera cannot be stopped either: libcamera waits for it for ever.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import queue
import threading
import time
from pathlib import Path

import libcamera
import picamera2.picamera2 as module
from picamera2.allocators.allocator import Allocator, Sync

HELD_POLL_S = 0.01
HANG = "hang"
BEHIND_S = 0.2


class MemoryAllocator(Allocator):
    """Buffers of NV12: luma, and chroma behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.sync = NoSync
        self.mapped_buffers: dict[object, mmap.mmap] = {}
        self._buffers: dict[object, list[object]] = {}
        self._files: list[int] = []

    def allocate(self, libcamera_config: object, _use_case: object) -> None:
        self.close()
        for stream in libcamera_config:
            self._buffers[stream.stream] = [self._buffer(stream) for _ in range(stream.buffer_count)]

    def buffers(self, stream: object) -> list[object]:
        return self._buffers[stream]

    def close(self) -> None:
        self.mapped_buffers, self._buffers = {}, {}
        while self._files:
            os.close(self._files.pop())

    def _buffer(self, stream: object) -> object:
        luma_bytes = stream.stride * stream.size.height
        file = os.memfd_create("picture")
        os.ftruncate(file, stream.frame_size)
        self._files.append(file)
        planes = []
        for offset, length in ((0, luma_bytes), (luma_bytes, stream.frame_size - luma_bytes)):
            plane = libcamera.FrameBuffer.Plane()
            plane.fd, plane.offset, plane.length = file, offset, length
            planes.append(plane)
        buffer = libcamera.FrameBuffer(planes)
        self.mapped_buffers[buffer] = mmap.mmap(file, stream.frame_size)
        return buffer


class NoSync(Sync):
    """Memory of the process needs none."""

    def __init__(self, allocator: MemoryAllocator, buffer: object, _write: bool) -> None:
        self._memory = allocator.mapped_buffers[buffer]

    def __enter__(self) -> mmap.mmap:
        return self._memory

    def __exit__(self, *_: object) -> None:
        pass


class Pace:
    """Hands requests on to the camera, one a frame."""

    def __init__(self, hold: Path) -> None:
        self.frame_s = 1 / 30
        self._hold = hold
        self._queue_request = libcamera.Camera.queue_request
        self._requests: queue.Queue[tuple[object, object]] = queue.Queue()
        threading.Thread(target=self._run, name="pace", daemon=True).start()

    def queue_request(self, camera: object, request: object) -> None:
        self._requests.put((camera, request))

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            camera, request = self._requests.get()
            due_s += self.frame_s
            if time.monotonic() - due_s > BEHIND_S:  # it begins, or stood still
                due_s = time.monotonic()
            time.sleep(max(due_s - time.monotonic(), 0))
            while self._hold.exists():
                time.sleep(HELD_POLL_S)
            with contextlib.suppress(RuntimeError):  # it was stopped meanwhile
                self._queue_request(camera, request)


def install(hold: Path) -> None:
    """Into the libcamera and picamera2 of this process."""
    pace = Pace(hold)
    stop = libcamera.Camera.stop

    def stop_or_hang(camera: object) -> None:
        while hold.exists() and hold.read_text() == HANG:
            time.sleep(HELD_POLL_S)
        stop(camera)

    configure = module.Picamera2.configure_

    def configure_paced(self: object, camera_config: object) -> None:
        configure(self, camera_config)
        pace.frame_s = self.camera_config["controls"]["FrameDurationLimits"][0] / 1_000_000

    def other_modes(self: object) -> list[dict[str, object]]:
        formats = self.camera.generate_configuration([libcamera.StreamRole.VideoRecording]).at(0).formats
        return [
            {"format": str(each), "size": (size.width, size.height)}
            for each in formats.pixel_formats
            for size in formats.sizes(each)
        ]

    module.DmaAllocator = MemoryAllocator
    module.Picamera2._get_raw_modes = other_modes
    module.Picamera2.configure_ = configure_paced
    libcamera.FrameMetadata.status = property(lambda _: libcamera.FrameMetadata.Status.Success)
    libcamera.Camera.stop = stop_or_hang
    libcamera.Camera.queue_request = lambda camera, request: pace.queue_request(camera, request)
