"""Who signed a detached CMS: `openssl cms -verify`, since the library writes CMS but does not verify it.

Guarantees: the signer is exactly one, has the role that is asked for under the given root and no other authority, and
signed these bytes. Assumes an `openssl` of 3.0 or newer on the path; nothing of its configuration is used.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import keys
from agent.errors import CertificateError, SignatureError
from agent.evidence.read import UnreadableError

LIMIT_S = 60
_UNTOUCHED = "use an untouched copy of the bundle"


def check_detached(
    content: bytes,
    signature_pem: bytes,
    root: x509.Certificate,
    kind: str,
    where: str,
    now_ms: int | None,
    path: str | None = None,
) -> keys.Role:
    """The role, of this kind, of the one signer. Validity is judged at `now_ms`; None is this computer's present time.

    `path` is where openssl is looked for, None for the environment's PATH.

    Raises SignatureError, CertificateError, and UnreadableError if openssl is missing.
    """
    with TemporaryDirectory(prefix="temoin-") as name:
        folder = Path(name)
        (folder / "content").write_bytes(content)
        (folder / "signature").write_bytes(signature_pem)
        (folder / "root.pem").write_bytes(root.public_bytes(Encoding.PEM))
        said = _run(folder, now_ms, os.environ.get("PATH", os.defpath) if path is None else path)
        signer, signed = folder / "signer.pem", folder / "signed"
        if said is not None or not signer.is_file() or not signed.is_file() or signed.read_bytes() != content:
            raise SignatureError(where, f"does not verify ({said or 'it signs something else'})", _UNTOUCHED)
        chain = keys.load_chain(signer.read_bytes(), where)
    if len(chain) != 1:
        raise CertificateError(where, f"{len(chain)} signers, not one", _UNTOUCHED)
    return keys.check_chain(chain, root, (kind,), where, now_ms)


def _run(folder: Path, now_ms: int | None, path: str) -> str | None:
    """None if it verified, else the last of what openssl said."""
    command = ["openssl", "cms", "-verify", "-binary", "-inform", "PEM", "-in", "signature", "-content", "content"]
    # Only this root counts: without the last two the system's own authorities would do as well.
    command += ["-CAfile", "root.pem", "-no-CApath", "-no-CAstore", "-purpose", "any"]
    command += ["-signer", "signer.pem", "-out", "signed"]
    if now_ms is not None:
        command += ["-attime", str(now_ms // 1000)]
    environment = {"PATH": path, "LC_ALL": "C", "OPENSSL_CONF": os.devnull}
    try:
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=LIMIT_S, check=False)
    except FileNotFoundError:
        raise UnreadableError("openssl", "is not on this computer", "install openssl 3.0 or newer") from None
    except subprocess.TimeoutExpired:
        raise UnreadableError("openssl", f"did not answer within {LIMIT_S} s", "try again") from None
    if done.returncode == 0:
        return None
    lines = [line for line in done.stderr.decode("ascii", "replace").splitlines() if line]
    return lines[-1][-120:] if lines else f"openssl ended with {done.returncode}"
