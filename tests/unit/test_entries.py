"""Entries: one line a value, one value a line; the short ways do what the long way does."""

from __future__ import annotations

import json
import re
from functools import cache

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import bodies, canonical, entries, fields, statement
from agent.formats.canonical import MAX_INTEGER, MAX_LINE_BYTES, Object, Value
from agent.formats.entries import Entry, Position
from agent.model import Stamp, TimeSource
from tests.support import signed_json
from tests.support.junk import JUNK
from tests.vectors.entries_story import journal
from tests.vectors.make_statement import VALUES

BOOT = "1f0e5c1a-6c77-4a43-9f0e-2b1d8c4e7a90"
JID = "00112233445566778899aabbccddeeff"
POSITION = Position("cam-0001", JID, 7, "ab" * 32)
STAMP = Stamp(1_772_438_400_000, 40, TimeSource.BEACON, 12_345_678_901, BOOT)
SALT = bytes(16)

HEX = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
NANOSECONDS = (st.integers(0, 2**63 - 1) | st.sampled_from([0, 10**18 - 1, 10**18, 2**63 - 1])).map(str)
COUNTS = st.integers(0, MAX_INTEGER) | st.sampled_from([0, 10**15 - 1, 10**15, MAX_INTEGER])
IDS = st.text("az09-", min_size=1, max_size=32)
KNOWN = st.tuples(
    st.integers(-62_135_596_800_000, 253_402_300_799_999), COUNTS, st.sampled_from(["beacon", "rtc", "disputed"])
)
STAMPS = st.builds(
    lambda time, mono_ns: Stamp(time[0], time[1], TimeSource(time[2]), int(mono_ns), BOOT),
    KNOWN | st.just((None, None, "none")),
    NANOSECONDS,
)
POSITIONS = st.builds(
    Position,
    IDS,
    st.just(JID),
    st.integers(1, MAX_INTEGER) | st.sampled_from([1, 10**15 - 1, 10**15, MAX_INTEGER]),
    HEX.filter(lambda prev: prev != fields.ZERO_HASH),
)
FRAGMENTS: st.SearchStrategy[dict[str, Value]] = st.fixed_dictionaries(
    {
        "rec": st.builds("{}-{}-{}".format, IDS, st.just(JID[:8]), st.integers(1, 10**16 - 1)),
        "seg": st.integers(0, 100_000),
        "n": st.integers(0, 100_000),
        "off": COUNTS,
        "len": st.integers(1, 129).map(lambda chunks: chunks * 65_552),
        "t0_ns": NANOSECONDS,
        "dur_ns": NANOSECONDS,
        "frames": st.integers(1, 1000),
        "sound": st.booleans(),
        "pre": st.booleans(),
        "plain": HEX,
        "blob": HEX,
    }
)


@cache
def story() -> list[bytes]:
    """A line of every kind, none of them written by the code under test."""
    return [b"%s\t%s\t%s\n" % parts for parts in journal()]


def body_of(kind: str) -> dict[str, Value]:
    """The body of the first entry of that kind, without its salt."""
    found = next(json.loads(body) for head, _, body in journal() if json.loads(head)["kind"] == kind)
    assert isinstance(found, dict)
    del found["salt"]
    return found


def position_for(kind: str) -> Position:
    return Position("cam-0001", JID, 0, fields.ZERO_HASH) if kind == "genesis" else POSITION


def make(kind: str, body: Object) -> Entry:
    return entries.make(position_for(kind), kind, body, SALT, STAMP)


def made_or_none(kind: str, body: Object) -> Entry | None:
    try:
        return make(kind, body)
    except FormatError:
        return None


def parse_or_none(line: bytes) -> Entry | None:
    try:
        return entries.parse_line(line)
    except FormatError:
        return None


def meaning(entry: Entry) -> tuple[object, ...]:
    """What an entry says, whatever bytes said it; True is not 1 here."""
    return entry.head, entry.signature, repr(entry.body)


@given(
    POSITIONS, FRAGMENTS, st.binary(min_size=16, max_size=16), STAMPS, st.none() | st.binary(min_size=8, max_size=72)
)
def test_what_is_made_reads_back(
    position: Position, body: dict[str, Value], salt: bytes, stamp: Stamp, signature: bytes | None
) -> None:
    made = entries.make(position, "fragment", body, salt, stamp)
    if signature is not None:
        made = made.with_signature(signature)
    read = entries.parse_line(made.line)
    assert read == made
    assert (read.head.seq, read.head.prev, read.head.dev, read.head.stamp) == (
        position.seq,
        position.prev,
        position.dev,
        stamp,
    )
    assert read.body == {**body, "salt": salt.hex()}
    assert read.head_bytes == signed_json.canonical(json.loads(read.head_bytes))
    assert read.body_bytes == signed_json.canonical({**body, "salt": salt.hex()})


