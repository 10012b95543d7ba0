"""The HTTPS intake: `PUT /blobs/<rec>/<nnnn>` by cameras with a ticket (docs/openapi.yaml, docs/docking.md).

Guarantees: nobody gets as far as a request without a certificate `camera-tls:<dev>` of the agency that is valid now,
and with it only to blobs of `dev`; answers 200 and 201 come after the blob is durable and whole. Bounded whatever a
client does: connections a camera, uploads at once, bytes in memory an upload, time without progress, length of a
request's head. Bodies are hashed and written by threads: the event loop never waits for the disk.
Assumes: `Desk` (the station) knows which tickets are open. Sources: RFC 9110, RFC 9112.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, TypeVar

from aiohttp import ClientPayloadError, web
from cryptography import x509

from agent.errors import CertificateError, DiskError, FormatError, TemoinError
from agent.keys import check_chain, parse_certificate
from agent.toml_table import Address
from dock.blobs import Blob, BlobError, ConflictError, Outcome, Upload, parse_url_path
from dock.lines import RefusedError
from dock.log import Log
from dock.metrics import Metrics

BLOCK_BYTES = 1024 * 1024  # what an upload holds in memory, and as much again of the network's
HEAD_BYTES = 8190
CLOSED_BY_CLIENT = 499  # for log and metrics; nobody is there to read it

_Result = TypeVar("_Result")


class NotAdmittedError(TemoinError):
    """An upload that ends without a blob. `problem` is a word for log and metrics, `status` what HTTP calls it."""

    def __init__(self, where: str, problem: str, status: int) -> None:
        super().__init__(where, problem)
        self.status = status


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may take. A body must bring `progress_bytes` each `progress_s`: a whole segment in 64 minutes.

    `linger_s`: how long what follows a refusal is read and dropped, so that the client can read the answer.
    """

    connections_a_camera: int = 4  # one upload is under way, and there may be some that are being given up
    uploads: int = 16
    handshake_s: float = 10
    head_s: float = 10
    progress_s: float = 15
    progress_bytes: int = 64 * 1024
    linger_s: float = 2


class Desk(Protocol):
    """What the intake asks the station (dock/station.py), which runs in a thread of its own."""

    async def open_upload(self, dev: str, rec: str, seg: int, size: int) -> Upload:
        """Raises RefusedError, DiskError."""
        ...

    async def on_blob(self, blob: Blob, outcome: Outcome) -> None:
        """It is durable under its name."""
        ...

    async def on_upload_failed(self, blob: Blob, error: BlobError) -> None:
        """Other bytes came."""
        ...


