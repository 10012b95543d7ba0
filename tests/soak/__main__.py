"""`python -m tests.soak [--minutes N | --hours N] [--folder DIR]`: prints one table; 0 if all of it holds."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from agent.terminal import run
from tests.bench.camera import enrol
from tests.bench.films import FRAMES_PER_SECOND, HD
from tests.bench.place import refuse_memory
from tests.bench.table import Row, render
from tests.soak.accounts import account
from tests.soak.life import PRERECORD_MS, TOGETHER_BYTES, Life, live

GROWTH_MIB = 4.0
"""From the second eighth of the time to its last: a thousandth of the footage of ten minutes would be as much."""
GROWTH_HANDLES = 2


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--minutes", type=int, default=10)
    how_long.add_argument("--hours", type=int)
    parser.add_argument("--folder", type=Path, default=Path("build"), help="on a real disk: 35 MB a minute")
    parsed = parser.parse_args()
    parsed.folder.mkdir(parents=True, exist_ok=True)
    minutes = parsed.minutes if parsed.hours is None else 60 * parsed.hours
    return run("soak", lambda: _run(parsed.folder, minutes))


def _run(parent: Path, minutes: int) -> int:
    refuse_memory(parent)
    folder = Path(tempfile.mkdtemp(prefix="soak-", dir=parent)).resolve()
    try:
        camera = enrol(folder, folder / "films", HD, PRERECORD_MS).camera(folder / "camera")
        life = live(camera, minutes * 60)
        rows = _rows(life, minutes)
        rows += account(camera.data, folder / "agency" / "ca" / "agency.pem", FRAMES_PER_SECOND)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(render(rows))
    return 0 if all(row.met is not False for row in rows) else 1


def _rows(life: Life, minutes: int) -> list[Row]:
    limit = f"no more than {GROWTH_MIB:.0f} MiB"
    rows = [
        Row(
            f"{name}: resident in the 2nd eighth of {minutes} minutes, and in the last",
            f"{early:.1f} and {late:.1f} MiB",
            limit=limit,
            met=late - early <= GROWTH_MIB,
        )
        for name, (early, late) in (("agent", life.growth("agent_mib")), ("capture", life.growth("capture_mib")))
    ]
    early, late = life.growth("handles")
    rows.append(
        Row(
            "open files and threads of both, then and in the end",
            f"{early:.0f} and {late:.0f}",
            limit=f"{GROWTH_HANDLES} more",
            met=late - early <= GROWTH_HANDLES,
        )
    )
    mib = TOGETHER_BYTES // 1024**2
    rows.append(
        Row(
            f"both and the ring in one cgroup of {mib} MiB",
            "not measured" if life.kills is None else f"{life.kills} killed, capture started {life.captures} x",
            limit="none killed, started once",
            met=None if life.kills is None else life.kills == 0 and life.captures == 1,
            note="" if life.kills is not None else "This user may not make a memory cgroup here.",
        )
    )
    return rows


if __name__ == "__main__":
    sys.exit(main())
