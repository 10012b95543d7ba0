"""The tables of docs/operations-camera.md, made from agent/troubles.py and the catalogue.

`python -m tests.support.operations` rewrites them. A table stands between `<!-- NAME -->` and `<!-- / -->`; the text
around it is written by hand.
"""

from __future__ import annotations

from pathlib import Path

from agent.catalogue import LANGUAGES, keys, say
from agent.health import Outcome, SelfCheck
from agent.troubles import AGENT, CONDITIONS, FINDINGS, REFUSALS, SELFTEST, Advice, Check, Level

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations-camera.md"
END = "<!-- / -->"
_HEAD = "| Code | What is said | What to do |\n| --- | --- | --- |\n"


def tables() -> dict[str, str]:
    """Name of each table, as in the page's comments, to its lines. What is well has no row."""
    alerts = sorted(key for key in keys() if key.startswith("alert."))
    return {
        "agent": _HEAD + "".join(_row(f"agent.{state}", advice) for state, advice in AGENT.items()),
        "refusals": _HEAD + "".join(_row(f"refusal.{cause}", advice) for cause, advice in REFUSALS.items()),
        "conditions": _HEAD + "".join(_row(f"condition.{one}", advice) for one, advice in CONDITIONS.items()),
        "selftest": _HEAD + "".join(_tested(*row) for row in SELFTEST.items()),
        "doctor": "".join(_findings_of(check) for check in Check),
        "alerts": "| Code | What is said |\n| --- | --- |\n"
        + "".join(f"| `{key}` | {_said(key)} |\n" for key in alerts),
    }


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


def _findings_of(check: Check) -> str:
    rows = "".join(_row(f"doctor.{code}", kind.advice) for code, kind in FINDINGS.items() if kind.check is check)
    return f"\n**{say(f'check.{check}', 'en')}** ({say(f'check.{check}', 'fr')})\n\n{_HEAD}{rows}" if rows else ""


def _tested(found: tuple[SelfCheck, Outcome], remedy: str) -> str:
    check, outcome = found
    key = f"selftest.{check}_{outcome}"
    return f"| `{key}` | {_said(key)} | {_said(f'remedy.{remedy}')} |\n"


def _row(key: str, advice: Advice) -> str:
    if advice.level is Level.OK or advice.remedy is None:
        return ""
    level = say(f"level.{advice.level}", "en")
    return f"| `{key}` ({level}) | {_said(key)} | {_said(f'remedy.{advice.remedy}')} |\n"


def _said(key: str) -> str:
    """Both languages in one cell; a value is written as its name."""
    return "<br>".join(say(key, language).replace("{", "*").replace("}", "*") for language in reversed(LANGUAGES))


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
