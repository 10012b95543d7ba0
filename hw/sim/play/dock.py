"""`make dock`: a real Mosquitto and a real temoin-dock, and what is on them, until somebody ends it.

Guarantees: nothing that it starts outlives it, whatever ends it in order; when broker or dock end by themselves it says
so, in their last words, and ends with an error.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Mapping

from agent.terminal import printable
from hw.sim.agent_process import COMMANDS
from hw.sim.demo.station import Station
from hw.sim.demo.timeline import DemoError
from hw.sim.play.place import Place
from hw.sim.play.screen import Screen, opened
from hw.sim.play.views import Row, both, dock_rows, dock_table


def play_dock(place: Place) -> None:
    """Until SIGINT, SIGTERM or SIGHUP. Raises DemoError."""
    station = place.station()
    with contextlib.ExitStack() as stack:
        stack.callback(station.end)
        screen = stack.enter_context(opened())
        station.start()
        hints = _hints(station)
        screen.say([both("play.dock_runs"), *hints])
        _follow(station, screen, hints)


def _follow(station: Station, screen: Screen, hints: list[str]) -> None:
    before: list[Row] = []
    while not screen.ending:
        ended = station.ended()
        if ended is not None:
            raise DemoError("station", printable(ended), f"see the logs in {station.config.parent}")
        found = _found(station)
        rows = dock_rows(found or {})
        trouble = "" if found is not None else both("play.dock_silent")
        screen.show(functools.partial(dock_table, rows, trouble, hints))
        screen.say([row.text for row in rows if row not in before])
        before = rows
        if screen.pause() == "q":
            screen.end()


def _found(station: Station) -> Mapping[str, object] | None:
    answer = station.ask("/cameras")
    with contextlib.suppress(ValueError):
        found = json.loads(answer or b"")
        return found if isinstance(found, dict) else None
    return None


def _hints(station: Station) -> list[str]:
    command, config = COMMANDS / "temoin-dock", f"--config {station.config}"
    return [
        f"{both('play.hint_assign')}: {command} assign cam-01 --service Nuit --sector Nord {config}",
        f"{both('play.hint_list')}: {command} list {config}",
        both("play.hint_end"),
    ]
