"""The simulated panel: a light that anybody can read from a file, and a log of everything that was shown.

Guarantees: `show` and `play` return at once and never raise; an output that fails is posted. The light goes dark by its
deadline in `panel.json`, which readers compare with the boot clock: also when this process is stopped, killed or hung,
as a kernel LED trigger would. Assumes: one thread shows and plays; another may cut the power.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

from agent.model import DARK, Colour, Cue, Light, OutputFailed, Pattern
from agent.ports import Clock
from hw.panel import HeldLight
from hw.sim.timeline import Timeline, replace_file

PANEL = "panel.json"
_OFF = HeldLight(DARK, None)


class SimPanel:
    """A Panel in the folder `run`. Starts with whatever the board still shows."""

    def __init__(self, run: Path, clock: Clock, post: Callable[[OutputFailed], None]) -> None:
        self._file = run / PANEL
        self._timeline = Timeline(run)
        self._clock = clock
        self._post = post
        self._held = _read(self._file)
        self._powered = True
        self._lock = threading.Lock()

    def show(self, light: Light, dark_after_ns: int | None) -> None:
        with self._lock:
            if self._powered:
                self._show(light, dark_after_ns)

    def play(self, cue: Cue) -> None:
        self._log(self._clock.boot_ns(), {"cue": {"tone": cue.tone.value, "vibration": cue.vibration.value}})

    def power_cut(self) -> None:
        """Dark at once, and nothing is shown any more."""
        with self._lock:
            self._show(DARK, None)
            self._powered = False

    def _show(self, light: Light, dark_after_ns: int | None) -> None:
        now_ns = self._clock.boot_ns()
        seen = self._held.at(now_ns)
        if seen != self._held.light:  # it went dark by itself, at its deadline
            self._log(self._held.dark_at_ns or now_ns, {"light": _said(DARK), "dark_at_ns": None})
        self._held = HeldLight.shown(light, dark_after_ns, now_ns)
        try:
            replace_file(self._file, json.dumps({"light": _said(light), "dark_at_ns": self._held.dark_at_ns}))
        except OSError:
            self._post(OutputFailed("light"))
        if light != seen:
            self._log(now_ns, {"light": _said(light), "dark_at_ns": self._held.dark_at_ns})

    def _log(self, boot_ns: int, what: dict[str, object]) -> None:
        if not self._timeline.add(boot_ns, what):
            self._post(OutputFailed("panel"))


def light_now(run: Path, boot_ns: int) -> Light:
    """What somebody looking at the board sees at `boot_ns`, whether or not its agent runs."""
    return _read(run / PANEL).at(boot_ns)


def _said(light: Light) -> dict[str, str]:
    return {"colour": light.colour.value, "pattern": light.pattern.value}


def _read(file: Path) -> HeldLight:
    """No file, or one that nobody of us wrote: a board without power shows nothing."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        light = Light(Colour(found["light"]["colour"]), Pattern(found["light"]["pattern"]))
        dark_at_ns = found["dark_at_ns"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return _OFF
    return HeldLight(light, dark_at_ns if isinstance(dark_at_ns, int) else None)
