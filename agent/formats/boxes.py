"""Boxes of ISO/IEC 14496-12: walking over them, reading fields, and building them.

Guarantees: a walk ends exactly where its parent ends, never passes it, and never loops; a field is read inside its box
or not at all. Errors name the box and its offset in the data that was given.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from agent.errors import FormatError

_HEADER_BYTES = 8
_LARGE_HEADER_BYTES = 16


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its four-character kind, offset of its first byte, size with its header, length of the header."""

    kind: str
    offset: int
    size: int
    header_bytes: int

    @property
    def body(self) -> int:
        """Offset of the first byte after the header."""
        return self.offset + self.header_bytes

    @property
    def end(self) -> int:
        """Offset of the first byte after the box."""
        return self.offset + self.size


def walk(data: memoryview, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes that lie one after the other in data[start:end], not those inside them.

    Takes 32-bit and 64-bit sizes; refuses size 0 ("to the end of the file"), a box shorter than its header and one that
    passes `end`. Raises FormatError.
    """
    limit = len(data) if end is None else end
    offset = start
    while offset < limit:
        if limit - offset < _HEADER_BYTES:
            raise FormatError(f"offset {offset}", f"{limit - offset} bytes where a box header belongs")
        size, raw_kind = struct.unpack_from("!I4s", data, offset)
        kind, header_bytes = raw_kind.decode("latin-1"), _HEADER_BYTES
        if size == 1 and limit - offset >= _LARGE_HEADER_BYTES:
            size, header_bytes = struct.unpack_from("!Q", data, offset + 8)[0], _LARGE_HEADER_BYTES
        if not header_bytes <= size <= limit - offset:
            raise FormatError(f"{kind!r} at offset {offset}", f"size {size} with {limit - offset} bytes left")
        yield Box(kind, offset, size, header_bytes)
        offset += size


def kinds_of(boxes: Sequence[Box]) -> str:
    """Their kinds in a row, for an error's text."""
    return " ".join(each.kind for each in boxes) or "none"


def optional(boxes: Sequence[Box], kind: str) -> Box | None:
    """The one box of that kind, None if there is none. Raises FormatError if there are two."""
    found = [each for each in boxes if each.kind == kind]
    if len(found) > 1:
        raise FormatError(f"{kind} at offset {found[1].offset}", "a second box of this kind")
    return found[0] if found else None


def only(boxes: Sequence[Box], kind: str, parent: str) -> Box:
    """The one box of that kind inside `parent`. Raises FormatError if there is none, or two."""
    found = optional(boxes, kind)
    if found is None:
        raise FormatError(parent, f"no {kind} box inside")
    return found


class Fields:
    """Reads the fields of one box from its front. Whoever reads calls `done` at the end."""

    __slots__ = ("_data", "_end", "offset", "where")

    def __init__(self, data: memoryview, found: Box) -> None:
        self._data = data
        self._end = found.end
        self.offset = found.body
        self.where = f"{found.kind} at offset {found.offset}"

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if self._end - self.offset < count:
            raise FormatError(self.where, f"ends {count - (self._end - self.offset)} bytes too early")
        start, self.offset = self.offset, self.offset + count
        return bytes(self._data[start : self.offset])

    def u16(self) -> int:
        return int.from_bytes(self.take(2))

    def u32(self) -> int:
        return int.from_bytes(self.take(4))

    def s32(self) -> int:
        return int.from_bytes(self.take(4), signed=True)

    def u64(self) -> int:
        return int.from_bytes(self.take(8))

    def version_flags(self, versions: tuple[int, ...]) -> tuple[int, int]:
        """Version and flags of a full box; a version that is not among `versions` is refused."""
        word = self.u32()
        version, flags = word >> 24, word & 0xFFFFFF
        if version not in versions:
            raise FormatError(self.where, f"version {version} is not known")
        return version, flags

    def done(self) -> None:
        """The box must end here."""
        if self.offset != self._end:
            raise FormatError(self.where, f"{self._end - self.offset} bytes too many")


def box(kind: str, *parts: bytes) -> bytes:
    """A box with a 32-bit size around the parts."""
    return struct.pack("!I4s", _HEADER_BYTES + sum(len(part) for part in parts), kind.encode("latin-1")) + b"".join(
        parts
    )


def full_box(kind: str, version: int, flags: int, *parts: bytes) -> bytes:
    """A box that begins with version and flags."""
    return box(kind, struct.pack("!I", version << 24 | flags), *parts)
