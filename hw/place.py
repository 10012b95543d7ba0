"""Where the camera is, as gpsd tells (gpsd_json(5)): each position with an error estimate is posted as it comes.

Guarantees: nothing that gpsd or another program behind its port sends is trusted further than its form: only a TPV of
mode 2 or 3 with latitude, longitude and error in their ranges counts, all else is passed over, a line of more than
16 KiB ends the connection. Nobody waits for it: it connects again by itself, after a pause that grows to 30 s.
Assumes: `turn` is called again and again by one thread (agent/threads.py Loop), and `end` once, from any.
"""

from __future__ import annotations

import contextlib
import json
import math
import socket
import threading
from collections.abc import Callable

from agent.model import Place
from agent.ports import Clock

GPSD = ("127.0.0.1", 2947)
WATCH = b'?WATCH={"enable":true,"json":true};\n'
MAX_LINE_BYTES = 16 * 1024  # gpsd's own longest is 10,240
MAX_ERROR_M = 10_000  # an estimate above this says nothing that the sector does not say better
MAX_PAUSE_S = 30.0
CONNECT_S = 5.0

_READ_BYTES = 4096
_FIX_2D, _FIX_3D = 2, 3
_DEGREE_E7 = 10**7


def pause_s(failures: int) -> float:
    """How long to leave gpsd alone after so many connections in a row that told no position: 1 s, 2 s, 4 s, ..."""
    return min(2.0 ** min(failures, 10), MAX_PAUSE_S)


class GpsdPlace:
    """Posts each position. `post` is called by the thread of `turn`; it returns at once and never raises."""

    def __init__(
        self,
        clock: Clock,
        post: Callable[[Place], None],
        address: tuple[str, int] = GPSD,
        pause: Callable[[int], float] = pause_s,
    ) -> None:
        self._clock = clock
        self._post = post
        self._address = address
        self._pause = pause
        self._failures = 0
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._connection: socket.socket | None = None

    def turn(self) -> bool:
        """One connection until it ends, then a pause. False once it is to end."""
        with contextlib.suppress(OSError):
            self._listen()
        self._ending.wait(self._pause(self._failures))
        self._failures += 1
        return not self._ending.is_set()

    def end(self) -> None:
        """Leave gpsd, and do not come back: `turn` returns at once."""
        self._ending.set()
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(OSError):  # the other side was faster
                    self._connection.shutdown(socket.SHUT_RDWR)

    def _listen(self) -> None:
        with socket.create_connection(self._address, CONNECT_S) as connection:
            with self._lock:
                if self._ending.is_set():
                    return
                self._connection = connection
            try:
                connection.settimeout(None)
                connection.sendall(WATCH)
                self._read(connection)
            finally:
                with self._lock:
                    self._connection = None

    def _read(self, connection: socket.socket) -> None:
        rest = b""
        while data := connection.recv(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(line)
            if len(rest) > MAX_LINE_BYTES:
                return

    def _take(self, line: bytes) -> None:
        place = parse_fix(line, self._clock.boot_ns())
        if place is not None:
            self._failures = 0
            self._post(place)


def parse_fix(line: bytes, boot_ns: int) -> Place | None:
    """The position that a line of gpsd's tells; None for every other line."""
    if len(line) > MAX_LINE_BYTES:
        return None
    try:
        report: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(report, dict) or report.get("class") != "TPV":
        return None
    mode, latitude, longitude = report.get("mode"), _number(report, "lat"), _number(report, "lon")
    error_m = _error_m(report)
    if not isinstance(mode, int) or mode not in (_FIX_2D, _FIX_3D):
        return None
    # What is not a number is in no range: comparing with NaN is false.
    if not (abs(latitude) <= 90 and abs(longitude) <= 180 and 0 <= error_m <= MAX_ERROR_M):
        return None
    return Place(round(latitude * _DEGREE_E7), round(longitude * _DEGREE_E7), max(1, math.ceil(error_m)), boot_ns)


def _error_m(report: dict[str, object]) -> float:
    """Of the position on the ground: gpsd tells it as one figure (`eph`, 3.20 and newer) or as two."""
    whole = _number(report, "eph")
    if not math.isnan(whole):
        return whole
    east, north = _number(report, "epx"), _number(report, "epy")
    return math.hypot(east, north) if min(east, north) >= 0 else math.nan


def _number(report: dict[str, object], key: str) -> float:
    """NaN for what is none, or none of a float's."""
    found = report.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return math.nan
    try:
        return float(found)
    except OverflowError:
        return math.nan
