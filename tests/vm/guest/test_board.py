"""A press on a wire of the kernel's becomes verified evidence at the dock: every part but the chips is the real one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.model import NS_PER_S, Colour
from tests.support.journals import bodies
from tests.vm.guest.services import Board, camera_and_dock

RECORDED_S = 4
HOLD_S = 2.5


def test_a_press_becomes_evidence_at_the_dock(tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    with camera_and_dock(tmp_path) as (board, dock):
        starting_ms = board.until("a light", lambda: board.colour() is not Colour.OFF)
        record_property("start of the agent to its light", f"{starting_ms:.0f} ms")
        board.until_activity("ready")
        board.until("green", lambda: board.colour() is Colour.GREEN)
        board.wire(board.parts.wiring.button, True)
        heard_ms = board.until("heard", lambda: board.colour() is not Colour.GREEN)
        red_ms = board.until("red", lambda: board.colour() is Colour.RED)
        board.wire(board.parts.wiring.button, False)
        record_property("press to heard, on the lamps", f"{heard_ms:.0f} ms")
        record_property("press to red, on the lamps", f"{heard_ms + red_ms:.0f} ms")
        board.until("seconds that are durable", lambda: durable_s(board) > RECORDED_S)
        board.wire(board.parts.wiring.button, True)
        time.sleep(HOLD_S)
        board.wire(board.parts.wiring.button, False)
        board.until_activity("ready")
        board.wire(board.parts.wiring.contact, True)
        archive = dock.archive / "cam-01"
        data = board.folder / "data"
        docked_ms = board.until("receipts for all of it", lambda: received(data))
        record_property("contact to the last receipt", f"{docked_ms / 1000:.1f} s")
        board.until("the dock's copy of that", lambda: len(bodies(archive, "receipt")) == len(bodies(data, "receipt")))
    verify(archive, dock.agency.folder / "ca" / "agency.pem")
    (stop,) = bodies(archive, "recording.stop")
    assert stop["cause"] == "hold"
    (boot,) = bodies(archive, "boot")
    assert boot["source"] == "board zero2w-clipon: sensor bars"
    fragments = bodies(archive, "fragment")
    record_property("recorded, of the virtual camera", f"{len(fragments)} fragments")
    assert len(fragments) >= RECORDED_S


def durable_s(board: Board) -> float:
    """Of this recording, after its press."""
    status = board.status()
    end_ns, press_ns = status.get("durable_end_ns"), status.get("press_ns")
    return (end_ns - press_ns) / NS_PER_S if isinstance(end_ns, int) and isinstance(press_ns, int) else 0.0


def received(data: Path) -> bool:
    """The camera has a receipt for each segment that it sealed."""
    sealed = bodies(data, "segment.seal")
    return bool(sealed) and len(bodies(data, "receipt")) == len(sealed)


def verify(archive: Path, trust: Path) -> None:
    """What the dock holds, by `temoin verify`. No timestamp authority here: the bracket is the dock's claim."""
    command = [sys.executable, "-m", "agent.cli", "verify", str(archive), "--trust", str(trust), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(done.stdout)
    assert report["verdict"] == "PARTIAL", report
    assert {reason["code"] for reason in report["reasons"]} == {"bracket-claimed"}, report
