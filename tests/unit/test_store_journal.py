"""The journal over a simulated card: starts, rotation, failed writes, and what it refuses to touch."""

from __future__ import annotations

import errno
import hashlib
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import DiskError, FormatError, SignatureError, StoreError
from agent.formats import fields
from agent.formats.canonical import Object
from agent.formats.entries import Entry, parse_line
from agent.store.journal import MAX_FILE_BYTES, Journal
from agent.store.last import LastFile, read_last
from agent.store.state import OpenRecording
from hw.sim.disk import SimDisk
from tests.support.signer import SeededSigner
from tests.support.store import (
    Board,
    fragment_body,
    read_card,
    recording_start,
    segment_open,
    start,
)

SIGNER = SeededSigner()
HASH = "c" * 64
ALERT: Object = {"cause": "test", "values": {}, "remedy": "none"}


class Bench:
    """A card and a board; `run` starts the journal as a new process does, the kernel staying up."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir()
        self.board = Board()
        self.signer = SeededSigner()
        self.disk = self.insert()

    def insert(self) -> SimDisk:
        """The card in a board that has just got power."""
        self.disk = SimDisk(self.root, flush=lambda descriptor: None)
        return self.disk

    def run(self) -> Journal:
        journal = start(self.disk, self.board, self.signer)
        journal.commit()
        return journal

    def cut(self) -> None:
        """Power away and back: another boot, and the harshest that the card can do."""
        self.disk.power_cut()
        self.insert()
        self.board.reboot()

    def logs(self) -> list[Path]:
        return sorted((self.root / "journal").glob("*.log"))

    def kinds(self, file: int) -> list[str]:
        return [entry.head.kind for entry in self.entries(file)]

    def entries(self, file: int) -> list[Entry]:
        *lines, _ = self.logs()[file].read_bytes().split(b"\n")
        return [parse_line(line + b"\n") for line in lines]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "data")


def read_again(bench: Bench) -> LastFile:
    found = read_last(bench.disk)
    assert found is not None
    return found


def test_an_empty_card_gets_genesis_and_boot(bench: Bench) -> None:
    journal = bench.run()
    assert [path.name for path in bench.logs()] == ["00000000.log"]
    assert bench.kinds(0) == ["genesis", "boot"]
    genesis, boot = bench.entries(0)
    assert boot.body is not None
    assert boot.body["clean"] is True
    assert boot.body["last_signed"] == {"seq": 0, "head": genesis.digest.hex()}
    assert (boot.body["torn"], boot.body["leftover"], boot.body["weak"]) == ([], None, None)
    assert journal.recovered.last is None
    assert (journal.next_seq, journal.head) == (2, boot.digest.hex())
    assert journal.next_recording_id() == f"cam-1-{genesis.head.jid[:8]}-2"


def test_a_start_alone_is_durable_down_to_the_folders_name(bench: Bench) -> None:
    bench.run()
    bench.cut()
    assert bench.kinds(0) == ["genesis", "boot"]


def test_nothing_is_written_before_the_first_commit(bench: Bench) -> None:
    start(bench.disk, bench.board, bench.signer)
    assert list((bench.root / "journal").iterdir()) == []


def test_a_first_commit_that_fails_can_be_tried_again(bench: Bench) -> None:
    journal = start(bench.disk, bench.board, bench.signer)
    for operation in ("create", "write", "sync", "rename"):
        bench.disk.fail(operation, "journal/*", errno.ENOSPC)
        with pytest.raises(DiskError, match="the card is full"):
            journal.commit()
    journal.commit()
    assert bench.kinds(0) == ["genesis", "boot"]
    assert bench.signer.signed == 2


def test_entries_are_durable_after_commit_and_not_before(bench: Bench) -> None:
    journal = bench.run()
    journal.append("alert", ALERT)
    journal.commit()
    journal.append("shutdown", {"cause": "switch"})
    bench.cut()
    assert bench.kinds(0) == ["genesis", "boot", "alert"]


def test_a_commit_with_nothing_to_write_writes_nothing(bench: Bench) -> None:
    journal = bench.run()
    bench.disk.fail("write", "*", errno.EIO)
    journal.commit()


def test_the_next_start_says_how_the_last_run_ended(bench: Bench) -> None:
    journal = bench.run()
    last = journal.append("shutdown", {"cause": "switch"})
    journal.commit()
    journal.close()
    bench.board.reboot()
    again = bench.run()
    assert again.recovered.clean
    assert not again.recovered.same_boot
    assert bench.kinds(1) == ["checkpoint", "boot"]
    boot = bench.entries(1)[1].body
    assert boot is not None
    assert (boot["clean"], boot["last_signed"]) == (True, {"seq": 2, "head": last.digest.hex()})
    killed = bench.run()
    assert not killed.recovered.clean
    assert killed.recovered.same_boot
    read_card(bench.root, SIGNER)


def test_a_torn_line_is_named_once_and_never_read(bench: Bench) -> None:
    journal = bench.run()
    journal.append("alert", ALERT)
    journal.commit()
    torn = b'{"body":"'
    with bench.logs()[0].open("ab") as file:
        file.write(torn)
    size = bench.logs()[0].stat().st_size
    bench.run()
    bench.run()
    first, second = bench.entries(1)[1].body, bench.entries(2)[1].body
    assert first is not None
    assert second is not None
    digest = hashlib.sha256(torn).hexdigest()
    offset = size - len(torn)
    assert first["torn"] == [{"file": "journal/00000000.log", "offset": offset, "length": len(torn), "hash": digest}]
    assert second["torn"] == []
    assert bench.logs()[0].stat().st_size == size
    read_card(bench.root, SIGNER)


class KilledError(Exception):
    """The agent's process is ended there; the kernel stays up."""


