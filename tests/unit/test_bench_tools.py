"""What the benchmarks stand on: the month is a card that a verifier accepts and a start reads; a bad card is as slow as
it says, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.adapters.disk import RealDisk
from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.store.custody import Custody, Survey
from agent.store.last import read_last
from tests.bench.month import make_month
from tests.bench.table import Row, percentile, ratios, render
from tests.support.agency import NOW_MS, make_agency
from tests.support.throttled import Card, ThrottledDisk

DAY_MS = 86_400_000


def test_a_short_month_is_a_card_that_verifies_and_starts(tmp_path: Path) -> None:
    agency = make_agency(tmp_path)
    month = make_month(tmp_path / "data", agency, entries=100, kept=22)
    report = verify(month.folder, agency.root_pem, now_ms=NOW_MS + 31 * DAY_MS)
    assert report.verdict is Verdict.SIMULATED, report.lines()
    disk = RealDisk(month.folder)
    found = read_last(disk)
    assert found is not None
    assert found.state.clean
    assert found.state.position.seq == month.entries
    custody = Custody()
    survey = Survey(disk, custody, found.state.low, month.entries)
    while survey.step():
        pass
    unreceived, _ = custody.unreceived
    on_card = list((month.folder / "segments").rglob("*.age"))
    assert unreceived == len(on_card) > 0
    assert month.segments > len(on_card), "most of a month was received and purged"
    assert month.journal_bytes == sum(path.stat().st_size for path in (month.folder / "journal").iterdir())


def test_a_bad_card_is_slow_and_changes_nothing(tmp_path: Path) -> None:
    waited: list[float] = []
    disk = ThrottledDisk(RealDisk(tmp_path), Card(bytes_per_second=1000, sync_s=0.25), waited.append)
    file = disk.create("one")
    file.write(b"x" * 500)
    file.sync()
    disk.stall(5.0)
    file.sync()
    file.sync()
    disk.sync_folder("")
    file.close()
    assert waited == [0.5, 0.25, 5.25, 0.25, 0.25]
    assert disk.read("one", 100, 10) == b"x" * 10
    assert waited[5:] == [0.01]
    assert (tmp_path / "one").read_bytes() == b"x" * 500


def test_what_was_not_measured_is_never_met() -> None:
    text = render([Row("a", "1 s", "-", "2 s", True), Row("b", "not measured"), Row("c", "3 s", "-", "2 s", False)])
    verdicts = [line.split()[-1] for line in text.splitlines() if line[:3] in ("a  ", "b  ", "c  ")]
    assert verdicts == ["met", "-", "MET"]
    assert text.count("NOT MET") == 1


@pytest.mark.parametrize(("percent", "found"), [(1, 1), (50, 50), (99, 99), (100, 100)])
def test_a_percentile_is_one_of_the_samples(percent: int, found: int) -> None:
    assert percentile(list(range(100, 0, -1)), percent) == found
    assert percentile([7.0], percent) == 7.0


def test_a_ratio_is_of_each_pair() -> None:
    assert ratios([1, 4], [2, 2]) == [0.5, 2]
