"""Headless Chromium plays the clip and seeks in it: the picture that it shows is the one of that moment.

The clip is served over loopback with Range requests, as a browser wants it to seek (and under file:// a canvas may not
be read). Needs the package chromium and Python's playwright (`make check` installs both); downloads no browser.
"""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypedDict

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from agent.model import NS_PER_S
from tests.support.footage import NUMBER_BITS, read_numbers
from tests.support.footage_matrix import Case
from tests.support.interop import tool
from tests.support.shift import fragments

PICTURES_PER_S = 25
SOUND_BLOCK_S = 1024 / 48_000  # Chromium counts the last block of sound whole; the edit list ends it with the picture
LIMIT_MS = 60_000
SWITCHES = (
    "--no-sandbox",  # the checks run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PAGE = b"<!doctype html><title>clip</title><video id=clip src=/clip.mp4 preload=auto muted></video>"

# The levels of the number's 16 bars in the picture on show, each the mean of the middle of a bar; `width` is the part
# of the picture's width that the film takes.
LEVELS = """
const levels = (clip, width) => {
  const canvas = new OffscreenCanvas(clip.videoWidth, clip.videoHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(clip, 0, 0);
  const content = canvas.width * width, left = (canvas.width - content) / 2;
  return Array.from({ length: 16 }, (_, bar) => {
    const x = Math.floor(left + content * (bar + 0.3) / 16);
    const wide = Math.max(Math.floor(content * 0.4 / 16), 1), high = Math.floor(canvas.height / 16);
    const { data } = context.getImageData(x, Math.floor(canvas.height * 15 / 32), wide, high);
    let sum = 0;
    for (let at = 0; at < data.length; at += 4) sum += (data[at] + data[at + 1] + data[at + 2]) / 3;
    return sum / (data.length / 4);
  });
};
const once = (clip, name) => new Promise((done, failed) => {
  clip.addEventListener(name, done, { once: true });
  clip.addEventListener("error", () => failed(new Error(clip.error.message)), { once: true });
});
"""
OPEN = """async () => {
  const clip = document.getElementById("clip");
  while (clip.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) {
    if (clip.error) throw new Error(clip.error.message);
    await new Promise((done) => setTimeout(done, 10));
  }
  const { duration, currentTime, videoWidth, videoHeight, seekable } = clip;
  return { duration, currentTime, videoWidth, videoHeight, seekable: [seekable.start(0), seekable.end(0)] };
}"""
SEEK = f"""async ([seconds, width]) => {{
  {LEVELS}
  const clip = document.getElementById("clip"), seeked = once(clip, "seeked");
  // "seeked" may come before its picture is on show, and the callback for the one before after it.
  const drawn = new Promise((done) => {{
    const look = (_, {{ mediaTime }}) =>
      Math.abs(mediaTime - seconds) < {1 / PICTURES_PER_S} ? done() : clip.requestVideoFrameCallback(look);
    clip.requestVideoFrameCallback(look);
  }});
  clip.currentTime = seconds;
  await seeked;
  await drawn;
  return levels(clip, width);
}}"""
FIRST = f"""([width]) => {{ {LEVELS} return levels(document.getElementById("clip"), width); }}"""
PLAY = f"""async ([seconds, width]) => {{
  {LEVELS}
  const clip = document.getElementById("clip"), seeked = once(clip, "seeked");
  clip.currentTime = seconds;
  await seeked;
  const ended = once(clip, "ended");
  await clip.play();
  await ended;
  return levels(clip, width);
}}"""


class Opened(TypedDict):
    """What the player says of a clip before it plays."""

    duration: float
    currentTime: float
    videoWidth: int
    videoHeight: int
    seekable: list[float]


class ClipServer(BaseHTTPRequestHandler):
    """The page, and one clip with Range requests of one range (RFC 9110, section 14)."""

    protocol_version = "HTTP/1.1"

    def __init__(self, clip: Path, ranges: list[str], *arguments: object) -> None:
        self._clip = clip
        self._ranges = ranges
        super().__init__(*arguments)  # type: ignore[arg-type]  # socketserver calls this with its own three

    def handle(self) -> None:
        with contextlib.suppress(ConnectionResetError):  # the player has what it wanted
            super().handle()

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(200, "text/html", PAGE, [])
        elif self.path == "/clip.mp4":
            self._send_clip(self._clip.read_bytes())
        else:
            self._answer(404, "text/plain", b"", [])

    def _send_clip(self, data: bytes) -> None:
        asked = re.fullmatch(r"bytes=([0-9]+)-([0-9]*)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, "video/mp4", data, [("Accept-Ranges", "bytes")])
            return
        self._ranges.append(asked[0])
        first, last = int(asked[1]), min(int(asked[2] or len(data)), len(data) - 1)
        part = [("Accept-Ranges", "bytes"), ("Content-Range", f"bytes {first}-{last}/{len(data)}")]
        self._answer(206, "video/mp4", data[first : last + 1], part)

    def _answer(self, code: int, kind: str, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response(code)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
        except BrokenPipeError:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=tool("chromium", "chromium"), args=list(SWITCHES))
        yield launched
        launched.close()


@pytest.fixture
def ranges() -> list[str]:
    """The ranges that the player asked for."""
    return []


@pytest.fixture
def page(case: Case, browser: Browser, ranges: list[str]) -> Iterator[Page]:
    """The clip of the case, loaded."""
    handler = partial(ClipServer, case.bundle / "clip.mp4", ranges)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        page = browser.new_page()
        page.set_default_timeout(LIMIT_MS)
        try:
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            yield page
        finally:
            page.close()
            server.shutdown()
            thread.join()


def number(levels: list[float]) -> int:
    """The number that the bars spell, highest bit on the left."""
    assert len(levels) == NUMBER_BITS
    assert not any(80 < level < 170 for level in levels), f"neither black nor white: {levels}"
    return sum((level > 128) << (NUMBER_BITS - 1 - bar) for bar, level in enumerate(levels))


def test_a_seek_shows_the_picture_of_that_moment(case: Case, page: Page, ranges: list[str]) -> None:
    parts = fragments(case.worked.data, case.worked.whole)
    numbers = read_numbers(case.bundle / "clip.mp4", case.film.content_width)
    width, lasts_s = float(case.film.content_width), (parts[-1].end_ns - parts[0].t0_ns) / NS_PER_S
    opened: Opened = page.evaluate(OPEN)
    assert 0 <= opened["duration"] - lasts_s < SOUND_BLOCK_S
    assert (opened["currentTime"], opened["seekable"]) == (0, [0, opened["duration"]])
    assert (opened["videoWidth"], opened["videoHeight"]) == (1280, 720)
    assert number(page.evaluate(FIRST, [width])) == numbers[0]
    last = len(numbers) - 1
    # The middle; the end; both sides of the border of a GOP; back to the start; and places of no meaning.
    for place in (last // 2, last, 3 * 25 - 1, 3 * 25, 0, last - 1, 37, last * 2 // 3, 1):
        seconds = (place + 0.5) / PICTURES_PER_S
        assert number(page.evaluate(SEEK, [seconds, width])) == numbers[place], f"at {seconds} s"
    assert ranges, "the player did not seek by Range requests"


def test_it_plays_to_its_last_picture(case: Case, page: Page) -> None:
    numbers = read_numbers(case.bundle / "clip.mp4", case.film.content_width)
    opened: Opened = page.evaluate(OPEN)
    levels = page.evaluate(PLAY, [opened["duration"] - 0.6, float(case.film.content_width)])
    assert number(levels) == numbers[-1]
