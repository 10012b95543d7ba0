"""Every forgery on a copy is found and named in the first line; the untouched copy passes before and after."""

from __future__ import annotations

import base64
import hashlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.evidence.verdict import Report, Verdict
from agent.evidence.verify import verify
from agent.formats import entries
from agent.formats.age import CHUNK_BYTES, NONCE_BYTES, Sealer, read_header
from agent.formats.entries import Entry
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import Builder, shift

FIRST_FILE = "journal/00000000.log"
SECOND_FILE = "journal/00000014.log"
THIRD_FILE = "journal/00000017.log"


@dataclass(frozen=True)
class Scene:
    """The untouched folder, another camera's, and the agency of both."""

    agency: TestAgency
    made: Builder
    other: Builder

    def check(self, folder: Path, outside_head: tuple[int, str] | None = None) -> Report:
        return verify(folder, self.agency.root_pem, outside_head=outside_head)

    @property
    def entries(self) -> list[Entry]:
        return [entry for made in self.made.files for entry in made]

    @property
    def blobs(self) -> list[str]:
        folder = self.made.folder
        return sorted(str(path.relative_to(folder)) for path in (folder / "segments").rglob("*.age"))


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """Passes before and after all tests."""
    folder = tmp_path_factory.mktemp("scene")
    agency = make_agency(folder, cameras=("cam-01", "cam-02"))
    made = Scene(agency, shift(folder / "cam-01", agency), shift(folder / "cam-02", agency, "cam-02", seed=2))
    assert_clean(made.check(made.made.folder))
    yield made
    assert_clean(made.check(made.made.folder))


@pytest.fixture
def copy(scene: Scene, tmp_path: Path) -> Path:
    """A copy to forge, which passes until that is done."""
    folder = shutil.copytree(scene.made.folder, tmp_path / "copy")
    assert_clean(scene.check(folder))
    return folder


def assert_clean(report: Report) -> None:
    assert [reason.code for reason in report.reasons] == ["simulated", "bracket"], report.lines()
    assert report.verdict is Verdict.SIMULATED
    assert report.exit_code(allow_simulated=True) == 0
    assert report.exit_code(allow_simulated=False) == 1


def assert_found(report: Report, verdict: str, where: str, *, exactly: bool = True) -> None:
    first = report.lines()[0]
    assert first.startswith(f"{verdict}: {where}: " if exactly else f"{verdict}: {where}"), report.lines()
    assert report.exit_code(allow_simulated=True) == 1


# --- the journal's bytes ----------------------------------------------------------------------------------------------


def journal(folder: Path, name: str = FIRST_FILE) -> list[bytes]:
    return (folder / name).read_bytes().splitlines(keepends=True)


def put(folder: Path, lines: list[bytes], name: str = FIRST_FILE) -> None:
    (folder / name).write_bytes(b"".join(lines))


def flip(data: bytes, offset: int) -> bytes:
    return data[:offset] + bytes([data[offset] ^ 1]) + data[offset + 1 :]


def columns(line: bytes) -> list[bytes]:
    return line[:-1].split(b"\t")


FRAGMENT = 6  # the second fragment of the first segment: entries 5, 6, 7 of the first file


@pytest.mark.parametrize("offset", [0, 8, 40, 200])
def test_a_byte_flipped_in_a_head(scene: Scene, copy: Path, offset: int) -> None:
    lines = journal(copy)
    lines[FRAGMENT] = flip(lines[FRAGMENT], offset)
    put(copy, lines)
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")


