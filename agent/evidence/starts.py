"""Checks what a start of the agent says of the run before it, and which entries stand without a signature of their own.

Guarantees: the boot id changes only where a `boot` entry says so and never back; the boot clock does not run backwards
inside a boot; every torn line is named in the next `boot`, and nothing else is; a run of unsigned fragments that was
cut off is weak for ever. Assumes lines in their order. Source: docs/formats.md, "The journal".
"""

from __future__ import annotations

from agent.evidence.read import Line, Torn
from agent.evidence.verdict import Findings, Verdict
from agent.formats import fields
from agent.formats.canonical import Object
from agent.model import NS_PER_S

MAX_UNSIGNED_NS = 2 * NS_PER_S


class StartCheck:
    """Feed torn lines and entries as they come, then call `finish`.

    `torn_lines_are_here` is false for a stretch of journal without the files that it comes from, and for a dock's copy,
    which torn lines never reach: there one means that the copy itself was cut off, and counts at the end only.
    """

    def __init__(self, findings: Findings, torn_lines_are_here: bool) -> None:
        self._findings = findings
        self._torn_lines_are_here = torn_lines_are_here
        self._boot: str | None = None
        self._boots: set[str] = set()
        self._mono_ns = 0
        self._torn: list[Torn] = []
        self._signed: list[tuple[int, str]] = [(0, fields.ZERO_HASH)]
        self._after_checkpoint = False
        self._awaits_boot_entry = False

    def take_torn(self, torn: Torn) -> None:
        """An incomplete last line: the next `boot` has to name it."""
        self._torn.append(torn)

    def take(self, line: Line, whole: bool) -> None:
        """One entry; `whole` says that nothing is missing before it."""
        entry = line.entry
        if not self._torn_lines_are_here:
            self._torn = []
        self._check_clock(line, whole)
        if entry.head.kind == "boot":
            if entry.body is not None:
                self._check_boot(entry.body, line, whole)
            self._torn = []
        self._after_checkpoint = entry.head.kind == "checkpoint"
        if entry.signature is not None:
            self._signed = [*self._signed[-1:], (entry.head.seq, entry.digest.hex())]

    def finish(self) -> None:
        """The end of the journal: what no later `boot` can have named."""
        for torn in self._torn:
            problem = f"an incomplete last line of {len(torn.data)} bytes, which no boot entry has named yet"
            self._findings.add(Verdict.PARTIAL, "torn", torn.file, problem)

    def _check_clock(self, line: Line, whole: bool) -> None:
        stamp, kind = line.entry.head.stamp, line.entry.head.kind
        if self._awaits_boot_entry and kind != "boot" and whole:
            self._invalid("boot", line, "the kernel was started again, but no boot entry says so")
        self._awaits_boot_entry = False
        if stamp.boot == self._boot:
            if stamp.mono_ns < self._mono_ns:
                self._invalid("mono", line, "its mono_ns is before that of the entry before it, in the same boot")
        elif stamp.boot in self._boots:
            self._invalid("boot", line, "goes back to the boot id of an earlier boot")
        elif self._boot is not None and kind not in ("checkpoint", "boot"):
            if whole:
                self._invalid("boot", line, "another boot id, but no boot entry says that the kernel was started again")
        else:
            self._awaits_boot_entry = kind == "checkpoint" and self._boot is not None
        self._boots.add(stamp.boot)
        self._boot, self._mono_ns = stamp.boot, stamp.mono_ns

    def _check_boot(self, body: Object, line: Line, whole: bool) -> None:
        if self._torn_lines_are_here:
            self._check_torn(body, line)
        reference = fields.object_of(body, "last_signed")
        last_signed = fields.integer_of(reference, "seq"), fields.text_of(reference, "head")
        # A start writes checkpoint, then boot: what is meant is the last one of the run before.
        if whole and last_signed != (self._signed[0] if self._after_checkpoint else self._signed[-1]):
            self._invalid("last-signed", line, f"names entry {last_signed[0]} as the last signed one before it")

    def _check_torn(self, body: Object, line: Line) -> None:
        named = {_torn_key(each) for each in fields.list_of(body, "torn") if isinstance(each, dict)}
        found = {(torn.file, torn.offset, len(torn.data), torn.hash) for torn in self._torn}
        for file, *_ in sorted(named - found):
            self._invalid("torn", line, f"names an incomplete last line of {file} that is not there")
        for file, *_ in sorted(found - named):
            problem = f"does not name the incomplete last line of {file}, so that came later"
            self._invalid("torn", line, problem)

    def _invalid(self, code: str, line: Line, problem: str) -> None:
        self._findings.add(Verdict.INVALID, code, line.where, problem)


class UnsignedRuns:
    """Fragments of a slow signer that wait for the next signature."""

    def __init__(self, findings: Findings) -> None:
        self.slow_signer = False
        self._findings = findings
        self._first: Line | None = None
        self._last_seq = 0
        self._footage_ns = 0
        self._after_checkpoint = False

    def take(self, line: Line, whole: bool) -> None:
        """One entry, signed or not; `whole` says that nothing is missing before it."""
        entry = line.entry
        if entry.signature is None:
            self._take_unsigned(line)
            return
        self._footage_ns = 0
        if entry.head.kind == "boot":
            self._check_boot(line, whole)
        elif entry.head.kind == "checkpoint" and self._first is not None and not self._after_checkpoint:
            # A start writes checkpoint, then boot; a rotation the checkpoint alone. The next entry tells.
            self._after_checkpoint = True
            return
        self._first, self._after_checkpoint = None, False

    def finish(self) -> None:
        """A run at the end of the journal."""
        if self._first is not None:
            self._weak(self._first)

    def _take_unsigned(self, line: Line) -> None:
        if not self.slow_signer:
            problem = "is not signed, and the camera's genesis entry declares no slow signer"
            self._findings.add(Verdict.INVALID, "unsigned", line.where, problem)
            return
        if self._first is None or self._after_checkpoint:
            self._first, self._after_checkpoint = line, False
        self._last_seq = line.entry.head.seq
        body = line.entry.body
        self._footage_ns += 0 if body is None else fields.ns_of(body, "dur_ns")
        if self._footage_ns > MAX_UNSIGNED_NS:
            self._findings.add(
                Verdict.PARTIAL, "late", line.where, "signed late: over 2 s of footage before it are not"
            )

    def _check_boot(self, line: Line, whole: bool) -> None:
        run = None if self._first is None else (self._first.entry.head.seq, self._last_seq)
        if self._first is not None:
            self._weak(self._first)
        body = line.entry.body
        if body is None or not whole:
            return
        weak = body["weak"]
        named = (weak["first"], weak["last"]) if isinstance(weak, dict) else None
        if named != run:
            problem = "names another run of unsigned entries than the one before it"
            self._findings.add(Verdict.INVALID, "weak", line.where, problem)

    def _weak(self, first: Line) -> None:
        count = self._last_seq - first.entry.head.seq + 1
        problem = f"weak: {count} entries from here on were cut off before their signature"
        self._findings.add(Verdict.PARTIAL, "weak", first.where, problem)


def _torn_key(named: Object) -> tuple[str, int, int, str]:
    return (
        fields.text_of(named, "file"),
        fields.integer_of(named, "offset"),
        fields.integer_of(named, "length"),
        fields.text_of(named, "hash"),
    )
