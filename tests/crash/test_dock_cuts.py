"""The dock dies at every point of a docking: what it said to be durable is there, and nothing is there twice.

Each run ends before operation k of archive or journal folder, for every k: by the power (harshest and mildest cut), or
as a process alone, after which it starts again, goes on, and only then loses its power: what the first process wrote
but never synced must not have been believed. Then the camera docks again, and all of it is in the archive.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.errors import TemoinError
from agent.evidence.verify import verify
from agent.formats.entries import parse_line
from agent.formats.fields import integer_of, text_of
from agent.formats.statement import Statement
from agent.formats.statement import parse_line as parse_statement
from hw.sim.disk import Choose
from tests.support.agency import TestAgency, make_agency
from tests.support.dock import Bench, all_entries, names, position
from tests.support.evidence import Builder, builder

BATCH = 12
CHANGES = frozenset({"write", "sync", "rename", "create", "unlink", "sync_folder", "make_folder", "resume"})
"""An end before an operation that only looks is an end after the last one that did not."""


class EndError(Exception):
    """Ends the process that a test kills."""


def harshest(n: int) -> int:
    return 0


def mildest(n: int) -> int:
    return n - 1


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False)


@pytest.fixture(scope="module")
def camera(agency: TestAgency, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    made = builder(tmp_path_factory.mktemp("camera"), agency)
    made.genesis()
    made.record((1,))
    made.rotate()
    made.record((1,))
    made.write()
    return made


@dataclass
class Ending:
    """Counts the operations of both folders that change them, and ends the process before number `at`."""

    at: int | None = None
    seen: list[str] = field(default_factory=list)

    def __call__(self, operation: str, path: str) -> None:
        if operation not in CHANGES:
            return
        if self.at is not None and len(self.seen) >= self.at:
            raise EndError(f"before {operation} {path}")
        self.seen.append(f"{operation} {path}")


def docking(bench: Bench, camera: Builder, session: str) -> None:
    """A whole docking: the camera sends from the acknowledged position on, and answers every ticket."""
    bench.start()
    entries = all_entries(camera)
    waiting: list[Statement] = bench.ask(camera, session)
    for _ in range(100):
        acks = [position(each)[0] for each in waiting if each.name == "ack"]
        tickets = [each for each in waiting if each.name == "ticket"]
        waiting = []
        for ticket in tickets:
            waiting += bench.upload(camera, ticket)
        if acks:
            at = acks[-1]
            assert isinstance(at, int)
            if at + 1 < len(entries):
                waiting += bench.send(camera, entries[at + 1 : at + 1 + BATCH])
        if not waiting:
            return
    raise AssertionError("the docking never ends")


def archived(bench: Bench) -> list[bytes]:
    """The archive's lines; those that a file repeats from the one before are equal, and come once."""
    lines: list[bytes] = []
    for path in sorted((bench.root / "archive" / "cam-01" / "journal").glob("*.log")):
        *whole, _ = path.read_bytes().split(b"\n")
        for line in whole:
            seq = parse_line(line + b"\n").head.seq
            if seq < len(lines):
                assert lines[seq] == line + b"\n"
                continue
            assert seq == len(lines)
            lines.append(line + b"\n")
    return lines


def check_promises(bench: Bench) -> None:
    """Every ack and receipt that was ever told still holds; no number came twice."""
    lines = archived(bench)
    own = [entry.body for entry in bench.own_entries("receipt")]
    receipts = {text_of(body["statement"], "text") for body in own if body is not None}  # type: ignore[arg-type]
    told = [parse_statement(each.payload) for each in bench.told]
    numbers = [integer_of(each.value, "dseq") for each in told if each.name != "policy"]
    assert numbers == sorted(set(numbers))
    for said in told:
        if said.name == "ack" and said.value["seq"] != -1:
            assert parse_line(lines[integer_of(said.value, "seq")]).digest.hex() == said.value["head"]
        elif said.name == "receipt":
            rec, seg = text_of(said.value, "rec"), integer_of(said.value, "seg")
            blob = bench.root / "archive" / "cam-01" / "segments" / rec / f"{seg:04d}.mp4.age"
            assert hashlib.sha256(blob.read_bytes()).hexdigest() == said.value["blob"]
            assert said.text.decode() in receipts


