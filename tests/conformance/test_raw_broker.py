"""The MQTT adapter against a broker by hand: what it sends, and when; and that no bytes of a peer bring it down."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.mqtt import HANDSHAKES, MqttBroker
from agent.model import Connected, Disconnected, Message, Published
from agent.toml_table import Address
from tests.support.agency import TestAgency, make_agency
from tests.support.brokers import accept_anybody, camera_files, dock_files, greeting_of
from tests.support.posts import Posts
from tests.support.raw_broker import DISCONNECT, PUBLISH, RawBroker

JOURNAL = "temoin/1/cam-01/journal"
SILENCE_S = 0.2


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("raw"))


@pytest.fixture
def raw(agency: TestAgency) -> Iterator[RawBroker]:
    with RawBroker(dock_files(agency), receive_maximum=3) as made:
        yield made


def connecting(agency: TestAgency, raw: RawBroker) -> tuple[MqttBroker, Posts]:
    posts = Posts()
    broker = MqttBroker(Address("127.0.0.1", raw.port), camera_files(agency), "cam-01", accept_anybody, posts)
    broker.connect(1, greeting_of("cam-01"))
    raw.accept()
    return broker, posts


def test_no_more_is_under_way_than_the_broker_allows(agency: TestAgency, raw: RawBroker) -> None:
    broker, posts = connecting(agency, raw)
    raw.greet()
    posts.wait_for(Connected)
    for number in range(10):
        broker.publish(Message(number, JOURNAL, b"%d" % number))
    held = []
    for number in range(3):
        kind, body = raw.read()
        assert (kind, body[-1:]) == (PUBLISH, b"%d" % number)
        held.append(body)
    assert raw.is_silent(SILENCE_S)
    raw.acknowledge(held[1])
    assert posts.next() == Published(1, 1)
    assert raw.read()[1][-1:] == b"3"
    assert raw.is_silent(SILENCE_S)
    broker.close(None)


def test_what_is_published_before_the_broker_has_answered_is_not_sent_later(agency: TestAgency, raw: RawBroker) -> None:
    broker, posts = connecting(agency, raw)
    broker.publish(Message(1, JOURNAL, b"early"))
    raw.greet()
    posts.wait_for(Connected)
    assert raw.is_silent(SILENCE_S)
    broker.publish(Message(2, JOURNAL, b"late"))
    assert raw.read()[1].endswith(b"late")
    broker.close(None)


def test_an_orderly_end_says_so(agency: TestAgency, raw: RawBroker) -> None:
    broker, posts = connecting(agency, raw)
    raw.greet()
    posts.wait_for(Connected)
    broker.close(None)
    assert posts.next() == Disconnected(1, "closed")
    assert raw.read()[0] == DISCONNECT


BROKEN = {
    "no packet": b"\xff" * 100,
    "no length": b"\x30\xff\xff\xff\xff\xff",
    "a topic that is not UTF-8": b"\x32\x08\x00\x02\xff\xfe\x00\x01\x00x",
    "a topic longer than its packet": b"\x32\x05\xff\xff\x00\x01\x00",
    "properties longer than their packet": b"\x32\x07\x00\x01a\x00\x01\x7fx",
    "an unknown property": b"\x32\x08\x00\x01a\x00\x01\x02\x7f\x00",
    "a puback of nothing": b"\x40\x00",
    "a second CONNACK that refuses": b"\x20\x03\x00\x87\x00",
    "what only clients send": b"\x82\x06\x00\x01\x00\x00\x01a",
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_is_no_packet_costs_the_connection_and_no_more(name: str, agency: TestAgency, raw: RawBroker) -> None:
    broker, posts = connecting(agency, raw)
    raw.greet()
    posts.wait_for(Connected)
    raw.send(BROKEN[name])
    raw.__exit__()  # and then it hangs up, should that have been taken for a beginning
    assert isinstance(posts.wait_for(Disconnected), Disconnected)
    with RawBroker(dock_files(agency)) as second:
        broker, posts = connecting(agency, second)
        second.greet()
        posts.wait_for(Connected)
        broker.close(None)


@pytest.mark.parametrize("answer", [b"\x20\x03\x00\x87\x00", b"\x20\x02\x00\x05", b"\x20\x03\x00\x9f\x00"])
def test_a_refusal_is_said(answer: bytes, agency: TestAgency, raw: RawBroker) -> None:
    _, posts = connecting(agency, raw)
    raw.send(answer)
    event = posts.next()
    assert isinstance(event, Disconnected)
    assert event.why


@pytest.mark.parametrize("broken", [1, HANDSHAKES - 1, HANDSHAKES])
def test_a_handshake_that_is_broken_off_is_tried_again(broken: int, agency: TestAgency, raw: RawBroker) -> None:
    posts = Posts()
    broker = MqttBroker(Address("127.0.0.1", raw.port), camera_files(agency), "cam-01", accept_anybody, posts)
    broker.connect(1, greeting_of("cam-01"))
    for _ in range(broken):
        raw.break_off()
    if broken < HANDSHAKES:
        raw.accept()
        raw.greet()
    assert isinstance(posts.next(), Connected if broken < HANDSHAKES else Disconnected)
    broker.close(None)


def test_a_subscription_that_is_refused_is_no_connection(agency: TestAgency, raw: RawBroker) -> None:
    _, posts = connecting(agency, raw)
    raw.send(b"\x20\x03\x00\x00\x00")
    _, body = raw.read()
    raw.send(b"\x90\x04" + body[:2] + b"\x00\x87")
    event = posts.next()
    assert isinstance(event, Disconnected)
    assert "subscription" in event.why


def test_files_that_are_not_there_are_named(agency: TestAgency, tmp_path: Path) -> None:
    posts = Posts()
    files = camera_files(agency)
    none = type(files)(tmp_path / "none.pem", files.certificate, files.key)
    MqttBroker(Address("127.0.0.1", 1), none, "cam-01", accept_anybody, posts).connect(1, greeting_of("cam-01"))
    event = posts.next()
    assert isinstance(event, Disconnected)
    assert "none.pem: cannot be used in TLS (No such file or directory); give the files that init made" in event.why
