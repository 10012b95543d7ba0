"""What docks said inside a journal, and a journal whose beginning was trimmed under a dock's ack."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.evidence.verdict import Report, Verdict
from agent.evidence.verify import verify
from agent.formats.canonical import Value
from agent.formats.fields import encode_base64
from firmware.certificates import Issued
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import Builder, builder

HOLD: dict[str, Value] = {"rec": "cam-01-01234567-3", "until": None}


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False)


@pytest.fixture
def made(agency: TestAgency, tmp_path: Path) -> Builder:
    begun = builder(tmp_path / "data", agency)
    begun.genesis()
    return begun


def check(made: Builder) -> Report:
    return verify(made.write(), made.agency.root_pem)


def codes(report: Report) -> list[str]:
    return [reason.code for reason in report.reasons if reason.code != "bracket"]


def chain_of(*issued: Issued) -> list[Value]:
    return [encode_base64(each.certificate.public_bytes(Encoding.DER)) for each in issued]


# --- statements -------------------------------------------------------------------------------------------------------


def test_statements_of_the_dock_that_was_there(made: Builder) -> None:
    made.dock()
    made.said("hold", **HOLD)
    made.append("undock", {"session": "0" * 32, "dock": "dock-01", "beacon": None})
    made.dock("dock-02", "1" * 32)
    made.said("hold", "dock-02", session="1" * 32, **HOLD)
    assert codes(check(made)) == []
    made.said("hold", **HOLD)
    assert codes(check(made)) == ["statement"]  # dock-01 again, whose session is over


def test_a_statement_in_a_config_entry_is_checked_too(made: Builder, agency: TestAgency) -> None:
    made.dock()
    common: dict[str, Value] = {"dev": made.dev, "jid": made.jid, "dseq": 1, "hash": "0" * 64, "values": {}}
    made.append("config", {"hash": "0" * 64, **agency.says("config", "dock-01", **common)})
    assert codes(check(made)) == []
    said = agency.says("config", "dock-01", **{**common, "dseq": 2, "session": "1" * 32})
    made.append("config", {"hash": "0" * 64, **said})
    assert codes(check(made)) == ["statement"]


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ({"session": "1" * 32}, "its session is"),
        ({"jid": "1" * 32}, "its jid is"),
        ({"dev": "cam-02"}, "its dev is"),
        ({"dock": "dock-02"}, "its dock is dock-02, not dock-01"),
        ({"agency": "other"}, "statement: agency: is other"),
    ],
)
def test_a_statement_for_somebody_else(made: Builder, own: dict[str, str], problem: str) -> None:
    made.dock()
    entry = made.said("hold", **{**HOLD, **own})
    report = check(made)
    assert codes(report) == ["statement"]
    assert report.verdict is Verdict.INVALID
    assert report.reasons[0].where.endswith(f"entry {entry.head.seq}")
    assert problem in report.reasons[0].problem


def test_a_statement_that_another_key_signed(made: Builder) -> None:
    """The same id, and a good certificate, but not the one of the dock that was there."""
    other = made.agency.issue("dock", "dock-01")
    made.append("dock", {"session": "0" * 32, "dock": "dock-01", "beacon": None, "chain": chain_of(other)})
    made.said("hold", **HOLD)
    report = check(made)
    assert codes(report) == ["statement"]
    assert "the signature is not of this key" in report.reasons[0].problem


@pytest.mark.parametrize(
    ("kind", "name", "problem"),
    [
        ("camera", "dock-01", "not of the kind dock"),
        ("dock", "dock-02", "its certificate is of urn:temoin:dock:dock-02, not of dock dock-01"),
    ],
)
def test_a_dock_entry_with_the_certificate_of_somebody_else(made: Builder, kind: str, name: str, problem: str) -> None:
    chain = chain_of(made.agency.issue(kind, name))
    made.append("dock", {"session": "0" * 32, "dock": "dock-01", "beacon": None, "chain": chain})
    made.said("hold", **HOLD)
    report = check(made)
    assert codes(report) == ["dock", "statement"]
    assert report.verdict is Verdict.INVALID
    assert problem in report.reasons[0].problem


def test_a_dock_of_another_agency(made: Builder, tmp_path: Path) -> None:
    other = make_agency(tmp_path, simulated=False, seed="other")
    chain = chain_of(other.dock())
    made.append("dock", {"session": "0" * 32, "dock": "dock-01", "beacon": None, "chain": chain})
    assert codes(check(made)) == ["dock"]


def test_a_statement_without_a_dock(made: Builder) -> None:
    made.said("hold", **HOLD)
    report = check(made)
    assert codes(report) == ["statement"]
    assert report.verdict is Verdict.INVALID


def test_a_number_that_does_not_rise(made: Builder) -> None:
    made.dock()
    made.said("hold", **HOLD)
    made.dseq["dock-01"] = 0
    made.said("hold", **HOLD)
    assert codes(check(made)) == ["state"]


# --- trimmed ----------------------------------------------------------------------------------------------------------


def trimmed(made: Builder, **changes: Value) -> Builder:
    """A shift, received and purged; then a second file, in which the first one's trim stands."""
    made.record((2,))
    made.dock()
    acknowledged = made.acknowledge()
    made.rotate()
    last = made.seq - 2
    made.record((1,))
    ack = made.acknowledge() if not changes.pop("old_ack", False) else acknowledged
    made.append("trim", {"first": 0, "last": last, "ack": ack.body, **changes})
    made.write()
    (made.folder / "journal" / "00000000.log").unlink()
    for blob in (made.folder / "segments" / made.records[0]).iterdir():
        blob.unlink()
    del made.files[0]
    return made


