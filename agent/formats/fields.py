"""Checks of single fields, and of objects made of them: the vocabulary in which entries and statements are declared.

A check takes a value and the field's name and raises FormatError, or returns. An object's fields are all required and
no other is allowed: at a known version there is nothing unknown.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from agent.errors import FormatError
from agent.formats.canonical import MAX_INTEGER, Object, Value, shown

Check = Callable[[Value, str], None]

ZERO_HASH = "0" * 64
MAX_NS = 2**63 - 1
MAX_SEGMENTS = 100_000
MAX_KEY_CHARACTERS = 64
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]\.[0-9]{3}Z")
_NANOSECONDS = re.compile("0|[1-9][0-9]{0,18}")
_NAME_BYTE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/")


def matching(pattern: str, said: str, longest: int = 200) -> Check:
    """A string that matches the whole pattern."""
    compiled = re.compile(pattern)

    def check(value: Value, name: str) -> None:
        if not isinstance(value, str) or len(value) > longest or not compiled.fullmatch(value):
            raise FormatError(name, f"not {said}")

    return check


hash_hex = matching("[0-9a-f]{64}", "a SHA-256 in 64 lower-case hex digits")
random_hex = matching("[0-9a-f]{32}", "128 bits in 32 lower-case hex digits")
identifier = matching("[a-z0-9-]{1,32}", "an id of 1 to 32 characters a-z, 0-9 and -")
word = matching("[a-z0-9_.+-]{1,64}", "a word of 1 to 64 characters a-z, 0-9, _ . + and -")
recording_id = matching("[a-z0-9-]{1,32}-[0-9a-f]{8}-[1-9][0-9]{0,15}", "a recording's id: <dev>-<8 hex>-<seq>")
boot_id = matching("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "the kernel's boot id")
file_name = matching(
    r"(?!\.{1,2}(?:/|\Z))(?:[A-Za-z0-9._-]|%[0-9A-F]{2})+(?:/(?!\.{1,2}(?:/|\Z))(?:[A-Za-z0-9._-]|%[0-9A-F]{2})+)*",
    "a relative file name (other bytes than A-Z a-z 0-9 . _ - as %XX, no . or .. on its own)",
    1024,
)


def nanoseconds(value: Value, name: str) -> None:
    """Nanoseconds from 0 to 2^63-1 as a decimal string."""
    if not isinstance(value, str) or not _NANOSECONDS.fullmatch(value) or int(value) > MAX_NS:
        raise FormatError(name, "not nanoseconds as a decimal string from 0 to 2^63-1")


def text(longest: int, least: int = 1) -> Check:
    """Free text of `least` to `longest` code points (canonical JSON refuses control characters)."""

    def check(value: Value, name: str) -> None:
        if not isinstance(value, str) or not least <= len(value) <= longest:
            raise FormatError(name, f"not a text of {least} to {longest} characters")

    return check


def one_of(*allowed: str) -> Check:
    """One of a closed list of strings."""

    def check(value: Value, name: str) -> None:
        if value not in allowed:
            raise FormatError(name, f"{shown(value)} is none of {', '.join(allowed)}")

    return check


def integer(low: int = 0, high: int = MAX_INTEGER) -> Check:
    """An integer (not a bool) from low to high."""

    def check(value: Value, name: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise FormatError(name, f"not an integer from {low} to {high}")

    return check


def multiple_of(unit: int, most: int) -> Check:
    """An integer that is 1 to `most` times `unit`, which is more than 1 (so that true is none)."""
    assert unit > 1

    def check(value: Value, name: str) -> None:
        if not isinstance(value, int) or value % unit or not unit <= value <= unit * most:
            raise FormatError(name, f"not 1 to {most} times {unit}")

    return check


def boolean(value: Value, name: str) -> None:
    """true or false."""
    if not isinstance(value, bool):
        raise FormatError(name, "not true or false")


def base64_of(least: int, most: int) -> Check:
    """Canonical, padded base64 (RFC 4648) of `least` to `most` bytes."""

    def check(value: Value, name: str) -> None:
        _decode_within(value, name, least, most)

    return check


def _decode_within(value: Value, name: str, least: int, most: int) -> bytes:
    data = decode_base64(value, name)
    if not least <= len(data) <= most:
        raise FormatError(name, f"{len(data)} bytes, not {least} to {most}")
    return data


def utc(value: Value, name: str) -> None:
    """YYYY-MM-DDThh:mm:ss.mmmZ."""
    parse_utc(value, name)


def nullable(check: Check) -> Check:
    """null, or what `check` takes."""

    def checked(value: Value, name: str) -> None:
        if value is not None:
            check(value, name)

    return checked


def listing(check: Check, most: int, least: int = 0) -> Check:
    """A list of `least` to `most` values that `check` takes."""

    def checked(value: Value, name: str) -> None:
        if isinstance(value, str) or not isinstance(value, Sequence) or not least <= len(value) <= most:
            raise FormatError(name, f"not a list of {least} to {most}")
        for index, item in enumerate(value):
            check(item, f"{name}[{index}]")

    return checked


def mapping_of(check: Check, most: int) -> Check:
    """An object of at most `most` keys of the writer's choice, up to 64 characters each, its values as `check` says."""

    def checked(value: Value, name: str) -> None:
        if not isinstance(value, Mapping) or len(value) > most:
            raise FormatError(name, f"not an object of at most {most} keys")
        for key, item in value.items():
            if not isinstance(key, str) or len(key) > MAX_KEY_CHARACTERS:
                raise FormatError(name, f"key {shown(key)} is not a text of at most {MAX_KEY_CHARACTERS} characters")
            check(item, f"{name}.{key}")

    return checked


