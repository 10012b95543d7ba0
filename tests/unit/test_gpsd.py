"""hw/place.py: what gpsd says becomes a position, or nothing; and a gpsd that comes, goes and misbehaves."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import Place, PlaceSource
from agent.threads import Loop
from hw.place import MAX_ERROR_M, MAX_LINE_BYTES, WATCH, GpsdPlace, parse_fix, pause_s
from tests.support.fake_clock import FakeClock
from tests.support.gpsd import DEVICES, FIX, LIMIT_S, NO_FIX, SKY, VERSION, WATCHING, FakeGpsd

NOW_NS = 77
SMALL = {"class": "TPV", "mode": 2, "lat": 48.5, "lon": -2.25, "eph": 4.2}


def line(**changes: object) -> bytes:
    """A small TPV with these fields; None takes one away."""
    return json.dumps({key: value for key, value in {**SMALL, **changes}.items() if value is not None}).encode()


def test_a_fix_of_a_real_gpsd() -> None:
    assert parse_fix(FIX, NOW_NS) == Place(488_566_133, 23_522_217, 19, NOW_NS, PlaceSource.GNSS)


@pytest.mark.parametrize("said", [VERSION, DEVICES, WATCHING, NO_FIX, SKY, b"", b"\r\n"])
def test_what_else_a_real_gpsd_says_is_no_position(said: bytes) -> None:
    assert parse_fix(said, NOW_NS) is None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (line(), (485_000_000, -22_500_000, 5)),
        (line(mode=3), (485_000_000, -22_500_000, 5)),
        (line(lat=90, lon=180, eph=0), (900_000_000, 1_800_000_000, 1)),
        (line(lat=-90, lon=-180, eph=MAX_ERROR_M), (-900_000_000, -1_800_000_000, MAX_ERROR_M)),
        (line(eph=None, epx=3.0, epy=4.0), (485_000_000, -22_500_000, 5)),  # as gpsd before 3.20 tells it
        (line(lat=1e-9, lon=-0.0), (0, 0, 5)),
    ],
)
def test_positions(said: bytes, expected: tuple[int, int, int]) -> None:
    assert parse_fix(said, NOW_NS) == Place(*expected, NOW_NS)


WRONG: dict[str, bytes] = {
    "no class": line(**{"class": None}),
    "another class": line(**{"class": "ATT"}),
    "a class of another type": line(**{"class": ["TPV"]}),
    "no mode": line(mode=None),
    "mode 0": line(mode=0),
    "mode 1": line(mode=1),
    "mode 4": line(mode=4),
    "a mode that is true": line(mode=True),
    "a mode as text": line(mode="3"),
    "a mode as a fraction": line(mode=3.0),
    "a mode as a list": line(mode=[3]),
    "no latitude": line(lat=None),
    "no longitude": line(lon=None),
    "no error estimate": line(eph=None),
    "half an error estimate": line(eph=None, epx=3.0),
    "a negative error": line(eph=-0.1),
    "negative errors": line(eph=None, epx=-3.0, epy=-4.0),
    "an error beyond use": line(eph=MAX_ERROR_M + 0.1),
    "a latitude beyond the pole": line(lat=90.0001),
    "a longitude beyond the date line": line(lon=-180.0001),
    "a latitude as text": line(lat="48.5"),
    "a latitude that is true": line(lat=True),
    "a longitude as an object": line(lon={"lon": 2}),
    "a latitude beyond a float": line(lat=10**400),
    "a latitude of too many digits": b'{"class":"TPV","mode":3,"lat":' + b"9" * 9_000 + b',"lon":2,"eph":4}',
    "NaN": line(lat=float("nan")),
    "a longitude that is NaN": line(lon=float("nan")),
    "an error that is NaN": line(eph=float("nan")),
    "half an error that is NaN": line(eph=None, epx=float("nan"), epy=1.0),
    "the other half": line(eph=None, epx=1.0, epy=float("nan")),
    "a negative half": line(eph=None, epx=1.0, epy=-1.0),
    "an infinite half": line(eph=None, epx=1.0, epy=float("inf")),
    "Infinity": line(eph=float("inf")),
    "-Infinity": line(lon=float("-inf")),
    "a number that is infinite": line().replace(b"4.2", b"1e999"),
    "not UTF-8": line()[:-1] + b',"x":"\xff"}',
    "half a line": line()[:-1],
    "two objects": line() + line(),
    "a list": b"[" + line() + b"]",
    "a text": b'"TPV"',
    "a number": b"3",
    "null": b"null",
    "deep nesting": b'{"class":"TPV","x":' + b"[" * 16_000,
    "deep objects": b'{"class":"TPV","x":' + b'{"a":' * 3_000,
    "a huge line": line()[:-1] + b',"x":"' + b"a" * MAX_LINE_BYTES + b'"}',
    "zeros": bytes(1_000),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_what_is_no_position_is_passed_over(name: str) -> None:
    assert parse_fix(WRONG[name], NOW_NS) is None


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda more: FIX[:-3] + more + b"}"))
def test_no_bytes_raise(data: bytes) -> None:
    parse_fix(data, NOW_NS)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["mode", "lat", "lon", "eph", "epx", "epy"]), _JSON))
def test_whatever_the_fields_hold_a_position_is_one(changes: dict[str, object]) -> None:
    found = parse_fix(json.dumps({**SMALL, **changes}).encode(), NOW_NS)
    if found is not None:
        assert abs(found.latitude_e7) <= 900_000_000
        assert abs(found.longitude_e7) <= 1_800_000_000
        assert 1 <= found.error_m <= MAX_ERROR_M
        assert all(type(each) is int for each in (found.latitude_e7, found.longitude_e7, found.error_m))


# --- over a real socket -----------------------------------------------------------------------------------------------


class Listening:
    """A GpsdPlace in its loop, and what it has posted."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.posted: queue.Queue[Place] = queue.Queue()
        self.clock = FakeClock(now_ns=NOW_NS)
        self.place = GpsdPlace(self.clock, self.posted.put, address, lambda failures: 0.01)
        self.loop = Loop("place", self.place.turn, lambda: None)
        self.loop.start()

    def next(self) -> Place:
        return self.posted.get(timeout=LIMIT_S)

    def end(self) -> None:
        self.place.end()
        self.loop.join(LIMIT_S)
        assert not self.loop.is_alive(), "it does not end when it is told"
        self.loop.check()


