"""salvage: what is whole comes out bit for bit, wherever the file was cut; nothing is claimed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.errors import ExportError
from agent.evidence.salvage import salvage
from agent.formats import mp4
from agent.formats.age import (
    CHUNK_BYTES,
    SEALED_CHUNK_BYTES,
    RecipientKind,
    Sealer,
    generate_identity,
    open_whole_chunks,
    parse_identity,
)
from tests.support.agency import seeded_random
from tests.support.exports import INIT, piece

IDENTITY = parse_identity(generate_identity(RecipientKind.CLASSIC, seeded_random("salvage")))
OTHER = parse_identity(generate_identity(RecipientKind.CLASSIC, seeded_random("other")))
# Fragments of 1, 2, 1 and 3 chunks.
FRAGMENTS = [piece(second, frame_bytes=size).data for second, size in enumerate((40, 3_000, 40, 6_000))]
PAYLOAD = b"".join([INIT, *FRAGMENTS])


def index() -> bytes:
    """The mfra of a segment, which is its last chunk."""
    made = mp4.parse_padded_init(memoryview(INIT))
    offset, entries = len(INIT), []
    for data in FRAGMENTS:
        view = memoryview(data)
        runs = mp4.parse_padded_fragment(view, made)
        entries.append(mp4.index_entry(offset, runs))
        offset += len(data)
    return mp4.mfra(entries)


def sealed(payload: bytes, last: bytes | None) -> bytes:
    """An age file; without `last` it is as a power cut leaves it."""
    sealer = Sealer([IDENTITY.recipient()], seeded_random("seal"))
    out = bytearray(len(payload) // CHUNK_BYTES * SEALED_CHUNK_BYTES)
    sealer.seal(payload, memoryview(out))
    return sealer.header + sealer.nonce + bytes(out) + (b"" if last is None else sealer.finish(last))


WHOLE = sealed(PAYLOAD, index())
CUT = sealed(PAYLOAD, None)
START = len(CUT) - len(PAYLOAD) // CHUNK_BYTES * SEALED_CHUNK_BYTES


def put(folder: Path, data: bytes) -> Path:
    path = folder / "0000.mp4.age"
    path.write_bytes(data)
    return path


def test_a_whole_segment_comes_out_as_it_was_sealed(tmp_path: Path) -> None:
    found = salvage(put(tmp_path, WHOLE), [OTHER, IDENTITY], tmp_path / "out.mp4")
    assert (tmp_path / "out.mp4").read_bytes() == PAYLOAD + index()
    assert (found.fragments, found.frames, found.duration_ms, found.problem) == (4, 100, 4000, None)
    assert (tmp_path / "out.mp4").stat().st_mode & 0o777 == 0o600
    assert "NOTHING IS PROVEN" in found.lines()[-1]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(CUT)))
def test_a_cut_anywhere_leaves_the_whole_fragments_before_it(tmp_path: Path, size: int) -> None:
    out = tmp_path / "out.mp4"
    out.unlink(missing_ok=True)
    path = put(tmp_path, CUT[:size])
    whole_chunks = max(size - START, 0) // SEALED_CHUNK_BYTES
    ends = [len(INIT) + sum(map(len, FRAGMENTS[:count])) for count in range(1, 5)]
    expected = [end for end in ends if end <= whole_chunks * CHUNK_BYTES]
    if not expected:
        with pytest.raises(ExportError):
            salvage(path, [IDENTITY], out)
        assert not out.exists()
        return
    found = salvage(path, [IDENTITY], out)
    assert found.fragments == len(expected)
    assert out.read_bytes() == PAYLOAD[: expected[-1]]
    assert found.problem is not None


def test_every_chunk_border(tmp_path: Path) -> None:
    for chunks, fragments in ((2, 1), (3, 1), (4, 2), (5, 3), (7, 3), (8, 4)):
        for more in (0, 1, SEALED_CHUNK_BYTES - 1):
            out = tmp_path / f"{chunks}-{more}.mp4"
            path = put(tmp_path, CUT[: START + chunks * SEALED_CHUNK_BYTES + more])
            assert salvage(path, [IDENTITY], out).fragments == fragments


def test_a_changed_chunk_ends_it_and_is_named(tmp_path: Path) -> None:
    data = bytearray(WHOLE)
    data[START + 4 * SEALED_CHUNK_BYTES + 5] ^= 1
    found = salvage(put(tmp_path, bytes(data)), [IDENTITY], tmp_path / "out.mp4")
    assert found.fragments == 2
    assert found.problem is not None
    assert "age chunk 4" in found.problem


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "age header"),
        (b"age-encryption.org/v1\n-> X25519", "age header"),
        (sealed(bytes(CHUNK_BYTES), None), "no ftyp or moof"),
        (sealed(INIT, None), "no whole fragment"),
        (sealed(FRAGMENTS[0], None), "moof box where ftyp belongs"),
    ],
)
def test_nothing_to_salvage_is_one_line(tmp_path: Path, data: bytes, problem: str) -> None:
    with pytest.raises(ExportError) as caught:
        salvage(put(tmp_path, data), [IDENTITY], tmp_path / "out.mp4")
    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out.mp4").exists()


def test_what_follows_a_wrong_fragment_does_not_come(tmp_path: Path) -> None:
    wrong = FRAGMENTS[0].replace(b"trun", b"trub")
    found = salvage(put(tmp_path, sealed(PAYLOAD + wrong + FRAGMENTS[0], None)), [IDENTITY], tmp_path / "out.mp4")
    assert (found.fragments, (tmp_path / "out.mp4").read_bytes()) == (4, PAYLOAD)
    assert found.problem is not None


def test_refusals(tmp_path: Path) -> None:
    path = put(tmp_path, WHOLE)
    with pytest.raises(ExportError, match="no identity matches"):
        salvage(path, [OTHER], tmp_path / "out.mp4")
    with pytest.raises(ExportError, match="is already there"):
        salvage(path, [IDENTITY], path)
    with pytest.raises(ExportError, match="not a regular file"):
        salvage(tmp_path / "none", [IDENTITY], tmp_path / "out.mp4")
    with pytest.raises(ExportError, match="No such file"):
        salvage(path, [IDENTITY], tmp_path / "no" / "out.mp4")
    assert [each.name for each in tmp_path.iterdir()] == ["0000.mp4.age"]


def test_the_reader_used_here_agrees() -> None:
    """The fixture is what it says: all chunks open, the last is marked."""
    chunks = list(open_whole_chunks(io.BytesIO(WHOLE), [IDENTITY]))
    assert [last for _, last in chunks] == [False] * 8 + [True]
