"""Private keys as files: PKCS#8, plain or under a passphrase.

Guarantees: openssl and `cryptography` open what is written here; under a passphrase, each guess costs ROUNDS rounds of
PBKDF2 (openssl's own default, which `cryptography` writes, is 2,048). Sources: RFC 5958, RFC 8018 (PBES2), RFC 7468.
"""

from __future__ import annotations

import base64
import hashlib

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.ports import Random
from firmware.certificates import PrivateKey

ROUNDS = 600_000  # OWASP's figure for PBKDF2 with HMAC-SHA-256 (2023): about 0.2 s a guess on one desktop core

_SALT_BYTES = 16
_BLOCK_BYTES = 16
_AES_KEY_BYTES = 32
_LINE_CHARACTERS = 64
_SEQUENCE, _INTEGER, _OCTETS, _NULL, _OID = 0x30, 0x02, 0x04, b"\x05\x00", 0x06
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_PBKDF2 = bytes.fromhex("2a864886f70d01050c")
_HMAC_SHA256 = bytes.fromhex("2a864886f70d0209")
_AES256_CBC = bytes.fromhex("60864801650304012a")


def private_pem(key: PrivateKey, passphrase: str | None, random: Random) -> bytes:
    """The key as a PEM file; not encrypted where the passphrase is None (a camera's, and the demo's)."""
    if passphrase is None:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    salt, vector = random(_SALT_BYTES), random(_BLOCK_BYTES)
    secret = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, ROUNDS, _AES_KEY_BYTES)
    padder = PKCS7(_BLOCK_BYTES * 8).padder()
    # CBC without a MAC is what PBES2 has; who can change the file can replace the key, and the certificate tells.
    encryptor = Cipher(algorithms.AES(secret), modes.CBC(vector)).encryptor()
    sealed = encryptor.update(padder.update(plain) + padder.finalize()) + encryptor.finalize()
    derivation = _sequence(
        _der(_OID, _PBKDF2),
        _sequence(
            _der(_OCTETS, salt),
            _der(_INTEGER, ROUNDS.to_bytes(ROUNDS.bit_length() // 8 + 1)),
            _sequence(_der(_OID, _HMAC_SHA256), _NULL),
        ),
    )
    cipher = _sequence(_der(_OID, _AES256_CBC), _der(_OCTETS, vector))
    algorithm = _sequence(_der(_OID, _PBES2), _sequence(derivation, cipher))
    return _pem("ENCRYPTED PRIVATE KEY", _sequence(algorithm, _der(_OCTETS, sealed)))


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([0x82]) + size.to_bytes(2)
    if 0x80 <= size < 0x100:  # DER wants the shortest form
        length = bytes([0x81, size])
    return bytes([tag]) + length + content


def _pem(label: str, der: bytes) -> bytes:
    text = base64.b64encode(der).decode()
    lines = [text[start : start + _LINE_CHARACTERS] for start in range(0, len(text), _LINE_CHARACTERS)]
    return "\n".join((f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", "")).encode()
