"""The demo's one timeline: what was done to the board, and what its officer saw, heard and felt, in order of time."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from agent.errors import TemoinError
from agent.model import NS_PER_MS, NS_PER_S
from hw.sim.timeline import LOG

_COLOURS = {"red": "31", "amber": "33", "green": "32", "blue": "34"}
_PATTERNS = {"steady": "", "slow": ", blinking slowly", "fast": ", blinking fast"}
_CUES = {"vibration": "vibration", "tone": "sound"}


class DemoError(TemoinError):
    """A step of the demo that is not as it should be."""


class PanelLog:
    """What the panel of the board in the folder `run` showed, sounded and shook."""

    def __init__(self, run: Path) -> None:
        self._log = run / LOG
        self._offset = 0

    def new(self) -> list[dict[str, object]]:
        """The events since the last call, in their order."""
        try:
            with self._log.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


def felt(cue: Mapping[str, object]) -> str:
    """A momentary signal in words."""
    return " and ".join(f"{cue[kind]} {said}" for kind, said in _CUES.items() if cue[kind] != "none")


class Teller:
    """Prints the timeline; `follow` adds what has happened on the panel since the last call."""

    def __init__(self, run: Path) -> None:
        self._log = PanelLog(run)
        self._zero_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._coloured = sys.stdout.isatty()

    def chapter(self, title: str) -> None:
        """A heading."""
        self._print(f"\n{title}")

    def say(self, who: str, what: str) -> None:
        """Something that happens now, after all that the panel has shown before."""
        self.follow()
        self._line(time.clock_gettime_ns(time.CLOCK_BOOTTIME), who, what)

    def follow(self) -> None:
        """Print the panel's log as far as it goes."""
        for event in self._log.new():
            self._event(event)

    def _event(self, event: dict[str, object]) -> None:
        boot_ns, light, cue = event["boot_ns"], event.get("light"), event.get("cue")
        assert isinstance(boot_ns, int)
        if isinstance(light, dict):
            colour, pattern = str(light["colour"]), str(light["pattern"])
            seen = "dark" if colour == "off" else f"{self._paint(colour)}{_PATTERNS[pattern]}"
            self._line(boot_ns, "camera", f"light {seen}")
        elif isinstance(cue, dict):
            self._line(boot_ns, "camera", felt(cue))

    def _paint(self, colour: str) -> str:
        return f"\033[{_COLOURS[colour]}m{colour}\033[0m" if self._coloured else colour

    def _line(self, boot_ns: int, who: str, what: str) -> None:
        milliseconds = (boot_ns - self._zero_ns) // NS_PER_MS
        self._print(f"{milliseconds * NS_PER_MS / NS_PER_S:8.1f} s  {who:<8} {what}")

    def _print(self, line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
