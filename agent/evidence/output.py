"""Files that leave the data folder: clear footage among them, so each can be read by its owner only.

Guarantees: nothing that exists is replaced; a folder gets its name once all in it is durable, and what was begun and
failed is removed. Assumes a folder around it that the caller trusts. Every refusal of the file system is an
ExportError that names the file.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import ExportError
from agent.ports import Random

FOLDER_MODE = 0o700
FILE_MODE = 0o600


class NewFile:
    """A file being written from front to end. Every method raises ExportError when the file system refuses."""

    def __init__(self, path: Path, mode: int = FILE_MODE) -> None:
        self.path = path
        with _refusals(path):
            self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb")
            os.fchmod(self._file.fileno(), mode)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append all of it."""
        with _refusals(self.path):
            self._file.write(data)

    def write_front(self, data: bytes) -> None:
        """Replace the first bytes; nothing is appended after this."""
        with _refusals(self.path):
            self._file.seek(0)
            self._file.write(data)

    def finish(self) -> None:
        """Make the content durable and release the file. The name needs its folder to be synced."""
        with _refusals(self.path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()

    def abandon(self) -> None:
        """Release the file, whatever is in it. Does nothing after `finish`."""
        try:
            self._file.close()
        except OSError:
            # What was buffered could not be written; it is given up anyway.
            return


def write_file(path: Path, data: bytes, mode: int = FILE_MODE) -> None:
    """A new file with this content, durable but for its name. Raises ExportError."""
    file = NewFile(path, mode)
    try:
        file.write(data)
        file.finish()
    finally:
        file.abandon()


@contextmanager
def new_folder(out: Path, random: Random) -> Iterator[Path]:
    """A folder to fill; it becomes `out`, durable, when the block ends well, and vanishes when it does not.

    Raises ExportError, also when `out` exists.
    """
    refuse_existing(out)
    building = out.parent / f".{out.name}.{random(8).hex()}.tmp"
    with _refusals(building):
        building.mkdir(FOLDER_MODE)
        building.chmod(FOLDER_MODE)
    try:
        yield building
        sync_folder(building)
        refuse_existing(out)
        with _refusals(out):
            building.rename(out)
        sync_folder(out.parent)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def refuse_existing(out: Path) -> None:
    """Raise ExportError if there is anything of that name."""
    if os.path.lexists(out):
        raise ExportError(str(out), "is already there", "give a name that does not exist yet")


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable. Raises ExportError."""
    with _refusals(folder):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ExportError(str(path), error.strerror or "cannot be written", "choose a place with room") from None
