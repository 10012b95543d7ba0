"""Other people's readers open every segment of a shift: npm's age-encryption (post-quantum), Debian's age (X25519).

What they find must be what the camera signed: the padded init and the padded fragments, byte for byte. Of a segment
that a power cut left they must give every whole chunk, and say that it is not whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.formats import fields
from agent.formats.canonical import Object
from tests.support import interop
from tests.support.footage_matrix import Case
from tests.support.shift import Fragment, bodies, fragments

CHUNK_BYTES = 65_536  # age: what a chunk holds, and what it takes in the file
SEALED_CHUNK_BYTES = CHUNK_BYTES + 16
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Opened:
    """How a reader ended, and what it gave."""

    code: int
    plain: bytes
    said: bytes


def open_file(kind: str, identity: Path, source: Path, target: Path) -> Opened:
    """With the independent reader of that kind of recipient."""
    if kind == "classic":
        done = interop.age("-d", "-i", identity, "-o", target, source)
    else:
        done = interop.npm_script("open.mjs", identity, source, target)
    return Opened(done.returncode, target.read_bytes() if target.exists() else b"", done.stderr)


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's file and what the journal says of it."""

    path: Path
    opened: Object
    parts: list[Fragment]

    @property
    def header_bytes(self) -> int:
        """Up to the newline after the header's MAC."""
        data = self.path.read_bytes()
        return data.index(b"\n", data.index(b"\n--- ") + 1) + 1

    @property
    def whole_chunks(self) -> int:
        return (self.path.stat().st_size - self.header_bytes - NONCE_BYTES) // SEALED_CHUNK_BYTES

    def expect(self, plain: bytes) -> int:
        """Every part that `plain` reaches is what was signed; returns how many fragments it holds."""
        init = fields.integer_of(self.opened, "init_len")
        assert hashlib.sha256(plain[:init]).hexdigest() == self.opened["init"]
        at, count = init, 0
        for part in self.parts:
            length = part.length_bytes // SEALED_CHUNK_BYTES * CHUNK_BYTES
            assert part.offset == self.header_bytes + NONCE_BYTES + at // CHUNK_BYTES * SEALED_CHUNK_BYTES
            if at + length > len(plain):
                break
            assert hashlib.sha256(plain[at : at + length]).hexdigest() == part.plain, f"fragment {part.n}"
            at, count = at + length, count + 1
        return count


def segments(case: Case, rec: str) -> Iterator[Segment]:
    """All of a recording; the folder holds no others."""
    data = case.worked.data
    opens, parts = bodies(data, "segment.open", rec), fragments(data, rec)
    paths = sorted((data / "segments" / rec).iterdir())
    assert [path.name for path in paths] == [f"{fields.integer_of(each, 'seg'):04}.mp4.age" for each in opens]
    for number, (path, opened) in enumerate(zip(paths, opens, strict=True)):
        yield Segment(path, opened, [part for part in parts if part.seg == number])


def test_every_segment_opens_to_what_was_signed(case: Case, tmp_path: Path) -> None:
    count = 0
    for holder in ("reader/agency", "escrow/escrow"):
        identity = case.worked.agency.folder / f"{holder}.age-identity"
        for number, segment in enumerate(segments(case, case.worked.whole)):
            found = open_file(case.kind, identity, segment.path, tmp_path / f"{identity.name}-{number}")
            assert found.code == 0, found.said
            assert segment.expect(found.plain) == len(segment.parts) > 0
            last = segment.parts[-1]
            end = (last.offset + last.length_bytes - segment.header_bytes - NONCE_BYTES) // SEALED_CHUNK_BYTES
            assert found.plain[end * CHUNK_BYTES + 4 :][:4] == b"mfra"
            assert len(found.plain) - end * CHUNK_BYTES < CHUNK_BYTES
            count += 1
    assert count >= 2


def expect_cut(segment: Segment, kind: str, identity: Path, target: Path) -> None:
    """Every whole chunk (npm: but at most the last), and an exit code that says that the end is missing."""
    found = open_file(kind, identity, segment.path, target)
    assert found.code == 1
    assert found.said
    given, rest = divmod(len(found.plain), CHUNK_BYTES)
    assert rest == 0
    assert given in ({segment.whole_chunks} if kind == "classic" else {segment.whole_chunks, segment.whole_chunks - 1})
    held = segment.expect(found.plain)
    assert held in ({len(segment.parts)} if kind == "classic" else {len(segment.parts), len(segment.parts) - 1})


def test_what_a_power_cut_left_opens_to_the_last_whole_chunk(case: Case, tmp_path: Path) -> None:
    *sealed, cut = segments(case, case.worked.cut)
    assert len(cut.parts) >= 2
    (recovered,) = bodies(case.worked.data, "segment.recovered", case.worked.cut)
    assert (recovered["seg"], recovered["size"]) == (cut.opened["seg"], cut.path.stat().st_size)
    assert recovered["last_n"] == cut.parts[-1].n
    expect_cut(cut, case.kind, case.worked.agency.identity, tmp_path / "plain")
    for number, segment in enumerate(sealed):
        found = open_file(case.kind, case.worked.agency.identity, segment.path, tmp_path / f"sealed-{number}")
        assert (found.code, segment.expect(found.plain)) == (0, len(segment.parts))


@pytest.mark.parametrize("cut_bytes", [-1, 0, 1, 30_000], ids=["short of", "at", "beyond", "in the middle of"])
def test_a_cut_about_the_border_of_a_chunk(case: Case, tmp_path: Path, cut_bytes: int) -> None:
    """A copy of a real segment, cut in its third fragment, where the simulated card does not happen to cut."""
    segment = next(segments(case, case.worked.whole))
    copy = tmp_path / segment.path.name
    copy.write_bytes(segment.path.read_bytes()[: segment.parts[2].offset + 2 * SEALED_CHUNK_BYTES + cut_bytes])
    expect_cut(
        Segment(copy, segment.opened, segment.parts[:2]), case.kind, case.worked.agency.identity, tmp_path / "out"
    )
