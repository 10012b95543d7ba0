"""One contract, two cards: the operating system's folder and the simulated card pass the same suite.

What only the simulated card can show (power cuts, faults) is below the suite.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.adapters.disk import RealDisk
from agent.errors import DiskError, StoreError
from agent.ports import Disk
from hw.sim.disk import SimDisk

Make = Callable[[Path], Disk]


def _no_flush(descriptor: int) -> None:
    assert descriptor >= 0


def _sim(root: Path) -> SimDisk:
    return SimDisk(root, flush=_no_flush)


@pytest.fixture(params=[RealDisk, SimDisk], ids=["real", "sim"])
def make(request: pytest.FixtureRequest) -> Make:
    chosen: Make = request.param
    return chosen


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def disk(make: Make, root: Path) -> Disk:
    return make(root)


def write(disk: Disk, path: str, data: bytes) -> None:
    file = disk.create(path)
    file.write(data)
    file.sync()
    file.close()


class TestContract:
    def test_what_was_written_is_read_by_parts(self, disk: Disk) -> None:
        file = disk.create("a")
        file.write(b"01234")
        file.write(bytearray(b"567"))
        file.write(memoryview(b"89"))
        file.sync()
        file.close()
        file.close()
        assert disk.read("a") == b"0123456789"
        assert disk.read("a", 4) == b"456789"
        assert disk.read("a", 4, 2) == b"45"
        assert disk.read("a", 8, 100) == b"89"
        assert disk.read("a", 10) == disk.read("a", 99) == disk.read("a", 0, 0) == b""
        assert disk.size("a") == 10

    def test_a_view_of_wider_items_is_written_as_its_bytes(self, disk: Disk) -> None:
        file = disk.create("a")
        file.write(memoryview(b"12345678").cast("I"))
        file.close()
        assert disk.read("a") == b"12345678"

    def test_an_empty_file_is_a_file(self, disk: Disk) -> None:
        write(disk, "a", b"")
        assert disk.exists("a")
        assert disk.size("a") == 0
        assert disk.read("a") == b""

    def test_an_existing_file_is_made_durable_by_its_name(self, disk: Disk) -> None:
        write(disk, "a", b"x")
        disk.sync_file("a")
        for path in ("missing", "missing/a", "../a"):
            with pytest.raises(DiskError):
                disk.sync_file(path)

    def test_folders(self, disk: Disk) -> None:
        disk.make_folder("b")
        disk.make_folder("b")
        disk.make_folder("b/c")
        write(disk, "b/c/d", b"x")
        write(disk, "a", b"y")
        disk.sync_folder("b/c")
        disk.sync_folder("b")
        disk.sync_folder("")
        assert disk.names("") == ["a", "b"]
        assert disk.names("b") == ["c"]
        assert disk.names("b/c") == ["d"]
        assert disk.exists("b/c")
        assert not disk.exists("b/x")
        assert not disk.exists("x/y")

    def test_a_missing_parent_is_an_error(self, disk: Disk) -> None:
        for operation in (disk.make_folder, disk.create, disk.read, disk.size, disk.unlink, disk.sync_folder):
            with pytest.raises(DiskError, match="x/y: is not there"):
                operation("x/y")
        with pytest.raises(DiskError, match="x: is not there"):
            disk.names("x")

    def test_nothing_is_ever_replaced(self, disk: Disk) -> None:
        write(disk, "a", b"1")
        write(disk, "b", b"2")
        for operation in (lambda: disk.create("a"), lambda: disk.rename("b", "a"), lambda: disk.make_folder("a")):
            with pytest.raises(DiskError, match=r"^a: "):
                operation()
        assert (disk.read("a"), disk.read("b")) == (b"1", b"2")

    def test_a_name_that_points_nowhere_is_not_replaced_either(self, disk: Disk, root: Path) -> None:
        (root / "dangling").symlink_to("nowhere")
        write(disk, "a", b"1")
        for operation in (lambda: disk.create("dangling"), lambda: disk.rename("a", "dangling")):
            with pytest.raises(DiskError, match=r"^dangling: "):
                operation()
        assert not (root / "nowhere").exists()

    def test_rename_and_unlink(self, disk: Disk) -> None:
        write(disk, "a", b"1")
        disk.rename("a", "b")
        assert disk.names("") == ["b"]
        disk.unlink("b")
        assert disk.names("") == []
        with pytest.raises(DiskError, match="is not there"):
            disk.unlink("b")
        with pytest.raises(DiskError, match="is not there"):
            disk.rename("b", "c")

    def test_a_rename_stays_in_its_folder(self, disk: Disk) -> None:
        disk.make_folder("f")
        write(disk, "a", b"1")
        with pytest.raises(DiskError, match="f/a: is not in the folder of a"):
            disk.rename("a", "f/a")
        assert disk.read("a") == b"1"

    def test_an_open_file_keeps_its_new_name(self, disk: Disk) -> None:
        file = disk.create("a")
        file.write(b"1")
        disk.rename("a", "b")
        file.write(b"2")
        file.sync()
        file.close()
        assert disk.read("b") == b"12"

    @pytest.mark.parametrize(
        "path", ["", "/", "/etc/passwd", "..", "../a", "f/../../a", "f/..", ".", "./a", "f//a", "a/", "a\0b"]
    )
    def test_no_path_leaves_the_folder(self, disk: Disk, path: str) -> None:
        disk.make_folder("f")
        write(disk, "a", b"1")
        for operation in (disk.create, disk.read, disk.size, disk.exists, disk.unlink, disk.make_folder):
            with pytest.raises(DiskError, match="is not a path inside the data folder"):
                operation(path)
        with pytest.raises(DiskError):
            disk.rename("a", path)
        if path != "":
            for listing in (disk.names, disk.sync_folder):
                with pytest.raises(DiskError, match="is not a path inside the data folder"):
                    listing(path)
        assert disk.names("") == ["a", "f"]

    def test_no_link_is_followed(self, disk: Disk, root: Path, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "secret").write_bytes(b"secret")
        (root / "folder").symlink_to(outside)
        (root / "file").symlink_to(outside / "secret")
        for operation in (disk.create, disk.read, disk.size, disk.unlink, disk.make_folder):
            with pytest.raises(DiskError, match="symbolic link"):
                operation("folder/secret")
        for operation in (disk.read, disk.size):
            with pytest.raises(DiskError, match="symbolic link"):
                operation("file")
        for listing in (disk.names, disk.sync_folder, disk.make_folder):
            with pytest.raises(DiskError):
                listing("folder")
        assert (outside / "secret").read_bytes() == b"secret"
        assert list(outside.iterdir()) == [outside / "secret"]

    def test_only_plain_files_are_read(self, disk: Disk, root: Path) -> None:
        os.mkfifo(root / "pipe")
        disk.make_folder("folder")
        for path in ("pipe", "folder"):
            with pytest.raises(DiskError, match="wrong kind of file"):
                disk.read(path)

    def test_one_agent_a_folder(self, disk: Disk, make: Make, root: Path) -> None:
        disk.lock()
        disk.lock()
        with pytest.raises(StoreError, match=r"another agent is using this data folder; stop it"):
            make(root).lock()

    def test_free_space_is_that_of_an_ordinary_user(self, disk: Disk, root: Path) -> None:
        found = os.statvfs(root)
        assert 0 <= disk.free_bytes() <= found.f_bfree * found.f_frsize

    def test_a_missing_data_folder_is_an_error(self, make: Make, tmp_path: Path) -> None:
        with pytest.raises(DiskError, match="nowhere: is not there"):
            make(tmp_path / "nowhere")


def test_a_full_device_is_said_in_words_and_the_file_is_lost() -> None:
    """The kernel's own full device, through the same descriptor handling as any file."""
    from agent.adapters.disk import _RealFile

    file = _RealFile("journal/00000000.log", os.open("/dev/full", os.O_WRONLY))
    with pytest.raises(DiskError, match=r"journal/00000000.log: the card is full; dock the camera"):
        file.write(b"x")
    with pytest.raises(DiskError, match=r"an earlier write or fsync of this file failed; open a new file"):
        file.write(b"x")
    file.close()


