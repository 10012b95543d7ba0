"""The catalogue follows from the archive: made again it is the same, and its migrations make its tables."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from agent.errors import FormatError
from agent.formats.canonical import Object, Value
from dock.catalogue import Catalogue, CatalogueError
from dock.tables import Base, JournalRow, RecordingRow, SegmentRow
from tests.support.agency import TestAgency, make_agency
from tests.support.dock import SESSION, Bench, all_entries, empty_catalogue, names
from tests.support.evidence import Builder, builder

SPAN = {"from": "2026-01-01T08:00:00.000Z", "until": "2026-01-01T18:00:00.000Z"}
ASSIGN: dict[str, Value] = {"wearer": "a" * 32, "service": "jour", "sector": "centre", **SPAN}


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), cameras=("cam-01", "cam-02"), simulated=False)


@pytest.fixture
def bench(agency: TestAgency, tmp_path: Path) -> Bench:
    made = Bench(tmp_path, agency)
    made.start()
    return made


def camera(agency: TestAgency, folder: Path, dev: str = "cam-01", seed: int = 1) -> Builder:
    made = builder(folder, agency, dev, seed=seed)
    made.genesis()
    made.record((1, 2))
    made.dock("dock-01", SESSION)
    return made


def dump(catalogue: Catalogue) -> list[dict[str, object]]:
    """All that follows from the archive, in a fixed order: what two catalogues are compared by."""
    with Session(catalogue.engine) as session:
        rows: list[JournalRow | RecordingRow | SegmentRow] = [
            *session.scalars(select(JournalRow).order_by(JournalRow.dev, JournalRow.jid)),
            *session.scalars(select(RecordingRow).order_by(RecordingRow.rec)),
            *session.scalars(select(SegmentRow).order_by(SegmentRow.rec, SegmentRow.seg)),
        ]
        return [{column.name: getattr(row, column.name) for column in row.__table__.columns} for row in rows]


def bring(bench: Bench, made: Builder, at_once: int = 9, uploads: int = 99, session: str = SESSION) -> None:
    """Dock, send everything, upload some."""
    entries = all_entries(made)
    waiting = bench.ask(made, session)
    for begin in range(0, len(entries), at_once):
        waiting += bench.send(made, entries[begin : begin + at_once])
    tickets = [each for each in waiting if each.name == "ticket"]
    for ticket in tickets[:uploads]:
        tickets += [each for each in bench.upload(made, ticket) if each.name == "ticket"]


def test_migrations_make_the_tables(tmp_path: Path) -> None:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path}/catalogue.sqlite")
    with catalogue.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), Base.metadata) == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    catalogue.close()
    Catalogue.open(f"sqlite:///{tmp_path}/catalogue.sqlite").close()


def test_a_database_that_refuses(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError):
        Catalogue.open(f"sqlite:///{tmp_path}/no/such/folder.sqlite")
    (tmp_path / "junk.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(CatalogueError):
        Catalogue.open(f"sqlite:///{tmp_path}/junk.sqlite")


@pytest.mark.parametrize("uploads", [0, 1, 99])
def test_made_again_it_is_the_same(bench: Bench, agency: TestAgency, tmp_path: Path, uploads: int) -> None:
    first, second = camera(agency, tmp_path / "1"), camera(agency, tmp_path / "2", "cam-02")
    again = camera(agency, tmp_path / "3", seed=2)
    for session, made in (("1" * 32, first), ("2" * 32, second), ("3" * 32, again)):
        made.said("hold", session=SESSION, rec=made.records[0], until=None)
        made.write()
        bring(bench, made, uploads=uploads, session=session)
        bench.ask(made, session, state="gone")
    live = dump(bench.catalogue)
    assert len(live) == 3 + 3 + 6
    assert sum(row.get("stored") is True for row in live) == 3 * min(uploads, 2)
    rebuilt = empty_catalogue()
    rebuilt.rebuild(bench.archive, bench.blobs)
    assert dump(rebuilt) == live
    bench.catalogue.rebuild(bench.archive, bench.blobs)
    assert dump(bench.catalogue) == live


def test_however_many_entries_come_at_once(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    """Rows are asked for together: what a batch says twice, or of what it began itself, is the same one by one."""
    made = camera(agency, tmp_path / "1")
    rec = made.records[0]
    seals = [entry for entry in all_entries(made) if entry.head.kind == "segment.seal"]
    for entry in (seals[0], seals[1], seals[0]):
        assert entry.body is not None
        sealed: dict[str, Value] = {name: entry.body[name] for name in ("seg", "blob", "size")}
        where: dict[str, Value] = {"seal_seq": entry.head.seq, "seal_head": entry.digest.hex(), "dock_head": "0" * 64}
        received = made.said("receipt", session=SESSION, rec=rec, store="archive", version="1", **sealed, **where)
        receipt: dict[str, Value] = {"seq": received.head.seq, "head": received.digest.hex()}
        made.append("purge", {"rec": rec, "seg": sealed["seg"], "receipt": receipt})
        made.append(
            "segment.seal", {**{name: entry.body[name] for name in ("rec", "seg", "n", "size")}, "blob": "0" * 64}
        )
    made.said("hold", session=SESSION, rec=rec, until=None)
    made.said("assign", session=SESSION, **ASSIGN)
    tail = bench.archive.append(made.dev, made.jid, all_entries(made))
    dumps, left = [], []
    for at_once in (1, 2, 7, len(all_entries(made))):
        catalogue = empty_catalogue()
        for order in (ASSIGN, {**ASSIGN, "wearer": "b" * 32}):
            catalogue.order("cam-01", "assign", order, 0)
        catalogue.order("cam-01", "hold", {"rec": rec, "until": None}, 0)
        for begin in range(0, tail.seq + 1, at_once):
            entries = all_entries(made)[begin : begin + at_once]
            catalogue.catch_up(bench.archive, replace(tail, seq=entries[-1].head.seq), entries)
        dumps.append(dump(catalogue))
        left.append([(order.name, order.value["wearer"]) for order in catalogue.orders("cam-01")])
    assert dumps == dumps[:1] * len(dumps)
    assert left == [[("assign", "b" * 32)]] * len(dumps)
    segments = [row for row in dumps[0] if "seal_seq" in row]
    assert [(row["blob"], row["receipt_seq"] is None, row["purge_seq"] is None) for row in segments] == [
        (entry.body["blob"], False, False) for entry in seals if entry.body is not None
    ]


def test_what_a_recording_is(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    made = camera(agency, tmp_path / "1")
    bring(bench, made)
    (recording,) = [row for row in dump(bench.catalogue) if "stop_cause" in row]
    assert recording["rec"] == made.records[0]
    assert (recording["fragments"], recording["duration_ms"], recording["stop_cause"]) == (3, 3000, "hold")
    assert str(recording["start_utc"]).startswith("2026-01-01T08:00:1")
    assert (recording["held"], recording["held_until"], recording["wearer"]) == (False, None, None)


def test_nobody_speaks_of_the_recordings_of_others(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    """A camera's key can sign what it likes; a ticket for another camera's blob comes of none of it."""
    made, victim = camera(agency, tmp_path / "1"), camera(agency, tmp_path / "2", "cam-02")
    bring(bench, victim)
    before = dump(bench.catalogue)
    for lie in ({"rec": victim.records[0]}, {"rec": "cam-01-00000000-3"}):
        made.lies = dict.fromkeys(("recording.start", "recording.stop", "segment.seal"), lie)
        made.record((1,))
    made.lies = {"segment.seal": {"size": 2**40}}
    made.record((1,))
    made.lies = {}
    made.said("hold", session=SESSION, rec=victim.records[0], until=None)
    made.append("purge", {"rec": victim.records[0], "seg": 0, "receipt": {"seq": 1, "head": "0" * 64}})
    bring(bench, made)
    own = [row for row in dump(bench.catalogue) if row["dev"] == "cam-02"]
    assert own == before
    sealed = [row for row in dump(bench.catalogue) if "seal_seq" in row and row["dev"] == "cam-01"]
    assert {row["rec"] for row in sealed} == {made.records[0]}


# --- orders -----------------------------------------------------------------------------------------------------------


def test_an_order_is_said_until_the_camera_has_it(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    made = camera(agency, tmp_path / "1")
    bench.ask(made)
    bench.catalogue.order("cam-01", "assign", {**ASSIGN, "wearer": "b" * 32}, 0)
    bench.catalogue.order("cam-01", "assign", ASSIGN, 0)
    bench.catalogue.order("cam-02", "assign", ASSIGN, 0)
    said = bench.tick()
    assert names(said)[-1] == "assign"
    assert said[-1].value["wearer"] == "a" * 32
    assert [entry.head.kind for entry in bench.own_entries("assign")] == ["assign"]
    assert "assign" not in names(bench.tick(100))
    made.said("assign", session=SESSION, **ASSIGN)
    bench.send(made, all_entries(made))
    assert bench.catalogue.orders("cam-01") == []
    assert len(bench.catalogue.orders("cam-02")) == 1
    assert "assign" not in names(bench.ask(made, "2" * 32))


def test_an_assignment_is_for_the_docking_in_which_it_was_ordered(
    bench: Bench, agency: TestAgency, tmp_path: Path
) -> None:
    made = camera(agency, tmp_path / "1")
    bench.catalogue.order("cam-01", "assign", ASSIGN, 0)  # while it was out
    assert "assign" not in names(bench.ask(made))
    bench.catalogue.order("cam-01", "assign", ASSIGN, 0)
    assert "assign" in names(bench.tick())
    assert "assign" not in names(bench.ask(made, "2" * 32))  # it may have left with it: now that shift is over
    assert "assign" not in names(bench.tick(100))
    assert bench.catalogue.orders("cam-01") == []


def test_an_order_that_was_not_heard_is_said_again_to_who_asks_again_and_at_the_next_docking(
    bench: Bench, agency: TestAgency, tmp_path: Path
) -> None:
    made = camera(agency, tmp_path / "1")
    bench.ask(made)
    bench.catalogue.order("cam-01", "hold", {"rec": made.records[0], "until": None}, 0)
    assert names(bench.tick()) == ["hold"]
    assert "hold" in names(bench.ask(made, nonce="2" * 32))  # at once: an answer was lost
    assert "hold" in names(bench.ask(made, "3" * 32))


@pytest.mark.parametrize(
    ("name", "value"),
    [("ack", {"seq": 1, "head": "0" * 64}), ("hold", {"rec": "x", "until": None}), ("assign", {"wearer": "a" * 32})],
)
def test_an_order_that_cannot_be_said(bench: Bench, name: str, value: Object) -> None:
    with pytest.raises(FormatError):
        bench.catalogue.order("cam-01", name, value, 0)


def test_no_number_comes_twice(tmp_path: Path) -> None:
    catalogue = Catalogue.open(f"sqlite:///{tmp_path / 'catalogue.sqlite'}")
    numbers = []
    for _ in range(3):
        numbers.append(catalogue.order("cam-01", "assign", ASSIGN, 0))
        catalogue.withdraw("cam-01", "assign")
    assert numbers == sorted(set(numbers))
    catalogue.close()


def test_holds_of_two_recordings(bench: Bench) -> None:
    for rec in ("cam-01-01234567-1", "cam-01-01234567-2", "cam-01-01234567-1"):
        bench.catalogue.order("cam-01", "hold", {"rec": rec, "until": None}, 0)
    assert [order.value["rec"] for order in bench.catalogue.orders("cam-01")] == [
        "cam-01-01234567-2",
        "cam-01-01234567-1",
    ]


def test_many_segments_cost_one_question(bench: Bench, agency: TestAgency, tmp_path: Path) -> None:
    """What waits for its receipt is asked for with each batch of lines, and may be hundreds."""
    made = builder(tmp_path / "1", agency, "cam-01")
    made.genesis()
    made.record((1,) * 12)
    made.dock("dock-01", SESSION)
    bring(bench, made, uploads=0)
    asked: list[str] = []
    event.listen(bench.catalogue.engine, "before_cursor_execute", lambda *said: asked.append(said[2]))
    found = bench.catalogue.due(made.dev, made.jid, 99)
    assert len(found) == 12
    assert {each.blob.folder for each in found} == {"cam-01"}
    assert len(asked) == 1
