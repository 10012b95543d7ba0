"""Signed JSON as docs/formats.md says, written without the project's code: for vectors, and as a second opinion."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SIGNING_EKU = ObjectIdentifier("2.25.302571634459297280614664192622437595268")
AGENCY = "sdis-44"
ISSUED = datetime(2026, 1, 1, tzinfo=UTC)


def canonical(value: Mapping[str, object]) -> bytes:
    """The JSON of the standard library, told to sort, not to space and not to escape."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def sha256(data: bytes) -> str:
    """Lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def base64_of(data: bytes) -> str:
    """Padded, as RFC 4648 section 4 has it."""
    return base64.b64encode(data).decode()


def noise(name: str, size: int) -> bytes:
    """Bytes that nobody chose, the same at each run."""
    return hashlib.shake_256(name.encode()).digest(size)


def key(name: str) -> ec.EllipticCurvePrivateKey:
    """A P-256 key that its name determines. Worth nothing: everybody can make it."""
    return ec.derive_private_key(int.from_bytes(noise(name, 40), "big") % (P256_ORDER - 1) + 1, ec.SECP256R1())


def sign(private: ec.EllipticCurvePrivateKey, data: bytes) -> bytes:
    """DER, low S, the same at each run (RFC 6979)."""
    r, s = decode_dss_signature(private.sign(data, ec.ECDSA(SHA256(), deterministic_signing=True)))
    return encode_dss_signature(r, min(s, P256_ORDER - s))


def certificate(role: str, private: ec.EllipticCurvePrivateKey, issuer: ec.EllipticCurvePrivateKey) -> bytes:
    """DER of a certificate of the agency sdis-44 with one role (`kind:id`), valid from 2026 for ten years."""
    kind, name = role.split(":")
    authority = kind == "ca"
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AGENCY)]))
        .public_key(private.public_key())
        .serial_number(int.from_bytes(noise(role, 15), "big"))
        .not_valid_before(ISSUED)
        .not_valid_after(ISSUED + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(_usage(authority), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"urn:temoin:{role}")]), critical=False
        )
    )
    if not authority:
        builder = builder.add_extension(x509.ExtendedKeyUsage([SIGNING_EKU]), critical=True)
    return builder.sign(issuer, SHA256(), ecdsa_deterministic=True).public_bytes(Encoding.DER)


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
