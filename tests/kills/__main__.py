"""`python -m tests.kills [--seed N] [--rounds N] [--out DIR]`: 0 if the camera held at every end; docs/kills.md."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from agent.model import NS_PER_S
from tests.kills.footage import make_film
from tests.kills.rounds import End, Phase, Round
from tests.kills.traps import Fate

ROUNDS = 14
AT_ONCE = 2
IN_ALL = 100
EACH = 10
"""With ROUNDS rounds: ends in all, and inside each of drain, rotation, seal, recovery, start."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description="Kill the camera where it hurts.")
    parser.add_argument("--seed", type=int, default=None, help="the same ends again (default: another each time)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"lives of a camera (default: {ROUNDS})")
    parser.add_argument("--out", type=Path, default=Path("build/kills"), help="folder for the cameras")
    parsed = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if parsed.seed is None else parsed.seed
    out: Path = parsed.out.absolute()
    print(f"seed {seed}: make kills again with --seed {seed} --rounds {parsed.rounds}", flush=True)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    film = make_film(out / "film.mp4")
    began = time.monotonic()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        held = list(pool.map(lambda number: _play(out, film, seed, number), range(parsed.rounds)))
    rounds = [each for each in held if each is not None]
    ends = [end for each in rounds for end in each.ends]
    _print_table(ends)
    pictures = sum(each.pictures for each in rounds)
    missed = sum(each.missed for each in rounds)
    unjudged = sum(each.unjudged for each in rounds)
    print(f"{pictures} pictures compared; {missed} traps did not come; {time.monotonic() - began:.0f} s")
    if unjudged:
        print(f"{unjudged} times until the footage went on were not judged: this computer was busy with something else")
    failed = parsed.rounds - len(rounds)
    if failed:
        print(f"FAILED: {failed} of {parsed.rounds} rounds; their cameras are in {out}")
        return 1
    return _enough(ends) if parsed.rounds >= ROUNDS else 0


_printing = threading.Lock()


def _play(out: Path, film: Path, seed: int, number: int) -> Round | None:
    folder = out / f"{number:02d}"
    folder.mkdir()

    def say(line: str) -> None:
        with _printing:
            print(f"{number:02d}  {line}", flush=True)

    try:
        played = Round(folder, film, f"{seed} {number}", say)
        played.play()
    except Exception:
        say("FAILED\n" + traceback.format_exc())
        return None
    shutil.rmtree(folder)
    return played


def _print_table(ends: Sequence[End]) -> None:
    print(f"\n{'inside':<26}{'killed':>8}{'cut':>8}{'capture':>9}{'lost (worst)':>14}{'resumed (worst)':>17}")
    for phase in Phase:
        here = [end for end in ends if end.phase is phase]
        counts = [sum(end.fate is fate for end in here) for fate in Fate]
        lost = _worst([end.lost_ns for end in here])
        resumed = _worst([end.resume_ns for end in here])
        print(f"{phase:<26}{counts[0]:>8}{counts[1]:>8}{counts[2]:>9}{lost:>14}{resumed:>17}")
    print(f"{'in all':<26}{len(ends):>8}")


def _worst(times: Sequence[int | None]) -> str:
    known = [each for each in times if each is not None]
    return f"{max(known) / NS_PER_S:.2f} s" if known else "-"


def _enough(ends: Sequence[End]) -> int:
    groups = ((Phase.DRAIN,), (Phase.SEGMENT,), (Phase.JOURNAL,), (Phase.SEAL,), (Phase.RECOVERY,), (Phase.START,))
    short = [str(group[0]) for group in groups if sum(end.phase in group for end in ends) < EACH]
    if len(ends) < IN_ALL or short:
        print(f"FAILED: not enough ends: {len(ends)} in all; under {EACH} inside {', '.join(short) or 'none'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
