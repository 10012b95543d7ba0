"""What lies between camera and dock and may be bad: a TCP wire that is slow and cut, and a link of two TUN devices that
delays, loses, reorders and parts (this kernel may lack tc netem; packets are real all the same)."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import heapq
import os
import random
import select
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

PIECE_BYTES = 16 * 1024
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI, _CLONE_NEWNET = 0x400454CA, 0x0001, 0x1000, 0x40000000

_Result = TypeVar("_Result")


class NoLinkError(RuntimeError):
    """This computer gives us no namespace or no TUN device."""


class Wire:
    """Passes TCP connections on to `target` on the loopback; `bytes_a_second` each, None for as fast as it goes."""

    def __init__(self, target: int, bytes_a_second: int | None = None) -> None:
        self._target = target
        self.bytes_a_second = bytes_a_second
        self.cut_after: list[int] = []
        self.cuts = 0
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """All connections that are open now."""
        for each in tuple(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            self.connections += 1
            limit = self.cut_after.pop(0) if self.cut_after else None
            self._open |= {near, far}
            threading.Thread(target=self._pump, args=(near, far, limit), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, None), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE_BYTES):
                passed += len(data)
                if limit is not None and passed > limit:
                    self.cuts += 1
                    break
                if self.bytes_a_second is not None:
                    time.sleep(len(data) / self.bytes_a_second)
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            self._open.discard(each)


class Link:
    """A network namespace `name` whose only way out is this link. `near` is our address on it."""

    def __init__(self, name: str, number: int, seed: str) -> None:
        self.name = name
        self.near, self.far = f"10.213.{number}.1", f"10.213.{number}.2"
        self.delay_ms, self.jitter_ms, self.loss = 0.0, 0.0, 0.0
        self.parted = False
        self.dropped = self.reordered = 0
        self._random = random.Random(seed)
        _ip("netns", "add", name)
        try:
            self._ends = (_tun(f"{name}n"), self.inside(lambda: _tun(f"{name}f")))
            _ip("addr", "add", f"{self.near}/24", "dev", f"{name}n")
            _ip("link", "set", f"{name}n", "up")
            for what in (
                ("addr", "add", f"{self.far}/24", "dev", f"{name}f"),
                ("link", "set", f"{name}f", "up"),
                ("link", "set", "lo", "up"),
            ):
                _ip("-n", name, *what)
        except BaseException:
            _ip("netns", "del", name)
            raise
        self._ending = False
        self._thread = threading.Thread(target=self._carry, daemon=True)
        self._thread.start()

    def inside(self, act: Callable[[], _Result]) -> _Result:
        """Do it in the namespace: what it starts stays there."""
        results: list[_Result] = []

        def work() -> None:
            with Path("/run/netns", self.name).open("rb") as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            results.append(act())

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return results[0]

    def close(self) -> None:
        self._ending = True
        self._thread.join()
        for end in self._ends:
            os.close(end)
        _ip("netns", "del", self.name)

    def _carry(self) -> None:
        waiting: list[tuple[float, int, int, bytes]] = []
        count = 0
        while not self._ending:
            now = time.monotonic()
            while waiting and waiting[0][0] <= now:
                _, number, end, packet = heapq.heappop(waiting)
                self.reordered += any(each[1] < number and each[2] == end for each in waiting)
                with contextlib.suppress(OSError):
                    os.write(self._ends[end], packet)
            patience = min(0.1, waiting[0][0] - now) if waiting else 0.1
            ready, _, _ = select.select(self._ends, [], [], patience)
            for end in ready:
                packet = os.read(end, 65536)
                if self.parted or self._random.random() < self.loss:
                    self.dropped += 1
                    continue
                count += 1
                delay_ms = self.delay_ms + self._random.random() * self.jitter_ms
                heapq.heappush(waiting, (time.monotonic() + delay_ms / 1000, count, 1 - self._ends.index(end), packet))


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        raise NoLinkError(f"ip {' '.join(arguments)}: {done.stderr.strip()} (namespaces need root)")


def _tun(name: str) -> int:
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise NoLinkError(f"/dev/net/tun: {error.strerror}") from None
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return descriptor
