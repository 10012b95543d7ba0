"""The vocabulary of entries and statements: each check takes its own values and nothing else."""

from __future__ import annotations

import base64
import string
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import fields
from agent.formats.canonical import MAX_INTEGER, Value
from agent.formats.fields import Check
from tests.support.junk import JUNK

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
BOOT = "1f0e5c1a-6c77-4a43-9f0e-2b1d8c4e7a90"
FIRST_MS = -62_135_596_800_000
LAST_MS = 253_402_300_799_999
CHECKS: dict[str, Check] = {
    "hash_hex": fields.hash_hex,
    "random_hex": fields.random_hex,
    "identifier": fields.identifier,
    "word": fields.word,
    "recording_id": fields.recording_id,
    "nanoseconds": fields.nanoseconds,
    "boot_id": fields.boot_id,
    "file_name": fields.file_name,
    "utc": fields.utc,
    "boolean": fields.boolean,
    "signature": fields.signature,
    "text": fields.text(10),
    "one_of": fields.one_of("a", "b"),
    "integer": fields.integer(1, 5),
    "multiple_of": fields.multiple_of(16, 4),
    "listing": fields.listing(fields.boolean, 3, least=1),
    "mapping_of": fields.mapping_of(fields.integer(), 1),
    "record": fields.record({"a": fields.boolean}),
}


def refusal(check: Check, value: Value) -> FormatError | None:
    try:
        check(value, "field")
    except FormatError as error:
        return error
    return None


def takes(check: Check, value: Value) -> bool:
    return refusal(check, value) is None


@pytest.mark.parametrize("name", CHECKS)
def test_junk_is_refused_by_name_and_in_few_words(name: str) -> None:
    own: dict[str, list[Value]] = {
        "boolean": [True, False],
        "identifier": ["-"],
        "word": ["-"],
        "file_name": ["-"],
        "mapping_of": [{}],
        "text": ["-", "\n", "\x7f", "\ud800"],
    }
    for value in JUNK:
        error = refusal(CHECKS[name], value)
        if error is None:
            assert any(value is each or (isinstance(value, type(each)) and value == each) for each in own.get(name, []))
        else:
            assert error.where.startswith("field")
            assert len(str(error)) < 200


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("hash_hex", ["0" * 64, "f" * 64], ["0" * 63, "0" * 65, "F" * 64, "g" * 64, "0" * 64 + "\n", "０" * 64]),
        ("random_hex", ["0" * 32], ["0" * 31, "0" * 33, "A" * 32]),
        ("identifier", ["a", "-", "9" * 32, "cam-0001"], ["a" * 33, "A", "a_b", "a.b", "a/b", "é", "a\n", "a b"]),
        ("word", ["card_full", "0.1.0+g12-3", "a" * 64], ["a" * 65, "A", "a b", "a/b"]),
        (
            "recording_id",
            ["cam-0001-0123abcd-1", f"{'a' * 32}-01234567-{'9' * 16}", "--01234567-1"],
            [
                "a-0123abcd-0",
                "a-0123abcd-01",
                "a-0123abcd",
                "a-0123abc-1",
                "a-0123ABCD-1",
                "-01234567-1",
                "../-01234567-1",
            ],
        ),
        (
            "nanoseconds",
            ["0", "1", "9" * 18, str(2**63 - 1)],
            [str(2**63), "9" * 19, "9" * 5000, "-1", "-0", "00", "01", "1.0", "1e3", " 1", "+1", "٣"],
        ),
        ("boot_id", [BOOT], [BOOT.replace("-", ""), BOOT.upper(), BOOT + "0"]),
        (
            "file_name",
            ["journal/00000000.log", "a", ".hidden", "...", "a/..b", "%00", "%C3%A9", "-rf"],
            ["/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/./b", "%", "%c3", "%4", "é", "a b", "a\\b", "a" * 1025],
        ),
        ("text", ["x", "é" * 10, "\U0001f4a1" * 10], ["", "x" * 11]),
        ("one_of", ["a", "b"], ["", "c", "ab", "A"]),
        ("integer", [1, 5], [0, 6, True, "1", 1.0]),
        ("multiple_of", [16, 32, 64], [0, 8, 17, 80, -16, True, "16"]),
        ("listing", [[True], [True, False, True]], [[], [True] * 4, [1], "t", {"a": True}]),
        ("mapping_of", [{}, {"a": 1}, {"a" * 64: 1}], [{"a": 1, "b": 2}, {"a": True}, {"a" * 65: 1}, [1]]),
        ("record", [{"a": True}], [{}, {"a": 1}, {"a": True, "b": True}, {"b": True}, [True]]),
        ("signature", ["AAAAAAAAAAA=", "AAAA" * 24], ["", "AAAA", "AAAA" * 24 + "AA=="]),
    ],
)
def test_boundaries(name: str, good: list[Value], bad: list[Value]) -> None:
    assert [value for value in good if not takes(CHECKS[name], value)] == []
    assert [value for value in bad if takes(CHECKS[name], value)] == []


