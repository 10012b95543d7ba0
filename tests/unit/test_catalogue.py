"""Every word that the camera can need exists, in both languages, with the same values."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

import pytest

import agent
from agent.catalogue import LANGUAGES, keys, say
from agent.health import Outcome, SelfCheck
from agent.model import (
    Activity,
    Colour,
    Condition,
    GapCause,
    NoticeState,
    Pattern,
    StopCause,
    TimeSource,
    Tone,
    Vibration,
)
from agent.states import Moment
from agent.troubles import SELFTEST

ROOT = Path(agent.__file__).parent
TABLES: dict[str, type[StrEnum]] = {
    "activity": Activity,
    "condition": Condition,
    "colour": Colour,
    "pattern": Pattern,
    "tone": Tone,
    "vibration": Vibration,
    "moment": Moment,
    "notice": NoticeState,
    "stop": StopCause,
    "gap": GapCause,
    "time": TimeSource,
}
FILE = tomllib.loads((ROOT / "catalogue.toml").read_text(encoding="utf-8"))


def source() -> str:
    """The agent's own modules, without their tests."""
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py")))


@pytest.mark.parametrize("table", TABLES)
def test_every_value_has_words_and_every_word_a_value(table: str) -> None:
    assert set(FILE[table]) == {value.value for value in TABLES[table]}


def test_every_outcome_of_a_self_test_has_words_and_every_trouble_its_remedy() -> None:
    """Clock and key are never unknown: that nobody knows the time is what is found."""
    can_be_unknown = set(SelfCheck) - {SelfCheck.CLOCK, SelfCheck.KEY}
    found = {
        *((check, Outcome.WELL) for check in SelfCheck),
        *((check, Outcome.UNKNOWN) for check in can_be_unknown),
        *SELFTEST,
    }
    assert set(FILE["selftest"]) == {f"{check}_{outcome}" for check, outcome in found}
    assert all(f"remedy.{remedy}" in keys() for remedy in SELFTEST.values())


@pytest.mark.parametrize("key", sorted(keys()))
def test_a_key_has_both_languages_with_the_same_values(key: str) -> None:
    table, name = key.split(".")
    texts = FILE[table][name]
    assert tuple(texts) == LANGUAGES
    assert all(text.strip() == text and text and "\n" not in text for text in texts.values())
    french, english = ([field for _, field, _, _ in string.Formatter().parse(texts[one])] for one in LANGUAGES)
    assert sorted(filter(None, french)) == sorted(filter(None, english))


def written(*patterns: str) -> Iterable[str]:
    text = source()
    return sorted({found for pattern in patterns for found in re.findall(pattern, text)})


@pytest.mark.parametrize(
    ("table", "patterns"),
    [
        ("refusal", (r'Unavailable\(\s*"([a-z_]+)"',)),
        ("alert", (r'(?:\b|_)alert\(\s*"([a-z_]+)"', r'"alert", \{"cause": "([a-z_]+)"')),
        ("remedy", (r'"remedy": "([a-z_]+)"', r'(?:\b|_)alert\([^\n]*, "([a-z_]+)"\)')),
    ],
)
def test_every_cause_and_remedy_that_the_agent_writes_has_words(table: str, patterns: tuple[str, ...]) -> None:
    missing = [name for name in written(*patterns) if f"{table}.{name}" not in keys()]
    assert missing == []


def test_every_key_that_the_agent_says_exists() -> None:
    missing = [key for key in written(r'\bsay\(\s*"([a-z_.]+)"') if key not in keys()]
    assert missing == []


def test_values_go_in_as_they_are() -> None:
    assert say("alert.battery_low", "en", percent=5) == "Battery at 5 %"
    assert say("refusal.card_unwritable", "fr", problem="{x} }{") == "La carte refuse l’écriture : {x} }{"


def test_a_missing_word_or_value_is_said_and_never_raised() -> None:
    assert say("alert.unheard_of", "fr") == "alert.unheard_of"
    assert say("alert.battery_low", "en") == "Battery at {percent} %"
    assert say("colour.red", "de") == "rouge"
