"""ports.Broker over paho-mqtt: MQTT 5 on TLS 1.3, one try a connection.

Guarantees: a connection has a thread and a paho client of its own and shares nothing with the one before, so that
nothing is queued across connections, doubled or flooded at the next one. paho is called from that thread only; its own
threads, queues and reconnects are not used (tests/system/test_mosquitto_pitfalls.py shows what they do). A callback
posts and returns; whatever ends the thread, Disconnected is posted. Messages of QoS 0, which no bound holds for, are
dropped; at most what the broker's Receive Maximum allows is under way.
Assumes: names resolve within a few seconds. Sources: OASIS MQTT 5.0; docs/docking.md, "Topics".
"""

from __future__ import annotations

import os
import queue
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.adapters.tls import TlsFiles, client_context, peer_certificate
from agent.errors import TemoinError
from agent.model import Arrived, Connected, Disconnected, Greeting, Message, NetworkEvent, Published, PublishRefused
from agent.ports import AcceptPeer
from agent.toml_table import Address

ANSWER_S = 20  # from `connect` to the broker's answer and the subscription's
REACH_S = 5  # for one address to answer at all, and as much for the handshake
HANDSHAKES = 3
KEEPALIVE_S = 15  # a dock that is gone without a word is noticed within twice that
LAST_WORD_S = 1
MAX_UNDER_WAY = 20  # Mosquitto's own default, for a broker that says nothing of a Receive Maximum
MAX_WAITING = 1024
MAX_ARRIVED = 32  # that nobody has acknowledged: with MAX_PACKET_BYTES the bound of what a peer can make us hold
MAX_PACKET_BYTES = 262_144 + 16_384  # a whole journal batch (docs/docking.md), its topic and properties

_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)  # Python 3.11.2 (Debian 12) says the second for the first
_CLOSED = "closed"
_TURN_MS = 1000


@dataclass(frozen=True, slots=True)
class _Close:
    last: Message | None


_Command = Message | Arrived | _Close
Post = Callable[[NetworkEvent], None]


class MqttBroker:
    """A Broker. `listen_too` are topics besides the greeting's: a dock listens to more than one."""

    def __init__(
        self,
        address: Address,
        files: TlsFiles,
        client_id: str,
        accept: AcceptPeer,
        post: Post,
        listen_too: tuple[str, ...] = (),
    ) -> None:
        self._address = address
        self._files = files
        self._client_id = client_id
        self._accept = accept
        self._post = post
        self._listen_too = listen_too
        self._current: _Connection | None = None

    def connect(self, connection: int, greeting: Greeting) -> None:
        self.close(None)
        topics = (greeting.listen, *self._listen_too)
        client = _make_client(self._client_id, greeting)
        self._current = _Connection(connection, client, topics, self._address, self._files, self._accept, self._post)
        self._current.start()

    def publish(self, message: Message) -> None:
        self._tell(message)

    def acknowledge(self, arrived: Arrived) -> None:
        if self._current is not None and arrived.connection == self._current.number:
            self._current.tell(arrived)

    def close(self, last: Message | None) -> None:
        self._tell(_Close(last))
        self._current = None

    def _tell(self, command: _Command) -> None:
        if self._current is not None:
            self._current.tell(command)


def _make_client(client_id: str, greeting: Greeting) -> Client:
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=MQTTProtocolVersion.MQTTv5,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = REACH_S
    if greeting.will_topic:
        client.will_set(greeting.will_topic, greeting.will, qos=1, retain=True)
    return client


def _properties(packet: int) -> Properties:
    return Properties(packet)  # type: ignore[no-untyped-call]  # paho has types but here


