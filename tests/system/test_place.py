"""A real gpsd, fed with what a receiver says, and the stock `age` over the journal that comes of it.

The receiver is a socket that speaks NMEA 0183, which gpsd takes for one: the program gpsfake does no more, and Debian's
package of it wants a desktop. Needs the packages gpsd and age; not part of the fast suite.
"""

from __future__ import annotations

import functools
import operator
import queue
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.formats.age import RecipientKind, parse_recipients
from agent.formats.canonical import decode
from agent.model import Place
from agent.placing import Placing
from agent.threads import Loop
from hw.place import GpsdPlace
from tests.support.agency import TestAgency, make_agency, seeded_random
from tests.support.evidence import builder
from tests.support.exports import film, make_bundle
from tests.support.fake_clock import FakeClock
from tests.support.interop import tool

LIMIT_S = 30
COURT = Path(__file__).parents[2] / "docs" / "court.md"


def sentence(body: str) -> bytes:
    """With its checksum: NMEA 0183."""
    return f"${body}*{functools.reduce(operator.xor, body.encode()):02X}\r\n".encode()


class Receiver:
    """A GNSS receiver that has a position, or sees no satellite, five times a second."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._ended = threading.Event()
        self.latitude = "4851.3968"
        self.fixed = True
        self._thread = threading.Thread(target=self._speak, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(LIMIT_S)

    def _speak(self) -> None:
        seconds = 0
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
                with connection:
                    while not self._ended.wait(0.2):
                        connection.sendall(self._second(seconds))
                        seconds += 1
            except OSError:
                continue

    def _second(self, seconds: int) -> bytes:
        at = f"12{seconds // 60 % 60:02d}{seconds % 60:02d}.00"
        where = f"{self.latitude},N,00221.1333,E"
        if not self.fixed:
            return sentence(f"GPGGA,{at},,,,,0,00,,,M,,M,,") + sentence(f"GPRMC,{at},V,,,,,,,241126,,,N")
        return (
            sentence(f"GPGGA,{at},{where},1,08,1.0,35.0,M,48.0,M,,")
            + sentence("GPGSA,A,3,04,05,09,12,24,25,29,31,,,,,1.8,1.0,1.5")
            + sentence("GPGSV,2,1,08,04,40,083,46,05,17,308,41,09,07,344,39,12,22,228,45")
            + sentence("GPGSV,2,2,08,24,80,083,46,25,47,308,41,29,37,144,39,31,52,128,45")
            + sentence(f"GPRMC,{at},A,{where},0.5,54.7,241126,,,A")
        )


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def gpsd(receiver: Receiver) -> Iterator[Callable[[], tuple[str, int]]]:
    """Starts it at its address; the second time in place of the first."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address: tuple[str, int] = free.getsockname()
    running: list[subprocess.Popen[bytes]] = []

    def start() -> tuple[str, int]:
        end()
        program = [tool("gpsd", "gpsd"), "-N", "-n", "-b", "-S", str(address[1]), f"tcp://127.0.0.1:{receiver.port}"]
        running.append(subprocess.Popen(program, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return address

    def end() -> None:
        while running:
            running[-1].kill()
            running.pop().wait(LIMIT_S)

    yield start
    end()


@pytest.fixture
def posted(gpsd: Callable[[], tuple[str, int]]) -> Iterator[queue.Queue[Place]]:
    places: queue.Queue[Place] = queue.Queue()
    place = GpsdPlace(FakeClock(), places.put, gpsd(), lambda failures: 0.2)
    loop = Loop("place", place.turn, lambda: None)
    loop.start()
    yield places
    place.end()
    loop.join(LIMIT_S)
    assert not loop.is_alive()
    loop.check()


def until(places: queue.Queue[Place], wanted: Callable[[Place], bool]) -> Place:
    while not wanted(found := places.get(timeout=LIMIT_S)):
        pass
    return found


def test_what_the_receiver_says_is_posted_as_it_moves(posted: queue.Queue[Place], receiver: Receiver) -> None:
    first = posted.get(timeout=LIMIT_S)
    assert (first.latitude_e7, first.longitude_e7) == (488_566_133, 23_522_217)
    assert 1 <= first.error_m <= 100
    receiver.latitude = "4851.4968"
    assert until(posted, lambda place: place.latitude_e7 != first.latitude_e7).latitude_e7 == 488_582_800


def test_it_survives_gpsd_and_a_receiver_that_sees_nothing(
    posted: queue.Queue[Place], receiver: Receiver, gpsd: Callable[[], tuple[str, int]]
) -> None:
    posted.get(timeout=LIMIT_S)
    receiver.fixed = False
    receiver.latitude = "4852.0000"
    gpsd()
    receiver.fixed = True
    assert until(posted, lambda place: place.latitude_e7 == 488_666_667).error_m >= 1


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    """Of the classic kind, which every age opens."""
    return make_agency(tmp_path_factory.mktemp("agency"), kind=RecipientKind.CLASSIC, simulated=False)


def test_the_court_opens_the_places_of_a_bundle_with_the_command_of_its_page(
    tmp_path: Path, agency: TestAgency
) -> None:
    tool("age", "age")
    made = builder(tmp_path / "data", agency)
    made.genesis()
    made.mono_ns += 10_000_000_000
    rec = made.start()
    placing = Placing(parse_recipients(agency.policy.recipients), seeded_random("place"), lambda: "Secteur 4")
    for position in (None, Place(488_566_133, -23_522_217, 19, made.mono_ns + 20_000_000_000)):
        if position is not None:
            placing.take(position)
        located = placing.step(made.mono_ns + (0 if position is None else 20_000_000_000), rec)
        assert located is not None
        made.append("place", {"rec": rec, "press_ns": str(located.taken_ns), "sealed": located.sealed})
    film(made, 0, (1,))
    made.stop()
    made.write()
    bundle = make_bundle(made, agency, rec, tmp_path / "bundle").folder
    page = COURT.read_text().split("To open the places:", 1)[1].split("```", 2)[1]
    command = page.replace("agency.age-identity", str(agency.folder / "reader" / "agency.age-identity"))
    done = subprocess.run(["sh", "-c", command], cwd=bundle, capture_output=True, timeout=LIMIT_S, check=False)
    assert done.stderr == b"", done.stderr.decode()
    assert [decode(line.rstrip()) for line in done.stdout.splitlines()] == [
        {"typ": "temoin/place/1", "source": "assign", "sector": "Secteur 4"},
        {
            "typ": "temoin/place/1",
            "source": "gnss",
            "latitude_e7": 488_566_133,
            "longitude_e7": -23_522_217,
            "error_m": 19,
        },
    ]
