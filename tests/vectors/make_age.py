"""Writes tests/vectors/age/: age files, valid and wrong in one way each; `index.json` says what opens them, to what.

Nothing of agent/formats takes part: tests/support/age_writer.py is an independent writer, and the errors stand here in
words. All is derived from fixed secrets, but for one thing: HPKE draws its own randomness, so the two mlkem768x25519
stanzas were made once and stay in age_hybrid_stanzas.txt (without that file this script makes new ones). Each run opens
them with the identities derived here and demands the file key; what is then regenerated around them (MAC, payload,
every wrong variant) depends on this script alone, so --check finds a change in any of it.

The plaintext of a full chunk is the key stream of that chunk: it seals to zeros, which take no room in the repository.

    python -m tests.vectors.make_age [--check]
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path

from tests.support import age_writer
from tests.support.age_writer import base64_text, bech32, classic_public
from tests.support.vectors import run

FOLDER = Path(__file__).parent / "age"
STANZAS = Path(__file__).parent / "age_hybrid_stanzas.txt"

FILE_KEY, NONCE, SALT = (hashlib.sha256(name).digest()[:16] for name in (b"file key", b"nonce", b"salt"))
EPHEMERAL = hashlib.sha256(b"ephemeral").digest()
PASSPHRASE = "trois mots choisis"
# A point of order 8 (RFC 7748, section 6.1: the shared secret is zero).
LOW_ORDER = bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f11d7")

# The first classic secret is the example of c2sp.org/age.
CLASSIC_SECRETS = (b"\x42" * 32, hashlib.sha256(b"second classic").digest())
HYBRID_SECRETS = tuple(hashlib.sha256(name).digest() for name in (b"first hybrid", b"second hybrid", b"third hybrid"))
CLASSIC = [bech32("AGE-SECRET-KEY-", secret) for secret in CLASSIC_SECRETS]
HYBRID = [bech32("AGE-SECRET-KEY-PQ-", secret) for secret in HYBRID_SECRETS]

UNTOUCHED = "use an untouched copy of the file"
NOT_CANONICAL = "is not canonical base64 without padding"
NEITHER = "is neither a stanza (`-> `) nor the MAC (`--- `)"
NOT_ARGUMENTS = "is not `-> ` and arguments of visible ASCII, one space between them"
NOT_AUTHENTIC = f"is not authentic: changed, moved or of another file; {UNTOUCHED}"

STANZA = age_writer.classic_stanza(FILE_KEY, classic_public(CLASSIC_SECRETS[0]), EPHEMERAL)
SECOND_STANZA = age_writer.classic_stanza(FILE_KEY, classic_public(CLASSIC_SECRETS[1]), SALT * 2)
SCRYPT_STANZA = age_writer.scrypt_stanza(FILE_KEY, PASSPHRASE, SALT, "10")
GREASE = f"-> grease.example an ! argument\n{base64_text(bytes(48))}\n\n-> x25519\n\n"


def header(*parts: str, file_key: bytes = FILE_KEY, version_line: str = age_writer.VERSION_LINE) -> bytes:
    return age_writer.header(file_key, *parts, version_line=version_line)


def chunk(index: int, plain: bytes, last: bool) -> bytes:
    return age_writer.chunk(FILE_KEY, NONCE, index, plain, last)


def full_plain(index: int, last: bool = False) -> bytes:
    return chunk(index, bytes(age_writer.CHUNK_BYTES), last)[: age_writer.CHUNK_BYTES]


def full(index: int, last: bool = False) -> bytes:
    return chunk(index, full_plain(index, last), last)


def spoilt(text: str) -> str:
    """Base64 of 32 bytes, whose last character now sets a bit that stands for nothing."""
    return text[:-1] + chr(ord(text[-1]) + 1)


GOOD = header(STANZA)
PAYLOAD = NONCE + chunk(0, b"age", last=True)


class Vectors:
    """The files, and for each what it opens with (an identity, or `passphrase:` and one) and what comes out."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.index: dict[str, dict[str, str | int | bool]] = {}

    def _add(self, name: str, data: bytes, opened_with: str, expected: dict[str, str | int | bool]) -> None:
        assert name not in self.index
        self.files[f"{name}.age"] = data
        self.index[name] = {"open": opened_with, **expected}

    def opens(self, name: str, data: bytes, *plain: bytes, with_: str = CLASSIC[0], complete: bool = True) -> None:
        digest = hashlib.sha256(b"".join(plain)).hexdigest()
        self._add(name, data, with_, {"sha256": digest, "chunks": len(plain), "complete": complete})

    def fails(self, name: str, data: bytes, error: str, with_: str = CLASSIC[0]) -> None:
        self._add(name, data, with_, {"error": error})


