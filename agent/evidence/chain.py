"""Checks the chain of a journal as its lines stream by: who signed, in which order, and what is missing.

Guarantees: an entry that `take` passes on without a reason is signed (or is followed by a signed one that its chain
leads to) by the camera, or the dock, of the genesis entry, follows the entry before it, and was not signed before it by
the boot clock. Memory does not grow with the journal, but for one id a boot and what agent/evidence/brackets.py keeps.
Assumes lines from agent/evidence/read.py, in their order. Source: docs/formats.md, "The journal" and "Keys and roles".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import keys
from agent.errors import CertificateError, FormatError, SignatureError
from agent.evidence.brackets import BracketCheck
from agent.evidence.read import Damage, Line, Torn
from agent.evidence.starts import StartCheck, UnsignedRuns
from agent.evidence.statements import StatementCheck
from agent.evidence.verdict import Findings, Verdict
from agent.formats import fields, statement
from agent.formats.canonical import Object
from agent.formats.entries import Entry
from agent.formats.statement import Statement
from agent.model import TimeSource
from agent.store import state
from agent.store.checkpoint import reference_to
from agent.store.state import JournalState, Reference

_CAMERA_KINDS = ("camera", "sim")
_JOURNAL_KINDS = (*_CAMERA_KINDS, "dock")
_OF_A_DOCK = frozenset(
    {
        "genesis",
        "boot",
        "checkpoint",
        "receipt",
        "assign",
        "hold",
        "config",
        "alert",
        "refused",
        "selftest",
        "shutdown",
    }
)
"""What a dock writes into a journal of its own. Its key makes no evidence: the rest is a camera's alone."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Whose journal it is, as its first entry says."""

    dev: str
    jid: str