@pytest.fixture
def gpsd() -> Iterator[FakeGpsd]:
    made = FakeGpsd()
    yield made
    made.close()


@pytest.fixture
def listen() -> Iterator[Callable[[tuple[str, int]], Listening]]:
    made: list[Listening] = []

    def start(address: tuple[str, int]) -> Listening:
        made.append(Listening(address))
        return made[-1]

    yield start
    for each in made:
        each.end()


def test_it_asks_to_watch_and_posts_each_position(
    gpsd: FakeGpsd, listen: Callable[[tuple[str, int]], Listening]
) -> None:
    camera = listen(gpsd.address)
    connection = gpsd.connected()
    assert gpsd.asked == [WATCH]
    connection.sendall(NO_FIX + SKY + FIX)
    assert camera.next() == Place(488_566_133, 23_522_217, 19, NOW_NS)
    camera.clock.now_ns += 1_000
    connection.sendall(FIX[:50])
    connection.sendall(FIX[50:])
    assert camera.next().boot_ns == NOW_NS + 1_000
    assert camera.posted.empty()


def test_hostile_lines_cost_nothing_but_themselves(
    gpsd: FakeGpsd, listen: Callable[[tuple[str, int]], Listening]
) -> None:
    camera = listen(gpsd.address)
    connection = gpsd.connected()
    for name in sorted(WRONG.keys() - {"a huge line"}):
        connection.sendall(WRONG[name] + b"\n")
    connection.sendall(FIX)
    assert camera.next().error_m == 19
    assert camera.posted.empty()


def test_a_line_without_an_end_ends_the_connection(
    gpsd: FakeGpsd, listen: Callable[[tuple[str, int]], Listening]
) -> None:
    camera = listen(gpsd.address)
    connection = gpsd.connected()
    connection.settimeout(LIMIT_S)
    with pytest.raises(ConnectionError):
        connection.sendall(b"a" * 64 * 1024 * 1024)
    gpsd.connected().sendall(FIX)
    assert camera.next().error_m == 19


def test_it_comes_back_when_gpsd_does(gpsd: FakeGpsd, listen: Callable[[tuple[str, int]], Listening]) -> None:
    camera = listen(gpsd.address)
    for _ in range(3):
        connection = gpsd.connected()
        connection.sendall(FIX)
        camera.next()
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


def test_without_a_gpsd_it_tries_again_and_ends_when_told(listen: Callable[[tuple[str, int]], Listening]) -> None:
    gone = FakeGpsd()
    gone.close()
    camera = listen(gone.address)
    camera.end()


def test_it_ends_at_once_while_gpsd_says_nothing(
    gpsd: FakeGpsd, listen: Callable[[tuple[str, int]], Listening]
) -> None:
    camera = listen(gpsd.address)
    gpsd.connected()
    camera.end()


@pytest.mark.parametrize(("failures", "expected"), [(0, 1), (1, 2), (4, 16), (5, 30), (10**9, 30)])
def test_the_pauses_grow_to_half_a_minute(failures: int, expected: float) -> None:
    assert pause_s(failures) == expected


def test_the_pauses_begin_anew_after_a_position(gpsd: FakeGpsd) -> None:
    failures: list[int] = []

    def noted(count: int) -> float:
        failures.append(count)
        return 0.0

    place = GpsdPlace(FakeClock(), lambda place: None, gpsd.address, noted)
    for said in (NO_FIX, NO_FIX, FIX, NO_FIX):
        turn = threading.Thread(target=place.turn)
        turn.start()
        connection = gpsd.connected()
        connection.sendall(said)
        connection.shutdown(socket.SHUT_RDWR)
        turn.join(LIMIT_S)
    gpsd.stop_listening()
    for _ in range(3):
        place.turn()
    assert failures == [0, 1, 0, 1, 2, 3, 4]
