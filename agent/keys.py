"""Certificates, roles and signatures: who may have said what.

Guarantees: a chain that passes `check_chain` leads to the given root by P-256 keys only, carries exactly one role, and
that role is one of those asked for; a signature that passes `Verifier.check` is the one spelling of it (strict DER, low
S). Assumes: the caller holds the agency's root by a way of its own (its folder, or the published fingerprint), and says
at which time validity is wanted: no clock is read here.
Sources: RFC 5280; docs/formats.md, "Keys and roles".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier, SignatureAlgorithmOID

from agent.errors import CertificateError, ConfigError, FormatError, SignatureError, TemoinError
from agent.formats.age_keys import parse_recipients
from agent.formats.fields import format_utc
from agent.formats.signature import check_form, low_s
from agent.formats.statement import ROLE_OF, Policy, Statement, parse_line, policy_of

__all__ = [
    "ROLE_KINDS",
    "SIGNING_EKU",
    "Role",
    "Verifier",
    "check_chain",
    "load_chain",
    "load_policy",
    "low_s",
    "parse_certificate",
    "role_of",
    "verify_digest",
    "verify_statement",
]

SIGNING_EKU = ObjectIdentifier("2.25.302571634459297280614664192622437595268")
"""Critical extended key usage of every certificate that signs for Témoin, and of nothing else: a UUID as an OID (ITU-T
X.667, arc 2.25), e3a12d57-429c-4d18-8c96-8a2f04abf884. Critical, so that TLS and mail software refuses the key."""

SIGNING_KINDS = frozenset({"camera", "sim", "dock", "policy", "export", "update"})
TLS_KINDS = frozenset({"camera-tls", "dock-tls"})
ROLE_KINDS = SIGNING_KINDS | TLS_KINDS | {"ca"}
MAX_CHAIN = 4

_URN = re.compile(r"urn:temoin:([a-z-]{1,16}):([a-z0-9-]{1,32})")
_HANDLED_EXTENSIONS = frozenset(
    (x509.BasicConstraints.oid, x509.KeyUsage.oid, x509.ExtendedKeyUsage.oid, x509.SubjectAlternativeName.oid)
)
_TLS_USAGES = frozenset((ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH))
_PREHASHED = ec.ECDSA(Prehashed(SHA256()))
_DIGEST_BYTES = 32
_Kind = TypeVar("_Kind", bound=x509.ExtensionType)
_REISSUE = "have the agency issue it again with temoin-fleet"
_WRITE_PEM = "write it again with: openssl x509 -in FILE -out FILE"


@dataclass(frozen=True, slots=True)
class Role:
    """What a certificate is for: `kind` is one of ROLE_KINDS, `id` a camera, dock, reader or agency."""

    kind: str
    id: str

    @property
    def urn(self) -> str:
        """The certificate's one SAN URI."""
        return f"urn:temoin:{self.kind}:{self.id}"


