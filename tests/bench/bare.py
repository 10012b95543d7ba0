"""What the card itself takes for a recording's first commit: the same bytes and fsyncs by bare system calls.

The design's "2 fsyncs" are that: file and folders, then the journal. Measured between the presses, so that what else
this machine does falls on both.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from tests.bench.writer import FRAGMENT_BYTES

_INIT_BYTES = 65_536
_ENTRIES_BYTES = 2_600


class BareCommit:
    """The first commit of a recording as nothing but system calls."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._journal = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._data = os.urandom(_INIT_BYTES + FRAGMENT_BYTES)
        self._runs = 0

    def commit(self) -> float:
        """Its ms."""
        self._runs += 1
        inner = self._folder / str(self._runs)
        began = time.perf_counter()
        inner.mkdir()
        file = os.open(inner / "0000", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, self._data)
        os.fdatasync(file)
        for folder in (inner, self._folder):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(descriptor)
            os.close(descriptor)
        os.write(self._journal, self._data[:_ENTRIES_BYTES])
        os.fdatasync(self._journal)
        took_ms = (time.perf_counter() - began) * 1000
        os.close(file)
        return took_ms
