"""A covered lens and a dead microphone on a real agent with its real capture process: found, told, and no reason to
refuse; and found again in the journal, where a doctor and a court can read it."""

from __future__ import annotations

import json
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from agent.health import Outcome
from agent.model import NS_PER_S
from agent.selftest import LEAST_SEEN
from tests.support.shift import Camera, boot_ns, command, succeed
from tests.support.shift import make_agency as init_agency

WIDTH, HEIGHT, RATE = 320, 180, 25
BLACK, NOISE = 16, 5


def covered_film(path: Path) -> Path:
    """Two seconds of black with a sensor's noise on it; no sound."""
    noise = np.random.default_rng(1)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE)
        assert isinstance(video, av.VideoStream)
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        video.options = {"preset": "ultrafast", "crf": "10"}
        grey = np.full((HEIGHT // 2, WIDTH), 128, np.uint8)
        for number in range(2 * RATE):
            luma = np.clip(noise.normal(BLACK, NOISE, (HEIGHT, WIDTH)), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(np.concatenate([luma, grey]), format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def last_selftest(config: Path) -> dict[str, str]:
    """The outcome of each check, as the doctor shows the last self-test."""
    found = json.loads(command("temoin", "doctor", "--config", config, "--json").stdout)["findings"]
    about = [one["about"].removeprefix("selftest.") for one in found if (one["about"] or "").startswith("selftest.")]
    return dict(each.rsplit("_", 1) for each in about)


def test_a_covered_lens_is_found_told_and_films(tmp_path: Path) -> None:
    agency = init_agency(tmp_path / "agency", covered_film(tmp_path / "film.mp4"), "classic", prerecord_s=5)
    folder = Path(shutil.copytree(agency.camera, tmp_path / "camera"))
    with Camera(folder) as camera:
        camera.start()
        started_ns = boot_ns()
        told = camera.wait("told of its lens", lambda status: "lens_covered" in str(status.get("conditions")))
        assert "no_sound" in str(told["conditions"])
        assert boot_ns() - started_ns >= (LEAST_SEEN - 1) * NS_PER_S, "not by a moment in the dark"
        camera.wait("tested", lambda status: bool(last_selftest(folder / "camera.toml")))
        found = last_selftest(folder / "camera.toml")
        assert (found["lens"], found["microphone"]) == (Outcome.FAILED, Outcome.FAILED)
        assert (found["camera"], found["focus"], found["key"]) == (Outcome.WELL, Outcome.UNKNOWN, Outcome.WELL)
        assert "objectif masqué" in succeed("temoin", "status", "--config", folder / "camera.toml")
        camera.do("tap")
        camera.wait_for("recording")
    said = command("temoin", "verify", folder / "data", "--trust", agency.root, "--allow-simulated")
    assert said.returncode == 0, said.stdout
