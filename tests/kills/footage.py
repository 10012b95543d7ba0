"""A film whose frames carry their number, with noise above and below it: incompressible, so that it fills the card, and
no two blocks of it are alike."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from tests.support.footage import picture

WIDTH, HEIGHT, FRAMES_PER_SECOND = 320, 240, 15
SECONDS = 40
FRAMES = SECONDS * FRAMES_PER_SECOND
_NOISE = 40

BOARD = f"""\
name = "kills"
model = "sim"
simulated = true
[video]
width = {WIDTH}
height = {HEIGHT}
frames_per_second = {FRAMES_PER_SECOND}
bit_rate_bps = 2_500_000
max_bit_rate_bps = 4_000_000
[sound]
sample_rate_hz = 48_000
[memory]
total_mib = 512
system_mib = 160
agent_mib = 64
capture_mib = 128
[clock]
rtc = true
rtc_error_ms = 2_000
[storage]
reserve_mib = 64
[battery]
warn_percent = [20, 10, 5]
cut_off_percent = 3
"""
"""A small picture at a high rate: about 300 KB a second."""


def make_film(path: Path, seed: int = 1) -> Path:
    """FRAMES frames, numbered from 0."""
    noise = np.random.default_rng(seed)
    quarter = HEIGHT // 4
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "14"}
        grey = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        for number in range(FRAMES):
            luma = picture(number, WIDTH, HEIGHT)
            for rows in (slice(0, quarter), slice(HEIGHT - quarter, HEIGHT)):
                luma[rows] = 128 + noise.integers(-_NOISE, _NOISE, (quarter, WIDTH), dtype=np.int16)
            frame = av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path
