"""`make mutants`: seeds each bug of the table into a copy of the tree, and demands that its tests fail.

Exit code 0 only if every bug is found, and the untouched copy passes. A row that no longer fits the code is an error:
the table lives with what it guards.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.table import MUTANTS, Mutant

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("agent", "hw", "dock", "firmware", "tests", "docs", "pyproject.toml", "README.md", "Makefile")
SECONDS_A_ROW = 240


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="mutants", description="Seed bugs, and see the tests find them.")
    parser.add_argument("--only", metavar="TEXT", default="", help="rows whose guarantee holds this text")
    wanted = [mutant for mutant in MUTANTS if parser.parse_args().only in mutant.guarantee]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        _copy(tree)
        suites = sorted({suite for mutant in wanted for suite in mutant.tests})
        if not _passes(tree, suites):
            print("the untouched tree fails its own tests; mend that first")
            return 1
        missed = [mutant for mutant in wanted if not _is_found(tree, mutant)]
    print(f"{len(wanted) - len(missed)} of {len(wanted)} seeded bugs found")
    return 1 if missed else 0


def _copy(tree: Path) -> None:
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        elif source.exists():
            shutil.copy(source, tree / part)


def _is_found(tree: Path, mutant: Mutant) -> bool:
    file = tree / mutant.file
    code = file.read_text(encoding="utf-8")
    if code.count(mutant.old) != 1:
        print(f"NO FIT  {mutant.guarantee}: {mutant.file} has its line {code.count(mutant.old)} times")
        return False
    started = time.monotonic()
    file.write_text(code.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        found = not _passes(tree, mutant.tests)
    finally:
        file.write_text(code, encoding="utf-8")
    said = "found " if found else "MISSED"
    print(f"{said}  {time.monotonic() - started:5.1f} s  {mutant.guarantee}", flush=True)
    return found


def _passes(tree: Path, suites: tuple[str, ...] | list[str]) -> bool:
    """A suite that does not end in time counts as failed: a bug may hang it."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *suites]
    try:
        done = subprocess.run(
            command, cwd=tree, check=False, capture_output=True, timeout=SECONDS_A_ROW, env=_environment(tree)
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _environment(tree: Path) -> dict[str, str]:
    """The copy comes before the installed tree, and no compiled file of another row is used."""
    return {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


if __name__ == "__main__":
    sys.exit(main())
