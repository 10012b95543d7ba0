"""ports.Uploader: `PUT` of whole files over HTTPS (TLS 1.3, certificates on both sides), straight from the card.

Guarantees: nothing is sent to a peer that was not accepted; each upload ends with one event, at once when it is
stopped, by itself when nothing moves for PROGRESS_S or no answer comes within ANSWER_S; memory is one block an upload;
no redirect is followed and no proxy asked. Assumes: names resolve within a few seconds. Sources: RFC 9110, RFC 9112.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from agent.adapters.tls import TlsFiles, client_context
from agent.errors import FormatError, TemoinError
from agent.model import NetworkEvent, Upload, Uploaded, UploadFailed
from agent.ports import AcceptPeer, Disk

BLOCK_BYTES = 1024 * 1024
PROGRESS_S = 15  # for a TLS record of 16 KiB to leave: under 1 KiB a second nothing would ever be done
ANSWER_S = 60  # a dock hashes and fsyncs before it answers

_HTTPS_PORT = 443


class HttpsUploader:
    """An Uploader. A thread an upload; the rules have one under way, beside those that they have given up."""

    def __init__(self, disk: Disk, files: TlsFiles, accept: AcceptPeer, post: Callable[[NetworkEvent], None]) -> None:
        self._disk = disk
        self._files = files
        self._accept = accept
        self._post = post
        self._lock = threading.Lock()
        self._under_way: set[_Transfer] = set()

    def start(self, upload: Upload) -> None:
        transfer = _Transfer(upload, self._disk, self._files, self._accept, self._finish)
        with self._lock:
            self._under_way.add(transfer)
        transfer.start()

    def stop(self) -> None:
        with self._lock:
            stopped = tuple(self._under_way)
        for transfer in stopped:
            self._finish(transfer, UploadFailed(transfer.upload.number, "stopped"))
            transfer.hang_up()

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
        files: TlsFiles,
        accept: AcceptPeer,
        finish: Callable[[_Transfer, NetworkEvent], None],
    ) -> None:
        super().__init__(name=f"upload-{upload.number}", daemon=True)
        self.upload = upload
        self._disk = disk
        self._files = files
        self._accept = accept
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
        context = client_context(self._files, self._accept)
        connection = http.client.HTTPSConnection(
            parts.hostname, parts.port or _HTTPS_PORT, timeout=PROGRESS_S, context=context
        )
        try:
            connection.connect()
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
