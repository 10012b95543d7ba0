"""A press on a bad card: 10 MB/s, 200 ms an fsync, one stall of 5 s. Nothing may be lost, nothing started again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

from agent.adapters.disk import RealDisk
from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.formats.entries import Entry, parse_line
from agent.model import NS_PER_MS, NS_PER_S, Colour, FragmentInfo
from agent.orders import Durable, Start
from agent.states import RED_WITHIN_NS
from tests.bench.camera import enrol, seconds_between
from tests.bench.films import SMALL
from tests.bench.place import Place
from tests.bench.table import Row
from tests.bench.writer import PRERECORD_S, Writer
from tests.support.throttled import Card, ThrottledDisk

LIVE_S = 30
QUICK_LIVE_S = 20
STALL_AT_S = 8
STALL_S = 5.0
BEFORE_S = 4
FRAME_NS = NS_PER_S // 25
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
        "Ring, recorder, journal and the writer's thread over a throttled Disk; the folder verifies afterwards.",
    )
    yield _real_stall(place, folder)


def _real_stall(place: Place, folder: Path) -> Row:
    """The stall once more, in agent and capture as they are run."""
    real = folder / "real"
    real.mkdir()
    with enrol(real, place.kept / "films", SMALL).camera(real / "camera") as camera:
        camera.light(camera.start(), Colour.GREEN)
        time.sleep(BEFORE_S)
        camera.light(camera.do("tap"), Colour.RED)
        time.sleep(BEFORE_S)
        capture = camera.capture_pid
        stalled_ns = camera.do("card-stall", str(int(STALL_S * 1000)))
        dark_ns = camera.light(stalled_ns, *(set(Colour) - {Colour.RED}))
        red_ns = camera.light(dark_ns, Colour.RED)
        time.sleep(BEFORE_S)
        camera.light(camera.do("hold"), Colour.GREEN)
        restarted = camera.capture_pid != capture
    entries = _entries(camera.data)
    kinds = Counter(entry.head.kind for entry in entries)
    missing = _holes(entries)
    return Row(
        f"a stall of {STALL_S:.0f} s while recording, real process",
        f"{kinds['fragment']} fragments, {missing} holes, {kinds['gap']} gaps; capture "
        f"{'started again' if restarted else 'not started again'}; red out after "
        f"{seconds_between(stalled_ns, dark_ns):.1f} s, back after {seconds_between(stalled_ns, red_ns):.1f} s",
        "-",
        "nothing lost, nothing restarted; red out within 3 s",
        not missing and not kinds["gap"] and not restarted and dark_ns - stalled_ns <= RED_WITHIN_NS,
        "Card stalled by `temoin sim`; a disk of this machine behind it.",
    )


def _entries(data: Path) -> list[Entry]:
    lines = [line for path in sorted((data / "journal").glob("*.log")) for line in path.read_bytes().splitlines(True)]
    return [parse_line(line) for line in lines]


def _holes(entries: Sequence[Entry]) -> int:
    """Fragments that do not begin where the one before ends, to a frame."""
    bodies = [entry.body for entry in entries if entry.head.kind == "fragment" and entry.body is not None]
    times = [(int(str(body["t0_ns"])), int(str(body["dur_ns"]))) for body in bodies]
    return sum(abs(start - before - length) > FRAME_NS for (before, length), (start, _) in pairwise(times))


def _sleep_until(writer: Writer, boot_ns: int) -> None:
    time.sleep(max(0, boot_ns - writer.clock.boot_ns()) / NS_PER_S)


def _finish(writer: Writer, newest: FragmentInfo) -> list[tuple[int, int]]:
    """Stop with the newest fragment; (time, end) of all that became durable."""
    return [(at, report.end_ns) for at, report in writer.stop(newest.end_ns - 1) if isinstance(report, Durable)]