def test_a_trimmed_journal_is_partial(made: Builder) -> None:
    report = check(trimmed(made))
    assert codes(report) == ["trimmed"]
    assert report.verdict is Verdict.PARTIAL
    assert report.role == f"urn:temoin:camera:{made.dev}"
    assert any("its dock entry is not here" in note for note in report.notes)


def test_a_trim_whose_files_are_still_there(made: Builder) -> None:
    """The entry is durable first; power may fail before the files are gone."""
    made.dock()
    made.rotate()
    made.append("trim", {"first": 0, "last": made.seq - 2, "ack": made.acknowledge().body})
    assert codes(check(made)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"last": 3}, ["start"]),
        ({"first": 1}, ["trim", "start"]),
        ({"ack": {"seq": 5, "head": "0" * 64}}, ["start"]),
        ({"ack": {"seq": 25, "head": "0" * 64}}, ["trim", "start"]),
        ({"last": 10_000}, ["trim", "start"]),
        ({"old_ack": True}, ["start"]),
    ],
)
def test_a_trim_that_does_not_account_for_what_is_missing(
    made: Builder, changes: dict[str, Value], expected: list[str]
) -> None:
    assert codes(check(trimmed(made, **changes))) == expected


def test_a_journal_that_begins_in_the_middle_of_a_file(made: Builder) -> None:
    trimmed(made)
    file = made.files[0]
    del file[0]
    (path,) = (made.folder / "journal").iterdir()
    path.unlink()
    report = check(made)
    assert "certificate" in codes(report)
    assert report.verdict is Verdict.UNTRUSTED


def test_a_trimmed_journal_is_folded_from_its_checkpoint_on(made: Builder) -> None:
    made.lies["checkpoint"] = {"dseq": [{"dock": "dock-01", "dseq": 7}]}
    trimmed(made)
    assert "state" not in codes(check(made))
    made.said("hold", **HOLD)
    assert "state" in codes(check(made))


# --- a dock's copy ----------------------------------------------------------------------------------------------------


def mark_as_copy(made: Builder) -> None:
    made.write()
    (made.folder / "ARCHIVE").write_text("copy")


def test_a_copy_has_no_torn_lines_of_its_camera(made: Builder) -> None:
    made.tear(b"half a line")
    made.restart()
    assert codes(check(made)) == []
    made.tails.clear()
    assert codes(check(made)) == ["torn"]
    mark_as_copy(made)
    assert codes(check(made)) == []


def test_a_copy_that_was_cut_off_at_its_end(made: Builder) -> None:
    """One in the middle is what a failed write of the dock left: the same lines follow, whole."""
    made.rotate()
    made.tails[0] = b"half a line"
    mark_as_copy(made)
    assert codes(check(made)) == []
    made.tails[1] = b"half a line"
    report = check(made)
    assert (codes(report), report.verdict) == (["torn"], Verdict.PARTIAL)


def test_in_a_copy_no_receipt_excuses_a_missing_blob(made: Builder) -> None:
    rec = made.record((2,))
    made.dock()
    blob = next(e.body["blob"] for file in made.files for e in file if e.head.kind == "segment.seal" and e.body)
    stored: dict[str, Value] = {"seal_seq": 1, "seal_head": "0" * 64, "store": "s", "version": "1", "size": 1}
    entry = made.said("receipt", rec=rec, seg=0, blob=blob, dock_head="0" * 64, **stored)
    receipt: dict[str, Value] = {"seq": entry.head.seq, "head": entry.digest.hex()}
    made.append("purge", {"rec": rec, "seg": 0, "receipt": receipt})
    (made.folder / "segments" / rec / "0000.mp4.age").unlink()
    assert codes(check(made)) == ["elsewhere"]
    mark_as_copy(made)
    report = check(made)
    assert (codes(report), report.verdict) == (["blob-missing"], Verdict.INCOMPLETE)
