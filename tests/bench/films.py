"""Films for a simulated board, made once: noise, so that the encoder uses the whole bit rate it is given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

FRAMES_PER_SECOND = 25
_NOISE = 48
_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Filmed:
    """A board's picture and rate; 25 pictures a second."""

    name: str
    width: int
    height: int
    bit_rate_bps: int
    max_bit_rate_bps: int

    def board(self) -> str:
        """Its board file."""
        return f"""\
name = "{self.name}"
model = "sim"
simulated = true
[video]
width = {self.width}
height = {self.height}
frames_per_second = {FRAMES_PER_SECOND}
bit_rate_bps = {self.bit_rate_bps}
max_bit_rate_bps = {self.max_bit_rate_bps}
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

    def film(self, folder: Path) -> Path:
        """The film, from the folder or made there: noise over a grey that gets lighter."""
        path = folder / f"{self.name}.mp4"
        if path.exists():
            return path
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(1)
        new = path.with_suffix(".new.mp4")
        with av.open(str(new), "w") as container:
            video = container.add_stream("libx264", rate=FRAMES_PER_SECOND)
            assert isinstance(video, av.VideoStream)
            video.width, video.height, video.pix_fmt = self.width, self.height, "yuv420p"
            video.options = {"preset": "ultrafast", "crf": "16"}
            colour = np.full((self.height // 2, self.width), 128, np.uint8)
            for number in range(_SECONDS * FRAMES_PER_SECOND):
                noise = random.integers(-_NOISE, _NOISE, (self.height, self.width), dtype=np.int16)
                luma = (noise + 100 + number % 50).astype(np.uint8)
                frame = av.VideoFrame.from_ndarray(np.concatenate([luma, colour]), format="yuv420p")
                container.mux(video.encode(frame))
            container.mux(video.encode(None))
        new.replace(path)
        return path


SMALL = Filmed("small", 320, 240, 8_000_000, 11_500_000)
"""8 Mbit/s out of a picture that costs the encoder little: what is measured is the agent."""
HD = Filmed("hd", 1280, 720, 4_000_000, 8_000_000)
"""As the packaged board `sim`."""
