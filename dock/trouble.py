"""What goes wrong at the dock, as entries of its journal: one a minute for each camera and cause.

Guarantees: nobody can fill the dock's journal by asking often; the first time is always an entry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from agent.errors import TemoinError
from agent.formats.canonical import Value
from agent.model import NS_PER_S
from dock.journal import DockJournal

AGAIN_NS = 60 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that went wrong, and when, on the boot clock."""

    cause: str
    mono_ns: int


class Troubles:
    """`counts` has every one of them, as `alerts` and `refused`; `last` the newest of each camera."""

    def __init__(self, journal: DockJournal, counts: Counter[str]) -> None:
        self._journal = journal
        self._counts = counts
        self.last: dict[str, Trouble] = {}
        self._said_ns: dict[tuple[str, str], int] = {}

    def alert(self, dev: str, cause: str, mono_ns: int, values: Mapping[str, Value], remedy: str) -> None:
        """Something needs a person. `mono_ns` is now."""
        self._counts["alerts"] += 1
        self.last[dev] = Trouble(cause, mono_ns)
        if self._may_say(dev, cause, mono_ns):
            self._journal.alert(cause, {"dev": dev, **values}, remedy)

    def failed(self, dev: str, cause: str, mono_ns: int, error: TemoinError) -> None:
        """An alert about an error."""
        self.alert(dev, cause, mono_ns, {"where": error.where, "problem": error.problem}, f"look_at_{cause}")

    def refuse(self, dev: str, cause: str, mono_ns: int, values: Mapping[str, Value]) -> None:
        """Something of this camera was not taken, and leaves no other trace."""
        self._counts["refused"] += 1
        self.last[dev] = Trouble(cause, mono_ns)
        if self._may_say(dev, cause, mono_ns):
            self._journal.refuse(cause, {"dev": dev, **values}, "look_at_camera")

    def _may_say(self, dev: str, cause: str, mono_ns: int) -> bool:
        last = self._said_ns.get((dev, cause))
        if last is not None and mono_ns - last < AGAIN_NS:
            return False
        self._said_ns[dev, cause] = mono_ns
        return True