class TestPowerCut:
    """What the simulated card keeps and loses."""

    def test_only_what_was_synced_stays(self, root: Path) -> None:
        disk = _sim(root)
        file = disk.create("a")
        file.write(b"durable")
        file.sync()
        disk.sync_folder("")
        file.write(b" not")
        disk.power_cut()
        assert (root / "a").read_bytes() == b"durable"

    def test_a_torn_write_by_choice(self, root: Path) -> None:
        disk = _sim(root)
        file = disk.create("a")
        file.write(b"01")
        file.sync()
        disk.sync_folder("")
        file.write(b"2345")
        disk.power_cut(lambda n: 3 if n == 5 else 0)
        assert (root / "a").read_bytes() == b"01234"

    def test_a_synced_file_without_its_folder_is_gone(self, root: Path) -> None:
        disk = _sim(root)
        write(disk, "a", b"x")
        disk.power_cut()
        assert list(root.iterdir()) == []

    def test_an_unsynced_file_whose_name_survived_is_empty(self, root: Path) -> None:
        disk = _sim(root)
        disk.create("next").write(b"line")
        disk.rename("next", "name")
        disk.sync_folder("")
        disk.power_cut()
        assert (root / "name").read_bytes() == b""

    def test_a_rename_without_its_folder_comes_back(self, root: Path) -> None:
        disk = _sim(root)
        write(disk, "next", b"line")
        disk.sync_folder("")
        disk.rename("next", "name")
        disk.power_cut()
        assert [path.name for path in root.iterdir()] == ["next"]
        assert (root / "next").read_bytes() == b"line"

    def test_an_unlink_without_its_folder_comes_back(self, root: Path) -> None:
        disk = _sim(root)
        write(disk, "a", b"evidence")
        disk.sync_folder("")
        disk.unlink("a")
        assert not disk.exists("a")
        disk.power_cut()
        assert (root / "a").read_bytes() == b"evidence"
        assert list(root.parent.iterdir()) == [root]

    def test_an_unlink_with_its_folder_is_for_good(self, root: Path) -> None:
        disk = _sim(root)
        write(disk, "a", b"x")
        disk.unlink("a")
        disk.sync_folder("")
        disk.power_cut()
        assert list(root.iterdir()) == []

    def test_names_survive_in_their_order(self, root: Path) -> None:
        disk = _sim(root)
        for name in "abc":
            write(disk, name, name.encode())
        disk.power_cut(lambda n: 2)
        assert sorted(path.name for path in root.iterdir()) == ["a", "b"]

    def test_a_folder_takes_with_it_what_was_synced_inside(self, root: Path) -> None:
        disk = _sim(root)
        disk.make_folder("f")
        write(disk, "f/a", b"x")
        disk.sync_folder("f")
        disk.power_cut()
        assert list(root.iterdir()) == []

    def test_what_was_there_at_the_start_is_durable(self, root: Path) -> None:
        (root / "f").mkdir()
        (root / "f" / "a").write_bytes(b"old")
        _sim(root).power_cut()
        assert (root / "f" / "a").read_bytes() == b"old"

    def test_a_renamed_folder_comes_back_with_what_is_durable_in_it(self, root: Path) -> None:
        disk = _sim(root)
        disk.make_folder("f")
        write(disk, "f/a", b"durable")
        disk.sync_folder("f")
        disk.sync_folder("")
        disk.rename("f", "g")
        write(disk, "g/b", b"not")
        disk.power_cut()
        assert [str(path.relative_to(root)) for path in root.rglob("*")] == ["f", "f/a"]

    def test_afterwards_nothing_works(self, root: Path) -> None:
        disk = _sim(root)
        file = disk.create("a")
        disk.lock()
        disk.power_cut()
        for operation in (file.sync, lambda: disk.create("b"), lambda: disk.names("")):
            with pytest.raises(DiskError, match="the power is cut"):
                operation()
        _sim(root).lock()

    @given(st.data())
    def test_durable_content_survives_every_choice(
        self, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
    ) -> None:
        root = tmp_path_factory.mktemp("card")
        disk = _sim(root)
        durable: dict[str, bytes] = {}
        files = {name: disk.create(name) for name in ("a", "b")}
        disk.sync_folder("")
        written = dict.fromkeys(files, b"")
        for name, sync in data.draw(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans()), max_size=8)):
            if sync:
                files[name].sync()
                durable[name] = written[name]
            else:
                files[name].write(name.encode() * 3)
                written[name] += name.encode() * 3
        disk.power_cut(lambda n: data.draw(st.integers(0, n - 1)))
        for name in files:
            found = (root / name).read_bytes()
            assert found.startswith(durable.get(name, b""))
            assert written[name].startswith(found)


