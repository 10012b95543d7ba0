"""age files: what a Sealer writes opens, at every boundary, in any grouping; nothing cut or changed counts as whole."""

from __future__ import annotations

import hashlib
import io
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import age
from agent.formats.age import CHUNK_BYTES, NONCE_BYTES, SEALED_CHUNK_BYTES, Identity, Opener, RecipientKind, Sealer


def draws(seed: bytes) -> Callable[[int], bytes]:
    """A random source that gives the same bytes again for the same seed."""
    count = 0

    def draw(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(seed + count.to_bytes(4, "big")).digest(size)

    return draw


def identity_of(kind: RecipientKind, name: bytes = b"reader") -> Identity:
    return age.parse_identity(age.generate_identity(kind, draws(name)))


CLASSIC = identity_of(RecipientKind.CLASSIC)
HYBRID = identity_of(RecipientKind.POST_QUANTUM)
KINDS = pytest.mark.parametrize("identity", [CLASSIC, HYBRID], ids=["classic", "hybrid"])

BOUNDARIES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1]
BOUNDARIES += [2 * CHUNK_BYTES - 1, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 1, 3 * CHUNK_BYTES]


def plaintext(size: int) -> bytes:
    return hashlib.shake_128(b"plain").digest(size)


def split(plain: bytes) -> tuple[bytes, bytes]:
    """What goes through `seal`, and the last chunk: never empty unless all is."""
    last_bytes = (len(plain) - 1) % CHUNK_BYTES + 1 if plain else 0
    return plain[: len(plain) - last_bytes], plain[len(plain) - last_bytes :]


def write(sealer: Sealer, plain: bytes) -> bytes:
    whole, last = split(plain)
    out = bytearray(len(whole) // CHUNK_BYTES * SEALED_CHUNK_BYTES)
    if whole:
        assert sealer.seal(whole, memoryview(out)) == len(out)
    return sealer.header + sealer.nonce + out + sealer.finish(last)


def read(data: bytes, identity: Identity) -> tuple[bytes, bool]:
    """All whole chunks, and whether the file is complete."""
    chunks = list(age.open_whole_chunks(io.BytesIO(data), [identity]))
    assert not any(last for _, last in chunks[:-1])
    return b"".join(plain for plain, _ in chunks), bool(chunks) and chunks[-1][1]


@KINDS
@pytest.mark.parametrize("size", BOUNDARIES)
def test_what_is_sealed_opens(identity: Identity, size: int) -> None:
    data = write(Sealer([identity.recipient()], draws(b"file")), plaintext(size))
    assert read(data, identity) == (plaintext(size), True)


@KINDS
@pytest.mark.parametrize("size", BOUNDARIES)
def test_chunks_open_in_any_order(identity: Identity, size: int) -> None:
    data = write(Sealer([identity.recipient()], draws(b"file")), plaintext(size))
    opener = Opener(data[: 5_000 + NONCE_BYTES], [identity])
    starts = list(range(opener.payload_offset, len(data), SEALED_CHUNK_BYTES))
    opened = {
        index: opener.open_chunk(
            index, data[starts[index] : starts[index] + SEALED_CHUNK_BYTES], index == len(starts) - 1
        )
        for index in reversed(range(len(starts)))
    }
    assert b"".join(opened[index] for index in sorted(opened)) == plaintext(size)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(1, 3), min_size=1, max_size=4), st.integers(1, CHUNK_BYTES))
def test_any_grouping_of_chunks_gives_the_same_bytes(groups: list[int], last_bytes: int) -> None:
    plain = plaintext(sum(groups) * CHUNK_BYTES + last_bytes)
    at_once = write(Sealer([CLASSIC.recipient()], draws(b"file")), plain)
    sealer = Sealer([CLASSIC.recipient()], draws(b"file"))
    written = bytearray(sealer.header + sealer.nonce)
    start = 0
    for group in groups:
        out = bytearray(group * SEALED_CHUNK_BYTES + 3)
        written_bytes = sealer.seal(memoryview(plain)[start : start + group * CHUNK_BYTES], memoryview(out))
        assert bytes(out[written_bytes:]) == bytes(3), "nothing is written past the sealed chunks"
        written += out[:written_bytes]
        start += group * CHUNK_BYTES
    assert written + sealer.finish(plain[start:]) == at_once


WHOLE = write(Sealer([CLASSIC.recipient()], draws(b"whole")), plaintext(2 * CHUNK_BYTES + 500))
WHOLE_START = Opener(WHOLE, [CLASSIC]).payload_offset
BORDERS = [0, 1, WHOLE_START - NONCE_BYTES, WHOLE_START]
BORDERS += [WHOLE_START + SEALED_CHUNK_BYTES, WHOLE_START + 2 * SEALED_CHUNK_BYTES, len(WHOLE)]
NEAR_BORDERS = st.builds(
    lambda border, by: min(max(border + by, 0), len(WHOLE)), st.sampled_from(BORDERS), st.integers(-17, 17)
)


