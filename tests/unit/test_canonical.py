"""The JSON of what is signed: one value, one encoding; nothing but FormatError, whatever comes in."""

from __future__ import annotations

from types import MappingProxyType

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import canonical
from agent.formats.canonical import MAX_DEPTH, MAX_INTEGER, MAX_LINE_BYTES, MAX_LONG_LINE_BYTES, Object, Value
from tests.support import signed_json

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters=[chr(code) for code in (*range(32), 127)])
KEYS = st.text("abz019_", min_size=1, max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.text(CHARACTERS | st.sampled_from('"\\/[]{},:'), max_size=12)
)
VALUES: st.SearchStrategy[Value] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def depth(value: Value) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth, value), default=0)
    return 0


OBJECTS: st.SearchStrategy[Object] = st.dictionaries(KEYS, VALUES, max_size=5).filter(
    lambda value: depth(value) <= MAX_DEPTH
)


def same(one: Value, other: Value) -> bool:
    """Equal in Python, and of the same types: True is not 1 here."""
    return repr(one) == repr(other)


@given(OBJECTS)
def test_what_is_encoded_decodes_to_itself(value: Object) -> None:
    data = canonical.encode(value)
    assert data == signed_json.canonical(value)
    decoded = canonical.decode(data)
    assert decoded == value
    assert canonical.encode(decoded) == data


@settings(max_examples=150)
@given(OBJECTS, st.data())
def test_other_bytes_never_mean_the_same(value: Object, draw: st.DataObject) -> None:
    data = canonical.encode(value)
    at = draw.draw(st.integers(0, len(data)))
    cut = draw.draw(st.integers(0, 2))
    put = draw.draw(st.binary(max_size=2) | st.sampled_from([b" ", b"\\", b"0", b'"', b",", b"-", b".", b"e1", b"\t"]))
    changed = data[:at] + put + data[at + cut :]
    assume(changed != data)
    try:
        decoded = canonical.decode(changed)
    except FormatError:
        return
    assert canonical.encode(decoded) == changed
    assert not same(decoded, canonical.decode(data))


@settings(max_examples=150)
@given(
    st.binary(max_size=60)
    | st.text('{}[]":,\\/ue0139-+.\x00\x7f\udfff\ufeff aEx', max_size=40).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    )
)
def test_bytes_from_anywhere_give_a_value_or_a_format_error(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except FormatError:
        return
    assert canonical.encode(value) == data


def cyclic() -> dict[str, object]:
    loop: dict[str, object] = {}
    loop["a"] = loop
    return loop


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (1.0, "float is not a JSON type"),
        (float("nan"), "float is not a JSON type"),
        (b"bytes", "bytes is not a JSON type"),
        ({1}, "set is not a JSON type"),
        (range(3), "range is not a JSON type"),
        (MappingProxyType({"b": 1}), "mappingproxy is not a JSON type"),
        ({1: 2}, "key int is not of"),
        ({None: 2}, "key NoneType is not of"),
        ({"A" * 500: 2}, "is not of"),
        (MAX_INTEGER + 1, "an integer outside"),
        (-MAX_INTEGER - 1, "an integer outside"),
        ("a\ud800b", "a control character or a lone surrogate"),
        ("\udfff\udfff", "a control character or a lone surrogate"),
        ("\x00", "a control character or a lone surrogate"),
        ("\x1f", "a control character or a lone surrogate"),
        ("\x7f", "a control character or a lone surrogate"),
        (cyclic(), "nested deeper than 8"),
    ],
)
def test_values_without_an_encoding_are_refused_by_name(value: Value, problem: str) -> None:
    with pytest.raises(FormatError, match=problem) as caught:
        canonical.encode({"a": [value]})
    assert str(caught.value).startswith("a[0]")
    assert len(str(caught.value)) < 200


def test_an_integer_that_python_would_not_print_is_refused_like_any_other() -> None:
    with pytest.raises(FormatError, match="an integer outside"):
        canonical.encode({"a": 10**5000})


@pytest.mark.parametrize("character", ["\x80", "\x9f", "\u2028", "\ufeff", "\ufffd", "\U0010ffff", " ", "~"])
def test_characters_next_to_the_refused_ones_pass(character: str) -> None:
    assert canonical.decode(canonical.encode({"a": character})) == {"a": character}


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, MAX_DEPTH])
def test_depth_is_counted_in_brackets_outside_strings(levels: int) -> None:
    inside = levels - 1
    data = b'{"a":' + b"[" * inside + b'"\\"' + b"[{" * 50 + b'\\""' + b"]" * inside + b"}"
    assert depth(canonical.decode(data)) == levels


def test_one_level_more_is_refused_before_it_is_parsed() -> None:
    # Not JSON beyond the ninth bracket: whoever parsed first would say so.
    with pytest.raises(FormatError, match="nested deeper than 8"):
        canonical.decode(b'{"a":' + b"[" * MAX_DEPTH + b"!")


def test_closed_brackets_do_not_count() -> None:
    assert canonical.decode(b'{"a":[' + b",".join([b"[]"] * 1000) + b"]}") == {"a": [[]] * 1000}


@pytest.mark.parametrize("limit", [MAX_LINE_BYTES, MAX_LONG_LINE_BYTES, 8])
def test_length_is_limited_to_the_byte(limit: int) -> None:
    longest = b'{"a":"' + b"x" * (limit - 8) + b'"}'
    assert len(canonical.encode(canonical.decode(longest, limit))) == limit
    with pytest.raises(FormatError, match=f"{limit + 1} bytes are more than {limit}"):
        canonical.decode(longest.replace(b'"}', b'x"}'), limit)


@given(st.text(max_size=100) | st.integers() | st.binary())
def test_what_an_error_shows_is_short_and_printable(value: object) -> None:
    assert canonical.shown(value).isprintable()
    assert len(canonical.shown(value)) <= 405