def read_hybrid_stanzas() -> list[str]:
    if not STANZAS.exists():
        STANZAS.write_text("".join(age_writer.hybrid_stanza(FILE_KEY, seed) for seed in HYBRID_SECRETS[:2]))
    stanzas = [f"-> {text}" for text in STANZAS.read_text().split("-> ")[1:]]
    for stanza, seed in zip(stanzas, HYBRID_SECRETS[:2], strict=True):
        assert age_writer.open_hybrid_stanza(stanza, seed) == FILE_KEY, "the stanzas are of other secrets"
    return stanzas


def add_valid(vectors: Vectors, hybrid: list[str]) -> None:
    opens = vectors.opens
    opens("valid-x25519", GOOD + PAYLOAD, b"age")
    opens("valid-x25519-two", header(STANZA, SECOND_STANZA) + PAYLOAD, b"age", with_=CLASSIC[1])
    opens("valid-x25519-grease", header(GREASE, STANZA, GREASE) + PAYLOAD, b"age")
    opens("valid-hybrid", header(hybrid[0]) + PAYLOAD, b"age", with_=HYBRID[0])
    opens("valid-hybrid-two", header(*hybrid) + PAYLOAD, b"age", with_=HYBRID[1])
    opens("valid-hybrid-grease", header(GREASE, *hybrid) + PAYLOAD, b"age", with_=HYBRID[0])
    opens("valid-scrypt", header(SCRYPT_STANZA) + PAYLOAD, b"age", with_=f"passphrase:{PASSPHRASE}")
    start = GOOD + NONCE
    opens("valid-empty", start + chunk(0, b"", last=True), b"")
    opens("valid-last-is-full", start + full(0) + full(1, last=True), full_plain(0), full_plain(1, last=True))
    three = start + full(0) + full(1) + chunk(2, b"fin", last=True)
    opens("valid-three-chunks", three, full_plain(0), full_plain(1), b"fin")


def add_wrong_lines(vectors: Vectors) -> None:
    def fails(name: str, line: int, problem: str, data: bytes, remedy: str = UNTOUCHED) -> None:
        vectors.fails(name, data + PAYLOAD, f"age header line {line}: {problem}; {remedy}")

    arguments, body = STANZA.splitlines()
    not_age, give_age = "is not age-encryption.org/v1", "give an age v1 file that is not armored"
    fails("version-2", 1, not_age, header(STANZA, version_line="age-encryption.org/v2\n"), give_age)
    fails("armored", 1, not_age, b"-----BEGIN AGE ENCRYPTED FILE-----\n" + base64.b64encode(GOOD) + b"\n", give_age)
    fails("crlf", 1, not_age, GOOD.replace(b"\n", b"\r\n"), give_age)
    fails("crlf-after-arguments", 2, NOT_ARGUMENTS, header(f"{arguments}\r\n{body}\n"))
    fails("crlf-after-body", 3, NOT_CANONICAL, header(f"{arguments}\n{body}\r\n"))
    fails("no-stanza", 2, "the MAC comes before any stanza", header())
    fails("garbage-line", 2, NEITHER, header("=> X25519\n", STANZA))
    fails("empty-line", 4, NEITHER, header(STANZA, "\n"))
    fails("argument-two-spaces", 2, NOT_ARGUMENTS, header(STANZA.replace("X25519 ", "X25519  ")))
    fails("argument-space-at-end", 2, NOT_ARGUMENTS, header(f"{arguments} \n{body}\n"))
    fails("argument-none", 2, NOT_ARGUMENTS, header("->\n\n", STANZA))
    fails("argument-not-ascii", 2, NOT_ARGUMENTS, header("-> gr\xe9ase\n\n", STANZA))
    fails("body-not-canonical", 3, NOT_CANONICAL, header(f"{arguments}\n{spoilt(body)}\n"))
    fails("body-padded", 3, NOT_CANONICAL, header(f"{arguments}\n{body}=\n"))
    fails("body-url-alphabet", 3, NOT_CANONICAL, header(f"{arguments}\n-{body[1:]}\n"))
    fails("body-one-character", 3, NOT_CANONICAL, header("-> grease\nA\n", STANZA))
    fails("body-not-ascii", 3, "has a byte that is not ASCII", header("-> grease\n\xe9\n", STANZA))
    too_long = "a line of a stanza's body is longer than 64 columns"
    fails("body-line-long", 3, too_long, header(f"-> grease\n{'A' * 68}\n", STANZA))
    fails("body-line-short", 4, NEITHER, header(f"-> grease\n{'A' * 48}\n{'A' * 48}\n", STANZA))
    fails("body-no-last-line", 4, NOT_CANONICAL, header(f"-> grease\n{'A' * 64}\n", STANZA))
    mac_line, mac = GOOD[:-44], GOOD[-44:-1].decode()
    fails("mac-not-canonical", 4, NOT_CANONICAL, mac_line + f"{spoilt(mac)}\n".encode())
    fails("mac-padded", 4, NOT_CANONICAL, mac_line + f"{mac}=\n".encode())
    fails("mac-31-bytes", 4, "the MAC is not of 32 bytes", mac_line + f"{base64_text(bytes(31))}\n".encode())
    fails("mac-without-space", 4, NEITHER, mac_line[:-1] + f"{mac}\n".encode())
    large = header("-> grease\n" + ("A" * 64 + "\n") * 1_009 + "\n", STANZA)
    fails("too-large", 1_010, "the header does not end within 65536 bytes", large)
    cut = f"the file ends before the header does; {UNTOUCHED}"
    vectors.fails("cut-empty", b"", f"age header line 1: {cut}")
    vectors.fails("cut-in-stanza", GOOD[:60], f"age header line 2: {cut}")
    vectors.fails("cut-before-mac-ends", GOOD[:-1], f"age header line 4: {cut}")
    no_nonce = f"age payload: the file ends before the 16 bytes of the nonce do; {UNTOUCHED}"
    vectors.fails("cut-in-nonce", GOOD + NONCE[:15], no_nonce)


