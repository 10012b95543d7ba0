"""What every Supervision does: over a path, over an abstract name, and where nobody supervises."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.adapters.service import MAX_STATUS_BYTES, ServiceManager
from agent.ports import Supervision

PID = 4242
FLOOD = 2000  # datagrams: more than any socket holds


@dataclass
class Bench:
    """The service manager's socket, None where there is none; and what it heard."""

    receiver: socket.socket | None
    environment: Mapping[str, str]

    def supervision(self, **more: str) -> Supervision:
        return ServiceManager({**self.environment, **more}, PID)

    def heard(self) -> list[bytes]:
        messages: list[bytes] = []
        while self.receiver is not None:
            try:
                messages.append(self.receiver.recv(4096, socket.MSG_DONTWAIT))
            except BlockingIOError:
                break
        return messages

    def said(self, *messages: bytes) -> list[bytes]:
        """What is heard of these."""
        return [] if self.receiver is None else list(messages)


@pytest.fixture(params=["path", "abstract", "nobody"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    if request.param == "nobody":
        yield Bench(None, {})
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        name = str(tmp_path / "notify") if request.param == "path" else f"@temoin-test-{os.getpid()}"
        receiver.bind(name.replace("@", "\0"))
        yield Bench(receiver, {"NOTIFY_SOCKET": name})


def test_each_call_is_one_message(bench: Bench) -> None:
    supervision = bench.supervision()
    supervision.ready()
    supervision.status("recording")
    supervision.alive()
    supervision.alive()
    supervision.stopping()
    assert bench.heard() == bench.said(
        b"READY=1", b"STATUS=recording", b"WATCHDOG=1", b"WATCHDOG=1", b"STOPPING=1"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("", b""),
        ("prête", "prête".encode()),
        ("two\nlines\tREADY=1\r\n", rb"two\nlines\tREADY=1\r\n"),
        ("lone \udcff", rb"lone \udcff"),
        ("é" * MAX_STATUS_BYTES, ("é" * (MAX_STATUS_BYTES // 2)).encode()),
        ("x" + "é" * MAX_STATUS_BYTES, ("x" + "é" * (MAX_STATUS_BYTES // 2 - 1)).encode()),
    ],
)
def test_a_status_is_one_short_line(bench: Bench, text: str, heard: bytes) -> None:
    bench.supervision().status(text)
    assert bench.heard() == bench.said(b"STATUS=" + heard)


def test_a_full_socket_delays_nobody_and_ready_is_said_again(bench: Bench) -> None:
    supervision = bench.supervision()
    for _ in range(FLOOD):
        supervision.alive()
    supervision.ready()
    assert b"READY=1" not in bench.heard()[: FLOOD - 1]
    supervision.alive()
    supervision.alive()
    again = bench.heard()
    assert again.count(b"READY=1") == len(bench.said(b"READY=1"))
    assert again.count(b"WATCHDOG=1") == len(bench.said(b"", b""))


def test_a_service_manager_that_is_gone_is_no_error(bench: Bench) -> None:
    supervision = bench.supervision()
    if bench.receiver is not None:
        bench.receiver.close()
    supervision.ready()
    supervision.status("recording")
    supervision.alive()
    supervision.stopping()


def test_the_watchdog_is_ours(bench: Bench) -> None:
    assert bench.supervision().watchdog_ns is None
    assert bench.supervision(WATCHDOG_USEC="10000000").watchdog_ns == 10_000_000_000
    assert bench.supervision(WATCHDOG_USEC="1", WATCHDOG_PID=str(PID)).watchdog_ns == 1000


@pytest.mark.parametrize("usec", ["", "0", "-1", "+1", "1.5", "1e3", " 1", "1\n", "0x10", "9" * 20, "١"])
def test_a_watchdog_that_is_no_number_is_none(usec: str) -> None:
    assert ServiceManager({"WATCHDOG_USEC": usec}, PID).watchdog_ns is None


@pytest.mark.parametrize("pid", ["", "1", "42420", f" {PID}", f"0{PID}"])
def test_a_watchdog_of_another_process_is_not_ours(pid: str) -> None:
    assert ServiceManager({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": pid}, PID).watchdog_ns is None


@pytest.mark.parametrize("name", ["", "@", "relative", "vsock:2:1234", "/nobody/listens/there", "/" + "x" * 200])
def test_where_nobody_can_be_told_nothing_happens(name: str) -> None:
    supervision = ServiceManager({"NOTIFY_SOCKET": name}, PID)
    supervision.ready()
    supervision.alive()