@settings(max_examples=400)
@given(st.data())
def test_other_bytes_never_say_the_same(draw: st.DataObject) -> None:
    line = draw.draw(st.sampled_from(story()))
    at = draw.draw(st.integers(0, len(line)))
    cut = draw.draw(st.integers(0, 2))
    put = draw.draw(
        st.binary(max_size=2) | st.sampled_from([b"0", b"f", b" ", b"\t", b"\r", b"\n", b"-", b"=", b'"', b"\\"])
    )
    changed = line[:at] + put + line[at + cut :]
    assume(changed != line)
    read = parse_or_none(changed)
    if read is not None:
        assert read.line == changed
        assert meaning(read) != meaning(entries.parse_line(line))


@pytest.mark.parametrize("seq", [0, 14, 16, 25])
def test_no_flipped_bit_goes_unseen(seq: int) -> None:
    line = story()[seq]
    said = meaning(entries.parse_line(line))
    for at in range(len(line)):
        for bit in (0, 5, 7):
            read = parse_or_none(line[:at] + bytes([line[at] ^ 1 << bit]) + line[at + 1 :])
            assert read is None or meaning(read) != said


def edited(data: bytes, draw: st.DataObject) -> bytes:
    """The bytes with a piece of them replaced by something that could be read in its place."""
    at = draw.draw(st.integers(0, len(data)))
    cut = draw.draw(st.integers(0, 3))
    pieces = [b"", b"0", b"1", b"-", b"00", b"null", b"true", b'"', b" ", b",", b"\\", b"\n", b"e", b".", b"\xc3\xa9"]
    return data[:at] + draw.draw(st.sampled_from(pieces)) + data[at + cut :]


@settings(max_examples=400)
@given(POSITIONS, STAMPS, st.data())
def test_the_short_way_of_a_head_is_the_long_way(position: Position, stamp: Stamp, draw: st.DataObject) -> None:
    head = entries.make(position, "reset", {"cause": "test"}, SALT, stamp).head_bytes
    if draw.draw(st.booleans()):
        head = edited(head, draw)

    def outcome(long_way: bool) -> object:
        try:
            return entries._parse_other_head(head) if long_way else entries._parse_head(head)
        except FormatError as error:
            return str(error)

    assert outcome(long_way=True) == outcome(long_way=False)


@settings(max_examples=400)
@given(FRAGMENTS, st.data())
def test_the_short_way_of_a_fragment_is_the_long_way(body: dict[str, Value], draw: st.DataObject) -> None:
    data = canonical.encode({**body, "salt": SALT.hex()})
    if draw.draw(st.booleans()):
        data = edited(data, draw)

    def long_way() -> object:
        try:
            value = canonical.decode(data)
            bodies.check_body("fragment", value)
        except FormatError as error:
            return str(error)
        return repr(value)

    try:
        found: object = repr(bodies.decode_body("fragment", data))
    except FormatError as error:
        found = str(error)
    assert found == long_way()


NEAR_MISSES = [
    (rb'(_ns":")[0-9]+', rb"\g<1>9223372036854775808"),
    (rb'(_ns":")[0-9]+', rb"\g<1>01"),
    (rb'(_ns":")[0-9]+', rb"\g<1>"),
    (rb'("(?:seq|n|seg|frames|len|off|err_ms)":)([0-9]+)', rb"\g<1>0\g<2>"),
    (rb'("(?:seq|n|seg|frames|len|off|err_ms)":)([0-9]+)', rb"\g<1>-\g<2>"),
    (rb'("(?:seq|n|seg|frames|len|off|err_ms)":)[0-9]+', rb"\g<1>9007199254740992"),
    (rb'("(?:n|seg)":)[0-9]+', rb"\g<1>100001"),
    (rb'("frames":)[0-9]+', rb"\g<1>1001"),
    (rb'("len":)[0-9]+', rb"\g<1>65553"),
    (rb'("len":)[0-9]+', rb"\g<1>8521760"),
    (rb"\A", b" "),
    (rb"\A", b"x"),
    (rb"\Z", b" "),
    (rb"\Z", b"x"),
    (rb"\Z", b"\n"),
    (rb"\Z", b"{}"),
]


@pytest.mark.parametrize(("pattern", "put"), NEAR_MISSES)
def test_what_the_short_ways_nearly_match_is_refused(pattern: bytes, put: bytes) -> None:
    head, signature, body = story()[13].split(b"\t")
    bodies_of_it = each_changed(body[:-1], pattern, put)
    assert bodies_of_it
    for changed in bodies_of_it:
        with pytest.raises(FormatError):
            bodies.decode_body("fragment", changed)
    for changed in each_changed(head, pattern, put):
        with pytest.raises(FormatError):
            entries.parse_line(b"%s\t%s\t%s" % (changed, signature, body))