def add_wrong_stanzas(vectors: Vectors, hybrid: list[str]) -> None:
    def fails(name: str, line: int, problem: str, *parts: str) -> None:
        vectors.fails(name, header(*parts) + PAYLOAD, f"age header line {line}: {problem}; {UNTOUCHED}")

    arguments, body = STANZA.splitlines()
    of_32 = "the body of an X25519 stanza is not of 32 bytes"
    fails("x25519-body-31-bytes", 3, of_32, f"{arguments}\n{base64_text(bytes(31))}\n")
    long_key = age_writer.classic_stanza(FILE_KEY + b"!", classic_public(CLASSIC_SECRETS[0]), EPHEMERAL)
    fails("x25519-file-key-17-bytes", 3, of_32, long_key)
    count = "an X25519 stanza has 1 argument(s) after its type, not"
    fails("x25519-argument-extra", 2, f"{count} 2", f"{arguments} x\n{body}\n")
    fails("x25519-argument-missing", 2, f"{count} 0", f"-> X25519\n{body}\n")
    share_31 = f"-> X25519 {base64_text(bytes(31))}\n{body}\n"
    fails("x25519-share-31-bytes", 2, "the argument of an X25519 stanza is not of 32 bytes", share_31)
    fails("x25519-share-not-canonical", 2, NOT_CANONICAL, f"{spoilt(arguments)}\n{body}\n")
    fails("x25519-share-padded", 2, NOT_CANONICAL, f"{arguments}=\n{body}\n")
    arguments, body = hybrid[0].splitlines()
    short = "-> mlkem768x25519 " + base64_text(bytes(1_119))
    of_1120 = "the argument of an mlkem768x25519 stanza is not of 1120 bytes"
    fails("hybrid-encapsulated-1119-bytes", 2, of_1120, f"{short}\n{body}\n")
    extra = "an mlkem768x25519 stanza has 1 argument(s) after its type, not 2"
    fails("hybrid-argument-extra", 2, extra, f"{arguments} x\n{body}\n")
    of_32 = "the body of an mlkem768x25519 stanza is not of 32 bytes"
    fails("hybrid-body-33-bytes", 3, of_32, f"{arguments}\n{base64_text(bytes(33))}\n")
    both = f"age header: stanzas of both kinds, X25519 and mlkem768x25519; {UNTOUCHED}"
    vectors.fails("kinds-mixed", header(STANZA, hybrid[0]) + PAYLOAD, both)


