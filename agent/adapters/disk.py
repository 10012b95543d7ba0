"""The card: the `Disk` port over a folder of the operating system's.

Guarantees: no path leaves the folder, and no symbolic link is followed below it, whoever made one there; nothing is
ever replaced; a file that failed once takes no further byte. Every refusal of the system becomes a DiskError in words.
Assumes Linux 3.15 or newer (renameat2) and a file system on which fsync means what it says.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from agent.errors import DiskError, StoreError

LOCK_NAME = "lock"

_FULL = ("the card is full", "dock the camera so that it can free what was received")
_GONE = ("the card is gone", "put the card back and start again")
_NOT_PLAIN = ("is, or lies behind, a symbolic link or the wrong kind of file", "keep plain files and folders only here")
_NOT_ALLOWED = ("this user may not do that", "give the data folder to the user that the agent runs as")
_WORDS = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
    errno.EROFS: ("the card is read-only", "check the card in a computer, or replace it"),
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.EIO: ("the card failed to read or write", "replace the card, and keep this one for salvage"),
    errno.ENODEV: _GONE,
    errno.ENXIO: _GONE,
    errno.ENOMEDIUM: _GONE,
    errno.ENOENT: ("is not there", ""),
    errno.EEXIST: ("exists already", "nothing on the card is ever replaced: choose another name"),
    errno.ELOOP: _NOT_PLAIN,
    errno.ENOTDIR: _NOT_PLAIN,
    errno.EISDIR: _NOT_PLAIN,
}

_RENAME_NOREPLACE = 1
_renameat2 = ctypes.CDLL(None, use_errno=True).renameat2

_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ_FOLDER = _READ | os.O_DIRECTORY
# Without O_NONBLOCK, opening a pipe that somebody put here would wait for ever.
_READ_FILE = _READ | os.O_NONBLOCK
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class RealDisk:
    """`Disk` over the folder `root`, which must exist. DiskError.where is the path inside the folder."""

    def __init__(self, root: Path) -> None:
        self._where = str(root)
        self._lock: int | None = None
        with _in_words(self._where):
            self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def make_folder(self, path: str) -> None:
        with _in_words(path), self._parent(path) as (folder, name):
            try:
                os.mkdir(name, 0o700, dir_fd=folder)
            except FileExistsError:
                if not stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    raise

    def create(self, path: str) -> _RealFile:
        with _in_words(path), self._parent(path) as (folder, name):
            return _RealFile(path, os.open(name, _CREATE, 0o600, dir_fd=folder))

    def resume(self, path: str, length: int) -> _RealFile:
        """An existing file, opened for appending after its first `length` bytes; what lies behind them is cut off.

        Nothing of it counts as durable before `File.sync`, whoever wrote it. Raises DiskError, also if it is shorter.
        No part of the `Disk` port: a camera never goes on with a file of an earlier run, a copy may.
        """
        with _in_words(path), self._parent(path) as (folder, name):
            descriptor = os.open(name, _APPEND, dir_fd=folder)
            try:
                found = os.fstat(descriptor)
                if not stat.S_ISREG(found.st_mode) or found.st_size < length:
                    raise DiskError(path, f"is no file of {length} bytes or more", "run temoin verify on the archive")
                os.ftruncate(descriptor, length)
            except BaseException:
                os.close(descriptor)
                raise
            return _RealFile(path, descriptor)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        with _in_words(path), self._opened(path) as descriptor:
            wanted = max(0, os.fstat(descriptor).st_size - offset)
            return _read_all(descriptor, offset, wanted if length is None else min(length, wanted))

    def size(self, path: str) -> int:
        with _in_words(path), self._opened(path) as descriptor:
            return os.fstat(descriptor).st_size

    def exists(self, path: str) -> bool:
        with _in_words(path):
            try:
                with self._parent(path) as (folder, name):
                    os.stat(name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return False
            return True

    def names(self, path: str) -> list[str]:
        with _in_words(path), self._folder(_parts(path, root_too=True)) as folder:
            return sorted(os.listdir(folder))  # noqa: PTH208  (pathlib has no listing by descriptor)

    def rename(self, old: str, new: str) -> None:
        """Within one folder only: one `sync_folder` then makes it durable, and no cut can show both names or none."""
        if _parts(old)[:-1] != _parts(new)[:-1]:
            raise DiskError(new, f"is not in the folder of {old}", "rename inside one folder only")
        with _in_words(new), self._parent(old) as (folder, name):
            new_name = _parts(new)[-1]
            if _renameat2(folder, os.fsencode(name), folder, os.fsencode(new_name), _RENAME_NOREPLACE) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    def unlink(self, path: str) -> None:
        with _in_words(path), self._parent(path) as (folder, name):
            os.unlink(name, dir_fd=folder)

    def sync_file(self, path: str) -> None:
        with _in_words(path), self._opened(path) as descriptor:
            os.fsync(descriptor)

    def sync_folder(self, path: str) -> None:
        with _in_words(path), self._folder(_parts(path, root_too=True)) as folder:
            os.fsync(folder)

    def free_bytes(self) -> int:
        with _in_words(self._where):
            found = os.fstatvfs(self._root)
            return found.f_bavail * found.f_frsize

    def lock(self) -> None:
        if self._lock is not None:
            return
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        with _in_words(LOCK_NAME):
            descriptor = os.open(LOCK_NAME, flags, 0o600, dir_fd=self._root)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise StoreError(
                self._where, "another agent is using this data folder", "stop it, or give this one its own folder"
            ) from None
        self._lock = descriptor

    @contextlib.contextmanager
    def _folder(self, parts: list[str]) -> Iterator[int]:
        descriptor = os.open(".", _READ_FOLDER, dir_fd=self._root)
        try:
            for part in parts:
                inner = os.open(part, _READ_FOLDER, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _parent(self, path: str) -> Iterator[tuple[int, str]]:
        *folders, name = _parts(path)
        with self._folder(folders) as folder:
            yield folder, name

    @contextlib.contextmanager
    def _opened(self, path: str) -> Iterator[int]:
        with self._parent(path) as (folder, name):
            descriptor = os.open(name, _READ_FILE, dir_fd=folder)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise DiskError(path, *_NOT_PLAIN)
            yield descriptor
        finally:
            os.close(descriptor)


def sync_names(folder: Path) -> None:
    """Make the names in a folder durable, for who has no `Disk` over it. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _RealFile:
    """`File` over one descriptor. After a failed write or fsync nobody knows what the card holds: it stays failed."""

    def __init__(self, path: str, descriptor: int) -> None:
        self._path = path
        self._descriptor: int | None = descriptor
        self._failed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        descriptor = self._usable()
        with self._failing(), memoryview(data).cast("B") as rest:
            written = 0
            while written < len(rest):
                written += os.write(descriptor, rest[written:])

    def sync(self) -> None:
        descriptor = self._usable()
        with self._failing():
            os.fdatasync(descriptor)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def _usable(self) -> int:
        assert self._descriptor is not None, "the file is closed"
        if self._failed:
            raise DiskError(self._path, "an earlier write or fsync of this file failed", "open a new file")
        return self._descriptor

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            with _in_words(self._path):
                yield
        except DiskError:
            self._failed = True
            raise


def _parts(path: str, root_too: bool = False) -> list[str]:
    """The names along a relative path; `""` is the data folder itself, where that makes sense."""
    if path == "" and root_too:
        return []
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise DiskError(path, "is not a path inside the data folder", "use names with / between them, and no . or ..")
    return parts


def _read_all(descriptor: int, offset: int, length: int) -> bytes:
    pieces: list[bytes] = []
    while length > 0 and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)


@contextlib.contextmanager
def _in_words(where: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        number = error.errno or 0
        problem, remedy = _WORDS.get(number, (os.strerror(number), "look at the system's log for the card"))
        raise DiskError(where, problem, remedy) from None
