"""The HTTPS intake over real TLS on the loopback: honest cameras with their own uploader, hostile ones by hand."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import io
import json
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.adapters.disk import RealDisk
from agent.adapters.https import HttpsUploader
from agent.adapters.tls import server_context
from agent.keys import load_chain
from agent.model import Upload as UploadOrder
from agent.model import Uploaded, UploadFailed
from agent.toml_table import Address
from dock.blobs import Blob, BlobError, BlobStore, Outcome, Upload, url_path
from dock.intake import Intake, Limits
from dock.lines import RefusedError
from dock.log import Log
from dock.metrics import Metrics
from tests.support.agency import TestAgency, make_agency
from tests.support.brokers import accept_anybody, camera_files, dock_files
from tests.support.posts import Posts

REC = "cam-01-0011aabb-12"
BLOB = b"\x07\x08" * 1_500_000
WAIT_S = 20


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    now_ms = time.time_ns() // 1_000_000
    return make_agency(tmp_path_factory.mktemp("intake"), cameras=("cam-01", "cam-02"), now_ms=now_ms)


def blob_of(data: bytes, seg: int = 0) -> Blob:
    return Blob("cam-01", REC, seg, len(data), hashlib.sha256(data).hexdigest())


@dataclass
class Desk:
    """Tickets by (rec, seg); what was told to be stored."""

    tickets: dict[tuple[str, int], Blob]
    blobs: BlobStore
    stored_blobs: list[Blob] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    async def open_upload(self, dev: str, rec: str, seg: int, size: int) -> Upload:
        blob = self.tickets.get((rec, seg))
        if blob is None or not rec.startswith(f"{dev}-") or size != blob.size:
            raise RefusedError(rec, "has no ticket", "wait for a ticket")
        return self.blobs.begin(blob)

    async def on_blob(self, blob: Blob, outcome: Outcome) -> None:
        self.stored_blobs.append(blob)

    async def on_upload_failed(self, blob: Blob, error: BlobError) -> None:
        self.failed.append(error.problem)


@dataclass
class Stage:
    """An intake that listens, and all that it said."""

    agency: TestAgency
    folder: Path
    desk: Desk
    intake: Intake
    port: int
    log: io.StringIO

    def events(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]

    def causes(self) -> list[object]:
        return [event["cause"] for event in self.events() if event["event"] == "refused"]

    def file(self, seg: int = 0) -> Path:
        return self.folder / "cam-01" / "segments" / REC / f"{seg:04d}.mp4.age"

    def leftovers(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.suffix == ".tmp"]


def on_stage(agency: TestAgency, folder: Path, play: Callable[[Stage], Awaitable[None]], **limits: float) -> Stage:
    """Run `play` while an intake listens; its archive is `folder`."""

    async def run() -> Stage:
        (folder / "cam-01" / "segments").mkdir(parents=True)  # the archive makes it with the journal
        log = io.StringIO()
        chosen = Limits(**{"linger_s": 0.2, **limits})  # type: ignore[arg-type]  # counts are whole floats here
        desk = Desk({(REC, 0): blob_of(BLOB), (REC, 1): blob_of(b"", 1)}, BlobStore(RealDisk(folder)))
        root = load_chain(agency.root_pem, "agency.pem")[0]
        now_ms = agency.now_ms
        intake = Intake(desk, root, lambda: now_ms, Log(lambda: now_ms, log), Metrics(), chosen)
        port = await intake.start(Address("127.0.0.1", 0), server_context(dock_files(agency)))
        stage = Stage(agency, folder, desk, intake, port, log)
        try:
            async with asyncio.timeout(WAIT_S):
                await play(stage)
        finally:
            await intake.stop()
        return stage

    folder.mkdir(exist_ok=True)
    return asyncio.run(run())


async def put(stage: Stage, data: bytes, path: str = url_path(REC, 0), dev: str = "cam-01") -> int | str:
    """What the camera's own uploader makes of it: the status, or why there is none."""
    card = stage.folder.parent / "card"
    card.mkdir(exist_ok=True)
    (card / "file").write_bytes(data)
    posts = Posts()
    uploader = HttpsUploader(RealDisk(card), camera_files(stage.agency, dev), accept_anybody, posts)
    uploader.start(UploadOrder(1, "file", len(data), f"https://127.0.0.1:{stage.port}{path}", ()))
    event = await asyncio.to_thread(posts.next)
    assert isinstance(event, Uploaded | UploadFailed)
    return event.status if isinstance(event, Uploaded) else event.why


