"""Where the benchmarks write: a real file system, and what its fsync costs. On tmpfs no figure means anything."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError
from tests.bench.table import median, percentile

_IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})
_FSYNCS = 60
_BLOCK_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Place:
    """`folder` is for this run; what is dear to make stays in `kept`. `quick` asks for the short run, `long` for the
    rows of ten minutes too."""

    folder: Path
    kept: Path
    quick: bool
    long: bool
    fsync_p50_ms: float
    fsync_p99_ms: float

    def fresh(self, name: str) -> Path:
        """A new folder for one benchmark."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        return folder


def file_system(folder: Path) -> str:
    """The type of the file system that holds the folder."""
    found, best = "unknown", -1
    path = folder.resolve()
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        mounted = Path(left.split()[4].encode().decode("unicode_escape"))
        if (path == mounted or mounted in path.parents) and len(mounted.parts) >= best:
            found, best = right.split()[0], len(mounted.parts)
    return found


def refuse_memory(folder: Path) -> str:
    """The type of the folder's file system. Raises ConfigError for one that is in memory only."""
    kind = file_system(folder)
    if kind in _IN_MEMORY:
        raise ConfigError(str(folder), f"is on {kind}: an fsync costs nothing there", "give --folder on a real disk")
    return kind


def take(folder: Path) -> None:
    """Keep a second run out of the folder while this process lives. Raises ConfigError when there is one."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        problem = "another run of the benchmarks is under way there, and would be in every figure"
        raise ConfigError(str(folder), problem, "wait for it") from None


def measure_fsync(folder: Path) -> tuple[float, float]:
    """p50 and p99 in ms of an fdatasync after an append of 4 KiB."""
    path = folder / "fsync"
    times: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_FSYNCS):
            file.write(os.urandom(_BLOCK_BYTES))
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    path.unlink()
    return median(times), percentile(times, 99)
