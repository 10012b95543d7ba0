"""The board's camera by picamera2, with the encoder that the board has: the one place that imports it.

Guarantees: one stream, of the board's size and rate, in a fixed number of buffers; a keyframe with its SPS and PPS each
second, no B-frames; every picture's own SensorTimestamp, which picamera2's encoders count from 0; once a second a look
at the luma where it lies. A camera that is missing, not the board's, or refuses is a CaptureError.
Assumes: python3-libcamera of the system beside picamera2, and a board that never sleeps: libcamera says that
SensorTimestamp is CLOCK_BOOTTIME, the kernel's drivers give CLOCK_MONOTONIC (docs/hardware.md, "Picture").
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.board_parts import BoardParts, EncoderKind
from agent.config import Video
from agent.errors import CaptureError
from hw.capture.encoder import rate_and_buffer
from hw.capture.look import look
from hw.capture.source import Look, Picture, Post

BUFFERS = 5  # of 1.4 MB at 720p; what sensor, ISP and encoder hold at once, and one: a Zero 2 W's CMA is small
SENSOR_SIZE = (1920, 1080)  # the sensor's mode is that of 1080p, whatever the pictures' size: the same field of view
HYPERFOCAL_DIOPTRES = 0.45  # sharp from 1.1 m to the horizon; a lens that hunts for focus loses what it came for
MAX_SLEPT_NS = 10_000_000
THREADS = 2
_INSTALL = "install python3-picamera2 of Raspberry Pi OS, or temoin[camera] beside python3-libcamera"
_CAMERA = "check the sensor's cable, and that no other program films"
_ENCODER = "name the encoder that the board has in its file, and check the group video"

Made = TypeVar("Made")
Encoded = Callable[[bytes, bool, int], None]
"""One access unit, whether it is a keyframe, and its microseconds since the encoder's first picture."""


class Request(Protocol):
    """What is used of picamera2's CompletedRequest."""

    def get_metadata(self) -> Mapping[str, object]: ...


class PiEncoder(Protocol):
    """What is used of picamera2's encoders. `firsttimestamp`: SensorTimestamp of the first picture, in microseconds."""

    firsttimestamp: int | None


class HardwareDevice(Protocol):
    """The hardware encoder's file."""

    def fileno(self) -> int: ...


class CodecContext(Protocol):
    """What is used of PyAV's, before and after it is opened."""

    bit_rate: int | None
    thread_type: str
    options: dict[str, str]


class Pi(Protocol):
    """What is used of Picamera2. `post_callback` is called with each picture before it is encoded."""

    post_callback: Callable[[Request], None] | None

    @property
    def camera_controls(self) -> Mapping[str, object]: ...

    def create_video_configuration(self, **wanted: object) -> dict[str, object]: ...

    def configure(self, configuration: dict[str, object]) -> None: ...

    def stream_configuration(self, name: str) -> Mapping[str, object]: ...

    def start_encoder(self, encoder: object, output: object, name: str) -> None: ...

    def start(self) -> None: ...

    def close(self) -> None: ...


class PicameraDevice:
    """A Device (hw/capture/camera.py), configured and not yet filming. Raises CaptureError."""

    def __init__(self, video: Video, parts: BoardParts) -> None:
        check_clocks(time.clock_gettime_ns(time.CLOCK_BOOTTIME), time.clock_gettime_ns(time.CLOCK_MONOTONIC))
        self._video = video
        self._codec: CodecContext | None = None
        self._asked = 0
        self._camera = _asked("camera", _CAMERA, lambda: _open(parts.sensor))
        try:
            _asked("camera", _CAMERA, lambda: _configure(self._camera, video))
            self._encoder = _asked("encoder", _ENCODER, lambda: _encoder(parts.encoder, video))
        except CaptureError:
            with contextlib.suppress(CaptureError):
                self.close()
            raise

    def start(self, post: Post) -> None:
        def encoded(data: bytes, keyframe: bool, since_us: int) -> None:
            first_us = self._encoder.firsttimestamp
            assert first_us is not None, "set by the first picture, before it is encoded"
            post(Picture((first_us + since_us) * 1000, data, keyframe))

        def asked(request: Request) -> None:
            seen = _look(request, self._video) if self._asked % self._video.frames_per_second == 0 else None
            self._asked += 1
            if seen is not None:
                post(seen)

        self._camera.post_callback = asked
        output = _output(encoded, self._tune)
        _asked("encoder", _ENCODER, lambda: self._camera.start_encoder(self._encoder, output, "main"))
        _asked("camera", _CAMERA, self._camera.start)

    def set_bit_rate(self, bits_per_second: int) -> None:
        if self._codec is not None:
            self._codec.bit_rate = bits_per_second  # FFmpeg hands it to libx264 with the next picture
        else:
            _asked("encoder", _ENCODER, lambda: _set_hardware_rate(self._encoder, bits_per_second))

    def close(self) -> None:
        _asked("camera", _CAMERA, self._camera.close)

    def _tune(self, codec: CodecContext) -> None:
        """libx264 as in hw/capture/encoder.py: bounded, and slices rather than pictures in parallel, which would each
        come later by one."""
        rate_bps, buffer_bits = rate_and_buffer(self._video)
        codec.thread_type = "SLICE"
        codec.options["maxrate"], codec.options["bufsize"] = str(rate_bps), str(buffer_bits)
        codec.options["sc_threshold"], codec.options["forced-idr"] = "0", "1"
        self._codec = codec


