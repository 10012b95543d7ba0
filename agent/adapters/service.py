"""Supervision by systemd: one datagram a call to the socket that $NOTIFY_SOCKET names, a path or an abstract name.

Guarantees: no call waits or raises; a datagram that cannot be sent at once is dropped. A READY that was dropped is sent
with the next `alive`: without it a service that is well would be ended when its time to start is over. Where the
environment names no socket, or one of another kind, nothing happens.
Source: sd_notify(3), "Notes", and sd_watchdog_enabled(3): so small, and promised to stay, that no library is needed.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping

from agent.terminal import printable

MAX_STATUS_BYTES = 200
NS_PER_US = 1000
_NUMBER = re.compile(r"[1-9][0-9]{0,15}")


class ServiceManager:
    """Supervision, as `environment` says; `pid` is this process's own: the environment may be an ancestor's."""

    def __init__(self, environment: Mapping[str, str], pid: int) -> None:
        self.watchdog_ns = _watchdog_ns(environment, pid)
        self._address = _address(environment.get("NOTIFY_SOCKET", ""))
        self._owes_ready = False

    def ready(self) -> None:
        self._owes_ready = not self._send(b"READY=1")

    def status(self, text: str) -> None:
        """Its beginning, on one line."""
        line = printable(text).encode()[:MAX_STATUS_BYTES]
        self._send(b"STATUS=" + line.decode(errors="ignore").encode())  # no half of a letter

    def alive(self) -> None:
        self._send(b"WATCHDOG=1")
        if self._owes_ready:
            self.ready()

    def stopping(self) -> None:
        self._send(b"STOPPING=1")

    def _send(self, message: bytes) -> bool:
        """Whether it is with the service manager, or there is none."""
        if self._address is None:
            return True
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
                notify.sendto(message, socket.MSG_DONTWAIT, self._address)
        except OSError:  # its socket is full, or it is being started again
            return False
        return True


def _address(named: str) -> bytes | None:
    """A path, or an abstract name (written with @, said to the kernel with a zero byte)."""
    name = os.fsencode(named)
    if name.startswith(b"/"):
        return name
    if name.startswith(b"@") and len(name) > 1:
        return b"\0" + name[1:]
    return None


def _watchdog_ns(environment: Mapping[str, str], pid: int) -> int | None:
    us = environment.get("WATCHDOG_USEC", "")
    if _NUMBER.fullmatch(us) is None or environment.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(us) * NS_PER_US
