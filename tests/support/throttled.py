"""A bad card: the `Disk` port over another one, slow by so many bytes a second, so long an fsync, and a stall.

Guarantees: nothing is changed on its way, only late; each operation waits on the thread that asks. One card does one
thing at a time: who comes second waits for both.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.ports import Disk, File


@dataclass(frozen=True, slots=True)
class Card:
    """How bad it is."""

    bytes_per_second: int = 10_000_000
    sync_s: float = 0.2


class ThrottledDisk:
    """A Disk. `sleep` waits: a test's clock, or the real one."""

    def __init__(self, disk: Disk, card: Card, sleep: Callable[[float], None] = time.sleep) -> None:
        self._disk = disk
        self._card = card
        self._sleep = sleep
        self._busy = threading.Lock()
        self._stall_s = 0.0

    def stall(self, seconds: float) -> None:
        """The next fsync takes so much longer: the card cleans up inside. Any thread."""
        self._stall_s = seconds

    def wait_to_write(self, length: int) -> None:
        """For the files: what so many bytes take."""
        with self._busy:
            self._sleep(length / self._card.bytes_per_second)

    def wait_to_sync(self) -> None:
        """For the files: what an fsync takes."""
        with self._busy:
            stall_s, self._stall_s = self._stall_s, 0.0
            self._sleep(self._card.sync_s + stall_s)

    def make_folder(self, path: str) -> None:
        self._disk.make_folder(path)

    def create(self, path: str) -> File:
        return _ThrottledFile(self, self._disk.create(path))

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        found = self._disk.read(path, offset, length)
        self.wait_to_write(len(found))
        return found

    def size(self, path: str) -> int:
        return self._disk.size(path)

    def exists(self, path: str) -> bool:
        return self._disk.exists(path)

    def names(self, path: str) -> list[str]:
        return self._disk.names(path)

    def rename(self, old: str, new: str) -> None:
        self._disk.rename(old, new)

    def unlink(self, path: str) -> None:
        self._disk.unlink(path)

    def sync_folder(self, path: str) -> None:
        self.wait_to_sync()
        self._disk.sync_folder(path)

    def sync_file(self, path: str) -> None:
        self.wait_to_sync()
        self._disk.sync_file(path)

    def free_bytes(self) -> int:
        return self._disk.free_bytes()

    def lock(self) -> None:
        self._disk.lock()


class _ThrottledFile:
    def __init__(self, disk: ThrottledDisk, file: File) -> None:
        self._disk = disk
        self._file = file

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._disk.wait_to_write(memoryview(data).nbytes)
        self._file.write(data)

    def sync(self) -> None:
        self._disk.wait_to_sync()
        self._file.sync()

    def close(self) -> None:
        self._file.close()
