"""The archive's disk: the camera's `Disk`, and one operation more that only a copy may have.

Guarantees: `resume` hands out an existing file whose content is whole and can be made durable by its first `sync`,
whoever wrote it. Without it a dock that was killed could not tell what of its last file would survive a power cut.
Assumes what agent/adapters/disk.py assumes.
"""

from __future__ import annotations

import os
import stat
from typing import Protocol

from agent.adapters.disk import RealDisk, _in_words, _RealFile
from agent.errors import DiskError
from agent.ports import Disk, File

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class ArchiveDisk(Disk, Protocol):
    """`Disk`, over the archive's or the dock's own folder."""

    def resume(self, path: str, length: int) -> File:
        """An existing file, opened for appending after its first `length` bytes; what lies behind them is cut off.

        Nothing of it counts as durable before `File.sync`. Raises DiskError, also if it is shorter than that.
        """
        ...


class StationDisk(RealDisk):
    """`ArchiveDisk` over a real folder, which must exist."""

    def resume(self, path: str, length: int) -> File:
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
