"""`temoin export`: one recording, or a part of it, as a bundle that a court checks without any software of ours.

Guarantees: nothing leaves that does not match its entry; the bundle appears whole, durable and readable by its owner
alone, or not at all; the data folder is only read. Clear footage is written into `out` (beside it, under a hidden name,
until it is whole) and nowhere else. Assumes an identity of one of the recipients, and an export key of the same agency.
Source: docs/formats.md, "The bundle"; docs/court.md says what each file proves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from agent import keys
from agent.errors import CertificateError, ExportError, FormatError
from agent.evidence.clips import write_clips
from agent.evidence.output import FILE_MODE, NewFile, new_folder, refuse_existing, write_file
from agent.evidence.selection import Selection, camera_chain, entries_of, select
from agent.evidence.verdict import Report
from agent.evidence.verify import load_root, verify
from agent.formats import bundle
from agent.formats.age import Identity
from agent.formats.bundle import ClipStatement, ExportStatement
from agent.ports import Random

_SCRIPT_MODE = 0o755


@dataclass(frozen=True, slots=True)
class ExportSigner:
    """The reader's export key and its certificates, its own first, without the agency's root."""

    key: ec.EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """What was made: the folder, its clips in order, and what the exporter signed."""

    folder: Path
    clips: tuple[Path, ...]
    statement: ExportStatement


def export(
    recording: str,
    data: Path,
    identities: Sequence[Identity],
    signer: ExportSigner,
    root_pem: bytes,
    out: Path,
    *,
    now_ms: int,
    random: Random,
    start_ms: int | None = None,
    end_ms: int | None = None,
    tsa_pem: bytes | None = None,
) -> Bundle:
    """Make the bundle `out` of a recording in the camera's folder `data`.

    `start_ms` and `end_ms` count from the recording's first fragment; every fragment of which something lies between
    them is exported whole. `tsa_pem` holds the roots of the time-stamping authority, which are needed where the journal
    has tokens. Raises ExportError, CertificateError and UnreadableError.
    """
    refuse_existing(out)
    root = load_root(root_pem)
    exporter = _exporter(signer, root, now_ms)
    selection = select(data, recording)
    wanted = selection.cut(start_ms, end_ms)
    papers = _papers(selection, signer, root, tsa_pem)
    report = verify(data, root_pem, now_ms=now_ms)
    with new_folder(out, random) as folder:
        journal = _write_journal(folder / bundle.JOURNAL_FILE, data, selection, root)
        before = [fragment for fragment in selection.fragments if fragment.seq < wanted[0].seq]
        clips = write_clips(data, folder, recording, selection.segments, wanted, before, identities)
        statement = _statement(
            selection, clips, len(before), papers, journal, report, exporter.id, keys.role_of(root, "trust").id, now_ms
        )
        text = _encode(statement)
        write_file(folder / bundle.STATEMENT_FILE, text)
        write_file(folder / bundle.SIGNATURE_FILE, sign_statement(text, signer))
        for name, content in papers.items():
            write_file(folder / name, content, _SCRIPT_MODE if name == bundle.CHECK_FILE else FILE_MODE)
    return Bundle(out, tuple(out / clip.file for clip in clips), statement)


@dataclass(frozen=True, slots=True)
class _Journal:
    """What was written of the journal: hash of its last head and of the file, both hex."""

    head: str
    sha256: str


def _exporter(signer: ExportSigner, root: x509.Certificate, now_ms: int) -> keys.Role:
    role = keys.check_chain(signer.chain, root, ("export",), "export certificate", now_ms)
    if signer.chain[0].public_key() != signer.key.public_key():
        raise CertificateError("export certificate", "is not the one of the export key", "give both from one folder")
    return role


def _papers(
    selection: Selection, signer: ExportSigner, root: x509.Certificate, tsa_pem: bytes | None
) -> dict[str, bytes]:
    """The files that do not depend on the footage, by name."""
    tokens = {bundle.TOKEN_BEFORE_FILE: selection.token_before, bundle.TOKEN_AFTER_FILE: selection.token_after}
    papers = {name: token.reply for name, token in tokens.items() if token is not None}
    if papers:
        if tsa_pem is None:
            name = f"entry {next(token.seq for token in tokens.values() if token is not None)}"
            raise ExportError(name, "is a time stamp, but its authority's certificate is not there", "give tsa.pem")
        papers[bundle.TSA_FILE] = tsa_pem
    papers[bundle.CAMERA_FILE] = b"".join(each.public_bytes(Encoding.PEM) for each in camera_chain(selection))
    papers[bundle.AGENCY_FILE] = root.public_bytes(Encoding.PEM)
    stock = resources.files("agent.evidence") / "bundle"
    for name in (bundle.CHECK_FILE, bundle.CHECK_TEXT_FILE):
        papers[name] = (stock / name).read_bytes()
    return papers


def _write_journal(path: Path, data: Path, selection: Selection, root: x509.Certificate) -> _Journal:
    running = hashlib.sha256()
    head = ""
    file = NewFile(path)
    try:
        for entry in entries_of(data, selection, root):
            running.update(entry.line)
            file.write(entry.line)
            head = entry.digest.hex()
        file.finish()
    finally:
        file.abandon()
    return _Journal(head, running.hexdigest())


def _statement(
    selection: Selection,
    clips: tuple[ClipStatement, ...],
    cut_before: int,
    papers: dict[str, bytes],
    journal: _Journal,
    report: Report,
    exporter: str,
    agency: str,
    now_ms: int,
) -> ExportStatement:
    shown = sum(clip.fragments for clip in clips)

    def hash_or_none(name: str) -> str | None:
        return hashlib.sha256(papers[name]).hexdigest() if name in papers else None

    return ExportStatement(
        agency=agency,
        exporter=exporter,
        utc_ms=now_ms,
        dev=selection.dev,
        jid=selection.jid,
        camera=hashlib.sha256(selection.chain[0]).hexdigest(),
        recording=selection.recording,
        stop=selection.stop,
        gaps=selection.gaps,
        cut_before=cut_before,
        cut_after=len(selection.fragments) - cut_before - shown,
        clips=clips,
        first=selection.first,
        last=selection.last,
        head=journal.head,
        journal_sha256=journal.sha256,
        token_before=hash_or_none(bundle.TOKEN_BEFORE_FILE),
        token_after=hash_or_none(bundle.TOKEN_AFTER_FILE),
        token_roots=hash_or_none(bundle.TSA_FILE),
        verdict=report.verdict.name,
        reasons=tuple(_reason(str(reason)) for reason in report.reasons[: bundle.MAX_REASONS]),
    )


def _encode(statement: ExportStatement) -> bytes:
    try:
        return statement.encode()
    except FormatError as error:
        raise ExportError(f"statement: {error.where}", error.problem, "export it in parts: --start and --end") from None


def _reason(said: str) -> str:
    """A reason in characters that signed JSON takes, and not too long for it."""
    plain = "".join(each if each.isprintable() else "?" for each in said)
    return plain[: bundle.MAX_REASON_CHARACTERS]


def sign_statement(text: bytes, signer: ExportSigner) -> bytes:
    """Detached CMS in PEM. Without signed attributes: the library would put this computer's time there unasked."""
    builder = pkcs7.PKCS7SignatureBuilder().set_data(text).add_signer(signer.chain[0], signer.key, SHA256())
    for certificate in signer.chain[1:]:
        builder = builder.add_certificate(certificate)
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoAttributes]
    return builder.sign(Encoding.PEM, options)
