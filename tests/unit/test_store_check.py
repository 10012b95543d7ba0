"""What a start says about the run before it: open segments compared, recordings ended, unknown files named."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from agent.errors import DiskError
from agent.formats import age
from agent.formats.canonical import Object
from agent.formats.entries import parse_line
from agent.store.check import RecoveryReport, recover, recover_segment, set_aside
from agent.store.journal import Journal
from agent.store.segments import segment_path
from hw.sim.disk import SimDisk
from tests.support.signer import SeededSigner
from tests.support.store import Board, Camera, CardReading, files_in, read_card, start

SIGNER = SeededSigner()
SEALED = age.SEALED_CHUNK_BYTES


class Bench:
    """A card whose camera was killed in the middle of a recording: one segment with three fragments is open."""

    def __init__(self, root: Path) -> None:
        root.mkdir()
        self.root = root
        self.board = Board()
        self.disk = SimDisk(root, flush=lambda descriptor: None)
        self.camera = Camera(self.disk, self.board, SIGNER, [], {})
        assert recover(self.camera.journal, self.disk) == RecoveryReport(None, None, ())
        self.camera.start_recording()
        self.camera.write(2)
        (found,) = self.camera.journal.state.open
        self.rec = found.rec
        self.path = segment_path(self.rec, 0)
        assert found.open is not None
        self.end = found.open.size

    @property
    def file(self) -> Path:
        return self.root / self.path

    def start(self, *, reboot: bool = True) -> tuple[Journal, RecoveryReport]:
        """The next start of the agent, in another boot unless told otherwise."""
        if reboot:
            self.board.reboot()
        self.disk = SimDisk(self.root, flush=lambda descriptor: None)
        journal = start(self.disk, self.board, SIGNER)
        return journal, recover(journal, self.disk)

    def recovered(self) -> Object:
        reading = self.read()
        (found,) = reading.of("segment.recovered")
        return {key: value for key, value in found.items() if key not in ("salt", "rec", "seg")}

    def read(self) -> CardReading:
        return read_card(self.root, SIGNER)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "data")


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_another_boot_ends_the_recording(bench: Bench) -> None:
    journal, report = bench.start()
    assert report == RecoveryReport(None, bench.rec, ())
    assert journal.state.interrupted == bench.rec
    kinds = [entry.head.kind for entry in bench.read().entries[-4:]]
    assert kinds == ["checkpoint", "boot", "segment.recovered", "recording.stop"]
    (stop,) = bench.read().of("recording.stop")
    assert (stop["cause"], stop["press_ns"], stop["fragments"], stop["duration_ms"]) == ("interrupted", None, 3, 3000)
    whole: Object = {
        "size": bench.end,
        "blob": hash_of(bench.file),
        "last_n": 2,
        "last_end": bench.end,
        "mismatch_n": None,
    }
    assert bench.recovered() == whole
    _, again = bench.start()
    assert again == RecoveryReport(None, None, ())


def test_the_same_boot_goes_on(bench: Bench) -> None:
    journal, report = bench.start(reboot=False)
    assert report.interrupted is None
    assert report.resume is not None
    assert (report.resume.rec, report.resume.segments, report.resume.open) == (bench.rec, 1, None)
    assert journal.state.open == (report.resume,)
    _, again = bench.start(reboot=False)
    assert again.resume == report.resume
    assert len(bench.read().of("segment.recovered")) == 1


def test_bytes_after_the_last_entry_are_found_and_left(bench: Bench) -> None:
    with bench.file.open("ab") as file:
        file.write(b"half a chunk")
    bench.start()
    found = bench.recovered()
    assert (found["size"], found["last_n"], found["last_end"]) == (bench.end + 12, 2, bench.end)
    assert found["blob"] == hash_of(bench.file)


@pytest.mark.parametrize(("fragment", "last_n"), [(0, None), (1, 0), (2, 1)])
def test_a_changed_byte_names_its_fragment(bench: Bench, fragment: int, last_n: int | None) -> None:
    data = bytearray(bench.file.read_bytes())
    data[bench.end - (3 - fragment) * SEALED] ^= 1
    bench.file.write_bytes(data)
    bench.disk = SimDisk(bench.root)
    bench.board.reboot()
    journal = start(bench.disk, bench.board, SIGNER)
    recover(journal, bench.disk)
    found = journal_recovered(bench)
    assert (found["mismatch_n"], found["last_n"]) == (fragment, last_n)
    assert found["last_end"] == (0 if last_n is None else bench.end - (2 - last_n) * SEALED)
    assert (found["size"], found["blob"]) == (bench.end, hash_of(bench.file))


@pytest.mark.parametrize(("short", "mismatch_n"), [(1, 2), (SEALED, 2), (SEALED + 1, 1), (3 * SEALED, 0)])
def test_a_cut_file_names_the_first_fragment_that_is_not_whole(bench: Bench, short: int, mismatch_n: int) -> None:
    bench.file.write_bytes(bench.file.read_bytes()[:-short])
    bench.start()
    found = journal_recovered(bench)
    assert found["mismatch_n"] == mismatch_n
    assert found["last_n"] == (mismatch_n - 1 if mismatch_n else None)


def test_a_missing_file_has_no_hash(bench: Bench) -> None:
    bench.file.unlink()
    bench.start()
    assert journal_recovered(bench) == {"size": 0, "blob": None, "last_n": None, "last_end": 0, "mismatch_n": 0}


def journal_recovered(bench: Bench) -> Object:
    """The entry, where the card is damaged and `read_card` would refuse it."""
    last = sorted((bench.root / "journal").glob("*.log"))[-1]
    for line in last.read_bytes().splitlines(keepends=True):
        entry = parse_line(line)
        if entry.head.kind == "segment.recovered":
            assert entry.body is not None
            return {key: value for key, value in entry.body.items() if key not in ("salt", "rec", "seg")}
    raise AssertionError("no segment.recovered")


def test_a_bad_block_is_no_reason_to_refuse_the_next_recording(bench: Bench) -> None:
    bench.disk = SimDisk(bench.root)
    bench.disk.fail("read", bench.path, errno.EIO)
    bench.board.reboot()
    journal = start(bench.disk, bench.board, SIGNER)
    recover(journal, bench.disk)
    found = bench.recovered()
    assert (found["size"], found["blob"], found["mismatch_n"]) == (0, None, 0)
    (alert,) = bench.read().of("alert")
    assert (alert["cause"], alert["values"]) == (
        "card_read_failed",
        {"file": bench.path, "problem": "the card failed to read or write"},
    )


def test_a_segment_that_failed_in_this_run(bench: Bench) -> None:
    journal = bench.camera.journal
    (found,) = journal.state.open
    recover_segment(journal, bench.disk, found)
    journal.commit()
    assert journal.state.open[0].open is None
    body = bench.recovered()
    assert (body["size"], body["last_n"], body["last_end"], body["mismatch_n"]) == (bench.end, 2, bench.end, None)


def test_a_segment_that_was_just_opened_has_nothing_to_compare(bench: Bench) -> None:
    bench.camera.seal()
    segment = bench.camera.open_segment()
    segment.sync(first=True)
    bench.camera.append_open(segment)
    bench.camera.commit()
    bench.start()
    (found,) = bench.read().of("segment.recovered")
    assert (found["seg"], found["last_n"], found["last_end"], found["mismatch_n"]) == (1, None, 0, None)


class TestOrphans:
    """Files that no entry knows are named once, and their names are free afterwards."""

    def test_the_next_segment_of_an_open_recording(self, bench: Bench) -> None:
        (bench.root / segment_path(bench.rec, 1)).write_bytes(b"no entry")
        _, report = bench.start(reboot=False)
        aside = f"{segment_path(bench.rec, 1)}.orphan"
        assert report.orphans == (aside,)
        assert report.resume is not None
        (orphan,) = bench.read().of("orphan")
        assert (orphan["file"], orphan["size"], orphan["hash"]) == (aside, 8, hash_of(bench.root / aside))
        assert not (bench.root / segment_path(bench.rec, 1)).exists()
        for _ in range(2):
            _, report = bench.start(reboot=False)
            assert report.orphans == ()

    def test_the_same_segment_number_twice(self, bench: Bench) -> None:
        for number, aside in enumerate(("0001.mp4.age.orphan", "0001.mp4.age.1.orphan", "0001.mp4.age.2.orphan")):
            (bench.root / segment_path(bench.rec, 1)).write_bytes(bytes([number]))
            _, report = bench.start(reboot=False)
            assert report.orphans == (f"segments/{bench.rec}/{aside}",)
        assert len(bench.read().of("orphan")) == 3

    def test_a_recording_that_never_started(self, bench: Bench) -> None:
        bench.camera.stop_recording()
        never = bench.root / segment_path(bench.camera.journal.next_recording_id(), 0)
        never.parent.mkdir()
        never.write_bytes(b"never")
        _, report = bench.start()
        assert [Path(each).name for each in report.orphans] == ["0000.mp4.age.orphan"]
        _, again = bench.start()
        assert again.orphans == ()

    @pytest.mark.parametrize("name", ["notes.txt", "1.mp4.age", "0000.mp4", "00000.mp4.age", "a b\udcff"])
    def test_other_names_in_the_folder_of_an_open_recording(self, bench: Bench, name: str) -> None:
        (bench.root / "segments" / bench.rec / name).write_bytes(b"x")
        _, report = bench.start()
        assert report.orphans == (f"segments/{bench.rec}/{name}.orphan",)
        (orphan,) = bench.read().of("orphan")
        assert orphan["file"] == f"segments/{bench.rec}/{name}.orphan".replace("a b\udcff", "a%20b%FF")

    def test_what_is_known_or_older_or_nobodys_is_left(self, bench: Bench) -> None:
        bench.camera.stop_recording()
        bench.start()
        before = [path.name for path in files_in(bench.root / "segments")]
        for folder in ("lost+found", "cam-1-ffffffff-99", bench.rec):
            (bench.root / "segments" / folder).mkdir(exist_ok=True)
            (bench.root / "segments" / folder / "0007.mp4.age").write_bytes(b"old")
        _, report = bench.start()
        assert report.orphans == ()
        assert len(list(files_in(bench.root / "segments"))) == len(before) + 3

    def test_the_writer_makes_room_for_a_new_segment(self, bench: Bench) -> None:
        path = segment_path(bench.rec, 1)
        (bench.root / path).write_bytes(b"in the way")
        bench.camera.seal()
        with pytest.raises(DiskError, match="exists already"):
            bench.camera.write(1, new_segment=True)
        set_aside(bench.camera.journal, bench.disk, path)
        bench.camera.write(1, new_segment=True)
        bench.camera.stop_recording()
        bench.start()
        assert [orphan["file"] for orphan in bench.read().of("orphan")] == [f"{path}.orphan"]

    def test_an_orphan_that_cannot_be_read_keeps_its_name(self, bench: Bench) -> None:
        path = segment_path(bench.rec, 1)
        (bench.root / path).write_bytes(b"bad block")
        bench.disk.fail("read", path, errno.EIO)
        set_aside(bench.camera.journal, bench.disk, path)
        assert (bench.root / path).exists()
        assert bench.camera.journal.state.open
