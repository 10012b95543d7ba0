"""The dock's own journal: the camera's format and store, with the dock's id and key.

Guarantees: what `record`, `alert` and `refuse` return from is durable, so that the head in every beacon and receipt
vouches for it. Assumes one thread and a folder of its own (`<data>`), which the process has locked.
Entries: `receipt`, `assign` and `hold` hold what was said to cameras, whole; `alert` and `refused` what went wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from agent.formats.canonical import Value
from agent.formats.statement import Statement
from agent.model import Stamp
from agent.ports import Disk, Random, Signer
from agent.store.journal import Journal
from agent.store.last import read_last

MODEL = "dock"
_MAX_TEXT = 200


class DockJournal:
    """`start` opens it; every entry is committed at once: a dock writes a few a minute."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @classmethod
    def start(
        cls, disk: Disk, signer: Signer, stamp: Callable[[], Stamp], random: Random, *, dock: str, software: str
    ) -> DockJournal:
        """Go on with the journal under `disk`, or begin one. Raises StoreError, DiskError."""
        found = read_last(disk)
        journal = Journal.start(
            disk, found, signer, stamp, random, dev=dock, software=software, model=MODEL, source=MODEL
        )
        journal.commit()
        return cls(journal)

    @property
    def head(self) -> str:
        """Hex SHA-256 of the head of the newest entry, which is durable."""
        return self._journal.head

    @property
    def next_seq(self) -> int:
        """The number of the next entry."""
        return self._journal.next_seq

    def record(self, said: Statement) -> None:
        """A statement of this dock, before it is sent. Raises StoreError, SignatureError."""
        body: dict[str, Value] = {"statement": said.embedded}
        if said.name == "config":
            body["hash"] = said.value["hash"]
        self._append(said.name, body)

    def alert(self, cause: str, values: Mapping[str, Value], remedy: str) -> None:
        """Something is wrong. Raises StoreError, SignatureError."""
        self._append("alert", {"cause": cause, "values": _short(values), "remedy": remedy})

    def refuse(self, cause: str, values: Mapping[str, Value], remedy: str) -> None:
        """A camera's lines, blob or question was not taken. Raises StoreError, SignatureError."""
        self._append("refused", {"cause": cause, "values": _short(values), "remedy": remedy})

    def shut_down(self) -> None:
        """The orderly end."""
        self._append("shutdown", {"cause": "stopped"})
        self._journal.close()

    def mark(self) -> None:
        """An entry that says nothing but that the journal goes on: for a number that no statement has used."""
        self._append("selftest", {"checks": []})

    def _append(self, kind: str, body: Mapping[str, Value]) -> None:
        self._journal.append(kind, body)
        self._journal.commit()


def _short(values: Mapping[str, Value]) -> dict[str, Value]:
    """What came from outside, made fit for an entry's values."""
    return {key: _printable(value) if isinstance(value, str) else value for key, value in values.items()}


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "?" for each in text)[:_MAX_TEXT]
