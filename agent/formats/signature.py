"""ECDSA P-256 signatures as bytes: strict DER, low S (docs/formats.md, "JSON in anything signed").

Guarantees: of the two signatures (r, s) and (r, n - s) that verify for the same key and digest, and of all ways to
write them in DER, exactly one passes. Assumes nothing of its input; says nothing about whether the signature verifies.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from agent.errors import SignatureError

P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # n of FIPS 186-4, D.1.2.3
_HALF_ORDER = P256_ORDER // 2
_REMEDY = "use an untouched copy; nothing that this software signs looks like that"


def check_form(signature: bytes, where: str) -> None:
    """Raise SignatureError unless the bytes are the one spelling of a P-256 signature."""
    r, s = _decode(signature, where)
    if not 0 < r < P256_ORDER or not 0 < s < P256_ORDER:
        raise SignatureError(where, "r or s is outside the order of P-256", _REMEDY)
    if s > _HALF_ORDER:
        raise SignatureError(where, "S is not the low one of the two", _REMEDY)


def low_s(signature: bytes) -> bytes:
    """The same signature with the lower S: what a signer hands out, whatever its key chip made."""
    r, s = _decode(signature, "signature")
    return encode_dss_signature(r, min(s, P256_ORDER - s))


def _decode(signature: bytes, where: str) -> tuple[int, int]:
    try:
        return decode_dss_signature(signature)  # strict: the tests hold every other spelling against it
    except ValueError:
        raise SignatureError(where, "not a signature in strict DER", _REMEDY) from None
