"""The capture service as its unit runs it: its own command line, a real capture process, a film."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import local_socket
from agent.formats import pipe
from hw.boards import board_file
from hw.capture_service import ServiceCapture
from tests.support.footage import make_footage

WITHIN_S = 60.0
LEAN_KIB = 13 * 1024  # Python itself takes 10.8 MiB of it


class Bench:
    """The service, which is told where the agent listens, and what to play."""

    def __init__(self, folder: Path, film: Path) -> None:
        self.listener = local_socket.listen(folder / "capture.sock", 0o660)
        self.listener.settimeout(WITHIN_S)
        arguments = [
            "--socket",
            str(folder / "capture.sock"),
            "--board",
            str(board_file("sim")),
            "--footage",
            str(film),
        ]
        with local_socket.listen(folder / "start.sock", 0o660) as start:
            self.service = subprocess.Popen(
                [sys.executable, "-m", "hw.capture.service", *arguments],
                stdin=start.fileno(),
                stderr=subprocess.DEVNULL,
            )
        self.capture = ServiceCapture(folder / "start.sock")

    def filming(self) -> socket.socket:
        """The connection of a capture process that delivers."""
        connection, _ = self.listener.accept()
        connection.settimeout(WITHIN_S)
        header = pipe.parse_header(connection.recv(pipe.HEADER_BYTES, socket.MSG_WAITALL))
        assert isinstance(header, pipe.InitHeader)
        return connection

    def close(self) -> None:
        self.capture.kill()
        self.service.kill()
        self.service.wait()
        self.listener.close()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_footage(tmp_path / "film.mp4", frames=50)


@pytest.fixture
def bench(tmp_path: Path, film: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, film)
    yield bench
    bench.close()


def until_it_ends(connection: socket.socket) -> None:
    """Read what it still said. Raises TimeoutError."""
    while connection.recv(65_536):
        pass


def test_it_films_and_takes_little(bench: Bench) -> None:
    bench.capture.start()
    with bench.filming() as connection:
        status = Path(f"/proc/{bench.service.pid}/status").read_text()
        rss_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        print(f"the launcher takes {rss_kib / 1024:.1f} MiB")
        assert rss_kib < LEAN_KIB
        began = time.monotonic()
        bench.capture.kill()
        print(f"killed in {(time.monotonic() - began) * 1000:.0f} ms")
        until_it_ends(connection)


def test_told_to_end_it_takes_its_capture_process_with_it(bench: Bench) -> None:
    bench.capture.start()
    with bench.filming() as connection:
        peer = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        os.kill(int.from_bytes(peer[:4], sys.byteorder), signal.SIGSTOP)
        bench.service.terminate()
        assert bench.service.wait(WITHIN_S) == 0
        until_it_ends(connection)
        assert not bench.capture.alive()


def test_a_film_that_is_not_there_is_said(bench: Bench, film: Path) -> None:
    film.unlink()
    bench.capture.start()
    ends = time.monotonic() + WITHIN_S
    while bench.capture.alive():
        assert time.monotonic() < ends
        select.select([], [], [], 0.01)
    assert bench.capture.last_words().startswith("capture: ")
    assert str(film) in bench.capture.last_words()