def parse_certificate(der: bytes, where: str) -> x509.Certificate:
    """One certificate, nothing after it, every part of it readable. Raises CertificateError."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        _read_all_parts(certificate)
    except (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion) as error:
        raise CertificateError(where, f"not a readable X.509 certificate ({error})", _REISSUE) from None
    except x509.UnsupportedGeneralNameType:
        raise CertificateError(where, "a subject alternative name of an unknown type", _REISSUE) from None
    if certificate.serial_number <= 0:  # RFC 5280 4.1.2.2; `cryptography` only warns of it
        raise CertificateError(where, "its serial number is not positive", _REISSUE)
    return certificate


def _read_all_parts(certificate: x509.Certificate) -> None:
    """`cryptography` parses these when they are asked for; what cannot be parsed shall fail here, not later."""
    certificate.public_key()
    _ = (certificate.extensions, certificate.subject, certificate.issuer, certificate.signature_algorithm_parameters)
    _ = (certificate.not_valid_before_utc, certificate.not_valid_after_utc)


def load_chain(pem: bytes, where: str) -> tuple[x509.Certificate, ...]:
    """1 to MAX_CHAIN certificates, the first one first, from PEM that holds nothing else. Raises CertificateError."""
    try:
        found = x509.load_pem_x509_certificates(pem)
    except (ValueError, x509.InvalidVersion):
        raise CertificateError(where, "holds no readable certificate in PEM", _WRITE_PEM) from None
    if len(found) > MAX_CHAIN:
        raise CertificateError(where, f"{len(found)} certificates are more than {MAX_CHAIN}")
    if b"".join(certificate.public_bytes(Encoding.PEM) for certificate in found) != pem:
        raise CertificateError(where, "holds something beside certificates in plain PEM", _WRITE_PEM)
    return tuple(parse_certificate(certificate.public_bytes(Encoding.DER), where) for certificate in found)


def role_of(certificate: x509.Certificate, where: str) -> Role:
    """The role in the one SAN URI, which the one CN repeats. Raises CertificateError."""
    names = _extension(certificate, x509.SubjectAlternativeName)
    uris = [] if names is None else names[0].get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise CertificateError(f"{where}: subject_alt_name", f"{len(uris)} URIs, not exactly one role", _REISSUE)
    match = _URN.fullmatch(uris[0])
    if match is None or match[1] not in ROLE_KINDS:
        raise CertificateError(f"{where}: subject_alt_name", f"{uris[0]!r} is no role of Témoin", _REISSUE)
    role = Role(match[1], match[2])
    common = [attribute.value for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if common != [role.id]:
        raise CertificateError(f"{where}: subject", f"its CN is not the one id {role.id!r} of its role", _REISSUE)
    return role


def check_chain(
    chain: Sequence[x509.Certificate],
    root: x509.Certificate,
    allowed: Collection[str],
    where: str,
    at_ms: int | None,
) -> Role:
    """The role of `chain[0]`, issued by `chain[1]` and so on up to `root`, which is not in the chain itself.

    `allowed` are role kinds; `at_ms` is UTC in milliseconds since 1970, None for "validity is judged elsewhere". Raises
    CertificateError that names certificate, field and remedy.
    """
    if not 1 <= len(chain) <= MAX_CHAIN:
        raise CertificateError(where, f"a chain of {len(chain)} certificates, not 1 to {MAX_CHAIN}", _REISSUE)
    leaf = chain[0]
    role = role_of(leaf, where)
    if role.kind not in allowed:
        wanted = " or ".join(sorted(allowed))
        raise CertificateError(f"{where}: role", f"is {role.urn}, not of the kind {wanted}", "give the right file")
    agency = _check_authority(root, f"{where}: agency certificate", at_ms, below=len(chain) - 1)
    _check_issued(root, root, f"{where}: agency certificate: issuer", agency)
    if role.kind != "ca":
        _check_usage(leaf, role, where)
    else:
        _check_authority(leaf, where, at_ms, below=0)
    for index, certificate in enumerate(chain):
        named = where if index == 0 else f"{where}: issuer {index}"
        _check_common(certificate, named, at_ms)
        if index and _check_authority(certificate, named, at_ms, below=index - 1) != agency:
            raise CertificateError(f"{named}: role", f"is of another agency than {agency}", "give the right chain")
        issuer = chain[index + 1] if index + 1 < len(chain) else root
        _check_issued(certificate, issuer, f"{named}: issuer", agency)
    return role


def _check_authority(certificate: x509.Certificate, where: str, at_ms: int | None, below: int) -> str:
    """The agency of a CA's certificate. `below` counts the authorities between it and the leaf."""
    _check_common(certificate, where, at_ms)
    role = role_of(certificate, where)
    if role.kind != "ca":
        raise CertificateError(f"{where}: role", f"is {role.urn}, not of the kind ca", "give the agency's agency.pem")
    constraints = _required(certificate, x509.BasicConstraints, where, "basic_constraints")
    if not constraints.ca or (constraints.path_length is not None and constraints.path_length < below):
        raise CertificateError(f"{where}: basic_constraints", "it may not issue this chain", _REISSUE)
    if not _required(certificate, x509.KeyUsage, where, "key_usage").key_cert_sign:
        raise CertificateError(f"{where}: key_usage", "it may not sign certificates", _REISSUE)
    return role.id


def _check_usage(leaf: x509.Certificate, role: Role, where: str) -> None:
    """Basic constraints, key usage and extended key usage of a certificate that issues nothing."""
    if _required(leaf, x509.BasicConstraints, where, "basic_constraints").ca:
        raise CertificateError(f"{where}: basic_constraints", "it is an authority's certificate", _REISSUE)
    usage = _required(leaf, x509.KeyUsage, where, "key_usage")
    if not usage.digital_signature or usage.key_cert_sign or usage.crl_sign:
        raise CertificateError(f"{where}: key_usage", "is not digital signature, without signing others", _REISSUE)
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    purposes = frozenset() if extended is None else frozenset(extended[0])
    if role.kind in TLS_KINDS:
        if not purposes or not purposes <= _TLS_USAGES:
            raise CertificateError(f"{where}: extended_key_usage", "is not for TLS only", _REISSUE)
    elif extended is None or not extended[1] or purposes != {SIGNING_EKU}:
        raise CertificateError(f"{where}: extended_key_usage", "is not, as critical, Témoin's signing only", _REISSUE)


def _check_common(certificate: x509.Certificate, where: str, at_ms: int | None) -> None:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise CertificateError(f"{where}: public_key", "is not of ECDSA P-256", _REISSUE)
    if certificate.signature_algorithm_oid != SignatureAlgorithmOID.ECDSA_WITH_SHA256:
        raise CertificateError(f"{where}: signature_algorithm", "is not ECDSA with SHA-256", _REISSUE)
    for extension in certificate.extensions:
        if extension.critical and extension.oid not in _HANDLED_EXTENSIONS:
            raise CertificateError(f"{where}: extensions", f"{extension.oid.dotted_string} is critical, unknown here")
    if at_ms is not None:
        _check_validity(certificate, where, at_ms)


