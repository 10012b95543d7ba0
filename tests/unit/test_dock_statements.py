"""The dock's numbers and its own journal: none comes twice, whatever ends a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agent.errors import FormatError
from agent.formats.fields import integer_of, text_of
from agent.keys import verify_statement
from agent.model import NS_PER_S, Stamp, TimeSource
from dock.journal import DockJournal
from dock.statements import BLOCK, Addressee, Author
from dock.trouble import Troubles
from tests.support.agency import TestAgency, make_agency, seeded_random
from tests.support.dock import IssuedSigner, SimArchiveDisk

TO = Addressee("cam-01", "0" * 32, "1" * 32)
HOLD = {"rec": "cam-01-01234567-9", "until": None}


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False)


@pytest.fixture
def disk(tmp_path: Path) -> SimArchiveDisk:
    (tmp_path / "data").mkdir()
    return SimArchiveDisk(tmp_path / "data", flush=lambda descriptor: None)


def start(disk: SimArchiveDisk, agency: TestAgency, run: int = 1) -> tuple[DockJournal, Author]:
    signer = IssuedSigner(agency.dock())
    stamp = Stamp(agency.now_ms, 5, TimeSource.RTC, run * NS_PER_S, "00000000-0000-4000-8000-000000000001")
    journal = DockJournal.start(disk, signer, lambda: stamp, seeded_random(str(run)), dock="dock-01", software="1.0")
    return journal, Author(journal, signer, agency.agency, "dock-01")


def number(author: Author) -> int:
    return integer_of(author.say("hold", TO, 0, **HOLD).value, "dseq")


def test_a_statement_is_signed_for_its_camera(disk: SimArchiveDisk, agency: TestAgency) -> None:
    _, author = start(disk, agency)
    said = author.say("hold", TO, agency.now_ms, **HOLD)
    verify_statement(said, (agency.dock().certificate,), agency.root, "hold", agency.now_ms)
    assert [said.value[key] for key in ("dev", "jid", "session", "dock")] == [TO.dev, TO.jid, TO.session, "dock-01"]
    assert text_of(said.value, "utc") == "2026-01-01T08:00:00.000Z"
    with pytest.raises(FormatError):
        author.say("hold", TO, agency.now_ms, rec="../x", until=None)


def test_numbers_rise_over_restarts(disk: SimArchiveDisk, agency: TestAgency) -> None:
    found = []
    for run in range(1, 5):
        journal, author = start(disk, agency, run)
        found += [number(author) for _ in range(3)]
        if run == 2:
            journal.alert("test", {"text": "a\nb" + "x" * 300}, "none")
        if run == 3:
            journal.shut_down()
    assert found == sorted(set(found))


def test_a_block_that_is_used_up(disk: SimArchiveDisk, agency: TestAgency) -> None:
    """Another entry names the next one; where there is none, one is made."""
    journal, author = start(disk, agency)
    first = number(author)
    author._used = BLOCK - 1
    last = number(author)
    assert last == first - first % BLOCK + BLOCK - 1
    before = journal.next_seq
    assert number(author) > last
    assert journal.next_seq == before + 1
    author._used = BLOCK
    journal.alert("test", {}, "none")
    before = journal.next_seq
    assert number(author) == (before - 1) * BLOCK
    assert journal.next_seq == before
    _, author = start(disk, agency, 2)
    assert number(author) > (before - 1) * BLOCK


def test_every_kind_of_statement_fits_into_the_journal(disk: SimArchiveDisk, agency: TestAgency) -> None:
    journal, author = start(disk, agency)
    journal.record(author.say("hold", TO, 0, **HOLD))
    journal.record(author.say("config", TO, 0, hash="0" * 64, values={"language": "fr"}))
    span = {"from": "2026-01-01T08:00:00.000Z", "until": "2026-01-01T18:00:00.000Z"}
    journal.record(author.say("assign", TO, 0, wearer="a" * 32, service="jour", sector="centre", **span))
    head = journal.head
    disk.power_cut()
    again, _ = start(SimArchiveDisk(disk._root, flush=lambda descriptor: None), agency, 2)
    assert again.next_seq == journal.next_seq + 2
    assert head != again.head


def test_a_trouble_is_an_entry_once_a_minute(disk: SimArchiveDisk, agency: TestAgency) -> None:
    journal, _ = start(disk, agency)
    counts: Counter[str] = Counter()
    troubles, before = Troubles(journal, counts), journal.next_seq
    for second in (0, 30, 59, 60, 61, 120):
        troubles.refuse("cam-01", "lines", second * NS_PER_S, {})
    assert journal.next_seq == before + 3
    troubles.refuse("cam-02", "lines", 0, {})
    troubles.alert("cam-01", "fork", 0, {"seq": 4}, "decide_about_fork")
    assert journal.next_seq == before + 5
    assert counts == {"refused": 7, "alerts": 1}
