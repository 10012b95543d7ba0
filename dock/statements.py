"""What the dock says to cameras: signed lines, numbered so that no number ever comes twice.

Guarantees: `dseq` rises strictly over all statements of this dock, to whichever camera, across restarts and crashes.
Nothing but the dock's journal is needed for that: a number is (number of an entry) x 2^20 + n. Each start writes an
entry, so each run counts in a block of its own; a block that is used up is left for that of a newer entry. Assumes that
the journal is not lost: a dock without its journal is another dock, with another id. Source: docs/formats.md,
"Statements of others".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from agent.formats.canonical import Value
from agent.formats.fields import format_utc
from agent.formats.statement import Statement, compose
from agent.ports import Signer
from dock.journal import DockJournal

BLOCK = 2**20
"""Statements of one block: 2^33 blocks fit into the integers of canonical JSON."""


@dataclass(frozen=True, slots=True)
class Addressee:
    """A camera in a session: who a statement is for."""

    dev: str
    jid: str
    session: str


class Author:
    """Makes statements. `chain`: DER certificates of the dock's signing key, its own first, without the root."""

    def __init__(self, journal: DockJournal, signer: Signer, agency: str, dock: str) -> None:
        """`journal` has been started: its newest entry, which no earlier run had, names this run's block."""
        self.dock = dock
        self.chain = signer.chain
        self._journal = journal
        self._signer = signer
        self._agency = agency
        self._block = journal.next_seq - 1
        self._used = 0

    def say(self, name: str, to: Addressee, utc_ms: int, **own: Value) -> Statement:
        """A signed statement of this type. Raises FormatError, SignatureError, StoreError."""
        value: dict[str, Value] = {
            "agency": self._agency,
            "dock": self.dock,
            "dev": to.dev,
            "jid": to.jid,
            "dseq": self._next(),
            "session": to.session,
            "utc": format_utc(utc_ms),
            **own,
        }
        text = compose(name, value)
        signature = self._signer.sign(hashlib.sha256(text).digest())
        return Statement(name, {**value, "typ": f"temoin/{name}/1"}, text, signature)

    def _next(self) -> int:
        if self._used >= BLOCK:
            if self._journal.next_seq - 1 <= self._block:
                self._journal.mark()
            self._block, self._used = self._journal.next_seq - 1, 0
        self._used += 1
        return self._block * BLOCK + self._used - 1
