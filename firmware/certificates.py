"""How the agency's keys and certificates are made (docs/formats.md, "Keys and roles").

Pure: dates and randomness come in, bytes come out; the same arguments give the same certificate (ECDSA by RFC 6979).
Guarantees: what is issued here passes `agent.keys.check_chain` and `openssl verify -x509_strict`, and one certificate
carries one role. The root may issue leaves only (path length 0): there is no authority below it to lose.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.formats.signature import P256_ORDER, low_s
from agent.keys import SIGNING_EKU, TLS_KINDS, Role
from agent.ports import Random

PrivateKey = ec.EllipticCurvePrivateKey

BACKDATED_DAYS = 1  # a camera's clock before its first beacon, or a dock's, may be hours behind the technician's
ROOT_DAYS = 20 * 365  # outlives everything that it issues
LEAF_DAYS = 10 * 365  # evidence is checked years after the camera is gone, at the time of its own tokens
DEMO_ORGANISATION = "DEMO"

_SEED_BYTES = 40  # 64 bits more than the order, so that the remainder is even (FIPS 186-5, A.2.1)
_SERIAL_BYTES = 16
_USAGES_OFF = {
    "content_commitment": False,
    "key_encipherment": False,
    "data_encipherment": False,
    "key_agreement": False,
    "encipher_only": False,
    "decipher_only": False,
}


@dataclass(frozen=True, slots=True)
class Authority:
    """The agency's root with its key: what issuing needs. `organisation` is said in every subject's O."""

    certificate: x509.Certificate
    key: PrivateKey
    organisation: str


@dataclass(frozen=True, slots=True)
class Issued:
    """A new key and its certificate."""

    certificate: x509.Certificate
    key: PrivateKey

    @property
    def pem(self) -> bytes:
        """The certificate as a file."""
        return self.certificate.public_bytes(Encoding.PEM)


def make_key(random: Random) -> PrivateKey:
    """A P-256 key out of the given randomness, which must be the operating system's in earnest use."""
    secret = int.from_bytes(random(_SEED_BYTES)) % (P256_ORDER - 1) + 1
    return ec.derive_private_key(secret, ec.SECP256R1())


def make_root(agency: str, name: str, demo: bool, now_ms: int, random: Random) -> Authority:
    """The agency's self-signed root, role `ca:<agency>`. `name` is what people call the agency."""
    key = make_key(random)
    role = Role("ca", agency)
    organisation = f"{DEMO_ORGANISATION} {name}" if demo else name
    subject = _subject(role, organisation)
    builder = _start(role, subject, subject, key, now_ms, ROOT_DAYS, random)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(digital_signature=False, key_cert_sign=True, crl_sign=True, **_USAGES_OFF)
    builder = builder.add_extension(usage, critical=True)
    return Authority(builder.sign(key, SHA256(), ecdsa_deterministic=True), key, organisation)


def issue(authority: Authority, role: Role, now_ms: int, random: Random) -> Issued:
    """A new key with a certificate for exactly this role; every kind but `ca`."""
    assert role.kind != "ca"
    key = make_key(random)
    issuer = authority.certificate
    subject = _subject(role, authority.organisation)
    builder = _start(role, subject, issuer.subject, key, now_ms, LEAF_DAYS, random)
    builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    usage = x509.KeyUsage(digital_signature=True, key_cert_sign=False, crl_sign=False, **_USAGES_OFF)
    builder = builder.add_extension(usage, critical=True)
    if role.kind in TLS_KINDS:
        client_too = [ExtendedKeyUsageOID.CLIENT_AUTH]
        purposes = client_too if role.kind == "camera-tls" else [ExtendedKeyUsageOID.SERVER_AUTH, *client_too]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    else:
        builder = builder.add_extension(x509.ExtendedKeyUsage([SIGNING_EKU]), critical=True)
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = builder.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
    )
    return Issued(builder.sign(authority.key, SHA256(), ecdsa_deterministic=True), key)


def sign(key: PrivateKey, text: bytes) -> bytes:
    """Strict DER ECDSA, low S, over the SHA-256 of `text`."""
    return low_s(key.sign(text, ec.ECDSA(SHA256(), deterministic_signing=True)))


def _subject(role: Role, organisation: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, role.kind),
            x509.NameAttribute(NameOID.COMMON_NAME, role.id),
        ]
    )


def _start(
    role: Role, subject: x509.Name, issuer: x509.Name, key: PrivateKey, now_ms: int, days: int, random: Random
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ms // 1000, UTC)
    first = now - timedelta(days=BACKDATED_DAYS)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(_serial(random))
        .not_valid_before(first)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(role.urn)]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _serial(random: Random) -> int:
    """127 random bits, positive, never 0 (RFC 5280, 4.1.2.2: at most 20 bytes)."""
    return int.from_bytes(random(_SERIAL_BYTES)) >> 1 | 1
