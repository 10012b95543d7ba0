"""`temoin salvage`: what can be seen of a single segment, whole or cut, where nothing else is left of it.

Guarantees: what is written is authentic under the file's own key, in its place, and ends with a whole fragment, bit for
bit as it was sealed; one fragment is in memory at a time. Proves nothing: without the journal nobody knows which camera
made the file, when, or what is missing. Assumes an identity of one of the recipients.
Source: docs/formats.md, "Segments"; c2sp.org/age.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from agent.errors import ExportError, FormatError
from agent.evidence.output import NewFile, refuse_existing, sync_folder
from agent.evidence.read import open_regular
from agent.formats import mp4
from agent.formats.age import Identity, open_whole_chunks
from agent.formats.bodies import MAX_CHUNKS, PADDED_BYTES

_MAX_PART_BYTES = MAX_CHUNKS * PADDED_BYTES
_INIT = ("ftyp", "moov")
_FRAGMENT = ("moof", "mdat")
_INDEX = "mfra"
_BOX_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Salvaged:
    """What was found. `problem` says why it ends before the file does; None for a whole segment."""

    out: Path
    fragments: int
    frames: int
    duration_ms: int
    problem: str | None

    def lines(self) -> list[str]:
        """For people: French, then English."""
        seconds = f"{self.duration_ms / 1000:.1f} s"
        ended = ("segment entier", "the whole segment") if self.problem is None else ("segment incomplet", "incomplete")
        found = f"{self.out} : {self.fragments} fragments, {self.frames} images, {seconds}, {ended[0]}"
        lines = [f"{found} | {self.fragments} fragments, {self.frames} frames, {seconds}, {ended[1]}"]
        if self.problem is not None:
            lines.append(f"s'arrête là | ends there: {self.problem}")
        lines.append(
            "RIEN N'EST PROUVÉ : ni la caméra, ni l'heure, ni ce qui manque, sans le journal"
            " | NOTHING IS PROVEN: neither the camera, nor the time, nor what is missing, without the journal"
        )
        return lines


def salvage(file: Path, identities: Sequence[Identity], out: Path) -> Salvaged:
    """Write the init and every whole fragment of the segment `file` to `out`, a fragmented MP4 that plays.

    A whole segment comes out as it was sealed, its index included. Raises ExportError: not an age file, no identity
    that opens it, nothing whole in it, `out` exists or cannot be written; UnreadableError.
    """
    refuse_existing(out)
    raw = open_regular(file, str(file))
    if raw is None:
        raise ExportError(str(file), "is not there, or is not a regular file", "give the path of a .mp4.age file")
    with raw:
        target = NewFile(out)
        try:
            salvaged = _Salvage(raw, identities, target).run(file, out)
            target.finish()
        except BaseException:
            target.abandon()
            out.unlink(missing_ok=True)
            raise
    sync_folder(out.parent)
    return salvaged


class _Salvage:
    """One run over one file."""

    def __init__(self, file: BinaryIO, identities: Sequence[Identity], target: NewFile) -> None:
        self._chunks = open_whole_chunks(file, identities)
        self._target = target
        self._complete = False
        self._init: mp4.Init | None = None
        self._fragments = self._frames = self._ticks = 0

    def run(self, file: Path, out: Path) -> Salvaged:
        problem: str | None = None
        try:
            for part in self._parts():
                self._take(part)
        except FormatError as error:
            problem = str(error)
            if self._init is None:
                raise ExportError(f"{file}: {error.where}", error.problem, error.remedy) from None
        if problem is None and not self._complete:
            problem = "the file was cut: it has no last chunk"
        if self._init is None or self._fragments == 0:
            raise ExportError(str(file), "holds no whole fragment", "nothing can be salvaged of it")
        duration_ms = self._ticks * 1000 // self._init.video.timescale
        return Salvaged(out, self._fragments, self._frames, duration_ms, problem)

    def _parts(self) -> Iterator[memoryview]:
        """Init, fragments and index one after the other, padded; what is not whole at the end does not come."""
        held = bytearray()
        for plain, last in self._chunks:
            self._complete = last
            held += plain
            length = _part_length(held)
            if length is not None and length <= len(held):
                yield memoryview(bytes(held[:length]))
                del held[:length]
            elif last and held[4:_BOX_HEADER_BYTES] == _INDEX.encode():
                # The index is the last chunk, and the only part that is not padded.
                yield memoryview(bytes(held))
            elif len(held) > _MAX_PART_BYTES:
                raise FormatError("segment", f"a part of more than {_MAX_PART_BYTES} bytes")

    def _take(self, part: memoryview) -> None:
        if bytes(part[4:_BOX_HEADER_BYTES]) == _INDEX.encode():
            self._target.write(part)
            return
        if self._init is None:
            self._init = mp4.parse_padded_init(part)
        else:
            runs = mp4.parse_padded_fragment(part, self._init)
            video = mp4.video_of(runs, self._init)
            self._fragments += 1
            self._frames += len(video.samples)
            self._ticks += video.end_time - video.decode_time
        self._target.write(part)


def _part_length(held: bytearray) -> int | None:
    """Padded length of the part that begins here, None while its second box has not come. Raises FormatError."""
    offset = 0
    for kinds in zip(_INIT, _FRAGMENT, strict=True):
        if len(held) - offset < _BOX_HEADER_BYTES:
            return None
        size, kind = struct.unpack_from("!I4s", held, offset)
        if kind == _INDEX.encode() and offset == 0:
            return None
        if kind.decode("latin-1") not in kinds or size < _BOX_HEADER_BYTES:
            raise FormatError("segment", f"no {' or '.join(kinds)} box where the next part belongs")
        offset += size
    return mp4.padded_length(offset)
