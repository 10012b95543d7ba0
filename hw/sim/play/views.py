"""What the two live views show: from what dock and camera say of themselves to lines and tables. Pure.

Guarantees: what a status does not hold is shown as not known, never guessed; nothing in it can command a terminal.
Rows are the one truth: a screen draws them (`table`, `sheet`), without a terminal they are lines (`text`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from agent.catalogue import LANGUAGES, say
from agent.model import NS_PER_S, Light
from agent.terminal import printable

_MIB = 1024 * 1024
NOTHING = "–"
_STYLES = {"off": "dim", "green": "bold green", "amber": "bold yellow", "red": "bold red", "blue": "bold blue"}
_SYMBOL = {"off": "○"}
DOCK_COLUMNS = ("camera", "docked", "entries", "segments", "wearer", "alert")


@dataclass(frozen=True, slots=True)
class Row:
    """One line: cells or a name and its value, and how it is drawn."""

    cells: tuple[str, ...]
    style: str = ""

    @property
    def text(self) -> str:
        return " | ".join(cell for cell in self.cells if cell)


def both(key: str, **values: str | int) -> str:
    """French, with English beside it."""
    return " / ".join(say(key, language, **values) for language in LANGUAGES)


# The dock.


def dock_rows(found: Mapping[str, object]) -> list[Row]:
    """A row a camera of `/cameras`, and one for each trouble that is no camera's."""
    cameras, others = found.get("cameras"), found.get("others")
    rows = [_camera_row(each) for each in cameras if isinstance(each, Mapping)] if isinstance(cameras, list) else []
    if isinstance(others, Mapping):
        rows += [_row((str(who), "", "", "", "", _alert(what)), "yellow") for who, what in others.items()]
    return rows


def _camera_row(camera: Mapping[str, object]) -> Row:
    docked = camera.get("docked") is True
    received, awaited = _number(camera.get("received")), _number(camera.get("awaited"))
    cells = (
        str(camera.get("camera")),
        both("play.on_dock" if docked else "play.away"),
        str(_number(camera.get("entries"))),
        f"{received} / {received + awaited}",
        str(camera.get("wearer") or both("play.nobody")),
        _alert(camera.get("alert")),
    )
    return _row(cells, "blue" if docked else "")


def _alert(alert: object) -> str:
    if not isinstance(alert, Mapping):
        return NOTHING
    return f"{alert.get('cause')} ({_clock(_number(alert.get('age_s')))})"


def dock_table(rows: Sequence[Row], trouble: str, footer: Sequence[str]) -> Table:
    """For a screen; `trouble` is empty while all is well."""
    caption = Text.assemble((f"{trouble}\n" if trouble else "", "bold red"), "\n".join(footer))
    table = Table(title="temoin-dock", expand=True, caption=caption, caption_justify="left")
    for name in DOCK_COLUMNS:
        table.add_column(both(f"play.column_{name}"))
    for row in rows or [Row((both("play.no_camera"), "", "", "", "", ""), "dim")]:
        table.add_row(*map(Text, row.cells), style=row.style)
    return table


# The camera.


@dataclass(frozen=True, slots=True)
class Seen:
    """What an observer of the board finds. `status` is empty when the agent does not answer; the clock is the boot's.

    `ring_ms`: how long the memory before the press has been filling, at most what it keeps.
    """

    status: Mapping[str, object]
    light: Light
    felt: Sequence[str]
    now_ns: int
    free_bytes: int
    ring_ms: int
    prerecord_ms: int


def camera_rows(seen: Seen) -> list[Row]:
    """What the officer sees and feels, then what only a technician could know."""
    status = seen.status
    colour, pattern = seen.light.colour.value, seen.light.pattern.value
    said = both(f"colour.{colour}") if colour == "off" else f"{both(f'colour.{colour}')}, {both(f'pattern.{pattern}')}"
    rows = [_named("light", f"{_SYMBOL.get(colour, '●')} {said}", _STYLES[colour])]
    rows.append(_named("felt", " · ".join(seen.felt[-3:]) or NOTHING))
    if not status:
        return [*rows, _named("activity", both("status.no_answer"), "bold red")]
    rows.append(_named("activity", both(f"activity.{status.get('activity')}")))
    conditions = status.get("conditions")
    named = [both(f"condition.{one}") for one in conditions] if isinstance(conditions, list) else []
    rows.append(_named("conditions", " · ".join(named) or NOTHING, "yellow" if named else ""))
    rows.append(_named("recording", _recording(status)))
    rows.append(_named("ring", f"{seen.ring_ms // 1000} / {seen.prerecord_ms // 1000} s"))
    battery = status.get("battery_percent")
    rows.append(_named("battery", NOTHING if battery is None else f"{battery} %"))
    rows.append(_named("space", f"{seen.free_bytes // _MIB} MiB"))
    rows.append(_named("docking", _docking(status.get("docking"))))
    return rows


def camera_sheet(rows: Sequence[Row], footer: Sequence[str]) -> Table:
    """For a screen, with what can be done below."""
    sheet = Table(
        title="temoin", expand=True, show_header=False, caption=Text("\n".join(footer)), caption_justify="left"
    )
    for row in rows:
        sheet.add_row(Text(row.cells[0]), Text(row.cells[1], style=row.style))
    return sheet


def changes(rows: Sequence[Row], before: Sequence[Row]) -> list[str]:
    """Without a screen: what is new, but for what changes all the time."""
    quiet = {both(f"play.{name}") for name in ("ring", "space", "recording", "felt", "light")}
    known = set(before)
    return [row.text for row in rows if row not in known and row.cells[0] not in quiet]


def _recording(status: Mapping[str, object]) -> str:
    rec, press_ns, end_ns = status.get("recording"), status.get("press_ns"), status.get("durable_end_ns")
    if rec is None:
        return NOTHING
    if not isinstance(press_ns, int) or not isinstance(end_ns, int):
        return str(rec)
    since = both("play.since_press", length=_clock(max(0, end_ns - press_ns) // NS_PER_S))
    notice = both(f"notice.{status.get('notice')}")
    return f"{rec}  {since}, {notice}"


def _docking(docking: object) -> str:
    if not isinstance(docking, Mapping):
        return NOTHING
    said = {str(key): str(value) for key, value in docking.items()}
    waiting = "uploads_done" if said.get("uploads") == "0" else "uploads"
    return f"{both('status.journal', **said)} · {both(f'status.{waiting}', **said)}"


def _named(name: str, value: str, style: str = "") -> Row:
    return _row((both(f"play.{name}"), value), style)


def _row(cells: tuple[str, ...], style: str = "") -> Row:
    return Row(tuple(map(printable, cells)), style)


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _clock(seconds: int) -> str:
    return f"{seconds // 60}:{seconds % 60:02d}"
