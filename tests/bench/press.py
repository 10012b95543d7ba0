"""From a press to the first durable second and to the whole ring on the card: a full ring, at 8 Mbit/s.

What the card itself takes is measured between the presses: the same bytes, in the same write order, by bare system
calls. The design's "2 fsyncs" are that: file and folders, then the journal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from agent.adapters.disk import RealDisk
from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from tests.bench.place import Place
from tests.bench.table import Row, median, percentile, ratios, tail
from tests.bench.writer import FRAGMENT_BYTES, PRERECORD_S, Writer

PRESSES = 40
FIRST_MS = 50
DRAINED_MS = 500
_INIT_BYTES = 65_536
_ENTRIES_BYTES = 2_600


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("press")
    data = folder / "data"
    data.mkdir()
    bare = _Bare(folder / "bare")
    writer = Writer(folder, RealDisk(data))
    presses = []
    alone: list[float] = []
    for _ in range(PRESSES // 2 if place.quick else PRESSES):
        newest = writer.fill()
        presses.append(writer.press(newest))
        writer.stop(newest.end_ns - 1)
        alone.append(bare.commit())
    writer.close()
    report = verify(data, writer.agency.root_pem)
    assert report.verdict is Verdict.SIMULATED, f"{report.verdict}: {report.reasons[:2]}"
    limit_ms = FIRST_MS + percentile(alone, 99)
    first = [each.first_ms for each in presses]
    drained = [each.drained_ms for each in presses]
    yield Row(
        f"press to first durable second, {PRERECORD_S} s ring",
        tail(first, "ms", 1),
        f"bare write and fsyncs {tail(alone, 'ms', 1)}; ratio {median(ratios(first, alone)):.1f}",
        f"p99 50 ms + the bare fsyncs' p99 = {limit_ms:.0f} ms",
        percentile(first, 99) <= limit_ms,
        "Ring, recorder, journal and card of the agent with its writer's thread; fragments of 1 MiB with 25 pictures "
        "and 47 blocks of sound, post-quantum recipients. The folder verifies afterwards. Bare: the same bytes and the "
        "same four fsyncs (file, its folder, the folder above, journal) between the presses.",
    )
    yield Row(
        f"press to the whole ring durable ({PRERECORD_S} MiB)",
        tail(drained, "ms"),
        "-",
        f"{DRAINED_MS} ms",
        percentile(drained, 99) <= DRAINED_MS,
    )


class _Bare:
    """The first commit of a recording as nothing but system calls."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._journal = os.open(folder / "journal", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._data = os.urandom(_INIT_BYTES + FRAGMENT_BYTES)
        self._runs = 0

    def commit(self) -> float:
        """Its ms."""
        self._runs += 1
        inner = self._folder / str(self._runs)
        began = time.perf_counter()
        inner.mkdir()
        file = os.open(inner / "0000", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(file, self._data)
        os.fdatasync(file)
        for folder in (inner, self._folder):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(descriptor)
            os.close(descriptor)
        os.write(self._journal, self._data[:_ENTRIES_BYTES])
        os.fdatasync(self._journal)
        took_ms = (time.perf_counter() - began) * 1000
        os.close(file)
        return took_ms
