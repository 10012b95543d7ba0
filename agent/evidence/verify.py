"""`temoin verify`: is this the evidence that the camera signed, all of it, and nothing else?

Guarantees: one pass over the journal and one over each blob, no private key, nothing written; the same folder gives the
same report; whatever the bytes are, the outcome is a report, or UnreadableError when they could not be read at all.
Assumes that the caller has the agency's root from elsewhere than the evidence. Source: docs/formats.md, "Verdicts".
"""

from __future__ import annotations

from pathlib import Path

from cryptography import x509

from agent import keys
from agent.errors import CertificateError
from agent.evidence.blobs import BlobCheck
from agent.evidence.chain import ChainCheck
from agent.evidence.read import COPY_MARK, JOURNAL, LEFTOVER, Line, UnreadableError, journal_files, read_logs
from agent.evidence.recordings import RecordingCheck
from agent.evidence.reporting import report_of
from agent.evidence.verdict import Findings, Report, Verdict
from agent.evidence.verify_bundle import verify_bundle
from agent.formats import bundle


def verify(
    path: Path, root_pem: bytes, *, outside_head: tuple[int, str] | None = None, now_ms: int | None = None
) -> Report:
    """Check the folder of a camera, or of a dock's own journal, against the agency's root: one certificate in PEM.

    `outside_head` is (seq, hex SHA-256 of the head) of an entry that somebody else keeps, against a tail cut off;
    `now_ms` is UTC in ms, None if it is not known. Raises UnreadableError, and CertificateError for the root.
    """
    root = load_root(root_pem)
    try:
        names = {each.name for each in path.iterdir()}
    except OSError as error:
        raise UnreadableError(str(path), error.strerror or "cannot be read", "give a folder that can be read") from None
    if JOURNAL in names:
        return _verify_camera(path, root, outside_head, now_ms, COPY_MARK in names)
    if names & {bundle.STATEMENT_FILE, bundle.JOURNAL_FILE}:
        return verify_bundle(path, root, outside_head, now_ms)
    raise UnreadableError(str(path), "holds no journal", "give a camera's folder, or a bundle")


def load_root(root_pem: bytes) -> x509.Certificate:
    """The one certificate of the agency's root. Raises CertificateError."""
    chain = keys.load_chain(root_pem, "trust")
    if len(chain) != 1 or keys.role_of(chain[0], "trust").kind != "ca":
        raise CertificateError("trust", "is not the certificate of one agency", "give the agency's agency.pem")
    return chain[0]


def _verify_camera(
    folder: Path, root: x509.Certificate, outside_head: tuple[int, str] | None, now_ms: int | None, is_copy: bool
) -> Report:
    findings = Findings()
    logs, others = journal_files(folder)
    chain = ChainCheck(root, findings, outside_head=outside_head, now_ms=now_ms, is_copy=is_copy)
    recordings = RecordingCheck(findings)
    blobs = BlobCheck(folder, findings, is_copy)
    for item in read_logs(logs):
        chain.take(item)
        if isinstance(item, Line):
            segment = recordings.take(item, chain.unbroken and not chain.withheld)
            if segment is not None:
                blobs.check(segment)
            blobs.take(item)
    for segment in recordings.finish():
        blobs.check(segment)
    blobs.finish(recordings, chain.last)
    chain.finish()
    _note_others(others, findings)
    if chain.entries == 0:
        findings.add(Verdict.INVALID, "journal", logs[0].label, "holds no entry")
    counts = {"entries": chain.entries, "blobs": blobs.blobs, "bytes of blobs": blobs.bytes_read}
    layout = "dock" if chain.role is not None and chain.role.kind == "dock" else "camera"
    return report_of(folder, layout, findings, chain, recordings, counts)


def _note_others(others: list[str], findings: Findings) -> None:
    for label in others:
        if label == f"{JOURNAL}/{LEFTOVER}":
            findings.notes.append(f"{label} is a file that was begun and never got its name; it is not read")
        else:
            findings.add(Verdict.PARTIAL, "stranger", label, "is no file of a journal; it is not read")