@contextlib.contextmanager
def by_hand(stage: Stage, certificate: str = "camera-tls", dev: str = "cam-01"):  # type: ignore[no-untyped-def]
    """A TLS connection to write anything to."""
    folder = stage.agency.camera_folder(dev)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(folder / "agency.pem")
    context.load_cert_chain(folder / f"{certificate}.pem", folder / f"{certificate}.key")
    with (
        socket.create_connection(("127.0.0.1", stage.port), timeout=WAIT_S) as plain,
        context.wrap_socket(plain) as connection,
    ):
        yield connection


def say(stage: Stage, *pieces: bytes, certificate: str = "camera-tls", dev: str = "cam-01") -> bytes:
    """Send the pieces, and read until the other side hangs up."""
    answer = b""
    with contextlib.suppress(OSError), by_hand(stage, certificate, dev) as connection:
        for piece in pieces:
            connection.sendall(piece)
        while data := connection.recv(65536):
            answer += data
    return answer


def test_a_blob_is_taken_once_and_its_second_coming_is_compared(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        assert await put(stage, BLOB) == 201
        assert stage.file().read_bytes() == BLOB
        assert await put(stage, BLOB) == 200
        assert await put(stage, BLOB[:-1] + b"x") == 409
        assert stage.file().read_bytes() == BLOB
        assert await put(stage, b"", url_path(REC, 1)) == 201

    stage = on_stage(agency, tmp_path / "archive", play)
    assert [blob.seg for blob in stage.desk.stored_blobs] == [0, 0, 1]
    assert stage.leftovers() == []
    text = stage.intake._metrics.text().decode()
    assert 'temoin_dock_uploads_total{status="201"} 2.0' in text
    assert "temoin_dock_upload_bytes_total 3e+06\n" in text


def test_other_bytes_are_never_stored(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        assert await put(stage, BLOB[:-1] + b"x") == 400

    stage = on_stage(agency, tmp_path / "archive", play)
    assert (stage.desk.stored_blobs, stage.leftovers(), stage.file().exists()) == ([], [], False)
    assert stage.causes() == ["other_bytes"]
    assert stage.desk.failed == ["other bytes than the camera's journal names"]


HEAD = b"PUT %s HTTP/1.1\r\nHost: x\r\n%s\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BLOB)
GOOD = url_path(REC, 0).encode()

HOSTILE = {
    "another camera's blob": (HEAD % (GOOD, LENGTH), 403, "no_ticket", "cam-02"),
    "no ticket": (HEAD % (b"/blobs/cam-01-0011aabb-13/0000", LENGTH), 403, "no_ticket", "cam-01"),
    "out of the folder": (HEAD % (b"/blobs/../../etc/passwd", LENGTH), 404, "path", "cam-01"),
    "out of the folder, encoded": (HEAD % (b"/blobs/%2e%2e/0000", LENGTH), 404, "path", "cam-01"),
    "encoded letters": (HEAD % (b"/%62lobs" + GOOD[6:], LENGTH), 404, "path", "cam-01"),
    "a slash more": (HEAD % (GOOD + b"/", LENGTH), 404, "path", "cam-01"),
    "number not padded": (HEAD % (GOOD[:-3], LENGTH), 404, "path", "cam-01"),
    "too large": (HEAD % (GOOD, b"Content-Length: 99999999999\r\n"), 403, "no_ticket", "cam-01"),
    "too small": (HEAD % (GOOD, b"Content-Length: 5\r\n") + b"12345", 403, "no_ticket", "cam-01"),
    "no length": (HEAD % (GOOD, b""), 411, "length", "cam-01"),
    "chunked": (HEAD % (GOOD, b"Transfer-Encoding: chunked\r\n"), 411, "length", "cam-01"),
    "read": (b"GET " + GOOD + b" HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method", "cam-01"),
    "delete": (b"DELETE " + GOOD + b" HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method", "cam-01"),
    "health": (b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n", 405, "method", "cam-01"),
}


def test_each_hostile_request_is_refused_logged_and_leaves_nothing(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        for name, (request, status, cause, dev) in HOSTILE.items():
            before = len(stage.causes())
            answer = await asyncio.to_thread(say, stage, request, dev=dev)
            assert answer.startswith(b"HTTP/1.1 %d " % status), name
            assert stage.causes()[before:] == [cause], name

    stage = on_stage(agency, tmp_path / "archive", play)
    assert list((tmp_path / "archive" / "cam-01" / "segments").iterdir()) == []
    assert stage.desk.stored_blobs == []


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\xff garbage \r\n\r\n",
        b"PUT " + b"/" * 20_000 + b" HTTP/1.1\r\n\r\n",
        HEAD % (GOOD, b"X: " + b"y" * 20_000 + b"\r\n"),
        HEAD % (GOOD, b"Content-Length: -1\r\n"),
        HEAD % (GOOD, LENGTH + b"Content-Length: 1\r\n"),
        HEAD % (GOOD, LENGTH + b"Transfer-Encoding: chunked\r\n"),
    ],
    ids=["garbage", "long path", "long header", "negative length", "two lengths", "length and chunked"],
)
def test_what_is_no_request_is_answered_400(request_bytes: bytes, agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        answer = await asyncio.to_thread(say, stage, request_bytes)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))

    on_stage(agency, tmp_path / "archive", play)


def test_an_upload_that_is_cut_leaves_nothing_and_can_come_again(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        def cut() -> None:
            with by_hand(stage) as connection:
                connection.sendall(HEAD % (GOOD, LENGTH) + BLOB[: len(BLOB) // 2])

        await asyncio.to_thread(cut)
        while stage.causes() != ["cut"]:
            await asyncio.sleep(0.01)
        assert await put(stage, BLOB) == 201

    stage = on_stage(agency, tmp_path / "archive", play)
    assert stage.leftovers() == []


def test_who_says_nothing_or_too_little_is_hung_up_on(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        began = time.monotonic()
        assert await asyncio.to_thread(say, stage) == b""
        assert await asyncio.to_thread(say, stage, b"PUT /blobs HTTP/1.1\r\nHost") == b""
        answer = await asyncio.to_thread(say, stage, HEAD % (GOOD, LENGTH), BLOB[:1000])
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() - began < 5

    stage = on_stage(agency, tmp_path / "archive", play, head_s=0.2, progress_s=0.2)
    assert stage.causes() == ["too_slow"]
    assert stage.leftovers() == []


def test_connections_are_counted_by_certificate(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        def crowd() -> None:
            with by_hand(stage), by_hand(stage) as second:
                second.sendall(b"PUT /x HT")
                assert say(stage, HEAD % (GOOD, LENGTH)) == b""
                assert say(stage, HEAD % (b"/x", LENGTH), dev="cam-02").startswith(b"HTTP/1.1 404 ")

        await asyncio.to_thread(crowd)
        while stage.intake._connections:
            await asyncio.sleep(0.01)
        assert await put(stage, BLOB) == 201

    stage = on_stage(agency, tmp_path / "archive", play, connections_a_camera=2)
    assert "too_many_connections" in stage.causes()


def test_only_cameras_come_in(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        assert await asyncio.to_thread(say, stage, HEAD % (GOOD, LENGTH), certificate="camera") == b""  # it signs
        folder = agency.camera_folder("cam-02")
        own = (folder / "camera-tls.pem").read_bytes(), (folder / "camera-tls.key").read_bytes()
        dock = agency.dock_folder()
        try:
            (folder / "camera-tls.pem").write_bytes((dock / "dock-tls.pem").read_bytes())
            (folder / "camera-tls.key").write_bytes((dock / "dock-tls.key").read_bytes())
            assert await asyncio.to_thread(say, stage, HEAD % (GOOD, LENGTH), dev="cam-02") == b""
        finally:
            (folder / "camera-tls.pem").write_bytes(own[0])
            (folder / "camera-tls.key").write_bytes(own[1])

    stage = on_stage(agency, tmp_path / "archive", play)
    assert stage.causes() == ["certificate"]  # the other did not get through TLS
    assert stage.desk.stored_blobs == []


def test_an_expired_certificate_is_refused_by_the_docks_clock(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, seed="old", now_ms=time.time_ns() // 1_000_000)
    agency_then = agency.now_ms

    async def play(stage: Stage) -> None:
        stage.intake._now_ms = lambda: agency_then + 11 * 365 * 86_400_000
        assert await asyncio.to_thread(say, stage, HEAD % (GOOD, LENGTH)) == b""
        assert "expired" in str(stage.events()[-1]["why"])

    on_stage(agency, tmp_path / "archive", play)


def test_a_disk_that_fails_is_507_and_the_next_one_goes_through(agency: TestAgency, tmp_path: Path) -> None:
    async def play(stage: Stage) -> None:
        place = stage.folder / "cam-01" / "segments"
        (place / REC).write_text("a file where a folder belongs")
        assert await put(stage, BLOB) == 507
        (place / REC).unlink()
        assert await put(stage, BLOB) == 201

    on_stage(agency, tmp_path / "archive", play)
