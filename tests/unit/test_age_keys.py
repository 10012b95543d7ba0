"""Recipients, identities, header: one text for one value, and no secret in anything that is shown."""

from __future__ import annotations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import age, bech32
from agent.formats.age import RecipientKind
from agent.formats.age_header import MAX_HEADER_BYTES, Stanza, decode_base64, encode_base64, encode_header, read_header

SECRETS = st.binary(min_size=32, max_size=32)
PREFIXES = st.sampled_from(["age", "age1pq", "AGE-SECRET-KEY-", "AGE-SECRET-KEY-PQ-"])


@settings(deadline=None)
@given(PREFIXES, st.binary(max_size=80))
def test_bech32_gives_back_what_it_wrote(prefix: str, data: bytes) -> None:
    text = bech32.encode(prefix, data)
    assert text in (text.lower(), text.upper())
    assert bech32.decode(prefix, text, "here") == data


@settings(deadline=None)
@given(PREFIXES, st.binary(max_size=40), st.data())
def test_bech32_finds_a_changed_character(prefix: str, data: bytes, choose: st.DataObject) -> None:
    text = bech32.encode(prefix, data)
    place = choose.draw(st.integers(0, len(text) - 1))
    character = choose.draw(st.characters(min_codepoint=32, max_codepoint=126))
    assume(character != text[place])
    with pytest.raises(FormatError):
        bech32.decode(prefix, text[:place] + character + text[place + 1 :], "here")


@settings(deadline=None)
@given(st.text(alphabet="qpzry9x8gf2tvdw0s3jn54khce6mua7l", max_size=20))
def test_bech32_accepts_only_what_it_writes(characters: str) -> None:
    text = f"age1{characters}"
    try:
        data = bech32.decode("age", text, "here")
    except FormatError:
        return
    assert bech32.encode("age", data) == text


@settings(deadline=None)
@given(st.text(alphabet="AQgw/+=- \n\r", max_size=9))
def test_base64_accepts_only_what_it_writes(text: str) -> None:
    try:
        data = decode_base64(text, "here")
    except FormatError:
        return
    assert encode_base64(data) == text


@settings(max_examples=20, deadline=None)
@given(st.sampled_from(RecipientKind), SECRETS)
def test_a_generated_identity_and_its_recipient_parse(kind: RecipientKind, secret: bytes) -> None:
    text = age.generate_identity(kind, lambda size: secret[:size])
    identity = age.parse_identity(text)
    assert (identity.kind, identity.secret) == (kind, secret)
    assert age.parse_recipient(identity.recipient().text) == identity.recipient()


@pytest.mark.parametrize("kind", RecipientKind)
def test_no_secret_is_shown(kind: RecipientKind) -> None:
    text = age.generate_identity(kind, lambda size: bytes(range(size)))
    identity = age.parse_identity(text)
    assert repr(identity) == f"Identity(kind={kind!r})"
    secret_part = text[len("AGE-SECRET-KEY-PQ-1") :]
    for wrong in (text[:-1] + "!", text[:-1] + text[0], text[:-8], text.lower(), text + text, f" {text}"):
        with pytest.raises(FormatError) as caught:
            age.parse_identity(wrong)
        said = str(caught.value).upper()
        assert not any(secret_part[start : start + 6] in said for start in range(len(secret_part) - 6))


def recipient_of(filler: bytes) -> str:
    return age.parse_identity(age.generate_identity(RecipientKind.CLASSIC, lambda size: filler * size)).recipient().text


def test_recipients_keep_their_order() -> None:
    texts = [recipient_of(filler) for filler in (b"3", b"1", b"2")]
    assert [recipient.text for recipient in age.parse_recipients(texts)] == texts


IDENTITY = age.generate_identity(RecipientKind.CLASSIC, lambda size: b"7" * size)


def test_an_identity_file_has_comments_and_empty_lines() -> None:
    hybrid = age.generate_identity(RecipientKind.POST_QUANTUM, lambda size: b"8" * size)
    text = f"# created: 2026-01-01T00:00:00Z\n# public key: age1...\n{IDENTITY}\n\n{hybrid}\n"
    assert age.parse_identities(text) == (age.parse_identity(IDENTITY), age.parse_identity(hybrid))
    assert age.parse_identities(IDENTITY) == (age.parse_identity(IDENTITY),)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "identity: there is none"),
        ("# nothing here\n\n", "identity: there is none"),
        (f"# one\n{IDENTITY[:-1]}\n", "identity, line 2: the checksum is wrong"),
        (f"{IDENTITY}\n {IDENTITY}\n", "identity, line 2: does not begin with AGE-SECRET-KEY-1"),
        ("AGE-PLUGIN-YUBIKEY-1QQQ\n", "identity, line 1: does not begin with AGE-SECRET-KEY-1"),
    ],
)
def test_a_wrong_identity_file_is_refused_by_line(text: str, error: str) -> None:
    with pytest.raises(FormatError) as caught:
        age.parse_identities(text)
    assert str(caught.value).startswith(error)


ARGUMENTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9)
STANZAS = st.builds(
    Stanza,
    type=ARGUMENTS.map(lambda text: f"example/{text}"),
    arguments=st.lists(ARGUMENTS, max_size=3).map(tuple),
    body=st.binary(max_size=100) | st.sampled_from([bytes(47), bytes(48), bytes(49), bytes(96)]),
)
FILE_KEY = bytes(16)


@settings(deadline=None)
@given(st.lists(STANZAS, min_size=1, max_size=4), st.binary(max_size=20))
def test_a_header_gives_back_its_stanzas(stanzas: list[Stanza], after: bytes) -> None:
    raw = encode_header(stanzas, FILE_KEY)
    header = read_header(raw + after)
    assert list(header.stanzas) == stanzas
    assert header.raw == raw


@settings(deadline=None)
@given(st.lists(STANZAS, min_size=1, max_size=2), st.data())
def test_a_header_has_one_encoding(stanzas: list[Stanza], choose: st.DataObject) -> None:
    """Whatever is done to the bytes, what is accepted is exactly what the stanzas read from it encode to."""
    raw = bytearray(encode_header(stanzas, FILE_KEY))
    place = choose.draw(st.integers(0, len(raw) - 1))
    raw[place : place + choose.draw(st.integers(0, 1))] = choose.draw(
        st.sampled_from([b"", b"\n", b" ", b"A", b"=", b"\r", b"-"])
    )
    try:
        header = read_header(bytes(raw))
    except FormatError:
        return
    lines = b"".join(stanza.encode() for stanza in header.stanzas)
    assert header.raw == b"age-encryption.org/v1\n" + lines + b"--- " + encode_base64(header.mac).encode() + b"\n"


def test_a_header_of_exactly_the_limit_is_read() -> None:
    body = bytes(48 * 1_000)
    missing = MAX_HEADER_BYTES - len(encode_header([Stanza("example/large", ("x",), body)], FILE_KEY))
    padding = "x" * (1 + missing)
    raw = encode_header([Stanza("example/large", (padding,), body)], FILE_KEY)
    assert len(raw) == MAX_HEADER_BYTES
    assert read_header(raw + b"payload").raw == raw
    with pytest.raises(FormatError, match="does not end within 65536 bytes"):
        read_header(raw.replace(padding.encode(), padding.encode() + b"x"))
