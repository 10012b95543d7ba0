"""A dock's intake for tests of uploaders: TLS as the dock has it, and behaviour by the first letter of the path.

`/NNN`: read the body, answer NNN. `/early/NNN`: answer before the body is read, and close. `/stall`: read nothing.
`/cut`: read half, close. `/silent`: read all, never answer. What was read is in `received`, by path.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from dataclasses import dataclass, field
from typing import Self

from agent.adapters.tls import TlsFiles, server_context

_BLOCK_BYTES = 64 * 1024
LEAVE_S = 10


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    head: str
    body: bytes


@dataclass
class IntakeServer:
    """Listens on a free loopback port from `with` on; `reached` is set when a request's head has been read."""

    files: TlsFiles
    received: dict[str, Request] = field(default_factory=dict)
    reached: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    def __enter__(self) -> Self:
        self._context = server_context(self.files)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            connection.close()

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.port}{path}"

    def hang_up(self) -> None:
        """End every connection, whatever it is at."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def wait_until_left(self) -> None:
        """Until every client has gone."""
        for thread in self._threads:
            thread.join(LEAVE_S)
            assert not thread.is_alive(), "a client is still connected"

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._threads.append(threading.Thread(target=self._answer, args=(connection,), daemon=True))
                self._threads[-1].start()

    def _answer(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            connection = self._context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self._open.append(connection)
            with connection:
                connection.do_handshake()
                self._exchange(connection)

    def _exchange(self, connection: ssl.SSLSocket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            block = connection.recv(_BLOCK_BYTES)
            if not block:
                return
            data += block
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        path = lines[0].split(" ")[1]
        size = next(int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:"))
        self.reached.set()
        if path.startswith("/stall"):
            threading.Event().wait()
        if path.startswith("/early/"):
            connection.sendall(f"HTTP/1.1 {path[7:10]} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            return
        wanted = size // 2 if path.startswith("/cut") else size
        while len(body) < wanted and (block := connection.recv(_BLOCK_BYTES)):
            body += block
        self.received[path] = Request(head.decode(), body)
        if path.startswith("/silent"):
            threading.Event().wait()
        if not path.startswith("/cut"):
            extra = "Location: /200\r\n" if path[1] == "3" else ""
            connection.sendall(f"HTTP/1.1 {path[1:4]} x\r\n{extra}Content-Length: 0\r\n\r\n".encode())
