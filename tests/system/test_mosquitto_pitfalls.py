"""What paho and Mosquitto are known to get wrong, tried on the real broker with the generated configuration.

Each test names what goes wrong where the library is used as its examples do, and shows that it does not here, or that
nothing relies on it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from agent.adapters.mqtt import LAST_WORD_S, MqttBroker
from agent.model import Arrived, Connected, Disconnected, Message, NetworkEvent, Published, PublishRefused
from tests.support.brokers import DOCK_GREETING, Stage, accept_anybody, camera_files, greeting_of, real_stage
from tests.support.posts import Posts

GREETING = greeting_of("cam-01")
STATUS, JOURNAL, DOCK_TOPIC = (f"temoin/1/cam-01/{name}" for name in ("status", "journal", "dock"))
NOT_AUTHORIZED, NOBODY = 0x87, 0x10


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with real_stage(tmp_path_factory.mktemp("pitfalls")) as made:
        yield made


def camera(stage: Stage, number: int = 1) -> tuple[MqttBroker, Posts]:
    posts = Posts()
    broker = stage.camera(posts)
    broker.connect(number, GREETING)
    posts.wait_for(Connected)
    return broker, posts


def dock(stage: Stage) -> tuple[MqttBroker, Posts]:
    posts = Posts()
    broker = stage.dock(posts)
    broker.connect(1, DOCK_GREETING)
    posts.wait_for(Connected)
    return broker, posts


def journal_until(side: tuple[MqttBroker, Posts], last: bytes) -> list[bytes]:
    """Payloads of the journal topic, each acknowledged, up to and with `last`."""
    found: list[bytes] = []
    while not found or found[-1] != last:
        arrived = side[1].wait_for(Arrived)
        side[0].acknowledge(arrived)
        if arrived.topic == JOURNAL:
            found.append(arrived.payload)
    return found


def end(*sides: tuple[MqttBroker, Posts]) -> None:
    for broker, posts in sides:
        broker.close(None)
        posts.wait_for(Disconnected)


# paho


def test_paho_1_a_callback_that_raises_ends_the_connection_and_does_not_leave_a_corpse(stage: Stage) -> None:
    posts = Posts()

    def post(event: NetworkEvent) -> None:
        if isinstance(event, Arrived):
            raise RuntimeError("a defect of ours")
        posts(event)

    broker = MqttBroker(stage.address, camera_files(stage.agency), "cam-01", accept_anybody, post)
    broker.connect(1, GREETING)
    posts.wait_for(Connected)
    side = dock(stage)
    side[0].publish(Message(1, DOCK_TOPIC, b"x"))
    ended = posts.wait_for(Disconnected)
    assert "a defect of ours" in ended.why
    gone = side[1].wait_for(Arrived)
    assert (gone.topic, gone.payload) == (STATUS, GREETING.will)  # the broker knows it too
    end(side)


def test_paho_2_a_refusal_is_no_publication(stage: Stage) -> None:
    broker, posts = camera(stage)
    broker.publish(Message(8, "temoin/1/cam-02/journal", b"x"))
    assert posts.next() == PublishRefused(1, 8, NOT_AUTHORIZED)
    broker.publish(Message(9, JOURNAL, b"x"))
    assert posts.next() == PublishRefused(1, 9, NOBODY)
    end((broker, posts))


def test_paho_3_and_7_what_a_dead_broker_took_along_is_not_sent_again_by_itself(stage: Stage) -> None:
    broker, posts = camera(stage)
    stage.mosquitto.pause()
    for number in range(20):
        broker.publish(Message(number, JOURNAL, b"old"))
    stage.mosquitto.kill()
    posts.wait_for(Disconnected)
    broker.publish(Message(20, JOURNAL, b"off-line"))
    stage.mosquitto.start()
    side = dock(stage)
    broker.connect(2, GREETING)
    posts.wait_for(Connected)
    broker.publish(Message(21, JOURNAL, b"new"))
    assert journal_until(side, b"new") == [b"new"]
    assert [event for event in posts.passed if isinstance(event, Published)] == []
    end((broker, posts), side)


def test_paho_4_the_receive_maximum_holds_however_much_waits(stage: Stage) -> None:
    folder = stage.agency.dock_folder()
    text = (folder / "mosquitto.conf").read_text()
    stage.mosquitto.kill()
    # Mosquitto ends the connection of whoever has more under way than it announced (0x93).
    (folder / "mosquitto.conf").write_text(text.replace("max_inflight_messages 20", "max_inflight_messages 3"))
    try:
        stage.mosquitto.start()
        side = dock(stage)
        for number in (1, 2):  # at the second connection paho would send all that was queued at the first
            broker, posts = camera(stage, number)
            for index in range(100):
                broker.publish(Message(index, JOURNAL, b"%d" % index))
            assert len(journal_until(side, b"99")) == 100
            assert [posts.next() for _ in range(100)] == [Published(number, index) for index in range(100)]
            end((broker, posts))
        end(side)
    finally:
        stage.mosquitto.kill()
        (folder / "mosquitto.conf").write_text(text)
        stage.mosquitto.start()


def test_paho_5_closing_waits_for_nobody(stage: Stage) -> None:
    broker, posts = camera(stage)
    stage.mosquitto.pause()
    try:
        for number in range(20):
            broker.publish(Message(number, JOURNAL, b"x" * 100_000))
        began = time.monotonic()
        broker.close(Message(20, STATUS, b"bye"))
        assert time.monotonic() - began < 0.1
        posts.wait_for(Disconnected)
        assert time.monotonic() - began < LAST_WORD_S + 1
    finally:
        stage.mosquitto.resume()


def test_paho_6_no_session_is_left_behind_and_none_is_found(stage: Stage) -> None:
    end(camera(stage))
    side = dock(stage)
    side[0].publish(Message(1, DOCK_TOPIC, b"while it was gone"))
    assert side[1].wait_for(PublishRefused) == PublishRefused(1, 1, NOBODY)
    broker, posts = camera(stage, 2)
    side[0].publish(Message(2, DOCK_TOPIC, b"now"))
    assert posts.wait_for(Arrived).payload == b"now"
    end((broker, posts), side)


# mosquitto


def test_mosquitto_1_what_it_acknowledges_it_may_lose(stage: Stage) -> None:
    """Why only a signed receipt counts: everything is answered, and not everything arrives."""
    side = dock(stage)
    broker, posts = camera(stage)
    sent = 600
    for number in range(sent):
        broker.publish(Message(number, JOURNAL, b"%d" % number))
    answers = [posts.next() for _ in range(sent)]
    assert all(isinstance(answer, Published | PublishRefused) for answer in answers)
    published = sum(isinstance(answer, Published) for answer in answers)
    # The dock acknowledged nothing meanwhile; now it takes all that there is, to a message that is sent last.
    held = [side[1].wait_for(Arrived) for _ in range(32)]
    for arrived in held:
        side[0].acknowledge(arrived)
    for _ in range(100):  # room for one more, or it might be lost itself
        held.append(side[1].wait_for(Arrived))
        side[0].acknowledge(held[-1])
    broker.publish(Message(sent, STATUS, b"last"))
    count = sum(arrived.topic == JOURNAL for arrived in held)
    while (arrived := side[1].wait_for(Arrived)).payload != b"last":
        side[0].acknowledge(arrived)
        count += arrived.topic == JOURNAL
    assert count < sent
    assert count < published or published < sent
    end((broker, posts), side)


def test_mosquitto_3_nothing_is_on_its_disk_to_be_lost(stage: Stage) -> None:
    broker, posts = camera(stage)
    broker.publish(Message(1, STATUS, b"docked", retained=True))
    assert isinstance(posts.next(), Published | PublishRefused)
    before = {path.name for path in stage.agency.dock_folder().iterdir()}
    stage.mosquitto.kill()
    posts.wait_for(Disconnected)
    stage.mosquitto.start()
    side = dock(stage)
    broker.connect(2, GREETING)
    posts.wait_for(Connected)
    broker.publish(Message(2, JOURNAL, b"again"))
    journal_until(side, b"again")
    assert not any(event.payload == b"docked" for event in side[1].passed if isinstance(event, Arrived))
    assert {path.name for path in stage.agency.dock_folder().iterdir()} == before
    end((broker, posts), side)


def test_mosquitto_4_a_whole_batch_passes_and_video_does_not(stage: Stage) -> None:
    side = dock(stage)
    broker, posts = camera(stage)
    batch = b"x" * 262_144
    broker.publish(Message(1, JOURNAL, batch, (("first", "9007199254740991"), ("prev", "f" * 64))))
    assert journal_until(side, batch) == [batch]
    assert posts.next() == Published(1, 1)
    broker.publish(Message(2, JOURNAL, b"x" * 2_000_000))
    posts.wait_for(Disconnected)  # "Packet too large", where that is read before the connection is reset
    end(side)


def test_a_broker_that_hangs_is_noticed_while_it_connects(stage: Stage) -> None:
    """The kernel still takes connections for a process that is stopped."""
    posts = Posts()
    broker = stage.camera(posts)
    stage.mosquitto.pause()
    try:
        broker.connect(1, GREETING)
        assert isinstance(posts.next(), Disconnected)
    finally:
        stage.mosquitto.resume()


def test_a_renewed_certificate_counts_from_the_next_connection(stage: Stage) -> None:
    broker, posts = camera(stage)
    files = camera_files(stage.agency)
    end((broker, posts))
    old = files.certificate.read_bytes(), files.key.read_bytes()
    other = camera_files(stage.agency, "cam-02")
    files.certificate.write_bytes(other.certificate.read_bytes())
    files.key.write_bytes(other.key.read_bytes())
    try:
        broker.connect(2, GREETING)
        posts.wait_for(Connected)
        broker.publish(Message(1, "temoin/1/cam-02/journal", b"x"))
        assert posts.next() == PublishRefused(2, 1, NOBODY)  # it may: it is cam-02 now
        end((broker, posts))
    finally:
        files.certificate.write_bytes(old[0])
        files.key.write_bytes(old[1])
