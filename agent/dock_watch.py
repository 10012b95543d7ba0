"""What the main loop knows of the dock: whether something touches the contacts, which dock it is, how far it all is."""

from __future__ import annotations

from agent.model import RadioFault
from agent.orders import Docked, DockingNews, Progress
from agent.status import Docking

NOTHING_YET = Progress(0, 0, 0, 0)


class DockWatch:
    """Docked means an authenticated session; what a docking tells after the contact is gone comes too late."""

    def __init__(self) -> None:
        self.on_contact = False
        self._faults: set[RadioFault] = set()
        self._dock: str | None = None
        self._progress = NOTHING_YET

    @property
    def docked(self) -> bool:
        return self._dock is not None

    @property
    def docking(self) -> Docking | None:
        """For `temoin status`."""
        if self._dock is None:
            return None
        done = self._progress
        return Docking(self._dock, done.position, done.total, done.uploads, done.upload_bytes)

    def touched(self, on: bool) -> bool:
        """The contacts; True if that ends a session."""
        self.on_contact = on
        self._faults.clear()
        return not on and self._left()

    def failed_first(self, fault: RadioFault) -> bool:
        """The radio has failed in this way; True the first time since the camera was put there."""
        first = fault not in self._faults
        self._faults.add(fault)
        return first

    def told(self, news: DockingNews) -> bool:
        """What the docking says; True if a session has ended."""
        match news:
            case Docked() if self.on_contact:
                self._dock = news.dock
            case Progress():
                self._progress = news
            case Docked():
                pass
            case _:
                return self._left()
        return False

    def _left(self) -> bool:
        left, self._dock, self._progress = self._dock is not None, None, NOTHING_YET
        return left
