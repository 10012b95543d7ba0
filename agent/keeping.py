"""What a docking puts into the journal, in which order and how often.

Guarantees: statements are journalled in the order in which they came, but for beacons and acks: of those only the last
one matters, so it is held back until the undocking; an ack that says more than the last one, ACK_NS at most. One Keep
is under way at a time: nothing here grows with what a dock says but the list that waits for it.
Source: docs/docking.md; docs/formats.md, "Statements of others".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agent.formats import fields
from agent.formats.canonical import Object
from agent.model import NS_PER_S, Arrived
from agent.orders import Keep
from agent.session import Heard

ACK_NS = 10 * NS_PER_S
MAX_ENTRIES = 32


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry to keep: of a statement as it was heard and came in, or of the camera's own."""

    kind: str
    body: Object
    heard: Heard | None = None
    arrived: Arrived | None = None


class Keeping:
    """`order` gives the writer a Keep; False when it found no slot, and then it is tried again."""

    def __init__(self, order: Callable[[Keep], bool], acknowledged: int) -> None:
        """`acknowledged`: the entry that the last journalled `ack` names, -1 for none."""
        self._order = order
        self._acknowledged = acknowledged
        self._held: dict[str, Heard] = {}
        self._waiting: list[Entry] = []
        self._under_way: tuple[int, list[Entry]] | None = None
        self._numbers = 0
        self._ack_ns: int | None = None

    def add(self, heard: Heard, arrived: Arrived | None) -> None:
        """Journal this statement."""
        said = heard.statement
        self._waiting.append(Entry(said.name, {"statement": said.embedded}, heard, arrived))

    def add_own(self, kind: str, body: Object) -> None:
        """Journal an entry of the camera's own."""
        self._waiting.append(Entry(kind, body))

    def hold(self, heard: Heard) -> None:
        """A beacon or an ack: in the place of the one before."""
        self._held[heard.statement.name] = heard

    def release(self) -> None:
        """The docking ends: what is held back goes to the journal."""
        for name in sorted(self._held, key=lambda name: self._held[name].dseq):
            self._release(name)

    def _release(self, name: str) -> None:
        heard = self._held.pop(name)
        said = heard.statement
        if name == "ack":
            seq = fields.integer_of(said.value, "seq")
            if seq <= self._acknowledged:
                return  # says nothing new, or less than an archive said before
            self._acknowledged = seq
        self._waiting.append(Entry(name, {"statement": said.embedded}, heard))

    def step(self, now_ns: int) -> None:
        """Give the writer what waits."""
        if self._ack_is_due(now_ns):
            self._release("ack")
        if self._under_way is not None or not self._waiting:
            return
        entries = self._waiting[:MAX_ENTRIES]
        keep = Keep(self._numbers + 1, tuple((each.kind, each.body) for each in entries))
        if self._order(keep):
            self._numbers = keep.number
            self._under_way = keep.number, entries
            del self._waiting[:MAX_ENTRIES]

    def kept(self, number: int) -> list[Entry]:
        """What is durable now."""
        if self._under_way is None or self._under_way[0] != number:
            return []  # of a docking before this one
        entries, self._under_way = self._under_way[1], None
        return entries

    def _ack_is_due(self, now_ns: int) -> bool:
        ack = self._held.get("ack")
        if ack is None or fields.integer_of(ack.statement.value, "seq") <= self._acknowledged:
            return False
        if self._ack_ns is not None and now_ns < self._ack_ns + ACK_NS:
            return False
        self._ack_ns = now_ns
        return True
