"""age recipients and identities of the two kinds that Témoin uses, and how each wraps the file key.

Guarantees: a recipient that parses can be sealed to and opened by its identity (low-order and non-canonical X25519
points, for which that is not so, are refused); secrets show in no repr and in no error. Assumes: c2sp.org/age, "The
MLKEM768-X25519 hybrid post-quantum recipient type" and "The X25519 recipient type"; RFC 9180 as `cryptography` has it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
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

from agent.errors import FormatError
from agent.formats import bech32
from agent.formats.age_header import (
    MLKEM768_X25519,
    UNTOUCHED,
    WRAPPED_KEY_BYTES,
    X25519,
    ZERO_NONCE,
    Stanza,
    decode_base64,
    derive_key,
    encode_base64,
)

MAX_RECIPIENTS = 32  # of the larger kind, about 1,560 bytes each, that many fit the header's 64 KiB

_MLKEM768_KEY_BYTES = 1_184
_MLKEM768_SEED_BYTES = 64
_X25519_KEY_BYTES = 32
_X25519_PRIME = 2**255 - 19
_ENCAPSULATED_BYTES = 1_120
_SECRET_BYTES = 32
_HYBRID_INFO = b"age-encryption.org/mlkem768x25519"
_X25519_INFO = b"age-encryption.org/v1/X25519"
_SUITE = Suite(KEM.MLKEM768_X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
_PUBLIC_REMEDY = "give the age1... line that belongs to the identity"


class RecipientKind(StrEnum):
    """The type of its stanzas, as the header spells it."""

    POST_QUANTUM = MLKEM768_X25519
    CLASSIC = X25519


_RECIPIENT_PREFIXES = {RecipientKind.POST_QUANTUM: "age1pq", RecipientKind.CLASSIC: "age"}
_IDENTITY_PREFIXES = {RecipientKind.POST_QUANTUM: "AGE-SECRET-KEY-PQ-", RecipientKind.CLASSIC: "AGE-SECRET-KEY-"}


@dataclass(frozen=True, slots=True)
class Recipient:
    """A public key that a file can be sealed to. `key`: X25519 32 bytes, or ML-KEM-768 1,184 bytes then X25519 32."""

    text: str
    kind: RecipientKind
    key: bytes = field(repr=False)

    def wrap(self, file_key: bytes, random: Callable[[int], bytes]) -> Stanza:
        """The stanza that gives the file key to the identity. HPKE draws its own randomness; X25519 takes 32 bytes."""
        if self.kind is RecipientKind.POST_QUANTUM:
            sealed = _SUITE.encrypt(file_key, _hybrid_public_key(self.key), info=_HYBRID_INFO)
            encapsulated, body = sealed[:_ENCAPSULATED_BYTES], sealed[_ENCAPSULATED_BYTES:]
            return Stanza(self.kind, (encode_base64(encapsulated),), body)
        ephemeral = X25519PrivateKey.from_private_bytes(random(_X25519_KEY_BYTES))
        share = ephemeral.public_key().public_bytes_raw()
        shared_secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.key))
        wrap_key = derive_key(shared_secret, share + self.key, _X25519_INFO)
        return Stanza(
            self.kind, (encode_base64(share),), ChaCha20Poly1305(wrap_key).encrypt(ZERO_NONCE, file_key, None)
        )


@dataclass(frozen=True, slots=True)
class Identity:
    """A secret key that opens what was sealed to its recipient. `secret`: 32 bytes, never shown."""

    kind: RecipientKind
    secret: bytes = field(repr=False)

    def recipient(self) -> Recipient:
        """The public half."""
        if self.kind is RecipientKind.POST_QUANTUM:
            mlkem, x25519 = _hybrid_private_keys(self.secret)
            key = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        else:
            key = X25519PrivateKey.from_private_bytes(self.secret).public_key().public_bytes_raw()
        return Recipient(bech32.encode(_RECIPIENT_PREFIXES[self.kind], key), self.kind, key)

    def unwrap(self, stanza: Stanza) -> bytes | None:
        """The file key, or None when the stanza is of another kind or for somebody else.

        `stanza` comes from `read_header`, which has checked its shape. Raises FormatError for a share of low order.
        """
        if stanza.type != self.kind:
            return None
        assert len(stanza.body) == WRAPPED_KEY_BYTES
        share = decode_base64(stanza.arguments[0], "age header")
        try:
            if self.kind is RecipientKind.POST_QUANTUM:
                private_key = MLKEM768X25519PrivateKey(*_hybrid_private_keys(self.secret))
                return _SUITE.decrypt(share + stanza.body, private_key, info=_HYBRID_INFO)
            return self._unwrap_x25519(share, stanza.body)
        except InvalidTag:
            return None

    def _unwrap_x25519(self, share: bytes, body: bytes) -> bytes:
        private_key = X25519PrivateKey.from_private_bytes(self.secret)
        try:
            shared_secret = private_key.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:  # the shared secret is all zeros, whoever the recipient is
            raise FormatError(
                "age header",
                "the share of an X25519 stanza is a point of low order",
                UNTOUCHED,
            ) from None
        salt = share + private_key.public_key().public_bytes_raw()
        wrap_key = derive_key(shared_secret, salt, _X25519_INFO)
        return ChaCha20Poly1305(wrap_key).decrypt(ZERO_NONCE, body, None)


def parse_recipient(text: str) -> Recipient:
    """`age1pq1...` or `age1...`. Raises FormatError that says what is wrong with it."""
    hybrid = text.lower().startswith("age1pq1")
    kind = RecipientKind.POST_QUANTUM if hybrid else RecipientKind.CLASSIC
    if not hybrid and text.lower().startswith("age1") and "1" in text[len("age1") :]:
        # A longer prefix: a plugin's or a tag recipient. Bech32 has no "1" in its data.
        remedy = "give an age1pq1... recipient, or an age1... one without plugin"
        raise FormatError("recipient", "is of a kind that is not sealed to here", remedy)
    key = bech32.decode(_RECIPIENT_PREFIXES[kind], text, "recipient")
    size = _X25519_KEY_BYTES + (_MLKEM768_KEY_BYTES if hybrid else 0)
    if len(key) != size:
        raise FormatError("recipient", f"holds {len(key)} bytes, not the {size} of {kind}", _PUBLIC_REMEDY)
    if hybrid:
        try:
            MLKEM768PublicKey.from_public_bytes(key[:_MLKEM768_KEY_BYTES])
        except ValueError:
            raise FormatError("recipient", "holds no valid ML-KEM-768 key", _PUBLIC_REMEDY) from None
    _check_point(key[-_X25519_KEY_BYTES:])
    return Recipient(text, kind, key)


def parse_recipients(texts: Sequence[str]) -> tuple[Recipient, ...]:
    """All of one kind and no two the same, in their order. Raises FormatError naming the recipient, counted from 1."""
    if not texts:
        raise FormatError("recipients", "there is none", "name at least one recipient, age1pq1... by preference")
    if len(texts) > MAX_RECIPIENTS:
        raise FormatError("recipients", f"{len(texts)} are too many", f"name at most {MAX_RECIPIENTS}")
    recipients: list[Recipient] = []
    for number, text in enumerate(texts, 1):
        where = f"recipient {number}"
        try:
            recipient = parse_recipient(text)
        except FormatError as error:
            raise FormatError(where, error.problem, error.remedy) from None
        if text in texts[: number - 1]:
            raise FormatError(where, f"is the same as recipient {texts.index(text) + 1}", "name each recipient once")
        if recipients and recipient.kind is not recipients[0].kind:
            problem = f"is of the kind {recipient.kind}, recipient 1 of the kind {recipients[0].kind}"
            raise FormatError(where, problem, "name only age1pq1... recipients, or only age1... ones")
        recipients.append(recipient)
    return tuple(recipients)


def parse_identity(text: str) -> Identity:
    """`AGE-SECRET-KEY-PQ-1...` or `AGE-SECRET-KEY-1...`. Raises FormatError, which repeats nothing of the text."""
    hybrid = text.upper().startswith("AGE-SECRET-KEY-PQ-")
    kind = RecipientKind.POST_QUANTUM if hybrid else RecipientKind.CLASSIC
    secret = bech32.decode(_IDENTITY_PREFIXES[kind], text, "identity")
    if len(secret) != _SECRET_BYTES:
        raise FormatError("identity", f"holds {len(secret)} bytes, not {_SECRET_BYTES}", "give the line of age-keygen")
    return Identity(kind, secret)


def parse_identities(text: str) -> tuple[Identity, ...]:
    """An identity file as age-keygen writes it: one identity a line, `#` comments and empty lines between them."""
    identities: list[Identity] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line and not line.startswith("#"):
            try:
                identities.append(parse_identity(line))
            except FormatError as error:
                raise FormatError(f"identity, line {number}", error.problem, error.remedy) from None
    if not identities:
        raise FormatError("identity", "there is none", "give a file with an AGE-SECRET-KEY-... line")
    return tuple(identities)


def generate_identity(kind: RecipientKind, random: Callable[[int], bytes]) -> str:
    """The text of a new identity, from 32 bytes of `random`, which must be the operating system's in earnest use."""
    return bech32.encode(_IDENTITY_PREFIXES[kind], random(_SECRET_BYTES))


