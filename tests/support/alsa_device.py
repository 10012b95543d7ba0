"""A microphone for ALSA's real library where the kernel has no sound: a pipe that a thread fills in real time.

ALSA's `file` plugin reads a pipe instead of a card; this configuration puts it where `plughw:` looks for one. It is a
32-bit stereo card, as many I2S microphones are: the left channel has the sound, the right one what nobody must hear.
The thread keeps the card's own clock, `ppm` fast. What does not fit into the pipe is lost without a word.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
import termios
import threading
from pathlib import Path

import numpy as np

from hw.capture.main import BootClock
from hw.capture.source import SECOND_NS
from tests.support.sound_card import Sound, Times

RATE_HZ = 48_000
PERIOD = RATE_HZ // 50
ROOM_BYTES = 61_440  # eight periods; a pipe has 65,536
SYSTEM_CONFIG = Path("/usr/share/alsa/alsa.conf")

_CONFIG = """
<{system}>
pcm.!plughw {{
  @args [ CARD DEV SUBDEV ]
  @args.CARD {{ type string }}
  @args.DEV {{ type integer default 0 }}
  @args.SUBDEV {{ type integer default -1 }}
  type plug
  slave {{
    format S32_LE
    channels 2
    rate {rate}
    pcm {{ type file slave.pcm null file /dev/null infile "{pipe}" format raw }}
  }}
}}
"""


class PipedCard:
    """While it is entered, the card plays `sound` of the boot clock's time to whoever reads. `config` is a file for
    ALSA_CONFIG_PATH, there from the beginning; the pipe is there once it is entered."""

    def __init__(self, folder: Path, sound: Sound, ppm: int = 0) -> None:
        self.config = folder / "alsa.conf"
        self._path = folder / "card"
        self._pipe: int | None = None
        self._sound = sound
        self._sample_ns = SECOND_NS / RATE_HZ * (1 - ppm / 1_000_000)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.config.write_text(_CONFIG.format(system=SYSTEM_CONFIG, rate=RATE_HZ, pipe=self._path))

    def __enter__(self) -> PipedCard:
        os.mkfifo(self._path)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _play(self) -> None:
        clock = BootClock()
        begin_ns, number = clock.boot_ns(), 0
        while not self._stop.is_set():
            times = begin_ns + ((number + np.arange(PERIOD)) * self._sample_ns).astype(np.int64)
            number += PERIOD
            clock.wait_until(begin_ns + round(number * self._sample_ns), self._stop)
            self._deliver(times)
        if self._pipe is not None:
            os.close(self._pipe)

    def _deliver(self, times: Times) -> None:
        """To the one who has the pipe open, if it has room for all of it."""
        frames = np.full((len(times), 2), 20_000 << 16, "<i4")
        frames[:, 0] = self._sound(times).astype(np.int32) << 16
        try:
            if self._pipe is None:
                self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            (unread,) = struct.unpack("i", fcntl.ioctl(self._pipe, termios.FIONREAD, bytes(4)))
            if unread + frames.nbytes <= ROOM_BYTES:
                os.write(self._pipe, frames.tobytes())
        except BrokenPipeError:
            assert self._pipe is not None
            os.close(self._pipe)
            self._pipe = None
        except OSError as error:
            if error.errno != errno.ENXIO:  # nobody reads
                raise
