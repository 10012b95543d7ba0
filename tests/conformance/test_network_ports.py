"""What a camera's rules may rely on, the same from the real network and from the dock that is a device of the rig."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.adapters.disk import RealDisk
from agent.adapters.https import HttpsUploader
from agent.formats.wire import Status, StatusState
from agent.keys import parse_certificate, role_of
from agent.model import Connected, Disconnected, Message, NetworkEvent, Published, Upload, Uploaded, UploadFailed
from agent.ports import Broker, Uploader
from tests.support.agency import make_agency
from tests.support.brokers import (
    DOCK_GREETING,
    Stage,
    accept_anybody,
    camera_files,
    dock_files,
    greeting_of,
    real_stage,
)
from tests.support.https_server import IntakeServer
from tests.support.posts import Posts
from tests.support.simdock import SimDock

GREETING = greeting_of("cam-01")
GONE = Status("cam-01", "0" * 32, "1" * 32, "2" * 32, StatusState.GONE, 7, "3" * 64, 2).encode()
BLOB = b"blob" * 50_000


@dataclass(frozen=True, slots=True)
class Network:
    """Both ports over one network, and the next event of either."""

    broker: Broker
    uploader: Uploader
    next: Callable[[], NetworkEvent]
    quiet: Callable[[], bool]
    url: str


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with real_stage(tmp_path_factory.mktemp("network")) as made:
        dock = Posts()
        made.dock(dock).connect(1, DOCK_GREETING)  # or the broker would say that nobody listens
        dock.wait_for(Connected)
        yield made


def real(stage: Stage, card: Path) -> Iterator[Network]:
    posts = Posts()
    with IntakeServer(dock_files(stage.agency)) as server:
        uploader = HttpsUploader(RealDisk(card), camera_files(stage.agency), accept_anybody, posts)
        broker = stage.camera(posts)
        yield Network(broker, uploader, posts.next, posts.empty, server.url("/201"))
        broker.close(None)


def simulated(card: Path, parent: Path) -> Iterator[Network]:
    found: list[NetworkEvent] = []
    dock = SimDock(make_agency(parent), card, lambda: 0, lambda: 0, post=found.append)

    def next_event() -> NetworkEvent:
        dock.step()
        return found.pop(0)

    def quiet() -> bool:
        dock.step()
        return not found

    yield Network(dock, dock, next_event, quiet, "https://127.0.0.1:8443/blob")


@pytest.fixture(params=["real", "simulated"])
def network(request: pytest.FixtureRequest, stage: Stage, tmp_path: Path) -> Iterator[Network]:
    card = tmp_path / "card"
    card.mkdir()
    (card / "blob").write_bytes(BLOB)
    yield from real(stage, card) if request.param == "real" else simulated(card, tmp_path)


def status(number: int) -> Message:
    return Message(number, "temoin/1/cam-01/status", GONE, retained=True)


def test_a_connection_says_its_number_and_who_is_there(network: Network) -> None:
    network.broker.connect(12, GREETING)
    event = network.next()
    assert isinstance(event, Connected)
    assert event.connection == 12
    assert role_of(parse_certificate(event.peer, "peer"), "peer").urn == "urn:temoin:dock-tls:dock-01"


def test_a_message_comes_back_by_its_number_of_its_connection(network: Network) -> None:
    network.broker.connect(1, GREETING)
    network.next()
    for number in (7, 5):
        network.broker.publish(status(number))
    assert [network.next(), network.next()] == [Published(1, 7), Published(1, 5)]


def test_nothing_is_sent_or_said_without_a_connection(network: Network) -> None:
    network.broker.publish(status(1))
    network.broker.close(status(2))
    assert network.quiet()
    network.broker.connect(1, GREETING)
    assert isinstance(network.next(), Connected)
    assert network.quiet()


def test_an_end_is_said_once(network: Network) -> None:
    network.broker.connect(3, GREETING)
    assert isinstance(network.next(), Connected)
    network.broker.close(status(9))
    while not isinstance(event := network.next(), Disconnected):
        assert event == Published(3, 9)
    assert event.connection == 3
    network.broker.close(None)
    assert network.quiet()


def test_an_upload_ends_with_its_status(network: Network) -> None:
    network.uploader.start(Upload(4, "blob", len(BLOB), network.url, ()))
    event = network.next()
    assert isinstance(event, Uploaded)
    assert (event.number, event.status in (200, 201)) == (4, True)


def test_stopping_ends_the_upload_under_way_once(network: Network) -> None:
    network.uploader.start(Upload(1, "blob", len(BLOB), network.url.replace("/201", "/silent"), ()))
    network.uploader.stop()
    assert isinstance(network.next(), UploadFailed)
    network.uploader.stop()
    assert network.quiet()
