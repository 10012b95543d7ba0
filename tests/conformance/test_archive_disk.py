"""What both implementations of `ArchiveDisk` do beyond `Disk`: go on with a file that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.adapters.disk import RealDisk
from agent.errors import DiskError
from dock.disk import ArchiveDisk
from tests.support.dock import SimArchiveDisk


@pytest.fixture(params=["real", "simulated"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> ArchiveDisk:
    (tmp_path / "archive").mkdir()
    made: ArchiveDisk = (RealDisk if request.param == "real" else SimArchiveDisk)(tmp_path / "archive")
    file = made.create("log")
    file.write(b"whole\nhalf")
    file.close()
    return made


@pytest.mark.parametrize(("length", "expected"), [(6, b"whole\nmore"), (10, b"whole\nhalfmore"), (0, b"more")])
def test_goes_on_after_what_is_whole(disk: ArchiveDisk, length: int, expected: bytes) -> None:
    file = disk.resume("log", length)
    file.sync()
    file.write(b"more")
    file.sync()
    file.close()
    assert disk.read("log") == expected


@pytest.mark.parametrize(("path", "length"), [("log", 11), ("none", 0), ("folder", 0), ("link", 0), ("../log", 0)])
def test_refuses_what_is_no_such_file(disk: ArchiveDisk, tmp_path: Path, path: str, length: int) -> None:
    disk.make_folder("folder")
    (tmp_path / "archive" / "link").symlink_to("log")
    with pytest.raises(DiskError):
        disk.resume(path, length)
    assert disk.read("log") == b"whole\nhalf"


def test_what_was_never_synced_is_durable_after_the_first_sync(tmp_path: Path) -> None:
    """Of the simulated one, which knows: a power cut takes what only a killed process had written."""
    for synced, expected in ((False, b""), (True, b"whole\n")):
        root = tmp_path / str(synced)
        root.mkdir()
        disk = SimArchiveDisk(root, flush=lambda descriptor: None)
        disk.create("log").write(b"whole\nhalf")
        disk.sync_folder("")
        file = disk.resume("log", 6)
        if synced:
            file.sync()
        disk.power_cut()
        assert (root / "log").read_bytes() == expected