def record(fields: Mapping[str, Check]) -> Check:
    """An object with exactly these fields."""

    def checked(value: Value, name: str) -> None:
        if not isinstance(value, Mapping):
            raise FormatError(name, "not an object")
        for key in fields:
            if key not in value:
                raise FormatError(f"{name}.{key}", "missing")
        for key, item in value.items():
            if key not in fields:
                raise FormatError(name, f"unknown field {shown(key)}")
            fields[key](item, f"{name}.{key}")

    return checked


def decode_base64(value: Value, name: str) -> bytes:
    """Bytes of a canonical, padded base64 string; FormatError for every other spelling."""
    if not isinstance(value, str):
        raise FormatError(name, "not a base64 string")
    try:
        data = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(name, "not base64") from None
    if base64.b64encode(data).decode() != value:
        raise FormatError(name, "not canonical base64")
    return data


def encode_base64(data: bytes) -> str:
    """Canonical, padded base64."""
    return base64.b64encode(data).decode()


def signature(value: Value, name: str) -> None:
    """A DER signature of P-256, as far as its length tells; agent/formats/signature.py checks the rest."""
    decode_signature(value, name)


def decode_signature(value: Value, name: str) -> bytes:
    """Its bytes."""
    return _decode_within(value, name, 8, 72)


def parse_utc(value: Value, name: str) -> int:
    """Milliseconds since 1970 of YYYY-MM-DDThh:mm:ss.mmmZ, years 0001 to 9999; no leap second is ever written."""
    if not isinstance(value, str) or not _UTC.fullmatch(value):
        raise FormatError(name, "not a UTC time like 2026-01-31T08:00:00.000Z")
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise FormatError(name, "no such time") from None
    return (moment - _EPOCH) // _MILLISECOND


def format_utc(utc_ms: int) -> str:
    """The text of a time in milliseconds since 1970. Raises FormatError outside the years 0001 to 9999."""
    try:
        moment = _EPOCH + timedelta(milliseconds=utc_ms)
    except OverflowError:
        raise FormatError("utc", "outside the years 0001 to 9999") from None
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def file_name_of(path: str) -> str:
    """How an entry names a file of the card: `path` is relative, as the operating system gave it.

    A name may hold any byte but NUL; each that is not of A-Z a-z 0-9 . _ - or the folders' / is written as %XX.
    """
    raw = path.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _NAME_BYTE else f"%{byte:02X}" for byte in raw)


# Reading fields of an object that its check has passed: typed, without casts at every use.


def text_of(value: Object, key: str) -> str:
    """The string field `key`."""
    found = value[key]
    assert isinstance(found, str)
    return found


def integer_of(value: Object, key: str) -> int:
    """The integer field `key`."""
    found = value[key]
    assert isinstance(found, int)
    return found


def ns_of(value: Object, key: str) -> int:
    """The nanoseconds field `key`."""
    return int(text_of(value, key))


def object_of(value: Object, key: str) -> Object:
    """The object field `key`."""
    found = value[key]
    assert isinstance(found, Mapping)
    return found


def list_of(value: Object, key: str) -> Sequence[Value]:
    """The list field `key`."""
    found = value[key]
    assert isinstance(found, Sequence)
    assert not isinstance(found, str)
    return found
