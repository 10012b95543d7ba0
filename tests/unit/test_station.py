"""The station's rules: what a camera is told, and what is in the archive when it is told."""

from __future__ import annotations

import contextlib
import errno
import hashlib
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from agent.evidence.verify import verify
from agent.formats.entries import parse_line as parse_entry
from agent.formats.fields import ZERO_HASH
from agent.formats.statement import Statement, parse_line
from dock.blobs import BlobError, ConflictError
from dock.lines import RefusedError
from tests.support.agency import TestAgency, make_agency
from tests.support.dock import NOTHING, SESSION, Bench, all_entries, blob_of, names, one, position
from tests.support.evidence import Builder, builder, shift


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), cameras=("cam-01", "cam-02"), simulated=False)


@pytest.fixture
def bench(agency: TestAgency, tmp_path: Path) -> Bench:
    made = Bench(tmp_path, agency)
    made.start()
    return made


@pytest.fixture
def camera(agency: TestAgency, tmp_path: Path) -> Builder:
    made = builder(tmp_path / "camera", agency)
    made.genesis()
    made.record((2, 1))
    return made


def test_a_whole_docking(bench: Bench, camera: Builder, agency: TestAgency) -> None:
    said = bench.ask(camera, nonce="1" * 32)
    assert names(said) == ["beacon", "ack", "policy"]
    assert said[0].value["nonce"] == "1" * 32
    assert position(said[1]) == NOTHING
    entries = all_entries(camera)
    said = bench.send(camera, entries)
    assert position(said[0]) == (entries[-1].head.seq, entries[-1].digest.hex())
    assert names(said) == ["ack", "ticket", "ticket"]
    first = bench.upload(camera, said[1])
    assert names(first) == ["receipt"]
    assert names(bench.upload(camera, said[2])) == ["receipt"]
    receipt = first[0].value
    assert (receipt["seg"], receipt["blob"]) == (0, said[1].value["blob"])
    assert bench.tick() == []
    report = verify(bench.root / "archive" / "cam-01", agency.root_pem)
    assert [each.code for each in report.reasons] == ["bracket"]
    assert [path.name for path in (bench.root / "archive" / "cam-01" / "journal").iterdir()] == ["00000000.log"]
    assert one(said, "ack").value["dseq"] < receipt["dseq"]  # type: ignore[operator]  # both are integers


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_a_status_is_answered_each_time_and_an_ack_comes_once(bench: Bench, camera: Builder) -> None:
    assert names(bench.ask(camera)) == ["beacon", "ack", "policy"]
    said = bench.ask(camera, nonce="2" * 32)
    assert names(said) == ["beacon"]
    assert (said[0].value["nonce"], said[0].value["head"]) == ("2" * 32, all_entries(camera)[-1].digest.hex())
    assert names(bench.ask(camera, "3" * 32)) == ["beacon", "ack", "policy"]


def test_a_session_that_is_over_does_not_come_back(bench: Bench, camera: Builder) -> None:
    bench.ask(camera, "1" * 32)
    bench.ask(camera, "2" * 32)
    assert bench.ask(camera, "1" * 32) == []
    assert bench.ask(camera, "1" * 32, state="gone") == []
    assert list(bench.station.docked) == ["cam-01"]
    assert bench.ask(camera, "2" * 32, state="gone") == []
    assert list(bench.station.docked) == []
    assert bench.ask(camera, "2" * 32) == []
    assert bench.send(camera, all_entries(camera)) == []
    assert not (bench.root / "archive" / "cam-01").exists()