def each_changed(data: bytes, pattern: bytes, put: bytes) -> list[bytes]:
    """The bytes with one match of the pattern replaced, for each of its matches."""
    return [data[: each.start()] + each.expand(put) + data[each.end() :] for each in re.finditer(pattern, data)]


@given(
    FRAGMENTS,
    st.sampled_from(sorted(bodies.FIELDS["fragment"] - {"salt"})),
    st.sampled_from(JUNK),
)
def test_a_fragment_made_of_something_else_is_refused(body: dict[str, Value], name: str, value: Value) -> None:
    made = made_or_none("fragment", {**body, name: value})
    assert made is None or entries.parse_line(made.line).body == {**body, name: value, "salt": SALT.hex()}


@pytest.mark.parametrize("kind", sorted(bodies.KINDS))
def test_a_body_has_all_its_fields_and_no_other(kind: str) -> None:
    body = body_of(kind)
    assert set(body) | {"salt"} == bodies.FIELDS[kind]
    for name in body:
        with pytest.raises(FormatError, match=rf"^{kind}\.{name}: missing$"):
            make(kind, {key: value for key, value in body.items() if key != name})
    with pytest.raises(FormatError, match=f"^{kind}: unknown field 'extra'$"):
        make(kind, {**body, "extra": None})


@pytest.mark.parametrize("kind", sorted(bodies.KINDS))
def test_any_value_in_any_field_is_made_and_read_or_refused(kind: str) -> None:
    body = body_of(kind)
    for name in body:
        for value in JUNK:
            changed: dict[str, Value] = {**body, name: value}
            made = made_or_none(kind, changed)
            if made is not None:
                read = entries.parse_line(made.with_signature(bytes(70)).line)
                assert read.body == {**changed, "salt": SALT.hex()}


HOSTILE_STAMPS = [
    Stamp(10**17, 1, TimeSource.RTC, 1, BOOT),
    Stamp(-(10**17), 1, TimeSource.RTC, 1, BOOT),
    Stamp(10**4000, 1, TimeSource.RTC, 1, BOOT),
    Stamp(1, -1, TimeSource.RTC, 1, BOOT),
    Stamp(1, 2**53, TimeSource.RTC, 1, BOOT),
    Stamp(1, 10**4000, TimeSource.RTC, 1, BOOT),
    Stamp(1, None, TimeSource.RTC, 1, BOOT),
    Stamp(None, 1, TimeSource.NONE, 1, BOOT),
    Stamp(None, None, TimeSource.BEACON, 1, BOOT),
    Stamp(1, 1, TimeSource.NONE, 1, BOOT),
    Stamp(1, 1, TimeSource.RTC, -1, BOOT),
    Stamp(1, 1, TimeSource.RTC, 2**63, BOOT),
    Stamp(1, 1, TimeSource.RTC, 1, ""),
    Stamp(1, 1, TimeSource.RTC, 1, "\ud800"),
]
HOSTILE_POSITIONS = [
    Position("", JID, 7, "ab" * 32),
    Position("CAM", JID, 7, "ab" * 32),
    Position('a","x":"', JID, 7, "ab" * 32),
    Position("\ud800", JID, 7, "ab" * 32),
    Position("cam", JID[1:], 7, "ab" * 32),
    Position("cam", JID, 0, "ab" * 32),
    Position("cam", JID, 7, fields.ZERO_HASH),
    Position("cam", JID, -1, "ab" * 32),
    Position("cam", JID, 2**53, "ab" * 32),
    Position("cam", JID, 7, "AB" * 32),
]


@pytest.mark.parametrize("stamp", HOSTILE_STAMPS, ids=range(len(HOSTILE_STAMPS)))
def test_a_stamp_that_no_head_can_carry_makes_no_entry(stamp: Stamp) -> None:
    with pytest.raises(FormatError):
        entries.make(POSITION, "reset", {"cause": "test"}, SALT, stamp)


@pytest.mark.parametrize("position", HOSTILE_POSITIONS, ids=range(len(HOSTILE_POSITIONS)))
def test_a_position_that_no_head_can_carry_makes_no_entry(position: Position) -> None:
    with pytest.raises(FormatError):
        entries.make(position, "reset", {"cause": "test"}, SALT, STAMP)


@pytest.mark.parametrize("salt", [b"", bytes(15), bytes(17)])
def test_a_salt_is_128_bits(salt: bytes) -> None:
    with pytest.raises(FormatError, match="salt"):
        entries.make(POSITION, "reset", {"cause": "test"}, salt, STAMP)