def test_a_head_changed_and_well_formed(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    lines[FRAGMENT] = lines[FRAGMENT].replace(b'"err_ms":20', b'"err_ms":10')
    put(copy, lines)
    report = scene.check(copy)
    assert_found(report, "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")
    assert report.reasons[0].code == "signature"


def test_a_byte_flipped_in_a_body(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    lines[FRAGMENT] = lines[FRAGMENT].replace(b'"frames":25', b'"frames":24')
    put(copy, lines)
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")


def test_a_byte_flipped_in_a_signature(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    head, signature, body = columns(lines[FRAGMENT])
    changed = base64.b64encode(flip(base64.b64decode(signature), 20))
    lines[FRAGMENT] = b"\t".join((head, changed, body)) + b"\n"
    put(copy, lines)
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")


def test_a_signature_borrowed_from_another_entry(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    head, _, body = columns(lines[FRAGMENT])
    lines[FRAGMENT] = b"\t".join((head, columns(lines[FRAGMENT + 1])[1], body)) + b"\n"
    put(copy, lines)
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")


@pytest.mark.parametrize("seq", [4, FRAGMENT])
def test_a_signature_stripped(scene: Scene, copy: Path, seq: int) -> None:
    lines = journal(copy)
    head, _, body = columns(lines[seq])
    lines[seq] = b"\t".join((head, b"-", body)) + b"\n"
    put(copy, lines)
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {seq}")


@pytest.mark.parametrize("seq", [1, FRAGMENT, 12])
def test_an_entry_dropped(scene: Scene, copy: Path, seq: int) -> None:
    lines = journal(copy)
    del lines[seq]
    put(copy, lines)
    report = scene.check(copy)
    assert_found(report, "INVALID", f"{FIRST_FILE} entry {seq + 1}")
    assert f"entries {seq} to {seq} before it are missing" in report.lines()[0]


def test_the_last_entry_of_a_file_dropped(scene: Scene, copy: Path) -> None:
    put(copy, journal(copy)[:-1])
    assert_found(scene.check(copy), "INCOMPLETE", f"{SECOND_FILE} entry 14")


def test_an_entry_doubled(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    put(copy, [*lines[: FRAGMENT + 1], *lines[FRAGMENT:]])
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")


def test_two_entries_swapped(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    lines[FRAGMENT], lines[FRAGMENT + 1] = lines[FRAGMENT + 1], lines[FRAGMENT]
    put(copy, lines)
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {FRAGMENT + 1}")


def test_duplicate_keys(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    lines[FRAGMENT] = lines[FRAGMENT].replace(b'"kind":"fragment"', b'"kind":"fragment","kind":"fragment"', 1)
    put(copy, lines)
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")


def test_duplicate_keys_in_a_body_whose_hash_was_adapted(scene: Scene, copy: Path) -> None:
    """The head is not signed any more then, but the reader refuses the line before it comes to that."""
    lines = journal(copy)
    head, signature, body = columns(lines[FRAGMENT])
    doubled = body.replace(b'"frames":25', b'"frames":25,"frames":24')
    head = head.replace(hashlib.sha256(body).hexdigest().encode(), hashlib.sha256(doubled).hexdigest().encode())
    lines[FRAGMENT] = b"\t".join((head, signature, doubled)) + b"\n"
    put(copy, lines)
    report = scene.check(copy)
    assert_found(report, "INVALID", f"{FIRST_FILE} entry {FRAGMENT}")
    assert "json" in report.lines()[0]


def test_crlf(scene: Scene, copy: Path) -> None:
    put(copy, [line[:-1] + b"\r\n" for line in journal(copy)])
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry 0")


def test_the_head_of_the_log_cut(scene: Scene, copy: Path) -> None:
    put(copy, journal(copy)[3:])
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry 0")


def test_the_first_file_of_the_log_taken_out(scene: Scene, copy: Path) -> None:
    (copy / FIRST_FILE).unlink()
    report = scene.check(copy)
    assert_found(report, "INCOMPLETE", "segments/", exactly=False)
    assert "start" in [reason.code for reason in report.reasons]


def test_a_file_of_the_log_taken_out(scene: Scene, copy: Path) -> None:
    (copy / SECOND_FILE).unlink()
    assert_found(scene.check(copy), "INCOMPLETE", f"{THIRD_FILE} entry 17")


def test_two_journals_spliced(scene: Scene, copy: Path) -> None:
    lines = journal(copy)
    other = journal(scene.other.folder)
    put(copy, [*lines[:8], *other[8:]])
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry 8")


def test_another_cameras_journal(scene: Scene, copy: Path) -> None:
    shutil.rmtree(copy / "journal")
    shutil.copytree(scene.other.folder / "journal", copy / "journal")
    report = scene.check(copy)
    assert_found(report, "INCOMPLETE", f"segments/{scene.other.records[0]}/0000.mp4.age")
    assert "unnamed" in [reason.code for reason in report.reasons]


def test_another_journal_of_the_same_camera_spliced(scene: Scene, copy: Path, tmp_path: Path) -> None:
    again = shift(tmp_path / "again", scene.agency, seed=7)
    put(copy, [*journal(copy)[:8], *journal(again.folder)[8:]])
    assert_found(scene.check(copy), "INVALID", f"{FIRST_FILE} entry 8")


def test_two_histories_of_one_journal(scene: Scene, copy: Path, tmp_path: Path) -> None:
    """A restored card image goes on under the same jid: both halves are signed well."""
    restored = shift(tmp_path / "restored", scene.agency)
    put(copy, journal(restored.folder))
    report = scene.check(copy)
    found = [(reason.verdict, reason.where) for reason in report.reasons if reason.code == "prev"]
    assert found == [(Verdict.FORK, f"{SECOND_FILE} entry 14")], report.lines()


# --- the tail ---------------------------------------------------------------------------------------------------------


def test_the_tail_cut_is_found_with_an_outside_head(scene: Scene, copy: Path) -> None:
    last = scene.entries[-1]
    head = (last.head.seq, last.digest.hex())
    assert_clean(scene.check(copy, head))
    name = THIRD_FILE
    put(copy, journal(copy, name)[:1], name)
    report = scene.check(copy, head)
    assert_found(report, "INCOMPLETE", "segments/", exactly=False)
    assert any(reason.code == "outside-head" for reason in report.reasons)


def test_a_clean_tail_cut_shows_only_against_an_outside_head(scene: Scene, copy: Path) -> None:
    last = scene.entries[-1]
    shutil.rmtree(copy / "segments" / scene.made.records[1])
    name = THIRD_FILE
    put(copy, journal(copy, name)[:2], name)
    assert_clean(scene.check(copy))  # said in NOT PROVEN
    report = scene.check(copy, (last.head.seq, last.digest.hex()))
    assert_found(report, "INCOMPLETE", f"{name} entry 18")
    assert f"the outside head is of entry {last.head.seq}" in report.lines()[0]


def test_another_history_than_the_outside_head(scene: Scene, copy: Path) -> None:
    assert_found(scene.check(copy, (17, "0" * 64)), "FORK", f"{THIRD_FILE} entry 17")


# --- the blobs --------------------------------------------------------------------------------------------------------


def blob_bytes(folder: Path, label: str) -> bytes:
    return (folder / label).read_bytes()


@pytest.mark.parametrize("part", ["stanza", "mac", "nonce", "init", "fragment", "last chunk"])
def test_a_byte_flipped_in_a_blob(scene: Scene, copy: Path, part: str) -> None:
    label = scene.blobs[0]
    data = blob_bytes(copy, label)
    header = len(read_header(data).raw)
    places = {"stanza": 60, "mac": header - 5, "nonce": header + 3, "init": header + 16 + 100}
    places |= {"fragment": header + 16 + 70_000, "last chunk": len(data) - 1}
    (copy / label).write_bytes(flip(data, places[part]))
    report = scene.check(copy)
    assert_found(report, "INVALID", label)
    codes = {"init": "blob", "fragment": "blob", "last chunk": "blob-whole"}
    assert report.reasons[0].code == codes.get(part, "blob-header")


def test_a_blob_removed(scene: Scene, copy: Path) -> None:
    (copy / scene.blobs[1]).unlink()
    assert_found(scene.check(copy), "INCOMPLETE", scene.blobs[1])


@pytest.mark.parametrize("left", [0, 10, 5000, -1, -70_000])
def test_a_blob_cut(scene: Scene, copy: Path, left: int) -> None:
    label = scene.blobs[1]
    (copy / label).write_bytes(blob_bytes(copy, label)[:left] if left else b"")
    report = scene.check(copy)
    assert report.exit_code(allow_simulated=True) == 1
    assert f": {label}: " in report.lines()[0]
    assert any(reason.code == "blob-cut" for reason in report.reasons)


def test_a_blob_grown(scene: Scene, copy: Path) -> None:
    label = scene.blobs[0]
    (copy / label).write_bytes(blob_bytes(copy, label) + b"\0")
    assert_found(scene.check(copy), "INVALID", label)


def test_two_blobs_swapped(scene: Scene, copy: Path) -> None:
    first, second = copy / scene.blobs[0], copy / scene.blobs[1]
    one, two = first.read_bytes(), second.read_bytes()
    first.write_bytes(two)
    second.write_bytes(one)
    assert_found(scene.check(copy), "INVALID", scene.blobs[0])


def test_a_blob_replaced_by_another_encryption_to_the_same_recipients(scene: Scene, copy: Path) -> None:
    label = scene.blobs[0]
    data = blob_bytes(copy, label)
    header = len(read_header(data).raw)
    chunks = (len(data) - header - NONCE_BYTES) // (CHUNK_BYTES + 16)
    sealer = Sealer(scene.made.recipients)
    out = bytearray(chunks * (CHUNK_BYTES + 16))
    sealer.seal(bytes(chunks * CHUNK_BYTES), memoryview(out))
    (copy / label).write_bytes(sealer.header + sealer.nonce + out + sealer.finish(b"index"))
    assert len(blob_bytes(copy, label)) == len(data)
    report = scene.check(copy)
    assert_found(report, "INVALID", label)
    assert "another encryption" in report.lines()[0]


def test_a_recording_taken_out(scene: Scene, copy: Path) -> None:
    rec = scene.made.records[1]
    shutil.rmtree(copy / "segments" / rec)
    assert_found(scene.check(copy), "INCOMPLETE", f"segments/{rec}/0000.mp4.age")


def test_a_file_that_the_journal_does_not_name(scene: Scene, copy: Path) -> None:
    extra = copy / "segments" / "cam-01-00000000-900" / "0000.mp4.age"
    extra.parent.mkdir()
    extra.write_bytes(b"anything")
    assert_found(scene.check(copy), "INCOMPLETE", "segments/cam-01-00000000-900/0000.mp4.age")


def test_a_blob_that_is_a_link(scene: Scene, copy: Path) -> None:
    label = scene.blobs[0]
    (copy / label).rename(copy / "elsewhere")
    (copy / label).symlink_to(copy / "elsewhere")
    assert_found(scene.check(copy), "INVALID", label)


# --- who --------------------------------------------------------------------------------------------------------------


def test_another_agency_is_not_trusted(scene: Scene, copy: Path, tmp_path: Path) -> None:
    stranger = make_agency(tmp_path, agency="stranger", seed="stranger")
    report = verify(copy, stranger.root_pem)
    assert_found(report, "UNTRUSTED", f"{FIRST_FILE} entry 0")
    assert "role" not in [reason.code for reason in report.reasons]


def test_entries_signed_by_somebody_else_of_the_agency(scene: Scene, tmp_path: Path) -> None:
    """A whole journal, well made, but of a certificate with another id."""
    forged = shift(tmp_path / "forged", scene.agency, "cam-02", seed=3)
    lines = journal(forged.folder)
    own = journal(scene.made.folder)
    put(forged.folder, [own[0], *lines[1:]])
    assert scene.check(forged.folder).verdict is Verdict.INVALID


def test_a_real_camera_is_not_simulated(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, simulated=False, seed="real")
    made = shift(tmp_path / "data", agency)
    report = verify(made.folder, agency.root_pem)
    assert [reason.code for reason in report.reasons] == ["bracket"]
    assert report.verdict is Verdict.PARTIAL
    assert report.exit_code(allow_simulated=False) == 0


# --- any byte ---------------------------------------------------------------------------------------------------------


def _change(data: bytes, draw: Callable[[st.SearchStrategy[int]], int]) -> bytes:
    kind = draw(st.integers(0, 3))
    offset = draw(st.integers(0, len(data) - 1))
    if kind == 0:
        return flip(data, offset)
    if kind == 1:
        return data[:offset]
    if kind == 2:
        return data[:offset] + bytes([draw(st.integers(0, 255))]) + data[offset:]
    end = min(len(data), offset + draw(st.integers(1, 3000)))
    return data[:offset] + data[end:]


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_changed_byte_passes_and_nothing_raises(
    scene: Scene, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("fuzz") / "copy"
    shutil.copytree(scene.made.folder, folder)
    names = [FIRST_FILE, SECOND_FILE, THIRD_FILE, *scene.blobs]
    name = data.draw(st.sampled_from(names))
    original = (folder / name).read_bytes()
    changed = _change(original, data.draw)
    (folder / name).write_bytes(changed)
    report = scene.check(folder)
    shutil.rmtree(folder)
    if changed == original:
        assert_clean(report)
        return
    codes = {reason.code for reason in report.reasons} - {"simulated", "bracket"}
    assert codes, report.lines()


def test_parse_is_what_was_written(scene: Scene) -> None:
    """The oracle's own bytes are canonical: what it writes, the reader reads back."""
    assert all(entries.parse_line(entry.line) == entry for entry in scene.entries)
