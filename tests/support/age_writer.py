"""age v1 written a second time, straight from c2sp.org/age, sharing no code with agent/formats.

The vectors are made with it, so that reader and writer are held against an independent reading of the specification. It
writes wrong files as readily as right ones: each part comes apart, and the MAC is made over whatever is given.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import (
    AEAD,
    KDF,
    KEM,
    MLKEM768X25519PrivateKey,
    MLKEM768X25519PublicKey,
    Suite,
)

CHUNK_BYTES = 65_536
VERSION_LINE = "age-encryption.org/v1\n"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_HYBRID_INFO = b"age-encryption.org/mlkem768x25519"


def bech32(prefix: str, data: bytes, padding: int = 0, spare_groups: int = 0) -> str:
    """BIP 173. In a right string `padding`, the bits after the last byte, and `spare_groups`, of 5 bits each, are 0."""
    bits = "".join(f"{byte:08b}" for byte in data)
    short = -len(bits) % 5
    bits += f"{padding:0{short}b}" if short else ""
    groups = [int(bits[start : start + 5], 2) for start in range(0, len(bits), 5)]
    groups += [0] * spare_groups
    codes = [ord(character) for character in prefix.lower()]
    state = 1
    for value in [*(code >> 5 for code in codes), 0, *(code & 31 for code in codes), *groups, *[0] * 6]:
        top, state = state >> 25, (state & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            state ^= generator if top >> bit & 1 else 0
    state ^= 1
    values = [*groups, *(state >> 5 * (5 - place) & 31 for place in range(6))]
    text = prefix.lower() + "1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[value] for value in values)
    return text.upper() if prefix.isupper() else text


def base64_text(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def hkdf(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return hmac.digest(hmac.digest(salt or bytes(32), secret, "sha256"), info + b"\x01", "sha256")


def hybrid_keys(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])


def hybrid_public(seed: bytes) -> bytes:
    mlkem, x25519 = hybrid_keys(seed)
    return mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()


def classic_public(secret: bytes) -> bytes:
    return X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()


def wrapped(key: bytes, file_key: bytes) -> str:
    return base64_text(ChaCha20Poly1305(key).encrypt(bytes(12), file_key, None))


def classic_stanza(file_key: bytes, recipient: bytes, ephemeral: bytes) -> str:
    share = classic_public(ephemeral)
    shared = X25519PrivateKey.from_private_bytes(ephemeral).exchange(X25519PublicKey.from_public_bytes(recipient))
    key = hkdf(shared, share + recipient, b"age-encryption.org/v1/X25519")
    return f"-> X25519 {base64_text(share)}\n{wrapped(key, file_key)}\n"


def scrypt_stanza(file_key: bytes, passphrase: str, salt: bytes, factor: str, work_factor: int = 10) -> str:
    """`factor` is what is written, `work_factor` what is done."""
    label = b"age-encryption.org/v1/scrypt" + salt
    key = hashlib.scrypt(passphrase.encode(), salt=label, n=1 << work_factor, r=8, p=1, maxmem=1 << 26, dklen=32)
    return f"-> scrypt {base64_text(salt)} {factor}\n{wrapped(key, file_key)}\n"


def hybrid_stanza(file_key: bytes, seed: bytes) -> str:
    """With HPKE's own randomness: another one at each call."""
    mlkem, x25519 = hybrid_keys(seed)
    public_key = MLKEM768X25519PublicKey(mlkem.public_key(), x25519.public_key())
    sealed = _SUITE.encrypt(file_key, public_key, info=_HYBRID_INFO)
    return f"-> mlkem768x25519 {base64_text(sealed[:1_120])}\n{base64_text(sealed[1_120:])}\n"


def open_hybrid_stanza(stanza: str, seed: bytes) -> bytes:
    """The file key in it."""
    sealed = b"".join(base64.b64decode(text + "=" * (-len(text) % 4)) for text in stanza.split()[2:])
    return _SUITE.decrypt(sealed, MLKEM768X25519PrivateKey(*hybrid_keys(seed)), info=_HYBRID_INFO)


def header(file_key: bytes, *parts: str, version_line: str = VERSION_LINE) -> bytes:
    """With the MAC that fits, so that what is wrong in a part is wrong for no other reason."""
    text = (version_line + "".join(parts) + "---").encode("latin-1")
    mac = hmac.digest(hkdf(file_key, b"", b"header"), text, "sha256")
    return text + f" {base64_text(mac)}\n".encode()


def chunk(file_key: bytes, nonce: bytes, index: int, plain: bytes, last: bool) -> bytes:
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    return cipher.encrypt(index.to_bytes(11, "big") + bytes([last]), plain, None)
