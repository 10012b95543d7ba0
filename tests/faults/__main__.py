"""`python -m tests.faults [--seed N] [--rounds N] [--only KIND] [--out DIR]`: 0 if both held; docs/faults.md."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import threading
import time
import traceback
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.rounds import KINDS, MEASURES, NETWORK, play
from tests.faults.wire import NoLinkError
from tests.kills.footage import make_film
from tests.kills.image import NoLoopError

ROUNDS = 5
AT_ONCE = 5  # they wait more than they work
EACH = 20
ONCE = MEASURES | {"hostile"}

_printing = threading.Lock()


def main() -> int:
    kinds = [*KINDS, NETWORK]
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Break all between camera and dock.")
    parser.add_argument("--seed", type=int, default=None, help="the same faults again (default: others each time)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"dockings of each kind (default: {ROUNDS})")
    parser.add_argument("--only", choices=kinds, help="one kind of fault")
    parser.add_argument("--out", type=Path, default=Path("build/faults"), help="folder for cameras and docks")
    parsed = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if parsed.seed is None else parsed.seed
    out: Path = parsed.out.absolute()
    print(f"seed {seed}: the same again with --seed {seed} --rounds {parsed.rounds}", flush=True)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    film = make_film(out / "film.mp4")
    began = time.monotonic()
    wanted = kinds if parsed.only is None else [parsed.only]
    if parsed.only is None and parsed.rounds < ROUNDS:
        wanted.remove("month")  # it takes minutes: the short form is without
    rounds = [(kind, number) for number in range(parsed.rounds) for kind in wanted if not number or kind not in ONCE]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        counts = list(pool.map(lambda each: _play(out, film, seed, *each), rounds))
    total: Counter[str] = Counter()
    for (kind, _), count in zip(rounds, counts, strict=True):
        total[kind] += count or 0
    for kind in wanted:
        print(f"{kind:<10}{total[kind]:>6} faults")
    print(f"{time.monotonic() - began:.0f} s")
    failed = [f"{kind} {number}" for (kind, number), count in zip(rounds, counts, strict=True) if count is None]
    if failed:
        print(f"FAILED: {', '.join(failed)}; what they left is in {out}")
        return 1
    few = [kind for kind in wanted if parsed.rounds >= ROUNDS and total[kind] < EACH and kind not in MEASURES]
    if few:
        print(f"FAILED: under {EACH} faults of {', '.join(few)}")
    return 1 if few else 0


def _play(out: Path, film: Path, seed: int, kind: str, number: int) -> int | None:
    folder = out / f"{kind}-{number:02d}"
    folder.mkdir()
    began = time.monotonic()

    def say(line: str) -> None:
        with _printing:
            print(f"{kind} {number:02d}  {line}", flush=True)

    try:
        count = play(kind, folder, film, f"{seed} {kind} {number}", number, say)
    except (NoLinkError, NoLoopError) as error:
        say(f"NOT PLAYED: {error}")
        return 0
    except Exception:
        say("FAILED\n" + traceback.format_exc())
        return None
    say(f"held: {count} faults, {time.monotonic() - began:.1f} s")
    shutil.rmtree(folder)
    return count


if __name__ == "__main__":
    sys.exit(main())