def add_wrong_keys(vectors: Vectors, hybrid: list[str]) -> None:
    fails = vectors.fails
    changed = f"age header: the MAC does not fit: the header was changed; {UNTOUCHED}"
    fails("mac-of-another-key", header(STANZA, file_key=SALT) + PAYLOAD, changed)
    fails("stanza-added", GOOD.replace(b"---", b"-> grease\n\n---") + PAYLOAD, changed)
    stanza_taken = header(STANZA, SECOND_STANZA).replace(SECOND_STANZA.encode(), b"")
    fails("stanza-taken", stanza_taken + PAYLOAD, changed)
    share = STANZA.splitlines()[0]
    low_order = f"-> X25519 {base64_text(LOW_ORDER)}\n{STANZA.splitlines()[1]}\n"
    low_error = f"age header: the share of an X25519 stanza is a point of low order; {UNTOUCHED}"
    fails("x25519-share-low-order", header(low_order) + PAYLOAD, low_error)

    remedy = "give the identity of one of the file's recipients"

    def no_match(sealed_to: str, given: str) -> str:
        problem = f"no identity matches: the file is sealed to {sealed_to}, the identities given are {given}"
        return f"age header: {problem}; {remedy}"

    classic_error = no_match("X25519", "X25519")
    fails("identity-other", GOOD + PAYLOAD, classic_error, CLASSIC[1])
    fails("identity-other-kind", GOOD + PAYLOAD, no_match("X25519", "mlkem768x25519"), HYBRID[0])
    fails("identity-for-scrypt", header(SCRYPT_STANZA) + PAYLOAD, no_match("scrypt", "X25519"))
    fails("x25519-tag-wrong", header(f"{share}\n{base64_text(bytes(32))}\n") + PAYLOAD, classic_error)
    hybrid_error = no_match("mlkem768x25519", "mlkem768x25519")
    fails("hybrid-identity-other", header(*hybrid) + PAYLOAD, hybrid_error, HYBRID[2])
    arguments = hybrid[0].splitlines()[0]
    tag_wrong = f"{arguments}\n{base64_text(bytes(32))}\n"
    fails("hybrid-tag-wrong", header(tag_wrong) + PAYLOAD, hybrid_error, HYBRID[0])
    text = arguments.split()[2]
    encapsulated = base64.b64decode(text + "=" * (-len(text) % 4))
    for name, wrong in (
        ("hybrid-mlkem-part-changed", bytes([encapsulated[0] ^ 1]) + encapsulated[1:]),
        ("hybrid-x25519-part-changed", encapsulated[:-2] + bytes([encapsulated[-2] ^ 1]) + encapsulated[-1:]),
        ("hybrid-x25519-part-low-order", encapsulated[:-32] + LOW_ORDER),
    ):
        stanza = f"-> mlkem768x25519 {base64_text(wrong)}\n{hybrid[0].splitlines()[1]}\n"
        fails(name, header(stanza) + PAYLOAD, hybrid_error, HYBRID[0])


def add_wrong_scrypt(vectors: Vectors) -> None:
    def fails(name: str, error: str, *parts: str, passphrase: str = PASSPHRASE) -> None:
        vectors.fails(name, header(*parts) + PAYLOAD, error, f"passphrase:{passphrase}")

    def factor(text: str) -> str:
        return age_writer.scrypt_stanza(FILE_KEY, PASSPHRASE, SALT, text)

    fails("scrypt-passphrase-other", "passphrase: does not open the file; type it again", SCRYPT_STANZA, passphrase="!")
    high = "age header: the scrypt work factor 23 is above 22; have it made again with a lower one"
    fails("scrypt-factor-23", high, factor("23"))
    number = f"the work factor is not a number of 1 to 4 digits without leading zeros; {UNTOUCHED}"
    for name, text in (
        ("zero", "0"),
        ("leading-zero", "010"),
        ("plus", "+10"),
        ("hex", "0xa"),
        ("five-digits", "10000"),
    ):
        fails(f"scrypt-factor-{name}", f"age header line 2: {number}", factor(text))
    count = f"age header line 2: an scrypt stanza has 2 argument(s) after its type, not 1; {UNTOUCHED}"
    fails("scrypt-factor-missing", count, SCRYPT_STANZA.replace(" 10\n", "\n"))
    salt_15 = f"age header line 2: the argument of an scrypt stanza is not of 16 bytes; {UNTOUCHED}"
    fails("scrypt-salt-15-bytes", salt_15, age_writer.scrypt_stanza(FILE_KEY, PASSPHRASE, SALT[:15], "10"))
    alone = f"age header: an scrypt stanza is not alone; {UNTOUCHED}"
    fails("scrypt-twice", alone, SCRYPT_STANZA, SCRYPT_STANZA)
    fails("scrypt-and-x25519", alone, SCRYPT_STANZA, STANZA)
    fails("scrypt-and-grease", alone, GREASE, SCRYPT_STANZA)
    other_kind = "age header: the file is not protected by a passphrase; give the identity instead"
    fails("passphrase-for-x25519", other_kind, STANZA)
    cut = f"age payload: the file is cut: its last chunk is not there; {UNTOUCHED}"
    data = header(SCRYPT_STANZA) + PAYLOAD[:-1]
    vectors.fails("scrypt-cut", data, cut, f"passphrase:{PASSPHRASE}")


