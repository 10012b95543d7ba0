"""The words that officers and dock staff read, French and English: agent/catalogue.toml, read at the first use.

Guarantees: never fails on a word that is missing or a value that is not given: the key, or the value's name in braces,
is said instead. Tests hold the file complete: every key in both languages, with the same values.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib import resources

LANGUAGES = ("fr", "en")
DEFAULT_LANGUAGE = "fr"


def say(key: str, language: str, /, **values: str | int) -> str:
    """The text of `key` (`table.name`, as in `refusal.card_full`) in `fr` or `en`, French for any other language.

    Values come from the journal and may have any name: the other arguments have none.
    """
    texts = _catalogue().get(key)
    if texts is None:
        return key
    text = texts.get(language, texts[DEFAULT_LANGUAGE])
    return text.format_map(_Values({name: str(value) for name, value in values.items()}))


def keys() -> frozenset[str]:
    """Every key that has words."""
    return frozenset(_catalogue())


class _Values(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return f"{{{name}}}"


@lru_cache(maxsize=1)
def _catalogue() -> Mapping[str, Mapping[str, str]]:
    text = resources.files("agent").joinpath("catalogue.toml").read_text(encoding="utf-8")
    return {f"{table}.{name}": texts for table, names in tomllib.loads(text).items() for name, texts in names.items()}
