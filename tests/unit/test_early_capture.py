"""Capture starts before the agent has a ring: what it sends by then waits, in order, and nothing of it is lost."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from agent import local_socket
from agent.formats import pipe
from agent.intake import Captured, InitSeen, Intake, IntakeReport
from agent.model import NS_PER_S
from agent.ring import Ring
from tests.support import mp4
from tests.support.rig import film

FRAGMENTS = 6
BIG_BYTES = 600_000
"""More than a socket holds: the sender waits."""


def test_what_was_sent_before_there_was_a_ring_arrives_whole(tmp_path: Path) -> None:
    listener = local_socket.listen(tmp_path / "capture.sock")
    capture = local_socket.connect(tmp_path / "capture.sock", 20)
    init, fragment = mp4.make_init(sound=False), mp4.make_fragment_of(BIG_BYTES)
    stream = pipe.pack_init(len(init)) + init
    for number in range(FRAGMENTS):
        t0_ns = (number + 1) * NS_PER_S
        stream += pipe.pack_fragment(pipe.FragmentHeader(len(fragment), t0_ns, NS_PER_S, 1, False)) + fragment
    sending = threading.Thread(target=capture.sendall, args=(stream,), daemon=True)
    sending.start()

    ring = Ring(memoryview(bytearray(8 * 1024 * 1024)), 60 * NS_PER_S)
    reports: list[IntakeReport] = []
    intake = Intake(listener, ring, reports.append, lambda: 10 * NS_PER_S)
    while len(reports) <= FRAGMENTS:
        intake.wait(20)
        intake.step()
    sending.join(20)
    capture.close()
    intake.close()
    assert isinstance(reports[0], InitSeen)
    assert [each.info.t0_ns for each in reports if isinstance(each, Captured)] == [
        (number + 1) * NS_PER_S for number in range(FRAGMENTS)
    ]


def test_a_refusal_hangs_up_on_a_capture_that_waits_to_be_heard(tmp_path: Path) -> None:
    listener = local_socket.listen(tmp_path / "capture.sock")
    capture = local_socket.connect(tmp_path / "capture.sock", 20)
    capture.sendall(pipe.pack_init(len(film()[0])) + film()[0])
    listener.close()
    with pytest.raises(ConnectionResetError):  # what it had sent was never read
        capture.recv(1)
    capture.close()
