"""`python -m tests.support.loopback_sound [SECONDS]`: beeps through the kernel's loopback card, filmed and measured.

aplay plays a beep each second into one end of snd-aloop; Microphone, muxer and AAC film the other end. When a beep was
played the kernel itself says: the player's status in /proc/asound tells how many samples it has played. Prints how far
after that each beep lies in the film (least, median, most), and exits with 1 when one lies further than LIMIT_MS from
it or is missing. Needs: the module snd-aloop, aplay (alsa-utils), access to /dev/snd.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hw.capture.main import BootClock
from hw.capture.source import SECOND_NS
from tests.support.filmed_sound import Filmed, film_microphone
from tests.support.sound_card import MS_NS, beep

LIMIT_MS = 40
RATE_HZ = 48_000
SECONDS = 300
CARD = "Loopback"
STATUS = Path(f"/proc/asound/{CARD}/pcm0p/sub0/status")
PLAYER = ("aplay", "-q", "-D", f"hw:CARD={CARD},DEV=0", "-t", "raw", "-f", "S16_LE", "-c", "2", "-r", str(RATE_HZ))
BUFFER = ("--buffer-time=1000000", "--period-time=100000", "--fatal-errors")
EDGE_S = 2
"""Beeps so near the beginning or the end of the film may be missing."""


def first_sample_ns(status: str, asked_ns: int) -> int | None:
    """When the first sample was played at the latest, by what the kernel said of a player before asked_ns; None: it
    does not run. It counts in ticks of its timer, and we ask late: the earliest of many answers is the best one."""
    told = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    fields = {name.strip(): value.strip() for name, value in told.items()}
    if fields.get("state") != "RUNNING":
        return None
    return asked_ns - int(fields["hw_ptr"]) * SECOND_NS // RATE_HZ


class Player:
    """Plays beeps while it is entered, from its first sample on each RATE_HZ samples."""

    def __init__(self) -> None:
        second = beep(np.arange(RATE_HZ, dtype=np.int64) * SECOND_NS // RATE_HZ)
        self._second = np.repeat(second, 2).astype("<i2").tobytes()
        self._stop = threading.Event()
        self._answers: list[int] = []

    @property
    def first_ns(self) -> int:
        """The boot clock's time at which the first sample was played."""
        return min(self._answers)

    @contextlib.contextmanager
    def playing(self) -> Iterator[None]:
        with subprocess.Popen([*PLAYER, *BUFFER], stdin=subprocess.PIPE) as process:
            threads = [threading.Thread(target=work, args=(process,)) for work in (self._feed, self._ask)]
            try:
                for thread in threads:
                    thread.start()
                if not self._begun():
                    raise SystemExit(f"{' '.join(PLAYER)}: does not play; load snd-aloop")
                yield
                if process.poll() is not None:
                    raise SystemExit("aplay fell behind: the machine is too slow to say anything")
            finally:
                self._stop.set()
                process.kill()
                for thread in threads:
                    thread.join()

    def _begun(self) -> bool:
        deadline = time.monotonic() + 20
        while not self._answers and time.monotonic() < deadline:
            time.sleep(0.05)
        return bool(self._answers)

    def _feed(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            while not self._stop.is_set():
                process.stdin.write(self._second)
                process.stdin.flush()

    def _ask(self, process: subprocess.Popen[bytes]) -> None:
        clock = BootClock()
        while not self._stop.is_set() and process.poll() is None:
            with contextlib.suppress(OSError):
                answer = first_sample_ns(STATUS.read_text(), clock.boot_ns())
                self._answers += [] if answer is None else [answer]
            time.sleep(0.1)


def after_ms(filmed: Filmed, first_ns: int) -> list[float]:
    """How long after it was played each beep lies in the film."""
    spans_ns = [beep_ns - first_ns for beep_ns in filmed.beeps_ns()]
    return [(span_ns - round(span_ns / SECOND_NS) * SECOND_NS) / MS_NS for span_ns in spans_ns]


def main(argv: Sequence[str]) -> int:
    """The exit code; see the module's text."""
    seconds = int(argv[0]) if argv else SECONDS
    player = Player()
    with tempfile.TemporaryDirectory() as folder:
        with player.playing():
            filmed = film_microphone(f"hw:CARD={CARD},DEV=1", seconds, Path(folder), RATE_HZ)
        found = after_ms(filmed, player.first_ns)
    for line in filmed.said:
        print(line)
    if not found:
        print("no beep was heard")
        return 1
    low, middle, high = min(found), statistics.median(found), max(found)
    print(f"{len(found)} beeps in {seconds} s: {low:.1f} / {middle:.1f} / {high:.1f} ms after they were played")
    return int(len(found) < seconds - EDGE_S or not -LIMIT_MS <= low <= high <= LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
