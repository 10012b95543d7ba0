"""The thread that docks while something touches the contacts. What it takes for that is loaded then, and not before.

Guarantees: an agent that has never been on a dock has loaded no network client; whatever goes wrong here is an `alert`
and the end of docking, never of a recording. Any thread may call `contact` and `kept`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from agent.errors import TemoinError
from agent.formats.canonical import Value
from agent.orders import Kept, Undocked
from agent.terminal import printable
from agent.threads import Loop

if TYPE_CHECKING:
    from agent.docking import Neighbours
    from agent.sync import Sync

TICK_S = 0.1
WAIT_S = 1.0
END_WITHIN_S = 2.0
MAX_SAID = 200


class Dockside:
    """`needed` is asked for when the first docking begins; `alert` takes cause, values and remedy."""

    def __init__(
        self,
        needed: Callable[[], Neighbours],
        boot_ns: Callable[[], int],
        alert: Callable[[str, dict[str, Value], str], None],
    ) -> None:
        self._needed = needed
        self._boot_ns = boot_ns
        self._alert = alert
        self._neighbours: Neighbours | None = None
        self._touched = False
        self._sync: Sync | None = None
        self._left = False
        self._started = False
        self._wake = threading.Event()
        self._loop = Loop("dock", self._turn, self._failed)

    def contact(self, on: bool) -> None:
        """Something touches the contacts, or no longer."""
        self._touched = on
        if on and not self._started:
            self._started = True
            self._loop.start()
        self._nudge()

    def kept(self, report: Kept) -> None:
        """The writer has made a docking's entries durable."""
        if self._sync is not None:
            self._sync.inbox.post(report)

    def close(self) -> None:
        """End the docking in order, within END_WITHIN_S; call it while the writer still runs."""
        self._touched = False
        self._loop.end()
        self._nudge()
        if self._loop.is_alive():
            self._loop.join(END_WITHIN_S)

    def _nudge(self) -> None:
        self._wake.set()
        sync = self._sync
        if sync is not None:
            sync.inbox.nudge()

    def _turn(self) -> bool:
        try:
            return self._step()
        except TemoinError as error:
            self._sync = None
            self._touched = False  # the next contact tries again
            self._give_up(str(error))
            return not self._loop.ending

    def _step(self) -> bool:
        if self._sync is None:
            if self._touched:
                self._sync, self._left = self._begin(), False
            else:
                self._wake.wait(WAIT_S)
                self._wake.clear()
            return not (self._loop.ending and self._sync is None)
        sync = self._sync
        sync.inbox.wait(TICK_S)
        if not self._touched and not self._left:
            self._left = True
            sync.leave()
        sync.step(self._boot_ns())
        if sync.ended:
            self._sync = None
        return True

    def _begin(self) -> Sync:
        from agent import docking  # the radio is on now: paho and ssl are worth their memory

        if self._neighbours is None:
            self._neighbours = self._needed()
        return docking.begin(self._neighbours)

    def _failed(self) -> None:
        self._give_up("a defect ended it")

    def _give_up(self, problem: str) -> None:
        """The camera is as without a dock; after a defect until the agent is started again."""
        self._alert("docking_failed", {"problem": printable(problem)[:MAX_SAID]}, "restart_camera")
        if self._neighbours is not None:
            self._neighbours.tell(Undocked())
