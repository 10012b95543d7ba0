"""Memory of agent and capture at 720p, each by itself and together with the ring in one cgroup of 320 MB."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from agent.config import load_board
from agent.model import Colour
from tests.bench.camera import Camera, enrol
from tests.bench.films import HD
from tests.bench.place import Place
from tests.bench.process import MemoryLimit, arena_mib, memory_limit, peak_mib, resident_mib, swap_mib
from tests.bench.table import Row

AGENT_MIB, CAPTURE_MIB = 64, 128
TOGETHER_BYTES = 320 * 1024 * 1024
PRERECORD_MS = 30_000
QUICK_S, SHORT_S, LONG_S = 20, 120, 600
_SAMPLE_S = 1.0


@dataclass(slots=True)
class _Seen:
    agent_mib: float = 0.0
    capture_mib: float = 0.0
    ring_mib: float = 0.0


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("memory")
    camera = enrol(folder, place.kept / "films", HD, PRERECORD_MS).camera(folder / "camera")
    ring_bytes = load_board(camera.folder / "board.toml").ring_bytes(PRERECORD_MS)
    seconds = QUICK_S if place.quick else LONG_S if place.long else SHORT_S
    with memory_limit(TOGETHER_BYTES) as limit:
        with camera:
            seen = _film(camera, limit, ring_bytes, seconds)
        together = None if limit is None else (limit.peak_mib(), limit.kills(), limit.version)
    how = f"Over {seconds} s of 720p with 25 pictures a second, most of it recording."
    yield Row(
        "resident memory of the agent without the ring",
        f"{seen.agent_mib:.0f} MiB at most",
        "-",
        f"{AGENT_MIB} MiB",
        seen.agent_mib <= AGENT_MIB,
        f"{how} The ring's {seen.ring_mib:.0f} resident MiB are taken off.",
    )
    yield Row(
        "resident memory of capture at 720p",
        f"{seen.capture_mib:.0f} MiB at most",
        "-",
        f"{CAPTURE_MIB} MiB",
        seen.capture_mib <= CAPTURE_MIB,
        f"{how} It decodes the film besides, which a camera does not.",
    )
    minutes = LONG_S // 60
    what = f"both and the ring in one cgroup of 320 MB, {seconds} s"
    wanted = f"held for {minutes} minutes, without swap"
    if together is None:
        yield Row(what, "not measured", "-", wanted, None, "This user may not make a memory cgroup here.")
        return
    peak, kills, version = together
    held = not kills
    yield Row(
        what,
        f"{peak:.0f} MiB at most, {kills} processes killed",
        "-",
        wanted,
        held if seconds >= LONG_S or not held else None,
        f"{version}; this machine has {swap_mib():.0f} MiB of swap. The page cache of what they write counts too and "
        f"is given back, so the peak says little. {'' if seconds >= LONG_S else 'The whole time: --long.'}",
    )


def _film(camera: Camera, limit: MemoryLimit | None, ring_bytes: int, seconds: int) -> _Seen:
    seen = _Seen()
    began_ns = camera.start(None if limit is None else limit.join)
    camera.light(began_ns, Colour.GREEN)
    ends = time.monotonic() + seconds
    pressed = False
    while time.monotonic() < ends:
        if not pressed and ends - time.monotonic() < seconds * 0.7:
            pressed = True
            camera.light(camera.do("tap"), Colour.RED)
        ring = arena_mib(camera.pid, ring_bytes)
        seen.ring_mib = max(seen.ring_mib, ring)
        seen.agent_mib = max(seen.agent_mib, resident_mib(camera.pid) - ring)
        seen.capture_mib = max(seen.capture_mib, peak_mib(camera.capture_pid))
        time.sleep(_SAMPLE_S)
    assert pressed
    assert seen.ring_mib > 0, "the ring's mapping was not found"
    return seen
