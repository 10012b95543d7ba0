"""What must hold of a camera and its dock after whatever happened between them. Every failure is a FaultsError."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from pathlib import Path

from agent.evidence.verify import verify
from agent.formats import fields
from agent.formats.entries import Entry, parse_line
from agent.formats.statement import parse_in
from agent.store.segments import segment_path
from tests.support.agency import TestAgency

AFTERWARDS = frozenset({"ack", "beacon", "undock", "shutdown", "refused", "checkpoint"})
"""Entries that a camera may write about the end of a docking, and hands over at the next one."""
OF_A_COPY = frozenset({"elsewhere", "copy", "purged"})
"""Reasons in which a card that has been emptied differs from its copy."""


class FaultsError(AssertionError):
    """Something that camera and dock must never do together."""


def read_journal(folder: Path) -> dict[int, Entry]:
    """All whole entries of a journal's folder by number; an entry that is there twice must be the same."""
    found: dict[int, Entry] = {}
    for path in sorted((folder / "journal").glob("*.log")):
        for line in path.read_bytes().split(b"\n")[:-1]:
            entry = parse_line(line + b"\n")
            if found.setdefault(entry.head.seq, entry).line != entry.line:
                raise FaultsError(f"{folder}: entry {entry.head.seq} is there twice, and not the same")
    return found


def key_of(entry: Entry) -> tuple[str, int]:
    """The segment that this entry is about."""
    body = entry.body
    assert body is not None
    value = parse_in(body).value if "statement" in body else body
    return fields.text_of(value, "rec"), fields.integer_of(value, "seg")


def in_the_end(card: Path, archive: Path, before: dict[int, Entry], agency: TestAgency) -> int:
    """`before` is what the camera had when it first came. Returns the number of segments that were compared."""
    ours, theirs = read_journal(card), read_journal(archive)
    ours = {**before, **ours}
    _check_entries(ours, theirs)
    compared = _check_blobs(card, archive, ours)
    _check_order(ours)
    _check_verdicts(card, archive, agency)
    strangers = [path.name for path in archive.parent.iterdir() if path.name.startswith((f"{archive.name}.", "fork"))]
    strangers += [path.name for path in archive.glob("fork-*")]
    if strangers:
        raise FaultsError(f"{archive}: {strangers}")
    return compared


def _check_entries(ours: dict[int, Entry], theirs: dict[int, Entry]) -> None:
    if sorted(theirs) != list(range(len(theirs))):
        raise FaultsError("the archive has holes")
    for seq, entry in theirs.items():
        if seq not in ours or ours[seq].line != entry.line:
            raise FaultsError(f"entry {seq} of the archive is not the camera's")
    left = [ours[seq].head.kind for seq in range(len(theirs), len(ours))]
    if set(left) - AFTERWARDS:
        raise FaultsError(f"not in the archive: {left}")


def _check_blobs(card: Path, archive: Path, ours: dict[int, Entry]) -> int:
    sealed = {key_of(entry): entry for entry in ours.values() if entry.head.kind == "segment.seal"}
    files = Counter(path.name.split(".")[0] for path in (archive / "segments").glob("*/*"))
    if sum(files.values()) != len(sealed):
        raise FaultsError(f"the archive has {sum(files.values())} files for {len(sealed)} segments")
    for key, entry in sealed.items():
        assert entry.body is not None
        data = (archive / segment_path(*key)).read_bytes()
        if hashlib.sha256(data).hexdigest() != entry.body["blob"]:
            raise FaultsError(f"{key}: other bytes in the archive")
        if (card / segment_path(*key)).exists():
            raise FaultsError(f"{key}: is still on the card, though the policy purges at once")
    return len(sealed)


def _check_order(ours: dict[int, Entry]) -> None:
    """Every purge comes after its receipt, and each comes once."""
    seen: Counter[tuple[str, tuple[str, int]]] = Counter()
    for _, entry in sorted(ours.items()):
        if entry.head.kind == "purge" and not seen["receipt", key_of(entry)]:
            raise FaultsError(f"{key_of(entry)}: purged without a receipt")
        if entry.head.kind in ("purge", "receipt"):
            seen[entry.head.kind, key_of(entry)] += 1
    twice = [what for what, count in seen.items() if count > 1]
    if twice:
        raise FaultsError(f"entries that are there twice: {twice}")


def _check_verdicts(card: Path, archive: Path, agency: TestAgency) -> None:
    now_ms = time.time_ns() // 1_000_000
    camera, copy = (verify(each, agency.root_pem, now_ms=now_ms) for each in (card, archive))
    codes = [{reason.code for reason in each.reasons} - OF_A_COPY for each in (camera, copy)]
    if camera.verdict is not copy.verdict or codes[0] != codes[1]:
        said = [f"{each.verdict.name}: " + "; ".join(map(str, each.reasons)) for each in (camera, copy)]
        raise FaultsError("the verdicts differ: " + " | ".join(said))
