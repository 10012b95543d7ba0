"""Independent readers open what we seal, whole and cut; we open what independent writers seal.

Debian's `age` reads the X25519 kind and passphrases, npm's `age-encryption` both kinds. Needs the packages age, nodejs
and npm; not part of the fast suite.
"""

from __future__ import annotations

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.formats.age import (
    CHUNK_BYTES,
    NONCE_BYTES,
    SEALED_CHUNK_BYTES,
    Identity,
    RecipientKind,
    Sealer,
    generate_identity,
    open_whole_chunks,
    open_with_passphrase,
    parse_identities,
    parse_identity,
    seal_with_passphrase,
)
from tests.support import interop

SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES, 3 * CHUNK_BYTES + 1_000]
BOTH_KINDS = pytest.mark.parametrize("kind", RecipientKind)


@dataclass(frozen=True)
class Reader:
    """An identity and the file that holds it, as age-keygen would write it."""

    identity: Identity
    text: str
    file: Path


def make_reader(folder: Path, kind: RecipientKind) -> Reader:
    text = generate_identity(kind, os.urandom)
    file = folder / f"{kind}-{len(list(folder.iterdir()))}.txt"
    file.write_text(f"# a comment\n{text}\n")
    return Reader(parse_identity(text), text, file)


def plaintext(size: int) -> bytes:
    return hashlib.shake_128(b"plain").digest(size)