def add_wrong_payloads(vectors: Vectors) -> None:
    start, last = GOOD + NONCE, chunk(2, b"fin", last=True)
    zero, one = full_plain(0), full_plain(1)
    flipped = bytearray(full(1))
    flipped[12_345] ^= 0x10
    fails = vectors.fails
    fails("chunk-flipped", start + full(0) + flipped + last, f"age chunk 1: {NOT_AUTHENTIC}")
    fails("chunks-swapped", start + full(1) + full(0) + last, f"age chunk 0: {NOT_AUTHENTIC}")
    fails("chunk-dropped", start + full(0) + full(2) + chunk(3, b"fin", last=True), f"age chunk 1: {NOT_AUTHENTIC}")
    fails("chunk-repeated", start + full(0) + full(0) + last, f"age chunk 1: {NOT_AUTHENTIC}")
    fails("chunk-after-short-last", start + chunk(0, b"age", last=True) + full(1), f"age chunk 0: {NOT_AUTHENTIC}")
    fails("chunk-cut-in-the-middle", start + full(0)[:-1] + full(1) + last, f"age chunk 0: {NOT_AUTHENTIC}")
    of_another = age_writer.chunk(SALT, NONCE, 1, one, last=False)
    fails("chunk-of-another-file", start + full(0) + of_another + last, f"age chunk 1: {NOT_AUTHENTIC}")
    fails("nonce-changed", GOOD + SALT + full(0) + full(1) + last, f"age chunk 0: {NOT_AUTHENTIC}")
    empty = f"age chunk 1: is the last and empty, but not the only one; {UNTOUCHED}"
    fails("last-empty", start + full(0) + chunk(1, b"", last=True), empty)
    follow = f"age chunk 1: is the last, but bytes follow it; {UNTOUCHED}"
    fails("byte-after-full-last", start + full(0) + full(1, last=True) + b"\0", follow)
    opens = vectors.opens
    opens("cut-before-payload", start, complete=False)
    opens("cut-in-first-chunk", start + full(0)[:30_000], complete=False)
    opens("cut-between-chunks", start + full(0) + full(1), zero, one, complete=False)
    opens("cut-in-second-chunk", start + full(0) + full(1)[:30_000], zero, complete=False)
    opens("cut-in-last-chunk", start + full(0) + full(1) + last[:-1], zero, one, complete=False)
    opens("cut-15-bytes-into-chunk", start + full(0) + full(1)[:15], zero, complete=False)
    opens("chunk-dropped-before-last", start + full(0) + last, zero, complete=False)
    opens("byte-after-short-last", start + full(0) + full(1) + last + b"\0", zero, one, complete=False)
    opens("last-flipped", start + full(0) + full(1) + last[:-1] + bytes([last[-1] ^ 1]), zero, one, complete=False)
    opens("last-not-marked", start + full(0) + chunk(1, b"fin", last=False), zero, complete=False)


def generate() -> dict[str, bytes]:
    vectors, hybrid = Vectors(), read_hybrid_stanzas()
    add_valid(vectors, hybrid)
    add_wrong_lines(vectors)
    add_wrong_stanzas(vectors, hybrid)
    add_wrong_keys(vectors, hybrid)
    add_wrong_scrypt(vectors)
    add_wrong_payloads(vectors)
    return vectors.files | {"index.json": (json.dumps(vectors.index, indent=1) + "\n").encode()}


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
