"""`temoin verify` of a bundle: what left for the court, against the camera's signatures and the exporter's.

Guarantees: the journal's stretch is checked as in a camera's folder; everything that `statement.json` says of clips and
journal is derived again and believed only if it is the same; the statement is signed by a reader of the agency. Bodies
of other people are withheld in a bundle, and said to be; one of the recording itself may not be.
Source: docs/formats.md, "The bundle".
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import keys
from agent.errors import CertificateError, FormatError, SignatureError
from agent.evidence.chain import ChainCheck
from agent.evidence.clip_check import ClipCheck, SignedFragment, read_whole
from agent.evidence.cms import check_detached
from agent.evidence.read import Line, LogFile, Torn, read_logs
from agent.evidence.recordings import RecordingCheck
from agent.evidence.reporting import report_of
from agent.evidence.verdict import Findings, Report, Verdict
from agent.formats import bundle, clip, fields
from agent.formats.bundle import ExportStatement
from agent.formats.canonical import Object

MAX_PAPER_BYTES = 256 * 1024
_OWN_KINDS = ("recording.", "segment.", "fragment", "gap")


def verify_bundle(
    folder: Path, root: x509.Certificate, outside_head: tuple[int, str] | None, now_ms: int | None
) -> Report:
    """Check a bundle under the agency's root. Raises UnreadableError, also where openssl is missing."""
    findings = Findings()
    said = _statement(folder, root, now_ms, findings)
    chain = ChainCheck(root, findings, _camera(folder, root, said, findings), outside_head, now_ms)
    recordings = RecordingCheck(findings)
    stretch = _read_stretch(folder, said, chain, recordings, findings)
    for _ in recordings.finish():
        pass  # its blob is not here
    chain.finish()
    shown = fragments = 0
    if said is not None:
        _compare(said, stretch, chain, findings)
        shown = _check_clips(folder, said, stretch, findings)
        fragments = sum(each.fragments for each in said.clips)
        findings.notes.append(f"said at the export of the whole data folder: {said.verdict}")
    _note_papers(folder, said, findings)
    counts = {"entries": chain.entries, "fragments in clips": fragments, "bytes of clips": shown}
    return report_of(folder, "bundle", findings, chain, recordings, counts)


@dataclass(slots=True)
class _Stretch:
    """What the journal's stretch says of the recording."""

    sha256: str = ""
    first_kind: str = ""
    fragments: list[SignedFragment] = field(default_factory=list)
    inits: dict[int, tuple[str, int]] = field(default_factory=dict)
    gaps: list[int] = field(default_factory=list)
    started: bool = False
    stop: int | None = None


# --- papers -----------------------------------------------------------------------------------------------------------


def _statement(folder: Path, root: x509.Certificate, now_ms: int | None, findings: Findings) -> ExportStatement | None:
    """The statement, if it can be read; who signed it is a reason of its own."""
    name = bundle.STATEMENT_FILE
    text = _paper(folder, name, findings)
    signature = _paper(folder, bundle.SIGNATURE_FILE, findings)
    if text is None:
        return None
    try:
        said = bundle.parse(text)
    except FormatError as error:
        findings.add(Verdict.INVALID, "statement", name, str(error))
        return None
    if said.agency != keys.role_of(root, "trust").id:
        findings.add(Verdict.UNTRUSTED, "agency", name, f"is of the agency {said.agency}")
    if signature is not None:
        _check_exporter(text, signature, said, root, now_ms, findings)
    return said


def _check_exporter(
    text: bytes, signature: bytes, said: ExportStatement, root: x509.Certificate, now_ms: int | None, findings: Findings
) -> None:
    where = bundle.SIGNATURE_FILE
    try:
        role = check_detached(text, signature, root, "export", where, now_ms)
    except SignatureError as error:
        findings.add(Verdict.INVALID, "exporter", where, error.problem)
    except CertificateError as error:
        findings.add(Verdict.UNTRUSTED, "exporter", where, str(error))
    else:
        if role.id != said.exporter:
            findings.add(Verdict.UNTRUSTED, "exporter", where, f"is of {role.urn}, the statement of {said.exporter}")


