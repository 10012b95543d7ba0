"""The key in a file: what it signs verifies everywhere, and every file that is not such a key is refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from agent.adapters.signer import MAX_KEY_FILE_BYTES, FileSigner, load_private_key
from agent.errors import KeyFileError
from agent.keys import verify_digest
from agent.ports import Signer
from firmware.certificates import make_key
from firmware.pkcs8 import private_pem
from tests.support.agency import TestAgency, make_agency, seeded_random

RANDOM = seeded_random("signer")
PASSPHRASE = "six words drawn at random"


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("signer"), cameras=("cam-01", "cam-02"))


def key_file(folder: Path, data: bytes, mode: int = 0o600) -> Path:
    path = folder / "some.key"
    path.write_bytes(data)
    path.chmod(mode)
    return path


def test_signatures_verify_here_and_with_openssl_and_are_the_same_each_time(agency: TestAgency, tmp_path: Path) -> None:
    signer: Signer = agency.signer()
    assert signer.key_class == "file"
    assert signer.chain == tuple(certificate.public_bytes(Encoding.DER) for certificate in agency.chain())
    public = agency.chain()[0].public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    for number in range(20):  # half of all signatures would have the high S
        text = b"entry %d" % number
        digest = hashlib.sha256(text).digest()
        signature = signer.sign(digest)
        verify_digest(agency.chain()[0], digest, signature, "entry")
        assert signer.sign(digest) == signature
    (tmp_path / "text").write_bytes(text)
    (tmp_path / "signature").write_bytes(signature)
    command = ["openssl", "dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "text"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=True).stdout == b"Verified OK\n"


def test_a_key_beside_another_cameras_certificate(agency: TestAgency) -> None:
    with pytest.raises(KeyFileError, match=r"camera\.key: is not the key of the certificate beside it"):
        FileSigner(agency.camera_folder("cam-02") / "camera.key", agency.signer("cam-01").chain)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o777, 0o610])
def test_a_key_that_others_can_reach(mode: int, agency: TestAgency, tmp_path: Path) -> None:
    path = key_file(tmp_path, (agency.camera_folder() / "camera.key").read_bytes(), mode)
    with pytest.raises(KeyFileError, match=f"its mode {mode:04o} lets others read the key; run: chmod 600 {path}"):
        FileSigner(path, agency.signer().chain)


def test_files_that_are_no_such_key(agency: TestAgency, tmp_path: Path) -> None:
    good = (agency.camera_folder() / "camera.key").read_bytes()
    wrong = {
        b"": "is not a private key in PEM",
        good[:100]: "cannot be read as a private key",
        b"A" * (MAX_KEY_FILE_BYTES + 1): "is longer than",
        private_pem(ec.generate_private_key(ec.SECP384R1()), None, RANDOM): "is not an ECDSA P-256 key",
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        ): "is not an ECDSA P-256 key",
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()
        ): "is not a private key in PEM",
        (agency.camera_folder() / "camera.pem").read_bytes(): "is not a private key in PEM",
    }
    for data, said in wrong.items():
        with pytest.raises(KeyFileError, match=said):
            load_private_key(key_file(tmp_path, data), None)


def test_paths_that_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="No such file"):
        load_private_key(tmp_path / "none.key", None)
    with pytest.raises(KeyFileError, match="is not a regular file"):
        load_private_key(tmp_path, None)
    os.mkfifo(tmp_path / "pipe.key", 0o600)
    with pytest.raises(KeyFileError, match="is not a regular file"):
        load_private_key(tmp_path / "pipe.key", None)


def test_a_key_under_a_passphrase(tmp_path: Path) -> None:
    key = make_key(RANDOM)
    path = key_file(tmp_path, private_pem(key, PASSPHRASE, RANDOM))
    assert load_private_key(path, lambda: PASSPHRASE).private_numbers() == key.private_numbers()
    with pytest.raises(KeyFileError, match="is encrypted, and nobody can be asked here"):
        load_private_key(path, None)
    for ask in (lambda: "another", lambda: ""):
        with pytest.raises(KeyFileError, match="does not open with this passphrase; try again"):
            load_private_key(path, ask)


def test_openssl_opens_what_is_under_a_passphrase(tmp_path: Path) -> None:
    key = make_key(RANDOM)
    path = key_file(tmp_path, private_pem(key, PASSPHRASE, RANDOM))
    command = ["openssl", "pkey", "-in", str(path), "-passin", "stdin", "-pubout", "-outform", "DER"]
    done = subprocess.run(command, input=PASSPHRASE.encode(), capture_output=True, check=True)
    assert done.stdout == key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    shown = subprocess.run(["openssl", "asn1parse", "-in", str(path)], capture_output=True, check=True).stdout
    assert b":PBES2" in shown
    assert b":0927C0" in shown  # 600,000 rounds
    assert b":aes-256-cbc" in shown