def test_what_a_killed_agent_wrote_is_durable_before_it_is_built_upon(bench: Bench) -> None:
    """Its lines are whole for the next start, and only in the kernel's memory: a power cut would tear the chain."""
    killed = False

    def kill_before_sync(operation: str, path: str) -> None:
        if killed and operation == "sync":
            raise KilledError

    bench.disk = SimDisk(bench.root, observe=kill_before_sync, flush=lambda descriptor: None)
    journal = bench.run()
    journal.append("alert", ALERT)
    killed = True
    with pytest.raises(KilledError):
        journal.commit()
    killed = False
    bench.run()
    bench.cut()
    assert bench.kinds(0)[-1] == "alert"
    bench.run()
    read_card(bench.root, SIGNER)


def test_a_leftover_is_named_and_replaced(bench: Bench) -> None:
    bench.run()
    (bench.root / "journal" / "next.tmp").write_bytes(b"half")
    bench.run()
    boot = bench.entries(1)[1].body
    assert boot is not None
    assert boot["leftover"] == {"file": "journal/next.tmp", "length": 4, "hash": hashlib.sha256(b"half").hexdigest()}
    assert not (bench.root / "journal" / "next.tmp").exists()


def test_a_run_without_signatures_is_named_weak(bench: Bench) -> None:
    """Another writer's journal: this one signs every entry."""
    journal = bench.run()
    rec = journal.next_recording_id()
    journal.append("recording.start", recording_start(rec))
    journal.append("segment.open", segment_open(rec, 0))
    for n in range(3):
        journal.append("fragment", fragment_body(rec, 0, n, 65_768 + n * 65_552, HASH, HASH, n * 10**9))
    journal.commit()
    log = bench.logs()[0]
    lines = log.read_bytes().splitlines(keepends=True)
    unsigned = [replace(parse_line(line), signature=None).line for line in lines[-2:]]
    log.write_bytes(b"".join([*lines[:-2], *unsigned]))
    bench.run()
    boot = bench.entries(1)[1].body
    assert boot is not None
    assert boot["weak"] == {"first": 5, "last": 6}
    assert boot["last_signed"] == {"seq": 4, "head": parse_line(lines[4]).digest.hex()}


def test_what_is_open_goes_through_starts_and_rotations(bench: Bench) -> None:
    journal = bench.run()
    rec = journal.next_recording_id()
    journal.append("recording.start", recording_start(rec))
    journal.append("segment.open", segment_open(rec, 0))
    journal.append("fragment", fragment_body(rec, 0, 0, 65_768, HASH, "1" * 64, 10**9))
    fill(journal)
    journal.commit()
    assert bench.kinds(1) == ["checkpoint"]
    assert read_again(bench).fragments[0].blob == "1" * 64
    journal.append("fragment", fragment_body(rec, 0, 1, 131_320, HASH, "2" * 64, 2 * 10**9))
    journal.commit()
    last = read_again(bench)
    assert [(each.n, each.end, each.blob) for each in last.fragments] == [
        (0, 131_320, "1" * 64),
        (1, 196_872, "2" * 64),
    ]
    assert last.segments == {}
    (found,) = last.state.open
    assert isinstance(found, OpenRecording)
    assert (found.rec, found.fragments) == (rec, 2)
    again = bench.run()
    assert again.recovered.open == (found,)
    read_card_journal_only(bench)


