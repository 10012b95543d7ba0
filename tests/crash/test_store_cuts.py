"""The power fails at every point of a scripted recording, and of the starts after it: what was promised is there.

Each run cuts before operation k of the card, for every k, in the harshest and the mildest way, and at random places in
random ways. Then the camera starts again (and may be cut again), and a reader of its own checks the whole card.
"""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import DiskError
from agent.formats.canonical import Object
from agent.formats.fields import encode_base64
from agent.store.check import recover
from agent.store.journal import MAX_FILE_BYTES
from hw.sim.disk import Choose, SimDisk
from tests.support.signer import SeededSigner
from tests.support.store import Board, Camera, CardReading, check_promises, read_card

SIGNER = SeededSigner()


class PowerCutError(Exception):
    """Ends the run that a test cuts off."""


def harshest(n: int) -> int:
    return 0


def mildest(n: int) -> int:
    return n - 1


@dataclass
class Card:
    """A folder, what was promised about it, and the operations that the last run did."""

    root: Path
    board: Board = field(default_factory=Board)
    told: list[bytes] = field(default_factory=list)
    bytes_told: dict[str, int] = field(default_factory=dict)
    operations: list[tuple[str, str]] = field(default_factory=list)

    def run(self, script: Callable[[Camera, SimDisk], None], cut_at: int | None, choose: Choose = harshest) -> bool:
        """Start the camera and follow the script; cut the power before operation `cut_at`. False if it came to that."""
        self.operations = []

        def observe(operation: str, path: str) -> None:
            if cut_at is not None and len(self.operations) >= cut_at:
                raise PowerCutError(f"before {operation} {path}")
            self.operations.append((operation, path))

        disk = SimDisk(self.root, observe, flush=lambda descriptor: None)
        try:
            script(Camera(disk, self.board, SIGNER, self.told, self.bytes_told), disk)
        except PowerCutError:
            disk.power_cut(choose)
            self.board.reboot()
            return False
        return True

    def check(self) -> CardReading:
        reading = read_card(self.root, SIGNER)
        check_promises(self.root, reading, self.told, self.bytes_told)
        assert not reading.state.open, "a recording is open that nothing goes on with"
        return reading


def shift(camera: Camera, disk: SimDisk) -> None:
    """A whole recording of two segments, then one that goes on."""
    recover(camera.journal, disk)
    camera.start_recording()
    camera.write(2)
    camera.seal()
    camera.write(1, new_segment=True)
    camera.append("mark", {"rec": camera.journal.state.open[0].rec, "press_ns": "9"})
    camera.commit()
    camera.stop_recording()
    camera.start_recording()
    camera.write(1)


def only_start(camera: Camera, disk: SimDisk) -> None:
    recover(camera.journal, disk)


def one_recording(camera: Camera, disk: SimDisk) -> None:
    recover(camera.journal, disk)
    camera.start_recording()
    camera.stop_recording()


def failed_fsync(camera: Camera, disk: SimDisk) -> None:
    """The journal's fsync fails once, and half of a line was written all the same."""
    recover(camera.journal, disk)
    camera.start_recording()
    disk.fail("sync", "journal/*.log", errno.EIO, kept_bytes=300)
    camera.write(2)
    camera.write(1)


def failed_segment(camera: Camera, disk: SimDisk) -> None:
    """The first segment's fsync fails: no entry knows the file. An alert takes the number that names its folder."""
    recover(camera.journal, disk)
    disk.fail("sync", "segments/*", errno.EIO, kept_bytes=70_000)
    with pytest.raises(DiskError):
        camera.start_recording()
    camera.append("alert", {"cause": "card_write_failed", "values": {}, "remedy": "replace_card"})
    camera.commit()


def finish(card: Card) -> CardReading:
    """Start twice more and record: nothing of a cut may come up later."""
    assert card.run(only_start, None)
    card.check()
    card.board.reboot()
    assert card.run(one_recording, None)
    return card.check()


def operations_of(script: Callable[[Camera, SimDisk], None], tmp_path: Path) -> list[tuple[str, str]]:
    """What an uncut run of the script does to the card."""
    card = Card(tmp_path / "count")
    card.root.mkdir()
    assert card.run(script, None)
    return card.operations


