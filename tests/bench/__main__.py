"""`python -m tests.bench [--quick] [--long] [--folder DIR] [--only NAME]`: 0 unless a benchmark itself cannot run."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from agent.errors import TemoinError
from tests.bench import checking, cpu, docking, evidence_path, journal_rate, memory, press, slow_card, start, verify
from tests.bench.place import Place, measure_fsync, refuse_memory, take
from tests.bench.table import Row, render

ROWS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "evidence_path": evidence_path.rows,
    "verify": verify.rows,
    "press": press.rows,
    "slow_card": slow_card.rows,
    "start": start.rows,
    "memory": memory.rows,
    "cpu": cpu.rows,
    "journal": journal_rate.rows,
    "checking": checking.rows,
    "docking": docking.rows,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="The design's limits, measured.")
    parser.add_argument("--quick", action="store_true", help="about two minutes, with fewer and shorter runs")
    parser.add_argument("--long", action="store_true", help="the rows of ten minutes too")
    parser.add_argument("--folder", type=Path, default=Path("build/bench"), help="on the disk that is measured")
    parser.add_argument("--only", choices=ROWS, action="append", help="this benchmark; can be given again")
    parsed = parser.parse_args()
    root: Path = parsed.folder.absolute()
    root.mkdir(parents=True, exist_ok=True)
    try:
        kind = refuse_memory(root)
        take(root)
    except TemoinError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    folder = root / "runs"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    middle, high = measure_fsync(folder)
    print(f"{kind} at {root}: fdatasync p50 {middle:.2f} ms, p99 {high:.2f} ms")
    print(f"{os.cpu_count()} cores, Linux {platform.release()}, Python {platform.python_version()}", flush=True)
    rows, failed = _measure(
        Place(folder, root / "kept", parsed.quick, parsed.long, middle, high), parsed.only or list(ROWS)
    )
    print(f"\n{render(rows)}\n\n[load n]: how many wanted to run on these cores when that benchmark began, on average.")
    shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


def _measure(place: Place, names: list[str]) -> tuple[list[Row], bool]:
    rows: list[Row] = []
    failed = False
    for name in names:
        began = time.monotonic()
        load = os.getloadavg()[0]
        try:
            for row in ROWS[name](place):
                rows.append(replace(row, note=f"{row.note} [load {load:.1f}]".strip()))
        except Exception:
            failed = True
            traceback.print_exc()
            rows.append(Row(name, "did not run: see above"))
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return rows, failed


if __name__ == "__main__":
    sys.exit(main())
