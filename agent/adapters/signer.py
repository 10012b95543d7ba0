"""The camera's signing key in a file, behind the Signer port; and private keys of files in general.

Guarantees: a key that others could read is refused, and so is one that does not belong to its certificate; signatures
are strict DER with the low S, their nonce is by RFC 6979, so that a camera with a poor random source does not leak its
key. Assumes the file system keeps modes (a FAT card does not: the key is then refused).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from agent.errors import KeyFileError
from agent.formats.signature import low_s

MAX_KEY_FILE_BYTES = 16 * 1024

_PLAIN = b"-----BEGIN PRIVATE KEY-----"
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_PREHASHED = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)
_DIGEST_BYTES = 32


class FileSigner:
    """ports.Signer over a PKCS#8 file of mode 0600. `chain`: DER, its own certificate first, without the root."""

    def __init__(self, key_path: Path, chain: tuple[bytes, ...]) -> None:
        self._key = load_private_key(key_path, None)
        self._chain = chain
        own = x509.load_der_x509_certificate(chain[0]).public_key()
        if own != self._key.public_key():
            raise KeyFileError(
                str(key_path), "is not the key of the certificate beside it", "copy both from one folder"
            )

    @property
    def key_class(self) -> str:
        return "file"

    @property
    def chain(self) -> tuple[bytes, ...]:
        return self._chain

    def sign(self, digest: bytes) -> bytes:
        """Strict DER ECDSA, low S, over a 32-byte SHA-256 digest."""
        assert len(digest) == _DIGEST_BYTES
        return low_s(self._key.sign(digest, _PREHASHED))


def load_private_key(path: Path, ask: Callable[[], str] | None) -> ec.EllipticCurvePrivateKey:
    """The P-256 key of a PKCS#8 PEM file that only its owner can read. Raises KeyFileError.

    `ask` is called for the passphrase if the file is encrypted; None where nobody can be asked.
    """
    where = str(path)
    data = _read_secret(path)
    passphrase: bytes | None = None
    if data.startswith(_ENCRYPTED):
        if ask is None:
            raise KeyFileError(where, "is encrypted, and nobody can be asked here", "give the key that init made")
        passphrase = ask().encode()
    elif not data.startswith(_PLAIN):
        raise KeyFileError(where, "is not a private key in PEM (PKCS#8)", "give the .key file that init made")
    try:
        key = load_pem_private_key(data, passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # Nothing of the library's message: it could speak of the content.
        said = "does not open with this passphrase" if passphrase is not None else "cannot be read as a private key"
        raise KeyFileError(
            where, said, "try again" if passphrase is not None else "give the .key file that init made"
        ) from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise KeyFileError(where, "is not an ECDSA P-256 key", "give the .key file that init made")
    return key


def _read_secret(path: Path) -> bytes:
    where = str(path)
    try:
        # O_NONBLOCK: a FIFO of that name shall be refused, not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            _check_owner_only(where, os.fstat(descriptor).st_mode)
            data = os.read(descriptor, MAX_KEY_FILE_BYTES + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise KeyFileError(where, error.strerror or "cannot be read", "check the path, and who runs this") from None
    if len(data) > MAX_KEY_FILE_BYTES:
        raise KeyFileError(where, f"is longer than {MAX_KEY_FILE_BYTES} bytes", "give the .key file that init made")
    return data


def _check_owner_only(where: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise KeyFileError(where, "is not a regular file", "give the .key file that init made")
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        said = f"its mode {stat.S_IMODE(mode):04o} lets others read the key"
        raise KeyFileError(where, said, f"run: chmod 600 {where}")