@pytest.mark.parametrize("script", [shift, failed_fsync, failed_segment])
@pytest.mark.parametrize("choose", [harshest, mildest])
def test_every_point_of_a_shift(tmp_path: Path, script: Callable[[Camera, SimDisk], None], choose: Choose) -> None:
    operations = operations_of(script, tmp_path)
    assert len(operations) > 20
    for cut_at in range(len(operations) + 1):
        card = Card(tmp_path / str(cut_at))
        card.root.mkdir()
        if card.run(script, cut_at, choose):
            card.board.reboot()
        assert card.run(only_start, None)
        card.check()
        shutil.rmtree(card.root)


@pytest.mark.parametrize(
    ("script", "segment", "choose"),
    [
        (shift, "0000", harshest),
        (shift, "0001", harshest),
        (shift, "0001", mildest),
        (failed_segment, "0000", mildest),
    ],
)
def test_every_point_of_the_start_after(
    tmp_path: Path, script: Callable[[Camera, SimDisk], None], segment: str, choose: Choose
) -> None:
    """A file is on the card that no entry knows yet: the first of a recording that never started, or the next of one.

    The start that finds it is cut at every point, and the one after that finishes.
    """
    operations = operations_of(script, tmp_path)
    synced = next(index for index, (name, path) in enumerate(operations) if name == "sync" and segment in path)
    entered = next(index for index, (name, path) in enumerate(operations) if index > synced and "journal" in path)
    cut_at, complete = 0, False
    while not complete:
        card = Card(tmp_path / str(cut_at))
        card.root.mkdir()
        if card.run(script, entered if script is shift else None, choose):
            card.board.reboot()
        complete = card.run(only_start, cut_at, choose)
        assert card.run(only_start, None)
        reading = card.check()
        (orphan,) = reading.of("orphan")
        assert str(orphan["file"]).endswith(f"/{segment}.mp4.age.orphan")
        shutil.rmtree(card.root)
        cut_at += 1
    assert cut_at > 15


@given(data=st.data())
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_cuts_of_starts_after_cuts(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Random cuts, torn writes included, of a shift and of up to three starts or recordings after it."""
    card = Card(tmp_path_factory.mktemp("card"))

    def choose(n: int) -> int:
        return data.draw(st.integers(0, n - 1))

    runs = data.draw(
        st.lists(st.sampled_from([shift, only_start, one_recording, failed_fsync, failed_segment]), max_size=3)
    )
    for script in [shift, *runs]:
        cut_at = data.draw(st.integers(0, 90) if script is shift else st.integers(0, 40))
        if card.run(script, cut_at, choose):
            card.board.reboot()
    finish(card)
    shutil.rmtree(card.root)


def test_every_point_of_the_start_after_one_that_left_an_orphan_its_name(tmp_path: Path) -> None:
    """A start is cut off between an orphan's entry and its new name, and so is the next one, at every point."""
    created = operations_of(shift, tmp_path).index(("create", "segments/cam-1-22911f24-2/0001.mp4.age"))

    def left(name: str) -> Card:
        card = Card(tmp_path / name)
        card.root.mkdir()
        assert not card.run(shift, created + 1, mildest)
        return card

    whole = left("whole")
    assert whole.run(only_start, None)
    renamed = max(at for at, found in enumerate(whole.operations) if found[0] == "rename" and "segments" in found[1])
    for cut_at in range(len(whole.operations) + 1):
        card = left(str(cut_at))
        assert not card.run(only_start, renamed, mildest)
        if card.run(only_start, cut_at, mildest):
            card.board.reboot()
        finish(card)
        shutil.rmtree(card.root)


def test_every_point_of_a_rotation(tmp_path: Path) -> None:
    """A file fills up while a recording is open: the segment is open in the next file's checkpoint."""
    operations = operations_of(rotation, tmp_path)
    logs = [path for operation, path in operations if operation == "write" and path.startswith("journal/0")]
    full = next(index for index, found in enumerate(operations) if found == ("write", logs[0])) + 2
    assert logs[-1] != logs[0]
    for cut_at in range(full, len(operations) + 1):
        card = Card(tmp_path / str(cut_at))
        card.root.mkdir()
        if card.run(rotation, cut_at, harshest if cut_at % 2 else mildest):
            card.board.reboot()
        assert card.run(only_start, None)
        card.check()
        shutil.rmtree(card.root)


def rotation(camera: Camera, disk: SimDisk) -> None:
    recover(camera.journal, disk)
    camera.start_recording()
    (recording,) = camera.journal.state.open
    place: Object = {"rec": recording.rec, "press_ns": "9", "sealed": encode_base64(bytes(11_000))}
    size = 0
    while size < MAX_FILE_BYTES:
        camera.append("place", place)
        size += len(camera.last_line)
    camera.commit()
    camera.write(1)
