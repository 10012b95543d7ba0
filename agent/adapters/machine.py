"""What Linux shows of a camera to somebody who must not touch it: its lock, its process, its memory and its mounts.

Guarantees: nothing is written, created, locked or signalled, so that a running agent notices nothing and a stopped
camera stays as it is; what cannot be read is None, or nobody. Assumes /proc. Source: proc(5).
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.disk import LOCK_NAME
from agent.errors import ConfigError

PROC = Path("/proc")
_LOCK_LINE = re.compile(r"[0-9]+: FLOCK +[A-Z]+ +WRITE ([0-9]+) [0-9a-f]+:[0-9a-f]+:([0-9]+) ")
_MAY_LOCK_ALL = 1 << 14  # CAP_IPC_LOCK, capabilities(7)
_BYTES_PER_KIB = 1024


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder's file system, and whether this user may write to the folder and those that are named with it."""

    read_only: bool
    writable: bool


def lock_holder(data: Path) -> int | None:
    """The process that has the data folder locked; None when nobody has, or when that cannot be seen.

    Taking the lock to find out would refuse an agent that starts at the same moment. The device is not compared:
    overlay and btrfs show another one here than by stat.
    """
    try:
        number = (data / LOCK_NAME).stat().st_ino
        locks = (PROC / "locks").read_text(encoding="ascii")
    except (OSError, ValueError):
        return None
    holders = (
        int(found[1]) for found in map(_LOCK_LINE.match, locks.splitlines()) if found and found[2] == str(number)
    )
    return next(holders, None)


def agent_process(data: Path) -> str:
    """`gone` when nobody holds the data folder, `stopped` when its holder is suspended, else `alive`."""
    holder = lock_holder(data)
    if holder is None:
        return "gone"
    return "stopped" if _field(holder, "status", r"State:\s+(\S)") in ("T", "t") else "alive"


def memory_bytes() -> int | None:
    """The machine's memory."""
    found = _first_group(PROC / "meminfo", r"MemTotal:\s+([0-9]+) kB")
    return None if found is None else int(found) * _BYTES_PER_KIB


def lockable_bytes(pid: int | None) -> int | None:
    """How much this process (None: our own) may lock into memory; None without a limit or when that cannot be seen."""
    process = os.getpid() if pid is None else pid
    capabilities = _field(process, "status", r"CapEff:\s+([0-9a-f]+)")
    if capabilities is not None and int(capabilities, 16) & _MAY_LOCK_ALL:
        return None
    limit = _field(process, "limits", r"Max locked memory\s+([0-9]+)")
    return None if limit is None else int(limit)


def mount(folder: Path, inner: tuple[str, ...]) -> Mount:
    """The folder itself must be there. Raises ConfigError."""
    try:
        flags = os.statvfs(folder).f_flag
        folders = [folder, *(folder / name for name in inner if (folder / name).exists())]
    except OSError as error:
        raise ConfigError(
            str(folder), error.strerror or "cannot be read", "check the card, and who runs this"
        ) from None
    return Mount(bool(flags & os.ST_RDONLY), all(os.access(each, os.W_OK | os.X_OK) for each in folders))


def _field(pid: int, name: str, pattern: str) -> str | None:
    return _first_group(PROC / str(pid) / name, pattern)


def _first_group(file: Path, pattern: str) -> str | None:
    try:
        found = re.search(pattern, file.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None
    return None if found is None else found[1]
