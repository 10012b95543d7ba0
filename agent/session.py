"""Which statements a camera takes in one docking, and why it refuses the others.

Guarantees: what `hear` returns is signed by a dock of the policy (or, a policy, by the agency's policy key), for this
camera, journal and session, with a `dseq` above everything heard of that dock before; from the first accepted beacon on
by that dock and chain only. Each statement is returned once: an exact duplicate is dropped. Memory is bounded.
Dates of certificates are not looked at here, but by `check_dates`. Source: docs/docking.md, "One docking", 3.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography import x509

from agent import keys
from agent.errors import CertificateError, FormatError, SignatureError
from agent.formats import fields, wire
from agent.formats.statement import Statement, parse_line

REMEMBERED = 1024
"""Digests by which exact duplicates are known. An older one is refused for its `dseq`, which is only louder."""
MAX_CHAIN_BYTES = 9000
"""A `dock` entry holds the chain in base64, and is a line of at most 16,384 bytes."""


@dataclass(frozen=True, slots=True)
class Camera:
    """For whom a statement has to be, and by whom."""

    dev: str
    jid: str
    session: str
    root: x509.Certificate
    docks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Heard:
    """A statement that is to be taken, and the chain (DER) that signed it."""

    statement: Statement
    chain: tuple[bytes, ...]

    @property
    def dock(self) -> str:
        return fields.text_of(self.statement.value, "dock")

    @property
    def dseq(self) -> int:
        return fields.integer_of(self.statement.value, "dseq")


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A statement that is refused: a word for the journal, and what was wrong."""

    cause: str
    problem: str


class Hearing:
    """The statements of one session. `dseq`: the last number heard of each dock before it."""

    def __init__(self, camera: Camera, dseq: Mapping[str, int]) -> None:
        self._camera = camera
        self._dseq = dict(dseq)
        self._seen: set[bytes] = set()
        self._order: deque[bytes] = deque()
        self.dock: str | None = None
        self.chain: tuple[bytes, ...] = ()

    def settle(self, beacon: Heard) -> None:
        """From now on this dock is heard, under this chain, and no other."""
        self.dock, self.chain = beacon.dock, beacon.chain

    def hear(self, payload: bytes, properties: wire.Properties) -> Heard | NotTaken | None:
        """What to do about a message: take it, refuse it, or (None) drop it without a trace."""
        try:
            said = parse_line(payload)
            chain = wire.parse_chain(properties)
            if sum(map(len, chain)) > MAX_CHAIN_BYTES:
                return NotTaken("statement_signature", f"its certificates are more than {MAX_CHAIN_BYTES} bytes")
            if said.digest in self._seen or (self.dock is None and said.name != "beacon"):
                return None
            if said.name == "policy":
                return self._remember(Heard(said, chain))
            refused = self._is_for_us(said)
            if refused is None:
                refused = self._is_by(Heard(said, chain))
        except FormatError as error:
            return NotTaken("statement_format", str(error))
        except (CertificateError, SignatureError) as error:
            return NotTaken("statement_signature", str(error))
        return refused or self._take_number(Heard(said, chain))

    def _is_for_us(self, said: Statement) -> NotTaken | None:
        camera = self._camera
        for key, expected, cause in (
            ("dev", camera.dev, "statement_device"),
            ("jid", camera.jid, "statement_journal"),
            ("session", camera.session, "statement_session"),
        ):
            if said.value[key] != expected:
                return NotTaken(cause, f"a {said.name} for {key} {said.value[key]}")
        return None

    def _is_by(self, heard: Heard) -> NotTaken | None:
        """Raises CertificateError, SignatureError."""
        allowed = self._camera.docks if self.dock is None else (self.dock,)
        if heard.dock not in allowed:
            return NotTaken("statement_dock", f"of {heard.dock}, which is no dock of the policy and this session")
        if self.dock is not None and heard.chain != self.chain:
            return NotTaken("statement_dock", f"of {heard.dock}, under other certificates than its beacon")
        certificates = certificates_of(heard.chain)
        keys.verify_statement(heard.statement, certificates, self._camera.root, "statement", None)
        return None

    def _take_number(self, heard: Heard) -> Heard | NotTaken:
        last = self._dseq.get(heard.dock, -1)
        if heard.dseq <= last:
            return NotTaken("statement_dseq", f"number {heard.dseq} of {heard.dock} after {last}")
        self._dseq[heard.dock] = heard.dseq
        return self._remember(heard)

    def _remember(self, heard: Heard) -> Heard:
        digest = heard.statement.digest
        self._seen.add(digest)
        self._order.append(digest)
        if len(self._order) > REMEMBERED:
            self._seen.discard(self._order.popleft())
        return heard


def certificates_of(chain: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """The certificates of a chain in DER. Raises CertificateError."""
    return tuple(keys.parse_certificate(der, "chain") for der in chain)


def check_dates(chain: Sequence[bytes], kind: str, root: x509.Certificate, utc_ms: int, err_ms: int) -> None:
    """The chain is of this role kind and valid at both ends of the error bound. Raises CertificateError."""
    certificates = certificates_of(chain)
    for at_ms in (utc_ms - err_ms, utc_ms + err_ms):
        keys.check_chain(certificates, root, (kind,), kind, at_ms)


def check_peer(der: bytes, root: x509.Certificate, docks: Sequence[str]) -> None:
    """The TLS certificate, issued by the agency itself, is of a dock of the policy. Raises CertificateError."""
    role = keys.check_chain(certificates_of((der,)), root, ("dock-tls",), "peer", None)
    if role.id not in docks:
        raise CertificateError("peer", f"{role.urn} is no dock of the policy", "have the policy list it")
