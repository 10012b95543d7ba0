"""ports.Uploader: `PUT` of whole files over HTTPS (TLS 1.3, certificates on both sides), straight from the card.

Guarantees: nothing is sent to a peer that was not accepted; each upload ends with one event, at once when it is
stopped, by itself when nothing moves for PROGRESS_S or no answer comes within ANSWER_S; memory is one block an upload;
no redirect is followed and no proxy asked. The connection of an upload that was announced is opened while the dock
makes the bytes of the one before durable: nothing is sent on it before that one begins. Assumes: names resolve within a
few seconds. Sources: RFC 9110, RFC 9112.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from agent.adapters.tls import TlsFiles, client_context
from agent.errors import FormatError, TemoinError
from agent.model import NetworkEvent, Upload, Uploaded, UploadFailed
from agent.ports import AcceptPeer, Disk

BLOCK_BYTES = 256 * 1024  # of a MiB each block is new memory to the kernel, and the cache forgets it before it is sent
PROGRESS_S = 15  # for a TLS record of 16 KiB to leave: under 1 KiB a second nothing would ever be done
ANSWER_S = 60  # a dock hashes and fsyncs before it answers
SPARE_S = 5  # a connection without a request: less than any intake lets it wait
SPARE_REACH_S = 2

_HTTPS_PORT = 443


class _Connector:
    """Makes connections to intakes, one of them before it is needed."""

    def __init__(self, files: TlsFiles, accept: AcceptPeer) -> None:
        self._files = files
        self._accept = accept
        self._lock = threading.Lock()
        self._expected: tuple[str, int] | None = None
        self._spare: tuple[http.client.HTTPSConnection, float] | None = None
        self._drops = 0

    def expect(self, next_one: tuple[str, int] | None) -> None:
        """Where the next connection will be wanted to, if that is known."""
        with self._lock:
            self._expected = next_one

    def connect(self, host: str, port: int) -> http.client.HTTPSConnection:
        """A connection to an accepted peer. Raises OSError, TemoinError."""
        with self._lock:
            spare, self._spare = self._spare, None
        if spare is not None:
            connection, opened_s = spare
            if (connection.host, connection.port) == (host, port) and time.monotonic() - opened_s < SPARE_S:
                return connection
            connection.close()
        return self._open(host, port, PROGRESS_S)

    def prepare(self) -> None:
        """Open what is expected, if that can be done soon. Where it cannot, the next upload finds out why."""
        with self._lock:
            expected, drops = self._expected, self._drops
        if expected is None:
            return
        try:
            connection = self._open(*expected, SPARE_REACH_S)
        except (OSError, TemoinError):
            return
        connection.sock.settimeout(PROGRESS_S)
        with self._lock:
            if drops == self._drops and self._spare is None:
                self._spare = connection, time.monotonic()
                return
        connection.close()

    def drop(self) -> None:
        """The one that is open, and one that is being opened."""
        with self._lock:
            self._drops += 1
            spare, self._spare, self._expected = self._spare, None, None
        if spare is not None:
            spare[0].close()

    def _open(self, host: str, port: int, timeout_s: int) -> http.client.HTTPSConnection:
        context = client_context(self._files, self._accept)
        connection = http.client.HTTPSConnection(host, port, timeout=timeout_s, context=context)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        return connection


class HttpsUploader:
    """An Uploader. A thread an upload; the rules have one under way, beside those that they have given up."""

    def __init__(self, disk: Disk, files: TlsFiles, accept: AcceptPeer, post: Callable[[NetworkEvent], None]) -> None:
        self._disk = disk
        self._connector = _Connector(files, accept)
        self._post = post
        self._lock = threading.Lock()
        self._under_way: set[_Transfer] = set()

    def start(self, upload: Upload) -> None:
        self._connector.expect(None)  # this is what was expected
        transfer = _Transfer(upload, self._disk, self._connector, self._finish)
        with self._lock:
            self._under_way.add(transfer)
        transfer.start()

    def expect(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.hostname is not None:
            self._connector.expect((parts.hostname, parts.port or _HTTPS_PORT))

    def stop(self) -> None:
        with self._lock:
            stopped = tuple(self._under_way)
        for transfer in stopped:
            self._finish(transfer, UploadFailed(transfer.upload.number, "stopped"))
            transfer.hang_up()
        self._connector.drop()

    def _finish(self, transfer: _Transfer, event: NetworkEvent) -> None:
        """Post the one event of an upload: the first that is known."""
        with self._lock:
            if transfer not in self._under_way:
                return
            self._under_way.remove(transfer)
        self._post(event)


class _Transfer(threading.Thread):
    def __init__(
        self,
        upload: Upload,
        disk: Disk,
        connector: _Connector,
        finish: Callable[[_Transfer, NetworkEvent], None],
    ) -> None:
        super().__init__(name=f"upload-{upload.number}", daemon=True)
        self.upload = upload
        self._disk = disk
        self._connector = connector
        self._finish = finish
        self._lock = threading.Lock()
        self._connection: http.client.HTTPSConnection | None = None
        self._stopped = False

    def run(self) -> None:
        number = self.upload.number
        try:
            event: NetworkEvent = Uploaded(number, self._put())
        except TemoinError as error:
            event = UploadFailed(number, str(error))
        except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: a header that cannot be sent
            event = UploadFailed(number, f"{type(error).__name__}: {error}")
        self._finish(self, event)

    def hang_up(self) -> None:
        """From another thread: whatever waits for the network there fails now."""
        with self._lock:
            self._stopped = True
            connection = self._connection
            if connection is not None and isinstance(connection.sock, socket.socket):
                with contextlib.suppress(OSError):
                    # Of the socket below TLS: `SSLSocket.shutdown` takes TLS off under a thread that is using it.
                    socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _put(self) -> int:
        """The answer's status."""
        upload = self.upload
        parts = urlsplit(upload.url)
        if parts.scheme != "https" or parts.hostname is None:
            raise FormatError("url", f"{upload.url!r} is not https", "see docs/docking.md, ticket")
        size = self._disk.size(upload.path)
        if size != upload.size:
            raise FormatError(upload.path, f"has {size} bytes, not {upload.size}")
        connection = self._connector.connect(parts.hostname, parts.port or _HTTPS_PORT)
        try:
            with self._lock:
                if self._stopped:
                    raise ConnectionAbortedError("stopped")
                self._connection = connection
            target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
            return self._exchange(connection, target)
        finally:
            with self._lock:
                self._connection = None
            connection.close()

    def _exchange(self, connection: http.client.HTTPSConnection, target: str) -> int:
        upload = self.upload
        connection.putrequest("PUT", target, skip_accept_encoding=True)
        for name, value in upload.headers:
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(upload.size))
        connection.endheaders()
        try:
            self._send(connection)
        except (BrokenPipeError, ConnectionResetError):
            if self._stopped:
                raise
            # Refused before the end: the answer says why, if it is still to be had.
        self._connector.prepare()
        connection.sock.settimeout(ANSWER_S)
        with connection.getresponse() as answer:
            return answer.status

    def _send(self, connection: http.client.HTTPSConnection) -> None:
        upload = self.upload
        sent = 0
        while sent < upload.size:
            block = self._disk.read(upload.path, sent, min(BLOCK_BYTES, upload.size - sent))
            if not block:
                raise FormatError(upload.path, f"ends at {sent} of {upload.size} bytes")
            connection.send(block)
            sent += len(block)
