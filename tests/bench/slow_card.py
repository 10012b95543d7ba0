"""A press on a bad card: 10 MB/s, 200 ms an fsync, one stall of 5 s. Nothing may be lost, nothing started again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

from agent.adapters.disk import RealDisk
from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.model import NS_PER_MS, NS_PER_S, FragmentInfo
from agent.orders import Durable, Start
from tests.bench.place import Place
from tests.bench.table import Row
from tests.bench.writer import PRERECORD_S, Writer
from tests.support.throttled import Card, ThrottledDisk

LIVE_S = 30
QUICK_LIVE_S = 20
STALL_AT_S = 8
STALL_S = 5.0
CAUGHT_UP_NS = 2 * NS_PER_S


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("slow_card")
    (folder / "data").mkdir()
    disk = ThrottledDisk(RealDisk(folder / "data"), Card())
    writer = Writer(folder, disk)
    newest = writer.fill()
    press_ns = writer.clock.boot_ns()
    writer.orders.post(Start(press_ns))
    seconds = QUICK_LIVE_S if place.quick else LIVE_S
    for second in range(seconds):
        _sleep_until(writer, newest.end_ns + NS_PER_S)
        if second == STALL_AT_S:
            disk.stall(STALL_S)
        live = writer.publish(newest.end_ns)
        assert live is not None, f"the ring overran after {second} s"
        newest = live
    durable = _finish(writer, newest)
    writer.close()
    report = verify(folder / "data", writer.agency.root_pem)
    assert report.verdict is Verdict.SIMULATED, f"{report.verdict}: {report.reasons[:2]}"
    kinds = Counter(entry.head.kind for entry in writer.entries)
    expected = PRERECORD_S + seconds
    first_ms = (durable[0][0] - press_ns) / NS_PER_MS
    caught = next((at for at, end in durable if at - end < CAUGHT_UP_NS), None)
    drained = "not" if caught is None else f"{(caught - press_ns) / NS_PER_S:.1f} s"
    kept = kinds["fragment"] == expected and not kinds["gap"] and not kinds["alert"]
    yield Row(
        f"press on a card of 10 MB/s, 200 ms an fsync, a stall of {STALL_S:.0f} s; {PRERECORD_S} s ring, "
        f"{seconds} s live",
        f"{kinds['fragment']} of {expected} fragments kept, {kinds['gap']} gaps, {kinds['alert']} alerts; "
        f"first durable {first_ms:.0f} ms, caught up after {drained} (stall included)",
        "-",
        "nothing lost, nothing restarted",
        kept,
        "In one process with the writer's thread; the folder verifies afterwards.",
    )


def _sleep_until(writer: Writer, boot_ns: int) -> None:
    time.sleep(max(0, boot_ns - writer.clock.boot_ns()) / NS_PER_S)


def _finish(writer: Writer, newest: FragmentInfo) -> list[tuple[int, int]]:
    """Stop with the newest fragment; (time, end) of all that became durable."""
    return [(at, report.end_ns) for at, report in writer.stop(newest.end_ns - 1) if isinstance(report, Durable)]
