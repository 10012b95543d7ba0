"""A camera's key for tests: P-256 in memory, the same bytes for the same seed, with a certificate of its own making."""

from __future__ import annotations

import datetime
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent.errors import SignatureError
from agent.formats.signature import low_s
from agent.keys import SIGNING_EKU

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_DETERMINISTIC = ec.ECDSA(Prehashed(SHA256()), deterministic_signing=True)


class SeededSigner:
    """`Signer` of the camera `dev`. `lose()` makes every later signature fail, as a key chip that is gone does."""

    def __init__(self, dev: str = "cam-1", seed: str = "") -> None:
        number = int.from_bytes(hashlib.sha256(f"{dev} {seed}".encode()).digest(), "big") % (_ORDER - 1) + 1
        self._key = ec.derive_private_key(number, ec.SECP256R1())
        self.certificate = _certificate(dev, self._key)
        self.signed = 0
        self._lost = False

    @property
    def key_class(self) -> str:
        return "file"

    @property
    def chain(self) -> tuple[bytes, ...]:
        return (self.certificate.public_bytes(Encoding.DER),)

    def sign(self, digest: bytes) -> bytes:
        if self._lost:
            raise SignatureError("key", "the chip does not answer", "restart the camera")
        self.signed += 1
        return low_s(self._key.sign(digest, _DETERMINISTIC))

    def lose(self) -> None:
        """The key does not answer any more."""
        self._lost = True


def _certificate(dev: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, dev)])
    role = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:temoin:camera:{dev}")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=3650))
        .add_extension(role, critical=False)
        .add_extension(x509.ExtendedKeyUsage([SIGNING_EKU]), critical=True)
    )
    return builder.sign(key, SHA256(), ecdsa_deterministic=True)