def valid_until_ms(chain: Iterable[x509.Certificate]) -> int:
    """The last moment at which all of them are valid: notAfter is a whole second and includes it (RFC 5280,
    4.1.2.5)."""
    return min(round(each.not_valid_after_utc.timestamp() * 1000) for each in chain) + 999


def _check_validity(certificate: x509.Certificate, where: str, at_ms: int) -> None:
    first_ms = round(certificate.not_valid_before_utc.timestamp() * 1000)
    last_ms = valid_until_ms((certificate,))
    if at_ms < first_ms:
        raise CertificateError(
            f"{where}: not_before", f"is {format_utc(first_ms)}, after {format_utc(at_ms)}", "check the clock"
        )
    if at_ms > last_ms:
        raise CertificateError(
            f"{where}: not_after", f"expired on {format_utc(last_ms)}, before {format_utc(at_ms)}", _REISSUE
        )


def _check_issued(certificate: x509.Certificate, issuer: x509.Certificate, where: str, agency: str) -> None:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        raise CertificateError(
            where,
            f"it was not issued by this authority of {agency}",
            "give the agency.pem that goes with it",
        ) from None


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> tuple[_Kind, bool] | None:
    """The extension's value and whether it is critical; None where there is none."""
    try:
        found = certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
    return found.value, found.critical


def _required(certificate: x509.Certificate, kind: type[_Kind], where: str, field: str) -> _Kind:
    """A critical extension that every certificate of Témoin has."""
    found = _extension(certificate, kind)
    if found is None or not found[1]:
        raise CertificateError(f"{where}: {field}", "missing, or not critical", _REISSUE)
    return found[0]


class Verifier:
    """Checks signatures of one certificate: the key is decoded once for hundreds of thousands of entries."""

    def __init__(self, certificate: x509.Certificate) -> None:
        key = certificate.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
            raise CertificateError("public_key", "is not of ECDSA P-256", _REISSUE)
        self._key = key

    def check(self, digest: bytes, signature: bytes, where: str) -> None:
        """Raise SignatureError unless the DER signature over the 32-byte SHA-256 digest is this key's, low S."""
        assert len(digest) == _DIGEST_BYTES
        check_form(signature, where)
        try:
            self._key.verify(signature, digest, _PREHASHED)
        except InvalidSignature:
            raise SignatureError(where, "the signature is not of this key over these bytes") from None


def verify_digest(certificate: x509.Certificate, digest: bytes, signature: bytes, where: str) -> None:
    """One signature of one certificate; `Verifier` is for many. Raises SignatureError."""
    Verifier(certificate).check(digest, signature, where)


def verify_statement(
    statement: Statement, chain: Sequence[x509.Certificate], root: x509.Certificate, where: str, at_ms: int | None
) -> None:
    """The signer has the role that the statement's type demands, is the one that it names, and signed these bytes.

    Raises CertificateError or SignatureError. What the statement says to whom, and in which session, is the reader's.
    """
    kind = ROLE_OF[statement.name]
    role = check_chain(chain, root, (kind,), where, at_ms)
    named = statement.value["agency"] if kind == "policy" else statement.value[kind]
    if role.id != named:
        raise CertificateError(f"{where}: role", f"is {role.urn}, but the statement is of {kind} {named}")
    agency = role_of(root, where).id
    if statement.value["agency"] != agency:
        raise CertificateError(f"{where}: agency", f"is {statement.value['agency']}, not {agency}")
    verify_digest(chain[0], statement.digest, statement.signature, f"{where}: signature")


def load_policy(
    line: bytes,
    certificate_pem: bytes,
    root: x509.Certificate,
    dev: str,
    agency: str,
    minimum_version: int | None,
    where: str,
) -> Policy:
    """The agency's policy, if this camera may record under it. Raises ConfigError that names the field, nothing else.

    `certificate_pem` is the policy key's chain, which must have been valid when the policy takes effect (`not_before`):
    whether that moment has come is for whoever knows the time. `minimum_version` is the one in force so far.
    """
    try:
        statement = parse_line(line)
        if statement.name != "policy":
            raise FormatError("typ", f"is {statement.name}, not policy", "give the file policy.line")
        policy = policy_of(statement)
        chain = load_chain(certificate_pem, "certificate")
        verify_statement(statement, chain, root, "certificate", policy.not_before_ms)
        parse_recipients(policy.recipients)
        _check_policy(policy, dev, agency, minimum_version)
    except ConfigError as error:
        raise error.at(where) from None
    except TemoinError as error:
        remedy = error.remedy or "ask the holder of the policy key for a signed policy"
        raise ConfigError(f"{where}: {error.where}", error.problem, remedy) from None
    return policy


def _check_policy(policy: Policy, dev: str, agency: str, minimum_version: int | None) -> None:
    if policy.agency != agency:
        raise ConfigError("agency", f"is {policy.agency}, not {agency}", "give the policy of this camera's agency")
    if dev not in policy.cameras:
        raise ConfigError("cameras", f"{dev} is not among them", "have it listed in a new version of the policy")
    if minimum_version is not None and policy.version < minimum_version:
        raise ConfigError(
            "version", f"{policy.version} is older than {minimum_version}, which was in force", "give the newest policy"
        )