@settings(max_examples=100, deadline=None)
@given(NEAR_BORDERS | st.integers(0, len(WHOLE)))
def test_a_cut_file_gives_every_whole_chunk_and_is_not_complete(size: int) -> None:
    data = WHOLE[:size]
    if size < WHOLE_START:
        with pytest.raises(FormatError):
            read(data, CLASSIC)
        return
    whole_chunks = (size - WHOLE_START) // SEALED_CHUNK_BYTES
    expected = plaintext(2 * CHUNK_BYTES + 500)
    if size == len(WHOLE):
        assert read(data, CLASSIC) == (expected, True)
    else:
        assert read(data, CLASSIC) == (expected[: whole_chunks * CHUNK_BYTES], False)


@settings(max_examples=100, deadline=None)
@given(NEAR_BORDERS.filter(lambda place: place < len(WHOLE)) | st.integers(0, len(WHOLE) - 1), st.integers(0, 7))
def test_a_changed_bit_is_found_wherever_it_is(place: int, bit: int) -> None:
    data = bytearray(WHOLE)
    data[place] ^= 1 << bit
    opened = bytearray()
    complete = False
    try:
        for plain, last in age.open_whole_chunks(io.BytesIO(data), [CLASSIC]):
            opened += plain
            complete = last
    except FormatError:
        pass
    assert not complete
    assert plaintext(2 * CHUNK_BYTES + 500).startswith(opened), "what came out before is authentic"


