"""What a journal says while its camera runs: every whole line so far, read as anybody could."""

from __future__ import annotations

from pathlib import Path

from agent.formats.canonical import Object
from agent.formats.entries import Entry, parse_line


def entries(data: Path) -> list[Entry]:
    """In order; a line that is repeated across a file border counts once."""
    found: dict[int, Entry] = {}
    for path in sorted((data / "journal").glob("*.log")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            entry = parse_line(line + b"\n")
            found[entry.head.seq] = entry
    return list(found.values())


def bodies(data: Path, kind: str) -> list[Object]:
    """The bodies of all entries of that kind, without those that were erased."""
    return [entry.body for entry in entries(data) if entry.head.kind == kind and entry.body is not None]
