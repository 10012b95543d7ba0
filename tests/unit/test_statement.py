"""Statements of others: one line a value, nothing unknown, nothing but FormatError."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import fields, statement
from agent.formats.canonical import MAX_LINE_BYTES, MAX_LONG_LINE_BYTES, Object, Value
from agent.formats.statement import Statement
from tests.support import signed_json
from tests.support.junk import JUNK
from tests.vectors.make_statement import VALUES, line, text

TYPES = sorted(statement.TYPES)
SIGNATURE = fields.encode_base64(bytes(72)).encode()


def value_of(name: str, **changed: Value) -> dict[str, Value]:
    return {**VALUES[name], **changed}  # type: ignore[dict-item]  # a vector's values are JSON


def composed_or_none(name: str, value: Object) -> bytes | None:
    try:
        return statement.compose(name, value)
    except FormatError:
        return None


def parse_or_none(data: bytes) -> Statement | None:
    try:
        return statement.parse_line(data)
    except FormatError:
        return None


@settings(max_examples=400)
@given(st.sampled_from(TYPES), st.data())
def test_other_bytes_never_say_the_same(name: str, draw: st.DataObject) -> None:
    data = line(text(name), name)
    at = draw.draw(st.integers(0, len(data)))
    cut = draw.draw(st.integers(0, 2))
    put = draw.draw(st.binary(max_size=2) | st.sampled_from([b"0", b"f", b" ", b"\t", b"\r", b"\n", b"=", b'"', b"\\"]))
    changed = data[:at] + put + data[at + cut :]
    assume(changed != data)
    read = parse_or_none(changed)
    if read is not None:
        original = statement.parse_line(data)
        assert read.line == changed
        assert (read.name, repr(read.value), read.signature) != (
            original.name,
            repr(original.value),
            original.signature,
        )


@pytest.mark.parametrize("name", TYPES)
def test_composing_and_parsing_are_inverse(name: str) -> None:
    signed = statement.compose(name, value_of(name))
    assert signed == signed_json.canonical({**VALUES[name], "typ": f"temoin/{name}/1"})
    read = statement.parse_line(signed + b"\t" + SIGNATURE + b"\n")
    assert (read.name, read.text, read.signature) == (name, signed, bytes(72))
    assert read.digest.hex() == signed_json.sha256(signed)
    assert statement.parse_embedded(read.embedded) == read


@pytest.mark.parametrize("name", TYPES)
def test_a_statement_has_all_its_fields_and_no_other(name: str) -> None:
    value = value_of(name)
    assert {"typ", *value} == statement.FIELDS[name]
    for key in value:
        with pytest.raises(FormatError, match=rf"^{name}\.{key}: missing$"):
            statement.compose(name, {other: item for other, item in value.items() if other != key})
    with pytest.raises(FormatError, match=f"^{name}: unknown field 'extra'$"):
        statement.compose(name, {**value, "extra": None})


@pytest.mark.parametrize("name", TYPES)
def test_any_value_in_any_field_is_composed_and_read_or_refused(name: str) -> None:
    for key in VALUES[name]:
        for value in JUNK:
            signed = composed_or_none(name, value_of(name, **{key: value}))
            if signed is not None:
                assert statement.parse_line(signed + b"\t" + SIGNATURE + b"\n").value[key] == value


@given(st.binary(max_size=100))
def test_bytes_from_anywhere_are_no_statement(data: bytes) -> None:
    assert parse_or_none(data) is None


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"sig": "AAAAAAAAAAA="},
        {"sig": "AAAAAAAAAAA=", "text": 1},
        {"sig": None, "text": "{}"},
        {"sig": "AAAAAAAAAAA=", "text": "{}", "more": 1},
        {"sig": "AAAAAAAAAAA=", "text": "\ud800"},
        {"sig": "AAAAAAAAAAA=", "text": "[" * 5000},
        {"sig": "AAAA", "text": text("ack").decode()},
    ],
)
def test_an_embedded_statement_is_as_strict(value: dict[str, Value]) -> None:
    with pytest.raises(FormatError):
        statement.parse_embedded(value)


def of_size(name: str, size: int) -> dict[str, Value]:
    """A ticket or a policy that takes `size` bytes to sign."""

    def padded(length: int) -> dict[str, Value]:
        if name == "ticket":
            return value_of(name, headers=[{"name": "n", "value": "v" * 2000}] * 6, url="u" * length)
        return value_of(name, cameras=["c" * 32] * 1750, recipients=["age1" + "q" * length])

    shortest = len(signed_json.canonical({**padded(1), "typ": f"temoin/{name}/1"}))
    return padded(1 + size - shortest)


@pytest.mark.parametrize(("name", "limit"), [("ticket", MAX_LINE_BYTES), ("policy", MAX_LONG_LINE_BYTES)])
def test_a_line_is_limited_to_the_byte_whoever_signs_it(name: str, limit: int) -> None:
    rest = len(b"\t" + SIGNATURE + b"\n")
    signed = statement.compose(name, of_size(name, limit - rest))
    longest = signed + b"\t" + SIGNATURE + b"\n"
    assert len(longest) == limit
    assert statement.parse_line(longest).text == signed
    problem = f"{limit - rest + 1} signed bytes do not fit into a line of {limit}"
    with pytest.raises(FormatError, match=problem):
        statement.compose(name, of_size(name, limit - rest + 1))
    too_long = signed_json.canonical({**of_size(name, limit - rest + 1), "typ": f"temoin/{name}/1"})
    with pytest.raises(FormatError, match=problem):  # also where a shorter signature would leave the room
        statement.parse_line(too_long + b"\t" + fields.encode_base64(bytes(8)).encode() + b"\n")


def test_a_typed_policy_says_what_the_statement_says() -> None:
    read = statement.parse_line(line(text("policy"), "policy"))
    policy = statement.policy_of(read)
    value = VALUES["policy"]
    for name in ("agency", "version", "profile", "retention_days", "prerecord_ms", "prerecord_sound", "sound"):
        assert getattr(policy, name) == value[name]
    for name in ("cameras", "recipients", "docks"):
        assert list(getattr(policy, name)) == value[name]
    assert fields.format_utc(policy.not_before_ms) == value["not_before"]
    assert policy.hash_hex == signed_json.sha256(text("policy"))


@pytest.mark.parametrize(("count", "fits"), [(6, True), (7, False)])
def test_what_is_sealed_into_an_entry_limits_post_quantum_recipients(count: int, fits: bool) -> None:
    def composed(kind: str) -> bool:
        return composed_or_none("policy", value_of("policy", recipients=[kind + "q" * 40] * count)) is not None

    assert composed("age1pq1") is fits
    assert composed("age1")
