"""A blob's way into the archive: whole and as signed, or not at all."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import DiskError, FormatError
from dock.blobs import Blob, BlobError, BlobStore, ConflictError, Outcome, parse_url_path, url_path
from tests.support.dock import SimArchiveDisk

DATA = bytes(range(256)) * 40
REC = "cam-01-01234567-9"


def blob_of(data: bytes, seg: int = 3) -> Blob:
    return Blob("cam-01", REC, seg, len(data), hashlib.sha256(data).hexdigest())


@pytest.fixture
def disk(tmp_path: Path) -> SimArchiveDisk:
    return disk_of(tmp_path / "archive")


def disk_of(root: Path) -> SimArchiveDisk:
    root.mkdir()
    made = SimArchiveDisk(root, flush=lambda descriptor: None)
    for path in ("cam-01", "cam-01/segments"):
        made.make_folder(path)
        made.sync_folder(path.rpartition("/")[0])
    return made


def names(disk: SimArchiveDisk) -> list[str]:
    return disk.names(f"cam-01/segments/{REC}")


def send(store: BlobStore, data: bytes, blob: Blob) -> Outcome:
    upload = store.begin(blob)
    upload.write(data[:1000])
    upload.write(data[1000:])
    return upload.finish()


def test_stored_and_durable(disk: SimArchiveDisk) -> None:
    blob = blob_of(DATA)
    assert not BlobStore(disk).has(blob)
    assert send(BlobStore(disk), DATA, blob) is Outcome.STORED
    assert disk.read(blob.path) == DATA
    disk.power_cut()
    assert (disk._root / blob.path).read_bytes() == DATA
    assert [path.name for path in (disk._root / blob.path).parent.iterdir()] == ["0003.mp4.age"]


def test_the_same_again_and_other_bytes(disk: SimArchiveDisk) -> None:
    store, blob = BlobStore(disk), blob_of(DATA)
    send(store, DATA, blob)
    assert send(store, DATA, blob) is Outcome.ALREADY
    with pytest.raises(ConflictError, match="other bytes"):
        send(store, DATA[::-1], blob)
    assert disk.read(blob.path) == DATA
    assert names(disk) == ["0003.mp4.age"]


@pytest.mark.parametrize("data", [b"", DATA[:-1], DATA + b"x", DATA[::-1]])
def test_other_bytes_leave_nothing(disk: SimArchiveDisk, data: bytes) -> None:
    store = BlobStore(disk)
    with pytest.raises(BlobError) as caught:
        send(store, data, blob_of(DATA))
    assert not isinstance(caught.value, ConflictError)
    assert names(disk) == []
    assert send(store, DATA, blob_of(DATA)) is Outcome.STORED


def test_two_at_once(disk: SimArchiveDisk) -> None:
    store, blob = BlobStore(disk), blob_of(DATA)
    first, second = store.begin(blob), store.begin(blob)
    first.write(DATA)
    second.write(DATA)
    assert second.finish() is Outcome.STORED
    assert first.finish() is Outcome.ALREADY
    assert names(disk) == ["0003.mp4.age"]


def test_given_up_and_cut_off(disk: SimArchiveDisk) -> None:
    store = BlobStore(disk)
    upload = store.begin(blob_of(DATA))
    upload.write(DATA[:10])
    upload.abort()
    assert names(disk) == []
    store.begin(blob_of(DATA)).write(DATA[:10])  # the process dies
    assert names(disk) == ["0003.mp4.age.2.tmp"]
    store = BlobStore(disk)
    assert store.clean("cam-01") == 1
    assert store.clean("cam-02") == 0
    assert names(disk) == []


@pytest.mark.parametrize("operation", ["write", "sync", "rename", "sync_folder"])
def test_a_disk_that_fails(disk: SimArchiveDisk, operation: str) -> None:
    store, blob = BlobStore(disk), blob_of(DATA)
    send(store, DATA, blob_of(DATA, seg=1))
    disk.fail(operation, f"*{REC}*", errno.ENOSPC)
    with pytest.raises(DiskError):
        send(store, DATA, blob)
    assert send(store, DATA, blob) in (Outcome.STORED, Outcome.ALREADY)
    assert names(disk) == ["0001.mp4.age", "0003.mp4.age"]


def test_what_another_run_left_is_read_before_it_is_believed(disk: SimArchiveDisk) -> None:
    store, blob = BlobStore(disk), blob_of(DATA)
    assert not store.confirm(blob)
    send(store, DATA, blob)
    assert store.confirm(blob)
    assert not store.confirm(Blob("cam-01", REC, 3, len(DATA), "0" * 64))
    assert not store.confirm(Blob("cam-01", REC, 3, len(DATA) - 1, blob.blob))


@settings(max_examples=60)
@given(rec=st.from_regex(r"[a-z0-9-]{1,32}-[0-9a-f]{8}-[1-9][0-9]{0,15}", fullmatch=True), seg=st.integers(0, 100_000))
def test_the_path_of_a_url_has_one_spelling(rec: str, seg: int) -> None:
    assert parse_url_path(url_path(rec, seg)) == (rec, seg)


@settings(max_examples=100)
@given(st.one_of(st.text(), st.text("/blobs.%2e0cam-179\0\n", max_size=60)))
def test_any_other_path_is_refused(text: str) -> None:
    for path in (text, f"/blobs/{text}", f"/blobs/{REC}/{text}"):
        try:
            found = parse_url_path(path)
        except FormatError:
            continue
        assert url_path(*found) == path


@pytest.mark.parametrize(
    "path",
    [
        f"/blobs/{REC}/3", f"/blobs/{REC}/00003", f"/blobs/{REC}/0003/", f"/blobs/{REC}/0003?x",
        f"/blobs/../{REC}/0003",
        "/blobs/..%2f/0003", "/blobs/cam-01/0003", f"/blobs/{REC}/-003", f"blobs/{REC}/0003", f"/blobs/{REC}/0003\n",
    ],
)  # fmt: skip
def test_spellings_that_are_refused(path: str) -> None:
    with pytest.raises(FormatError):
        parse_url_path(path)