class Intake:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        desk: Desk,
        root: x509.Certificate,
        now_ms: Callable[[], int],
        log: Log,
        metrics: Metrics,
        limits: Limits = Limits(),
    ) -> None:
        self.limits = limits
        self._desk = desk
        self._root = root
        self._now_ms = now_ms
        self._log = log
        self._metrics = metrics
        self._writers = ThreadPoolExecutor(limits.uploads, thread_name_prefix="blob")
        self._slots = asyncio.Semaphore(limits.uploads)
        self._gates: dict[asyncio.BaseTransport, _Gate] = {}
        self._connections: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None

    async def start(self, listen: Address, context: ssl.SSLContext) -> int:
        """Returns the port (that of `listen`, or the one found for 0). Raises OSError."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            application,
            access_log=None,
            logger=self._logger(),
            lingering_time=self.limits.linger_s,
            max_line_size=HEAD_BYTES,
            max_field_size=HEAD_BYTES,
        )
        await runner.setup()
        inner = runner.server
        assert inner is not None
        self._runner = runner
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Gate(self, inner()),
            listen.host,
            listen.port,
            ssl=context,
            ssl_handshake_timeout=self.limits.handshake_s,
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        """Give up what is under way, and wait until no thread writes any more."""
        if self._server is not None:
            self._server.close()
        for transport in tuple(self._gates):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        if self._runner is not None:
            await self._runner.cleanup()
        self._writers.shutdown()

    # --- connections --------------------------------------------------------------------------------------------------

    def enter(self, gate: _Gate, transport: asyncio.Transport) -> str | None:
        """The camera at the other end, None if it may not come in."""
        connection = transport.get_extra_info("ssl_object")
        der = None if connection is None else connection.getpeercert(binary_form=True)
        try:
            certificate = parse_certificate(der or b"", "client")
            role = check_chain((certificate,), self._root, ("camera-tls",), "client", self._now_ms())
        except CertificateError as error:
            self._refuse("certificate", why=str(error))
            return None
        if self._connections[role.id] >= self.limits.connections_a_camera:
            self._refuse("too_many_connections", camera=role.id)
            return None
        self._connections[role.id] += 1
        self._gates[transport] = gate
        return role.id

    def leave(self, transport: asyncio.Transport, dev: str) -> None:
        del self._gates[transport]
        self._connections[dev] -= 1
        if not self._connections[dev]:
            del self._connections[dev]

    def _refuse(self, cause: str, **fields: str | int) -> None:
        self._metrics.refusals.labels(cause).inc()
        self._log.write("refused", cause=cause, **fields)

    def _logger(self) -> logging.Logger:
        """What aiohttp has to say, which is of malformed requests, in our own log."""
        logger = logging.Logger("intake")
        logger.addHandler(_LogHandler(self._log))
        return logger

    # --- requests -----------------------------------------------------------------------------------------------------

    async def _handle(self, request: web.Request) -> web.Response:
        began = time.monotonic()
        gate = None if request.transport is None else self._gates.get(request.transport)
        if gate is None:
            raise ConnectionResetError
        gate.head_is_read()
        path = request.rel_url.raw_path
        try:
            status = await self._put(request, gate.dev, path)
            cause = ""
        except NotAdmittedError as error:
            status, cause = error.status, error.problem
        except (ConnectionError, ClientPayloadError):
            status, cause = CLOSED_BY_CLIENT, "cut"
        self._metrics.uploads.labels(str(status)).inc()
        self._metrics.upload_seconds.observe(time.monotonic() - began)
        if cause:
            self._refuse(cause, camera=gate.dev, path=path, status=status)
        answer = web.json_response({"cause": cause} if cause else {}, status=status)
        answer.headers["Server"] = "temoin-dock"  # and not which software of which version
        answer.force_close()  # a connection is judged once; a reused one would not be
        return answer

    async def _put(self, request: web.Request, dev: str, path: str) -> int:
        if request.method != "PUT":
            raise NotAdmittedError(path, "method", 405)
        try:
            rec, seg = parse_url_path(path)
        except FormatError:
            raise NotAdmittedError(path, "path", 404) from None
        size = request.content_length
        if size is None:
            raise NotAdmittedError(path, "length", 411)
        if self._slots.locked():
            raise NotAdmittedError(path, "busy", 503)
        async with self._slots:
            with self._metrics.uploading.track_inprogress():
                outcome = await self._take(request, dev, rec, seg, size)
        if outcome is Outcome.STORED:
            self._metrics.upload_bytes.inc(size)
        self._log.write("stored", camera=dev, recording=rec, segment=seg, size=size, outcome=outcome.value)
        return 201 if outcome is Outcome.STORED else 200

    async def _take(self, request: web.Request, dev: str, rec: str, seg: int, size: int) -> Outcome:
        try:
            upload = await self._desk.open_upload(dev, rec, seg, size)
            outcome = await self._store(request, upload)
        except RefusedError as error:
            raise NotAdmittedError(error.where, "no_ticket", 403) from None
        except DiskError as error:
            self._log.write("disk", why=str(error))
            raise NotAdmittedError(error.where, "disk", 507) from None
        except TimeoutError:
            raise NotAdmittedError(rec, "too_slow", 408) from None
        await self._desk.on_blob(upload.blob, outcome)
        return outcome

    async def _store(self, request: web.Request, upload: Upload) -> Outcome:
        try:
            await self._receive(request, upload)
            return await self._by_thread(upload.finish)
        except BlobError as error:  # it is over by itself
            await self._desk.on_upload_failed(upload.blob, error)
            if isinstance(error, ConflictError):
                raise NotAdmittedError(error.where, "conflict", 409) from None
            raise NotAdmittedError(error.where, "other_bytes", 400) from None
        except BaseException:
            await self._by_thread(upload.abort)
            raise

    async def _receive(self, request: web.Request, upload: Upload) -> None:
        """The body, block by block. Raises TimeoutError when too little of it comes."""
        loop = asyncio.get_running_loop()
        block, progress = bytearray(), 0
        patience = self.limits.progress_s
        async with asyncio.timeout(patience) as limit:
            while data := await request.content.readany():
                block += data
                progress += len(data)
                if progress >= self.limits.progress_bytes:
                    limit.reschedule(loop.time() + patience)
                    progress = 0
                if len(block) >= BLOCK_BYTES:
                    limit.reschedule(None)  # the disk's time is not the camera's
                    await self._write(upload, block)
                    limit.reschedule(loop.time() + patience)
                    block, progress = bytearray(), 0
        if block:
            await self._write(upload, block)

    async def _write(self, upload: Upload, block: bytearray) -> None:
        await self._by_thread(lambda: upload.write(block))

    async def _by_thread(self, work: Callable[[], _Result]) -> _Result:
        """Done by a thread, and waited for even by a task that is cancelled: an upload has one thread at a time."""
        future = asyncio.get_running_loop().run_in_executor(self._writers, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            with contextlib.suppress(TemoinError):
                await future
            raise


class _LogHandler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        self._log.write("http", said=record.getMessage(), why=repr(error) if error else None)


class _Gate(asyncio.Protocol):
    """Stands before aiohttp's protocol: judges who connects, and gives them a time for their request."""

    def __init__(self, intake: Intake, inner: asyncio.Protocol) -> None:
        self.dev = ""
        self._intake = intake
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def head_is_read(self) -> None:
        """A request is being handled: its own limits count from now on."""
        if self._timer is not None:
            self._timer.cancel()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        dev = self._intake.enter(self, transport)
        if dev is None:
            transport.abort()
            return
        self.dev = dev
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(self._intake.limits.head_s, transport.abort)
        self._inner.connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self._transport is not None:
            self.head_is_read()
            self._intake.leave(self._transport, self.dev)
            self._inner.connection_lost(error)
            self._transport = None

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
