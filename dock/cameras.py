"""The cameras of the archive: how much of each is here, and who has it.

Pure but for the catalogue that it reads, which may be beside the process that writes it. Guarantees: who has a camera
is what the camera itself has journalled since its last docking, for as long as that holds by the time of the caller;
a hand-out that the camera never heard of is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from agent.catalogue import say
from agent.formats.fields import parse_utc
from agent.model import NS_PER_S
from dock.catalogue import Catalogue
from dock.tables import JournalRow, SegmentRow
from dock.trouble import Trouble

SHOWN_DIGITS = 8
"""Of a pseudonym, on the listener that asks nobody who they are."""


@dataclass(frozen=True, slots=True)
class HandOut:
    """Who wears a camera: the pseudonym of this hand-out. Times are UTC as statements write it."""

    wearer: str
    service: str
    sector: str
    since: str
    until: str


@dataclass(frozen=True, slots=True)
class Camera:
    """Entries archived, over all its journals; closed segments that are here, and that are still only on it."""

    dev: str
    entries: int
    received: int
    awaited: int
    hand_out: HandOut | None


def cameras(catalogue: Catalogue, now_ms: int) -> list[Camera]:
    """All of them, by id. `now_ms` (UTC) tells which hand-outs are over. Raises CatalogueError."""
    with catalogue.reading() as session:
        rows = session.scalars(select(JournalRow).order_by(JournalRow.dev, JournalRow.jid)).all()
        counts = _segments(session)
        return [
            _camera(dev, [row for row in rows if row.dev == dev], counts, now_ms)
            for dev in dict.fromkeys(row.dev for row in rows)
        ]


def camera_lines(found: Iterable[Camera], language: str) -> list[str]:
    """A line a camera: who has it."""
    return [_line(camera, language) for camera in found]


def overview(
    found: Iterable[Camera], docked: frozenset[str], last: Mapping[str, Trouble], mono_ns: int
) -> dict[str, object]:
    """For `/cameras`: those of the archive and those that are docked, each with what went wrong last. No whole
    pseudonym. `mono_ns` is now, on the boot clock.
    """
    known = {camera.dev: camera for camera in found}
    empty = {dev: Camera(dev, 0, 0, 0, None) for dev in docked - known.keys()}
    rows = [_row(camera, docked, last.get(camera.dev), mono_ns) for _, camera in sorted({**known, **empty}.items())]
    others = {who: _alert(trouble, mono_ns) for who, trouble in sorted(last.items()) if who not in known | empty}
    return {"cameras": rows, "others": others}


def _camera(dev: str, journals: list[JournalRow], counts: Mapping[tuple[str, bool], int], now_ms: int) -> Camera:
    entries = sum(row.seq - row.first + 1 for row in journals)
    return Camera(dev, entries, counts.get((dev, True), 0), counts.get((dev, False), 0), _hand_out(journals, now_ms))


def _segments(session: Session) -> dict[tuple[str, bool], int]:
    """By camera and whether they are stored; what left its camera without coming here is not awaited."""
    query = (
        select(SegmentRow.dev, SegmentRow.stored, func.count())
        .where(SegmentRow.stored | SegmentRow.purge_seq.is_(None))
        .group_by(SegmentRow.dev, SegmentRow.stored)
    )
    return {(dev, stored): count for dev, stored, count in session.execute(query)}


def _hand_out(journals: Iterable[JournalRow], now_ms: int) -> HandOut | None:
    """The newest that is not over."""
    found = [
        HandOut(row.wearer, row.service or "", row.sector or "", row.worn_from or "", row.worn_until)
        for row in journals
        if row.wearer is not None and row.worn_until is not None and now_ms < parse_utc(row.worn_until, "until")
    ]
    return max(found, key=lambda each: each.since, default=None)


def _line(camera: Camera, language: str) -> str:
    worn = camera.hand_out
    if worn is None:
        return say("dock.not_worn", language, camera=camera.dev)
    said = {"wearer": worn.wearer, "service": worn.service, "sector": worn.sector, "until": worn.until}
    return say("dock.worn", language, camera=camera.dev, **said)


def _row(camera: Camera, docked: frozenset[str], trouble: Trouble | None, mono_ns: int) -> dict[str, object]:
    worn = camera.hand_out
    return {
        "camera": camera.dev,
        "docked": camera.dev in docked,
        "entries": camera.entries,
        "received": camera.received,
        "awaited": camera.awaited,
        "wearer": None if worn is None else worn.wearer[:SHOWN_DIGITS],
        "until": None if worn is None else worn.until,
        "alert": None if trouble is None else _alert(trouble, mono_ns),
    }


def _alert(trouble: Trouble, mono_ns: int) -> dict[str, object]:
    return {"cause": trouble.cause, "age_s": (mono_ns - trouble.mono_ns) // NS_PER_S}
