"""The dock's log: one JSON object a line, for machines first (journald, Loki) and readable by people.

Guarantees: a line is whole and has no control characters whatever a camera put into its fields; it names cameras,
recordings and causes, never a ticket, key, wearer or picture. Not evidence: that is the dock's own journal.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import TextIO

from agent.formats.fields import format_utc

MAX_TEXT = 300


class Log:
    """Writes to `stream`, the standard error unless told otherwise. `now_ms` is UTC."""

    def __init__(self, now_ms: Callable[[], int], stream: TextIO | None = None) -> None:
        self._now_ms = now_ms
        self._stream = stream

    def write(self, event: str, **fields: str | int | bool | None) -> None:
        """One event: its name, and what it is about."""
        shown = {key: value[:MAX_TEXT] if isinstance(value, str) else value for key, value in fields.items()}
        line = json.dumps({"utc": format_utc(self._now_ms()), "event": event, **shown}, ensure_ascii=True)
        stream = self._stream or sys.stderr
        stream.write(line + "\n")
        stream.flush()