class Trickle(io.BytesIO):
    """An unbuffered file: gives less than asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size if size is None or size < 0 else min(size, 1_000))


def test_a_file_that_gives_little_at_once_is_read_whole() -> None:
    chunks = list(age.open_whole_chunks(Trickle(WHOLE), [CLASSIC]))
    assert b"".join(plain for plain, _ in chunks) == plaintext(2 * CHUNK_BYTES + 500)
    assert [last for _, last in chunks] == [False, False, True]


def sealed_chunk(index: int) -> bytes:
    start = WHOLE_START + index * SEALED_CHUNK_BYTES
    return WHOLE[start : start + SEALED_CHUNK_BYTES]


@pytest.mark.parametrize(
    ("index", "sealed", "last", "problem"),
    [
        (1, sealed_chunk(0), False, "is not authentic as a chunk that others follow"),
        (0, sealed_chunk(0), True, "is not authentic as the last chunk"),
        (2, sealed_chunk(2), False, "is of 516 bytes"),
        (1, sealed_chunk(2), True, "is not authentic as the last chunk"),
        (0, sealed_chunk(0)[:-1], False, "is of 65551 bytes"),
        (0, sealed_chunk(0) + b"\0", False, "is of 65553 bytes"),
        (0, sealed_chunk(0) + b"\0", True, "is of 65553 bytes"),
        (2, sealed_chunk(2)[:15], True, "is of 15 bytes"),
        (2, b"", True, "is of 0 bytes"),
    ],
)
def test_a_chunk_opens_only_as_what_it_is(index: int, sealed: bytes, last: bool, problem: str) -> None:
    with pytest.raises(FormatError, match=f"age chunk {index}: {problem}"):
        Opener(WHOLE, [CLASSIC]).open_chunk(index, sealed, last)


def test_an_empty_last_chunk_opens_only_alone() -> None:
    sealer = Sealer([CLASSIC.recipient()], draws(b"empty"))
    empty = sealer.finish(b"")
    assert Opener(sealer.header + sealer.nonce, [CLASSIC]).open_chunk(0, empty, last=True) == b""


@KINDS
def test_each_recipient_opens_and_nobody_else(identity: Identity) -> None:
    readers = [identity, identity_of(identity.kind, b"escrow")]
    sealer = Sealer([reader.recipient() for reader in readers], draws(b"file"))
    data = write(sealer, b"seen")
    for reader in readers:
        assert read(data, reader) == (b"seen", True)
    with pytest.raises(FormatError, match="no identity matches"):
        read(data, identity_of(identity.kind, b"thief"))
    others = [identity_of(kind, b"thief") for kind in RecipientKind]
    assert list(age.open_whole_chunks(io.BytesIO(data), [*others, readers[1]])) == [(b"seen", True)]


@KINDS
def test_the_header_ends_at_the_line_of_the_mac(identity: Identity) -> None:
    sealer = Sealer([identity.recipient()], draws(b"file"))
    assert sealer.header.startswith(b"age-encryption.org/v1\n")
    assert sealer.header.endswith(b"\n")
    header = age.read_header(sealer.header + sealer.nonce + b"and what follows")
    assert header.raw == sealer.header
    assert [stanza.type for stanza in header.stanzas] == [identity.kind]
    assert len(sealer.nonce) == NONCE_BYTES


def test_two_files_share_neither_header_nor_nonce() -> None:
    first, second = Sealer([CLASSIC.recipient()]), Sealer([CLASSIC.recipient()])
    assert (first.header, first.nonce) != (second.header, second.nonce)
    assert first.finish(b"same") != second.finish(b"same")


def test_the_largest_list_of_recipients_fits_the_header() -> None:
    readers = [
        identity_of(RecipientKind.POST_QUANTUM, number.to_bytes(2, "big")) for number in range(age.MAX_RECIPIENTS)
    ]
    sealer = Sealer(age.parse_recipients([reader.recipient().text for reader in readers]))
    assert len(sealer.header) <= age.MAX_HEADER_BYTES
    assert read(write(sealer, b"seen"), readers[-1]) == (b"seen", True)


def out_for(chunks: int) -> memoryview:
    return memoryview(bytearray(chunks * SEALED_CHUNK_BYTES))


def test_misuse_of_the_sealer_is_caught() -> None:
    sealer = Sealer([CLASSIC.recipient()], draws(b"file"))
    for plain_bytes, chunks in ((0, 1), (1, 1), (CHUNK_BYTES - 1, 1), (CHUNK_BYTES + 1, 2), (2 * CHUNK_BYTES, 1)):
        with pytest.raises(AssertionError):
            sealer.seal(bytes(plain_bytes), out_for(chunks))
    sealer.seal(bytes(CHUNK_BYTES), out_for(1))
    for last in (b"", bytes(CHUNK_BYTES + 1)):
        with pytest.raises(AssertionError):
            sealer.finish(last)
    sealer.finish(b"end")
    with pytest.raises(AssertionError):
        sealer.seal(bytes(CHUNK_BYTES), out_for(1))
    with pytest.raises(AssertionError):
        sealer.finish(b"end")


@pytest.mark.parametrize("identities", [[], [CLASSIC, HYBRID], [CLASSIC] * (age.MAX_RECIPIENTS + 1)])
def test_a_sealer_wants_recipients_of_one_kind(identities: list[Identity]) -> None:
    with pytest.raises(AssertionError):
        Sealer([identity.recipient() for identity in identities])


def test_a_failed_seal_never_leads_to_a_nonce_used_twice() -> None:
    sealer = Sealer([CLASSIC.recipient()], draws(b"file"))
    with pytest.raises(TypeError):
        sealer.seal(bytes(CHUNK_BYTES), memoryview(bytes(SEALED_CHUNK_BYTES)))  # not writable
    out = out_for(1)
    sealer.seal(plaintext(CHUNK_BYTES), out)
    opener = Opener(sealer.header + sealer.nonce, [CLASSIC])
    assert opener.open_chunk(1, out, last=False) == plaintext(CHUNK_BYTES)


def test_sealing_allocates_nothing_that_grows_with_the_chunks() -> None:
    sealer = Sealer([CLASSIC.recipient()], draws(b"file"))
    plain, out = bytes(16 * CHUNK_BYTES), out_for(16)
    sealer.seal(plain, out)
    tracemalloc.start()
    try:
        sealer.seal(plain, out)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4_096


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES])
def test_a_passphrase_opens_what_it_sealed(size: int) -> None:
    data = age.seal_with_passphrase(plaintext(size), "café à la crème", work_factor=2)
    assert age.open_with_passphrase(data, "café à la crème") == plaintext(size)
    with pytest.raises(FormatError, match="passphrase: does not open the file"):
        age.open_with_passphrase(data, "cafe a la creme")


@pytest.mark.parametrize("size", [1, CHUNK_BYTES, 2 * CHUNK_BYTES])
def test_a_cut_file_with_passphrase_is_refused(size: int) -> None:
    data = age.seal_with_passphrase(plaintext(size), "mot", work_factor=2)
    for cut in (data[:-1], data[:-17], data[:-SEALED_CHUNK_BYTES]):
        with pytest.raises(FormatError):
            age.open_with_passphrase(cut, "mot")


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(FormatError, match="passphrase: is empty"):
        age.seal_with_passphrase(b"identity", "")


@pytest.mark.parametrize("work_factor", [0, 23])
def test_a_work_factor_out_of_range_is_the_programmers_error(work_factor: int) -> None:
    with pytest.raises(AssertionError):
        age.seal_with_passphrase(b"identity", "mot", work_factor)
