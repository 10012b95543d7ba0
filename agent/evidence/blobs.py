"""Checks each blob against what the journal says of it, in one pass over its bytes and with no key.

Guarantees: a blob without a reason has, up to each fragment's end, the bytes that were signed, the age header and nonce
of its `segment.open`, and no byte more than its `segment.seal` says; whatever lies under segments/ and is not named by
the journal is a reason. One buffer is all the memory that the bytes take. Source: docs/formats.md, "Segments".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

from agent.errors import FormatError
from agent.evidence.read import BlobFile, Line, UnreadableError, blob_files, open_regular, segment_label
from agent.evidence.recordings import Fate, Place, RecordingCheck, SegmentRecord
from agent.evidence.verdict import Findings, Verdict
from agent.formats import age, fields, statement
from agent.formats.canonical import Object
from agent.formats.entries import Entry

BUFFER_BYTES = 1024 * 1024
_HEAD_BYTES = age.MAX_HEADER_BYTES + age.NONCE_BYTES


@dataclass(frozen=True, slots=True)
class _Pass:
    """What one pass over a file found: its size, its first bytes, the running hash at each mark within it."""

    size: int
    head: bytes
    hashes: dict[int, str]


@dataclass(frozen=True, slots=True)
class _Missing:
    where: str
    blob: str | None


@dataclass(frozen=True, slots=True)
class _Orphan:
    """What an `orphan` entry says of a file that no segment entry names."""

    size: int
    hash: str
    where: str


class BlobCheck:
    """Give it each segment when it is closed and each entry that speaks of blobs, then call `finish`."""

    def __init__(self, folder: Path, findings: Findings, is_copy: bool = False) -> None:
        """`is_copy`: it is a dock's archive, where no receipt excuses a blob that is missing."""
        self.blobs = 0
        self.bytes_read = 0
        self._folder = folder
        self._findings = findings
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._known: set[tuple[str, int]] = set()
        self._missing: dict[tuple[str, int], _Missing] = {}
        self._receipts: dict[tuple[str, int], tuple[int, str, str]] = {}
        self._tokens: dict[int, str] = {}
        self._orphans: dict[str, _Orphan] = {}
        self._first_seq: int | None = None
        self._is_copy = is_copy

    def check(self, segment: SegmentRecord) -> None:
        """Hold one segment's file against its record."""
        self._known.add((segment.rec, segment.seg))
        path = self._folder / segment.label
        file = open_regular(path, segment.label)
        if file is None:
            if os.path.lexists(path):
                self._add(Verdict.INVALID, "blob-kind", segment, "is not a regular file")
            elif segment.fate is Fate.RECOVERED and not segment.size:
                self._add(Verdict.PARTIAL, "recovered", segment, "recovered: the file was not there, or empty")
            else:
                self._missing[segment.rec, segment.seg] = _Missing(segment.where, segment.blob)
            return
        self.blobs += 1
        with file:
            found = self._read(file, segment)
        if segment.fate is Fate.RECOVERED:
            self._check_recovered(segment, found)
        elif self._head_fits(segment, found):
            self._check_fragments(segment, found)
            self._check_end(segment, found)

    def take(self, line: Line) -> None:
        """An entry that may speak of blobs: receipts, purges, retention, orphans."""
        entry, body = line.entry, line.entry.body
        if self._first_seq is None:
            self._first_seq = entry.head.seq
        if body is None:
            return
        if entry.head.kind == "receipt":
            self._take_receipt(entry, body)
        elif entry.head.kind == "token":
            self._tokens[entry.head.seq] = entry.digest.hex()
        elif entry.head.kind in ("purge", "expire"):
            self._take_erasure(line, body)
        elif entry.head.kind == "orphan":
            orphan = _Orphan(fields.integer_of(body, "size"), fields.text_of(body, "hash"), line.where)
            self._orphans[fields.text_of(body, "file")] = orphan

    def finish(self, recordings: RecordingCheck, last: Entry | None) -> None:
        """What is missing for good, and files that nobody named. `last` is the journal's last entry."""
        for (rec, seg), missing in self._missing.items():
            label = segment_label(rec, seg)
            self._findings.add(Verdict.INCOMPLETE, "blob-missing", label, f"is missing; {missing.where} opens it")
        for blob in blob_files(self._folder):
            if blob.rec is None or blob.seg is None or (blob.rec, blob.seg) not in self._known:
                self._check_unnamed(blob, recordings, last)

    def _add(self, verdict: Verdict, code: str, segment: SegmentRecord, problem: str) -> None:
        self._findings.add(verdict, code, segment.label, problem)

    # --- one pass -----------------------------------------------------------------------------------------------------

    def _read(self, file: FileIO, segment: SegmentRecord) -> _Pass:
        """Hash up to the last byte that the journal speaks of; a longer file is not read on."""
        marks = {place.end for place in segment.places} | ({segment.size} if segment.size else set())
        return self._read_marks(file, segment.label, sorted(marks))

    def _read_marks(self, file: FileIO, label: str, marks: Sequence[int]) -> _Pass:
        try:
            size = os.fstat(file.fileno()).st_size
            head, hashes = self._hash(file, marks)
        except OSError as error:
            raise UnreadableError(label, error.strerror or "cannot be read", "use a healthy copy") from None
        return _Pass(size, head, hashes)

    def _hash(self, file: FileIO, marks: Sequence[int]) -> tuple[bytes, dict[int, str]]:
        running = hashlib.sha256()
        hashes: dict[int, str] = {}
        position = 0
        head = b""
        for mark in marks:
            while position < mark:
                got = file.readinto(self._buffer[: min(BUFFER_BYTES, mark - position)])
                if not got:
                    return head, hashes
                if len(head) < _HEAD_BYTES:
                    head += bytes(self._buffer[: min(got, _HEAD_BYTES - len(head))])
                running.update(self._buffer[:got])
                position += got
                self.bytes_read += got
            hashes[mark] = running.copy().hexdigest()
        return head, hashes

    # --- what it means ------------------------------------------------------------------------------------------------

    def _head_fits(self, segment: SegmentRecord, found: _Pass) -> bool:
        """The age header and nonce of `segment.open`, and the first fragment right after the init."""
        if not segment.places and segment.size is None:
            return True  # no entry speaks of its bytes yet
        try:
            header = age.read_header(found.head)
        except FormatError as error:
            first = _first_bytes(segment)
            if found.size < first:
                self._add(Verdict.INCOMPLETE, "blob-cut", segment, _cut(segment, found.size, first))
            else:
                self._add(Verdict.INVALID, "blob-header", segment, str(error))
            return False
        if hashlib.sha256(header.raw).hexdigest() != segment.header:
            problem = f"its age header is not the one of {segment.where}: another encryption"
            self._add(Verdict.INVALID, "blob-header", segment, problem)
            return False
        start = len(header.raw) + age.NONCE_BYTES
        if found.head[len(header.raw) : start].hex() != segment.nonce:
            self._add(Verdict.INVALID, "blob-header", segment, f"its nonce is not the one of {segment.where}")
            return False
        fragments_start = start + segment.init_bytes // age.CHUNK_BYTES * age.SEALED_CHUNK_BYTES
        if segment.places and segment.places[0].n == 0 and segment.places[0].offset != fragments_start:
            place = segment.places[0]
            problem = f"begins at byte {place.offset} of {segment.label}, the init ends at {fragments_start}"
            self._findings.add(Verdict.INVALID, "offset", place.where, problem)
        return True

    def _check_fragments(self, segment: SegmentRecord, found: _Pass) -> None:
        wrong = _first_wrong(segment, found)
        if wrong is not None:
            problem = f"fragment {wrong.n}, or the bytes before it, are not those of {wrong.where}"
            self._add(Verdict.INVALID, "blob", segment, problem)

    def _check_end(self, segment: SegmentRecord, found: _Pass) -> None:
        """Of a sealed file, or of one that is open at the end of the journal."""
        expected = segment.size if segment.size is not None else _last_end(segment)
        if found.size < expected:
            self._add(Verdict.INCOMPLETE, "blob-cut", segment, _cut(segment, found.size, expected))
        elif segment.fate is Fate.OPEN:
            if found.size > expected:
                problem = f"is not sealed: {found.size - expected} bytes after its last fragment are not vouched for"
                self._add(Verdict.PARTIAL, "unsealed", segment, problem)
        elif found.size > expected:
            self._add(Verdict.INVALID, "blob-grown", segment, _grown(found.size, expected))
        elif found.hashes.get(expected) != segment.blob:
            self._add(Verdict.INVALID, "blob-whole", segment, "is not the file that was sealed")

    def _check_recovered(self, segment: SegmentRecord, found: _Pass) -> None:
        """What recovery found is signed: the file is that, or it was changed since."""
        assert segment.size is not None
        if found.size < segment.size:
            self._add(Verdict.INCOMPLETE, "blob-cut", segment, _cut(segment, found.size, segment.size))
        elif segment.blob is None:
            self._check_unread(segment, found)
        elif found.size > segment.size:
            self._add(Verdict.INVALID, "blob-grown", segment, _grown(found.size, segment.size))
        elif found.hashes.get(segment.size, hashlib.sha256().hexdigest()) != segment.blob:
            self._add(Verdict.INVALID, "blob-whole", segment, "is not the file that recovery found")
        whole = _whole(segment, found)
        problem = f"recovered: {whole} of {len(segment.places)} fragments are whole"
        if segment.mismatch_n is not None:
            problem += f", from fragment {segment.mismatch_n} on they were found cut off or changed"
        self._add(Verdict.PARTIAL, "recovered", segment, problem)

    def _check_unread(self, segment: SegmentRecord, found: _Pass) -> None:
        """Recovery could not read to the file's end: no more is signed than the fragments that it found whole."""
        wrong = _first_wrong(segment, found)
        if wrong is not None and segment.last_n is not None and wrong.n <= segment.last_n:
            problem = f"fragment {wrong.n}, or the bytes before it, are not those of {wrong.where}"
            self._add(Verdict.INVALID, "blob", segment, problem)

    # --- what is not there, and what is too much ----------------------------------------------------------------------

    def _take_receipt(self, entry: Entry, body: Object) -> None:
        try:
            receipt = statement.parse_in(body)
        except FormatError:
            return  # agent/evidence/chain.py says so
        if receipt.name == "receipt":
            segment = fields.text_of(receipt.value, "rec"), fields.integer_of(receipt.value, "seg")
            self._receipts[segment] = entry.head.seq, entry.digest.hex(), fields.text_of(receipt.value, "blob")

    def _take_erasure(self, line: Line, body: Object) -> None:
        kind = line.entry.head.kind
        segment = fields.text_of(body, "rec"), fields.integer_of(body, "seg")
        reference = fields.object_of(body, "receipt" if kind == "purge" else "proof")
        named = fields.integer_of(reference, "seq"), fields.text_of(reference, "head")
        missing = self._missing.get(segment)
        if kind == "purge":
            seq, head, blob = self._receipts.get(segment, (-1, "", None))
            allowed = (seq, head) == named and (missing is None or missing.blob == blob)
            said, code = "held elsewhere: a dock gave a receipt for it", "elsewhere"
        else:
            allowed = self._tokens.get(named[0]) == named[1]
            said, code = "erased by retention", "erased"
        if named[0] < (self._first_seq or 0):
            return  # what allows it was trimmed, and so was the segment, or that is missing for its own reason
        if not allowed:
            problem = f"{kind} of a segment without the entry that allows it"
            self._findings.add(Verdict.INCOMPLETE, "erasure", line.where, problem)
        elif missing is not None and not (kind == "purge" and self._is_copy):
            del self._missing[segment]
            self._findings.add(Verdict.PARTIAL, code, line.where, f"segment {segment[1]} of {segment[0]}: {said}")

    def _check_unnamed(self, blob: BlobFile, recordings: RecordingCheck, last: Entry | None) -> None:
        name = fields.file_name_of(blob.label)
        if name in self._orphans:
            if not self._is_orphan(blob, name):
                where = self._orphans[name].where
                self._findings.add(Verdict.INVALID, "orphan", blob.label, f"is not the file that {where} names")
        elif any(self._is_orphan(blob, other) for other in self._orphans if other.startswith(f"{name}.")):
            return  # named by the name that it was about to get
        elif _may_be_uncommitted(blob, recordings, last):
            problem = "is not named in the journal: left by a write that was cut off before its entry"
            self._findings.add(Verdict.PARTIAL, "unnamed", blob.label, problem)
        else:
            problem = "is not named in the journal: what names it may have been cut off"
            self._findings.add(Verdict.INCOMPLETE, "unnamed", blob.label, problem)

    def _is_orphan(self, blob: BlobFile, name: str) -> bool:
        """Whether the file has the bytes that the `orphan` entry under this name speaks of."""
        orphan = self._orphans[name]
        file = open_regular(blob.path, blob.label)
        if file is None:
            return False
        with file:
            found = self._read_marks(file, blob.label, [orphan.size] if orphan.size else [])
        if found.size != orphan.size:
            return False
        return found.hashes.get(orphan.size, hashlib.sha256().hexdigest()) == orphan.hash


