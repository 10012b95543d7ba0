"""`python -m tests.month [--entries N] [--folder DIR]`: prints one table; 0 if all of it holds."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from agent.terminal import run
from tests.bench.films import HD
from tests.bench.month import ENTRIES, KEPT
from tests.bench.place import refuse_memory
from tests.bench.start import MONTH_RATIO
from tests.bench.table import Row, render
from tests.month.handover import Outcome, Peak, Station, hand_over

AGENT_GROWTH_KIB = 16 * 1024
DOCK_GROWTH_KIB = 16 * 1024
"""From a third of the journal to its end: what grew with the journal would double or triple in that time."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.month", description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--folder", type=Path, default=Path("build"), help="on a real disk")
    parsed = parser.parse_args()
    parsed.folder.mkdir(parents=True, exist_ok=True)
    return run("month", lambda: _run(parsed.folder, parsed.entries))


def _run(parent: Path, entries: int) -> int:
    refuse_memory(parent)
    folder = Path(tempfile.mkdtemp(prefix="month-", dir=parent)).resolve()
    try:
        station = Station(folder, HD, entries, KEPT * entries // ENTRIES)
        ratio = station.start_ratio(folder / "empty")
        met, limit = ratio <= MONTH_RATIO, f"{MONTH_RATIO} x"
        rows = [Row("start to ready, against an empty card", f"{ratio:.2f}", limit=limit, met=met)]
        rows += _rows(hand_over(station))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(render(rows))
    return 0 if all(row.met is not False for row in rows) else 1


def _rows(outcome: Outcome) -> list[Row]:
    made, heard = outcome.month, outcome.listener
    return [
        Row("entries, each once in the archive", f"{made.entries:,}, {made.journal_bytes / 1e6:.0f} MB"),
        Row("handed over in", f"{outcome.seconds:.0f} s, {made.entries / outcome.seconds:,.0f} entries/s"),
        Row("besides, around two interruptions", f"{outcome.interrupted_s:.0f} s"),
        Row("segments with their bytes in the archive", f"{outcome.segments:,}"),
        Row(
            "acknowledged, and sent again all the same",
            f"{heard.acknowledged_again:,} entries",
            limit=f"one batch: {heard.most:,}",
            met=heard.acknowledged_again <= heard.most,
        ),
        Row("sent again in all", f"{heard.again:,} entries", note="What was under way while there was no dock."),
        _memory("agent", outcome.agent, AGENT_GROWTH_KIB),
        _memory("dock", outcome.dock, DOCK_GROWTH_KIB),
    ]


def _memory(who: str, peak: Peak, limit_kib: int) -> Row:
    said = " / ".join(f"{kib / 1024:.0f}" for kib in (peak.begin, peak.third, peak.two_thirds, peak.most))
    grown = peak.most - peak.third
    return Row(
        f"{who}: resident at first, to 1/3, 2/3, the end",
        f"{said} MiB",
        limit=f"{limit_kib // 1024} MiB more after 1/3",
        met=grown <= limit_kib,
    )


if __name__ == "__main__":
    sys.exit(main())