@pytest.mark.parametrize("kind", sorted(bodies.KINDS - {"fragment"}))
def test_only_a_fragment_may_go_without_a_signature(kind: str) -> None:
    made = make(kind, body_of(kind))
    with pytest.raises(FormatError, match=f"signature: a {kind} entry is always signed"):
        entries.parse_line(made.line)
    assert entries.parse_line(made.with_signature(bytes(70)).line) == made.with_signature(bytes(70))


@pytest.mark.parametrize("size", [7, 8, 72, 73])
def test_signatures_have_the_length_of_one(size: int) -> None:
    line = make("fragment", body_of("fragment")).with_signature(bytes(size)).line
    assert (parse_or_none(line) is not None) is (8 <= size <= 72)


def test_a_line_is_limited_to_the_byte_whoever_signs_it() -> None:
    """The longest entry that is made fits its line with the longest signature; one byte more is not made."""

    def alert(length: int) -> dict[str, Value]:
        values = {f"v{index:02d}": "\U0001f4a1" * 200 for index in range(15)}
        return {"cause": "c", "values": {**values, "w" * 64: "\U0001f4a1" * 200}, "remedy": "r" * length}

    sizes = [len(make("alert", alert(length)).with_signature(bytes(72)).line) for length in (1, 64)]
    assert sizes[1] - sizes[0] == 63
    assert sizes[1] <= MAX_LINE_BYTES

    def genesis(sizes: list[int]) -> Entry:
        chain = [fields.encode_base64(bytes(size)) for size in sizes]
        return make("genesis", {**body_of("genesis"), "chain": chain})

    base = len(genesis([3000, 3000, 3000, 300]).with_signature(bytes(72)).line)
    room = (MAX_LINE_BYTES - base) // 4 * 3
    longest = genesis([3000, 3000, 3000, 300 + room])
    assert MAX_LINE_BYTES - 4 < len(longest.with_signature(bytes(72)).line) <= MAX_LINE_BYTES
    with pytest.raises(FormatError, match="is more than 16384"):
        genesis([3000, 3000, 3000, 300 + room + 3])


WORST = "\U0001f4a1"


def largest(name: str) -> dict[str, Value]:
    """The largest statement of that type, as far as its own checks let it grow."""
    value: dict[str, Value] = {**VALUES[name]}  # type: ignore[dict-item]  # a vector's values are JSON
    if name != "policy":
        value |= {"agency": "a" * 32, "dock": "d" * 32, "dev": "c" * 32, "dseq": MAX_INTEGER}
    grown: dict[str, dict[str, Value]] = {
        "assign": {"service": WORST * 100, "sector": '"' * 100},
        "receipt": {"store": "\\" * 200, "version": WORST * 200, "rec": f"{'c' * 32}-{JID[:8]}-{'9' * 16}"},
        "token": {"tsr": fields.encode_base64(bytes(40_000))},
        "config": {"values": {f"{'k' * 62}{index:02d}": ('"' if index % 2 else WORST) * 100 for index in range(16)}},
    }
    return {**value, **grown.get(name, {})}


@pytest.mark.parametrize("kind", sorted(bodies.STATEMENT_KINDS | {"config"}))
def test_the_largest_statement_of_a_dock_fits_into_an_entry(kind: str) -> None:
    text = statement.compose(kind, largest(kind))
    embedded = statement.parse_line(text + b"\t" + fields.encode_base64(bytes(72)).encode() + b"\n").embedded
    body: dict[str, Value] = {"statement": embedded}
    made = make(kind, {**body, "hash": "0" * 64} if kind == "config" else body)
    assert len(made.with_signature(bytes(72)).line) <= bodies.line_limit(kind)


@pytest.mark.parametrize("kind", sorted(bodies.STATEMENT_KINDS | {"config"}))
def test_a_body_holds_the_statement_of_its_kind_only(kind: str) -> None:
    body = body_of(kind)
    for other in sorted((bodies.STATEMENT_KINDS | {"config"}) - {kind}):
        with pytest.raises(FormatError, match=rf"^{kind}\.statement: is a {other}$"):
            make(kind, {**body, "statement": body_of(other)["statement"]})


@given(st.binary(max_size=300))
@example(b"\t\t\n")
@example(b"-\t-\t-\n")
@example(b"\xff\t-\t-\n")
def test_bytes_from_anywhere_are_an_entry_or_a_format_error(data: bytes) -> None:
    assert parse_or_none(data) is None


def test_withheld_bodies_leave_head_and_signature() -> None:
    whole = make("mark", body_of("mark")).with_signature(bytes(70))
    withheld = entries.parse_line(whole.without_body().line)
    assert withheld.line.endswith(b"\t-\n")
    assert (withheld.head, withheld.digest, withheld.signature) == (whole.head, whole.digest, whole.signature)