class ChainCheck:
    """Feed every item of the journal to `take`, then call `finish`.

    `excerpt` are the camera's certificates for the stretch of a journal that a bundle holds: it begins anywhere.
    `outside_head` is (seq, hex SHA-256 of the head) of an entry that somebody else vouches for. `now_ms` is UTC, None
    if not known. `is_copy`: the journal is that of a dock's archive.
    """

    def __init__(
        self,
        root: x509.Certificate,
        findings: Findings,
        excerpt: Sequence[x509.Certificate] | None = None,
        outside_head: tuple[int, str] | None = None,
        now_ms: int | None = None,
        is_copy: bool = False,
    ) -> None:
        self.identity: Identity | None = None
        self.role: keys.Role | None = None
        self.key_class: str | None = None
        self.unbroken = True
        """False once entries are known to be missing or damaged: what follows cannot all be checked."""
        self.withheld = 0
        self.entries = 0
        self.first_seq: int | None = None
        self.last: Entry | None = None
        self._root = root
        self._findings = findings
        self._outside_head = outside_head
        self._now_ms = now_ms
        self._leaf: x509.Certificate | None = None
        self._certificates: tuple[x509.Certificate, ...] = ()
        self._chain: list[str] = []
        self._verifier: keys.Verifier | None = None
        self._validity_ms: tuple[int, int] | None = None
        self._last_where = ""
        self._last_file = ""
        self._last_was_bad = False
        self._after_damage = False
        self._is_excerpt = excerpt is not None
        self._starts = StartCheck(findings, torn_lines_are_here=not self._is_excerpt and not is_copy)
        self._unsigned = UnsignedRuns(findings)
        self._statements = StatementCheck(root, findings)
        self.brackets = BracketCheck()
        self._ack: tuple[Reference, int] | None = None
        self._trimmed: int | None = None
        self._outside_seen = False
        self._state: JournalState | None = None
        if excerpt:
            self._trust(excerpt, "camera.pem", None)

    def take(self, item: Line | Damage | Torn) -> None:
        """One item of the journal."""
        if isinstance(item, Torn):
            self._starts.take_torn(item)
        elif isinstance(item, Damage):
            self._take_damage(item)
        else:
            self._take_line(item)

    def finish(self) -> None:
        """Say what only the end of the journal shows."""
        self._starts.finish()
        self._unsigned.finish()
        self.brackets.finish()
        if self.first_seq and not self._is_excerpt:
            self._check_start_is_trimmed(self.first_seq)
        if self.last is None:
            return
        if self._outside_head is not None and not self._outside_seen:
            seq = self._outside_head[0]
            problem = f"the outside head is of entry {seq}, the journal "
            problem += f"ends with entry {self.last.head.seq}" if seq > self.last.head.seq else "does not hold it"
            self._add(Verdict.INCOMPLETE, "outside-head", self._last_where, problem)

    def _add(self, verdict: Verdict, code: str, where: str, problem: str) -> None:
        self._findings.add(verdict, code, where, problem)

    def _take_damage(self, damage: Damage) -> None:
        self._after_damage = True
        self.unbroken = False
        self._state = None
        self.brackets.break_off()
        rival = damage.rival
        if rival is not None and self._is_signed_by_us(rival):
            self._add(Verdict.FORK, "rival", damage.where, "the camera signed two entries with this number")
        self._add(Verdict.INVALID, "line", damage.where, damage.problem)

    def _take_line(self, line: Line) -> None:
        entry = line.entry
        bad = False
        if self.identity is None:
            self._begin(line)
        bad |= self._check_identity(line)
        if entry.head.kind in ("genesis", "checkpoint"):
            self._learn(line)
        # The order tells what a broken link means: with a good signature it is a second history.
        signed = self._check_signature(line)
        bad |= not signed
        bad |= self._check_link(line, signed)
        if entry.body is None and entry.head.kind != "genesis":
            self.withheld += 1
            self._add(Verdict.PARTIAL, "withheld", line.where, f"the body of this {entry.head.kind} entry is withheld")
        self._starts.take(line, self.unbroken)
        self._unsigned.take(line, self.unbroken)
        said = self._read_body(line)
        if bad:
            self.brackets.break_off()
        else:
            self.brackets.take(line, said)
        self._fold(line, bad)
        self._check_time(line)
        self._check_outside_head(line)
        self.entries += 1
        self.last, self._last_where, self._last_file = entry, line.where, line.file
        self._last_was_bad, self._after_damage = bad, False

    # --- who ----------------------------------------------------------------------------------------------------------

    def _begin(self, line: Line) -> None:
        head = line.entry.head
        self.identity = Identity(head.dev, head.jid)
        self.first_seq = head.seq
        if self.role is not None and self.role.id != head.dev:
            problem = f"is of camera {head.dev}, the certificate of {self.role.id}"
            self._add(Verdict.UNTRUSTED, "certificate", line.where, problem)
        if head.seq > 0:
            self.unbroken = self._is_excerpt
            if not self._is_excerpt and head.kind != "checkpoint":
                problem = "neither genesis nor a checkpoint begins it, which would hold the camera's certificate"
                self._add(Verdict.UNTRUSTED, "certificate", line.where, problem)

    def _check_identity(self, line: Line) -> bool:
        assert self.identity is not None
        head = line.entry.head
        if head.dev != self.identity.dev:
            self._add(Verdict.INVALID, "dev", line.where, f"is of camera {head.dev}, not of {self.identity.dev}")
        elif head.jid != self.identity.jid:
            self._add(Verdict.INVALID, "jid", line.where, f"is of journal {head.jid}, not of {self.identity.jid}")
        else:
            return False
        return True

    def _learn(self, line: Line) -> None:
        """Certificate and kind of signer, from the entry that says them first."""
        entry = line.entry
        if entry.body is None:
            if self._leaf is None and self.entries == 0:
                self._add(Verdict.UNTRUSTED, "certificate", line.where, "the camera's certificate is withheld")
            return
        self._unsigned.slow_signer = entry.body["slow_signer"] is True
        if entry.head.kind == "genesis":
            self.key_class = fields.text_of(entry.body, "key_class")
            self._take_chain(entry.body, line)
        elif self._leaf is None and self.entries == 0:
            self._take_chain(entry.body, line)
        elif self._leaf is not None and entry.body["chain"] != self._chain:
            self._add(Verdict.INVALID, "checkpoint", line.where, "names other certificates than the camera's")

    def _take_chain(self, body: Object, line: Line) -> None:
        where = f"{line.where}: certificate"
        try:
            ders = [fields.decode_base64(each, "chain") for each in fields.list_of(body, "chain")]
            chain = [keys.parse_certificate(der, where) for der in ders]
        except CertificateError as error:
            self._add(Verdict.UNTRUSTED, "certificate", line.where, error.problem)
            return
        if self._leaf is not None and line.entry.head.kind == "genesis":
            if chain[0] != self._leaf:
                self._add(Verdict.INVALID, "certificate", line.where, "is another certificate than camera.pem")
            return
        self._trust(chain, line.where, line.entry.head.stamp.utc_ms)

    def _trust(self, chain: Sequence[x509.Certificate], where: str, at_ms: int | None) -> None:
        """Verify signatures with this certificate from here on; whether it can be trusted is a reason of its own."""
        leaf = chain[0]
        try:
            self._verifier = keys.Verifier(leaf)
        except CertificateError as error:
            self._add(Verdict.UNTRUSTED, "certificate", where, error.problem)
            return
        self._leaf = leaf
        self._certificates = tuple(chain)
        self._chain = [fields.encode_base64(each.public_bytes(Encoding.DER)) for each in chain]
        first, last = leaf.not_valid_before_utc, leaf.not_valid_after_utc
        self._validity_ms = int(first.timestamp()) * 1000, int(last.timestamp()) * 1000 + 999
        try:
            kinds = _CAMERA_KINDS if self._is_excerpt else _JOURNAL_KINDS
            role = keys.check_chain(chain, self._root, kinds, "certificate", at_ms)
        except CertificateError as error:
            self._add(Verdict.UNTRUSTED, "certificate", where, str(error))
            return
        if self.identity is not None and role.id != self.identity.dev:
            problem = f"the certificate is of {role.kind} {role.id}, the journal of {self.identity.dev}"
            self._add(Verdict.UNTRUSTED, "certificate", where, problem)
        if role.kind == "sim":
            self._add(Verdict.SIMULATED, "simulated", where, f"{role.urn} is a simulated board")
        self.role = role

    # --- signature and order ------------------------------------------------------------------------------------------

    def _is_signed_by_us(self, entry: Entry) -> bool:
        if self._verifier is None or entry.signature is None or self.identity is None:
            return False
        if (entry.head.dev, entry.head.jid) != (self.identity.dev, self.identity.jid):
            return False
        try:
            self._verifier.check(entry.digest, entry.signature, "rival")
        except SignatureError:
            return False
        return True

    def _check_signature(self, line: Line) -> bool:
        """Whether the entry is signed well; an unsigned fragment of a slow signer counts, `UnsignedRuns` judges it."""
        entry = line.entry
        if entry.signature is None:
            return self._unsigned.slow_signer
        if self._verifier is None:
            return False
        try:
            self._verifier.check(entry.digest, entry.signature, line.where)
        except SignatureError as error:
            self._add(Verdict.INVALID, "signature", line.where, error.problem)
            return False
        return True

    def _check_link(self, line: Line, signed: bool) -> bool:
        head, last = line.entry.head, self.last
        if last is None or self._after_damage:
            return False
        if head.seq > last.head.seq + 1:
            self.unbroken = False
            self._state = None
            self.brackets.break_off()
            missing = f"entries {last.head.seq + 1} to {head.seq - 1} before it are missing"
            # A writer never leaves a number out inside a file; a whole file can be lost.
            verdict = Verdict.INVALID if line.file == self._last_file else Verdict.INCOMPLETE
            self._add(verdict, "missing", line.where, missing)
            return False
        if head.prev == last.digest.hex():
            return False
        if signed and self._verifier is not None and not self._last_was_bad:
            problem = "signed by the camera, but it follows another entry than the one before it: two histories"
            self._add(Verdict.FORK, "prev", line.where, problem)
        else:
            self._add(Verdict.INVALID, "prev", line.where, "does not follow the entry before it")
        return True

    def _check_time(self, line: Line) -> None:
        stamp = line.entry.head.stamp
        if stamp.source is TimeSource.DISPUTED:
            problem = "its time is disputed: two claims are more than 24 h apart, and no token decides"
            self._add(Verdict.PARTIAL, "disputed", line.where, problem)
        if stamp.utc_ms is None or stamp.err_ms is None:
            return
        if self._validity_ms is not None:
            first_ms, last_ms = self._validity_ms
            if stamp.utc_ms + stamp.err_ms < first_ms or stamp.utc_ms - stamp.err_ms > last_ms:
                problem = "signed outside the time for which the camera's certificate is valid"
                self._add(Verdict.UNTRUSTED, "validity", line.where, problem)
        if self._now_ms is not None and stamp.utc_ms - stamp.err_ms > self._now_ms:
            self._add(Verdict.PARTIAL, "future", line.where, "its UTC is later than the present time")

    def _check_outside_head(self, line: Line) -> None:
        if self._outside_head is None or line.entry.head.seq != self._outside_head[0]:
            return
        self._outside_seen = True
        if line.entry.digest.hex() != self._outside_head[1]:
            problem = "is another entry than the one whose head is known outside"
            self._add(Verdict.FORK, "outside-head", line.where, problem)

    def _read_body(self, line: Line) -> Statement | None:
        """What entries say of the journal itself; the statement in it if that is good."""
        entry = line.entry
        body = entry.body
        if self.role is not None and self.role.kind == "dock":
            self._read_body_of_dock(line)
            return None
        if entry.head.kind == "dock":
            self._statements.take_dock(line)
        if body is None:
            return None
        if body.get("statement") is not None:
            if entry.head.kind == "ack":
                self._take_ack(entry, body)
            return self._statements.take(body, line, self.unbroken and not self._is_excerpt and not self.withheld)
        if entry.head.kind == "trim":
            self._take_trim(body, line)
        elif entry.head.kind == "key.rotate":
            self.key_class = fields.text_of(body, "key_class")
            self._take_chain(body, line)
        return None

    def _read_body_of_dock(self, line: Line) -> None:
        """A dock's own journal: what it said to cameras, under the key that signs the entries."""
        entry = line.entry
        if entry.head.kind not in _OF_A_DOCK:
            self._add(Verdict.INVALID, "kind", line.where, f"no dock writes {entry.head.kind} entries")
        elif entry.body is not None and entry.body.get("statement") is not None:
            self._statements.take_own(entry.body, line, self._certificates)

    def _take_ack(self, entry: Entry, body: Object) -> None:
        said = statement.parse_in(body)
        self._ack = reference_to(entry), fields.integer_of(said.value, "seq")

    def _take_trim(self, body: Object, line: Line) -> None:
        """A trim counts if the last `ack` entry before it is the one it names, and covers it. All begin at entry 0."""
        named, last = state.parse_reference(fields.object_of(body, "ack")), fields.integer_of(body, "last")
        ack, acknowledged = self._ack or (None, -1)
        if named == ack and last <= acknowledged and body["first"] == 0:
            self._trimmed = last
        elif named.seq >= (self.first_seq or 0):
            self._add(Verdict.INVALID, "trim", line.where, "does not begin at entry 0, or its ack does not cover it")

    def _fold(self, line: Line, bad: bool) -> None:
        """What the camera's own reader makes of the entries: it refuses what no camera writes, checkpoints included."""
        entry = line.entry
        try:
            if bad or entry.body is None:
                self._state = None
            elif entry.head.kind == "genesis":
                self._state = state.from_genesis(entry)
            elif self.entries == 0 and entry.head.kind == "checkpoint":
                self._state = state.from_checkpoint(entry)
            elif self._state is not None:
                self._state = state.apply(self._state, entry)
        except FormatError as error:
            self._state = None
            self._add(Verdict.INVALID, "state", line.where, f"no camera writes this: {error}")

    def _check_start_is_trimmed(self, first_seq: int) -> None:
        """A `trim` entry names what is missing at the start, or it is incomplete."""
        if self._trimmed is not None and self._trimmed + 1 >= first_seq:
            self._add(Verdict.PARTIAL, "trimmed", f"entry {first_seq}", f"entries 0 to {first_seq - 1} were trimmed")
        else:
            problem = f"entries 0 to {first_seq - 1} are missing, and no trim entry says so"
            self._add(Verdict.INCOMPLETE, "start", f"entry {first_seq}", problem)
