"""check.sh and keys: who may sign, under which authority, in which role, until when."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from agent.evidence.export import ExportSigner
from agent.formats import bundle
from agent.keys import SIGNING_EKU
from tests.support.agency import make_agency
from tests.support.exports import DAY_MS, reader, run_check
from tests.support.forgeries import (
    Made,
    check,
    copy_of,
    last_failure,
    make,
    resigned,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("check"))


# --- the keys are others ----------------------------------------------------------------------------------------------


def test_a_statement_changed_after_signing_fails(made: Made, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path)
    text = (folder / bundle.STATEMENT_FILE).read_bytes()
    (folder / bundle.STATEMENT_FILE).write_bytes(text.replace(b'"level":"PARTIAL"', b'"level":"VALID"'))
    assert "statement.p7s: the signature or its certificate does not verify" in last_failure(check(made, folder))


def test_a_second_authority_behind_the_published_one_is_not_trusted(made: Made, tmp_path: Path) -> None:
    other = make_agency(tmp_path, simulated=False, seed="other")
    folder = copy_of(made, tmp_path)
    (folder / "agency.pem").write_bytes(made.agency.root_pem + other.root_pem)
    resigned(made, folder, signer=reader(other))
    assert "statement.p7s: the signature" in last_failure(check(made, folder))


def certificate_of(made: Made, urn: str, usage: ObjectIdentifier | None) -> ExportSigner:
    """A certificate of the agency that its own tools would not issue."""
    authority = made.agency.authority()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pm-test")])
    root = authority.certificate
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(root.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(root.not_valid_before_utc)
        .not_valid_after(root.not_valid_after_utc)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(urn)]), critical=False)
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
    return ExportSigner(key, (builder.sign(authority.key, SHA256()),))


@pytest.mark.parametrize("usage", [None, ExtendedKeyUsageOID.CLIENT_AUTH])
def test_a_role_without_its_key_usage_fails(made: Made, tmp_path: Path, usage: ObjectIdentifier | None) -> None:
    folder = copy_of(made, tmp_path)
    resigned(made, folder, signer=certificate_of(made, "urn:temoin:export:pm-test", usage))
    assert "statement.p7s: extended key usage of the signer" in last_failure(check(made, folder))


def test_a_role_inside_another_text_fails(made: Made, tmp_path: Path) -> None:
    urns = ("urn:temoin:export:pm-test, URI:x", "x, URI:urn:temoin:export:pm-test", "urn:temoin:export:pm-test2")
    for number, urn in enumerate(urns):
        folder = copy_of(made, tmp_path / str(number))
        resigned(made, folder, signer=certificate_of(made, urn, SIGNING_EKU))
        assert "does not have the role export:pm-test" in last_failure(check(made, folder))


def test_two_signers_are_one_too_many(made: Made, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path)
    text = (folder / bundle.STATEMENT_FILE).read_bytes()
    builder = pkcs7.PKCS7SignatureBuilder().set_data(text)
    other = made.agency.issue("export", "pm-other")
    for signer in (reader(made.agency), ExportSigner(other.key, (other.certificate,))):
        builder = builder.add_signer(signer.chain[0], signer.key, SHA256())
    options = [pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary]
    (folder / bundle.SIGNATURE_FILE).write_bytes(builder.sign(Encoding.PEM, options))
    assert "statement.p7s: not exactly one signer" in last_failure(check(made, folder))


def test_an_authority_that_the_computer_trusts_does_not_count(made: Made, tmp_path: Path) -> None:
    # Another name, too: openssl looks for an issuer by its name, and does not look on once it has found one.
    other = make_agency(tmp_path, simulated=False, seed="other", agency="pm-other")
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    (trusted / "other.pem").write_bytes(other.root_pem)
    subprocess.run(["openssl", "rehash", str(trusted)], check=True, timeout=60)
    folder = copy_of(made, tmp_path)
    resigned(made, folder, signer=reader(other))
    found = run_check(
        folder,
        "--ca-sha256",
        made.agency.fingerprint,
        now_ms=made.agency.now_ms + DAY_MS,
        environment={"SSL_CERT_DIR": str(trusted), "SSL_CERT_FILE": str(trusted / "other.pem")},
    )
    assert "statement.p7s: the signature or its certificate" in last_failure(found)


def test_an_expired_camera_fails_under_a_younger_export_key(made: Made, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path)
    late = replace(made.agency, now_ms=made.agency.now_ms + 9 * 365 * DAY_MS).issue("export", "pm-test")
    resigned(made, folder, signer=ExportSigner(late.key, (late.certificate,)))
    now_ms = made.agency.now_ms + 11 * 365 * DAY_MS
    found = run_check(folder, "--ca-sha256", made.agency.fingerprint, now_ms=now_ms)
    assert "camera.pem: no valid chain to the agency on 2036-12-29" in last_failure(found)


def test_a_camera_of_the_same_agency_is_not_this_one(made: Made, tmp_path: Path) -> None:
    folder = copy_of(made, tmp_path)
    issued = made.agency.issue("camera", "cam-02")
    der = issued.certificate.public_bytes(Encoding.DER)
    (folder / "camera.pem").write_bytes(issued.pem)
    assert "camera.pem: not the one that the statement names" in last_failure(check(made, folder))
    resigned(made, folder, {"camera": hashlib.sha256(der).hexdigest()})
    assert "camera.pem: the role is not camera:cam-01" in last_failure(check(made, folder))
