"""The board's microphone: blocks of sound on the boot clock, for as long as there is one.

Guarantees: it posts SoundBlocks only, in order, each with the boot clock's time of its first sample
(hw/capture/sound_clock.py), whenever it was read; what the card lost is a hole between two blocks. A microphone that is
absent, in use, lost or silent ends nothing: it is said once, tried again after 1, 2, 4, ... MAX_WAIT_S seconds, and its
return is said too. The picture never waits for it. After `stop` nothing is posted any more.

Assumes that nothing else records from the card.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from agent.errors import CaptureError
from hw.capture.alsa import CONNECT, AlsaInput, OverrunError
from hw.capture.sound_clock import SoundClock
from hw.capture.source import SECOND_NS, Ended, Pacer, Packet, Post, SoundBlock, Source

MAX_WAIT_S = 30
SILENT_NS = 2 * SECOND_NS
POLL_MS = 200
STOP_TIMEOUT_S = 2.0


class SoundInput(Protocol):
    """A card that is open and runs; hw/capture/alsa.py says what it guarantees."""

    def read(self, timeout_ms: int) -> bytes:
        """The next samples, 16-bit little-endian, empty when none came in time. Raises CaptureError, OverrunError."""
        ...

    def close(self) -> None:
        """Give the card back. Once."""
        ...


class Microphone:
    """Started and stopped like a Source (hw/capture/source.py), of sound alone. `device`: ALSA's name of the card's
    device, `hw:CARD=mic,DEV=0`; `say` takes a line for whoever reads the log."""

    def __init__(
        self,
        device: str,
        rate_hz: int,
        pacer: Pacer,
        say: Callable[[str], None],
        open_input: Callable[[str, int], SoundInput] = AlsaInput,
    ) -> None:
        self._device = device
        self._rate_hz = rate_hz
        self._pacer = pacer
        self._say = say
        self._open = open_input
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._clock = SoundClock(rate_hz)
        self._missing = False
        self._wait_s = 1

    def start(self, post: Post) -> None:
        self._thread = threading.Thread(target=self._run, args=(post,), name="microphone", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_S)

    def _run(self, post: Post) -> None:
        while not self._stop.is_set():
            try:
                self._record(post)
            except CaptureError as error:
                self._clock.lost()
                if not self._missing:
                    self._say(f"{error}; filming goes on without sound")
                self._missing = True
                self._pacer.wait_until(self._pacer.boot_ns() + self._wait_s * SECOND_NS, self._stop)
                self._wait_s = min(self._wait_s * 2, MAX_WAIT_S)

    def _record(self, post: Post) -> None:
        """Until `stop`, or until the card fails with a CaptureError."""
        sound = self._open(self._device, self._rate_hz)
        try:
            heard_ns = self._pacer.boot_ns()
            while not self._stop.is_set():
                try:
                    samples = sound.read(POLL_MS)
                except OverrunError:
                    self._clock.lost()
                    continue
                now_ns = self._pacer.boot_ns()
                heard_ns = self._heard(samples, heard_ns, now_ns)
                self._post(post, self._clock.take(samples, now_ns))
        finally:
            sound.close()

    def _heard(self, samples: bytes, heard_ns: int, now_ns: int) -> int:
        """When samples came last. Raises CaptureError when that is too long ago."""
        if not samples:
            if now_ns - heard_ns > SILENT_NS:
                raise CaptureError(self._device, f"gives no samples for {SILENT_NS // SECOND_NS} s", CONNECT)
            return heard_ns
        if self._missing:
            self._say(f"{self._device}: there is sound again")
        self._missing = False
        self._wait_s = 1
        return now_ns

    def _post(self, post: Post, blocks: list[SoundBlock]) -> None:
        for block in blocks:
            if not self._stop.is_set():
                post(block)


class FilmWithSound:
    """A Source of a camera's pictures and a microphone's sound. It ends when the camera does."""

    def __init__(self, camera: Source, microphone: Microphone) -> None:
        self._camera = camera
        self._microphone = microphone

    def start(self, post: Post) -> None:
        gate = threading.Lock()
        ended = False

        def post_until_ended(packet: Packet) -> None:
            nonlocal ended
            with gate:
                if not ended:
                    ended = isinstance(packet, Ended)
                    post(packet)

        self._camera.start(post_until_ended)
        self._microphone.start(post_until_ended)

    def film_at(self, percent: int) -> None:
        self._camera.film_at(percent)

    def stop(self) -> None:
        self._camera.stop()
        self._microphone.stop()
