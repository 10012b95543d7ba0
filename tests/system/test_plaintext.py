"""No plaintext on the card: its raw image is searched, freed blocks included, after recordings, kills and cuts.

Texts are the payloads of every `mdat` that the capture process sent, recorded or not: a tap between capture and agent
copies them. Windows are 32 bytes with at least 16 values; the search is complete (tests/kills/image.py says why).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from agent.model import NS_PER_S
from agent.recording import Recording
from tests.kills.camera import Camera, Told, boot_ns, enrol
from tests.kills.card import read_card
from tests.kills.footage import make_film
from tests.kills.image import WINDOW_BYTES, Image, Searcher
from tests.kills.tap import payloads
from tests.kills.traps import Fate, Trap

IMAGE_MIB = 192
LEAST_BYTES = 5_000_000


@pytest.mark.parametrize("place", [0, 1, 7, 4093, 50_000])
@pytest.mark.parametrize("start", [0, 3, 1000, 9_968])
def test_a_window_is_found_wherever_it_lies(tmp_path: Path, place: int, start: int) -> None:
    """The harness must find what it looks for: one window of 32 bytes, at any place of text and image."""
    noise = np.random.default_rng(place * 100_000 + start)
    text, image = noise.bytes(10_000), bytearray(noise.bytes(60_000))
    (tmp_path / "clean").write_bytes(image)
    image[place : place + WINDOW_BYTES] = text[start : start + WINDOW_BYTES]
    (tmp_path / "image").write_bytes(image)
    searcher = Searcher([text])
    assert not list(searcher.search(tmp_path / "clean"))
    (hit,) = searcher.search(tmp_path / "image")
    assert hit.offset == place
    assert hit.window == text[start : start + WINDOW_BYTES]


def test_a_window_of_few_values_is_none(tmp_path: Path) -> None:
    few = bytes(range(15)) * 4
    (tmp_path / "image").write_bytes(bytes(500) + few + bytes(500))
    assert not list(Searcher([few]).search(tmp_path / "image"))
    enough = bytes(range(16)) * 4
    (tmp_path / "image").write_bytes(bytes(500) + enough + bytes(500))
    assert list(Searcher([enough]).search(tmp_path / "image"))


def test_no_plaintext_reaches_the_card(tmp_path: Path) -> None:
    image = Image(tmp_path / "card.ext4", IMAGE_MIB)
    image.mount()
    try:
        _work(tmp_path, image.mounted / "data")
    finally:
        image.unmount()
    texts = list(payloads(tmp_path / "sent"))
    assert sum(map(len, texts)) > LEAST_BYTES
    searcher = Searcher(texts)
    assert not list(searcher.search(image.path))
    _write_and_unlink(image, texts[len(texts) // 2][1001:9001])
    hits = list(searcher.search(image.path))
    assert sum(len(hit.window) for hit in hits) > 7_000, "the control is not found: the search proves nothing"


def _work(folder: Path, data: Path) -> None:
    """A shift: footage that nobody asked for, recordings, a kill, a cut in a drain, a capture process that dies."""
    enrol(folder, make_film(folder / "film.mp4"), data=data)
    camera = Camera(folder / "camera", data, tap=folder / "sent")
    try:
        camera.start()
        camera.wait_for("ready")
        _film(camera, 4)
        camera.do("tap")
        camera.wait_for("recording")
        _film(camera, 3)
        camera.kill()
        camera.start()
        camera.wait_for("recording")
        _film(camera, 2)
        camera.kill_capture()
        _film(camera, 3)
        camera.do("hold")
        camera.wait_for("ready")
        _film(camera, 4)
        camera.arm(Trap(Fate.CUT, Recording._write.__qualname__, 14, seed=1))
        camera.do("tap")
        assert camera.died(10)
        camera.start()
        camera.wait_for("ready")
        _film(camera, 3)
        camera.stop()
        assert sum(len(taken.pieces) for taken in read_card(data).recordings) > 12
    finally:
        camera.end()


def _film(camera: Camera, seconds: int) -> None:
    """Time in which footage comes."""
    from_ns = boot_ns()

    def holds(line: Told) -> bool:
        captured = line.get("captured")
        return isinstance(captured, list) and int(captured[1]) > from_ns + seconds * NS_PER_S

    camera.wait_told("footage", holds, seconds=seconds + 15)


def _write_and_unlink(image: Image, plain: bytes) -> None:
    """The control: what a program leaves that writes plaintext and removes it again."""
    image.mount()
    try:
        file = image.mounted / "data" / "scratch"
        with file.open("xb") as opened:
            opened.write(plain)
            os.fsync(opened.fileno())
        file.unlink()
    finally:
        image.unmount()
