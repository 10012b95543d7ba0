"""The tables of docs/officer.md, made from agent/states.py and the catalogue.

`python -m tests.support.officer` rewrites them. A table stands between `<!-- NAME -->` and `<!-- / -->`; the text
around it is written by hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.catalogue import say
from agent.model import Activity, Condition, Light
from agent.states import CUES, PANEL, RED, PanelRow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "officer.md"
END = "<!-- / -->"
_LIGHT_HEAD = {"fr": ("Témoin", "Ce que fait la caméra"), "en": ("Light", "What the camera is doing")}
_CUE_HEAD = {"fr": ("Quand", "Son", "Vibration"), "en": ("When", "Sound", "Vibration")}
_CONDITION_HEAD = {"fr": ("Ce que dit `temoin status`", "Code"), "en": ("What `temoin status` says", "Code")}
_SAFE = {"fr": "à l’abri sur la carte, seconde par seconde", "en": "safe on the card, second by second"}
_NOT_SAFE = {"fr": "mais les dernières secondes ne sont pas à l’abri", "en": "but the last seconds are not safe"}


def tables() -> dict[str, str]:
    """Name of each table, as in the page's comments, to its lines."""
    made: dict[str, str] = {}
    for language in ("fr", "en"):
        made[f"lights-{language}"] = _table(_LIGHT_HEAD[language], _lights(language))
        made[f"cues-{language}"] = _table(_CUE_HEAD[language], _cues(language))
        conditions = [(say(f"condition.{one}", language), f"`{one}`") for one in Condition]
        made[f"conditions-{language}"] = _table(_CONDITION_HEAD[language], conditions)
    return made


def rewritten(page: str) -> str:
    """The page with its tables made anew. ValueError when one has no place in it."""
    for name, table in tables().items():
        start = f"<!-- {name} -->\n"
        before, found, rest = page.partition(start)
        _, ended, after = rest.partition(END)
        if not found or not ended:
            raise ValueError(f"no place for the table {name}")
        page = before + start + table + END + after
    return page


def _lights(language: str) -> list[tuple[str, str]]:
    recording = say(f"activity.{Activity.RECORDING}", language)
    red = (_light(RED, language), f"{recording}, {_SAFE[language]}")
    return [red, *((_light(row.light, language), _when(row, language)) for row in PANEL)]


def _light(light: Light, language: str) -> str:
    return f"**{say(f'colour.{light.colour}', language)}** {say(f'pattern.{light.pattern}', language)}"


def _when(row: PanelRow, language: str) -> str:
    activities = " / ".join(say(f"activity.{one}", language) for one in Activity if one in row.activities)
    if Activity.RECORDING in row.activities:
        return f"{activities}, {_NOT_SAFE[language]}"
    conditions = "; ".join(say(f"condition.{one}", language) for one in Condition if one in row.conditions)
    return f"{activities} ({conditions})" if conditions else activities


def _cues(language: str) -> list[tuple[str, str, str]]:
    return [
        (
            say(f"moment.{moment}", language),
            say(f"tone.{cue.tone}", language),
            say(f"vibration.{cue.vibration}", language),
        )
        for moment, cue in CUES.items()
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
