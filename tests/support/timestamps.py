"""A time-stamping authority for tests: `openssl ts`, and the dock's statement around its reply.

openssl stamps the present time, which no argument changes: who uses this makes the agency at the present time too.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.formats.fields import encode_base64
from tests.support.evidence import Builder

_CONFIG = """[tsa]
default_tsa = one
[one]
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
certs = tsa.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True, slots=True)
class Stamper:
    """A self-signed authority in a folder; `days` from now until its certificate ends."""

    folder: Path

    @property
    def pem(self) -> bytes:
        return (self.folder / "tsa.pem").read_bytes()

    def stamp(self, digest: str) -> bytes:
        """The DER reply over a hex SHA-256."""
        query = ["openssl", "ts", "-query", "-digest", digest, "-sha256", "-cert", "-out", "query"]
        reply = [
            "openssl",
            "ts",
            "-reply",
            "-config",
            "tsa.cnf",
            "-section",
            "one",
            "-queryfile",
            "query",
            "-out",
            "reply",
        ]
        for command in (query, reply):
            subprocess.run(command, cwd=self.folder, check=True, capture_output=True, timeout=60)
        return (self.folder / "reply").read_bytes()


def make_stamper(folder: Path) -> Stamper:
    """A new authority."""
    folder.mkdir()
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test TSA")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .sign(key, SHA256())
    )
    (folder / "tsa.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "tsa.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    (folder / "tsa.cnf").write_text(_CONFIG)
    (folder / "serial").write_text("01\n")
    return Stamper(folder)


def journal_token(made: Builder, head: str, reply: bytes) -> None:
    """A `token` entry over that head, in the session that `made.dock()` began."""
    made.said("token", head=head, imprint=head, tsr=encode_base64(reply))
