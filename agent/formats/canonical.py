"""The JSON of everything signed (docs/formats.md, "JSON in anything signed"): one value, one encoding.

Guarantees: `decode` accepts exactly the bytes that `encode` makes, and nesting is counted before parsing; no floats, no
duplicate keys, nothing left over. Assumes nothing of its input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from agent.errors import FormatError

Value = str | int | bool | None | Sequence["Value"] | Mapping[str, "Value"]
Object = Mapping[str, Value]

MAX_DEPTH = 8
MAX_LINE_BYTES = 16 * 1024
MAX_LONG_LINE_BYTES = 64 * 1024
MAX_INTEGER = 2**53 - 1

_KEY = re.compile(r"[a-z0-9_]+\Z")
_REFUSED_CHARACTERS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


def encode(value: Object) -> bytes:
    """The one encoding. Raises FormatError for a value that the format does not have."""
    _check(value, "", 1)
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def decode(data: bytes, limit: int = MAX_LINE_BYTES) -> Object:
    """Parse, encode again, and demand equal bytes. Raises FormatError; never RecursionError or ValueError."""
    if len(data) > limit:
        raise FormatError("json", f"{len(data)} bytes are more than {limit}")
    _count_nesting(data)
    try:
        value = json.loads(data.decode("utf-8", "strict"), parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:
        raise FormatError("json", f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise FormatError("json", "not an object")
    if encode(value) != data:
        raise FormatError("json", "not in the canonical encoding (keys sorted and once, no white space)")
    return value


def _no_float(text: str) -> int:
    raise FormatError("json", f"{text[:20]} is not an integer")


def _count_nesting(data: bytes) -> None:
    depth = 0
    for byte in _STRING.sub(b"", data):
        if byte in b"{[":
            depth += 1
            if depth > MAX_DEPTH:
                raise FormatError("json", f"nested deeper than {MAX_DEPTH}")
        elif byte in b"}]":
            depth -= 1


def _check(value: Value, where: str, depth: int) -> None:
    if isinstance(value, str):
        if _REFUSED_CHARACTERS.search(value):
            raise FormatError(where, "a control character or a lone surrogate")
    elif value is None or isinstance(value, bool):
        return
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise FormatError(where, f"{value} is outside +-(2^53-1)")
    elif isinstance(value, Mapping | Sequence):
        if depth > MAX_DEPTH:
            raise FormatError(where, f"nested deeper than {MAX_DEPTH}")
        _check_inside(value, where, depth)
    else:
        raise FormatError(where, f"{type(value).__name__} is not a JSON type of this format")


def _check_inside(value: Sequence[Value] | Mapping[str, Value], where: str, depth: int) -> None:
    if not isinstance(value, Mapping):
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]", depth + 1)
        return
    for key, item in value.items():
        if not isinstance(key, str) or not _KEY.match(key):
            raise FormatError(where, f"key {key!r} is not of [a-z0-9_]")
        _check(item, f"{where}.{key}" if where else key, depth + 1)
