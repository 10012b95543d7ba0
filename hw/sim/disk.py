"""A card that knows what is durable: the `Disk` port over a real folder, with power cuts and faults on demand.

Guarantees: after `power_cut` the folder holds what a card may hold: all that was made durable, and of the rest as much
as the caller's choice says. It promises less than ext4 does, on purpose: a name is lost without an fsync of its folder,
also if the file itself was synced. Within one folder changes of names survive in their order; between folders in any.
Assumes that nobody else writes in the folder. All that is there at the start counts as durable.

Unlinked files whose folder is not synced yet are kept as hard links in a folder beside the data folder.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import fnmatch
import os
import shutil
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import DiskError, StoreError

Choose = Callable[[int], int]
"""`choose(n)`: a number from 0 to n-1; 0 always is the harshest cut, n-1 always the mildest."""

_WORDS = {
    errno.ENOSPC: ("the card is full", "dock the camera so that it can free what was received"),
    errno.EROFS: ("the card is read-only", "check the card in a computer, or replace it"),
    errno.EIO: ("the card failed to read or write", "replace the card, and keep this one for salvage"),
    errno.EEXIST: ("exists already", "nothing on the card is ever replaced: choose another name"),
    errno.ENOENT: ("is not there", ""),
}
_NOT_PLAIN = ("is, or lies behind, a symbolic link or the wrong kind of file", "keep plain files and folders only here")


@dataclass(slots=True)
class _Content:
    """A file's name now, how much of it was written, and how much of that a cut cannot take."""

    path: str
    durable_bytes: int = 0
    written_bytes: int = 0


@dataclass(frozen=True, slots=True)
class _Created:
    name: str


@dataclass(frozen=True, slots=True)
class _FolderMade:
    name: str


@dataclass(frozen=True, slots=True)
class _Renamed:
    name: str
    new_name: str


@dataclass(frozen=True, slots=True)
class _Unlinked:
    name: str
    shadow: Path
    content: _Content | None


_Change = _Created | _FolderMade | _Renamed | _Unlinked


@dataclass(slots=True)
class _Fault:
    operation: str
    pattern: str
    error: int
    left: int
    kept_bytes: int


def _nobody(operation: str, path: str) -> None:
    """Who watches the operations when nobody asked to."""