def fill(journal: Journal) -> None:
    values = {f"value_{number}": "x" * 200 for number in range(16)}
    size = 0
    while size < MAX_FILE_BYTES:
        size += len(journal.append("alert", {"cause": "test", "values": values, "remedy": "none"}).line)


def read_card_journal_only(bench: Bench) -> None:
    """The chain over all files: the segments of these tests have no bytes."""
    entries = [entry for file in range(len(bench.logs())) for entry in bench.entries(file)]
    assert [entry.head.seq for entry in entries] == list(range(len(entries)))
    for before, after in itertools.pairwise(entries):
        assert after.head.prev == before.digest.hex()


class TestFailedWrites:
    """A failed write or fsync: the same signed lines in a new file, once."""

    @pytest.mark.parametrize("operation", ["write", "sync"])
    @pytest.mark.parametrize("kept_bytes", [0, 1, 500, 10**6])
    def test_the_same_lines_go_into_a_new_file(self, bench: Bench, operation: str, kept_bytes: int) -> None:
        journal = bench.run()
        journal.append("alert", ALERT)
        journal.commit()
        journal.append("alert", ALERT)
        journal.append("shutdown", {"cause": "switch"})
        bench.disk.fail(operation, "journal/00000000.log", errno.EIO, kept_bytes=kept_bytes)
        journal.commit()
        assert bench.kinds(1) == ["alert", "shutdown", "checkpoint", "alert"]
        alert = bench.entries(1)[3].body
        assert alert is not None
        assert alert["cause"] == "journal_write_failed"
        values = fields.object_of(alert, "values")
        assert values == {"file": "journal/00000000.log", "problem": "the card failed to read or write"}
        journal.append("alert", ALERT)
        journal.commit()
        assert bench.signer.signed == journal.next_seq
        bench.cut()
        bench.run()
        reading = read_card(bench.root, SIGNER)
        assert [entry.head.kind for entry in reading.entries][3:8] == [
            "alert",
            "shutdown",
            "checkpoint",
            "alert",
            "alert",
        ]

    def test_torn_lines_of_several_failures_are_all_named(self, bench: Bench) -> None:
        journal = bench.run()
        for _ in range(3):
            journal.append("alert", ALERT)
            bench.disk.fail("write", "journal/*.log", errno.EIO, kept_bytes=100)
            journal.commit()
        fill(journal)
        journal.commit()
        assert bench.kinds(-1) == ["checkpoint"]
        bench.run()
        boot = bench.entries(-1)[1].body
        assert boot is not None
        torn = [fields.text_of(each, "file") for each in fields.list_of(boot, "torn") if isinstance(each, dict)]
        assert torn == [f"journal/{path.name}" for path in bench.logs()[:3]]
        bench.run()
        boot = bench.entries(-1)[1].body
        assert boot is not None
        assert boot["torn"] == []
        read_card(bench.root, SIGNER)

    @pytest.mark.parametrize("operation", ["create", "write", "sync", "rename", "sync_folder"])
    def test_a_second_failure_closes_the_journal(self, bench: Bench, operation: str) -> None:
        journal = bench.run()
        journal.append("alert", ALERT)
        bench.disk.fail("sync", "journal/00000000.log", errno.EIO)
        bench.disk.fail(operation, "journal" if operation == "sync_folder" else "journal/next.tmp", errno.ENOSPC)
        with pytest.raises(StoreError, match=r"the card is full, twice; dock"):
            journal.commit()
        with pytest.raises(StoreError, match=r"takes no more entries: it was closed, or a write failed; start"):
            journal.append("alert", ALERT)
        with pytest.raises(StoreError, match="takes no more entries"):
            journal.commit()
        bench.disk.heal()
        bench.cut()
        bench.run()
        read_card(bench.root, SIGNER)

    @pytest.mark.parametrize("operation", ["create", "write", "sync", "rename"])
    def test_a_rotation_that_fails_once_goes_on(self, bench: Bench, operation: str) -> None:
        journal = bench.run()
        fill(journal)
        bench.disk.fail(operation, "journal/next.tmp", errno.EIO)
        journal.commit()
        assert bench.kinds(1) == ["checkpoint", "alert"]
        journal.append("alert", ALERT)
        journal.commit()
        assert bench.signer.signed == journal.next_seq
        bench.run()
        read_card(bench.root, SIGNER)


