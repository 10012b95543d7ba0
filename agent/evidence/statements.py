"""Checks what docks said inside a journal: signed by the dock that the last `dock` entry names, for this very journal.

Guarantees: a statement without a reason is signed by a key of the role `dock:<dock>` under the agency's root, for this
camera and journal, in the session that its `dock` entry began. Where that entry is not in what is read (trimmed,
withheld, before a bundle's stretch) nothing is said of the signature, and a note says so. That `dseq` rises is the
fold's to check (agent/store/state.py). Assumes entries that were parsed: a statement in a body is whole, and of
the type of its kind. Source: docs/formats.md, "Statements of others".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509

from agent import keys
from agent.errors import CertificateError, SignatureError
from agent.evidence.read import Line
from agent.evidence.verdict import Findings, Verdict
from agent.formats import fields, statement
from agent.formats.canonical import Object


@dataclass(frozen=True, slots=True)
class _Session:
    """What the last `dock` entry says."""

    dock: str
    session: str
    boot: str
    chain: tuple[x509.Certificate, ...]


class StatementCheck:
    """Feed each `dock` entry to `take_dock`, and each entry that holds a statement to `take`."""

    def __init__(self, root: x509.Certificate, findings: Findings) -> None:
        self._root = root
        self._findings = findings
        self._session: _Session | None = None
        self._noted = False

    def take_dock(self, line: Line) -> None:
        """A session begins. A withheld body leaves its statements unchecked."""
        self._session = None
        body = line.entry.body
        if body is None:
            return
        try:
            ders = [fields.decode_base64(each, "chain") for each in fields.list_of(body, "chain")]
            chain = tuple(keys.parse_certificate(der, "chain") for der in ders)
            role = keys.check_chain(chain, self._root, ("dock",), "chain", line.entry.head.stamp.utc_ms)
        except CertificateError as error:
            self._invalid("dock", line, f"{error.where}: {error.problem}")
            return
        dock = fields.text_of(body, "dock")
        if role.id != dock:
            self._invalid("dock", line, f"its certificate is of {role.urn}, not of dock {dock}")
            return
        self._session = _Session(dock, fields.text_of(body, "session"), line.entry.head.stamp.boot, chain)

    def take(self, body: Object, line: Line, whole: bool) -> statement.Statement | None:
        """An entry with a statement; `whole` says that all entries from genesis on were there, with their bodies.

        The statement if it is good, and its session began in the boot that it stands in: no docking outlives a boot.
        """
        said = statement.parse_in(body)
        session = self._session
        if session is not None:
            good = self._check(said, session, line)
            return said if good and session.boot == line.entry.head.stamp.boot else None
        if whole:
            self._invalid("statement", line, "no good dock entry before it says whose statement this is")
        elif not self._noted:
            self._noted = True
            problem = "its dock entry is not here, so the dock's signature is not checked"
            self._findings.notes.append(f"{line.where}: {problem}")
        return None

    def take_own(self, body: Object, line: Line, chain: Sequence[x509.Certificate]) -> None:
        """An entry of a dock's own journal: what it said to whichever camera, under the journal's certificate."""
        said = statement.parse_in(body)
        try:
            keys.verify_statement(said, chain, self._root, "statement", line.entry.head.stamp.utc_ms)
        except (CertificateError, SignatureError) as error:
            self._invalid("statement", line, f"{error.where}: {error.problem}")

    def _check(self, said: statement.Statement, session: _Session, line: Line) -> bool:
        head = line.entry.head
        expected = {"dock": session.dock, "session": session.session, "dev": head.dev, "jid": head.jid}
        for key, value in expected.items():
            if said.value[key] != value:
                self._invalid("statement", line, f"its {key} is {said.value[key]}, not {value}")
                return False
        try:
            keys.verify_statement(said, session.chain, self._root, "statement", head.stamp.utc_ms)
            if said.name == "beacon":  # its own word for the time must be one at which it may speak
                own_ms = fields.parse_utc(said.value["utc"], "beacon.utc")
                keys.check_chain(session.chain, self._root, ("dock",), "statement", own_ms)
        except (CertificateError, SignatureError) as error:
            self._invalid("statement", line, f"{error.where}: {error.problem}")
            return False
        return True

    def _invalid(self, code: str, line: Line, problem: str) -> None:
        self._findings.add(Verdict.INVALID, code, line.where, problem)
