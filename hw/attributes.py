"""Attributes that the kernel shows as small text files (sysfs).

Guarantees: never fails: what is absent, unreadable or not of the form that is asked for is None, never a guess; at most
64 bytes of a file are read.
"""

from __future__ import annotations

import re
from pathlib import Path

READ_BYTES = 64


def matched(path: Path, form: re.Pattern[str]) -> re.Match[str] | None:
    """The attribute, its newline included, as the whole of `form`."""
    try:
        with path.open("rb") as file:
            return form.fullmatch(file.read(READ_BYTES + 1).decode("ascii"))
    except (OSError, UnicodeDecodeError):
        return None


def first(path: Path, form: re.Pattern[str]) -> str | None:
    """The first group of `form` in the attribute."""
    match = matched(path, form)
    return None if match is None else match[1]
