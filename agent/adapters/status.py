"""`<run>/status.json`: what the agent says of itself, for `temoin status`. Not evidence, and never durable.

Guarantees: readers see a whole status or the one before. Assumes that `run` is on a file system in memory.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path

from agent.errors import ConfigError

FILE = "status.json"
MAX_BYTES = 64 * 1024


def write_status(run: Path, status: Mapping[str, object]) -> None:
    """Replace the status. A run folder that cannot be written never stops a recording."""
    new = run / f"{FILE}.new"
    with contextlib.suppress(OSError):
        new.write_text(json.dumps(status), encoding="utf-8")
        new.replace(run / FILE)


def read_status(run: Path) -> Mapping[str, object]:
    """The newest status. Raises ConfigError when there is none."""
    file = run / FILE
    try:
        with file.open("rb") as opened:
            found = json.loads(opened.read(MAX_BYTES))
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(str(file), f"no status ({error})", "start the agent with temoin run") from None
    if not isinstance(found, dict):
        raise ConfigError(str(file), "is not a status", "start the agent again")
    return found
