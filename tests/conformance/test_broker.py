"""What every Broker does. The real one runs against Mosquitto with the configuration that `temoin-fleet init` makes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.errors import CertificateError
from agent.keys import parse_certificate, role_of
from agent.model import Arrived, Connected, Disconnected, Message, Published, PublishRefused
from agent.ports import Broker
from tests.support.brokers import DOCK_GREETING, Stage, greeting_of, real_stage
from tests.support.posts import Posts

GREETING = greeting_of("cam-01")
STATUS, JOURNAL, DOCK_TOPIC = (f"temoin/1/cam-01/{name}" for name in ("status", "journal", "dock"))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with real_stage(tmp_path_factory.mktemp("broker")) as made:
        yield made


@pytest.fixture
def camera(stage: Stage) -> Iterator[tuple[Broker, Posts]]:
    posts = Posts()
    broker = stage.camera(posts)
    yield broker, posts
    broker.close(None)


@pytest.fixture
def dock(stage: Stage) -> Iterator[tuple[Broker, Posts]]:
    posts = Posts()
    broker = stage.dock(posts)
    broker.connect(1, DOCK_GREETING)
    posts.wait_for(Connected)
    yield broker, posts
    broker.close(None)
    posts.wait_for(Disconnected)


Side = tuple[Broker, Posts]


def connected(side: Side, number: int = 1) -> Connected:
    side[0].connect(number, GREETING)
    return side[1].wait_for(Connected)


def batch(dock: Side) -> Arrived:
    """The next message of the journal topic; a status that the broker has kept is acknowledged on the way."""
    while (arrived := dock[1].wait_for(Arrived)).topic != JOURNAL:
        dock[0].acknowledge(arrived)
    return arrived


def test_connected_names_the_connection_and_shows_the_peer(camera: Side) -> None:
    event = connected(camera, 7)
    assert event.connection == 7
    assert role_of(parse_certificate(event.peer, "peer"), "peer").urn == "urn:temoin:dock-tls:dock-01"


def test_a_message_goes_over_whole_and_its_number_comes_back(camera: Side, dock: Side) -> None:
    connected(camera)
    pairs = (("first", "12"), ("prev", "é" * 200), ("first", "again"))
    payload = bytes(range(256)) * 1024
    camera[0].publish(Message(41, JOURNAL, payload, pairs))
    assert camera[1].next() == Published(1, 41)
    arrived = batch(dock)
    assert arrived == Arrived(1, JOURNAL, payload, pairs)
    dock[0].acknowledge(arrived)
    dock[0].publish(Message(3, DOCK_TOPIC, b"statement\n", (("chain", "YQ=="),)))
    assert camera[1].wait_for(Arrived) == Arrived(1, DOCK_TOPIC, b"statement\n", (("chain", "YQ=="),))


def test_messages_arrive_in_their_order_however_many(camera: Side, dock: Side) -> None:
    connected(camera)
    for number in range(100):
        camera[0].publish(Message(number, JOURNAL, b"%d" % number))
    for number in range(100):
        arrived = batch(dock)
        assert arrived.payload == b"%d" % number
        dock[0].acknowledge(arrived)
    assert [camera[1].next() for _ in range(100)] == [Published(1, number) for number in range(100)]


def test_a_topic_to_which_nobody_listens_is_said(camera: Side) -> None:
    connected(camera)
    camera[0].publish(Message(5, JOURNAL, b"x"))
    assert camera[1].next() == PublishRefused(1, 5, 0x10)


def test_a_peer_that_is_not_accepted_is_told_nothing(stage: Stage) -> None:
    posts = Posts()
    seen: list[bytes] = []

    def refuse(peer: bytes) -> None:
        seen.append(peer)
        raise CertificateError("peer", "is no dock of the policy", "dock elsewhere")

    broker = stage.camera(posts, refuse)
    broker.connect(1, GREETING)
    event = posts.next()
    assert event == Disconnected(1, "peer: is no dock of the policy; dock elsewhere")
    assert len(seen) == 1


def test_without_a_connection_nothing_is_sent_later(stage: Stage, camera: Side, dock: Side) -> None:
    camera[0].publish(Message(1, JOURNAL, b"before"))
    connected(camera)
    camera[0].publish(Message(2, JOURNAL, b"within"))
    assert batch(dock).payload == b"within"
    assert camera[1].next() == Published(1, 2)


def test_an_orderly_end_sends_the_last_word_and_not_the_will(camera: Side, dock: Side) -> None:
    connected(camera)
    camera[0].close(Message(9, STATUS, b"bye", retained=True))
    assert camera[1].next() == Published(1, 9)
    assert isinstance(camera[1].next(), Disconnected)
    connected(camera, 2)
    camera[0].publish(Message(1, JOURNAL, b"next"))
    assert batch(dock).payload == b"next"
    said = [event.payload for event in dock[1].passed if isinstance(event, Arrived) and event.topic == STATUS]
    assert said[-1] == b"bye"  # and no will after it


def test_closing_what_is_not_connected_is_nothing(camera: Side) -> None:
    camera[0].close(None)
    camera[0].close(Message(1, STATUS, b"bye"))
    assert camera[1].empty()


def test_a_new_connection_ends_the_one_before(camera: Side, dock: Side) -> None:
    connected(camera, 1)
    camera[0].connect(2, GREETING)
    ended = {type(camera[1].next()), type(camera[1].next())}
    assert ended == {Connected, Disconnected}
    camera[0].publish(Message(4, JOURNAL, b"two"))
    assert camera[1].next() == Published(2, 4)
    assert {event.connection for event in camera[1].passed if isinstance(event, Disconnected)} == {1}


def test_what_nobody_acknowledges_is_bounded(camera: Side, dock: Side) -> None:
    connected(camera)
    for number in range(40):
        camera[0].publish(Message(number, JOURNAL, b"%d" % number))
    arrived = [batch(dock) for _ in range(32)]
    for _ in range(40):
        camera[1].wait_for(Published)
    assert dock[1].empty()  # the broker holds the rest back
    for one in arrived:
        dock[0].acknowledge(one)
    assert [batch(dock).payload for _ in range(8)] == [b"%d" % number for number in range(32, 40)]


def test_a_broker_that_dies_is_noticed_at_once_and_takes_nothing_along(stage: Stage, camera: Side) -> None:
    connected(camera)
    stage.mosquitto.kill()
    assert camera[1].wait_for(Disconnected).connection == 1
    camera[0].connect(2, GREETING)
    gone = camera[1].next()
    assert isinstance(gone, Disconnected)
    assert "refused" in gone.why
    stage.mosquitto.start()
    assert connected(camera, 3).connection == 3