@pytest.mark.parametrize("value", [MAX_INTEGER, 0])
def test_integers_end_where_json_numbers_stop_being_exact(value: int) -> None:
    assert takes(fields.integer(), value)
    assert not takes(fields.integer(), value + 1 if value else -1)


def test_null_is_for_nullable_fields_only() -> None:
    assert takes(fields.nullable(fields.boolean), None)
    assert not takes(fields.nullable(fields.boolean), 0)


def test_an_error_names_the_field_all_the_way_down() -> None:
    check = fields.record({"a": fields.listing(fields.record({"b": fields.boolean}), 2)})
    with pytest.raises(FormatError) as caught:
        check({"a": [{"b": True}, {"b": 0}]}, "body")
    assert caught.value.where == "body.a[1].b"


@given(st.binary(max_size=80))
def test_base64_has_one_spelling(data: bytes) -> None:
    assert fields.decode_base64(fields.encode_base64(data), "field") == data
    assert fields.encode_base64(data) == base64.b64encode(data).decode()


@given(st.text(string.ascii_letters + string.digits + "+/=-_ \n\u0141\u00e9", max_size=12))
def test_base64_that_is_read_is_the_one_that_would_be_written(text: str) -> None:
    try:
        data = fields.decode_base64(text, "field")
    except FormatError:
        return
    assert fields.encode_base64(data) == text


@given(st.integers(FIRST_MS, LAST_MS))
@example(FIRST_MS)
@example(LAST_MS)
@example(-1)
@example(0)
@example(999)
@example(1000)
def test_times_have_one_text_and_no_rounding(utc_ms: int) -> None:
    text = fields.format_utc(utc_ms)
    assert fields.parse_utc(text, "field") == utc_ms
    moment = EPOCH + timedelta(milliseconds=utc_ms)
    assert text == f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def test_times_outside_the_calendar_have_no_text() -> None:
    for utc_ms in (FIRST_MS - 1, LAST_MS + 1, 2**53, -(2**53), 10**30, -(10**30), 10**5000):
        with pytest.raises(FormatError, match="outside the years"):
            fields.format_utc(utc_ms)


@given(st.integers(FIRST_MS, LAST_MS), st.integers(0, 23), st.sampled_from("0123456789 -+:.TZzt٣\n"))
def test_a_time_with_a_character_changed_is_another_time_or_none(utc_ms: int, at: int, put: str) -> None:
    text = fields.format_utc(utc_ms)
    changed = text[:at] + put + text[at + 1 :]
    assume(changed != text)
    try:
        read = fields.parse_utc(changed, "field")
    except FormatError:
        return
    assert read != utc_ms
    assert fields.format_utc(read) == changed


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-02T08:00:00.000z",
        "2026-03-02t08:00:00.000Z",
        "2026-03-02 08:00:00.000Z",
        "2026-03-02T08:00:00,000Z",
        "2026-W10-1T08:00:00.000Z",
        "20260302T080000.000Z",
        "2026-03-02T08:00:00.000",
        "2026-03-02T08:00:00.000Z\n",
        "2026-13-02T08:00:00.000Z",
        "2026-00-02T08:00:00.000Z",
        "2026-03-00T08:00:00.000Z",
        "2025-02-29T08:00:00.000Z",
        "2026-03-02T24:00:00.000Z",
        "2026-03-02T23:60:00.000Z",
        "2026-06-30T23:59:60.000Z",
        "0000-03-02T08:00:00.000Z",
        "+2026-03-02T08:00:00.000Z",
    ],
)
def test_other_times_are_refused(text: str) -> None:
    assert not takes(fields.utc, text)


@given(st.lists(st.binary(min_size=1, max_size=8).filter(lambda raw: not set(raw) & {0, 47}), min_size=1, max_size=3))
def test_every_name_that_a_card_can_hold_has_a_text(parts: list[bytes]) -> None:
    assume(not {b".", b".."} & set(parts))
    path = b"/".join(parts).decode("utf-8", "surrogateescape")
    text = fields.file_name_of(path)
    assert takes(fields.file_name, text)
    plain = bytearray()
    for index, piece in enumerate(text.split("%")):
        plain += piece.encode() if index == 0 else bytes.fromhex(piece[:2]) + piece[2:].encode()
    assert bytes(plain) == b"/".join(parts)
