"""One line of the doctor: its code, which agent/troubles.py gives level and remedy, and the values of its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.troubles import FINDINGS, Check, Level

Values = Mapping[str, str | int]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor. `about` and `about_values`: another entry of the catalogue that this one is about.

    `remedy` replaces the usual one, where what it is about has its own.
    """

    code: str
    values: Values = field(default_factory=dict)
    about: str | None = None
    about_values: Values = field(default_factory=dict)
    own_remedy: str | None = None

    @property
    def check(self) -> Check:
        return FINDINGS[self.code].check

    @property
    def level(self) -> Level:
        return FINDINGS[self.code].advice.level

    @property
    def remedy(self) -> str | None:
        return self.own_remedy or FINDINGS[self.code].advice.remedy
