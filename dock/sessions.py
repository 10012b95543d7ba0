"""Which cameras are docked, and what was said to them that they have not confirmed.

Guarantees: one session a camera; a session that another one has followed never comes back. One that only ended (the
camera's will speaks when its connection breaks) goes on with the camera's next question, which has a nonce that was not
heard before: a docking outlives a lost connection. Whenever a question shows that something was lost, what is not
confirmed may be said again at once. Memory is bounded by the number of cameras. No I/O, no clock: times are the
caller's, of the boot clock. Source: docs/docking.md, "One docking".
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.formats.wire import Status
from agent.model import NS_PER_S
from dock.statements import Addressee

SOONER_NS = 50 * NS_PER_S
"""A camera that has its answers asks each 60 s. One that asks sooner lost an answer, or its connection."""
_PAST_SESSIONS = 16
_NONCES = 16


@dataclass(slots=True)
class Session:
    """One camera that is docked, and the oldest entry that it still has. Times are of the boot clock."""

    to: Addressee
    low: int
    tickets: dict[tuple[str, int], int] = field(default_factory=dict)
    failures: Counter[tuple[str, int]] = field(default_factory=Counter)
    receipts: dict[tuple[str, int], int] = field(default_factory=dict)
    orders: set[int] = field(default_factory=set)
    nonces: deque[str] = field(default_factory=lambda: deque(maxlen=_NONCES))
    asked_ns: int = 0


class Sessions:
    """The current session of each camera, and how its last ones were called."""

    def __init__(self) -> None:
        self._current: dict[str, Session] = {}
        self._ended: dict[str, Session] = {}
        self._past: dict[str, list[str]] = {}

    @property
    def docked(self) -> Sequence[str]:
        """The cameras in a session."""
        return tuple(self._current)

    def all(self) -> list[Session]:
        return list(self._current.values())

    def get(self, dev: str) -> Session | None:
        """The current one of this camera."""
        return self._current.get(dev)

    def of(self, status: Status) -> Session | None:
        """The session that this question belongs to: the current one, or the one that ended last and goes on."""
        current, ended = self._current.get(status.dev), self._ended.get(status.dev)
        if current is not None:
            return current if current.to.session == status.session else None
        goes_on = ended is not None and ended.to.session == status.session and status.nonce not in ended.nonces
        return ended if goes_on else None

    def is_over(self, status: Status) -> bool:
        """Late, or replayed."""
        return status.session in self._past.get(status.dev, [])

    def begin(self, session: Session, status: Status, now_ns: int) -> None:
        """The first question of a new session."""
        self.end(status.dev)
        self._ended.pop(status.dev, None)
        self._current[status.dev] = session
        session.nonces.append(status.nonce)
        session.asked_ns = now_ns

    def ask_again(self, session: Session, status: Status, now_ns: int) -> None:
        """A further question of `of`: tickets may be said again, and all else if something was lost on the way."""
        dev = status.dev
        came_back = self._current.get(dev) is not session
        if came_back:
            self._current[dev] = self._ended.pop(dev)
            self._past[dev].remove(status.session)
        session.low = status.low
        session.tickets.clear()
        if status.nonce in session.nonces:
            return  # the same message once more
        if came_back or now_ns - session.asked_ns < SOONER_NS:
            session.receipts.clear()
            session.orders.clear()
        session.nonces.append(status.nonce)
        session.asked_ns = now_ns

    def end(self, dev: str) -> bool:
        """Whether there was one."""
        session = self._current.pop(dev, None)
        if session is None:
            return False
        self._ended[dev] = session
        self._past[dev] = [*self._past.get(dev, []), session.to.session][-_PAST_SESSIONS:]
        return True
