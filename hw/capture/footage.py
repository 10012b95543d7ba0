"""Any file that FFmpeg opens, played as if the board filmed it.

Guarantees: pictures come at the board's size (bars where the shape differs; turned upright as the file asks) and rate
(the nearest picture of the file for each moment), one by one when the boot clock reaches their time; sound of the same
moment, one channel at the board's rate, silence where the file has none. At its end the file begins again.

Assumes a regular file that nobody changes meanwhile. It is opened once for the pictures and once for the sound: nothing
of it is held in memory but the picture in hand. When the machine cannot keep up, the schedule moves: time shows a hole
there, as with a camera that loses pictures.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.stream import Disposition

from agent.config import Sound, Video
from agent.errors import CaptureError
from hw.capture.encoder import Encoder
from hw.capture.fitter import Fitter
from hw.capture.look import look
from hw.capture.source import SAMPLE_BYTES, SECOND_NS, Ended, Look, Pacer, Picture, Post, SoundBlock

MAX_LATE_NS = 500_000_000
STOP_TIMEOUT_S = 2.0
_OTHER_FILE = "give a video file that plays to its end"


class Footage:
    """A Source (hw/capture/source.py). The constructor raises CaptureError if the file has no pictures to play."""

    def __init__(self, path: Path, video: Video, sound: Sound, pacer: Pacer) -> None:
        self._path = path
        self._video = video
        self._sound = sound
        self._pacer = pacer
        self._percent = 100
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        with _open(path):
            pass

    def start(self, post: Post) -> None:
        self._thread = threading.Thread(target=self._run, args=(post,), name="footage", daemon=True)
        self._thread.start()

    def film_at(self, percent: int) -> None:
        self._percent = percent

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self, post: Post) -> None:
        error = CaptureError(str(self._path), "playing it ended unexpectedly", "start the capture again")
        try:
            self._play(post)
        except CaptureError as found:
            error = found
        finally:
            if not self._stop.is_set():
                post(Ended(error))

    def _play(self, post: Post) -> None:
        encoder = Encoder(self._video)
        rate, per_second = self._sound.sample_rate_hz, self._video.frames_per_second
        origin_ns = self._pacer.boot_ns()
        heard: SoundBlock | None = None
        number = 0
        while True:
            pictures = 0
            with _SoundReader(self._path, rate) as sound:
                for frame in _pictures(self._path, self._video):
                    due_ns = origin_ns + number * SECOND_NS // per_second
                    self._pacer.wait_until(due_ns, self._stop)
                    if self._stop.is_set():
                        return
                    late_ns = self._pacer.boot_ns() - due_ns
                    late = late_ns > MAX_LATE_NS
                    if late:
                        origin_ns, due_ns = origin_ns + late_ns, due_ns + late_ns
                    encoder.film_at(self._percent)
                    data, keyframe = encoder.encode(frame, keyframe=late)
                    if heard is not None:
                        post(heard)
                    post(Picture(due_ns, data, keyframe))
                    if number % per_second == 0:
                        post(_look(frame, due_ns))
                    samples = sound.take((number + 1) * rate // per_second - number * rate // per_second)
                    heard = SoundBlock(due_ns, samples, sound.present)
                    number, pictures = number + 1, pictures + 1
            if not pictures:
                raise CaptureError(str(self._path), "no picture in it can be decoded", _OTHER_FILE)


def _look(frame: av.VideoFrame, boot_ns: int) -> Look:
    """Of a yuv420p frame; its luma is read where it lies. A file knows neither exposure nor gain."""
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    return look(rows[:, : plane.width], boot_ns, None, None)


def _open(path: Path) -> av.container.InputContainer:
    """The file with at least one stream of pictures. `file:` keeps FFmpeg from reading the name as an address."""
    if not path.is_file():
        raise CaptureError(str(path), "is not a file", "give a video file")
    try:
        container = av.open(f"file:{path.absolute()}")
    except (av.FFmpegError, OSError, ValueError) as error:
        raise CaptureError(str(path), f"cannot be opened ({_reason(error)})", "give a video file") from error
    if container.format.name == "tty":  # FFmpeg would draw any text file on a screen and film that
        container.close()
        raise CaptureError(str(path), "is text", "give a video file")
    if _video_stream(container) is None:
        container.close()
        raise CaptureError(str(path), "has no pictures that can be decoded", "give a video file")
    return container


def _video_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first stream of moving pictures: not the cover of a song, not what no decoder knows."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    return None


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0]


def _pictures(path: Path, video: Video) -> Iterator[av.VideoFrame]:
    """The whole file once, at the board's size and rate."""
    with _open(path) as container:
        stream = _video_stream(container)
        assert stream is not None, "checked by _open"
        stream.thread_type = "SLICE"  # frame threads would each hold pictures
        fitter = Fitter(video.width, video.height, stream.sample_aspect_ratio or Fraction(1))
        nominal = 1 / (stream.average_rate or Fraction(video.frames_per_second))
        shown: av.VideoFrame | None = None
        start = time = Fraction(0)
        done = 0
        for frame in _decoded(path, container, stream):
            since = time + nominal if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
            if shown is None:
                start = since
            else:
                while done < round((since - start) * video.frames_per_second):
                    yield shown
                    done += 1
            time, shown = max(time, since), fitter.fit(frame)
        while shown is not None and done < max(round((time + nominal - start) * video.frames_per_second), 1):
            yield shown
            done += 1


