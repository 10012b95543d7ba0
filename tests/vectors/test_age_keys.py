"""Every recipient and identity vector through its parser, and the script still making the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest

from agent.errors import FormatError
from agent.formats import age
from tests.support.vectors import differences
from tests.vectors import make_age_keys

FOLDER = Path(__file__).parent / "age_keys"


class Pair(TypedDict):
    identity: str
    recipient: str
    kind: str


class WrongText(TypedDict):
    name: str
    text: str
    error: str


class WrongList(TypedDict):
    name: str
    texts: list[str]
    error: str


class Keys(TypedDict):
    pairs: list[Pair]
    wrong_recipients: list[WrongText]
    wrong_identities: list[WrongText]
    wrong_lists: list[WrongList]


KEYS: Keys = json.loads((FOLDER / "keys.json").read_text())


def test_the_script_still_makes_these_bytes() -> None:
    assert differences(FOLDER, make_age_keys.generate()) == []


@pytest.mark.parametrize("pair", KEYS["pairs"], ids=lambda pair: f"{pair['identity'][:22]}")
def test_pair(pair: Pair) -> None:
    identity, recipient = age.parse_identity(pair["identity"]), age.parse_recipient(pair["recipient"])
    assert identity.recipient() == recipient
    assert (identity.kind, recipient.kind) == (pair["kind"], pair["kind"])
    assert recipient.text == pair["recipient"]
    assert age.generate_identity(identity.kind, lambda _: identity.secret) == pair["identity"]


@pytest.mark.parametrize("wrong", KEYS["wrong_recipients"], ids=lambda wrong: wrong["name"])
def test_wrong_recipient(wrong: WrongText) -> None:
    with pytest.raises(FormatError) as caught:
        age.parse_recipient(wrong["text"])
    assert str(caught.value) == wrong["error"]


@pytest.mark.parametrize("wrong", KEYS["wrong_identities"], ids=lambda wrong: wrong["name"])
def test_wrong_identity(wrong: WrongText) -> None:
    with pytest.raises(FormatError) as caught:
        age.parse_identity(wrong["text"])
    assert str(caught.value) == wrong["error"]


@pytest.mark.parametrize("wrong", KEYS["wrong_lists"], ids=lambda wrong: wrong["name"])
def test_wrong_list(wrong: WrongList) -> None:
    with pytest.raises(FormatError) as caught:
        age.parse_recipients(wrong["texts"])
    assert str(caught.value) == wrong["error"]


def test_the_classic_example_of_the_specification() -> None:
    """Both strings as c2sp.org/age prints them."""
    identity = age.parse_identity("AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX")
    assert identity.recipient().text == "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def test_the_hybrid_example_of_the_specification() -> None:
    """Its 1,959 characters by their two ends: the last six are the checksum of all."""
    identity = age.parse_identity("AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR")
    text = identity.recipient().text
    assert len(text) == 1_959
    assert text.startswith(
        "age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrqtzdxz95paef6caq5aapdmwjj"
    )
    assert text.endswith("pfqdkmhh6gjtqmwze9pyyzk3tlhl53k2ykx3qheyty7saeq0d3fzv49zc0k")
