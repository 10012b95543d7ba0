"""Takes blobs in: written once, under their own name only when they are whole and what the journal says they are.

Guarantees: a file under its segment's name has the size and SHA-256 that the camera signed for it, is durable, and is
never replaced. Whatever else happens (cut, other bytes, a full disk) leaves at most a temporary file beside it, which
`clean` removes at the next start. Two uploads of one blob at once do no harm: the first to end has its name.

Write order (P: the power fails here): create temporary P write ... P sync P rename P sync folder P. Nobody is told
before the end. Assumes that the archive has made the journal's folders; that whoever
calls holds a ticket for the blob; one thread for each Upload.
Source: docs/docking.md, "One docking", 7.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from enum import Enum

from agent.errors import DiskError, FormatError, TemoinError
from agent.evidence.read import SEGMENTS
from agent.formats import fields
from agent.ports import File
from dock.archive import segment_path
from dock.disk import ArchiveDisk

_READ_BYTES = 1024 * 1024
_TEMPORARY = re.compile(r"[0-9]{4,6}\.mp4\.age\.[0-9]+\.tmp")
_URL_PATH = re.compile(r"/blobs/([a-z0-9-]{1,58})/([0-9]{4,6})")


class BlobError(TemoinError):
    """The bytes that came are not those of the blob: cut, too many, or others."""


class ConflictError(BlobError):
    """The blob is here, and other bytes came under its name."""


class Outcome(Enum):
    """What an upload came to."""

    STORED = "stored"
    ALREADY = "already"


@dataclass(frozen=True, slots=True)
class Blob:
    """A segment's file as the camera's journal describes it. `folder` is that of its journal in the archive."""

    folder: str
    rec: str
    seg: int
    size: int
    blob: str

    @property
    def path(self) -> str:
        return segment_path(self.folder, self.rec, self.seg)


def url_path(rec: str, seg: int) -> str:
    """The path of a ticket's URL."""
    return f"/blobs/{rec}/{seg:04d}"


def parse_url_path(path: str) -> tuple[str, int]:
    """(rec, seg) of a URL's path, as it stands in the request, nothing decoded. Raises FormatError."""
    match = _URL_PATH.fullmatch(path)
    if match is None or url_path(match[1], int(match[2])) != path:
        raise FormatError("path", f"{path[:80]!r} is not /blobs/<rec>/<nnnn>")
    fields.recording_id(match[1], "path")
    return match[1], int(match[2])


class BlobStore:
    """The blobs of the archive."""

    def __init__(self, disk: ArchiveDisk) -> None:
        self._disk = disk
        self._uploads = 0

    def begin(self, blob: Blob) -> Upload:
        """Start taking a blob in; of one that is here already the bytes are only compared. Raises DiskError."""
        if self.has(blob):
            return Upload(self._disk, blob, "", None)
        folder = blob.path.rpartition("/")[0]
        self._disk.make_folder(folder)
        self._disk.sync_folder(f"{blob.folder}/{SEGMENTS}")
        self._uploads += 1
        temporary = f"{blob.path}.{self._uploads}.tmp"
        if self._disk.exists(temporary):  # of a run before this one
            self._disk.unlink(temporary)
        return Upload(self._disk, blob, temporary, self._disk.create(temporary))

    def has(self, blob: Blob) -> bool:
        """Whether a file has its name, which it only gets when it is whole."""
        return self._disk.exists(blob.path)

    def confirm(self, blob: Blob) -> bool:
        """Whether the file under its name is the blob, read byte by byte; its name is durable then.

        For a blob of which this run has not seen the upload. Raises DiskError.
        """
        if not self.has(blob) or self._disk.size(blob.path) != blob.size:
            return False
        running, offset = hashlib.sha256(), 0
        while piece := self._disk.read(blob.path, offset, _READ_BYTES):
            running.update(piece)
            offset += len(piece)
        if running.hexdigest() != blob.blob:
            return False
        self._disk.sync_folder(blob.path.rpartition("/")[0])
        return True

    def clean(self, folder: str) -> int:
        """Remove what uploads to this journal's folder left that did not end. Returns how many. Raises DiskError."""
        removed = 0
        if not self._disk.exists(f"{folder}/{SEGMENTS}"):
            return 0
        for rec in self._disk.names(f"{folder}/{SEGMENTS}"):
            place = f"{folder}/{SEGMENTS}/{rec}"
            for name in self._disk.names(place):
                if _TEMPORARY.fullmatch(name):
                    self._disk.unlink(f"{place}/{name}")
                    removed += 1
        return removed


class Upload:
    """One blob coming in: `write` as often as there are bytes, then `finish`, or `abort` at any time."""

    def __init__(self, disk: ArchiveDisk, blob: Blob, temporary: str, file: File | None) -> None:
        """`file` is None for a blob that is here: the bytes are compared only."""
        self.blob = blob
        self._disk = disk
        self._temporary = temporary
        self._file = file
        self._compares = file is None
        self._running = hashlib.sha256()
        self._size_bytes = 0
        self._over = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """The next bytes. Raises BlobError for one byte too many, DiskError; the upload is over then."""
        assert not self._over
        self._size_bytes += len(data)
        if self._size_bytes > self.blob.size:
            raise self._refused(f"more than {self.blob.size} bytes")
        self._running.update(data)
        if self._file is not None:
            try:
                self._file.write(data)
            except DiskError:
                self.abort()
                raise

    def finish(self) -> Outcome:
        """The end of the bytes. Returns when the blob is durable under its name. Raises BlobError, DiskError."""
        assert not self._over
        if self._size_bytes != self.blob.size:
            raise self._refused(f"{self._size_bytes} bytes, not {self.blob.size}")
        if self._running.hexdigest() != self.blob.blob:
            raise self._refused("other bytes than the camera's journal names")
        self._over = True
        if self._file is None:
            return Outcome.ALREADY
        folder = self.blob.path.rpartition("/")[0]
        try:
            self._file.sync()
            self._file.close()
            if self._disk.exists(self.blob.path):  # another upload of the same blob was first
                self._unlink()
                return Outcome.ALREADY
            self._disk.rename(self._temporary, self.blob.path)
            self._disk.sync_folder(folder)
        except DiskError:
            self._file.close()
            self._unlink()
            raise
        return Outcome.STORED

    def abort(self) -> None:
        """Forget it. Never raises; what cannot be removed now is removed at the next start."""
        self._over = True
        if self._file is not None:
            self._file.close()
            self._unlink()

    def _refused(self, problem: str) -> BlobError:
        self.abort()
        kind = ConflictError if self._compares else BlobError
        return kind(self.blob.path, problem, "send the file as the camera's journal describes it")

    def _unlink(self) -> None:
        with contextlib.suppress(DiskError):
            if self._disk.exists(self._temporary):
                self._disk.unlink(self._temporary)
