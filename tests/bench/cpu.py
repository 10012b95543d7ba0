"""Processor time of the agent alone while it records 8 Mbit/s, and presses on the real process: heard, red."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from agent.formats.age import RecipientKind, generate_identity, parse_identity
from agent.model import Colour
from tests.bench.bare import BareCommit
from tests.bench.camera import Camera, enrol, ms_between
from tests.bench.films import SMALL
from tests.bench.place import Place
from tests.bench.process import cpu_s
from tests.bench.table import Row, median, percentile, ratios, tail

SHARE_PERCENT = 2.0
HEARD_MS = 100
RED_MS = 50
QUICK_S, WHOLE_S = 20, 120
QUICK_PRESSES, PRESSES = 6, 20
FULL_RINGS = 2
PRERECORD_S = 30
_RELEASED_S = 0.8  # a hold is recognised after 2 s, and the finger stays for 2.5
_PEER_BYTES = 64 * 1024 * 1024
_REPEAT_S = 0.6  # a hold after a tap is a press of its own: more than the tap and the window for a second one


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("cpu")
    camera = enrol(folder, place.kept / "films", SMALL, PRERECORD_S * 1000).camera(folder / "camera")
    seconds = QUICK_S if place.quick else WHOLE_S
    with camera:
        camera.light(camera.start(), Colour.GREEN)
        camera.wait("a fragment in the ring", lambda status: status.get("captured_end_ns") is not None)
        heard, red, bare = _presses(camera, folder / "bare", QUICK_PRESSES if place.quick else PRESSES)
        full = [_full_ring(camera) for _ in range(1 if place.quick else FULL_RINGS)]
        pressed_ns = camera.do("tap")
        camera.light(pressed_ns, Colour.RED)
        time.sleep(2)
        begun, began = cpu_s(camera.pid), time.monotonic()
        size = _card_bytes(camera)
        time.sleep(seconds)
        took = time.monotonic() - began
        share = (cpu_s(camera.pid) - begun) / took * 100
        rate = (_card_bytes(camera) - size) * 8 / took / 1e6
    yield Row(
        "press to heard, real process",
        tail(heard, "ms", 1),
        "-",
        f"{HEARD_MS} ms, always",
        max(heard) <= HEARD_MS,
        "From before `temoin sim tap` connects to the vibration in panel.log: the simulator's socket is in it.",
    )
    limit_ms = RED_MS + percentile(bare, 99)
    yield Row(
        "press to red, real process, what the ring holds between presses",
        tail(red, "ms"),
        f"bare write and fsyncs {tail(bare, 'ms', 1)}; ratio {median(ratios(red, bare)):.1f}",
        f"p99 50 ms + the bare fsyncs' p99 = {limit_ms:.0f} ms",
        percentile(red, 99) <= limit_ms,
        "The ring holds a fragment or two that no recording has; with none, red waits for the next keyframe: that is "
        "the row of the empty ring.",
    )
    yield Row(
        f"press to red, real process, ring of {PRERECORD_S} s at 8 Mbit/s",
        tail(full, "ms"),
        "-",
        f"{limit_ms:.0f} ms",
        max(full) <= limit_ms,
    )
    peer = _age_share(folder, rate)
    yield Row(
        f"agent's CPU while recording {rate:.1f} Mbit/s over {took:.0f} s, without the encoder",
        f"{share:.2f} % of a core",
        f"age CLI, encrypting as many bytes a second: {peer:.2f} %; ratio {share / peer:.1f}",
        f"{SHARE_PERCENT:.0f} %",
        share <= SHARE_PERCENT,
        "User and system time of the agent's process (/proc/PID/stat); capture is another process. age is one run over "
        "64 MiB: it receives nothing, hashes nothing, signs nothing and syncs nothing.",
    )


def _presses(camera: Camera, folder: Path, count: int) -> tuple[list[float], list[float], list[float]]:
    heard, red, alone = [], [], []
    bare = BareCommit(folder)
    for _ in range(count):
        time.sleep(1)  # so that a fragment is there that no recording holds
        pressed_ns = camera.do("tap")
        heard.append(ms_between(pressed_ns, camera.heard(pressed_ns)))
        red.append(ms_between(pressed_ns, camera.light(pressed_ns, Colour.RED)))
        _end(camera)
        alone.append(bare.commit())
    return heard, red, alone


def _full_ring(camera: Camera) -> float:
    time.sleep(PRERECORD_S + 1)
    pressed_ns = camera.do("tap")
    took = ms_between(pressed_ns, camera.light(pressed_ns, Colour.RED))
    _end(camera)
    return took


def _end(camera: Camera) -> None:
    time.sleep(_REPEAT_S)
    camera.light(camera.do("hold"), Colour.GREEN)
    time.sleep(_RELEASED_S)


def _age_share(folder: Path, rate_mbps: float) -> float:
    """What `age` takes of a core for that rate, in percent."""
    plain = folder / "plain"
    plain.write_bytes(os.urandom(_PEER_BYTES))
    recipient = parse_identity(generate_identity(RecipientKind.CLASSIC, os.urandom)).recipient()
    before = os.times()
    subprocess.run(["age", "-r", recipient.text, "-o", folder / "plain.age", plain], check=True)
    after = os.times()
    took = after.children_user + after.children_system - before.children_user - before.children_system
    return took / (_PEER_BYTES * 8 / 1e6 / rate_mbps) * 100


def _card_bytes(camera: Camera) -> int:
    return sum(path.stat().st_size for path in camera.data.rglob("*") if path.is_file())