class _Connection(threading.Thread):
    """One connection from its first packet to its end. Only `tell` is called from outside."""

    def __init__(
        self,
        number: int,
        client: Client,
        topics: tuple[str, ...],
        address: Address,
        files: TlsFiles,
        accept: AcceptPeer,
        post: Post,
    ) -> None:
        super().__init__(name=f"mqtt-{number}", daemon=True)
        self.number = number
        self._client = client
        self._topics = topics
        self._address = address
        self._files = files
        self._accept = accept
        self._post = post
        self._commands: queue.SimpleQueue[_Command] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._lock = threading.Lock()  # of `_wake`, whose number somebody else may have after it is closed
        self._open = True
        self._closing = False
        # All below belongs to the thread.
        self._why: str | None = None
        self._greeted = False
        self._peer = b""
        self._window = MAX_UNDER_WAY
        self._waiting: deque[Message] = deque()
        self._under_way: dict[int, int] = {}  # paho's message id -> the caller's number
        self._arrived: dict[int, tuple[Arrived, int]] = {}  # by identity: equal messages have ids of their own
        self._last_word: int | None = None
        self._deadline = time.monotonic() + ANSWER_S

    def tell(self, command: _Command) -> None:
        """From any thread; returns at once."""
        self._closing = self._closing or isinstance(command, _Close)
        self._commands.put(command)
        with self._lock:
            if self._open:
                os.eventfd_write(self._wake, 1)

    def run(self) -> None:
        try:
            self._connect()
            while self._why is None:
                self._turn()
        except TemoinError as error:
            self._end(str(error))
        except OSError as error:
            self._end(f"{self._address}: {error.strerror or error}")
        except Exception as error:
            # paho parses what a peer sends and may raise anything on it. A connection is what that may cost, no more.
            self._end(f"{self._address}: {type(error).__name__} ({error})")
        finally:
            try:
                self._hang_up()
            finally:
                self._post(Disconnected(self.number, self._why or _CLOSED))

    def _connect(self) -> None:
        client = self._client
        context = client_context(self._files, self._judge)
        client.tls_set_context(context)
        client.tls_insecure_set(True)  # paho would match host names, by a function that Python 3.12 has not
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        properties = _properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = 0
        properties.ReceiveMaximum = MAX_ARRIVED
        properties.MaximumPacketSize = MAX_PACKET_BYTES
        self._reach(properties)
        connection = client.socket()
        assert isinstance(connection, ssl.SSLSocket)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer_certificate(connection)

    def _reach(self, properties: Properties) -> None:
        """A handshake that the broker breaks off without a word is tried again.

        Mosquitto 2.0.21 does that to whoever comes next after another client has left without a farewell.
        """
        for left in reversed(range(HANDSHAKES)):
            try:
                self._client.connect(
                    self._address.host, self._address.port, KEEPALIVE_S, clean_start=True, properties=properties
                )
                return
            except _BROKEN_OFF:
                if left == 0 or self._closing:
                    raise

    def _judge(self, peer: bytes) -> None:
        if self._closing:
            raise ConnectionAbortedError(_CLOSED)
        self._accept(peer)

    def _turn(self) -> None:
        self._obey()
        self._send_waiting()
        if self._why is None and time.monotonic() >= self._deadline:
            self._end(_CLOSED if self._greeted else f"{self._address}: the broker did not answer")
        if self._why is not None:
            return
        connection = self._client.socket()
        if connection is None:
            self._end(f"{self._address}: the connection is gone")
            return
        assert isinstance(connection, ssl.SSLSocket)
        readable, writable = self._wait(connection)
        failed = False
        if writable:
            failed = self._client.loop_write() != MQTTErrorCode.MQTT_ERR_SUCCESS
        if readable and not failed:
            failed = self._client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS
        if not failed:
            failed = self._client.loop_misc() != MQTTErrorCode.MQTT_ERR_SUCCESS
        if failed:
            self._end(f"{self._address}: the connection is gone")

    def _wait(self, connection: ssl.SSLSocket) -> tuple[bool, bool]:
        """Until there is something to read, write or do, a second at most."""
        if connection.pending():  # decrypted already: the socket would not say
            return True, self._client.want_write()
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        poller.register(connection, select.POLLIN | (select.POLLOUT if self._client.want_write() else 0))
        left_ms = max(0.0, (self._deadline - time.monotonic()) * 1000)
        ready = dict(poller.poll(min(_TURN_MS, left_ms)))
        if self._wake in ready:
            os.eventfd_read(self._wake)
        found = ready.get(connection.fileno(), 0)
        return bool(found & ~select.POLLOUT), bool(found & select.POLLOUT)

    def _obey(self) -> None:
        while self._why is None:
            try:
                command = self._commands.get_nowait()
            except queue.Empty:
                return
            match command:
                case Message():
                    self._queue(command)
                case Arrived():
                    _, message_id = self._arrived.pop(id(command), (None, None))
                    if message_id is not None:
                        self._client.ack(message_id, 1)
                case _Close():
                    self._close(command.last)

    def _queue(self, message: Message) -> None:
        if not self._greeted:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._end(f"{self._address}: {MAX_WAITING} messages wait for the broker")
            return
        self._waiting.append(message)

    def _close(self, last: Message | None) -> None:
        self._waiting.clear()
        if last is None or not self._greeted:
            self._end(_CLOSED)
            return
        self._send(last)
        self._last_word = last.number
        self._deadline = time.monotonic() + LAST_WORD_S

    def _send_waiting(self) -> None:
        while self._waiting and len(self._under_way) < self._window and self._why is None:
            self._send(self._waiting.popleft())

    def _send(self, message: Message) -> None:
        properties = _properties(PacketTypes.PUBLISH)
        for pair in message.properties:
            properties.UserProperty = pair  # paho appends
        sent = self._client.publish(message.topic, message.payload, 1, message.retained, properties)
        if sent.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._end(f"{self._address}: the connection is gone")  # paho has queued it: this client is not used again
            return
        self._under_way[sent.mid] = message.number

    def _end(self, why: str) -> None:
        self._why = self._why or why

    def _hang_up(self) -> None:
        with self._lock:
            self._open = False
            os.close(self._wake)
        connection = self._client.socket()
        if connection is None:
            return
        with suppress(OSError):  # the other side may be gone already: that is an end too
            if self._why == _CLOSED:
                self._client.disconnect()  # in order, so that the broker does not publish the will
            # paho closes it when the client is dropped; the other side shall not wait for our garbage collector
            connection.close()

    # paho's callbacks: on this thread, in `_turn`.

    def _on_connect(
        self, client: Client, _: object, flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if reason.is_failure:
            self._end(f"{self._address}: the broker refuses: {reason} (0x{reason.value:02x})")
            return
        announced = getattr(properties, "ReceiveMaximum", MAX_UNDER_WAY)
        self._window = min(MAX_UNDER_WAY, announced)
        client.subscribe([(topic, SubscribeOptions(qos=1, noLocal=True)) for topic in self._topics])

    def _on_subscribe(
        self, client: Client, _: object, message_id: int, reasons: list[ReasonCode], properties: Properties | None
    ) -> None:
        refused = [reason for reason in reasons if reason.is_failure]
        if refused:
            self._end(f"{self._address}: the broker refuses the subscription: {refused[0]}")
            return
        self._greeted = True
        self._deadline = float("inf")
        self._post(Connected(self.number, self._peer))

    def _on_publish(
        self, client: Client, _: object, message_id: int, reason: ReasonCode, properties: Properties
    ) -> None:
        number = self._under_way.pop(message_id, None)
        if number is None:
            return
        if reason.value == 0:
            self._post(Published(self.number, number))
        else:
            self._post(PublishRefused(self.number, number, reason.value))
        if number == self._last_word:
            self._end(_CLOSED)

    def _on_message(self, client: Client, _: object, message: MQTTMessage) -> None:
        if message.qos == 0:
            return
        pairs = getattr(message.properties, "UserProperty", [])
        arrived = Arrived(self.number, message.topic, bytes(message.payload), tuple((k, v) for k, v in pairs))
        self._arrived[id(arrived)] = (arrived, message.mid)
        self._post(arrived)

    def _on_disconnect(
        self, client: Client, _: object, flags: DisconnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        by = "the broker ended the connection" if flags.is_disconnect_packet_from_server else "the connection is gone"
        self._end(f"{self._address}: {by}: {reason}")