def _first_bytes(segment: SegmentRecord) -> int:
    """Bytes up to the first end that the journal names; 0 if it names none."""
    return segment.places[0].end if segment.places else segment.size or 0


def _last_end(segment: SegmentRecord) -> int:
    return segment.places[-1].end if segment.places else 0


def _first_wrong(segment: SegmentRecord, found: _Pass) -> Place | None:
    """The first fragment whose running hash differs: after it all do. Those beyond the file's end are not looked at."""
    for place in segment.places:
        if place.end > found.size:
            return None
        if found.hashes.get(place.end) != place.blob:
            return place
    return None


def _whole(segment: SegmentRecord, found: _Pass) -> int:
    return sum(found.hashes.get(place.end) == place.blob for place in segment.places)


def _grown(size: int, expected: int) -> str:
    return f"has grown: {size} bytes where {expected} were signed"


def _cut(segment: SegmentRecord, size: int, expected: int) -> str:
    whole = sum(place.end <= size for place in segment.places)
    return f"is cut: {size} of {expected} bytes, {whole} of {len(segment.places)} fragments"


def _may_be_uncommitted(blob: BlobFile, recordings: RecordingCheck, last: Entry | None) -> bool:
    """Whether an honest camera can leave such a file: its write was cut off, or failed, before its entry."""
    if blob.rec is None or blob.seg is None or last is None:
        return False
    owner, _, number = blob.rec.rpartition("-")
    highest = recordings.highest_segment(blob.rec)
    if highest is not None:
        return blob.seg <= highest + (1 if recordings.is_open(blob.rec) else 0)
    if owner != f"{last.head.dev}-{last.head.jid[:8]}" or not number.isdigit():
        return False
    return blob.seg == 0 and int(number) <= last.head.seq + 1
