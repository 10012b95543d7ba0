"""The journal as batches: every durable line once, in order, whatever the files look like."""

from __future__ import annotations

import errno
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import StoreError
from agent.formats import wire
from agent.formats.entries import parse_line
from agent.store.lines import JournalLines
from agent.store.outbox import Outbox, Outgoing
from hw.sim.disk import SimDisk
from tests.support.signer import SeededSigner
from tests.support.store import Board, Camera


def make(root: Path) -> tuple[SimDisk, Camera]:
    root.mkdir()
    disk = SimDisk(root, flush=lambda descriptor: None)
    camera = Camera(disk, Board(), SeededSigner("outbox"), [], {})
    camera.journal.commit()
    return disk, camera


def note(camera: Camera, size: int = 10) -> None:
    values = {str(n): "x" * min(200, size - 200 * n) for n in range(-(-size // 200))}
    camera.append("alert", {"cause": "test", "values": {**values}, "remedy": "none"})
    camera.commit()


def durable(camera: Camera) -> int:
    assert camera.journal.durable is not None
    return camera.journal.durable.seq


def everything(outbox: Outbox, first: int, last: int) -> list[Outgoing]:
    found: list[Outgoing] = []
    while (batch := outbox.batch(first, last)) is not None:
        found.append(batch)
        first = batch.last + 1
    return found


def check(found: list[Outgoing], first: int, last: int) -> None:
    lines = [line + b"\n" for each in found for line in each.batch.payload.split(b"\n")[:-1]]
    entries = [parse_line(line) for line in lines]
    assert [entry.head.seq for entry in entries] == list(range(first, last + 1))
    for before, after in itertools.pairwise(entries):
        assert after.head.prev == before.digest.hex()
    for each in found:
        head = parse_line(each.batch.payload.split(b"\n")[0] + b"\n").head
        assert (each.batch.first, each.batch.prev) == (head.seq, head.prev)
        assert len(each.batch.payload) <= wire.MAX_BATCH_BYTES
        assert wire.parse_batch(each.batch.payload, each.batch.properties) == each.batch


@settings(max_examples=25)
@given(steps=st.lists(st.sampled_from(["note", "big", "write_fails", "sync_fails", "rotate", "restart"]), max_size=12))
def test_every_durable_line_comes_once_whatever_the_files_look_like(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    disk, camera = make(tmp_path_factory.mktemp("outbox") / "data")
    for step in steps:
        if step.endswith("_fails"):
            disk.fail(step.removesuffix("_fails"), "journal/*.log", errno.EIO, kept_bytes=150)
            disk.fail(step.removesuffix("_fails"), "journal/next.tmp", errno.EIO, 0)
            note(camera)
        elif step == "rotate":
            camera.journal.rotate()
        elif step == "restart":
            camera.journal.close()
            camera = Camera(disk, camera.board, SeededSigner("outbox"), [], {})
            camera.journal.commit()
        else:
            note(camera, 10 if step == "note" else 3000)
    last = durable(camera)
    check(everything(Outbox(disk), 0, last), 0, last)
    for first in (last // 3, last):
        check(everything(Outbox(disk), first, last), first, last)


def test_a_batch_is_as_full_as_it_may_be_and_no_fuller(tmp_path: Path) -> None:
    disk, camera = make(tmp_path / "data")
    for _ in range(200):
        note(camera, 3000)
    last = durable(camera)
    found = everything(Outbox(disk), 0, last)
    check(found, 0, last)
    assert len(found) > 2
    for each, after in itertools.pairwise(found):
        first_line = after.batch.payload.split(b"\n")[0] + b"\n"
        assert len(each.batch.payload) + len(first_line) > wire.MAX_BATCH_BYTES


def test_what_is_not_durable_is_not_sent(tmp_path: Path) -> None:
    disk, camera = make(tmp_path / "data")
    note(camera)
    last = durable(camera)
    outbox = Outbox(disk)
    check(everything(outbox, 0, last - 1), 0, last - 1)
    assert outbox.batch(last + 1, last) is None
    note(camera)
    check(everything(outbox, last, durable(camera)), last, last + 1)


def test_it_goes_back_and_forth(tmp_path: Path) -> None:
    disk, camera = make(tmp_path / "data")
    for _ in range(9):
        note(camera)
        camera.journal.rotate()
    last = durable(camera)
    outbox = Outbox(disk)
    for first in (0, last, 3, 4, 3, last - 1, 0):
        check(everything(outbox, first, last), first, last)


def test_only_acks_is_said(tmp_path: Path) -> None:
    disk, camera = make(tmp_path / "data")
    note(camera)
    found = Outbox(disk).batch(0, durable(camera))
    assert found is not None
    assert not found.only_acks


def test_an_entry_that_was_deleted_is_an_error_and_the_oldest_is_named(tmp_path: Path) -> None:
    disk, camera = make(tmp_path / "data")
    note(camera)
    camera.journal.rotate()
    disk.unlink("journal/00000000.log")
    outbox = Outbox(disk)
    oldest = outbox.oldest()
    assert oldest == durable(camera)
    check(everything(outbox, oldest, oldest), oldest, oldest)
    with pytest.raises(StoreError, match="entry 0 is not there"):
        outbox.batch(0, oldest)


def test_a_damaged_journal_is_an_error(tmp_path: Path) -> None:
    disk, camera = make(tmp_path / "data")
    note(camera)
    last = durable(camera)
    path = tmp_path / "data" / "journal" / "00000000.log"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(StoreError, match="was durable"):
        everything(Outbox(disk), 0, last)
    path.write_bytes(b"nonsense\n" + whole)
    with pytest.raises(StoreError, match="no entry"):
        everything(Outbox(disk), 0, last)
    _first, rest = whole.split(b"\n", 1)
    path.write_bytes(rest)
    with pytest.raises(StoreError, match="where 0 comes next"):
        everything(Outbox(disk), 0, last)


def test_memory_does_not_grow_with_the_journal(tmp_path: Path) -> None:
    disk, camera = make(tmp_path / "data")
    for _ in range(60):
        note(camera, 3000)
    lines = JournalLines(disk)
    last = durable(camera)
    held = 0
    while lines.take(last) is not None:
        held = max(held, len(lines._piece))
    assert held < 2 * 65_536 + 16_384