class TestRefusals:
    """What is not this camera's journal as this agent writes it is not touched."""

    @pytest.fixture
    def written(self, bench: Bench) -> Bench:
        journal = bench.run()
        journal.append("alert", ALERT)
        journal.append("alert", ALERT)
        journal.commit()
        return bench

    def refused(self, bench: Bench, match: str) -> None:
        before = {path: path.read_bytes() for path in (bench.root / "journal").iterdir()}
        with pytest.raises(StoreError, match=match):
            start(bench.disk, bench.board, bench.signer)
        assert {path: path.read_bytes() for path in (bench.root / "journal").iterdir()} == before

    def test_another_camera(self, written: Bench) -> None:
        with pytest.raises(StoreError, match=r"is the journal of camera cam-1, not of cam-2; give the camera"):
            Journal.start(
                written.disk,
                read_again(written),
                written.signer,
                written.board.stamp,
                written.board.random,
                dev="cam-2",
                software="1.0",
                model="m",
                source="s",
            )

    def test_another_certificate(self, written: Bench) -> None:
        written.signer = SeededSigner(seed="other")
        self.refused(written, r"journal/00000000.log: was signed under another certificate")

    @pytest.mark.parametrize(
        ("change", "match"),
        [
            (lambda lines: [lines[0][:-1]], "has no whole line"),
            (lambda lines: [], "has no whole line"),
            (lambda lines: [lines[0], lines[2], lines[3]], "is damaged: seq: 2 where 1 comes next"),
            (lambda lines: [lines[1], lines[2]], "has no whole line, no checkpoint"),
            (
                lambda lines: [*lines[:2], lines[2].replace(b'"seq":2', b'"seq":3'), lines[3]],
                "is damaged: seq: 3 where 2",
            ),
            (lambda lines: [lines[0], lines[1][:50] + b"\n", *lines[2:]], "is damaged: line: 1 columns"),
            (lambda lines: [*lines[:3], b"\n"], "is damaged: line: 1 columns"),
            (lambda lines: [*lines[:2], lines[2].replace(b"\n", b"\r\n"), lines[3]], "is damaged: body"),
        ],
    )
    def test_a_damaged_journal(self, written: Bench, change: object, match: str) -> None:
        assert callable(change)
        log = written.logs()[0]
        log.write_bytes(b"".join(change(log.read_bytes().splitlines(keepends=True))))
        self.refused(written, match)

    def test_a_file_under_another_name(self, written: Bench) -> None:
        written.logs()[0].rename(written.root / "journal" / "00000001.log")
        self.refused(written, "begins with another entry than its name says")

    def test_other_names_in_the_folder_are_nobodys(self, written: Bench) -> None:
        for name in ("notes.txt", "1.log", "000000009.log", "00000009.log.bak"):
            (written.root / "journal" / name).write_bytes(b"x")
        written.run()
        assert (written.root / "journal" / "00000004.log").exists()

    def test_a_lost_key_leaves_the_journal_as_it_was(self, written: Bench) -> None:
        journal = written.run()
        written.signer.lose()
        before = journal.next_seq
        with pytest.raises(SignatureError):
            journal.append("alert", ALERT)
        assert journal.next_seq == before

    def test_an_impossible_entry_leaves_the_journal_as_it_was(self, written: Bench) -> None:
        journal = written.run()
        state = journal.state
        with pytest.raises(FormatError):
            journal.append("recording.start", recording_start("cam-1-00000000-9"))
        with pytest.raises(FormatError):
            journal.append("alert", {"cause": "test"})
        assert journal.state is state
        journal.append("alert", ALERT)
        journal.commit()
        read_card(written.root, SIGNER)

    def test_a_closed_journal_takes_nothing(self, written: Bench) -> None:
        journal = written.run()
        journal.append("alert", ALERT)
        journal.close()
        journal.close()
        with pytest.raises(StoreError):
            journal.commit()
        with pytest.raises(StoreError):
            journal.append("alert", ALERT)
