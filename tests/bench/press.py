"""From a press to the first durable second and to the whole ring on the card: a full ring, at 8 Mbit/s.

What the card itself takes is measured between the presses (bare.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.adapters.disk import RealDisk
from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.model import NS_PER_MS
from tests.bench.bare import BareCommit
from tests.bench.place import Place
from tests.bench.table import Row, median, percentile, ratios, tail
from tests.bench.writer import PRERECORD_S, Writer

PRESSES = 40
FIRST_MS = 50
DRAINED_MS = 500
RECORDED_S = 60


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("press")
    data = folder / "data"
    data.mkdir()
    bare = BareCommit(folder / "bare")
    writer = Writer(folder, RealDisk(data))
    presses = []
    alone: list[float] = []
    for _ in range(PRESSES // 2 if place.quick else PRESSES):
        newest = writer.fill()
        presses.append(writer.press(newest))
        writer.stop(newest.end_ns - 1)
        alone.append(bare.commit())
    kept, last_ms = _whole_recording(writer)
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
    yield Row(
        f"kept of a press {RECORDED_S} s long with {PRERECORD_S} s before it",
        f"{kept} of {PRERECORD_S + RECORDED_S} s; each of the last {RECORDED_S} durable {tail(last_ms, 'ms', 1)} after "
        "its end",
        f"CircularOutput2 with a buffer of {PRERECORD_S} s: {RECORDED_S - 1}.97 s, of which the last {PRERECORD_S} of "
        f"the press are missing; each written {PRERECORD_S} s late",
        "nothing missing",
        kept == PRERECORD_S + RECORDED_S,
        "The peer by its own semantics, not run (it needs a camera): it writes what leaves its buffer, and closing "
        "drops what is still in it. Press at 60 s, stop at 120 s: its file holds 30.00 to 89.97 s (picamera2 0.3.38; "
        "its issues 1403 and 1240). Before the press is as long as the buffer nothing of it is on the card.",
    )


def _whole_recording(writer: Writer) -> tuple[int, list[float]]:
    """Seconds kept of a press that goes on after its pre-record, and how late each of them became durable, in ms."""
    newest = writer.fill()
    before = len(writer.entries)
    writer.press(newest)
    late_ms: list[float] = []
    for _ in range(RECORDED_S):
        writer.clock.skip(1)
        live = writer.publish(newest.end_ns)
        assert live is not None, "the ring overran"
        began_ns, newest = writer.clock.boot_ns(), live
        late_ms.append((writer.durable(newest.end_ns) - began_ns) / NS_PER_MS)
    writer.stop(newest.end_ns - 1)
    return sum(entry.head.kind == "fragment" for entry in writer.entries[before:]), late_ms
