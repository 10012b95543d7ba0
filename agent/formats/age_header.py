"""The header of an age v1 file: text lines in, stanzas out, one encoding only.

Guarantees: `read_header` accepts exactly the bytes that `encode_header` writes for the same stanzas (base64 canonical
and without padding, body lines of 64 columns, LF only), at most 64 KiB of them; stanzas of the types that we write have
the shape that the specification demands; stanzas of an unknown type ("grease") are kept and mean nothing. The MAC is
not checked here but by `check_mac`, since only the file key can. Assumes: c2sp.org/age, "Header".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.errors import FormatError

MAX_HEADER_BYTES = 65_536
FILE_KEY_BYTES = 16
WRAPPED_KEY_BYTES = 32  # the file key and the tag of ChaCha20-Poly1305
ZERO_NONCE = bytes(12)  # safe to wrap the file key with: each wrapping key is used once
UNTOUCHED = "use an untouched copy of the file"

SCRYPT = "scrypt"
X25519 = "X25519"
MLKEM768_X25519 = "mlkem768x25519"

_VERSION_LINE = b"age-encryption.org/v1"
_COLUMNS = 64
_MAC_BASE64_BYTES = 43
_ARGUMENTS = re.compile(rb"-> [!-~]+(?: [!-~]+)*")
_WORK_FACTOR = re.compile(r"[1-9][0-9]{0,3}")
# Bytes of each base64 argument after the type; None is the work factor, a decimal number.
_SHAPES: dict[str, tuple[int | None, ...]] = {X25519: (32,), MLKEM768_X25519: (1_120,), SCRYPT: (16, None)}


@dataclass(frozen=True, slots=True)
class Stanza:
    """One wrapping of the file key: its type, the arguments after the type, the body."""

    type: str
    arguments: tuple[str, ...]
    body: bytes

    def encode(self) -> bytes:
        """The lines, each with its LF. The last is shorter than 64 columns, so it may be empty."""
        text = encode_base64(self.body)
        lines = [" ".join(("->", self.type, *self.arguments))]
        lines += [text[start : start + _COLUMNS] for start in range(0, len(text) + 1, _COLUMNS)]
        return "".join(f"{line}\n" for line in lines).encode("ascii")


@dataclass(frozen=True, slots=True)
class Header:
    """`raw` runs from `age-encryption.org/v1` to the LF after the MAC: what `segment.open.header` hashes."""

    stanzas: tuple[Stanza, ...]
    mac: bytes
    raw: bytes


def encode_base64(data: bytes) -> str:
    """RFC 4648 section 4, without padding."""
    return base64.b64encode(data).decode("ascii").rstrip("=")


def decode_base64(text: str, where: str) -> bytes:
    """The bytes of what `encode_base64` wrote; anything else is a FormatError at `where`."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = None
    if data is None or encode_base64(data) != text:
        raise FormatError(where, "is not canonical base64 without padding", UNTOUCHED)
    return data


