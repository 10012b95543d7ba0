"""What the kernel says of a process: memory and processor time, and a memory cgroup around several."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

MIB = 1024 * 1024
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_MAPPING = re.compile(r"[0-9a-f]+-[0-9a-f]+ ")


def cpu_s(pid: int) -> float:
    """User and system time of all threads of the process so far, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_SECOND


def peak_mib(pid: int) -> float:
    """The most that was resident at a time."""
    return _status(pid, "VmHWM") / MIB


def resident_mib(pid: int) -> float:
    return _status(pid, "VmRSS") / MIB


def arena_mib(pid: int, at_least_bytes: int) -> float:
    """The resident part of the process's one anonymous mapping of that size: the ring."""
    size = resident = 0
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8", errors="replace").splitlines():
        if _MAPPING.match(line):
            size = 0
        elif line.startswith("Size:"):
            size = int(line.split()[1]) * 1024
        elif line.startswith("Rss:") and at_least_bytes <= size < at_least_bytes + MIB:
            resident += int(line.split()[1]) * 1024
    return resident / MIB


class MemoryLimit:
    """A memory cgroup of our own: v2 where its controller is there, else v1. `join` is for the new process itself."""

    def __init__(self, folder: Path, legacy: bool) -> None:
        self._folder = folder
        self._legacy = legacy

    def join(self) -> None:
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))

    @property
    def version(self) -> str:
        return "cgroup v1" if self._legacy else "cgroup v2"

    def peak_mib(self) -> float:
        return int((self._folder / ("memory.max_usage_in_bytes" if self._legacy else "memory.peak")).read_text()) / MIB

    def kills(self) -> int:
        """How often the kernel ended a process for want of memory."""
        events = self._folder / ("memory.oom_control" if self._legacy else "memory.events")
        found = re.search(r"^oom_kill (\d+)$", events.read_text(), re.MULTILINE)
        return int(found[1]) if found else 0


@contextlib.contextmanager
def memory_limit(limit_bytes: int) -> Iterator[MemoryLimit | None]:
    """A new cgroup with that limit, swap included; None where this user may not make one."""
    for root, legacy in ((Path("/sys/fs/cgroup"), False), (Path("/sys/fs/cgroup/memory"), True)):
        controllers = root / ("memory.limit_in_bytes" if legacy else "cgroup.controllers")
        try:
            if not legacy and "memory" not in controllers.read_text().split():
                continue
            folder = root / f"temoin-bench-{os.getpid()}"
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / ("memory.limit_in_bytes" if legacy else "memory.max")).write_text(str(limit_bytes))
            with contextlib.suppress(OSError):  # a kernel without swap accounting, or without swap
                swap = "memory.memsw.limit_in_bytes" if legacy else "memory.swap.max"
                (folder / swap).write_text(str(limit_bytes) if legacy else "0")
            yield MemoryLimit(folder, legacy)
        finally:
            folder.rmdir()
        return
    yield None


def swap_mib() -> float:
    """What this machine has of it."""
    found = re.search(r"^SwapTotal:\s+(\d+) kB$", Path("/proc/meminfo").read_text(encoding="ascii"), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def _status(pid: int, key: str) -> int:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    found = re.search(rf"^{key}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None, f"no {key}"
    return int(found[1]) * 1024
