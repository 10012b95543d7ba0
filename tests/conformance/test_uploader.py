"""What every Uploader does. The real one has a TLS server with the certificates that `temoin-fleet init` makes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.adapters.disk import RealDisk
from agent.adapters.https import HttpsUploader
from agent.adapters.tls import TlsFiles
from agent.errors import CertificateError
from agent.keys import parse_certificate, role_of
from agent.model import Upload, Uploaded, UploadFailed
from agent.ports import AcceptPeer
from tests.support.agency import TestAgency, make_agency
from tests.support.brokers import accept_anybody, camera_files, dock_files
from tests.support.https_server import IntakeServer
from tests.support.posts import Posts

SIZE_BYTES = 3 * 1024 * 1024 + 17
BLOB = bytes(range(251)) * (SIZE_BYTES // 251 + 1)
BLOB = BLOB[:SIZE_BYTES]


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("uploader"))


@pytest.fixture
def server(agency: TestAgency) -> Iterator[IntakeServer]:
    with IntakeServer(dock_files(agency)) as made:
        yield made


@pytest.fixture
def card(tmp_path: Path) -> RealDisk:
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "0000.mp4.age").write_bytes(BLOB)
    (tmp_path / "empty").write_bytes(b"")
    return RealDisk(tmp_path)


def uploader(agency: TestAgency, card: RealDisk, posts: Posts, accept: AcceptPeer = accept_anybody) -> HttpsUploader:
    return HttpsUploader(card, camera_files(agency), accept, posts)


def upload(url: str, number: int = 1, path: str = "segments/0000.mp4.age", size: int = SIZE_BYTES) -> Upload:
    return Upload(number, path, size, url, (("X-Blob", "ab"), ("Authorization", "ticket 12")))


@pytest.mark.parametrize("status", [201, 200, 409, 403, 500, 307])
def test_the_file_goes_over_whole_and_the_status_comes_back(
    status: int, agency: TestAgency, server: IntakeServer, card: RealDisk
) -> None:
    posts = Posts()
    path = f"/{status}/blobs/a%20b?ticket=12&x=/"
    uploader(agency, card, posts).start(upload(server.url(path), 7))
    assert posts.next() == Uploaded(7, status)
    request = server.received[path]
    assert request.body == BLOB
    lines = request.head.split("\r\n")
    assert lines[0] == f"PUT {path} HTTP/1.1"
    assert {line.split(":")[0].lower() for line in lines[1:]} == {"host", "x-blob", "authorization", "content-length"}
    assert server.connections == 1  # no redirect is followed


def test_an_empty_file(agency: TestAgency, server: IntakeServer, card: RealDisk) -> None:
    posts = Posts()
    uploader(agency, card, posts).start(upload(server.url("/201"), path="empty", size=0))
    assert posts.next() == Uploaded(1, 201)


def test_an_answer_before_the_end_counts(agency: TestAgency, server: IntakeServer, card: RealDisk) -> None:
    posts = Posts()
    uploader(agency, card, posts).start(upload(server.url("/early/413"), path="empty", size=0))
    assert posts.next() == Uploaded(1, 413)


@pytest.mark.parametrize("path", ["/early/413", "/cut"])
def test_a_server_that_hangs_up_in_the_middle_ends_the_upload(
    path: str, agency: TestAgency, server: IntakeServer, card: RealDisk
) -> None:
    posts = Posts()
    uploader(agency, card, posts).start(upload(server.url(path)))
    event = posts.next()
    # What a refusal before the end says may be lost with the reset: TCP gives no promise.
    assert isinstance(event, UploadFailed) or event == Uploaded(1, 413)


def test_a_peer_that_is_not_accepted_is_told_nothing(agency: TestAgency, server: IntakeServer, card: RealDisk) -> None:
    posts = Posts()
    seen: list[str] = []

    def refuse(peer: bytes) -> None:
        seen.append(role_of(parse_certificate(peer, "peer"), "peer").urn)
        raise CertificateError("peer", "is no dock of the policy", "dock elsewhere")

    uploader(agency, card, posts, refuse).start(upload(server.url("/201")))
    assert posts.next() == UploadFailed(1, "peer: is no dock of the policy; dock elsewhere")
    assert seen == ["urn:temoin:dock-tls:dock-01"]
    assert not server.reached.is_set()


@pytest.mark.parametrize("year", [1990, 2090])
def test_dates_are_not_looked_at_because_a_camera_may_have_no_clock(year: int, card: RealDisk, tmp_path: Path) -> None:
    agency = make_agency(tmp_path, now_ms=(year - 1970) * 365 * 86_400_000)
    posts = Posts()
    with IntakeServer(dock_files(agency)) as server:
        uploader(agency, card, posts).start(upload(server.url("/201")))
        assert posts.next() == Uploaded(1, 201)


def test_a_camera_is_no_server_and_another_agency_is_none(agency: TestAgency, card: RealDisk, tmp_path: Path) -> None:
    other = make_agency(tmp_path, agency="pm-other", seed="other")
    folder = other.dock_folder()
    mine = agency.camera_folder()
    for files in (
        TlsFiles(mine / "agency.pem", mine / "camera-tls.pem", mine / "camera-tls.key"),
        TlsFiles(folder / "agency.pem", folder / "dock-tls.pem", folder / "dock-tls.key"),
    ):
        with IntakeServer(files) as server:
            posts = Posts()
            uploader(agency, card, posts).start(upload(server.url("/201")))
            event = posts.next()
            assert isinstance(event, UploadFailed)
            assert "certificate verify failed" in event.why
            assert not server.reached.is_set()


@pytest.mark.parametrize("path", ["/stall", "/silent"])
def test_stop_ends_all_at_once_each_with_its_event(
    path: str, agency: TestAgency, server: IntakeServer, card: RealDisk, tmp_path: Path
) -> None:
    (tmp_path / "large").write_bytes(b"x" * (16 * 1024 * 1024))
    posts = Posts()
    made = uploader(agency, card, posts)
    made.start(upload(server.url(f"{path}/1"), 1, "large", 16 * 1024 * 1024))
    made.start(upload(server.url(f"{path}/2"), 2))
    assert server.reached.wait(10)
    began = time.monotonic()
    made.stop()
    assert {posts.next(), posts.next()} == {UploadFailed(1, "stopped"), UploadFailed(2, "stopped")}
    assert time.monotonic() - began < 1
    made.stop()
    made.start(upload(server.url("/201"), 3))
    assert posts.next() == Uploaded(3, 201)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (upload("https://127.0.0.1:1/x"), "refused"),
        (upload("http://127.0.0.1:1/x"), "is not https"),
        (upload("https://127.0.0.1:1/x", path="none"), "none: is not there"),
        (upload("https://127.0.0.1:1/x", size=SIZE_BYTES + 1), f"has {SIZE_BYTES} bytes, not {SIZE_BYTES + 1}"),
        (upload("https://127.0.0.1:1/x", size=SIZE_BYTES - 1), f"has {SIZE_BYTES} bytes, not {SIZE_BYTES - 1}"),
        (upload("https://127.0.0.1:x/"), "Port"),
    ],
)
def test_what_cannot_be_sent_fails_with_its_reason(
    wrong: Upload, said: str, agency: TestAgency, card: RealDisk
) -> None:
    posts = Posts()
    uploader(agency, card, posts).start(wrong)
    event = posts.next()
    assert isinstance(event, UploadFailed)
    assert said.lower() in event.why.lower()


def test_the_next_upload_finds_its_connection_open(agency: TestAgency, server: IntakeServer, card: RealDisk) -> None:
    """Opened while the dock made the one before durable; and where it is not wanted any more, it is closed."""
    posts = Posts()
    made = uploader(agency, card, posts)
    for number in (1, 2, 3):
        made.start(upload(server.url(f"/201/{number}"), number))
        made.expect(server.url(f"/201/{number + 1}"))
        assert posts.wait_for(Uploaded) == Uploaded(number, 201)
        assert server.connections == number + 1
    assert [server.received[f"/201/{number}"].body for number in (1, 2, 3)] == [BLOB] * 3
    made.stop()
    server.wait_until_left()


def test_a_connection_that_waited_is_of_its_own_host_only(
    agency: TestAgency, server: IntakeServer, card: RealDisk
) -> None:
    posts = Posts()
    made = uploader(agency, card, posts)
    with IntakeServer(dock_files(agency)) as other:
        for number, intake in enumerate((server, other, server)):
            made.start(upload(intake.url(f"/201/{number}"), number))
            made.expect(intake.url("/201/9"))
            assert posts.wait_for(Uploaded) == Uploaded(number, 201)
        made.stop()
        assert (list(server.received), list(other.received)) == (["/201/0", "/201/2"], ["/201/1"])


def test_a_connection_that_waited_and_is_gone_fails_one_try(
    agency: TestAgency, server: IntakeServer, card: RealDisk
) -> None:
    posts = Posts()
    made = uploader(agency, card, posts)
    made.start(upload(server.url("/201/1"), 1))
    made.expect(server.url("/201/2"))
    posts.wait_for(Uploaded)
    server.hang_up()
    made.start(upload(server.url("/201/2"), 2))
    assert posts.wait_for(UploadFailed).number == 2
    made.start(upload(server.url("/201/3"), 3))
    assert posts.wait_for(Uploaded) == Uploaded(3, 201)