class SimDisk:
    """`Disk` over the folder `root`, which must exist.

    `observe(operation, path)` is called before each operation, outside of any lock: a test counts there or ends the
    run, a simulated stall waits there. `flush` makes a descriptor durable on the computer that simulates; a test that
    only cuts simulated power gives one that does nothing.
    Operations: make_folder create write sync read size exists names rename unlink sync_folder free_bytes lock.
    """

    def __init__(
        self,
        root: Path,
        observe: Callable[[str, str], None] = _nobody,
        flush: Callable[[int], None] = os.fdatasync,
    ) -> None:
        if not root.is_dir():
            raise DiskError(str(root), "is not there", "make the folder first")
        self._root = root
        self._observe = observe
        self._flush = flush
        self._shadow = root.parent / f".{root.name}.shadow"
        shutil.rmtree(self._shadow, ignore_errors=True)
        self._mutex = threading.RLock()
        self._contents: dict[str, _Content] = {}
        self._changes: dict[str, list[_Change]] = {}
        self._faults: list[_Fault] = []
        self._free_bytes: int | None = None
        self._lock: int | None = None
        self._cut = False
        self._shadows = 0

    # What a test or the simulator does to the card.

    def power_cut(self, choose: Choose = lambda n: 0) -> None:
        """Take the power away: what was not durable goes, or stays, by `choose`. The disk refuses everything after."""
        with self._mutex:
            self._cut = True
            for folder in sorted(self._changes, reverse=True):  # the inner ones first
                changes = self._changes[folder]
                kept = choose(len(changes) + 1)
                for change in reversed(changes[kept:]):
                    self._undo(folder, change)
            for path, content in sorted(self._contents.items()):
                unsure = content.written_bytes - content.durable_bytes
                if unsure > 0:
                    os.truncate(self._root / path, content.durable_bytes + choose(unsure + 1))
            shutil.rmtree(self._shadow, ignore_errors=True)
            if self._lock is not None:
                os.close(self._lock)
                self._lock = None

    def fail(self, operation: str, pattern: str, error: int, count: int = 1, kept_bytes: int = 0) -> None:
        """Let the next `count` operations of this name on paths like `pattern` fail with the errno `error`.

        Of a failed write the first `kept_bytes` arrive. A failed sync loses the file's unsynced bytes but the first
        `kept_bytes`, and those are no more durable than before: that is what Linux leaves after a failed fsync.
        """
        self._faults.append(_Fault(operation, pattern, error, count, kept_bytes))

    def heal(self) -> None:
        """No fault that was ordered is due any more."""
        self._faults.clear()

    def say_free(self, free_bytes: int | None) -> None:
        """What `free_bytes` says from now on; None for what the computer has."""
        self._free_bytes = free_bytes

    # The port.

    def make_folder(self, path: str) -> None:
        with self._operation("make_folder", path) as real:
            if os.path.lexists(real):
                self._check_folder(path, real)
                return
            real.mkdir(mode=0o700)
            self._changed(path, _FolderMade(real.name))

    def create(self, path: str) -> _SimFile:
        with self._operation("create", path) as real:
            descriptor = os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
            content = _Content(path)
            self._contents[path] = content
            self._changed(path, _Created(real.name))
            return _SimFile(self, descriptor, content)

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        with self._operation("read", path) as real:
            self._check_plain(path, real)
            with real.open("rb") as file:
                file.seek(offset)
                return file.read() if length is None else file.read(length)

    def size(self, path: str) -> int:
        with self._operation("size", path) as real:
            self._check_plain(path, real)
            return real.stat().st_size

    def exists(self, path: str) -> bool:
        with self._operation("exists", path) as real:
            return os.path.lexists(real)

    def names(self, path: str) -> list[str]:
        with self._operation("names", path, root_too=True) as real:
            self._check_folder(path, real)
            return sorted(entry.name for entry in real.iterdir())

    def rename(self, old: str, new: str) -> None:
        with self._operation("rename", old) as real, self._operation("rename", new) as real_new:
            if real.parent != real_new.parent:
                raise DiskError(new, f"is not in the folder of {old}", "rename inside one folder only")
            if os.path.lexists(real_new):
                raise FileExistsError(errno.EEXIST, "")
            real.rename(real_new)
            self._moved(old, new)
            self._changed(old, _Renamed(real.name, real_new.name))

    def unlink(self, path: str) -> None:
        with self._operation("unlink", path) as real:
            self._shadow.mkdir(exist_ok=True)
            self._shadows += 1
            shadow = self._shadow / str(self._shadows)
            os.link(real, shadow, follow_symlinks=False)
            real.unlink()
            self._changed(path, _Unlinked(real.name, shadow, self._contents.pop(path, None)))

    def sync_file(self, path: str) -> None:
        with self._operation("sync", path) as real:
            self._check_plain(path, real)
            descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._flush(descriptor)
            finally:
                os.close(descriptor)
            content = self._contents.get(path)
            if content is not None:
                content.durable_bytes = content.written_bytes

    def sync_folder(self, path: str) -> None:
        with self._operation("sync_folder", path, root_too=True) as real:
            self._check_folder(path, real)
            descriptor = os.open(real, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._flush(descriptor)
            finally:
                os.close(descriptor)
            for change in self._changes.pop(path, []):
                if isinstance(change, _Unlinked):
                    change.shadow.unlink()

    def free_bytes(self) -> int:
        with self._operation("free_bytes", "", root_too=True) as real:
            found = os.statvfs(real)
            free = found.f_bavail * found.f_frsize
            return free if self._free_bytes is None else min(free, self._free_bytes)

    def lock(self) -> None:
        if self._lock is not None:
            return
        with self._operation("lock", "lock") as real:
            descriptor = os.open(real, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise StoreError(
                    str(self._root), "another agent is using this data folder", "stop it, or give this one its own"
                ) from None
            self._lock = descriptor

    # The device behind it.

    def write_into(self, descriptor: int, content: _Content, data: memoryview) -> None:
        """Append to an open file; for `_SimFile`."""
        with self._operation("write", content.path, faults=False):
            fault = self._due("write", content.path)
            rest = data if fault is None else data[: fault.kept_bytes]
            while len(rest) > 0:
                count = os.write(descriptor, rest)
                content.written_bytes += count
                rest = rest[count:]
            if fault is not None:
                raise OSError(fault.error, "")

    def sync_of(self, descriptor: int, content: _Content) -> None:
        """Make an open file's content durable; for `_SimFile`."""
        with self._operation("sync", content.path, faults=False):
            fault = self._due("sync", content.path)
            if fault is not None:
                content.written_bytes = min(content.written_bytes, content.durable_bytes + fault.kept_bytes)
                os.truncate(descriptor, content.written_bytes)
                raise OSError(fault.error, "")
            self._flush(descriptor)
            content.durable_bytes = content.written_bytes

    @contextlib.contextmanager
    def _operation(self, operation: str, path: str, root_too: bool = False, faults: bool = True) -> Iterator[Path]:
        self._observe(operation, path)
        with self._mutex:
            if self._cut:
                raise DiskError(path, "the power is cut", "start the simulated camera again")
            try:
                if faults and (fault := self._due(operation, path)) is not None:
                    raise OSError(fault.error, "")
                yield self._locate(path, root_too)
            except OSError as error:
                number = error.errno or 0
                problem, remedy = _WORDS.get(number, (os.strerror(number), "look at the simulator's computer"))
                raise DiskError(path, problem, remedy) from None

    def _locate(self, path: str, root_too: bool) -> Path:
        if path == "" and root_too:
            return self._root
        *folders, name = path.split("/")
        if any(part in ("", ".", "..") or "\0" in part for part in (*folders, name)):
            raise DiskError(path, "is not a path inside the data folder", "use names with / between them")
        real = self._root
        for part in folders:
            real /= part
            if real.is_symlink() or real.is_file():
                raise DiskError(path, *_NOT_PLAIN)
        return real / name

    def _check_plain(self, path: str, real: Path) -> None:
        if os.path.lexists(real) and (real.is_symlink() or not real.is_file()):
            raise DiskError(path, *_NOT_PLAIN)

    def _check_folder(self, path: str, real: Path) -> None:
        if os.path.lexists(real) and (real.is_symlink() or not real.is_dir()):
            raise DiskError(path, *_NOT_PLAIN)

    def _due(self, operation: str, path: str) -> _Fault | None:
        for fault in self._faults:
            if fault.left > 0 and fault.operation == operation and fnmatch.fnmatchcase(path, fault.pattern):
                fault.left -= 1
                return fault
        return None

    def _changed(self, path: str, change: _Change) -> None:
        folder = path.rpartition("/")[0]
        self._changes.setdefault(folder, []).append(change)

    def _moved(self, old: str, new: str) -> None:
        """What is known follows the name; of a folder, that of everything in it."""
        for path in [path for path in self._contents if path == old or path.startswith(f"{old}/")]:
            content = self._contents.pop(path)
            content.path = new + path[len(old) :]
            self._contents[content.path] = content
        for path in [path for path in self._changes if path == old or path.startswith(f"{old}/")]:
            self._changes[new + path[len(old) :]] = self._changes.pop(path)

    def _undo(self, folder: str, change: _Change) -> None:
        prefix = f"{folder}/" if folder else ""
        place = self._root / folder
        match change:
            case _Created(name):
                (place / name).unlink()
                del self._contents[prefix + name]
            case _FolderMade(name):
                shutil.rmtree(place / name)
                for path in [path for path in self._contents if path.startswith(f"{prefix}{name}/")]:
                    del self._contents[path]
            case _Renamed(name, new_name):
                (place / new_name).rename(place / name)
                self._moved(prefix + new_name, prefix + name)
            case _Unlinked(name, shadow, content):
                os.link(shadow, place / name, follow_symlinks=False)
                if content is not None:
                    self._contents[prefix + name] = content


class _SimFile:
    """`File` over one descriptor; after an error it stays failed, like the real one."""

    def __init__(self, disk: SimDisk, descriptor: int, content: _Content) -> None:
        self._disk = disk
        self._descriptor: int | None = descriptor
        self._close = weakref.finalize(self, os.close, descriptor)  # as the kernel does for a process that is killed
        self._content = content
        self._failed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        descriptor = self._usable()
        with self._failing():
            self._disk.write_into(descriptor, self._content, memoryview(data).cast("B"))

    def sync(self) -> None:
        descriptor = self._usable()
        with self._failing():
            self._disk.sync_of(descriptor, self._content)

    def close(self) -> None:
        self._descriptor = None
        with contextlib.suppress(OSError):
            self._close()

    def _usable(self) -> int:
        assert self._descriptor is not None, "the file is closed"
        if self._failed:
            raise DiskError(self._content.path, "an earlier write or fsync of this file failed", "open a new file")
        return self._descriptor

    @contextlib.contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except DiskError:
            self._failed = True
            raise
