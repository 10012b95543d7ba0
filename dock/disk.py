"""The archive's disk: the camera's `Disk`, and one operation more that only a copy may have.

Guarantees: `resume` hands out an existing file whose content is whole and can be made durable by its first `sync`,
whoever wrote it. Without it a dock that was killed could not tell what of its last file would survive a power cut.
`RealDisk` (agent/adapters/disk.py) is one.
"""

from __future__ import annotations

from typing import Protocol

from agent.ports import Disk, File


class ArchiveDisk(Disk, Protocol):
    """`Disk`, over the archive's or the dock's own folder."""

    def resume(self, path: str, length: int) -> File:
        """An existing file, opened for appending after its first `length` bytes; what lies behind them is cut off.

        Nothing of it counts as durable before `File.sync`. Raises DiskError, also if it is shorter than that.
        """
        ...