def _decoded(path: Path, container: av.container.InputContainer, stream: av.VideoStream) -> Iterator[av.VideoFrame]:
    count = 0
    try:
        for frame in container.decode(stream):
            yield frame
            count += 1
    except (av.FFmpegError, ValueError) as error:
        raise CaptureError(
            str(path), f"decoding fails after picture {count} ({_reason(error)})", _OTHER_FILE
        ) from error


class _SoundReader:
    """The file's sound once from its beginning, silence after its end. `present` is False if it has none at all."""

    def __init__(self, path: Path, rate: int) -> None:
        self._path = path
        self._container = _open(path)
        self.present = bool(self._container.streams.audio)
        self._pieces = self._decode(rate) if self.present else iter(())
        self._held = bytearray()

    def __enter__(self) -> _SoundReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._container.close()

    def take(self, count: int) -> bytes:
        """The next `count` samples."""
        size = count * SAMPLE_BYTES
        while len(self._held) < size and (piece := next(self._pieces, None)) is not None:
            self._held += piece
        samples = bytes(self._held[:size])
        del self._held[:size]
        return samples + bytes(size - len(samples))

    def _decode(self, rate: int) -> Iterator[bytes]:
        resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
        skipped: int | None = None
        try:
            for frame in self._container.decode(self._container.streams.audio[0]):
                if skipped is None:
                    skipped = -self._ahead(frame, rate)
                    while skipped < 0:
                        count = min(-skipped, rate)
                        yield bytes(count * SAMPLE_BYTES)
                        skipped += count
                for each in resampler.resample(frame):
                    yield bytes(each.planes[0])[skipped * SAMPLE_BYTES : each.samples * SAMPLE_BYTES]
                    skipped = max(skipped - each.samples, 0)
        except (av.FFmpegError, ValueError) as error:
            raise CaptureError(str(self._path), f"decoding its sound fails ({_reason(error)})", _OTHER_FILE) from error

    def _ahead(self, frame: av.AudioFrame, rate: int) -> int:
        """How many samples after the first picture the sound begins; negative if it begins before."""
        video = _video_stream(self._container)
        begins = Fraction(0) if frame.pts is None or frame.time_base is None else frame.pts * frame.time_base
        if video is not None and video.start_time is not None and video.time_base is not None:
            begins -= video.start_time * video.time_base
        return round(begins * rate)
