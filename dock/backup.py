"""`python -m dock.backup --config dock.toml --to-file FILE`: copies archive, journal and catalogue to another folder.

Guarantees: what has its name in the target is whole and durable (temporary name, fsync, rename, fsync of the folder);
nothing in the target is deleted, and a file that is there already is replaced only by a longer one that begins with the
same bytes: a journal grows by whole lines, a blob never changes. What differs otherwise is left as it is, and said. The
running dock is not disturbed; the catalogue is copied by SQLite's own backup. Keys are not copied. Journals go first: a
blob more than they tell of does no harm, one less would look like a loss. Source: docs/operations-dock.md, "Backup".
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

from agent.adapters.disk import sync_names
from agent.errors import ConfigError, DiskError
from agent.terminal import run
from dock.config import DockConfig, load_dock
from dock.opening import CATALOGUE

PROGRAM = "temoin-dock-backup"
_BLOCK_BYTES = 1024 * 1024
_MAX_LINE_BYTES = 4096
_PARTIAL = ".partial"
_EVIDENCE = (".log", ".age")


def main() -> int:
    """The exit code: 0 when all is copied, 1 when something was left."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Copy a dock's archive to another folder.")
    parser.add_argument("--config", metavar="F", type=Path, required=True, help="the dock's dock.toml")
    parser.add_argument(
        "--to-file", metavar="F", type=Path, required=True, help="a file whose first line is the folder"
    )
    parsed = parser.parse_args()
    return run(PROGRAM, lambda: _back_up(parsed.config, parsed.to_file))


def _back_up(config: Path, to_file: Path) -> int:
    target = _target(to_file)
    left = back_up(load_dock(config), target)
    for path in left:
        sys.stderr.write(f"{PROGRAM}: {path}: differs from its copy, which was left as it is; compare them\n")
    return 1 if left else 0


def back_up(config: DockConfig, target: Path) -> list[Path]:
    """Copy all, and return the copies that differ from what is here. Raises DiskError."""
    left: list[Path] = []
    with _in_words():
        for source, place in _files(config):
            if not _copy(source, target / place):
                left.append(target / place)
        _copy_catalogue(config.data / CATALOGUE, target / "data" / CATALOGUE)
    return left


def _target(to_file: Path) -> Path:
    try:
        with to_file.open(encoding="utf-8") as file:
            line = file.readline(_MAX_LINE_BYTES).strip()
    except OSError:
        raise ConfigError(str(to_file), "names no folder: nothing was copied", "write the folder into it") from None
    if not line.startswith("/") or not Path(line).is_dir():
        # A disk that is not mounted is no folder of ours: nothing is written to the place where it should be.
        raise ConfigError(str(to_file), f"{line!r} is no folder", "mount it, or write its absolute path")
    return Path(line)


def _files(config: DockConfig) -> Iterator[tuple[Path, Path]]:
    """What is copied and where to: settings, journals, and then the blobs."""
    folder = config.file.parent
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.suffix != ".key":
            yield path, Path(path.name)
    for root, name in ((config.data, "data"), (config.archive, "archive")):
        found = [path for path in sorted(root.rglob("*")) if path.is_file() and not path.is_symlink()]
        found.sort(key=lambda path: path.suffix == ".age")
        for path in found:
            if path.suffix != ".tmp" and path.name != "lock" and not path.name.startswith(CATALOGUE):
                yield path, Path(name) / path.relative_to(root)


def _copy(source: Path, target: Path) -> bool:
    """False if there is another file of that name. Settings may change: they are replaced."""
    size = _whole_bytes(source)
    if target.exists():
        have = target.stat().st_size
        if source.suffix in _EVIDENCE and (have > size or not _begins(source, target)):
            return False
        if have == size and (source.suffix in _EVIDENCE or source.read_bytes() == target.read_bytes()):
            return True
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + _PARTIAL)
    with source.open("rb") as reading, partial.open("wb") as writing:
        while size and (block := reading.read(min(_BLOCK_BYTES, size))):
            writing.write(block)
            size -= len(block)
        writing.flush()
        os.fsync(writing.fileno())
    partial.replace(target)
    sync_names(target.parent)
    return True


def _whole_bytes(source: Path) -> int:
    """The file's length; of a journal, which may be growing, that of its whole lines."""
    size = source.stat().st_size
    if source.suffix != ".log":
        return size
    with source.open("rb") as file:
        return file.read(size).rfind(b"\n") + 1  # a journal's file has few MiB


def _begins(source: Path, target: Path) -> bool:
    """Whether the source begins with what the target has. A blob is known by its length: to compare all of an archive
    each night would wear its disks out, and `temoin verify` of the copy says more.
    """
    if source.suffix == ".age":
        return target.stat().st_size == source.stat().st_size
    with source.open("rb") as ours, target.open("rb") as theirs:
        while block := theirs.read(_BLOCK_BYTES):
            if ours.read(len(block)) != block:
                return False
    return True


def _copy_catalogue(source: Path, target: Path) -> None:
    if not source.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + _PARTIAL)
    partial.unlink(missing_ok=True)
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reading,
        contextlib.closing(sqlite3.connect(partial)) as writing,
    ):
        reading.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(target)
    sync_names(target.parent)


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise DiskError(CATALOGUE, f"cannot be copied ({error})", "see temoin-dock doctor") from None
    except OSError as error:
        where = str(error.filename or "backup")
        raise DiskError(where, error.strerror or "cannot be copied", "check space and permissions") from None


if __name__ == "__main__":
    sys.exit(main())