def check_complete(bench: Bench, camera: Builder) -> None:
    """All of it is there, once, and nothing else."""
    assert archived(bench) == [entry.line for entry in all_entries(camera)]
    folder = bench.root / "archive" / "cam-01"
    left = {path.name for path in folder.rglob("*") if path.is_file() and path.suffix not in (".log", ".age")}
    assert left == {"ARCHIVE"}
    blobs = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.age")}
    assert blobs == {path.relative_to(camera.folder): path.read_bytes() for path in camera.folder.rglob("*.age")}


def operations(tmp_path: Path, agency: TestAgency, camera: Builder) -> int:
    """How many a docking without trouble takes."""
    ending = Ending()
    bench = Bench(tmp_path, agency, ending)
    docking(bench, camera, "1" * 32)
    check_promises(bench)
    check_complete(bench, camera)
    assert [each.code for each in verify(bench.root / "archive" / "cam-01", agency.root_pem).reasons] == ["bracket"]
    return len(ending.seen)


def test_power_cut_anywhere(tmp_path: Path, agency: TestAgency, camera: Builder) -> None:
    """The harshest and the mildest cut in turns; tests/system/test_dock_cuts_all.py has both everywhere."""
    for at in range(operations(tmp_path / "whole", agency, camera)):
        cut_and_dock_again(tmp_path / str(at), agency, camera, at, mildest if at % 2 else harshest)


def cut_and_dock_again(folder: Path, agency: TestAgency, camera: Builder, at: int, choose: Choose) -> None:
    """One run: a docking that the power ends, and a whole one."""
    bench = Bench(folder, agency, Ending(at))
    with pytest.raises(EndError):
        docking(bench, camera, "1" * 32)
    bench.power_cut(choose)
    bench.observe = Ending()
    if bench.told:
        check_promises(bench)
    docking(bench, camera, "2" * 32)
    check_promises(bench)
    check_complete(bench, camera)


def test_killed_anywhere_and_the_power_cut_later(tmp_path: Path, agency: TestAgency, camera: Builder) -> None:
    for at in range(operations(tmp_path / "whole", agency, camera)):
        bench = Bench(tmp_path / str(at), agency, Ending(at))
        with pytest.raises(EndError):
            docking(bench, camera, "1" * 32)
        bench.observe = Ending()
        bench.start()
        bench.ask(camera, "2" * 32)
        bench.power_cut(harshest)
        check_promises(bench)
        docking(bench, camera, "3" * 32)
        bench.power_cut(harshest)
        check_promises(bench)
        check_complete(bench, camera)


@pytest.mark.parametrize("operation", ["write", "sync", "rename", "sync_folder", "create", "make_folder", "unlink"])
@pytest.mark.parametrize("count", [1, 3])
def test_a_disk_that_fails_once(
    tmp_path: Path, agency: TestAgency, camera: Builder, operation: str, count: int
) -> None:
    """Operations of the archive fail (disk full, or worse), the process goes on: nothing is acknowledged for them."""
    bench = Bench(tmp_path, agency)
    bench.disk.fail(operation, "cam-01*", errno.ENOSPC, count, kept_bytes=100)
    for session in range(1, 4):
        with contextlib.suppress(TemoinError):  # an upload's own end
            docking(bench, camera, f"{session}" * 32)
        check_promises(bench)
    bench.power_cut(harshest)
    check_promises(bench)
    docking(bench, camera, "f" * 32)
    check_complete(bench, camera)
    assert "receipt" in names([parse_statement(each.payload) for each in bench.told])