def _camera(
    folder: Path, root: x509.Certificate, said: ExportStatement | None, findings: Findings
) -> tuple[x509.Certificate, ...]:
    """The camera's certificates, and that agency.pem is the root that the caller trusts."""
    agency = _paper(folder, bundle.AGENCY_FILE, findings)
    if agency is not None and agency != root.public_bytes(Encoding.PEM):
        problem = "is not the agency's certificate that you trust"
        findings.add(Verdict.UNTRUSTED, "agency", bundle.AGENCY_FILE, problem)
    data = _paper(folder, bundle.CAMERA_FILE, findings)
    if data is None:
        return ()
    try:
        chain = keys.load_chain(data, bundle.CAMERA_FILE)
    except CertificateError as error:
        findings.add(Verdict.UNTRUSTED, "certificate", bundle.CAMERA_FILE, error.problem)
        return ()
    if said is not None and hashlib.sha256(chain[0].public_bytes(Encoding.DER)).hexdigest() != said.camera:
        findings.add(Verdict.INVALID, "statement", bundle.CAMERA_FILE, "is not the one that the statement names")
    return chain


def _paper(folder: Path, name: str, findings: Findings) -> bytes | None:
    data = read_whole(folder, name, MAX_PAPER_BYTES)
    if data is None:
        findings.add(Verdict.INCOMPLETE, "paper", name, "is missing, too long, or not a regular file")
    return data


def _note_papers(folder: Path, said: ExportStatement | None, findings: Findings) -> None:
    """Tokens as the statement names them, scripts as this version writes them, and nothing else."""
    known = {
        bundle.STATEMENT_FILE,
        bundle.SIGNATURE_FILE,
        bundle.JOURNAL_FILE,
        bundle.CAMERA_FILE,
        bundle.AGENCY_FILE,
        bundle.CHECK_FILE,
        bundle.CHECK_TEXT_FILE,
    }
    if said is not None:
        tokens = {
            bundle.TOKEN_BEFORE_FILE: said.token_before,
            bundle.TOKEN_AFTER_FILE: said.token_after,
            bundle.TSA_FILE: said.token_roots,
        }
        for name, sha256 in tokens.items():
            if sha256 is None:
                continue
            known.add(name)
            data = _paper(folder, name, findings)
            if data is not None and hashlib.sha256(data).hexdigest() != sha256:
                findings.add(Verdict.INVALID, "statement", name, "is not the one that the statement names")
            elif data is not None:
                findings.notes.append(f"{name} is not evaluated here: check.sh does, with openssl ts")
        known |= {name for each in said.clips for name in (each.file, each.init_file)}
    for path in sorted(folder.iterdir()):
        if path.name not in known and said is not None:
            findings.add(Verdict.PARTIAL, "stranger", path.name, "is no file of this bundle; it is not read")
    stock = resources.files("agent.evidence") / "bundle"
    for name in (bundle.CHECK_FILE, bundle.CHECK_TEXT_FILE):
        if read_whole(folder, name, MAX_PAPER_BYTES) != (stock / name).read_bytes():
            findings.notes.append(f"{name} is missing, or not the one of this version; do not run it unseen")


# --- journal ----------------------------------------------------------------------------------------------------------


def _read_stretch(
    folder: Path, said: ExportStatement | None, chain: ChainCheck, recordings: RecordingCheck, findings: Findings
) -> _Stretch:
    stretch = _Stretch()
    running = hashlib.sha256()
    name = bundle.JOURNAL_FILE
    first = None if said is None else said.first
    for item in read_logs([LogFile(folder / name, name, first)]):
        if isinstance(item, Torn):
            findings.add(Verdict.INVALID, "line", name, "does not end with a whole line")
            continue
        chain.take(item)
        if isinstance(item, Line):
            running.update(item.entry.line)
            stretch.first_kind = stretch.first_kind or item.entry.head.kind
            recordings.take(item, chain.unbroken)
            if said is not None:
                _take(stretch, item, said.recording, findings)
    stretch.sha256 = running.hexdigest()
    return stretch


