"""From exec to ready, on an empty card and on one with a month's journal; and a press while the ring is still empty."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from agent.adapters.disk import RealDisk
from agent.model import NS_PER_MS, Colour
from agent.store.last import read_last
from tests.bench import month as month_tool
from tests.bench.camera import Camera, Enrolled, ms_between, seconds_between, temoin
from tests.bench.films import HD
from tests.bench.month import ENTRIES, Month
from tests.bench.place import Place
from tests.bench.table import MIN_RUNS, Row, median, ratios, spread, tail
from tests.support.agency import make_agency

READY_S = 2.0
MONTH_RATIO = 1.1
EMPTY_RING_MS = 1500
"""One GOP and half a second."""
QUICK_ENTRIES = 43_200
MONTH_DAYS = 31


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("start")
    month, enrolled = _month(place)
    empty = enrolled.camera(folder / "empty")
    full = enrolled.camera(folder / "full", month.folder)
    before = set((month.folder / "journal").iterdir())
    last_bytes = max(before, key=lambda path: path.name).stat().st_size
    reds: list[float] = []
    fresh, old = starts(empty, full, reds)
    read_ms = min(_read_last_ms(month.folder) for _ in range(MIN_RUNS))
    yield Row(
        "exec to ready, empty card, 720p",
        spread(fresh, "s", 2),
        "an interpreter that imports PyAV and cryptography: " + spread(_imports(), "s", 2),
        f"{READY_S:.0f} s",
        median(fresh) <= READY_S,
        "Ready is the green light in panel.log: journal open, policy valid, first init received from capture. Agent "
        "and capture are two interpreters; capture is started as soon as the agent has its own imports.",
    )
    ratio = median(ratios(old, fresh))
    yield Row(
        f"the same with {month.entries:,} entries ({month.journal_bytes / 1e6:.0f} MB) and {month.segments:,} segments",
        spread(old, "s", 2),
        f"empty card; ratio {ratio:.2f}",
        f"{MONTH_RATIO} x",
        ratio <= MONTH_RATIO,
        f"A start reads the last file only, here of {last_bytes / 1e6:.1f} MB (4.2 at most), which takes "
        f"{read_ms:.0f} ms or {read_ms / last_bytes * 1e6:.0f} ms a MB, while capture starts: a file costs what is "
        "longer than that.",
    )
    yield Row(
        "press at ready (ring empty) to red",
        tail(reds, "ms"),
        "-",
        f"GOP + 0.5 s = {EMPTY_RING_MS} ms",
        max(reds) <= EMPTY_RING_MS,
    )
    began = time.monotonic()
    arguments = ["verify", str(month.folder), "--trust", str(enrolled.root), "--allow-simulated"]
    for added in set((month.folder / "journal").iterdir()) - before:
        added.unlink()
    subprocess.run([temoin(), *arguments], check=True, stdout=subprocess.DEVNULL)
    took = time.monotonic() - began
    yield Row(
        "temoin verify of that card",
        f"{took:.0f} s, {month.entries / took:,.0f} entries/s",
        note="One signature check an entry and one a receipt; what was purged has its entries only.",
    )


def starts(empty: Camera, full: Camera, reds: list[float]) -> tuple[list[float], list[float]]:
    """Seconds to ready, in turns: on an empty card, and on a card with a journal, which is as it was after each.

    `reds` takes the ms from a press at ready to red, on the empty card.
    """
    journal = full.data / "journal"
    before = set(journal.iterdir())
    fresh, old = [], []
    for _ in range(MIN_RUNS + 1):
        shutil.rmtree(empty.data, ignore_errors=True)
        fresh.append(_ready(empty, reds))
        old.append(_ready(full, None))
        for added in set(journal.iterdir()) - before:
            added.unlink()
    return fresh[1:], old[1:]  # the first pair warms the page cache


def _ready(camera: Camera, reds: list[float] | None) -> float:
    """Seconds to ready; with `reds` also a press at once, and its ms to red."""
    with camera:
        began_ns = camera.start()
        ready_ns = camera.light(began_ns, Colour.GREEN)
        if reds is not None:
            pressed_ns = camera.do("tap")
            reds.append(ms_between(pressed_ns, camera.light(pressed_ns, Colour.RED)))
    return seconds_between(began_ns, ready_ns)


def _read_last_ms(data: Path) -> float:
    began = time.perf_counter()
    assert read_last(RealDisk(data)) is not None
    return (time.perf_counter() - began) * 1000


def _imports() -> list[float]:
    found = []
    for _ in range(MIN_RUNS):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import av, cryptography.x509, numpy"], check=True)
        found.append(time.monotonic() - began)
    return found


def _month(place: Place) -> tuple[Month, Enrolled]:
    """The card of a month; kept for the next run, as making it takes a minute or two."""
    folder = place.kept / ("month-quick" if place.quick else "month")
    known = folder / "month.json"
    tool = hashlib.sha256(Path(month_tool.__file__).read_bytes()).hexdigest()
    if not known.exists() or json.loads(known.read_text())["tool"] != tool:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        now_ms = time.time_ns() // NS_PER_MS - MONTH_DAYS * 24 * 3600 * 1000
        film = HD.film(place.kept / "films")
        agency = make_agency(folder, footage=film, now_ms=now_ms)
        made = month_tool.make_month(folder / "data", agency, entries=QUICK_ENTRIES if place.quick else ENTRIES)
        known.write_text(json.dumps({"tool": tool, "made": [made.entries, made.journal_bytes, made.segments]}))
    return Month(folder / "data", *json.loads(known.read_text())["made"]), Enrolled(folder / "agency", HD)
