"""What an honest camera leaves behind when things go wrong is PARTIAL, and each thing is named."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest

from agent.errors import CertificateError
from agent.evidence.read import UnreadableError
from agent.evidence.verdict import Report, Verdict
from agent.evidence.verify import verify
from agent.formats.canonical import Object
from agent.formats.fields import encode_base64
from agent.model import NS_PER_MS, NS_PER_S
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import Builder, OpenSegment, Piece, builder, shift


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False)


@pytest.fixture
def made(agency: TestAgency, tmp_path: Path) -> Builder:
    begun = builder(tmp_path / "data", agency)
    begun.genesis()
    return begun


def check(made: Builder, agency: TestAgency) -> Report:
    return verify(made.write(), agency.root_pem)


def codes(report: Report) -> list[str]:
    """All but the open time bracket, which every journal without tokens has."""
    return [reason.code for reason in report.reasons if reason.code != "bracket"]


def cut_recording(made: Builder, fragments: int = 4) -> OpenSegment:
    """A recording that the power ends."""
    made.start()
    segment = made.open_segment()
    for _ in range(fragments):
        made.fragment(segment)
    made.leave_open(segment)
    return segment


# --- cuts and recovery ------------------------------------------------------------------------------------------------


def test_a_cut_recording_that_was_recovered(made: Builder, agency: TestAgency) -> None:
    segment = cut_recording(made)
    made.restart()
    made.recover(segment, last_n=3)
    made.stop("interrupted")
    report = check(made, agency)
    assert codes(report) == ["recovered"]
    assert report.verdict is Verdict.PARTIAL
    assert report.reasons[0].where == f"segments/{segment.rec}/0000.mp4.age"
    assert "4 of 4 fragments are whole" in report.reasons[0].problem


def test_a_cut_file_shorter_than_its_entries(made: Builder, agency: TestAgency) -> None:
    """The card told that it was durable, and lost a fragment."""
    segment = cut_recording(made)
    made.restart()
    segment.data = segment.data[:-1000]
    made.put(segment)
    made.recover(segment, last_n=2, mismatch_n=3)
    made.stop("interrupted")
    report = check(made, agency)
    assert codes(report) == ["recovered"]
    assert "3 of 4 fragments are whole" in report.reasons[0].problem


def test_a_fragment_that_recovery_found_changed(made: Builder, agency: TestAgency) -> None:
    segment = cut_recording(made)
    made.restart()
    segment.data[-100_000] ^= 1
    made.put(segment)
    made.recover(segment, last_n=1, mismatch_n=2)
    made.stop("interrupted")
    report = check(made, agency)
    assert codes(report) == ["recovered"]
    assert "2 of 4 fragments are whole, from fragment 2 on they were found" in report.reasons[0].problem


def test_a_file_that_recovery_did_not_find(made: Builder, agency: TestAgency) -> None:
    segment = cut_recording(made)
    made.restart()
    segment.path.unlink()
    made.recover(segment, last_n=None, mismatch_n=0)
    made.stop("interrupted")
    report = check(made, agency)
    assert codes(report) == ["recovered"]
    assert "was not there" in report.reasons[0].problem


def test_a_file_that_recovery_could_not_read_to_its_end(made: Builder, agency: TestAgency) -> None:
    segment = cut_recording(made)
    made.restart()
    made.recover(segment, last_n=1, mismatch_n=2, readable=segment.first_offset + 2 * 65_552 + 100)
    made.stop("interrupted")
    assert codes(check(made, agency)) == ["recovered"]
    segment.data[-70_000] ^= 1  # beyond what recovery vouches for
    made.put(segment)
    assert codes(check(made, agency)) == ["recovered"]
    segment.data[segment.first_offset + 10] ^= 1
    made.put(segment)
    assert codes(check(made, agency)) == ["blob", "recovered"]


@pytest.mark.parametrize(("change", "code"), [("flip", "blob-whole"), ("cut", "blob-cut"), ("grow", "blob-grown")])
def test_a_recovered_file_changed_later(made: Builder, agency: TestAgency, change: str, code: str) -> None:
    segment = cut_recording(made)
    made.restart()
    made.recover(segment, last_n=3)
    made.stop("interrupted")
    if change == "flip":
        segment.data[-200_000] ^= 1
    elif change == "cut":
        del segment.data[-1:]
    else:
        segment.data += b"\0"
    made.put(segment)
    report = check(made, agency)
    assert code in codes(report)
    assert report.exit_code(allow_simulated=True) == 1


def test_a_card_pulled_while_recording(made: Builder, agency: TestAgency) -> None:
    segment = cut_recording(made)
    report = check(made, agency)
    assert codes(report) == ["open"]
    segment.data += b"a group whose entries were not durable"
    made.put(segment)
    assert codes(check(made, agency)) == ["open", "unsealed"]
    del segment.data[segment.end - 1 :]
    made.put(segment)
    assert "blob-cut" in codes(check(made, agency))
    assert check(made, agency).exit_code(allow_simulated=True) == 1


def test_a_recording_resumed_after_a_crash_of_the_agent(made: Builder, agency: TestAgency) -> None:
    segment = cut_recording(made)
    made.restart(same_boot=True)
    made.recover(segment, last_n=3)
    made.gap(1500 * NS_PER_MS)
    again = made.open_segment()
    made.fragment(again)
    made.seal(again)
    made.stop()
    assert codes(check(made, agency)) == ["recovered"]


# --- gaps -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing_ms", "found"), [(0, []), (40, []), (41, ["gap"]), (5000, ["gap"])])
def test_footage_missing_without_a_gap_entry(
    made: Builder, agency: TestAgency, missing_ms: int, found: list[str]
) -> None:
    """One frame of 25 is 40 ms."""
    made.start()
    segment = made.open_segment()
    made.fragment(segment)
    made.skip(missing_ms * NS_PER_MS)
    made.fragment(segment)
    made.seal(segment)
    made.stop()
    report = check(made, agency)
    assert codes(report) == found
    assert report.verdict is (Verdict.INVALID if found else Verdict.PARTIAL)


def test_footage_missing_with_a_gap_entry(made: Builder, agency: TestAgency) -> None:
    made.start()
    segment = made.open_segment()
    made.fragment(segment)
    made.gap(5 * NS_PER_S)
    made.fragment(segment)
    made.seal(segment)
    made.stop()
    assert codes(check(made, agency)) == []


def test_a_fragment_that_two_recordings_hold(made: Builder, agency: TestAgency) -> None:
    made.record((2,))
    made.start(press_ns=made.mono_ns + NS_PER_S)
    segment = made.open_segment()
    made.fragment(segment)
    made.seal(segment)
    made.stop()
    report = check(made, agency)
    assert codes(report) == ["twice"]
    assert report.verdict is Verdict.INVALID


# --- the journal's own troubles ---------------------------------------------------------------------------------------


def test_a_torn_line_that_the_next_boot_names(made: Builder, agency: TestAgency) -> None:
    made.record((1,))
    made.tear(b'{"body":"half a li')
    made.restart()
    assert codes(check(made, agency)) == []


def test_a_torn_line_that_no_boot_has_named_yet(made: Builder, agency: TestAgency) -> None:
    made.record((1,))
    made.tear(b'{"body":"half a li')
    report = check(made, agency)
    assert codes(report) == ["torn"]
    assert report.reasons[0].where == "journal/00000000.log"
    assert report.verdict is Verdict.PARTIAL


@pytest.mark.parametrize("change", ["other bytes", "gone", "unnamed"])
def test_a_torn_line_changed_later(made: Builder, agency: TestAgency, change: str) -> None:
    made.record((1,))
    made.tear(b'{"body":"half a li')
    if change == "unnamed":
        made.torn = []
    made.restart()
    if change == "other bytes":
        made.tails[0] = b'{"body":"half a lj'
    elif change == "gone":
        del made.tails[0]
    report = check(made, agency)
    assert set(codes(report)) == {"torn"}
    assert report.verdict is Verdict.INVALID
    assert report.exit_code(allow_simulated=True) == 1


def test_lines_repeated_after_a_failed_write(made: Builder, agency: TestAgency) -> None:
    made.record((1,))
    again = made.files[0][-1]
    made.files.append([again])
    made.tails[0] = b"a failed wri"
    made.append("checkpoint", made.checkpoint())
    assert codes(check(made, agency)) == ["torn"]


def test_a_leftover_without_its_name_is_noted(made: Builder, agency: TestAgency) -> None:
    made.write()
    (made.folder / "journal" / "next.tmp").write_bytes(b"begun")
    report = check(made, agency)
    assert codes(report) == []
    assert "next.tmp" in report.notes[0]
    (made.folder / "journal" / "notes.txt").write_bytes(b"what is this")
    assert codes(check(made, agency)) == ["stranger"]


def test_a_boot_without_its_entry(made: Builder, agency: TestAgency) -> None:
    made.boot += 1
    made.append("shutdown", {"cause": "switch"})
    report = check(made, agency)
    assert "boot" in codes(report)
    assert report.verdict is Verdict.INVALID


def test_a_boot_clock_that_runs_backwards(made: Builder, agency: TestAgency) -> None:
    made.mono_ns -= 10 * NS_PER_MS
    made.append("shutdown", {"cause": "switch"})
    assert codes(check(made, agency)) == ["mono"]


def test_an_older_boot_comes_back(made: Builder, agency: TestAgency) -> None:
    made.restart()
    made.restart()
    made.boot = 1
    made.mono_ns += 100 * NS_PER_S
    made.rotate()
    assert codes(check(made, agency)) == ["boot"]


# --- a camera whose key signs what is not so --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "lie", "code"),
    [
        ("fragment", {"pre": False}, "pre"),
        ("fragment", {"off": 70_000}, "offset"),
        ("fragment", {"n": 1}, "fragment"),
        ("fragment", {"seg": 3}, "segment"),
        ("segment.open", {"policy": "0" * 64}, "policy"),
        ("segment.open", {"seg": 1}, "segment"),
        ("segment.open", {"header": "0" * 64}, "blob-header"),
        ("segment.seal", {"n": 7}, "seal"),
        ("segment.seal", {"size": 1000}, "seal"),
        ("recording.start", {"rec": "cam-01-00000000-3"}, "recording"),
        ("recording.stop", {"fragments": 7}, "stop"),
        ("recording.stop", {"duration_ms": 7}, "stop"),
        ("checkpoint", {"chain": [encode_base64(bytes(100))]}, "checkpoint"),
        ("checkpoint", {"policy": None}, "state"),
    ],
)
def test_what_no_camera_writes(made: Builder, agency: TestAgency, kind: str, lie: Object, code: str) -> None:
    made.lies[kind] = lie
    made.record((2,))
    made.rotate()
    report = check(made, agency)
    assert code in codes(report)
    assert report.verdict is Verdict.INVALID


# --- slow signers -----------------------------------------------------------------------------------------------------


@pytest.fixture
def slow(agency: TestAgency, tmp_path: Path) -> Builder:
    begun = builder(tmp_path / "data", agency, slow_signer=True)
    begun.genesis()
    return begun


def test_unsigned_fragments_that_a_signature_follows(slow: Builder, agency: TestAgency) -> None:
    slow.record((5, 4))
    slow.rotate()
    slow.record((2,))
    assert codes(check(slow, agency)) == []


@pytest.mark.parametrize("same_boot", [False, True])
def test_unsigned_fragments_cut_off_stay_weak(slow: Builder, agency: TestAgency, same_boot: bool) -> None:
    slow.start()
    segment = slow.open_segment()
    slow.fragment(segment)
    first = slow.fragment(segment, signed=False)
    slow.fragment(segment, signed=False)
    slow.leave_open(segment)
    assert codes(check(slow, agency)) == ["open", "weak"]
    slow.restart(same_boot)
    slow.recover(segment, last_n=2)
    slow.stop("interrupted")
    report = check(slow, agency)
    assert sorted(codes(report)) == ["recovered", "weak"]
    weak = next(reason for reason in report.reasons if reason.code == "weak")
    assert weak.where == f"journal/00000000.log entry {first.head.seq}"
    assert "2 entries" in weak.problem


def test_a_boot_that_denies_the_weak_run(slow: Builder, agency: TestAgency) -> None:
    slow.start()
    segment = slow.open_segment()
    slow.fragment(segment, signed=False)
    slow.leave_open(segment)
    slow.unsigned = []
    slow.restart()
    report = check(slow, agency)
    assert [reason.code for reason in report.reasons if reason.verdict is Verdict.INVALID] == ["weak"]


def test_more_than_two_seconds_without_a_signature(slow: Builder, agency: TestAgency) -> None:
    slow.start()
    segment = slow.open_segment()
    for signed in (False, False, False, True):
        slow.fragment(segment, signed=signed)
    slow.seal(segment)
    slow.stop()
    assert codes(check(slow, agency)) == ["late"]


# --- blobs that are elsewhere -----------------------------------------------------------------------------------------


def receipt(made: Builder, rec: str, seg: int, blob: str) -> None:
    made.dock()
    made.said(
        "receipt",
        rec=rec,
        seg=seg,
        blob=blob,
        size=1,
        seal_seq=1,
        seal_head="0" * 64,
        store="test",
        version="1",
        dock_head="0" * 64,
    )


def seal_hash(made: Builder) -> str:
    (entry,) = [each for file in made.files for each in file if each.head.kind == "segment.seal"]
    assert entry.body is not None
    return str(entry.body["blob"])


def test_a_blob_purged_under_a_receipt_is_held_elsewhere(made: Builder, agency: TestAgency) -> None:
    rec = made.record((2,))
    receipt(made, rec, 0, seal_hash(made))
    made.append("purge", {"rec": rec, "seg": 0, "receipt": {"seq": made.last_signed[0], "head": made.last_signed[1]}})
    assert codes(check(made, agency)) == []  # power failed before the file was gone
    shutil.rmtree(made.folder / "segments" / rec)
    report = check(made, agency)
    assert codes(report) == ["elsewhere"]
    assert report.verdict is Verdict.PARTIAL


@pytest.mark.parametrize("wrong", ["no receipt", "of another blob"])
def test_a_blob_purged_without_its_receipt_is_missing(made: Builder, agency: TestAgency, wrong: str) -> None:
    rec = made.record((2,))
    if wrong == "of another blob":
        receipt(made, rec, 0, "0" * 64)
    made.append("purge", {"rec": rec, "seg": 0, "receipt": {"seq": made.last_signed[0], "head": made.last_signed[1]}})
    shutil.rmtree(made.folder / "segments" / rec)
    report = check(made, agency)
    assert set(codes(report)) == {"blob-missing", "erasure"}
    assert report.verdict is Verdict.INCOMPLETE


# --- orphans ----------------------------------------------------------------------------------------------------------


def lay(made: Builder, label: str, data: bytes) -> None:
    path = made.folder / label
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_an_orphan_that_the_journal_names(made: Builder, agency: TestAgency) -> None:
    made.record((1,))
    label = f"segments/{made.dev}-{made.jid[:8]}-{made.seq}/0000.mp4.age"
    lay(made, label, b"written, but its entry never was")
    assert codes(check(made, agency)) == ["unnamed"]
    assert check(made, agency).verdict is Verdict.PARTIAL
    made.restart()
    data = (made.folder / label).read_bytes()
    made.append("orphan", {"file": label, "size": len(data), "hash": hashlib.sha256(data).hexdigest()})
    assert codes(check(made, agency)) == []
    lay(made, label, data[:-1] + b"X")
    assert codes(check(made, agency)) == ["orphan"]
    assert check(made, agency).verdict is Verdict.INVALID


def test_an_orphan_set_aside_after_its_entry(made: Builder, agency: TestAgency) -> None:
    """The entry names the file as it will be called; power may fail before it is."""
    made.record((1,))
    label = f"segments/{made.records[0]}/0001.mp4.age"
    data = b"a segment whose first write failed"
    lay(made, label, data)
    digest = hashlib.sha256(data).hexdigest()
    made.append("orphan", {"file": f"{label}.orphan", "size": len(data), "hash": digest})
    assert codes(check(made, agency)) == []
    (made.folder / label).rename(made.folder / f"{label}.orphan")
    assert codes(check(made, agency)) == []
    lay(made, label, b"somebody else's")
    assert "unnamed" in codes(check(made, agency))


def test_a_file_that_only_a_later_entry_could_name(made: Builder, agency: TestAgency) -> None:
    made.record((1,))
    lay(made, f"segments/{made.dev}-{made.jid[:8]}-{made.seq + 1}/0000.mp4.age", b"where is its entry?")
    assert check(made, agency).verdict is Verdict.INCOMPLETE


def test_withheld_bodies_are_said(made: Builder, agency: TestAgency) -> None:
    made.append("selftest", {"checks": []})
    made.record((2,))
    made.files[0][3] = made.files[0][3].without_body()
    report = check(made, agency)
    assert codes(report) == ["withheld"]
    assert report.verdict is Verdict.PARTIAL


def test_withholding_what_speaks_of_a_blob_does_not_free_it(made: Builder, agency: TestAgency) -> None:
    made.record((3,))
    number = next(index for index, entry in enumerate(made.files[0]) if entry.head.kind == "fragment")
    made.files[0][number] = made.files[0][number].without_body()
    assert check(made, agency).exit_code(allow_simulated=True) == 1


# --- what cannot be checked -------------------------------------------------------------------------------------------


def test_no_folder_no_journal_no_root(agency: TestAgency, tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="gone"):
        verify(tmp_path / "gone", agency.root_pem)
    with pytest.raises(UnreadableError, match="holds no journal"):
        verify(tmp_path, agency.root_pem)
    with pytest.raises(CertificateError):
        verify(tmp_path, b"no certificate")
    camera = (agency.camera_folder() / "camera.pem").read_bytes()
    with pytest.raises(CertificateError, match="agency"):
        verify(tmp_path, camera)


def test_an_empty_journal_file(agency: TestAgency, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / "00000000.log").write_bytes(b"")
    report = verify(tmp_path, agency.root_pem)
    assert report.lines()[0].startswith("INVALID: journal/00000000.log entry 0: the file is empty")


def test_a_certificate_that_had_expired(agency: TestAgency, tmp_path: Path) -> None:
    late = builder(tmp_path / "data", agency)
    late.utc_ms += 40 * 365 * 86_400_000
    late.genesis()
    report = check(late, agency)
    assert report.verdict is Verdict.UNTRUSTED


def test_entries_signed_after_the_certificate_expired(made: Builder, agency: TestAgency) -> None:
    made.utc_ms += 11 * 365 * 86_400_000
    late = made.append("shutdown", {"cause": "switch"})
    report = check(made, agency)
    assert codes(report) == ["validity"]
    assert report.verdict is Verdict.UNTRUSTED
    assert report.reasons[0].where == f"journal/00000000.log entry {late.head.seq}"


def test_a_boot_that_names_another_last_signed_entry(made: Builder, agency: TestAgency) -> None:
    made.record((1,))
    made.last_signed = (2, "0" * 64)
    made.restart()
    report = check(made, agency)
    assert codes(report) == ["last-signed"]
    assert report.verdict is Verdict.INVALID


def test_entries_from_the_future(agency: TestAgency, tmp_path: Path) -> None:
    made = shift(tmp_path / "data", agency)
    assert "future" in codes(verify(made.folder, agency.root_pem, now_ms=agency.now_ms - 86_400_000))
    assert codes(verify(made.folder, agency.root_pem, now_ms=made.utc_ms)) == []


# --- the report -------------------------------------------------------------------------------------------------------


def test_what_the_report_says(agency: TestAgency, tmp_path: Path) -> None:
    made = shift(tmp_path / "data", agency)
    report = verify(made.folder, agency.root_pem)
    text = "\n".join(report.lines())
    assert text.startswith(f"PARTIAL: {made.records[0]}: the time bracket is open")
    assert "key class: file" in text
    assert "not before open, not after open; nobody but the camera says when this was" in text
    assert "NOT PROVEN" in text
    assert "30 entries, 4 blobs" in text
    said = report.as_json()
    assert said["verdict"] == "PARTIAL"
    assert said["camera"] == "cam-01"
    assert [recording.fragments for recording in report.recordings] == [5, 5]
    assert made.records == [recording.rec for recording in report.recordings]


def test_a_reason_of_one_kind_is_listed_once(agency: TestAgency, tmp_path: Path) -> None:
    made = shift(tmp_path / "data", agency)
    shutil.rmtree(made.folder / "segments")
    report = verify(made.folder, agency.root_pem)
    assert codes(report) == ["blob-missing"]
    assert report.reasons[0].more == 3
    assert "and 3 more like it" in report.lines()[0]


def test_pieces_of_a_test_may_have_their_own_length(made: Builder, agency: TestAgency) -> None:
    """Fragments of several chunks and odd durations add up as well."""
    made.record((3,), make=lambda number: Piece(bytes(65_536 * (number + 1)), 24, 960_000_123 + number))
    report = check(made, agency)
    assert codes(report) == []
