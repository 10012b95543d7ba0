"""One segment on its way to the card: sealed, hashed and written in one pass.

Guarantees: `blob` of each fragment is the SHA-256 of the file from its first byte to the fragment's end; a fragment is
a whole number of age chunks, so that it can be opened without what comes after it; the plaintext never reaches the
card, and the file key nothing at all. Nothing is durable before `sync`. After a DiskError the file is lost to its
writer: `abandon` it; it stays on the card as it is, for salvage.
Assumes that `check.recover` has made the folder `segments` and its name durable. Source: docs/formats.md, "Segments".
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import DiskError
from agent.formats.age import CHUNK_BYTES, SEALED_CHUNK_BYTES, Recipient, Sealer
from agent.model import NS_PER_S
from agent.ports import Disk, Random

FOLDER = "segments"
MAX_SEGMENT_BYTES = 16 * 1024 * 1024
MAX_SEGMENT_NS = 30 * NS_PER_S
BATCH_CHUNKS = 16
"""Chunks that are hashed, sealed, hashed and written before the next ones: 1 MiB stays in the processor's cache."""


class SealBuffer:
    """The one place of a process where ciphertext waits for its write: BATCH_CHUNKS sealed chunks."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(BATCH_CHUNKS * SEALED_CHUNK_BYTES))


@dataclass(frozen=True, slots=True)
class SegmentOpened:
    """What `segment.open` says of the file: hex hashes and nonce, the length of the padded init in bytes."""

    header: str
    nonce: str
    init: str
    init_len: int
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """A fragment in the file: `off`, the offset of its first sealed chunk; `len`, of all of them; hex hashes."""

    off: int
    len: int
    plain: str
    blob: str


@dataclass(frozen=True, slots=True)
class Sealed:
    """The finished file: its length and hex hash."""

    size: int
    blob: str


def segment_path(rec: str, seg: int) -> str:
    """Where a segment lies in the data folder."""
    return f"{FOLDER}/{rec}/{seg:04d}.mp4.age"


class SegmentWriter:
    """Writes one segment, from its header to its last chunk."""

    def __init__(
        self,
        disk: Disk,
        path: str,
        recipients: Sequence[Recipient],
        init: bytes | bytearray | memoryview,
        random: Random,
        buffer: SealBuffer,
    ) -> None:
        """Create the file, and its folder if need be, with header, nonce and the sealed init (padded).

        Raises DiskError; if the file exists already, `check.set_aside` makes room for it.
        """
        self._disk = disk
        self._folder = path.rpartition("/")[0]
        self._staging = buffer.view
        self._sealer = Sealer(recipients, random)
        self._running = hashlib.sha256()
        self._size_bytes = 0
        self._dur_ns = 0
        self._fragments = 0
        disk.make_folder(self._folder)
        self._file = disk.create(path)
        try:
            self._write(self._sealer.header)
            self._write(self._sealer.nonce)
            init_hash = self._seal(memoryview(init))
        except DiskError:
            self.abandon()
            raise
        self.opened = SegmentOpened(
            header=hashlib.sha256(self._sealer.header).hexdigest(),
            nonce=self._sealer.nonce.hex(),
            init=init_hash,
            init_len=len(init),
            recipients=tuple(hashlib.sha256(each.text.encode()).hexdigest() for each in recipients),
        )

    def append(self, plain: memoryview, dur_ns: int) -> Written:
        """Seal and write one padded fragment. `dur_ns` counts for `full`. Raises DiskError."""
        offset = self._size_bytes
        plain_hash = self._seal(plain)
        self._dur_ns += dur_ns
        self._fragments += 1
        return Written(offset, self._size_bytes - offset, plain_hash, self._running.copy().hexdigest())

    def sync(self, first: bool) -> None:
        """Make what was written durable; `first` also the names of the file and of its folder. Raises DiskError."""
        self._file.sync()
        if first:
            self._disk.sync_folder(self._folder)
            self._disk.sync_folder(FOLDER)

    def full(self, length: int, dur_ns: int) -> bool:
        """Whether a fragment, or a group, of `length` padded bytes and `dur_ns` would pass 16 MiB or 30 s.

        Header, init and the last chunk count. The first fragment of a segment always fits.
        """
        grown_bytes = self._size_bytes + (-(-length // CHUNK_BYTES) + 1) * SEALED_CHUNK_BYTES
        return self._fragments > 0 and (grown_bytes > MAX_SEGMENT_BYTES or self._dur_ns + dur_ns > MAX_SEGMENT_NS)

    def finish(self, mfra: bytes) -> Sealed:
        """Write the index as the last chunk, make it durable and close. Raises DiskError."""
        self._write(self._sealer.finish(mfra))
        self._file.sync()
        self._file.close()
        return Sealed(self._size_bytes, self._running.hexdigest())

    def abandon(self) -> None:
        """Let go of the file. It stays as it is."""
        self._file.close()

    def _seal(self, plain: memoryview) -> str:
        """Hash, seal, hash and write whole chunks, a batch at a time; hex hash of the plaintext."""
        plain_hash = hashlib.sha256()
        for start in range(0, len(plain), BATCH_CHUNKS * CHUNK_BYTES):
            batch = plain[start : start + BATCH_CHUNKS * CHUNK_BYTES]
            plain_hash.update(batch)
            self._write(self._staging[: self._sealer.seal(batch, self._staging)])
        return plain_hash.hexdigest()

    def _write(self, data: bytes | memoryview) -> None:
        self._running.update(data)
        self._file.write(data)
        self._size_bytes += len(data)
