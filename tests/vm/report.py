"""What the machine says to this side: one JSON object a line, on a serial port of its own. Read strictly.

`begin` comes first, `end` last; each test was `collected`, then has `start`ed, then is `done`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

MAX_TEXT = 4000


class ReportError(ValueError):
    """A line that is none of ours."""


@dataclass(frozen=True, slots=True)
class Begin:
    """The machine is up, with these drivers. `seconds` since its kernel started."""

    kernel: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Collected:
    """A test that will run."""

    test: str


@dataclass(frozen=True, slots=True)
class Start:
    """A test that runs now."""

    test: str


@dataclass(frozen=True, slots=True)
class Done:
    """How it went; `figures` is what it measured, `text` what it has to say if it did not pass."""

    test: str
    outcome: str
    ms: int
    text: str = ""
    figures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """Nothing comes any more. `code` is pytest's."""

    code: int


Line = Begin | Collected | Start | Done | End
_KINDS: dict[str, type[Line]] = {kind.__name__.lower(): kind for kind in (Begin, Collected, Start, Done, End)}
_TYPES: dict[str, type] = {"seconds": int, "ms": int, "code": int, "figures": dict}  # every other one: str
OUTCOMES = ("passed", "failed", "skipped")


def encode(line: Line) -> str:
    """With its newline."""
    return json.dumps({"line": type(line).__name__.lower(), **asdict(line)}, sort_keys=True) + "\n"


def parse(text: str) -> Line:
    """Raises ReportError unless `encode` made it."""
    try:
        found = json.loads(text)
        kind = _KINDS[found.pop("line")]
        line = kind(**found)
        if any(type(value) is not _TYPES.get(name, str) for name, value in asdict(line).items()):
            raise ReportError(text)
        if encode(line) != text or (isinstance(line, Done) and line.outcome not in OUTCOMES):
            raise ReportError(text)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ReportError(f"not a line of the machine's: {text[:200]!r}") from None
    return line
