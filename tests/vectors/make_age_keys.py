"""Writes tests/vectors/age_keys/keys.json: age recipients and identities, valid and wrong in one way each.

All is derived from the secrets of make_age.py by tests/support/age_writer.py, which shares no code with agent/formats;
the errors stand here in words.

    python -m tests.vectors.make_age_keys [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.age_writer import bech32, classic_public, hybrid_public
from tests.support.vectors import run
from tests.vectors.make_age import CLASSIC, CLASSIC_SECRETS, HYBRID, HYBRID_SECRETS

FOLDER = Path(__file__).parent / "age_keys"
CLASSIC_RECIPIENTS = [bech32("age", classic_public(secret)) for secret in CLASSIC_SECRETS]
HYBRID_RECIPIENTS = [bech32("age1pq", hybrid_public(secret)) for secret in HYBRID_SECRETS]

COPY = "copy it again, whole"
GIVE_PUBLIC = "give the age1... line that belongs to the identity"
GIVE_SECRET = "give the line of age-keygen"
CHECKSUM = "the checksum is wrong: a character is wrong, missing or too many"
SPARE_BITS = "is not canonical bech32: bits after the last byte"
NOT_CANONICAL = "its X25519 point is not in canonical form"
OTHER_KIND = "is of a kind that is not sealed to here"
GIVE_KIND = "give an age1pq1... recipient, or an age1... one without plugin"

Wrong = tuple[str, str, str]  # text, problem, remedy


def no_start(prefix: str) -> str:
    return f"does not begin with {prefix}1"


def no_character(place: int, case: str = "lower") -> str:
    return f"character {place} is not one of bech32 in {case} case"


def other(character: str) -> str:
    """Another character of bech32 in the same case."""
    one, two = ("Q", "P") if character.isupper() else ("q", "p")
    return one if character != one else two


def wrong_recipients() -> dict[str, Wrong]:
    classic, hybrid = CLASSIC_RECIPIENTS[0], HYBRID_RECIPIENTS[0]
    point, mlkem = classic_public(CLASSIC_SECRETS[0]), hybrid_public(HYBRID_SECRETS[0])[:1_184]
    above_prime = (2**255 - 19 + 9).to_bytes(32, "little")
    high_bit = point[:31] + bytes([point[31] | 0x80])
    swapped = classic[:20] + classic[21] + classic[20] + classic[22:]
    return {
        "checksum": (classic[:-1] + other(classic[-1]), CHECKSUM, COPY),
        "checksum-hybrid": (hybrid[:-1] + other(hybrid[-1]), CHECKSUM, COPY),
        "character-missing": (classic[:-7] + classic[-6:], CHECKSUM, COPY),
        "characters-swapped": (swapped, CHECKSUM, COPY),
        "shorter-than-checksum": ("age1qqq", CHECKSUM, COPY),
        "upper-case": (classic.upper(), f"{no_start('age')} in this case", COPY),
        "upper-case-hybrid": (hybrid.upper(), f"{no_start('age1pq')} in this case", COPY),
        "mixed-case": (classic[:-1] + classic[-1].upper(), no_character(62), COPY),
        "foreign-character": (f"{classic[:9]}b{classic[10:]}", no_character(10), COPY),
        "space-before": (f" {classic}", no_start("age"), COPY),
        "newline-after": (f"{classic}\n", no_character(63), COPY),
        "prefix-other": (bech32("agent", point), no_start("age"), COPY),
        "prefix-of-tag": (bech32("age1tag", b"\2" + point), OTHER_KIND, GIVE_KIND),
        "prefix-of-plugin": (bech32("age1yubikey", b"\2" + point), OTHER_KIND, GIVE_KIND),
        "empty": ("", no_start("age"), COPY),
        "identity": (CLASSIC[0], no_start("age"), COPY),
        "spare-bits": (bech32("age", point, padding=1), SPARE_BITS, COPY),
        "spare-bits-hybrid": (bech32("age1pq", mlkem + point, padding=1), SPARE_BITS, COPY),
        "spare-group-hybrid": (bech32("age1pq", mlkem + point, spare_groups=1), SPARE_BITS, COPY),
        "31-bytes": (bech32("age", point[:31]), "holds 31 bytes, not the 32 of X25519", GIVE_PUBLIC),
        "33-bytes": (bech32("age", point + b"\0"), "holds 33 bytes, not the 32 of X25519", GIVE_PUBLIC),
        "1215-bytes": (
            bech32("age1pq", mlkem + point[:31]),
            "holds 1215 bytes, not the 1216 of mlkem768x25519",
            GIVE_PUBLIC,
        ),
        "low-order": (bech32("age", bytes(32)), "its X25519 point is of low order", GIVE_PUBLIC),
        "low-order-hybrid": (bech32("age1pq", mlkem + bytes(32)), "its X25519 point is of low order", GIVE_PUBLIC),
        "above-prime": (bech32("age", above_prime), NOT_CANONICAL, GIVE_PUBLIC),
        "high-bit": (bech32("age", high_bit), NOT_CANONICAL, GIVE_PUBLIC),
        "mlkem-invalid": (bech32("age1pq", b"\xff" * 1_184 + point), "holds no valid ML-KEM-768 key", GIVE_PUBLIC),
    }


def wrong_identities() -> dict[str, Wrong]:
    identity, prefix = CLASSIC[0], "AGE-SECRET-KEY-"
    return {
        "checksum": (identity[:-1] + other(identity[-1]), CHECKSUM, COPY),
        "checksum-hybrid": (HYBRID[0][:-1] + other(HYBRID[0][-1]), CHECKSUM, COPY),
        "lower-case": (identity.lower(), f"{no_start(prefix)} in this case", COPY),
        "lower-case-hybrid": (HYBRID[0].lower(), f"{no_start(f'{prefix}PQ-')} in this case", COPY),
        "mixed-case": (identity[:-1] + identity[-1].lower(), no_character(74, "upper"), COPY),
        "recipient": (CLASSIC_RECIPIENTS[0], no_start(prefix), COPY),
        "space-before": (f" {identity}", no_start(prefix), COPY),
        "empty": ("", no_start(prefix), COPY),
        "spare-bits": (bech32(prefix, CLASSIC_SECRETS[0], padding=1), SPARE_BITS, COPY),
        "31-bytes": (bech32(prefix, bytes(31)), "holds 31 bytes, not 32", GIVE_SECRET),
        "33-bytes-hybrid": (bech32(f"{prefix}PQ-", bytes(33)), "holds 33 bytes, not 32", GIVE_SECRET),
    }


def wrong_lists() -> dict[str, tuple[list[str], str]]:
    classic = CLASSIC_RECIPIENTS[0]
    kinds = "is of the kind X25519, recipient 1 of the kind mlkem768x25519"
    one_kind = "name only age1pq1... recipients, or only age1... ones"
    same = "is the same as recipient 1; name each recipient once"
    return {
        "none": ([], "recipients: there is none; name at least one recipient, age1pq1... by preference"),
        "mixed": ([*HYBRID_RECIPIENTS, classic], f"recipient 4: {kinds}; {one_kind}"),
        "duplicate": ([*CLASSIC_RECIPIENTS, classic], f"recipient 3: {same}"),
        "malformed": ([classic, classic[:-1] + other(classic[-1])], f"recipient 2: {CHECKSUM}; {COPY}"),
        "too-many": ([classic] * 33, "recipients: 33 are too many; name at most 32"),
    }


def generate() -> dict[str, bytes]:
    pairs = [("X25519", *pair) for pair in zip(CLASSIC, CLASSIC_RECIPIENTS, strict=True)]
    pairs += [("mlkem768x25519", *pair) for pair in zip(HYBRID, HYBRID_RECIPIENTS, strict=True)]
    keys = {
        "pairs": [{"kind": kind, "identity": identity, "recipient": recipient} for kind, identity, recipient in pairs],
        "wrong_recipients": [
            {"name": name, "text": text, "error": f"recipient: {problem}; {remedy}"}
            for name, (text, problem, remedy) in wrong_recipients().items()
        ],
        "wrong_identities": [
            {"name": name, "text": text, "error": f"identity: {problem}; {remedy}"}
            for name, (text, problem, remedy) in wrong_identities().items()
        ],
        "wrong_lists": [
            {"name": name, "texts": texts, "error": error} for name, (texts, error) in wrong_lists().items()
        ],
    }
    return {"keys.json": (json.dumps(keys, indent=1) + "\n").encode()}


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
