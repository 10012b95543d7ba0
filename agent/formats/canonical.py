"""The JSON of everything signed (docs/formats.md, "JSON in anything signed"): one value, one encoding.

Guarantees: `decode` accepts exactly the bytes that `encode` makes, and nesting is counted before parsing; no floats, no
duplicate keys, nothing left over; whatever the bytes or the value, the only error is FormatError. Assumes nothing of
its input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from agent.errors import FormatError

Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]
Object = Mapping[str, Value]

MAX_DEPTH = 8
MAX_LINE_BYTES = 16 * 1024
MAX_LONG_LINE_BYTES = 64 * 1024
MAX_INTEGER = 2**53 - 1

_MAX_INTEGER_CHARACTERS = 17
_KEY = re.compile(r"[a-z0-9_]+\Z")
_REFUSED_CHARACTERS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
# check_circular is not needed: a value is checked, and its depth counted, before it comes here.
_ENCODER = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False, check_circular=False
)


def encode(value: Object) -> bytes:
    """The one encoding. Raises FormatError for a value that the format does not have."""
    _check(value, "", 1)
    return _ENCODER.encode(value).encode()


def spell(value: Object) -> bytes | None:
    """The encoding without the checks of `encode`: for whoever holds the outcome against a stricter pattern.

    None where there is none.
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError):
        return None


def decode(data: bytes, limit: int = MAX_LINE_BYTES) -> Object:
    """Parse, encode again, and demand equal bytes. Raises FormatError; never RecursionError or ValueError."""
    if len(data) > limit:
        raise FormatError("json", f"{len(data)} bytes are more than {limit}")
    _count_nesting(data)
    value = parse(data)
    if not isinstance(value, dict):
        raise FormatError("json", "not an object")
    if encode(value) != data:
        raise FormatError("json", "not in the canonical encoding (keys sorted and once, no white space)")
    return value


def parse(data: bytes) -> Value:
    """What `data` says, without the checks of `decode`: for bytes that a stricter pattern has matched as a whole."""
    try:
        value: Value = _DECODER.decode(data.decode())
    except (ValueError, RecursionError):
        raise FormatError("json", "not JSON in UTF-8") from None
    return value


def _no_float(text: str) -> int:
    raise FormatError("json", f"{text[:20]} is not an integer")


def _integer(text: str) -> int:
    # Python refuses to convert very long ones with a ValueError, and is slow at it below that.
    if len(text) > _MAX_INTEGER_CHARACTERS:
        raise FormatError("json", f"{text[:20]}... is outside +-(2^53-1)")
    return int(text)


_DECODER = json.JSONDecoder(parse_float=_no_float, parse_int=_integer, parse_constant=_no_float)


def _count_nesting(data: bytes) -> None:
    if data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return
    depth = 0
    for byte in _STRING.sub(b"", data):
        if byte in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError("json", f"nested deeper than {MAX_DEPTH}")
        elif byte in b"}]":
            depth -= 1


def _check(value: Value, where: str, depth: int) -> None:
    """Refuse what has no encoding; of Mapping and Sequence, whatever the encoder would not know."""
    if isinstance(value, str):
        if _REFUSED_CHARACTERS.search(value):
            raise FormatError(where, "a control character or a lone surrogate")
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if not -MAX_INTEGER <= value <= MAX_INTEGER:
            raise FormatError(where, "an integer outside +-(2^53-1)")
    elif isinstance(value, dict | list | tuple):
        if depth > MAX_DEPTH:
            raise FormatError(where, f"nested deeper than {MAX_DEPTH}")
        for inside, item in _items(value, where):
            _check(item, inside, depth + 1)
    else:
        raise FormatError(where, f"{type(value).__name__} is not a JSON type of this format")


def _items(value: dict[str, Value] | list[Value] | tuple[Value, ...], where: str) -> Iterator[tuple[str, Value]]:
    if not isinstance(value, dict):
        for index, item in enumerate(value):
            yield f"{where}[{index}]", item
        return
    for key, item in value.items():
        if not isinstance(key, str) or not _KEY.match(key):
            raise FormatError(where, f"key {shown(key)} is not of [a-z0-9_]")
        yield f"{where}.{key}" if where else key, item


def shown(value: object) -> str:
    """A value in an error's text: printable, and of a bounded length however long it is."""
    text = repr(value[:40]) if isinstance(value, str) else type(value).__name__
    return f"{text}..." if isinstance(value, str) and len(value) > 40 else text
