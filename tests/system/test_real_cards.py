"""The real agent on real cards that fail: full, read-only, failing, pulled, slow. All of them loop devices with ext4.

In every case: whatever was told is there and plays, the light is not red any more within 3 s, the status says why, the
agent lives, and once the card is well again the next start goes on.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from agent.recorder import ENDING_BYTES
from tests.kills import checks
from tests.kills.camera import Agency, Camera, Status, Told, boot_ns, enrol
from tests.kills.card import read_card
from tests.kills.footage import make_film
from tests.kills.image import Image, run

IMAGE_MIB = 160
DARK_WITHIN_S = 3.1
BLKIO = Path("/sys/fs/cgroup/blkio")
WRITE_BPS, WRITE_IOPS = 10_000_000, 10


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4")


class Rig:
    """A camera on a card of its own; `image` may lie on a file system that is too small for it."""

    def __init__(self, folder: Path, film: Path, image: Image) -> None:
        self.image = image
        self.folder = folder
        image.mount()
        self.data = image.mounted / "data"
        self.agency: Agency = enrol(folder, film, data=self.data)
        self.camera = Camera(folder / "camera", self.data)

    def record(self) -> None:
        """A recording runs, and some of it is durable."""
        if self.camera.wait_for("ready", "recording")["activity"] == "ready":
            self.camera.do("tap")
        self.camera.wait_for("recording")
        self.durable(2)

    def durable(self, fragments: int) -> None:
        since_ns = boot_ns()
        for _ in range(fragments):
            line = self.camera.wait_told("a durable fragment", _durable_after(since_ns))
            since_ns = int(str(line["boot_ns"]))

    def refuses(self, cause: str) -> Status:
        """The light is dark or amber in time, and the status says why."""
        deadline = time.monotonic() + 20
        while self.camera.is_red():
            assert time.monotonic() < deadline, "still red"
            time.sleep(0.02)
        return self.camera.wait(cause, lambda status: _cause(status) == cause)

    def well_again(self) -> None:
        """The agent ends in order, the card is checked as a technician would, and the next start goes on: it says how
        it found the segment, and that time is missing."""
        self.camera.stop()
        self.image.unmount()
        self.image.check()
        self.image.mount()
        self.camera.start()
        self.camera.wait_for("ready", "recording")
        self.record()
        self.camera.do("hold")
        self.camera.wait_for("ready")
        self.end()
        (taken,) = read_card(self.data).recordings
        assert taken.recovered == [0]
        assert [cause for _, _, cause in taken.gaps] == ["agent_restart"]

    def end(self) -> None:
        """All that was told is there, and plays."""
        self.camera.stop()
        _, pictures = checks.in_the_end(self.camera, self.agency, self.camera.told(), self.folder)
        assert pictures > 0

    def close(self) -> None:
        self.camera.end()
        self.image.unmount()


@pytest.fixture
def rig(tmp_path: Path, film: Path) -> Iterator[Rig]:
    found = Rig(tmp_path, film, Image(tmp_path / "card.ext4", IMAGE_MIB))
    try:
        yield found
    finally:
        found.close()


def test_a_card_that_fills_up_ends_the_recording_in_order(rig: Rig) -> None:
    rig.camera.start()
    rig.record()
    filler = _fill(rig.data, leaving=ENDING_BYTES + 1_000_000)
    rig.refuses("card_full")
    (taken,) = read_card(rig.data).recordings
    assert taken.stopped == "card"
    assert [body["cause"] for body in read_card(rig.data).of("refused")] == ["card_full"]
    rig.camera.do("tap")
    time.sleep(1.0)
    assert not rig.camera.is_red(), "a press on a full card is refused"
    filler.unlink()
    rig.camera.wait_for("ready")
    rig.record()
    rig.end()


def test_no_space_from_one_moment_to_the_next(rig: Rig) -> None:
    rig.camera.start()
    rig.record()
    filler = _fill(rig.data, leaving=0)
    rig.refuses("card_full")
    (taken,) = read_card(rig.data).recordings
    assert taken.stopped == "card", "the closing fits into what the last blocks leave"
    filler.unlink()
    rig.camera.wait_for("ready")
    rig.record()
    rig.end()


def test_a_card_that_turns_read_only(rig: Rig) -> None:
    rig.camera.start()
    rig.record()
    at = time.monotonic()
    rig.image.abort()
    rig.refuses("card_unwritable")
    assert time.monotonic() - at < DARK_WITHIN_S
    rig.well_again()


def test_a_card_that_is_pulled(rig: Rig) -> None:
    rig.camera.start()
    rig.record()
    at = time.monotonic()
    rig.image.pull()
    rig.refuses("card_unwritable")
    assert time.monotonic() - at < DARK_WITHIN_S
    rig.well_again()


def test_a_card_that_fails_to_write(tmp_path: Path, film: Path) -> None:
    """The image is larger than what it lies on: from some byte on every write of the device fails."""
    small = tmp_path / "small"
    small.mkdir()
    run("mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(small))
    try:
        rig = Rig(tmp_path, film, Image(small / "card.ext4", IMAGE_MIB))
        try:
            rig.camera.start()
            rig.record()
            used_bytes = rig.image.path.stat().st_blocks * 512
            run("mount", "-o", f"remount,size={used_bytes + 500_000}", str(small))
            rig.refuses("card_unwritable")
            run("mount", "-o", "remount,size=200m", str(small))
            rig.well_again()
        finally:
            rig.close()
    finally:
        run("umount", str(small))


def test_a_slow_card_loses_nothing(rig: Rig) -> None:
    """10 MB/s and 10 writes a second: an fsync takes 100 to 200 ms."""
    if not (BLKIO / "blkio.throttle.write_bps_device").exists():
        pytest.skip("no blkio controller of cgroup v1 here: the throttled Disk of tests/sim stands in")
    group = BLKIO / f"kills-{os.getpid()}"
    group.mkdir()
    number = Path(f"/sys/block/{Path(rig.image.device).name}/dev").read_text().strip()
    (group / "blkio.throttle.write_bps_device").write_text(f"{number} {WRITE_BPS}")
    (group / "blkio.throttle.write_iops_device").write_text(f"{number} {WRITE_IOPS}")
    try:
        rig.camera.start()
        (group / "cgroup.procs").write_text(str(rig.camera.pid))
        rig.camera.wait_for("ready")
        process = (rig.camera.run / "capture.pid").read_text()
        time.sleep(6.0)
        rig.record()
        rig.durable(8)
        assert rig.camera.is_red()
        rig.camera.do("hold")
        rig.camera.wait_for("ready")
        assert (rig.camera.run / "capture.pid").read_text() == process, "capture was started again"
        (taken,) = read_card(rig.data).recordings
        assert not taken.gaps
        for before, after in pairwise(taken.pieces):
            assert abs(after.t0_ns - before.end_ns) <= after.frame_ns
        rig.end()
    finally:
        rig.camera.end()
        (BLKIO / "cgroup.procs").write_text(str(os.getpid()))
        group.rmdir()


def _fill(data: Path, leaving: int) -> Path:
    """Somebody else's file takes the card, to its last block if nothing is to be left."""
    file = data.parent / "filler"
    with file.open("xb") as opened:
        size = 0
        for step in (1 << 20, 1 << 16, 1 << 12):
            with contextlib.suppress(OSError):
                while _free(data) - step >= leaving:
                    os.posix_fallocate(opened.fileno(), size, step)
                    size += step
    return file


def _free(data: Path) -> int:
    found = os.statvfs(data)
    return found.f_bavail * found.f_frsize


def _durable_after(since_ns: int) -> Callable[[Told], bool]:
    return lambda line: "durable" in line and int(str(line["boot_ns"])) > since_ns


def _cause(status: Status) -> object:
    why = status.get("unavailable")
    return why.get("cause") if isinstance(why, dict) else None
