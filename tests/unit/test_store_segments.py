"""The segment writer: what is in the file, what it says of it, and when a segment is full."""

from __future__ import annotations

import errno
import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import DiskError
from agent.formats import age
from agent.model import NS_PER_S
from agent.store.segments import (
    BATCH_CHUNKS,
    MAX_SEGMENT_BYTES,
    MAX_SEGMENT_NS,
    SealBuffer,
    SegmentWriter,
    segment_path,
)
from hw.sim.disk import SimDisk
from tests.support.store import Board

IDENTITY = age.parse_identity(age.generate_identity(age.RecipientKind.CLASSIC, lambda n: bytes([7] * n)))
RECIPIENTS = (IDENTITY.recipient(),)
PATH = segment_path("cam-1-00000000-2", 3)
CHUNK = age.CHUNK_BYTES
BUFFER = SealBuffer()


def card(folder: Path) -> SimDisk:
    disk = SimDisk(folder, flush=lambda descriptor: None)
    disk.make_folder("segments")
    disk.sync_folder("")
    return disk


def writer(disk: SimDisk, init: bytes = bytes(CHUNK)) -> SegmentWriter:
    return SegmentWriter(disk, PATH, RECIPIENTS, init, Board().random, BUFFER)


def test_where_a_segment_lies() -> None:
    assert PATH == "segments/cam-1-00000000-2/0003.mp4.age"
    assert segment_path("r", 12_345) == "segments/r/12345.mp4.age"


@given(chunks=st.lists(st.integers(1, 2 * BATCH_CHUNKS + 1), min_size=1, max_size=3), init=st.integers(1, 2))
@settings(max_examples=15, deadline=None)
def test_the_file_is_what_the_writer_says(
    tmp_path_factory: pytest.TempPathFactory, chunks: list[int], init: int
) -> None:
    disk = card(tmp_path_factory.mktemp("card"))
    plain = [hashlib.shake_256(bytes([number])).digest(count * CHUNK) for number, count in enumerate(chunks)]
    init_bytes = bytes([9]) * (init * CHUNK)
    segment = writer(disk, init_bytes)
    written = [segment.append(memoryview(each), NS_PER_S) for each in plain]
    sealed = segment.finish(b"index")
    data = disk.read(PATH)
    assert (sealed.size, sealed.blob) == (len(data), hashlib.sha256(data).hexdigest())
    opened, header = segment.opened, age.read_header(data).raw
    assert opened.header == hashlib.sha256(header).hexdigest()
    assert opened.nonce == data[len(header) : len(header) + age.NONCE_BYTES].hex()
    assert (opened.init, opened.init_len) == (hashlib.sha256(init_bytes).hexdigest(), len(init_bytes))
    assert opened.recipients == (hashlib.sha256(RECIPIENTS[0].text.encode()).hexdigest(),)
    offset = len(header) + age.NONCE_BYTES + init * age.SEALED_CHUNK_BYTES
    for where, each in zip(written, plain, strict=True):
        assert (where.off, where.len) == (offset, len(each) // CHUNK * age.SEALED_CHUNK_BYTES)
        assert where.plain == hashlib.sha256(each).hexdigest()
        offset += where.len
        assert where.blob == hashlib.sha256(data[:offset]).hexdigest()
    opener = age.open_whole_chunks(io.BytesIO(data), [IDENTITY])
    assert b"".join(chunk for chunk, _ in opener) == init_bytes + b"".join(plain) + b"index"


def test_sync_first_makes_the_names_durable_too(tmp_path: Path) -> None:
    disk = card(tmp_path)
    segment = writer(disk)
    where = segment.append(memoryview(bytes(CHUNK)), NS_PER_S)
    segment.sync(first=True)
    segment.append(memoryview(bytes(CHUNK)), NS_PER_S)
    disk.power_cut()
    assert (tmp_path / PATH).stat().st_size == where.off + where.len


def test_an_existing_file_is_not_touched(tmp_path: Path) -> None:
    disk = card(tmp_path)
    writer(disk).abandon()
    before = disk.read(PATH)
    with pytest.raises(DiskError, match="exists already"):
        writer(disk)
    assert disk.read(PATH) == before


@pytest.mark.parametrize("operation", ["make_folder", "create", "write"])
def test_a_card_that_refuses_at_the_start(tmp_path: Path, operation: str) -> None:
    disk = card(tmp_path)
    disk.fail(operation, "segments/*", errno.ENOSPC)
    with pytest.raises(DiskError, match="the card is full"):
        writer(disk)


def test_a_card_that_refuses_later(tmp_path: Path) -> None:
    disk = card(tmp_path)
    segment = writer(disk)
    disk.fail("sync", "segments/*", errno.EIO)
    segment.append(memoryview(bytes(CHUNK)), NS_PER_S)
    with pytest.raises(DiskError, match="the card failed"):
        segment.sync(first=True)
    with pytest.raises(DiskError, match="an earlier write or fsync of this file failed"):
        segment.append(memoryview(bytes(CHUNK)), NS_PER_S)
    segment.abandon()


class TestFull:
    """A segment is closed before a fragment that would pass 30 s or 16 MiB."""

    @pytest.fixture
    def segment(self, tmp_path: Path) -> SegmentWriter:
        return writer(card(tmp_path))

    def test_the_first_fragment_always_fits(self, segment: SegmentWriter) -> None:
        assert not segment.full(2 * MAX_SEGMENT_BYTES, 2 * MAX_SEGMENT_NS)

    def test_by_duration(self, segment: SegmentWriter) -> None:
        segment.append(memoryview(bytes(CHUNK)), MAX_SEGMENT_NS - NS_PER_S)
        assert not segment.full(CHUNK, NS_PER_S)
        assert segment.full(CHUNK, NS_PER_S + 1)

    def test_by_size(self, segment: SegmentWriter) -> None:
        where = segment.append(memoryview(bytes(CHUNK)), NS_PER_S)
        left = MAX_SEGMENT_BYTES - where.off - where.len
        chunks = left // age.SEALED_CHUNK_BYTES - 1  # the index is a chunk too
        assert not segment.full(chunks * CHUNK, NS_PER_S)
        assert segment.full(chunks * CHUNK + 1, NS_PER_S)