def _take(stretch: _Stretch, line: Line, recording: str, findings: Findings) -> None:
    kind, body, seq = line.entry.head.kind, line.entry.body, line.entry.head.seq
    if body is None:
        if stretch.started and stretch.stop is None and kind.startswith(_OWN_KINDS):
            problem = f"the body of this {kind} entry is withheld, within the recording"
            findings.add(Verdict.INCOMPLETE, "hidden", line.where, problem)
        return
    if body.get("rec") != recording:
        return
    if kind == "recording.start":
        stretch.started = True
    elif kind == "segment.open":
        opened = fields.text_of(body, "init"), fields.integer_of(body, "init_len")
        stretch.inits[fields.integer_of(body, "seg")] = opened
    elif kind == "fragment":
        stretch.fragments.append(_fragment(line.where, body, stretch))
    elif kind == "gap":
        stretch.gaps.append(seq)
    elif kind == "recording.stop":
        stretch.stop = seq


def _fragment(where: str, body: Object, stretch: _Stretch) -> SignedFragment:
    seg = fields.integer_of(body, "seg")
    init, init_bytes = stretch.inits.get(seg, ("", 0))
    return SignedFragment(
        where=where,
        seg=seg,
        n=fields.integer_of(body, "n"),
        sealed_bytes=fields.integer_of(body, "len"),
        frames=fields.integer_of(body, "frames"),
        pre=body["pre"] is True,
        plain=fields.text_of(body, "plain"),
        init=init,
        init_bytes=init_bytes,
    )


def _compare(said: ExportStatement, stretch: _Stretch, chain: ChainCheck, findings: Findings) -> None:
    """What the statement says of the journal, against the journal."""

    def wrong(problem: str) -> None:
        findings.add(Verdict.INVALID, "statement", bundle.STATEMENT_FILE, problem)

    if chain.identity is None or chain.last is None:
        return
    if (said.dev, said.jid) != (chain.identity.dev, chain.identity.jid):
        wrong(f"is of camera {said.dev}, journal {said.jid}; journal.log is not")
    if (said.first, said.last) != (chain.first_seq, chain.last.head.seq):
        wrong(f"names entries {said.first} to {said.last}, journal.log has {chain.first_seq} to {chain.last.head.seq}")
    if said.head != chain.last.digest.hex():
        wrong("names another head than that of the last entry")
    if said.journal_sha256 != stretch.sha256:
        findings.add(Verdict.INVALID, "journal", bundle.JOURNAL_FILE, "is not the file that the statement names")
    if not stretch.started:
        wrong(f"is of the recording {said.recording}, which does not start in journal.log")
    if said.stop != stretch.stop:
        wrong(f"names entry {said.stop} as the end of the recording, journal.log {stretch.stop}")
    if list(said.gaps) != stretch.gaps:
        wrong("names other gaps than journal.log")
    if stretch.first_kind not in ("genesis", "token"):
        problem = "begins neither with genesis nor with a token"
        findings.add(Verdict.INCOMPLETE, "start", bundle.JOURNAL_FILE, problem)
    if said.cut_before or said.cut_after:
        problem = f"{said.cut_before} fragments before the clips and {said.cut_after} after them are not in the bundle"
        findings.add(Verdict.PARTIAL, "excerpt", bundle.STATEMENT_FILE, problem)


def _check_clips(folder: Path, said: ExportStatement, stretch: _Stretch, findings: Findings) -> int:
    """Each clip with the fragments that the journal has at its place; returns the bytes read."""
    position, total = said.cut_before, 0
    for each in said.clips:
        own = stretch.fragments[position : position + each.fragments]
        position += each.fragments
        placed = [(part.seg, part.first + index) for part in each.segments for index in range(part.count)]
        if placed != [(fragment.seg, fragment.n) for fragment in own] or not _offsets_fit(each.segments, own):
            problem = f"places other fragments in {each.file} than journal.log has there"
            findings.add(Verdict.INVALID, "statement", bundle.STATEMENT_FILE, problem)
        total += ClipCheck(folder, each, findings).check(own)
    if position + said.cut_after != len(stretch.fragments):
        problem = f"speaks of {position + said.cut_after} fragments, journal.log has {len(stretch.fragments)}"
        findings.add(Verdict.INVALID, "statement", bundle.STATEMENT_FILE, problem)
    return total


def _offsets_fit(ranges: tuple[bundle.SegmentRange, ...], own: list[SignedFragment]) -> bool:
    """Whether each range begins where the fragments before it end."""
    position, offset = 0, clip.FRONT_BYTES
    for each in ranges:
        if each.offset != offset:
            return False
        offset += sum(fragment.padded_bytes for fragment in own[position : position + each.count])
        position += each.count
    return True
