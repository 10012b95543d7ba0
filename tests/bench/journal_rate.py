"""Entries a second into the journal, signed and durable, against rows into SQLite, which signs nothing."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.adapters.disk import RealDisk
from agent.formats.canonical import Object
from agent.model import NS_PER_MS, Stamp, TimeSource
from agent.store.journal import Journal
from agent.store.last import read_last
from tests.bench.place import Place
from tests.bench.table import MIN_RUNS, Row, against, alternate, ratios, spread
from tests.support.agency import TestAgency, make_agency

COMMITS = 150
GROUP = 32
_LINE_BYTES = 836  # of a `fragment` entry
_ALERT: Object = {"cause": "bench", "values": {"file": "f" * 200, "problem": "p" * 100}, "remedy": "none"}
"""Its line is as long as a `fragment`'s."""


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("journal")
    journal = _journal(folder / "data", make_agency(folder))
    database = _Database(folder / "peer.sqlite")
    for group, words in ((1, "one entry a commit"), (GROUP, f"{GROUP} entries a commit")):
        mine, theirs = alternate(MIN_RUNS, _rate(_writer(journal, group), group), _rate(database.writer(group), group))
        ratio = ratios(mine, theirs)
        yield Row(
            f"journal, {words}",
            spread(mine, "entries/s"),
            against("SQLite", theirs, "rows/s", ratio),
            note="One fdatasync a commit on both sides (SQLite: WAL, synchronous FULL). An entry is checked, hashed, "
            f"chained and signed; a row is {_LINE_BYTES} bytes as they are.",
        )
    journal.close()


def _rate(commit: Callable[[], None], group: int) -> Callable[[], float]:
    def measure() -> float:
        count = max(1, COMMITS // group)
        began = time.perf_counter()
        for _ in range(count):
            commit()
        return count * group / (time.perf_counter() - began)

    return measure


def _writer(journal: Journal, group: int) -> Callable[[], None]:
    def commit() -> None:
        for _ in range(group):
            journal.append("alert", _ALERT)
        journal.commit()

    return commit


def _journal(root: Path, agency: TestAgency) -> Journal:
    root.mkdir()
    disk = RealDisk(root)
    found = read_last(disk)
    signer = agency.signer()
    return Journal.start(
        disk, found, signer, _stamp, os.urandom, dev="cam-01", software="bench", model="sim", source="bench"
    )


def _stamp() -> Stamp:
    now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    return Stamp(time.time_ns() // NS_PER_MS, 20, TimeSource.RTC, now_ns, "00000000-0000-4000-8000-000000000001")


class _Database:
    """One table of lines."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE lines (seq INTEGER PRIMARY KEY, line BLOB)")

    def writer(self, group: int) -> Callable[[], None]:
        line = os.urandom(_LINE_BYTES)

        def commit() -> None:
            self._connection.execute("BEGIN")
            for _ in range(group):
                self._connection.execute("INSERT INTO lines (line) VALUES (?)", (line,))
            self._connection.execute("COMMIT")

        return commit
