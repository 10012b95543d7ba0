"""The doctor's findings as people and programs read them. Pure.

Guarantees: everything printable, whatever names and values hold; the table has no line longer than its texts, and needs
no colour; the object for programs has codes, values and both languages.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from agent.catalogue import LANGUAGES, say
from agent.doctor import worst
from agent.finding import Finding
from agent.terminal import printable
from agent.troubles import Check, Level

_GAP = "  "


def exit_code(found: tuple[Finding, ...]) -> int:
    """0: nothing keeps the camera from recording as it should; 1: something does; 2: nothing could be looked at."""
    if any(finding.check is Check.CONFIGURATION and finding.level is Level.ERROR for finding in found):
        return 2
    return 1 if worst(found) is Level.ERROR else 0


def text(finding: Finding, language: str) -> str:
    """The finding in words, without its remedy. Values that are words themselves are said in the same language."""
    values: dict[str, str | int] = dict(finding.values)
    for name in ("colour", "pattern"):
        if name in values:
            values[name] = say(f"{name}.{values[name]}", language)
    if finding.about is not None:
        values["about"] = say(finding.about, language, **dict(finding.about_values))
    return printable(say(f"doctor.{finding.code}", language, **values))


def lines(found: tuple[Finding, ...], language: str) -> list[str]:
    """A table: level, what was looked at, what was found; its remedy on a line of its own; the sum last."""
    levels = {level: say(f"level.{level}", language) for level in Level}
    checks = {check: say(f"check.{check}", language) for check in Check}
    level_width, check_width = (max(map(len, each.values())) for each in (levels, checks))
    said: list[str] = []
    for finding in found:
        front = f"{levels[finding.level]:<{level_width}}{_GAP}{checks[finding.check]:<{check_width}}{_GAP}"
        said.append(front + text(finding, language))
        if finding.remedy is not None:
            said.append(" " * len(front) + "→ " + printable(say(f"remedy.{finding.remedy}", language)))
    counts = {level: sum(finding.level is level for finding in found) for level in Level}
    key = "sum_well" if counts[Level.ERROR] + counts[Level.WARNING] == 0 else "sum"
    said.append(say(f"level.{key}", language, errors=counts[Level.ERROR], warnings=counts[Level.WARNING]))
    return said


def as_json(found: tuple[Finding, ...]) -> str:
    """The same for programs: one object, `findings` in the order of the table."""
    said = {"worst": worst(found).value, "findings": [_object(finding) for finding in found]}
    return json.dumps(said, indent=2) + "\n"


def _object(finding: Finding) -> Mapping[str, object]:
    remedy = finding.remedy
    return {
        "check": finding.check.value,
        "level": finding.level.value,
        "code": finding.code,
        "about": finding.about,
        "values": {**finding.about_values, **finding.values},
        "text": {language: text(finding, language) for language in LANGUAGES},
        "remedy": None
        if remedy is None
        else {"code": remedy, **{language: say(f"remedy.{remedy}", language) for language in LANGUAGES}},
    }
