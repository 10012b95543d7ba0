"""Local sockets by path, however long the path is.

The kernel takes at most 107 bytes for an AF_UNIX name. A folder may be deeper than that, so a longer name goes through
/proc/self/fd, which is the same place under a short name.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from agent.errors import ConfigError

MAX_NAME_BYTES = 107


def listen(path: Path, mode: int = 0o600) -> socket.socket:
    """A listening stream socket that does not block. The caller owns the folder: a leftover name is replaced."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        with _name(path) as name:
            listener.bind(name)
        path.chmod(mode)
        listener.listen(4)
    except OSError as error:
        listener.close()
        remedy = "choose a run folder of your own on a local file system"
        raise ConfigError(str(path), f"cannot listen there ({error.strerror or error})", remedy) from None
    listener.setblocking(False)
    return listener


def connect(path: Path, timeout_s: float | None = None) -> socket.socket:
    """A stream connection to the program that listens on `path`."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout_s)
    try:
        with _name(path) as name:
            connection.connect(name)
    except OSError as error:
        connection.close()
        problem = f"nobody listens there ({error.strerror or error})"
        raise ConfigError(str(path), problem, "start the agent first: temoin run") from None
    return connection


@contextlib.contextmanager
def _name(path: Path) -> Iterator[str]:
    if len(os.fsencode(path)) <= MAX_NAME_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