def derive_key(secret: bytes, salt: bytes, info: bytes) -> bytes:
    """HKDF-SHA-256 (RFC 5869), 32 bytes."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def encode_header(stanzas: Sequence[Stanza], file_key: bytes) -> bytes:
    """The whole header, its MAC made with `file_key`."""
    text = b"".join((_VERSION_LINE, b"\n", *(stanza.encode() for stanza in stanzas), b"---"))
    raw = text + f" {encode_base64(_mac(text, file_key))}\n".encode("ascii")
    assert len(raw) <= MAX_HEADER_BYTES, "the number of recipients is limited before"
    return raw


def check_mac(header: Header, file_key: bytes) -> None:
    """Raises FormatError when the header is not the one that was made with this file key."""
    text = header.raw[: -len(" \n") - _MAC_BASE64_BYTES]
    # A comparison that takes the same time wherever the first difference is.
    if not hmac.compare_digest(_mac(text, file_key), header.mac):
        raise FormatError("age header", "the MAC does not fit: the header was changed", UNTOUCHED)


def read_header(data: bytes | bytearray | memoryview) -> Header:
    """The header at the start of `data`, which may go on after it. Raises FormatError with the number of the line."""
    lines = _Lines(bytes(data[:MAX_HEADER_BYTES]))
    if lines.take() != _VERSION_LINE:
        raise lines.error("is not age-encryption.org/v1", "give an age v1 file that is not armored")
    stanzas: list[Stanza] = []
    line = lines.take()
    while line.startswith(b"->"):
        stanzas.append(_read_stanza(line, lines))
        line = lines.take()
    if not line.startswith(b"--- "):
        raise lines.error("is neither a stanza (`-> `) nor the MAC (`--- `)")
    if not stanzas:
        raise lines.error("the MAC comes before any stanza")
    mac = decode_base64(_ascii(line[len(b"--- ") :], lines), lines.where)
    if len(mac) != hashlib.sha256().digest_size:
        raise lines.error("the MAC is not of 32 bytes")
    _check_company(stanzas)
    return Header(tuple(stanzas), mac, lines.taken)


class _Lines:
    """Takes one LF-terminated line after the other and knows the number of the last, for the errors."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._number = 0

    @property
    def where(self) -> str:
        return f"age header line {self._number}"

    @property
    def taken(self) -> bytes:
        return self._data[: self._position]

    def error(self, problem: str, remedy: str = UNTOUCHED) -> FormatError:
        return FormatError(self.where, problem, remedy)

    def take(self) -> bytes:
        self._number += 1
        end = self._data.find(b"\n", self._position)
        if end < 0:
            if len(self._data) == MAX_HEADER_BYTES:
                raise self.error(f"the header does not end within {MAX_HEADER_BYTES} bytes")
            raise self.error("the file ends before the header does")
        line = self._data[self._position : end]
        self._position = end + 1
        return line


def _mac(text: bytes, file_key: bytes) -> bytes:
    return hmac.digest(derive_key(file_key, b"", b"header"), text, "sha256")


def _ascii(line: bytes, lines: _Lines) -> str:
    if not line.isascii():
        raise lines.error("has a byte that is not ASCII")
    return line.decode("ascii")


def _read_stanza(first: bytes, lines: _Lines) -> Stanza:
    if not _ARGUMENTS.fullmatch(first):
        raise lines.error("is not `-> ` and arguments of visible ASCII, one space between them")
    kind, *arguments = first.decode("ascii").split(" ")[1:]
    _check_arguments(kind, arguments, lines)
    body = bytearray()
    while True:
        line = lines.take()
        if len(line) > _COLUMNS:
            raise lines.error(f"a line of a stanza's body is longer than {_COLUMNS} columns")
        body += decode_base64(_ascii(line, lines), lines.where)
        if len(line) < _COLUMNS:
            break
    if kind in _SHAPES and len(body) != WRAPPED_KEY_BYTES:
        # Before anything is decrypted: a longer body would let one ciphertext fit many keys (partitioning oracle).
        raise lines.error(f"the body of an {kind} stanza is not of {WRAPPED_KEY_BYTES} bytes")
    return Stanza(kind, tuple(arguments), bytes(body))


def _check_arguments(kind: str, arguments: list[str], lines: _Lines) -> None:
    shape = _SHAPES.get(kind)
    if shape is None:
        return
    if len(arguments) != len(shape):
        raise lines.error(f"an {kind} stanza has {len(shape)} argument(s) after its type, not {len(arguments)}")
    for argument, size in zip(arguments, shape, strict=True):
        if size is None:
            if not _WORK_FACTOR.fullmatch(argument):
                raise lines.error("the work factor is not a number of 1 to 4 digits without leading zeros")
        elif len(decode_base64(argument, lines.where)) != size:
            raise lines.error(f"the argument of an {kind} stanza is not of {size} bytes")


def _check_company(stanzas: Sequence[Stanza]) -> None:
    types = {stanza.type for stanza in stanzas}
    if SCRYPT in types and len(stanzas) > 1:
        raise FormatError("age header", "an scrypt stanza is not alone", UNTOUCHED)
    if {X25519, MLKEM768_X25519} <= types:
        # The weaker kind would decide how safe the file is: we never write this, and never take it for ours.
        raise FormatError("age header", f"stanzas of both kinds, {X25519} and {MLKEM768_X25519}", UNTOUCHED)
