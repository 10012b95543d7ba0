"""A folder of files written durably, whole or not at all.

Guarantees: at no moment does `target` exist with a part of its files; a secret is never readable by others, not even
while it is written. Power fails before the rename: a folder `.<name>.partial-*` is left beside the target, and may be
deleted. Power fails after it: either of the two names, whole. Assumes: a file system with modes and atomic renames.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.disk import sync_names
from agent.errors import ConfigError, DiskError

FOLDER_MODE = 0o700
SECRET_MODE = 0o600
PUBLIC_MODE = 0o644


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """What a file shall hold, and whether only its owner may read it."""

    data: bytes
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Files by their path inside the target (with `/`), and folders that shall exist though they are empty."""

    files: Mapping[str, PlannedFile]
    empty_folders: tuple[str, ...] = ()


def check_absent(target: Path) -> None:
    """Raise ConfigError if there is anything of that name, or no folder to make it in: nothing is ever replaced."""
    if os.path.lexists(target):
        raise ConfigError(str(target), "exists already", "give the name of a new folder; nothing is replaced")
    if not target.parent.is_dir():
        raise ConfigError(str(target.parent), "is no folder", "make it first")


def write_plan(target: Path, plan: Plan) -> None:
    """Write all of it, durably, then give it its name. Raises ConfigError if `target` exists, DiskError if it fails."""
    check_absent(target)
    try:
        partial = Path(tempfile.mkdtemp(prefix=f".{target.name}.partial-", dir=target.parent))
    except OSError as error:
        raise _disk_error(target.parent, error) from None
    try:
        _fill(partial, plan)
        check_absent(target)
        # A folder can only be renamed over an empty one: even in a race nothing is lost.
        partial.rename(target)
        sync_names(target.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _disk_error(Path(error.filename or target), error) from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _fill(root: Path, plan: Plan) -> None:
    folders = {root}
    for name in plan.empty_folders:
        folders |= _make_folders(root, root / name)
    for name, planned in plan.files.items():
        path = root / name
        folders |= _make_folders(root, path.parent)
        _write_file(path, planned)
    for folder in sorted(folders, key=lambda path: len(path.parts), reverse=True):
        folder.chmod(FOLDER_MODE)  # whatever the umask took away
        sync_names(folder)


def _make_folders(root: Path, folder: Path) -> set[Path]:
    made = {folder, *(parent for parent in folder.parents if parent.is_relative_to(root))}
    folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
    return made


def _write_file(path: Path, planned: PlannedFile) -> None:
    mode = SECRET_MODE if planned.secret else PUBLIC_MODE
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, SECRET_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(planned.data)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)


def _disk_error(where: Path, error: OSError) -> DiskError:
    return DiskError(str(where), error.strerror or "cannot be written", "check space and permissions, and start again")
