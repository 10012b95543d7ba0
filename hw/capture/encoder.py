"""Pictures to H.264 as the board's encoder gives it: a keyframe each second, no B-frames, a bounded rate.

Guarantees: each picture gives its access unit at once, in Annex B with SPS and PPS before every keyframe; what one
second takes, with its sound, is within the board's max_bit_rate_bps (the decoder's buffer model: a window of one second
holds at most rate + buffer).
"""

from __future__ import annotations

from fractions import Fraction

import av
from av.video.frame import PictureType

from agent.config import Video
from agent.errors import CaptureError

SOUND_BUDGET_BPS = 96_000
"""Left for the sound and the boxes around both."""


def rate_and_buffer(video: Video) -> tuple[int, int]:
    """Bits a second, and the bits that may come on top of them within one second, within max_bit_rate_bps."""
    budget_bps = video.max_bit_rate_bps - SOUND_BUDGET_BPS
    rate_bps = min(video.bit_rate_bps, budget_bps * 3 // 4)
    return rate_bps, min(budget_bps - rate_bps, rate_bps)


class Encoder:
    """libx264 in its fastest setting, on two threads at most."""

    def __init__(self, video: Video) -> None:
        rate_bps, buffer_bits = rate_and_buffer(video)
        context = av.CodecContext.create("libx264", "w")
        assert isinstance(context, av.VideoCodecContext)
        context.width, context.height, context.pix_fmt = video.width, video.height, "yuv420p"
        context.time_base = Fraction(1, video.frames_per_second)
        context.framerate = Fraction(video.frames_per_second)
        context.gop_size = video.frames_per_second
        context.max_b_frames = 0
        context.bit_rate = rate_bps
        context.thread_count = 2
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "forced-idr": "1",
            "sc_threshold": "0",
            "maxrate": str(rate_bps),
            "bufsize": str(buffer_bits),
        }
        self._context = context
        self._rate_bps = rate_bps
        self._count = 0

    def film_at(self, percent: int) -> None:
        """With this share of the rate, from the next picture on: libx264 changes it in its stride."""
        self._context.bit_rate = self._rate_bps * percent // 100

    def encode(self, frame: av.VideoFrame, keyframe: bool = False) -> tuple[bytes, bool]:
        """The access unit of one yuv420p frame of the board's size, and whether it is a keyframe.

        With `keyframe` it is one whatever the count says. Raises CaptureError.
        """
        frame.pts, frame.time_base = self._count, self._context.time_base
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._count += 1
        try:
            (packet,) = self._context.encode(frame)
        except (av.FFmpegError, ValueError) as error:
            raise CaptureError("encoder", str(error), "start the capture again") from error
        return bytes(packet), packet.is_keyframe
