"""Writes tests/vectors/canonical/: the JSON of what is signed, valid and wrong in one way each.

`index.json` says for each file what it means or how it is refused.

    python -m tests.vectors.make_canonical [--check]
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.support.signed_json import canonical
from tests.support.vectors import run

FOLDER = Path(__file__).parent / "canonical"

NOT_JSON = "json: not JSON in UTF-8"
NOT_CANONICAL = "json: not in the canonical encoding (keys sorted and once, no white space)"
CONTROL = "a: a control character or a lone surrogate"

VALID: dict[str, dict[str, object]] = {
    "empty": {},
    "every-type": {"array": [], "false": False, "integer": 7, "null": None, "object": {}, "string": "", "true": True},
    "keys-sorted": {"0": 1, "_": 2, "a": 3, "a_0": 4, "aa": 5},
    "integer-largest": {"a": 2**53 - 1},
    "integer-smallest": {"a": -(2**53) + 1},
    "integer-zero": {"a": 0},
    "string-escapes": {"a": 'quote " backslash \\ slash / both \\"'},
    "string-not-normalised": {"a": "é e\u0301 \ufb01 \ufeff \u2028 \u0080 \U0001f4a1"},
    "brackets-in-a-string": {"a": "[{" * 20 + "\\" + '"['},
    "depth-8": {"a": [[[[[[[]]]]]]]},
    "longest": {"a": "x" * (16 * 1024 - 8)},
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", NOT_JSON),
    "cut": (b'{"a":1', NOT_JSON),
    "something-after": (b'{"a":1}x', NOT_JSON),
    "nul-after": (b'{"a":1}\0', NOT_JSON),
    "array": (b"[1]", "json: not an object"),
    "string": (b'"a"', "json: not an object"),
    "byte-order-mark": (b'\xef\xbb\xbf{"a":1}', NOT_JSON),
    "utf-16": (
        '{"a":1}'.encode("utf-16"),
        NOT_JSON,
    ),
    "not-utf-8": (
        b'{"a":"\xe9"}',
        NOT_JSON,
    ),
    "overlong-utf-8": (
        b'{"a":"\xc0\xaf"}',
        NOT_JSON,
    ),
    "surrogate-in-utf-8": (
        b'{"a":"\xed\xa0\x80"}',
        NOT_JSON,
    ),
    "surrogate-escaped": (b'{"a":"\\ud800"}', CONTROL),
    "surrogate-pair-escaped": (b'{"a":"\\ud83d\\udca1"}', NOT_CANONICAL),
    "delete": (b'{"a":"\x7f"}', CONTROL),
    "delete-escaped": (b'{"a":"\\u007f"}', CONTROL),
    "nul-escaped": (b'{"a":"\\u0000"}', CONTROL),
    "newline-escaped": (b'{"a":"\\n"}', CONTROL),
    "tab-raw": (b'{"a":"\t"}', NOT_JSON),
    "nul-raw": (b'{"a":"\0"}', NOT_JSON),
    "letter-escaped": (b'{"a":"\\u0061"}', NOT_CANONICAL),
    "slash-escaped": (b'{"a":"\\/"}', NOT_CANONICAL),
    "quote-escaped-as-number": (b'{"a":"\\u0022"}', NOT_CANONICAL),
    "unknown-escape": (b'{"a":"\\x"}', NOT_JSON),
    "space-before": (b' {"a":1}', NOT_CANONICAL),
    "space-inside": (b'{"a": 1}', NOT_CANONICAL),
    "newline-after": (b'{"a":1}\n', NOT_CANONICAL),
    "carriage-return-after": (b'{"a":1}\r', NOT_CANONICAL),
    "unsorted": (b'{"b":1,"a":2}', NOT_CANONICAL),
    "duplicate-key": (b'{"a":1,"a":1}', NOT_CANONICAL),
    "duplicate-key-inside": (b'{"a":{"b":1,"b":2}}', NOT_CANONICAL),
    "comma-at-end": (b'{"a":1,}', NOT_JSON),
    "single-quotes": (
        b"{'a':1}",
        NOT_JSON,
    ),
    "key-capital": (b'{"A":1}', "key 'A' is not of [a-z0-9_]"),
    "key-empty": (b'{"":1}', "key '' is not of [a-z0-9_]"),
    "key-hyphen": (b'{"a":{"b-c":1}}', "a: key 'b-c' is not of [a-z0-9_]"),
    "key-with-newline": (b'{"a\\n":1}', "key 'a\\n' is not of [a-z0-9_]"),
    "minus-zero": (b'{"a":-0}', NOT_CANONICAL),
    "plus": (b'{"a":+1}', NOT_JSON),
    "leading-zero": (b'{"a":01}', NOT_JSON),
    "fraction": (b'{"a":1.0}', "json: 1.0 is not an integer"),
    "exponent": (b'{"a":1e3}', "json: 1e3 is not an integer"),
    "exponent-too-large-for-a-float": (b'{"a":1e999}', "json: 1e999 is not an integer"),
    "not-a-number": (b'{"a":NaN}', "json: NaN is not an integer"),
    "infinity": (b'{"a":-Infinity}', "json: -Infinity is not an integer"),
    "integer-above": (b'{"a":9007199254740992}', "a: an integer outside +-(2^53-1)"),
    "integer-below": (b'{"a":[0,-9007199254740992]}', "a[1]: an integer outside +-(2^53-1)"),
    "integer-18-digits": (b'{"a":100000000000000000}', "json: 100000000000000000... is outside +-(2^53-1)"),
    "integer-4300-digits": (
        b'{"a":' + b"9" * 4300 + b"}",
        "json: 99999999999999999999... is outside +-(2^53-1)",
    ),
    "integer-16000-digits": (
        b'{"a":-' + b"9" * 16000 + b"}",
        "json: -9999999999999999999... is outside +-(2^53-1)",
    ),
    "depth-9": (b'{"a":' + b"[" * 8 + b"]" * 8 + b"}", "json: nested deeper than 8"),
    "depth-16000-arrays": (b"[" * 16000, "json: nested deeper than 8"),
    "depth-3000-objects": (b'{"a":' * 3000, "json: nested deeper than 8"),
    "depth-behind-a-quote": (b'{"a":"\\\\"' + b"[" * 9, "json: nested deeper than 8"),
    "too-long": (canonical({"a": "x" * (16 * 1024 - 7)}), "json: 16385 bytes are more than 16384"),
}


def generate() -> dict[str, bytes]:
    """Names of files to their bytes."""
    files = {f"valid-{name}.json": canonical(value) for name, value in VALID.items()}
    files |= {f"{name}.json": data for name, (data, _) in REFUSED.items()}
    index: dict[str, dict[str, object]] = {f"valid-{name}.json": {"value": value} for name, value in VALID.items()}
    index |= {f"{name}.json": {"error": error} for name, (_, error) in REFUSED.items()}
    files["index.json"] = json.dumps(index, indent=1, sort_keys=True).encode() + b"\n"
    return files


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