def test_the_policy_is_sent_unless_the_journal_names_it(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    bench.send(camera, all_entries(camera))
    assert names(bench.ask(camera, "2" * 32))[:2] == ["beacon", "ack"]
    assert "policy" not in names(bench.ask(camera, "3" * 32))
    camera.append("policy", {"hash": "0" * 64, "version": 99})
    bench.send(camera, all_entries(camera))
    assert "policy" in names(bench.ask(camera, "4" * 32))


def test_another_journal_inside_a_session(bench: Bench, camera: Builder, agency: TestAgency, tmp_path: Path) -> None:
    other = builder(tmp_path / "other", agency, seed=2)
    other.genesis()
    bench.ask(camera)
    assert bench.ask(other) == []
    assert bench.send(other, all_entries(other)) == []
    assert causes(bench) == ["jid_changed", "lines"]
    assert not (bench.root / "archive" / "cam-01").exists()


# --- journal ----------------------------------------------------------------------------------------------------------


def causes(bench: Bench) -> list[str]:
    """Of the alerts and refusals in the dock's own journal."""
    found = [entry for kind in ("alert", "refused") for entry in bench.own_entries(kind)]
    return [str(entry.body["cause"]) for entry in sorted(found, key=lambda each: each.head.seq) if entry.body]


def test_again_and_overlapping_and_with_a_hole(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    entries = all_entries(camera)
    assert position(bench.send(camera, entries[3:6])[0]) == NOTHING
    for begin, end, last in ((0, 4, 3), (0, 4, 3), (2, 7, 6), (0, 5, 6), (9, 12, 6), (7, 8, 7)):
        assert position(bench.send(camera, entries[begin:end])[0]) == (last, entries[last].digest.hex())
    lines = (bench.root / "archive" / "cam-01" / "journal" / "00000000.log").read_bytes()
    assert lines == b"".join(entry.line for entry in entries[:8])
    assert causes(bench) == []


def test_a_batch_of_acks_only_is_not_acknowledged(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    camera.dock("dock-01", SESSION)
    bench.send(camera, all_entries(camera))
    before = len(all_entries(camera))
    camera.acknowledge()
    assert "ack" not in names(bench.send(camera, all_entries(camera)[before:]))
    assert "ack" not in names(bench.send(camera, all_entries(camera)[before:]))
    assert position(bench.ask(camera, "2" * 32)[1])[0] == before


def test_lines_of_nobody_leave_an_entry_and_nothing_else(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    entries = all_entries(camera)
    bench.send(camera, entries[:3])
    forged = [*entries[3:5], entries[5].with_signature(b"0" * 70)]
    assert bench.send(camera, forged) == []
    assert bench.send(camera, forged) == []
    assert causes(bench) == ["lines"]
    assert bench.station.counts["refused"] == 2
    assert position(bench.send(camera, entries[3:4])[0])[0] == 3


def test_other_bytes_under_an_old_number_are_a_fork_only_if_the_camera_signed_them(
    bench: Bench, camera: Builder, agency: TestAgency, tmp_path: Path
) -> None:
    bench.ask(camera)
    bench.send(camera, all_entries(camera))
    rival = all_entries(branch(camera, agency, tmp_path, 2))[3:]
    assert bench.send(camera, [rival[0].with_signature(b"0" * 70)]) == []
    assert causes(bench) == ["lines"]
    assert not bench.archive.is_forked("cam-01")
    assert bench.send(camera, rival[:1]) == []
    assert causes(bench) == ["lines", "fork"]


@pytest.mark.parametrize("operation", ["write", "sync"])
def test_after_a_failed_write_the_same_lines_go_into_a_new_file(
    bench: Bench, camera: Builder, operation: str, agency: TestAgency
) -> None:
    """The process goes on: what it wrote into the old file counts for nothing, though some of it may be there."""
    bench.ask(camera)
    entries = all_entries(camera)
    bench.send(camera, entries[:4])
    bench.disk.fail(operation, "*.log", errno.EIO, kept_bytes=len(entries[4].line) + 10)
    assert bench.send(camera, entries[4:]) == []
    assert position(bench.send(camera, entries[4:])[0])[0] == entries[-1].head.seq
    assert causes(bench) == ["archive"]
    files = sorted((bench.root / "archive" / "cam-01" / "journal").iterdir())
    assert [path.name for path in files] == ["00000000.log", "00000004.log"]
    assert files[0].read_bytes().count(b"\n") == 5
    assert {each.code for each in verify(files[0].parent.parent, agency.root_pem).reasons} == {
        "bracket",
        "blob-missing",
    }
    bench.power_cut()
    bench.start()
    assert position(bench.ask(camera, "2" * 32)[1])[0] == entries[-1].head.seq


def test_a_new_file_at_each_checkpoint(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    made = shift(tmp_path / "camera", agency)
    bench.ask(made)
    bench.send(made, all_entries(made)[:5])
    bench.send(made, all_entries(made)[5:])
    own, copy = (folder / "journal" for folder in (made.folder, bench.root / "archive" / "cam-01"))
    assert [path.name for path in sorted(copy.iterdir())] == [path.name for path in sorted(own.iterdir())]
    for path in own.iterdir():
        assert (copy / path.name).read_bytes() == path.read_bytes()


def test_a_camera_whose_beginning_was_trimmed(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    made = shift(tmp_path / "camera", agency)
    begin = made.files[1][0].head.seq
    bench.ask(made, low=begin)
    said = bench.send(made, all_entries(made)[begin:])
    assert position(said[0])[0] == all_entries(made)[-1].head.seq
    assert bench.send(made, all_entries(made)) == []
    assert causes(bench) == ["lines"]


def test_a_batch_that_overtook_the_first_one(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    """It begins with a checkpoint, as a trimmed journal would."""
    made = shift(tmp_path / "camera", agency)
    bench.ask(made)
    begin = made.files[1][0].head.seq
    assert position(bench.send(made, all_entries(made)[begin:])[0]) == NOTHING
    assert position(bench.send(made, all_entries(made)[:begin])[0])[0] == begin - 1


def test_the_reserve_is_for_the_dock(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    entries = all_entries(camera)
    said = bench.send(camera, entries[:6])
    bench.reserve_bytes = 1000
    bench.start()
    bench.ask(camera, "2" * 32)
    bench.disk.say_free(999)
    assert bench.send(camera, entries[6:]) == []
    assert causes(bench) == ["archive"]
    bench.disk.say_free(None)
    said = bench.send(camera, entries[6:])
    assert names(said) == ["ack", "ticket", "ticket"]
    bench.disk.say_free(10_000)
    assert names(bench.tick(601)) == []
    assert "archive_full" in causes(bench)


# --- forks and other journals -----------------------------------------------------------------------------------------


def branch(camera: Builder, agency: TestAgency, tmp_path: Path, at: int) -> Builder:
    """The same card, restored to the state after entry `at`, and used again."""
    other = builder(tmp_path / "restored", agency)
    other.genesis()
    assert at == 2
    other.append("selftest", {"checks": []})
    other.append("shutdown", {"cause": "switch"})
    assert [entry.line for entry in all_entries(other)[:3]] == [entry.line for entry in all_entries(camera)[:3]]
    return other


@pytest.mark.parametrize("archived", [4, 3])
def test_a_fork(bench: Bench, camera: Builder, agency: TestAgency, tmp_path: Path, archived: int) -> None:
    other = branch(camera, agency, tmp_path, 2)
    bench.ask(camera)
    bench.send(camera, all_entries(camera)[:archived])
    said = bench.send(other, all_entries(other))
    if archived == 3:  # the other is the first to come: then the camera's own lines are the second history
        assert names(said) == ["ack"]
        said = bench.send(camera, all_entries(camera))
    assert said == []
    assert causes(bench) == ["fork"]
    (place,) = (bench.root / "archive" / "cam-01").glob("fork-*")
    assert place.name.startswith(f"fork-{camera.jid[:8]}-3-")
    kept = (place / "00000003.log").read_bytes()
    rival = all_entries(other) if archived > 3 else all_entries(camera)
    assert kept == b"".join(entry.line for entry in rival[3:])


def test_a_camera_with_a_fork_is_refused_until_somebody_decides(
    bench: Bench, camera: Builder, agency: TestAgency, tmp_path: Path
) -> None:
    other = branch(camera, agency, tmp_path, 2)
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    assert bench.send(other, all_entries(other)) == []
    for _ in range(2):
        assert bench.ask(camera, "2" * 32) == []
        assert bench.send(camera, all_entries(camera)) == []
        assert bench.tick(100) == []
        with pytest.raises(RefusedError):
            bench.upload(camera, said[1])
        bench.start()
    assert bench.archive.settle("cam-01") != []
    assert names(bench.ask(camera, "3" * 32))[:2] == ["beacon", "ack"]
    assert bench.send(other, all_entries(other)) == []
    assert names(bench.ask(camera, "3" * 32))[:1] == ["beacon"]
    assert "settled_fork" in causes(bench)
    report = verify(bench.root / "archive" / "cam-01", agency.root_pem)
    assert {each.code for each in report.reasons} == {"bracket", "blob-missing"}


def test_another_journal_of_the_same_camera(bench: Bench, camera: Builder, agency: TestAgency, tmp_path: Path) -> None:
    other = shift(tmp_path / "other", agency, seed=2)
    for session, made in (("1" * 32, camera), ("2" * 32, other), ("3" * 32, camera), ("4" * 32, other)):
        bench.ask(made, session)
        tickets = bench.send(made, all_entries(made))
        while tickets:
            tickets = [new for each in tickets if each.name == "ticket" for new in bench.upload(made, each)]
        bench.start()
    assert causes(bench) == ["another_journal"]
    for folder in ("cam-01", f"cam-01.{other.jid[:8]}"):
        report = verify(bench.root / "archive" / folder, agency.root_pem)
        assert [each.code for each in report.reasons] == ["bracket"]


# --- blobs ------------------------------------------------------------------------------------------------------------


def test_a_camera_that_asks_again_has_its_open_tickets_again(bench: Bench, camera: Builder) -> None:
    """A broker that died may have lost them; without this the next ones come when the old ones run out."""
    bench.ask(camera)
    before = [key(each) for each in bench.send(camera, all_entries(camera)) if each.name == "ticket"]
    again = bench.ask(camera, nonce="1" * 32)
    assert names(again) == ["beacon", "ticket", "ticket"]
    assert [key(each) for each in again if each.name == "ticket"] == before


def test_two_tickets_at_a_time_oldest_first_and_again_when_they_ran_out(bench: Bench, camera: Builder) -> None:
    camera.record((1, 1, 1))
    camera.write()
    bench.ask(camera)
    said = [each for each in bench.send(camera, all_entries(camera)) if each.name == "ticket"]
    counts = zip(camera.records, (2, 3), strict=True)
    first, second, *later = [(rec, seg) for rec, count in counts for seg in range(count)]
    assert [key(each) for each in said] == [first, second]
    assert said[0].value["url"] == f"https://dock-01.test:8443/blobs/{first[0]}/{first[1]:04d}"
    assert bench.tick(500) == []
    again = bench.upload(camera, said[1])
    assert names(again) == ["ticket", "receipt"]
    assert key(again[0]) == later[0]
    assert [key(each) for each in bench.tick(150) if each.name == "ticket"] == [first]
    bench.now(10_000)
    with pytest.raises(RefusedError, match="has no ticket"):
        bench.upload(camera, said[0])


def key(said: Statement) -> tuple[object, object]:
    return said.value["rec"], said.value["seg"]


def test_a_receipt_is_said_until_the_camera_journals_it(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    receipt = bench.upload(camera, said[1])[0]
    seal = next(entry for entry in all_entries(camera) if entry.head.kind == "segment.seal")
    assert (receipt.value["seal_seq"], receipt.value["seal_head"]) == (seal.head.seq, seal.digest.hex())
    assert bench.tick(59) == []
    assert names(bench.tick(1)) == ["receipt"]
    assert "receipt" in names(bench.ask(camera, "2" * 32))
    bench.start()
    assert "receipt" in names(bench.ask(camera, "3" * 32))
    camera.dock("dock-01", "3" * 32)
    own = {name: receipt.value[name] for name in ("rec", "seg", "blob", "size", "seal_seq", "seal_head", "dock_head")}
    camera.said("receipt", session="3" * 32, store="dock-01", version="1", **own)
    bench.send(camera, all_entries(camera))
    assert "receipt" not in names(bench.ask(camera, "4" * 32)) + names(bench.tick(100))


def test_a_docking_anew_has_its_receipt_at_once_and_no_ticket(bench: Bench, camera: Builder) -> None:
    """What is in the archive is not sent again, and nobody waits a minute for the word that it is there."""
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    (first,) = [each for each in bench.upload(camera, said[1]) if each.name == "receipt"]
    bench.ask(camera, state="gone", nonce="1" * 32)
    again = bench.ask(camera, "2" * 32, nonce="2" * 32)
    assert [key(each) for each in again if each.name == "receipt"] == [key(first)]
    assert key(first) not in [key(each) for each in again if each.name == "ticket"]


@pytest.mark.parametrize(("seconds", "said"), [(10, True), (49, True), (50, False), (59, False)])
def test_a_question_that_comes_early_has_what_may_be_lost_said_again(
    bench: Bench, camera: Builder, seconds: int, said: bool
) -> None:
    """A camera asks each minute when it hears the dock. Sooner means that a connection or an answer was lost."""
    bench.ask(camera)
    asked = bench.seconds
    tickets = bench.send(camera, all_entries(camera))
    bench.upload(camera, tickets[1])
    bench.catalogue.order("cam-01", "hold", {"rec": str(key(tickets[1])[0]), "until": None}, bench.now(0).utc_ms)
    assert names(bench.tick(0)) == ["hold"]
    bench.now(asked + seconds - 1 - bench.seconds)
    again = names(bench.ask(camera, nonce="1" * 32))
    assert ("receipt" in again, "hold" in again) == (said, said)
    assert "receipt" not in names(bench.ask(camera, nonce="1" * 32)), "the same message once more"


def test_a_session_goes_on_after_a_lost_connection(bench: Bench, camera: Builder) -> None:
    """The will of a connection that broke ends the session at the dock, and the camera is still there."""
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    bench.upload(camera, said[1])
    assert bench.ask(camera, nonce="1" * 32, state="gone") == []
    assert list(bench.station.docked) == []
    assert bench.ask(camera, nonce="0" * 32) == [], "a replay"
    again = bench.ask(camera, nonce="2" * 32)
    assert names(again)[0] == "beacon"
    assert {"receipt", "ticket"} <= set(names(again))
    assert list(bench.station.docked) == ["cam-01"]
    bench.ask(camera, "2" * 32, nonce="3" * 32)
    assert bench.ask(camera, nonce="4" * 32) == [], "another one has followed"


def test_a_blob_that_is_here_is_compared_for_its_own_camera_only(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    bench.upload(camera, said[1])
    rec, size = str(key(said[1])[0]), len(blob_of(camera, str(key(said[1])[0]), 0))
    with pytest.raises(RefusedError, match="is not this camera's to send"):
        bench.station.open_upload("cam-02", rec, 0, size, bench.now())
    bench.station.open_upload("cam-01", rec, 0, size, bench.now()).abort()


def test_an_upload_again_has_its_receipt_again(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    assert names(bench.upload(camera, said[1])) == ["receipt"]
    assert names(bench.upload(camera, said[1])) == ["receipt"]
    with pytest.raises(ConflictError):
        bench.upload(camera, said[1], bytes(len(blob_of(camera, str(key(said[1])[0]), 0))))


def test_bytes_of_another_blob_three_times_and_no_ticket_in_this_session(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    (first, second) = [each for each in bench.send(camera, all_entries(camera)) if each.name == "ticket"]
    junk = bytes(len(blob_of(camera, str(key(first)[0]), 0)))
    for _ in range(3):
        upload = bench.station.open_upload("cam-01", str(key(first)[0]), 0, len(junk), bench.now())
        upload.write(junk)
        with pytest.raises(BlobError) as caught:
            upload.finish()
        bench.station.on_upload_failed(upload.blob, caught.value, bench.now())
    assert causes(bench) == ["blob"]
    bench.upload(camera, second)
    assert "ticket" not in names(bench.tick(601))
    assert key(one(bench.ask(camera, "2" * 32), "ticket")) == key(first)


@pytest.mark.parametrize("problem", ["of another camera", "unknown", "another size", "not docked"])
def test_who_may_not_upload(bench: Bench, camera: Builder, problem: str) -> None:
    bench.ask(camera)
    rec, seg = key(bench.send(camera, all_entries(camera))[1])
    size = len(blob_of(camera, str(rec), 0))
    dev = "cam-02" if problem == "of another camera" else "cam-01"
    if problem == "not docked":
        bench.ask(camera, state="gone")
    assert isinstance(seg, int)
    with pytest.raises(RefusedError):
        bench.station.open_upload(
            dev, str(rec), 7 if problem == "unknown" else seg, size + (problem == "another size"), bench.now()
        )
    assert causes(bench) == ["upload"]
    assert list((bench.root / "archive").rglob("*.tmp")) == []


def test_a_blob_that_the_archive_lost_is_asked_for_again(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    bench.upload(camera, said[1])
    (path,) = (bench.root / "archive").rglob("*.age")
    path.unlink()
    bench.start()
    assert key(said[1]) in [key(each) for each in bench.ask(camera, "2" * 32) if each.name == "ticket"]


def test_a_damaged_blob_is_no_receipt(bench: Bench, camera: Builder) -> None:
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    bench.upload(camera, said[1])
    (path,) = (bench.root / "archive").rglob("*.age")
    path.write_bytes(bytes(path.stat().st_size))
    bench.start()
    assert "receipt" not in names(bench.ask(camera, "2" * 32))
    assert causes(bench) == ["blob_damaged"]


@pytest.mark.parametrize("readable", [None, 0, 5_000])
def test_a_segment_that_the_camera_cannot_read_is_told_and_asked_for_never(
    bench: Bench, camera: Builder, readable: int | None
) -> None:
    """`None`: the file is there, and empty."""
    camera.start()
    segment = camera.open_segment()
    camera.put(segment)
    if readable is None:
        segment.path.write_bytes(b"")
    camera.recover(segment, None, readable=readable)
    camera.stop("interrupted")
    bench.ask(camera)
    said = bench.send(camera, all_entries(camera))
    while said:
        assert (segment.rec, segment.seg) not in [key(each) for each in said if each.name == "ticket"]
        said = [new for each in said if each.name == "ticket" for new in bench.upload(camera, each)]
    assert causes(bench) == ["segment_unreadable"]
    (alert,) = bench.own_entries("alert")
    assert alert.body is not None
    assert alert.body["values"] == {
        "dev": "cam-01",
        "rec": segment.rec,
        "seg": segment.seg,
        "size": readable or 0,
        "segments": 1,
    }


# --- whatever comes ---------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 40), st.integers(1, 12)),
        st.tuples(st.just("replay"), st.integers(0, 40), st.integers(1, 12)),
        st.tuples(st.sampled_from(["ask", "gone"]), st.integers(0, 3), st.just(0)),
        st.tuples(st.sampled_from(["upload", "tick", "restart", "kill"]), st.integers(0, 9), st.just(0)),
    ),
    max_size=16,
)


@pytest.fixture(scope="module")
def veteran(agency: TestAgency, tmp_path_factory: pytest.TempPathFactory) -> Builder:
    return shift(tmp_path_factory.mktemp("veteran"), agency)


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(steps=STEPS)
def test_whatever_comes_again_late_or_never(
    tmp_path_factory: pytest.TempPathFactory, agency: TestAgency, veteran: Builder, steps: list[tuple[str, int, int]]
) -> None:
    """Batches in any order, sessions that come back, restarts: an ack is true, a receipt is true, and in the end all of
    it is there, once.
    """
    bench = Bench(tmp_path_factory.mktemp("any"), agency)
    bench.start()
    entries = all_entries(veteran)
    tickets: list[Statement] = []
    for step, first, count in steps:
        said: list[Statement] = []
        if step in ("send", "replay"):
            said = bench.send(veteran, entries[first % len(entries) :][:count])
        elif step in ("ask", "gone"):
            said = bench.ask(veteran, f"{first}" * 32, state="gone" if step == "gone" else "docked")
        elif step == "tick":
            said = bench.tick(first * 100)
        elif step == "upload" and tickets:
            with contextlib.suppress(RefusedError):
                said = bench.upload(veteran, tickets[first % len(tickets)])
        elif step in ("restart", "kill"):
            if step == "kill":
                bench.power_cut()
            bench.start()
        tickets += [each for each in said if each.name == "ticket"]
        check_all_told(bench)
    said = bench.ask(veteran, "e" * 32)
    said += bench.send(veteran, entries)
    while waiting := [each for each in said if each.name == "ticket"]:
        said = [new for each in waiting for new in bench.upload(veteran, each)]
    check_all_told(bench)
    folder = bench.root / "archive" / "cam-01"
    assert [each.code for each in verify(folder, agency.root_pem).reasons] == ["bracket"]
    assert causes(bench) == []


def check_all_told(bench: Bench) -> None:
    """Acks are of entries that lie there, receipts of blobs that lie there, numbers rise."""
    told = [parse_line(each.payload) for each in bench.told]
    numbers = [each.value["dseq"] for each in told if each.name != "policy"]
    assert numbers == sorted(set(numbers))  # type: ignore[type-var]  # they are integers
    heads = {ZERO_HASH}
    for path in (bench.root / "archive").rglob("*.log"):
        heads |= {parse_entry(line + b"\n").digest.hex() for line in path.read_bytes().split(b"\n")[:-1]}
    for each in told:
        if each.name == "ack":
            assert each.value["head"] in heads
        elif each.name == "receipt":
            path = bench.root / "archive" / "cam-01" / "segments" / str(each.value["rec"])
            data = (path / f"{each.value['seg']:04d}.mp4.age").read_bytes()
            assert hashlib.sha256(data).hexdigest() == each.value["blob"]


# --- its own journal --------------------------------------------------------------------------------------------------


def test_the_docks_own_journal_verifies_under_its_role(bench: Bench, camera: Builder, agency: TestAgency) -> None:
    bench.ask(camera)
    tickets = [each for each in bench.send(camera, all_entries(camera)) if each.name == "ticket"]
    for each in tickets:
        bench.upload(camera, each)
    bench.journal.refuse("status", {"problem": "nonsense"}, "see_log")
    bench.start()
    report = verify(bench.root / "data", agency.root_pem)
    assert [each.code for each in report.reasons] == ["bracket"], report.lines()
    assert (report.layout, report.role, report.camera) == ("dock", "urn:temoin:dock:dock-01", "dock-01")
    assert "dock dock-01, role urn:temoin:dock:dock-01" in "\n".join(report.lines())
    assert report.exit_code(allow_simulated=False) == 0
