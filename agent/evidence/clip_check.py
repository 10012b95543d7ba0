"""Checks one exported clip, byte for byte: front, each fragment against its entry, and the index derived again.

Guarantees: a clip without a reason is exactly the file that the export makes of the init and the fragments that the
camera signed. One fragment is in memory at a time. Source: docs/formats.md, "The bundle".
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from agent.errors import FormatError
from agent.evidence.read import UnreadableError, open_regular
from agent.evidence.verdict import Findings, Verdict
from agent.formats import clip, mp4
from agent.formats.age import CHUNK_BYTES, SEALED_CHUNK_BYTES
from agent.formats.bundle import ClipStatement

MAX_INIT_BYTES = 16 * 1024 * 1024
MAX_MOOV_BYTES = 64 * 1024 * 1024
"""A day of footage at 30 frames a second, with sound, has an index of 50 MB."""


@dataclass(frozen=True, slots=True)
class SignedFragment:
    """What an entry says of a fragment that a clip shows; `plain` hashes the padded fragment, `init` its segment's."""

    where: str
    seg: int
    n: int
    sealed_bytes: int
    frames: int
    pre: bool
    plain: str
    init: str
    init_bytes: int

    @property
    def padded_bytes(self) -> int:
        return self.sealed_bytes // SEALED_CHUNK_BYTES * CHUNK_BYTES


class ClipCheck:
    """One clip of a bundle."""

    def __init__(self, folder: Path, said: ClipStatement, findings: Findings) -> None:
        self._folder = folder
        self._said = said
        self._findings = findings
        self._running = hashlib.sha256()

    def check(self, fragments: Sequence[SignedFragment]) -> int:
        """Hold init and clip against the fragments that the statement places in it; returns the bytes read."""
        said = self._said
        if (sum(each.frames for each in fragments), sum(each.pre for each in fragments)) != (said.frames, said.pre):
            self._invalid("statement", "statement.json", f"counts other frames of {said.file} than the journal")
        init = self._check_init(fragments)
        raw = open_regular(self._folder / said.file, said.file)
        if raw is None:
            self._findings.add(Verdict.INCOMPLETE, "clip-missing", said.file, "is missing, or not a regular file")
            return 0
        with BufferedReader(raw) as file:
            try:
                size = os.fstat(file.fileno()).st_size
                self._check_clip(file, size, init, fragments)
            except OSError as error:
                raise UnreadableError(said.file, error.strerror or "cannot be read", "use a healthy copy") from None
        return size

    def _invalid(self, code: str, where: str, problem: str) -> None:
        self._findings.add(Verdict.INVALID, code, where, problem)

    def _check_init(self, fragments: Sequence[SignedFragment]) -> mp4.Init | None:
        """The init, if its bytes are those that each fragment's segment was opened with."""
        name = self._said.init_file
        data = read_whole(self._folder, name, MAX_INIT_BYTES)
        if data is None:
            self._findings.add(Verdict.INCOMPLETE, "init-missing", name, "is missing, too long, or not a regular file")
            return None
        found = hashlib.sha256(data).hexdigest(), len(data)
        other = next((each for each in fragments if (each.init, each.init_bytes) != found), None)
        if other is not None:
            self._invalid("init", name, f"is not the init of segment {other.seg}, which holds {other.where}")
            return None
        if found != (self._said.init_sha256, self._said.init_bytes):
            self._invalid("statement", "statement.json", f"names other bytes than those of {name}")
        try:
            return mp4.parse_padded_init(memoryview(data))
        except FormatError as error:
            self._invalid("init", name, str(error))
            return None

    def _check_clip(
        self, file: BinaryIO, size: int, init: mp4.Init | None, fragments: Sequence[SignedFragment]
    ) -> None:
        said = self._said
        payload_bytes = sum(each.padded_bytes for each in fragments)
        front = self._take(file, clip.FRONT_BYTES)
        try:
            if init is not None and front != clip.front(payload_bytes, init.ftyp):
                self._invalid("front", said.file, "its first 65,536 bytes are not those that the export writes")
        except FormatError as error:
            self._invalid("front", said.file, str(error))
        laid = self._check_fragments(file, init, fragments)
        self._check_end(file, size - clip.FRONT_BYTES - payload_bytes, init, laid)
        if (size, self._running.hexdigest()) != (said.size_bytes, said.sha256):
            self._invalid("clip", said.file, "is not the file that the statement names")

    def _check_fragments(
        self, file: BinaryIO, init: mp4.Init | None, fragments: Sequence[SignedFragment]
    ) -> list[tuple[int, tuple[mp4.TrackRun, ...]]] | None:
        """Where each fragment lies and what it holds; None if one is not as it was signed."""
        laid: list[tuple[int, tuple[mp4.TrackRun, ...]]] = []
        offset, whole = clip.FRONT_BYTES, init is not None
        for each in fragments:
            data = self._take(file, each.padded_bytes)
            if hashlib.sha256(data).hexdigest() != each.plain:
                problem = f"the bytes at {offset} are not fragment {each.n} of segment {each.seg}, {each.where}"
                self._invalid("fragment", self._said.file, problem)
                whole = False
            elif init is not None and (runs := self._parse(data, init, each)) is not None:
                laid.append((offset, runs))
            else:
                whole = False
            offset += each.padded_bytes
        return laid if whole else None

    def _parse(self, data: bytes, init: mp4.Init, each: SignedFragment) -> tuple[mp4.TrackRun, ...] | None:
        try:
            runs = mp4.parse_padded_fragment(memoryview(data), init)
        except FormatError as error:
            self._invalid("fragment", each.where, f"signed, but no fragment: {error}")
            return None
        shown = len(mp4.video_of(runs, init).samples)
        if shown != each.frames:
            self._invalid("frames", each.where, f"says {each.frames} frames, the fragment has {shown}")
        return runs

    def _check_end(
        self,
        file: BinaryIO,
        rest_bytes: int,
        init: mp4.Init | None,
        laid: list[tuple[int, tuple[mp4.TrackRun, ...]]] | None,
    ) -> None:
        """The `moov`: derived again where everything before it is as it was signed."""
        said = self._said
        if rest_bytes != said.moov_bytes or rest_bytes > MAX_MOOV_BYTES:
            self._invalid("moov", said.file, f"{rest_bytes} bytes after the fragments where {said.moov_bytes} belong")
            return
        moov = self._take(file, said.moov_bytes)
        if hashlib.sha256(moov).hexdigest() != said.moov_sha256:
            self._invalid("moov", said.file, "its moov is not the one that the statement names")
        elif init is not None and laid is not None:
            try:
                derived = clip.movie(init, laid)
            except FormatError as error:
                self._invalid("moov", said.file, f"no moov can be derived from its fragments: {error}")
                return
            if moov != derived:
                self._invalid("moov", said.file, "its moov is not the one that follows from its fragments")

    def _take(self, file: BinaryIO, length: int) -> bytes:
        data = file.read(length)
        self._running.update(data)
        return data


def read_whole(folder: Path, name: str, limit: int) -> bytes | None:
    """A small file of a bundle; None if it is missing, not a regular file or longer than `limit`."""
    raw = open_regular(folder / name, name)
    if raw is None:
        return None
    with BufferedReader(raw) as file:
        try:
            data = file.read(limit + 1)
        except OSError as error:
            raise UnreadableError(name, error.strerror or "cannot be read", "use a healthy copy") from None
    return data if len(data) <= limit else None
