"""A broker by hand: TLS as the dock has it, and MQTT 5 packets as bytes, one connection, each step when the test says.

For what a real broker cannot be asked to do: to stay silent, to allow little, to send what is no packet.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from typing import Self

from agent.adapters.tls import TlsFiles, server_context

WAIT_S = 20
CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, DISCONNECT = 1, 2, 3, 4, 8, 9, 14


@dataclass
class RawBroker:
    """Listens on a free loopback port from `with` on. `receive_maximum` is announced in CONNACK."""

    files: TlsFiles
    receive_maximum: int = 20
    _buffer: bytes = b""
    packets: list[tuple[int, bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._context = server_context(self.files)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(WAIT_S)
        self.port: int = self._listener.getsockname()[1]
        self._connection: ssl.SSLSocket | None = None
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            self._connection.close()
        self._listener.close()

    def accept(self) -> None:
        """Take the client's connection and read its CONNECT."""
        plain, _ = self._listener.accept()
        plain.settimeout(WAIT_S)
        self._connection = self._context.wrap_socket(plain, server_side=True)
        assert self.read()[0] == CONNECT

    def break_off(self) -> None:
        """Take a connection, hear the client's hello, and be gone without a word."""
        plain, _ = self._listener.accept()
        with plain:
            plain.settimeout(WAIT_S)
            plain.recv(65536)

    def greet(self) -> None:
        """CONNACK, and SUBACK for the subscription."""
        self.send(b"\x20\x06\x00\x00\x03\x21" + self.receive_maximum.to_bytes(2))
        kind, body = self.read()
        assert kind == SUBSCRIBE
        self.send(b"\x90\x04" + body[:2] + b"\x00\x01")

    def send(self, data: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(data)

    def acknowledge(self, publish: bytes) -> None:
        """PUBACK for a PUBLISH's body."""
        topic_bytes = int.from_bytes(publish[:2])
        self.send(b"\x40\x02" + publish[2 + topic_bytes : 4 + topic_bytes])

    def read(self) -> tuple[int, bytes]:
        """The next packet: its type, and what follows the fixed header."""
        assert self._connection is not None
        while True:
            found = _packet(self._buffer)
            if found is not None:
                kind, body, self._buffer = found
                return kind, body
            data = self._connection.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data

    def is_silent(self, seconds: float) -> bool:
        """Whether nothing comes for that long."""
        assert self._connection is not None
        if self._buffer:
            return False
        self._connection.settimeout(seconds)
        try:
            self._buffer += self._connection.recv(65536)
        except TimeoutError:
            return True
        finally:
            self._connection.settimeout(WAIT_S)
        return False


def _packet(data: bytes) -> tuple[int, bytes, bytes] | None:
    """Type, body and rest; None while it is not whole (MQTT 5, 2.1.4)."""
    length = 0
    for index in range(1, min(5, len(data))):
        length |= (data[index] & 0x7F) << 7 * (index - 1)
        if not data[index] & 0x80:
            begin = index + 1
            if len(data) < begin + length:
                return None
            return data[0] >> 4, data[begin : begin + length], data[begin + length :]
    return None
