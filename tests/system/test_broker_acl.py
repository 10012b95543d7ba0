"""Who may do what on the broker: by the certificate that was shown, whatever else a client says of itself.

The hostile client here is plain paho: it may lie in every field that an adapter of ours would fill in honestly.
"""

from __future__ import annotations

import queue
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from agent.model import Arrived, Connected, Message, PublishRefused
from tests.support.agency import make_agency
from tests.support.brokers import DOCK_GREETING, Stage, greeting_of, real_stage
from tests.support.posts import WAIT_S, Posts

NOT_AUTHORIZED = 0x87


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with real_stage(tmp_path_factory.mktemp("acl")) as made:
        yield made


@pytest.fixture
def dock(stage: Stage) -> Posts:
    posts = Posts()
    stage.dock(posts).connect(1, DOCK_GREETING)
    posts.wait_for(Connected)
    return posts


class Hostile:
    """cam-02's certificate in the hands of somebody with a library. Events: ("connected" | "puback" | ..., detail)."""

    def __init__(self, stage: Stage, client_id: str = "cam-02", will: str | None = None, dev: str = "cam-02") -> None:
        self.events: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()
        folder = stage.agency.camera_folder(dev)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(folder / "agency.pem")
        context.load_cert_chain(folder / "camera-tls.pem", folder / "camera-tls.key")
        self.client = Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set("dock-01", "x")  # the certificate's CN counts
        self.client.tls_set_context(context)
        self.client.tls_insecure_set(True)
        self.client.on_connect = self._on_connect
        self.client.on_publish = self._on_publish
        self.client.on_subscribe = self._on_subscribe
        self.client.on_message = self._on_message
        self.client.on_disconnect = lambda *_: self.events.put(("disconnected", None))
        if will is not None:
            self.client.will_set(will, b"forged", 1, retain=True)
        self.client.connect("127.0.0.1", stage.mosquitto.port, keepalive=30, clean_start=True)
        self.client.loop_start()
        assert self.next() == ("connected", 0)

    def next(self) -> tuple[str, object]:
        return self.events.get(timeout=WAIT_S)

    def drop(self) -> None:
        """Vanish without a word: the broker publishes the will."""
        connection = self.client.socket()
        assert connection is not None
        connection.close()
        self.client.loop_stop()

    def _on_connect(self, client: Client, _: object, flags: object, reason: ReasonCode, properties: object) -> None:
        self.events.put(("connected", reason.value))

    def _on_publish(self, client: Client, _: object, mid: int, reason: ReasonCode, properties: Properties) -> None:
        self.events.put(("puback", reason.value))

    def _on_subscribe(
        self, client: Client, _: object, mid: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        self.events.put(("suback", None))

    def _on_message(self, client: Client, _: object, message: MQTTMessage) -> None:
        self.events.put(("message", message.topic))


@pytest.mark.parametrize(
    "topic",
    [
        "temoin/1/cam-01/status",
        "temoin/1/cam-01/journal",
        "temoin/1/cam-01/dock",
        "temoin/1/cam-02/dock",
        "temoin/1/cam-02/status/x",
        "temoin/1/cam-02",
        "temoin/1/dock-01/status",
        "temoin/2/cam-02/status",
        "$SYS/broker/version",
        "anything",
    ],
)
def test_a_camera_writes_its_own_status_and_journal_and_nothing_else(topic: str, stage: Stage, dock: Posts) -> None:
    hostile = Hostile(stage)
    hostile.client.publish(topic, b"forged", 1, retain=True)
    hostile.client.publish("temoin/1/cam-02/journal", b"own", 1)
    if not topic.startswith("$"):  # which no client may write at all: the broker drops it
        assert hostile.next() == ("puback", NOT_AUTHORIZED)
        assert hostile.next() == ("puback", 0)
    while (arrived := dock.wait_for(Arrived)).payload != b"own":
        assert arrived.payload != b"forged"
    hostile.drop()


def test_a_camera_reads_what_is_for_it_and_nothing_else(stage: Stage) -> None:
    posts, cameras = Posts(), Posts()
    dock = stage.dock(posts)
    dock.connect(1, DOCK_GREETING)
    posts.wait_for(Connected)
    camera = stage.camera(cameras)
    camera.connect(1, greeting_of("cam-01"))
    cameras.wait_for(Connected)
    camera.publish(Message(1, "temoin/1/cam-01/status", b"s", retained=True))
    hostile = Hostile(stage)
    for topic in ("temoin/1/cam-01/dock", "temoin/1/+/dock", "temoin/#", "#", "+/+/+/+", "$SYS/#"):
        hostile.client.subscribe(topic, 1)
        assert hostile.next() == ("suback", None)
    hostile.client.subscribe("temoin/1/cam-02/dock", 1)
    assert hostile.next() == ("suback", None)
    camera.publish(Message(2, "temoin/1/cam-01/journal", b"j"))
    dock.publish(Message(1, "temoin/1/cam-01/dock", b"for cam-01"))
    assert cameras.wait_for(Arrived).payload == b"for cam-01"
    dock.publish(Message(2, "temoin/1/cam-02/dock", b"for cam-02"))
    assert hostile.next() == ("message", "temoin/1/cam-02/dock")
    hostile.drop()


def test_a_will_on_another_cameras_topic_is_never_published(stage: Stage, dock: Posts) -> None:
    Hostile(stage, will="temoin/1/cam-01/status").drop()
    hostile = Hostile(stage)
    hostile.client.publish("temoin/1/cam-02/journal", b"after", 1)
    while (arrived := dock.wait_for(Arrived)).payload != b"after":
        assert arrived.payload != b"forged"
    hostile.drop()


def test_messages_without_flow_control_are_dropped(stage: Stage, dock: Posts) -> None:
    """For QoS 0 no Receive Maximum holds: a flood of it would fill the dock's memory."""
    hostile = Hostile(stage)
    for _ in range(100):
        hostile.client.publish("temoin/1/cam-02/journal", b"flood", 0)
    hostile.client.publish("temoin/1/cam-02/journal", b"after", 1)
    while (arrived := dock.wait_for(Arrived)).payload != b"after":
        assert arrived.payload != b"flood"
    hostile.drop()


def test_a_client_id_does_not_throw_another_camera_out(stage: Stage) -> None:
    posts = Posts()
    camera = stage.camera(posts)
    camera.connect(1, greeting_of("cam-01"))
    posts.wait_for(Connected)
    hostile = Hostile(stage, client_id="cam-01")
    camera.publish(Message(1, "temoin/1/cam-02/journal", b"x"))
    assert posts.next() == PublishRefused(1, 1, NOT_AUTHORIZED)  # still there, still cam-01
    hostile.drop()


def knock(stage: Stage, certificate: Path | None, version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> bytes:
    """What a broker says to a CONNECT from the holder of this certificate: nothing, if it hangs up."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(stage.agency.dock_folder() / "agency.pem")
    context.maximum_version = version
    if certificate is not None:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    connect = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x1e\x00\x00\x00"
    try:
        with (
            socket.create_connection(("127.0.0.1", stage.mosquitto.port), timeout=WAIT_S) as plain,
            context.wrap_socket(plain) as connection,
        ):
            connection.sendall(connect)
            return connection.recv(100)
    except OSError:
        return b""


def test_only_tls_certificates_of_the_agency_come_in(stage: Stage, tmp_path: Path) -> None:
    own = stage.agency.camera_folder("cam-01")
    other = make_agency(tmp_path, agency="pm-other", seed="other", now_ms=time.time_ns() // 1_000_000)
    assert knock(stage, own / "camera-tls.pem")[:1] == b"\x20"  # CONNACK: the question itself is well put
    assert knock(stage, None) == b""
    assert knock(stage, own / "camera.pem") == b""  # it signs evidence, and nothing else
    assert knock(stage, other.camera_folder() / "camera-tls.pem") == b""
    assert knock(stage, own / "camera-tls.pem", ssl.TLSVersion.TLSv1_2) == b""
