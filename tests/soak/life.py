"""A camera's life: it records for four minutes, rests for half of one, and so on; measured all the while."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from agent.config import load_board
from agent.model import Colour
from tests.bench.camera import Camera
from tests.bench.process import MemoryLimit, arena_mib, memory_limit, resident_mib

TOGETHER_BYTES = 320 * 1024 * 1024
PRERECORD_MS = 30_000
SAMPLE_S = 2.0
RECORD_S, REST_S = 240.0, 30.0
EIGHTHS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """At one moment: resident memory (the agent's without the ring), open files and threads of both processes."""

    agent_mib: float
    capture_mib: float
    handles: int


@dataclass(slots=True)
class Life:
    """What was measured. `kills`: for want of memory; None where no cgroup could be made."""

    samples: list[Sample] = field(default_factory=list)
    kills: int | None = None
    captures: int = 0

    def growth(self, name: str) -> tuple[float, float]:
        """The mean of the second eighth of the time (the first fills ring and caches) and of the last."""
        size = max(1, len(self.samples) // EIGHTHS)
        early, late = self.samples[size : 2 * size], self.samples[-size:]
        return fmean(getattr(each, name) for each in early), fmean(getattr(each, name) for each in late)


def live(camera: Camera, seconds: int) -> Life:
    """Record and rest for so long; the last recording is ended in order."""
    life = Life()
    ring_bytes = load_board(camera.folder / "board.toml").ring_bytes(PRERECORD_MS)
    with memory_limit(TOGETHER_BYTES) as limit:
        with camera:
            _film(camera, limit, ring_bytes, seconds, life)
        life.kills = None if limit is None else limit.kills()
    return life


def _film(camera: Camera, limit: MemoryLimit | None, ring_bytes: int, seconds: int, life: Life) -> None:
    began_ns = camera.start(None if limit is None else limit.join)
    camera.light(began_ns, Colour.GREEN)
    captures: set[int] = set()
    ends = time.monotonic() + seconds
    recording, turns = False, 0.0
    while (now := time.monotonic()) < ends:
        if now >= turns:
            recording = not recording
            turns = now + (RECORD_S if recording else REST_S)
            camera.light(camera.do("tap" if recording else "hold"), Colour.RED if recording else Colour.GREEN)
        captures.add(camera.capture_pid)
        life.samples.append(_sample(camera, ring_bytes))
        time.sleep(SAMPLE_S)
    if recording:
        camera.light(camera.do("hold"), Colour.GREEN)
    life.captures = len(captures)


def _sample(camera: Camera, ring_bytes: int) -> Sample:
    pids = (camera.pid, camera.capture_pid)
    handles = sum(len(list(Path(f"/proc/{pid}/{kind}").iterdir())) for pid in pids for kind in ("fd", "task"))
    agent_mib = resident_mib(camera.pid) - arena_mib(camera.pid, ring_bytes)
    return Sample(agent_mib, resident_mib(camera.capture_pid), handles)
