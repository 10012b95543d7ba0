"""age v1 files: the writer of segments, and a strict reader with random access, of cut files too.

Guarantees: what `Sealer` writes opens with the stock `age` of its kind; no nonce is used twice under one key, whatever
fails on the way; each chunk that a reader gives out is authentic and in its place. A file without its last chunk is
said to be cut, never completed. Assumes: c2sp.org/age, "Payload"; a random source that is the operating system's in
earnest use; one thread a `Sealer`.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from agent.errors import FormatError
from agent.formats.age_header import (
    FILE_KEY_BYTES,
    MAX_HEADER_BYTES,
    SCRYPT,
    UNTOUCHED,
    ZERO_NONCE,
    Header,
    Stanza,
    check_mac,
    decode_base64,
    derive_key,
    encode_base64,
    encode_header,
    read_header,
)
from agent.formats.age_keys import (
    MAX_RECIPIENTS,
    Identity,
    Recipient,
    RecipientKind,
    generate_identity,
    parse_identities,
    parse_identity,
    parse_recipient,
    parse_recipients,
)

__all__ = [
    "CHUNK_BYTES",
    "MAX_HEADER_BYTES",
    "MAX_RECIPIENTS",
    "NONCE_BYTES",
    "SEALED_CHUNK_BYTES",
    "TAG_BYTES",
    "Header",
    "Identity",
    "Opener",
    "Recipient",
    "RecipientKind",
    "Sealer",
    "Stanza",
    "generate_identity",
    "open_whole_chunks",
    "open_with_passphrase",
    "parse_identities",
    "parse_identity",
    "parse_recipient",
    "parse_recipients",
    "read_header",
    "seal_with_passphrase",
]

Buffer: TypeAlias = bytes | bytearray | memoryview

CHUNK_BYTES = 65_536
TAG_BYTES = 16
SEALED_CHUNK_BYTES = CHUNK_BYTES + TAG_BYTES
NONCE_BYTES = 16
MAX_WORK_FACTOR = 22  # 4 GiB of memory; more in a file is an attack on its reader

_SALT_BYTES = 16
_SCRYPT_LABEL = b"age-encryption.org/v1/scrypt"


class Sealer:
    """Writes one age file. The file key and the nonce are drawn here, and nobody can ask for them again.

    Attributes: `header`, from `age-encryption.org/v1` to the LF after the MAC; `nonce`, the 16 bytes that follow it.
    `random` is called for the file key (16 bytes), each X25519 recipient (32), the nonce (16), in this order.
    """

    def __init__(self, recipients: Sequence[Recipient], random: Callable[[int], bytes] = os.urandom) -> None:
        assert 0 < len(recipients) <= MAX_RECIPIENTS, "parse_recipients counts them"
        assert len({recipient.kind for recipient in recipients}) == 1, "parse_recipients refuses a mixture"
        file_key = random(FILE_KEY_BYTES)
        self.header = encode_header([recipient.wrap(file_key, random) for recipient in recipients], file_key)
        self.nonce = random(NONCE_BYTES)
        self._cipher = _payload_cipher(file_key, self.nonce)
        self._chunk_nonce = bytearray(_chunk_nonce(0, last=False))
        self._next_index = 0
        self._finished = False

    def seal(self, plain: Buffer, out: memoryview) -> int:
        """Seals whole chunks, none of them the last of the file, into `out`; returns the bytes written there.

        `plain`: n x 65,536 bytes, n > 0. `out`: at least n x 65,552 bytes, no part of them shared with `plain`.
        """
        assert not self._finished, "the file has its last chunk"
        source = memoryview(plain).cast("B")
        count, rest = divmod(len(source), CHUNK_BYTES)
        assert count > 0, "nothing to seal"
        assert rest == 0, "whole chunks only"
        assert len(out) >= count * SEALED_CHUNK_BYTES, "out is too short"
        for chunk in range(count):
            read_from, write_to = chunk * CHUNK_BYTES, chunk * SEALED_CHUNK_BYTES
            struct.pack_into(">Q", self._chunk_nonce, 3, self._next_index)
            # Counted before it is used: if anything raises now, the file has a hole, but no nonce serves twice.
            self._next_index += 1
            self._cipher.encrypt_into(
                self._chunk_nonce,
                source[read_from : read_from + CHUNK_BYTES],
                None,
                out[write_to : write_to + SEALED_CHUNK_BYTES],
            )
        return count * SEALED_CHUNK_BYTES

    def finish(self, plain: Buffer) -> bytes:
        """The last chunk, sealed: 1 to 65,536 bytes of plaintext; 0 only when it is the only chunk of the file."""
        assert not self._finished, "the file has its last chunk"
        assert len(plain) <= CHUNK_BYTES, "the last chunk is one chunk"
        assert len(plain) > 0 or self._next_index == 0, "the last chunk is empty only in an empty file"
        self._finished = True
        return self._cipher.encrypt(_chunk_nonce(self._next_index, last=True), plain, None)


class Opener:
    """Opens the chunks of one age file in any order.

    `header_and_nonce` is the start of the file: at least the header and the 16 bytes after it. Raises FormatError when
    it is not an age header, when no identity matches, when the MAC does not fit. `payload_offset` is where chunk 0
    starts in the file.
    """

    def __init__(self, header_and_nonce: Buffer, identities: Sequence[Identity]) -> None:
        header = read_header(header_and_nonce)
        self._payload = _Payload(header, header_and_nonce, _find_file_key(header, identities))
        self.payload_offset = self._payload.offset

    def open_chunk(self, index: int, sealed: Buffer, last: bool) -> bytes:
        """The plaintext of chunk `index`; `sealed` is its 65,552 bytes (the last one's may be fewer, 17 at least).

        Raises FormatError when it is of another length or not authentic as that chunk of this file, last or not.
        """
        return self._payload.open_chunk(index, sealed, last)


def open_whole_chunks(file: BinaryIO, identities: Sequence[Identity]) -> Iterator[tuple[bytes, bool]]:
    """Streams (plaintext chunk, is it the last) from the start of an age file, which may be cut.

    Every whole chunk comes; a file is complete only if the last pair says so. A cut file ends without it, and without
    an error: so does one whose last, shorter chunk was changed or grew, since nothing tells a changed rest from a torn
    one. Raises FormatError for the header, for a full-size chunk that is not authentic, for an empty last one after
    others, for bytes after a last one of full size.
    """
    start = _read_up_to(file, MAX_HEADER_BYTES + NONCE_BYTES)
    header = read_header(start)
    payload = _Payload(header, start, _find_file_key(header, identities))
    yield from payload.open_whole(_Rest(start[payload.offset :], file))


def seal_with_passphrase(
    data: bytes, passphrase: str, work_factor: int = 18, random: Callable[[int], bytes] = os.urandom
) -> bytes:
    """A whole age file with a single scrypt stanza, for an identity file. `work_factor` is log2 of the cost, 1 to 22.

    Raises FormatError for an empty passphrase.
    """
    if not passphrase:
        raise FormatError("passphrase", "is empty", "choose one of several words")
    assert 0 < work_factor <= MAX_WORK_FACTOR
    file_key, salt = random(FILE_KEY_BYTES), random(_SALT_BYTES)
    body = ChaCha20Poly1305(_scrypt(passphrase, salt, work_factor)).encrypt(ZERO_NONCE, file_key, None)
    header = encode_header([Stanza(SCRYPT, (encode_base64(salt), str(work_factor)), body)], file_key)
    nonce = random(NONCE_BYTES)
    cipher = _payload_cipher(file_key, nonce)
    starts = range(0, max(len(data), 1), CHUNK_BYTES)
    chunks = [
        cipher.encrypt(_chunk_nonce(index, last=start == starts[-1]), data[start : start + CHUNK_BYTES], None)
        for index, start in enumerate(starts)
    ]
    return b"".join((header, nonce, *chunks))


def open_with_passphrase(data: bytes, passphrase: str) -> bytes:
    """The plaintext of a whole age file with a single scrypt stanza.

    Raises FormatError for a file of another kind, a work factor above 22, another passphrase, a cut or changed file.
    """
    header = read_header(data)
    stanza = header.stanzas[0]
    if stanza.type != SCRYPT:
        raise FormatError("age header", "the file is not protected by a passphrase", "give the identity instead")
    payload = _Payload(header, data, _file_key_by_passphrase(stanza, passphrase))
    chunks = list(payload.open_whole(_Rest(data[payload.offset :], io.BytesIO())))
    if not chunks or not chunks[-1][1]:
        raise FormatError("age payload", "the file is cut: its last chunk is not there", UNTOUCHED)
    return b"".join(chunk for chunk, _ in chunks)


class _Rest:
    """Reads on: first what was read ahead, then the file."""

    def __init__(self, ahead: bytes, file: BinaryIO) -> None:
        self._ahead = ahead
        self._file = file

    def take(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end of the file."""
        taken, self._ahead = self._ahead[:size], self._ahead[size:]
        return taken if len(taken) == size else taken + _read_up_to(self._file, size - len(taken))


class _Payload:
    """The chunks after the header, under the key that the file key and the nonce give."""

    def __init__(self, header: Header, start_of_file: Buffer, file_key: bytes) -> None:
        check_mac(header, file_key)
        self.offset = len(header.raw) + NONCE_BYTES
        nonce = bytes(start_of_file[len(header.raw) : self.offset])
        if len(nonce) != NONCE_BYTES:
            raise FormatError("age payload", "the file ends before the 16 bytes of the nonce do", UNTOUCHED)
        self._cipher = _payload_cipher(file_key, nonce)

    def open_chunk(self, index: int, sealed: Buffer, last: bool) -> bytes:
        where = f"age chunk {index}"
        if len(sealed) > SEALED_CHUNK_BYTES or len(sealed) < (TAG_BYTES if last else SEALED_CHUNK_BYTES):
            raise FormatError(where, f"is of {len(sealed)} bytes, which no such chunk has", UNTOUCHED)
        plain = self._decrypt(index, sealed, last)
        if plain is None:
            place = "as the last chunk" if last else "as a chunk that others follow"
            raise FormatError(where, f"is not authentic {place}: changed, moved or of another file", UNTOUCHED)
        if not plain and index > 0:
            raise FormatError(where, "is the last and empty, but not the only one", UNTOUCHED)
        return plain

    def open_whole(self, rest: _Rest) -> Iterator[tuple[bytes, bool]]:
        index = 0
        while len(sealed := rest.take(SEALED_CHUNK_BYTES)) == SEALED_CHUNK_BYTES:
            plain = self._decrypt(index, sealed, last=False)
            if plain is None:
                # A full-size chunk may be the last: the length does not tell, the nonce does.
                yield self._last_of_full_size(index, sealed, rest)
                return
            yield plain, False
            index += 1
        if len(sealed) >= TAG_BYTES and self._decrypt(index, sealed, last=True) is not None:
            yield self.open_chunk(index, sealed, last=True), True

    def _last_of_full_size(self, index: int, sealed: bytes, rest: _Rest) -> tuple[bytes, bool]:
        plain = self._decrypt(index, sealed, last=True)
        if plain is None:
            raise FormatError(f"age chunk {index}", "is not authentic: changed, moved or of another file", UNTOUCHED)
        if rest.take(1):
            raise FormatError(f"age chunk {index}", "is the last, but bytes follow it", UNTOUCHED)
        return plain, True

    def _decrypt(self, index: int, sealed: Buffer, last: bool) -> bytes | None:
        try:
            return self._cipher.decrypt(_chunk_nonce(index, last), sealed, None)
        except InvalidTag:
            return None


def _payload_cipher(file_key: bytes, nonce: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(derive_key(file_key, nonce, b"payload"))


def _chunk_nonce(index: int, last: bool) -> bytes:
    """11 bytes of big-endian counter, then 1 for the last chunk."""
    return index.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _find_file_key(header: Header, identities: Sequence[Identity]) -> bytes:
    for identity in identities:
        for stanza in header.stanzas:
            file_key = identity.unwrap(stanza)
            if file_key is not None:
                return file_key
    sealed_to = ", ".join(sorted({stanza.type for stanza in header.stanzas}))
    kinds = ", ".join(sorted({identity.kind for identity in identities})) or "none"
    problem = f"no identity matches: the file is sealed to {sealed_to}, the identities given are {kinds}"
    raise FormatError("age header", problem, "give the identity of one of the file's recipients")


def _file_key_by_passphrase(stanza: Stanza, passphrase: str) -> bytes:
    salt, work_factor = decode_base64(stanza.arguments[0], "age header"), int(stanza.arguments[1])
    if work_factor > MAX_WORK_FACTOR:
        problem = f"the scrypt work factor {work_factor} is above {MAX_WORK_FACTOR}"
        raise FormatError("age header", problem, "have it made again with a lower one")
    try:
        return ChaCha20Poly1305(_scrypt(passphrase, salt, work_factor)).decrypt(ZERO_NONCE, stanza.body, None)
    except InvalidTag:
        raise FormatError("passphrase", "does not open the file", "type it again") from None


def _scrypt(passphrase: str, salt: bytes, work_factor: int) -> bytes:
    """RFC 7914 with r = 8, p = 1: 2^work_factor KiB of memory."""
    try:
        return Scrypt(salt=_SCRYPT_LABEL + salt, length=32, n=1 << work_factor, r=8, p=1).derive(passphrase.encode())
    except MemoryError:
        problem = f"the scrypt work factor {work_factor} needs {(1 << work_factor) // 1024} MiB of memory"
        raise FormatError("passphrase", problem, "open it on a computer that has them") from None


def _read_up_to(file: BinaryIO, size: int) -> bytes:
    """`size` bytes, fewer only at the end of the file: an unbuffered file may give less at once."""
    parts: list[bytes] = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
