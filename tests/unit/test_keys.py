"""Certificates and policies: the right ones pass here and with openssl; each way to be wrong names field and remedy."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import CertificateError, ConfigError, SignatureError
from agent.formats.canonical import Value, encode
from agent.formats.statement import Statement, compose, parse_line
from agent.keys import (
    ROLE_KINDS,
    SIGNING_EKU,
    SIGNING_KINDS,
    TLS_KINDS,
    Role,
    check_chain,
    load_chain,
    load_policy,
    parse_certificate,
    role_of,
    verify_statement,
)
from firmware.certificates import LEAF_DAYS, ROOT_DAYS, issue, make_root, sign
from tests.support.agency import AGENCY, NOW_MS, TestAgency, make_agency, seeded_random

DAY_MS = 86_400_000
RANDOM = seeded_random("keys")
AUTHORITY = make_root(AGENCY, "Test", True, NOW_MS, RANDOM)
ROOT = AUTHORITY.certificate
ROLE = Role("camera", "cam-01")
CAMERA = issue(AUTHORITY, ROLE, NOW_MS, RANDOM)
OTHER = make_root(AGENCY, "Test", True, NOW_MS, RANDOM)  # the same names, another key


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("keys"), cameras=("cam-01", "cam-02"))


def built(
    change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder],
    role: Role = ROLE,
    common_name: str = "cam-01",
    uris: tuple[str, ...] | None = None,
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | None = None,
    signer: ec.EllipticCurvePrivateKey = AUTHORITY.key,
    issuer: x509.Name = ROOT.subject,
    digest: SHA256 | SHA384 | None = None,
) -> x509.Certificate:
    """A certificate with one thing changed: `change` adds basic constraints, key usage and extended key usage."""
    start = datetime.fromtimestamp(NOW_MS // 1000, UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
        .issuer_name(issuer)
        .public_key((key or CAMERA.key).public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=10))
    )
    names = [x509.UniformResourceIdentifier(uri) for uri in ((role.urn,) if uris is None else uris)]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return change(builder).sign(signer, digest or SHA256())


def usage(digital_signature: bool = True, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature, False, False, False, False, key_cert_sign, False, False, False)


def extensions(
    ca: bool | None = False,
    ca_critical: bool = True,
    key_usage: x509.KeyUsage | None = None,
    purposes: tuple[x509.ObjectIdentifier, ...] = (SIGNING_EKU,),
    critical: bool = True,
    more: x509.ExtensionType | None = None,
) -> Callable[[x509.CertificateBuilder], x509.CertificateBuilder]:
    def change(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, None), ca_critical)
        builder = builder.add_extension(usage() if key_usage is None else key_usage, critical=True)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical)
        return builder if more is None else builder.add_extension(more, critical=True)

    return change


def check(certificate: x509.Certificate, kinds: tuple[str, ...] = ("camera",), at_ms: int | None = NOW_MS) -> Role:
    return check_chain((certificate,), ROOT, kinds, "camera.pem", at_ms)


@pytest.mark.parametrize("kind", sorted(ROLE_KINDS - {"ca"}))
def test_each_issued_role_passes_as_itself_only(kind: str) -> None:
    certificate = issue(AUTHORITY, Role(kind, "some-id"), NOW_MS, RANDOM).certificate
    assert check(certificate, (kind,)) == Role(kind, "some-id")
    assert role_of(certificate, "x").urn == f"urn:temoin:{kind}:some-id"
    with pytest.raises(CertificateError, match=f"camera.pem: role: is urn:temoin:{kind}:some-id, not of the kind"):
        check(certificate, tuple(ROLE_KINDS - {kind}))


def test_a_signing_certificate_is_not_for_tls_and_the_other_way_round() -> None:
    for kind in SIGNING_KINDS | TLS_KINDS:
        issued = issue(AUTHORITY, Role(kind, "some-id"), NOW_MS, RANDOM).certificate
        purposes = issued.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        assert (SIGNING_EKU in purposes.value) == (kind in SIGNING_KINDS)
        assert purposes.critical == (kind in SIGNING_KINDS)


def test_what_this_file_builds_is_right_but_for_the_one_change() -> None:
    assert check(built(extensions())) == Role("camera", "cam-01")


WRONG: dict[str, tuple[x509.Certificate, str]] = {
    "no role": (built(extensions(), uris=()), "subject_alt_name: 0 URIs"),
    "two roles": (built(extensions(), uris=("urn:temoin:camera:cam-01",) * 2), "subject_alt_name: 2 URIs"),
    "an unknown role": (built(extensions(), uris=("urn:temoin:king:cam-01",)), "no role of Témoin"),
    "a role in capitals": (built(extensions(), uris=("urn:temoin:Camera:cam-01",)), "no role of Témoin"),
    "a role with a tail": (built(extensions(), uris=("urn:temoin:camera:cam-01\n",)), "no role of Témoin"),
    "another CN": (built(extensions(), common_name="cam-02"), "subject: its CN is not the one id 'cam-01'"),
    "an authority": (built(extensions(ca=True)), "basic_constraints: it is an authority's"),
    "no constraints": (built(extensions(ca=None)), "basic_constraints: missing"),
    "constraints not critical": (built(extensions(ca_critical=False)), "basic_constraints: missing, or not critical"),
    "a key that signs others": (built(extensions(key_usage=usage(key_cert_sign=True))), "key_usage"),
    "a key that may not sign": (built(extensions(key_usage=usage(digital_signature=False))), "key_usage"),
    "no purpose": (built(extensions(purposes=())), "extended_key_usage"),
    "a purpose not critical": (built(extensions(critical=False)), "extended_key_usage"),
    "TLS too": (built(extensions(purposes=(SIGNING_EKU, ExtendedKeyUsageOID.CLIENT_AUTH))), "extended_key_usage"),
    "TLS only": (built(extensions(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,))), "extended_key_usage"),
    "P-384": (built(extensions(), key=ec.generate_private_key(ec.SECP384R1())), "public_key: is not of ECDSA P-256"),
    "Ed25519": (built(extensions(), key=ed25519.Ed25519PrivateKey.generate()), "public_key: is not of ECDSA P-256"),
    "SHA-384": (built(extensions(), digest=SHA384()), "signature_algorithm"),
    "an unknown critical extension": (
        built(extensions(more=x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"))),
        "extensions: 1.2.3.4 is critical",
    ),
    "another authority's key": (built(extensions(), signer=OTHER.key), "issuer: it was not issued by"),
    "another authority's name": (
        built(extensions(), issuer=CAMERA.certificate.subject),
        "issuer: it was not issued by",
    ),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_each_wrong_certificate_is_named_with_its_field(name: str) -> None:
    certificate, said = WRONG[name]
    with pytest.raises(CertificateError) as caught:
        check(certificate)
    assert str(caught.value).startswith("camera.pem: ")
    assert said in str(caught.value)


def test_tls_certificates_carry_tls_purposes_only() -> None:
    role = Role("camera-tls", "cam-01")
    client = built(extensions(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,), critical=False), role)
    assert check(client, ("camera-tls",)) == role
    for purposes in ((), (ExtendedKeyUsageOID.CLIENT_AUTH, SIGNING_EKU), (ExtendedKeyUsageOID.CODE_SIGNING,)):
        with pytest.raises(CertificateError, match="is not for TLS only"):
            check(built(extensions(purposes=purposes, critical=False), role), ("camera-tls",))


@pytest.mark.parametrize(
    ("at_ms", "said"),
    [
        (NOW_MS - DAY_MS, None),
        (NOW_MS - DAY_MS - 1, "camera.pem: agency certificate: not_before: is 2025-12-31T08:00:00.000Z, after"),
        (NOW_MS + LEAF_DAYS * DAY_MS + 999, None),
        (NOW_MS + LEAF_DAYS * DAY_MS + 1000, "camera.pem: not_after: expired on 2035-12-30T08:00:00.999Z, before"),
        (NOW_MS + ROOT_DAYS * DAY_MS + 1000, "camera.pem: agency certificate: not_after: expired on 2045-12-27"),
        (None, None),
    ],
)
def test_validity_to_the_second(at_ms: int | None, said: str | None) -> None:
    if said is None:
        check(CAMERA.certificate, at_ms=at_ms)
        return
    with pytest.raises(CertificateError, match=said):
        check(CAMERA.certificate, at_ms=at_ms)


def test_the_agency_of_another_key_is_the_wrong_ca() -> None:
    with pytest.raises(CertificateError, match=r"^camera.pem: issuer: it was not issued by .*; give the agency.pem"):
        check_chain((CAMERA.certificate,), OTHER.certificate, ("camera",), "camera.pem", NOW_MS)


def test_a_camera_is_no_authority() -> None:
    forged = built(extensions(), signer=CAMERA.key, issuer=CAMERA.certificate.subject)
    with pytest.raises(CertificateError, match="issuer: it was not issued by"):
        check_chain((forged,), ROOT, ("camera",), "camera.pem", NOW_MS)
    with pytest.raises(CertificateError, match="agency certificate: basic_constraints: it may not issue this chain"):
        check_chain((forged, CAMERA.certificate), ROOT, ("camera",), "camera.pem", NOW_MS)
    wide_root, _ = middle()
    below = built(extensions(), signer=OTHER.key, issuer=wide_root.subject)
    with pytest.raises(CertificateError, match="issuer 1: role: is urn:temoin:camera:cam-01, not of the kind ca"):
        check_chain(
            (built(extensions(), signer=CAMERA.key, issuer=below.subject), below), wide_root, ("camera",), "x", None
        )
    with pytest.raises(CertificateError, match="agency certificate"):
        check_chain((forged,), CAMERA.certificate, ("camera",), "camera.pem", NOW_MS)


def middle(agency: str = AGENCY, path_length: int | None = None) -> tuple[x509.Certificate, x509.Certificate]:
    """A root that allows one authority below it, with that authority, which holds the camera's key."""

    def authority(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
        builder = builder.add_extension(x509.BasicConstraints(True, path_length), critical=True)
        return builder.add_extension(usage(False, True), critical=True)

    role = Role("ca", agency)
    root = built(
        authority, Role("ca", AGENCY), AGENCY, key=OTHER.key, signer=OTHER.key, issuer=x509.Name(named(AGENCY))
    )
    below = built(authority, role, agency, key=CAMERA.key, signer=OTHER.key, issuer=root.subject)
    return root, below


def named(common_name: str) -> list[x509.NameAttribute[str]]:
    return [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]


def test_an_authority_between_is_checked_as_one() -> None:
    root, below = middle()
    leaf = built(extensions(), signer=CAMERA.key, issuer=below.subject, key=AUTHORITY.key)
    assert check_chain((leaf, below), root, ("camera",), "camera.pem", NOW_MS) == Role("camera", "cam-01")
    strict_root, _ = middle(path_length=0)
    with pytest.raises(CertificateError, match="agency certificate: basic_constraints"):
        check_chain((leaf, below), strict_root, ("camera",), "camera.pem", NOW_MS)
    _, foreign = middle(agency="pm-other")
    leaf = built(extensions(), signer=CAMERA.key, issuer=foreign.subject, key=AUTHORITY.key)
    with pytest.raises(CertificateError, match="issuer 1: role: is of another agency"):
        check_chain((leaf, foreign), root, ("camera",), "camera.pem", NOW_MS)


@pytest.mark.parametrize(
    ("ca", "key_cert_sign", "own_key", "said"),
    [
        (True, True, True, None),
        (False, True, True, "agency certificate: basic_constraints: it may not issue this chain"),
        (True, False, True, "agency certificate: key_usage: it may not sign certificates"),
        (True, True, False, "agency certificate: issuer: it was not issued by this authority"),
    ],
)
def test_the_agency_certificate_is_an_authority_signed_by_itself(
    ca: bool, key_cert_sign: bool, own_key: bool, said: str | None
) -> None:
    change = extensions(ca=ca, key_usage=usage(True, key_cert_sign), purposes=())
    name = x509.Name(named(AGENCY))
    signer = AUTHORITY.key if own_key else OTHER.key
    root = built(change, Role("ca", AGENCY), AGENCY, key=AUTHORITY.key, signer=signer, issuer=name)
    leaf = built(extensions(), issuer=name)
    if said is None:
        assert check_chain((leaf,), root, ("camera",), "camera.pem", NOW_MS) == ROLE
        return
    with pytest.raises(CertificateError, match=said):
        check_chain((leaf,), root, ("camera",), "camera.pem", NOW_MS)


@pytest.mark.parametrize("length", [0, 5])
def test_the_length_of_a_chain(length: int) -> None:
    with pytest.raises(CertificateError, match=f"a chain of {length}"):
        check_chain((CAMERA.certificate,) * length, ROOT, ("camera",), "camera.pem", None)


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
def test_a_serial_number_that_is_not_positive_is_refused() -> None:
    der = bytearray(CAMERA.certificate.public_bytes(Encoding.DER))
    serial = CAMERA.certificate.serial_number
    encoded = serial.to_bytes(serial.bit_length() // 8 + 1)
    der[der.index(encoded)] |= 0x80
    with pytest.raises(CertificateError, match="serial number is not positive"):
        parse_certificate(bytes(der), "camera.pem")


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@settings(max_examples=150)
@given(st.data())
def test_no_changed_byte_of_a_certificate_passes_or_crashes(data: st.DataObject) -> None:
    der = bytearray(CAMERA.certificate.public_bytes(Encoding.DER))
    der[data.draw(st.integers(0, len(der) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises(CertificateError):
        check(parse_certificate(bytes(der), "camera.pem"))


@given(st.binary(max_size=200))
def test_noise_is_no_certificate(noise: bytes) -> None:
    with pytest.raises(CertificateError, match=r"camera\.pem"):
        parse_certificate(noise, "camera.pem")
    with pytest.raises(CertificateError, match=r"camera\.pem"):
        load_chain(noise, "camera.pem")


def test_a_pem_file_holds_certificates_and_nothing_else() -> None:
    assert load_chain(CAMERA.pem, "camera.pem") == (CAMERA.certificate,)
    assert len(load_chain(CAMERA.pem * 4, "camera.pem")) == 4
    for wrong in (CAMERA.pem + b"\n", b"note\n" + CAMERA.pem, CAMERA.pem.replace(b"\n", b"\r\n"), CAMERA.pem * 5):
        with pytest.raises(CertificateError, match=r"camera\.pem"):
            load_chain(wrong, "camera.pem")


@pytest.mark.parametrize("kind", sorted(ROLE_KINDS - {"ca"}))
def test_openssl_verifies_what_is_issued(kind: str, tmp_path: Path) -> None:
    root, leaf, other = tmp_path / "agency.pem", tmp_path / "leaf.pem", tmp_path / "other.pem"
    root.write_bytes(ROOT.public_bytes(Encoding.PEM))
    other.write_bytes(OTHER.certificate.public_bytes(Encoding.PEM))
    leaf.write_bytes(issue(AUTHORITY, Role(kind, "some-id"), NOW_MS, RANDOM).pem)
    for authority, code in ((root, 0), (other, 2)):
        command = ["openssl", "verify", "-x509_strict", "-check_ss_sig", "-attime", str(NOW_MS // 1000)]
        done = subprocess.run([*command, "-CAfile", str(authority), str(leaf)], capture_output=True, check=False)
        assert done.returncode == code, done.stderr


# The policy: what a camera checks at each start.


def loaded(made: TestAgency, line: bytes, **changes: str | int | None) -> int:
    wanted = {"dev": "cam-01", "agency": AGENCY, "minimum": 1, **changes}
    minimum = wanted["minimum"]
    assert minimum is None or isinstance(minimum, int)
    dev, identifier = str(wanted["dev"]), str(wanted["agency"])
    return load_policy(line, made.policy_pem, made.root, dev, identifier, minimum, "policy.line").version


def test_a_policy_of_the_same_or_a_newer_version_is_taken(agency: TestAgency) -> None:
    assert loaded(agency, agency.policy_line) == 1
    assert loaded(agency, agency.policy_line, dev="cam-02", minimum=None) == 1
    assert loaded(agency, agency.sign_policy(version=3), minimum=3) == 3


def mixed(agency: TestAgency) -> list[Value]:
    return [agency.policy.recipients[0], "age1lvyvwawkr0mcnnnncaghunadrqkmuf9e6507x9y920xxpp866cnql7dp2z"]


PolicyCase = tuple[Callable[[TestAgency], bytes], dict[str, str | int | None], str]
WRONG_POLICIES: dict[str, PolicyCase] = {
    "unsigned": (lambda a: a.policy_line.split(b"\t")[0] + b"\t\n", {}, "signature: 0 bytes"),
    "no signature column": (lambda a: a.policy_line.split(b"\t")[0] + b"\n", {}, "statement: not one line of JSON"),
    "changed after signing": (lambda a: a.policy_line.replace(b'"version":1', b'"version":9'), {}, "signature: the"),
    "older version": (lambda a: a.policy_line, {"minimum": 2}, "version: 1 is older than 2"),
    "wrong agency": (lambda a: a.policy_line, {"agency": "pm-other"}, "agency: is pm-test, not pm-other"),
    "camera not listed": (lambda a: a.policy_line, {"dev": "cam-03"}, "cameras: cam-03 is not among them"),
    "no recipient": (lambda a: unchecked(a, recipients=[]), {}, "policy.recipients: not a list of 1 to 16"),
    "malformed recipient": (lambda a: a.sign_policy(recipients=["age1nonsense"]), {}, "recipient 1: "),
    "mixed kinds": (lambda a: a.sign_policy(recipients=mixed(a)), {}, "recipient 2: is of the kind X25519"),
    "the same recipient twice": (
        lambda a: a.sign_policy(recipients=[a.policy.recipients[0]] * 2),
        {},
        "recipient 2: is the same as recipient 1",
    ),
    "after its certificate": (
        lambda a: a.sign_policy(not_before="2036-01-01T00:00:00.000Z"),
        {},
        "certificate: not_after: expired on 2035-12-30",
    ),
    "unknown field": (lambda a: unchecked(a, stealth=True), {}, "policy: unknown field 'stealth'"),
    "another type": (lambda a: unchecked(a, typ="temoin/beacon/1"), {}, "beacon."),
    "empty": (lambda a: b"", {}, "statement: not one line"),
}


def unchecked(agency: TestAgency, **changes: Value) -> bytes:
    """A policy that `compose` would refuse, signed."""
    text = encode({**parse_line(agency.policy_line).value, **changes})
    return Statement("policy", {}, text, b"12345678").line


@pytest.mark.parametrize("name", sorted(WRONG_POLICIES))
def test_each_wrong_policy_is_named_with_its_field(name: str, agency: TestAgency) -> None:
    make, changes, said = WRONG_POLICIES[name]
    with pytest.raises(ConfigError) as caught:
        loaded(agency, make(agency), **changes)
    assert str(caught.value).startswith("policy.line: ")
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_policy_signed_by_another_role_or_agency_is_refused(agency: TestAgency) -> None:
    text = parse_line(agency.policy_line).text
    for kind, identifier, said in (
        ("update", AGENCY, "role: is urn:temoin:update:pm-test, not of the kind policy"),
        ("policy", "pm-other", "role: is urn:temoin:policy:pm-other, but the statement is of policy pm-test"),
    ):
        signer = agency.issue(kind, identifier)
        line = Statement("policy", {}, text, sign(signer.key, text)).line
        with pytest.raises(ConfigError, match=said):
            load_policy(line, signer.pem, agency.root, "cam-01", AGENCY, None, "policy.line")


def test_a_dock_signs_for_itself_only(agency: TestAgency) -> None:
    dock = agency.issue("dock", "dock-1")

    def ack(of: str, in_agency: str = AGENCY) -> Statement:
        value: dict[str, Value] = {
            "agency": in_agency, "dock": of, "dev": "cam-01", "jid": "0" * 32, "dseq": 1, "session": "0" * 32,
            "utc": "2026-01-01T08:00:00.000Z", "seq": 3, "head": "1" * 64,
        }  # fmt: skip
        text = compose("ack", value)
        return Statement("ack", {**value, "typ": "temoin/ack/1"}, text, sign(dock.key, text))

    chain = (dock.certificate,)
    verify_statement(ack("dock-1"), chain, agency.root, "ack", NOW_MS)
    with pytest.raises(CertificateError, match="role: is urn:temoin:dock:dock-1, but the statement is of dock dock-2"):
        verify_statement(ack("dock-2"), chain, agency.root, "ack", NOW_MS)
    with pytest.raises(CertificateError, match="agency: is pm-other, not pm-test"):
        verify_statement(ack("dock-1", "pm-other"), chain, agency.root, "ack", NOW_MS)
    other = agency.issue("dock", "dock-1")
    with pytest.raises(SignatureError, match="ack: signature"):
        verify_statement(ack("dock-1"), (other.certificate,), agency.root, "ack", NOW_MS)