def _hybrid_public_key(key: bytes) -> MLKEM768X25519PublicKey:
    return MLKEM768X25519PublicKey(
        MLKEM768PublicKey.from_public_bytes(key[:_MLKEM768_KEY_BYTES]),
        X25519PublicKey.from_public_bytes(key[_MLKEM768_KEY_BYTES:]),
    )


def _hybrid_private_keys(seed: bytes) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
    expanded = hashlib.shake_256(seed).digest(_MLKEM768_SEED_BYTES + _X25519_KEY_BYTES)
    return (
        MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM768_SEED_BYTES]),
        X25519PrivateKey.from_private_bytes(expanded[_MLKEM768_SEED_BYTES:]),
    )


def _check_point(point: bytes) -> None:
    """Refuses what no identity could open: the identity hashes its own, canonical point into the wrapping key."""
    if int.from_bytes(point, "little") >= _X25519_PRIME:
        raise FormatError("recipient", "its X25519 point is not in canonical form", _PUBLIC_REMEDY)
    try:
        # Any secret shows it: scalars are multiples of 8, so a low-order point always gives zeros.
        X25519PrivateKey.from_private_bytes(bytes(_X25519_KEY_BYTES)).exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        raise FormatError("recipient", "its X25519 point is of low order", _PUBLIC_REMEDY) from None
