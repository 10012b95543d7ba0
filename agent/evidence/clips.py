"""Opens the fragments of a recording and lays them out as clips that every player shows.

Guarantees: a fragment is written only if the file up to its end has the hash of its entry (`blob`), its plaintext that
of the same entry (`plain`), and its content is a fragment of the number of frames that the entry says; clips hold the
padded fragments bit for bit. One fragment is in memory at a time, beside the sample tables. Assumes fragments in the
order of the journal, and a folder that nobody else can write to.
Source: docs/formats.md, "Segments" and "The bundle".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from io import BufferedReader
from pathlib import Path

from agent.errors import ExportError, FormatError
from agent.evidence.output import NewFile, write_file
from agent.evidence.read import open_regular, segment_label
from agent.evidence.selection import Fragment, Segment
from agent.formats import bundle, clip, mp4
from agent.formats.age import (
    CHUNK_BYTES,
    MAX_HEADER_BYTES,
    NONCE_BYTES,
    SEALED_CHUNK_BYTES,
    Identity,
    Opener,
)
from agent.formats.bundle import ClipStatement, SegmentRange
from agent.model import NS_PER_S

MAX_CLOCK_DIFFERENCE_NS = NS_PER_S // 2
"""Between two fragments of one capture process, file time and boot clock move on alike; another process starts at 0."""

_UNTOUCHED = "use an untouched copy of the data folder"


class SegmentReader:
    """One segment's file, read from its first byte on so that the running hash of every entry is checked."""

    def __init__(self, data: Path, recording: str, segment: Segment, identities: Sequence[Identity]) -> None:
        self.label = segment_label(recording, segment.seg)
        raw = open_regular(data / self.label, self.label)
        if raw is None:
            raise ExportError(self.label, "is not there", "export from the dock's archive, or where the file is")
        self._file = BufferedReader(raw)
        self._hash = hashlib.sha256()
        self._next_chunk = 0
        self._position = 0
        try:
            self._open_header(segment, identities)
            self.init = self._take_init(segment)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def skip(self, fragment: Fragment) -> None:
        """Check a fragment that nobody wants, without opening it. Raises ExportError."""
        self._read_fragment(fragment)
        self._next_chunk += fragment.length // SEALED_CHUNK_BYTES

    def take(self, fragment: Fragment) -> bytearray:
        """The padded plaintext of the next fragment. Raises ExportError."""
        plain = self._unseal(self._read_fragment(fragment))
        if hashlib.sha256(plain).hexdigest() != fragment.plain:
            raise self._wrong(fragment, "its plaintext is not the one of the entry")
        return plain

    def _open_header(self, segment: Segment, identities: Sequence[Identity]) -> None:
        start = self._file.read(MAX_HEADER_BYTES + NONCE_BYTES)
        try:
            self._opener = Opener(start, identities)
        except FormatError as error:
            raise ExportError(f"{self.label}: {error.where}", error.problem, error.remedy or _UNTOUCHED) from None
        self._position = self._opener.payload_offset
        header, nonce = start[: self._position - NONCE_BYTES], start[self._position - NONCE_BYTES : self._position]
        if hashlib.sha256(header).hexdigest() != segment.header or nonce.hex() != segment.nonce:
            raise ExportError(self.label, "its header is not the one of segment.open", _UNTOUCHED)
        self._hash.update(start[: self._position])
        self._file.seek(self._position)

    def _take_init(self, segment: Segment) -> bytearray:
        sealed = self._read(segment.init_bytes // CHUNK_BYTES * SEALED_CHUNK_BYTES)
        if sealed is None:
            raise ExportError(self.label, "ends before its init does", _UNTOUCHED)
        plain = self._unseal(sealed)
        if hashlib.sha256(plain).hexdigest() != segment.init:
            raise ExportError(self.label, "its init is not the one of segment.open", _UNTOUCHED)
        return plain

    def _read_fragment(self, fragment: Fragment) -> bytes:
        if fragment.offset != self._position:
            raise self._wrong(fragment, f"is at offset {fragment.offset}, the one before ends at {self._position}")
        sealed = self._read(fragment.length)
        if sealed is None:
            raise self._wrong(fragment, "the file ends before the fragment does")
        if self._hash.hexdigest() != fragment.blob:
            raise self._wrong(fragment, "the file up to here is not the one of the entry")
        return sealed

    def _read(self, length: int) -> bytes | None:
        data = self._file.read(length)
        if len(data) != length:
            return None
        self._hash.update(data)
        self._position += length
        return data

    def _unseal(self, sealed: bytes) -> bytearray:
        plain, view = bytearray(), memoryview(sealed)
        for start in range(0, len(sealed), SEALED_CHUNK_BYTES):
            try:
                plain += self._opener.open_chunk(self._next_chunk, view[start : start + SEALED_CHUNK_BYTES], last=False)
            except FormatError as error:
                raise ExportError(f"{self.label}: {error.where}", error.problem, _UNTOUCHED) from None
            self._next_chunk += 1
        return plain

    def _wrong(self, fragment: Fragment, problem: str) -> ExportError:
        return ExportError(f"{self.label}: entry {fragment.seq}", problem, _UNTOUCHED)


class _ClipWriter:
    """One clip in the making."""

    def __init__(self, folder: Path, number: int, padded_init: bytearray) -> None:
        self._path = folder / bundle.clip_file(number)
        self._number = number
        self._padded_init = bytes(padded_init)
        self.init = mp4.parse_padded_init(memoryview(self._padded_init))
        self._file = NewFile(self._path)
        self._file.write(bytes(clip.FRONT_BYTES))
        self._offset = clip.FRONT_BYTES
        self._laid: list[tuple[int, tuple[mp4.TrackRun, ...]]] = []
        self._ranges: list[SegmentRange] = []
        self._last: Fragment | None = None
        self._fragments = self._frames = self._pre = 0

    def close(self) -> None:
        """Release the file, also of a clip that is given up."""
        self._file.abandon()

    def is_continued_by(self, padded_init: bytearray, fragment: Fragment, plain: bytearray) -> bool:
        """Whether the fragment, the first of its segment, comes from the capture process of the clip so far."""
        if padded_init != self._padded_init:
            return False
        assert self._last is not None
        before = mp4.video_of(self._laid[-1][1], self.init)
        after = mp4.video_of(self._parse(fragment, plain), self.init)
        moved_ns = (after.decode_time - before.decode_time) * NS_PER_S // self.init.video.timescale
        return (
            after.decode_time >= before.end_time
            and abs(moved_ns - (fragment.t0_ns - self._last.t0_ns)) <= MAX_CLOCK_DIFFERENCE_NS
        )

    def add(self, fragment: Fragment, plain: bytearray) -> None:
        """The next fragment. Raises ExportError if it is not what its entry says."""
        runs = self._parse(fragment, plain)
        shown = len(mp4.video_of(runs, self.init).samples)
        if shown != fragment.frames:
            problem = f"{shown} frames where the entry says {fragment.frames}"
            raise ExportError(f"entry {fragment.seq}", problem, "report this: the camera hashed what it did not count")
        self._laid.append((self._offset, runs))
        if self._ranges and self._ranges[-1].seg == fragment.seg:
            last = self._ranges[-1]
            self._ranges[-1] = SegmentRange(last.seg, last.first, last.count + 1, last.offset)
        else:
            self._ranges.append(SegmentRange(fragment.seg, fragment.n, 1, self._offset))
        self._file.write(plain)
        self._offset += len(plain)
        self._last = fragment
        self._fragments += 1
        self._frames += fragment.frames
        self._pre += fragment.pre

    def finish(self) -> ClipStatement:
        """Write front, index and init; make the files durable."""
        try:
            moov = clip.movie(self.init, self._laid)
            front = clip.front(self._offset - clip.FRONT_BYTES, self.init.ftyp)
        except FormatError as error:
            raise ExportError(
                f"{self._path.name}: {error.where}", error.problem, "cut it with --start and --end"
            ) from None
        self._file.write(moov)
        self._file.write_front(front)
        self._file.finish()
        init_file = bundle.init_file(self._number)
        write_file(self._path.parent / init_file, self._padded_init)
        return ClipStatement(
            file=self._path.name,
            size_bytes=self._offset + len(moov),
            sha256=_hash_of(self._path),
            init_file=init_file,
            init_bytes=len(self._padded_init),
            init_sha256=hashlib.sha256(self._padded_init).hexdigest(),
            moov_bytes=len(moov),
            moov_sha256=hashlib.sha256(moov).hexdigest(),
            fragments=self._fragments,
            frames=self._frames,
            pre=self._pre,
            segments=tuple(self._ranges),
        )

    def _parse(self, fragment: Fragment, plain: bytearray) -> tuple[mp4.TrackRun, ...]:
        try:
            return mp4.parse_padded_fragment(memoryview(plain), self.init)
        except FormatError as error:
            raise ExportError(f"entry {fragment.seq}: {error.where}", error.problem, "report this") from None


def write_clips(
    data: Path,
    folder: Path,
    recording: str,
    segments: Sequence[Segment],
    wanted: Sequence[Fragment],
    before: Sequence[Fragment],
    identities: Sequence[Identity],
) -> tuple[ClipStatement, ...]:
    """Write the clips of the wanted fragments, which are consecutive and not empty, into `folder`.

    `before` are the recording's fragments before them: those in the first wanted segment are checked on the way. A new
    clip begins where the init changes or the capture process was started again. Raises ExportError, UnreadableError.
    """
    clips: list[ClipStatement] = []
    writer: _ClipWriter | None = None
    try:
        for segment in segments:
            own = [fragment for fragment in wanted if fragment.seg == segment.seg]
            if not own:
                continue
            skipped = [fragment for fragment in before if fragment.seg == segment.seg]
            for init, fragment, plain in _open_segment(data, recording, segment, skipped, own, identities):
                if writer is not None and fragment is own[0] and not writer.is_continued_by(init, fragment, plain):
                    clips.append(writer.finish())
                    writer = None
                if writer is None:
                    writer = _ClipWriter(folder, len(clips) + 1, init)
                writer.add(fragment, plain)
        assert writer is not None, "at least one fragment is wanted"
        clips.append(writer.finish())
    finally:
        if writer is not None:
            writer.close()
    return tuple(clips)


def _open_segment(
    data: Path,
    recording: str,
    segment: Segment,
    skipped: Sequence[Fragment],
    own: Sequence[Fragment],
    identities: Sequence[Identity],
) -> Iterator[tuple[bytearray, Fragment, bytearray]]:
    """(padded init, fragment, its padded plaintext) of each wanted fragment of one segment."""
    reader = SegmentReader(data, recording, segment, identities)
    try:
        for fragment in skipped:
            reader.skip(fragment)
        for fragment in own:
            yield reader.init, fragment, reader.take(fragment)
    finally:
        reader.close()


def _hash_of(path: Path) -> str:
    """The clip as it lies there, its front included, which was written last."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