def check_clocks(boot_ns: int, monotonic_ns: int) -> None:
    """The two clocks of a board that has never slept are one. Raises CaptureError."""
    if boot_ns - monotonic_ns > MAX_SLEPT_NS:
        problem = f"the board has slept for {(boot_ns - monotonic_ns) // 1_000_000} ms: pictures' times would be wrong"
        raise CaptureError("camera", problem, "restart the board, and let it never be suspended")


def find(cameras: list[Mapping[str, object]], sensor: str) -> int:
    """The number of the board's camera. libcamera adds the variant to a sensor's name: imx708_wide, imx708_noir.

    Raises CaptureError.
    """
    models = [str(camera.get("Model")) for camera in cameras]
    if not models:
        raise CaptureError("camera", "the system sees none", "check its cable, config.txt, and the group video")
    for number, model in enumerate(models):
        if model.split("_")[0] == sensor:
            return number
    remedy = f'connect an {sensor}, or name the one that is there in the board\'s file: sensor = "NAME"'
    raise CaptureError("camera", f"no {sensor}, but {', '.join(models)}", remedy)


def _open(sensor: str) -> Pi:
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")  # who reads our last words wants no greetings
    from picamera2 import Picamera2

    number = find(Picamera2.global_camera_info(), sensor)
    camera: Pi = Picamera2(number)
    return camera


def _configure(camera: Pi, video: Video) -> None:
    frame_us = 1_000_000 // video.frames_per_second
    controls: dict[str, object] = {"FrameDurationLimits": (frame_us, frame_us)}  # dark scenes get no slower pictures
    if "LensPosition" in camera.camera_controls:
        controls |= {"AfMode": 0, "LensPosition": HYPERFOCAL_DIOPTRES}  # 0: manual
    wanted = camera.create_video_configuration(
        main={"size": (video.width, video.height), "format": "YUV420"},
        raw=None,
        sensor={"output_size": SENSOR_SIZE},
        buffer_count=BUFFERS,
        queue=False,  # else one buffer waits for somebody who asks for a picture
        display=None,
        controls=controls,
    )
    camera.configure(wanted)
    size = camera.stream_configuration("main")["size"]
    if size != (video.width, video.height):
        raise CaptureError("camera", f"gives {size}, not {video.width}x{video.height}", "give another size")


def _encoder(kind: EncoderKind, video: Video) -> PiEncoder:
    rate_bps, _ = rate_and_buffer(video)
    second = video.frames_per_second
    if kind is EncoderKind.HARDWARE:
        from picamera2.encoders import H264Encoder

        hardware: PiEncoder = H264Encoder(rate_bps, repeat=True, iperiod=second, framerate=second)
        if not hasattr(hardware, "vd"):
            raise CaptureError("encoder", "this board has none", 'name encoder = "libx264" in its file')
        return hardware
    from picamera2.encoders import LibavH264Encoder

    software = LibavH264Encoder(rate_bps, repeat=True, iperiod=second, framerate=second)
    software.threads = THREADS
    software.drop_final_frames = True
    made: PiEncoder = software
    return made


def _output(encoded: Encoded, tune: Callable[[CodecContext], None]) -> object:
    """What picamera2's encoders give their pictures to."""
    from picamera2.outputs import Output

    class Posting(Output):  # type: ignore[misc]  # picamera2 has no types
        def outputframe(
            self, frame: bytes, keyframe: bool = True, timestamp: int = 0, packet: object = None, audio: bool = False
        ) -> None:
            encoded(bytes(frame), keyframe, timestamp)

        def _add_stream(self, encoder_stream: object, *_: object, **__: object) -> None:
            """Called before the codec is opened. The hardware encoder has none to show: it gives a name."""
            codec: CodecContext | None = getattr(encoder_stream, "codec_context", None)
            if codec is not None:
                tune(codec)

    return Posting()


def _look(request: Request, video: Video) -> Look | None:
    from picamera2 import MappedArray

    metadata = request.get_metadata()
    exposure, gain, boot_ns = (metadata.get(name) for name in ("ExposureTime", "AnalogueGain", "SensorTimestamp"))
    if not isinstance(boot_ns, int):  # the encoder will miss it too
        return None
    mapped: AbstractContextManager[_Mapped] = MappedArray(request, "main", write=False)
    with mapped as picture:
        luma = picture.array[: video.height, : video.width]  # the chroma lies below, padding on the right
        return look(
            luma,
            boot_ns,
            round(exposure) if isinstance(exposure, int | float) else None,
            round(gain * 1000) if isinstance(gain, int | float) else None,
        )


class _Mapped(Protocol):
    array: NDArray[np.uint8]


def _set_hardware_rate(encoder: PiEncoder, bits_per_second: int) -> None:
    import videodev2

    control = videodev2.v4l2_control()
    control.id, control.value = videodev2.V4L2_CID_MPEG_VIDEO_BITRATE, bits_per_second
    device: HardwareDevice | None = getattr(encoder, "vd", None)
    assert device is not None, "it has been started"
    fcntl.ioctl(device, videodev2.VIDIOC_S_CTRL, control)


def _asked(where: str, remedy: str, ask: Callable[[], Made]) -> Made:
    try:
        return ask()
    except CaptureError:
        raise
    except ImportError as error:
        raise CaptureError(where, f"{error.name or 'a library'} is not installed", _INSTALL) from None
    except Exception as error:  # libcamera, its binding and picamera2 raise what they like
        raise CaptureError(where, f"{type(error).__name__}: {error}"[:200], remedy) from error