class TestFaults:
    """Faults on demand, as a device has them."""

    def test_a_failed_write_may_have_begun(self, root: Path) -> None:
        disk = _sim(root)
        disk.fail("write", "jour*", errno.ENOSPC, kept_bytes=2)
        file = disk.create("journal")
        with pytest.raises(DiskError, match=r"journal: the card is full; dock"):
            file.write(b"12345")
        assert disk.read("journal") == b"12"
        with pytest.raises(DiskError, match="an earlier write or fsync of this file failed"):
            file.write(b"6")

    def test_after_a_failed_sync_the_unsynced_bytes_are_lost(self, root: Path) -> None:
        disk = _sim(root)
        file = disk.create("a")
        file.write(b"1")
        file.sync()
        disk.sync_folder("")
        file.write(b"2345")
        disk.fail("sync", "a", errno.EIO, kept_bytes=2)
        with pytest.raises(DiskError, match="the card failed"):
            file.sync()
        assert disk.read("a") == b"123"
        disk.power_cut()
        assert (root / "a").read_bytes() == b"1"

    def test_a_fault_finds_a_file_under_its_new_name(self, root: Path) -> None:
        disk = _sim(root)
        file = disk.create("next")
        disk.rename("next", "name")
        disk.fail("sync", "name", errno.EIO)
        with pytest.raises(DiskError, match="name: the card failed"):
            file.sync()

    def test_faults_are_counted_and_healed(self, root: Path) -> None:
        disk = _sim(root)
        disk.fail("create", "*", errno.EROFS, count=2)
        for _ in range(2):
            with pytest.raises(DiskError, match="a: the card is read-only"):
                disk.create("a")
        disk.create("a").close()
        disk.fail("sync_folder", "", errno.EIO, count=9)
        disk.heal()
        disk.sync_folder("")

    def test_every_operation_can_fail(self, root: Path) -> None:
        disk = _sim(root)
        write(disk, "a", b"x")
        for operation, call in (
            ("make_folder", lambda: disk.make_folder("b")),
            ("read", lambda: disk.read("a")),
            ("rename", lambda: disk.rename("a", "b")),
            ("unlink", lambda: disk.unlink("a")),
        ):
            disk.fail(operation, "*", errno.EIO)
            with pytest.raises(DiskError, match="the card failed"):
                call()
        assert disk.names("") == ["a"]

    def test_free_space_by_order(self, root: Path) -> None:
        disk = _sim(root)
        disk.say_free(1000)
        assert disk.free_bytes() == 1000
        disk.say_free(None)
        assert disk.free_bytes() > 1000

    def test_every_operation_is_seen(self, root: Path) -> None:
        seen: list[tuple[str, str]] = []
        disk = SimDisk(root, observe=lambda operation, path: seen.append((operation, path)), flush=_no_flush)
        write(disk, "a", b"x")
        disk.sync_folder("")
        assert seen == [("create", "a"), ("write", "a"), ("sync", "a"), ("sync_folder", "")]


def test_a_file_synced_by_its_name_outlives_the_power(root: Path) -> None:
    disk = _sim(root)
    for name in ("kept", "lost"):
        file = disk.create(name)
        file.write(b"x")
        file.close()
    disk.sync_folder("")
    disk.sync_file("kept")
    disk.power_cut(lambda most: 0)
    assert (root / "kept").read_bytes() == b"x"
    assert (root / "lost").read_bytes() == b""