def sealed(plain: bytes, *readers: Reader) -> tuple[bytes, int]:
    """The file and where its chunks start."""
    sealer = Sealer([reader.identity.recipient() for reader in readers])
    whole_bytes = max(len(plain) - 1, 0) // CHUNK_BYTES * CHUNK_BYTES
    out = bytearray(whole_bytes // CHUNK_BYTES * SEALED_CHUNK_BYTES)
    if whole_bytes:
        sealer.seal(plain[:whole_bytes], memoryview(out))
    data = sealer.header + sealer.nonce + out + sealer.finish(plain[whole_bytes:])
    return data, len(sealer.header) + NONCE_BYTES


def opened(data: bytes, reader: Reader) -> bytes:
    chunks = list(open_whole_chunks(io.BytesIO(data), [reader.identity]))
    assert chunks[-1][1]
    return b"".join(plain for plain, _ in chunks)


@pytest.mark.parametrize("size", SIZES)
def test_age_opens_what_we_seal(tmp_path: Path, size: int) -> None:
    readers = [make_reader(tmp_path, RecipientKind.CLASSIC) for _ in range(2)]
    data, _ = sealed(plaintext(size), *readers)
    for reader in readers:
        done = interop.age("-d", "-i", reader.file, data=data)
        assert (done.returncode, done.stdout) == (0, plaintext(size)), done.stderr


@BOTH_KINDS
@pytest.mark.parametrize("size", SIZES)
def test_npm_opens_what_we_seal(tmp_path: Path, kind: RecipientKind, size: int) -> None:
    readers = [make_reader(tmp_path, kind) for _ in range(2)]
    source, target = tmp_path / "sealed.age", tmp_path / "opened"
    source.write_bytes(sealed(plaintext(size), *readers)[0])
    done = interop.npm_script("open.mjs", readers[1].file, source, target)
    assert done.returncode == 0, done.stderr
    assert target.read_bytes() == plaintext(size)


# Where the power went: bytes of the payload that are on the card.
CUTS = [0, 15, 16, 30_000, SEALED_CHUNK_BYTES - 1, SEALED_CHUNK_BYTES, SEALED_CHUNK_BYTES + 1]
CUTS += [2 * SEALED_CHUNK_BYTES + 16, 3 * SEALED_CHUNK_BYTES, 3 * SEALED_CHUNK_BYTES + 500]


@pytest.mark.parametrize("kept_bytes", CUTS)
def test_age_gives_every_whole_chunk_of_a_cut_file(tmp_path: Path, kept_bytes: int) -> None:
    reader = make_reader(tmp_path, RecipientKind.CLASSIC)
    data, start = sealed(plaintext(3 * CHUNK_BYTES + 1_000), reader)
    done = interop.age("-d", "-i", reader.file, data=data[: start + kept_bytes])
    whole_bytes = kept_bytes // SEALED_CHUNK_BYTES * CHUNK_BYTES
    assert (done.returncode, done.stdout) == (1, plaintext(whole_bytes)), done.stderr


@BOTH_KINDS
@pytest.mark.parametrize("kept_bytes", CUTS)
def test_npm_gives_all_but_the_last_whole_chunk_of_a_cut_file(
    tmp_path: Path, kind: RecipientKind, kept_bytes: int
) -> None:
    reader = make_reader(tmp_path, kind)
    data, start = sealed(plaintext(3 * CHUNK_BYTES + 1_000), reader)
    source, target = tmp_path / "cut.age", tmp_path / "opened"
    source.write_bytes(data[: start + kept_bytes])
    done = interop.npm_script("open.mjs", reader.file, source, target)
    assert done.returncode == 1
    assert done.stderr
    whole_chunks = kept_bytes // SEALED_CHUNK_BYTES
    given = target.read_bytes()
    assert len(given) in (whole_chunks * CHUNK_BYTES, max(whole_chunks - 1, 0) * CHUNK_BYTES)
    assert plaintext(whole_chunks * CHUNK_BYTES).startswith(given)


@pytest.mark.parametrize("size", SIZES)
def test_we_open_what_age_seals(tmp_path: Path, size: int) -> None:
    reader = make_reader(tmp_path, RecipientKind.CLASSIC)
    done = interop.age("-r", reader.identity.recipient().text, data=plaintext(size))
    assert done.returncode == 0, done.stderr
    assert opened(done.stdout, reader) == plaintext(size)


@BOTH_KINDS
@pytest.mark.parametrize("size", [0, CHUNK_BYTES, CHUNK_BYTES + 1])
def test_we_open_what_npm_seals(tmp_path: Path, kind: RecipientKind, size: int) -> None:
    reader = make_reader(tmp_path, kind)
    source, target = tmp_path / "plain", tmp_path / "sealed.age"
    source.write_bytes(plaintext(size))
    done = interop.npm_script("seal.mjs", reader.identity.recipient().text, source, target)
    assert done.returncode == 0, done.stderr
    assert opened(target.read_bytes(), reader) == plaintext(size)


def test_age_keygen_names_the_same_recipient(tmp_path: Path) -> None:
    keygen = interop.tool("age-keygen", "age")
    text = interop.run([keygen]).stdout.decode()
    (identity,) = parse_identities(text)
    assert f"# public key: {identity.recipient().text}" in text.splitlines()
    reader = make_reader(tmp_path, RecipientKind.CLASSIC)
    said = interop.run([keygen, "-y", str(reader.file)]).stdout.decode()
    assert said.strip() == reader.identity.recipient().text


def test_age_opens_an_identity_file_under_a_passphrase(tmp_path: Path) -> None:
    """As it is, and as the identity of another file: both ask for the passphrase on the terminal."""
    reader = make_reader(tmp_path, RecipientKind.CLASSIC)
    locked, target = tmp_path / "identity.age", tmp_path / "identity.txt"
    locked.write_bytes(seal_with_passphrase(reader.file.read_bytes(), "trois mots choisis"))
    code, said = interop.age_with_passphrase("trois mots choisis", "-d", "-o", target, locked)
    assert code == 0, said
    assert target.read_bytes() == reader.file.read_bytes()
    source, plain = tmp_path / "sealed.age", tmp_path / "plain"
    source.write_bytes(sealed(b"seen", reader)[0])
    code, said = interop.age_with_passphrase("trois mots choisis", "-d", "-i", locked, "-o", plain, source)
    assert code == 0, said
    assert plain.read_bytes() == b"seen"


def test_age_refuses_another_passphrase(tmp_path: Path) -> None:
    locked = tmp_path / "identity.age"
    locked.write_bytes(seal_with_passphrase(b"secret", "trois mots choisis", work_factor=10))
    code, _ = interop.age_with_passphrase("trois mots", "-d", "-o", tmp_path / "out", locked)
    assert code == 1
    assert open_with_passphrase(locked.read_bytes(), "trois mots choisis") == b"secret"
