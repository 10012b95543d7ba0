"""Brackets each recording between two times of which docks say that it lies there: by order, and by the boot clock.

Guarantees: if the docks told the truth, the camera's key was honest and its boot clock kept DRIFT_PPM, a moment lies in
its bracket; claims that leave no such time are said to be disputed, and the bracket covers them all. What nobody
vouched for is open. Nothing is believed of a round trip but what the journal shows of it: a statement that names the
head of entry k and stands in entry b was made between the two. Memory grows with recordings and dockings, not with
entries. Assumes entries in their order, and statements that agent/evidence/statements.py has checked.
Source: docs/time.md, "The bracket".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from agent.clock import DRIFT_PPM
from agent.evidence.read import Line
from agent.evidence.verdict import Bracket
from agent.formats import fields
from agent.formats.canonical import Object
from agent.formats.statement import Statement
from agent.model import NS_PER_S, TimeSource

RECENT_NS = 600 * NS_PER_S
"""A beacon is journalled at undocking at the latest, and a dock that has fallen silent is left after 180 s."""
MAX_RECENT = 65_536
_PPM = 1_000_000
_NS_PPM_PER_MS = 1_000_000 * _PPM


@dataclass(frozen=True, slots=True)
class Sighting:
    """A dock says that it was `utc_ms`, give or take `err_ms`, at some moment of the boot clock between two."""

    dock: str
    utc_ms: int
    err_ms: int
    after_ns: int
    before_ns: int

    @property
    def earliest_ms(self) -> int:
        return self.utc_ms - self.err_ms

    @property
    def latest_ms(self) -> int:
        """`utc` has whole milliseconds."""
        return self.utc_ms + self.err_ms + 1

    def not_before_ms(self, at_ns: int) -> int:
        """The least UTC of a moment of this boot: the dock spoke as late as it can have."""
        apart_ns = at_ns - self.before_ns
        rate = _PPM - DRIFT_PPM if apart_ns >= 0 else _PPM + DRIFT_PPM
        return self.earliest_ms + apart_ns * rate // _NS_PPM_PER_MS

    def not_after_ms(self, at_ns: int) -> int:
        """The greatest UTC of a moment of this boot: the dock spoke as early as it can have."""
        apart_ns = at_ns - self.after_ns
        rate = _PPM + DRIFT_PPM if apart_ns >= 0 else _PPM - DRIFT_PPM
        return self.latest_ms - -apart_ns * rate // _NS_PPM_PER_MS


@dataclass(slots=True)
class _Span:
    """From the first picture to the end of the last; of a recording without any, its press."""

    first_ns: int
    end_ns: int
    empty: bool = True


@dataclass(slots=True)
class _Boot:
    """What the entries of one boot say; `linked`: the chain leads here from the entries before it."""

    boot: str
    linked: bool
    disputed: bool = False
    spans: dict[str, _Span] = field(default_factory=dict)
    sightings: list[Sighting] = field(default_factory=list)


_Limit = tuple[int, str]
"""A time in ms, and the dock that says it."""


class BracketCheck:
    """Feed each good entry to `take`; `of` answers for a recording once all were taken."""

    def __init__(self) -> None:
        self._boots: list[_Boot] = []
        self._linked = True
        self._recent: deque[tuple[bytes, int]] = deque()
        self._seen: dict[bytes, int] = {}
        self._beacon: tuple[str, int, int] | None = None
        self._brackets: dict[str, tuple[Bracket, Bracket]] = {}

    def break_off(self) -> None:
        """Here something is missing or wrong: no order is proven across it."""
        self._linked = False

    def take(self, line: Line, said: Statement | None) -> None:
        """One entry, and the statement in it if that is known to be of the dock of this session and boot."""
        head, body = line.entry.head, line.entry.body
        here = self._boots[-1] if self._boots else None
        if here is None or here.boot != head.stamp.boot or not self._linked:
            here = self._begin(head.stamp.boot)
        here.disputed |= head.stamp.source is TimeSource.DISPUTED
        if said is not None:
            self._take_statement(here, line, said)
        if head.kind == "recording.start" and body is not None:
            press_ns = fields.ns_of(body, "press_ns")
            here.spans[fields.text_of(body, "rec")] = _Span(press_ns, press_ns)
        elif head.kind == "fragment" and body is not None:
            _extend(here, body)
        self._remember(line.entry.digest, head.stamp.mono_ns)

    def finish(self) -> None:
        """All entries were taken."""
        before, after = _said_before(self._boots), _said_after(self._boots)
        for number, here in enumerate(self._boots):
            for rec, span in here.spans.items():
                began = _bracket(here, span.first_ns, before[number], after[number])
                ended = _bracket(here, span.end_ns, before[number], after[number])
                self._brackets[rec] = began, ended

    def of(self, rec: str) -> tuple[Bracket, Bracket]:
        """When the recording began, and when it ended."""
        return self._brackets.get(rec, (Bracket(), Bracket()))

    def _begin(self, boot: str) -> _Boot:
        made = _Boot(boot, self._linked)
        self._boots.append(made)
        self._linked = True
        self._recent.clear()
        self._seen.clear()
        self._beacon = None
        return made

    def _take_statement(self, here: _Boot, line: Line, said: Statement) -> None:
        """A beacon; and once for each the first `ack` of its own entry or a later one: that limits the other side."""
        value, seq = said.value, line.entry.head.seq
        session, dock = fields.text_of(value, "session"), fields.text_of(value, "dock")
        if said.name == "beacon":
            err_ms = fields.integer_of(value, "err_ms")
            self._beacon = session, seq, err_ms
        elif said.name == "ack" and self._beacon is not None:
            beacon_session, beacon_seq, err_ms = self._beacon
            if session != beacon_session or fields.integer_of(value, "seq") < beacon_seq:
                return
            self._beacon = None
        else:
            return
        after_ns = self._seen.get(bytes.fromhex(fields.text_of(value, "head")))
        if after_ns is not None:
            utc_ms = fields.parse_utc(value["utc"], f"{said.name}.utc")
            here.sightings.append(Sighting(dock, utc_ms, err_ms, after_ns, line.entry.head.stamp.mono_ns))

    def _remember(self, digest: bytes, mono_ns: int) -> None:
        """Heads that a statement may still name: of the last minutes, and the last one before those."""
        self._recent.append((digest, mono_ns))
        self._seen[digest] = mono_ns
        recent = self._recent
        while len(recent) > MAX_RECENT or (len(recent) > 1 and recent[1][1] < mono_ns - RECENT_NS):
            del self._seen[recent.popleft()[0]]


def _extend(here: _Boot, body: Object) -> None:
    t0_ns = fields.ns_of(body, "t0_ns")
    end_ns = t0_ns + fields.ns_of(body, "dur_ns")
    span = here.spans.get(fields.text_of(body, "rec"))
    if span is None or span.empty:
        here.spans[fields.text_of(body, "rec")] = _Span(t0_ns, end_ns, empty=False)
    else:
        span.first_ns, span.end_ns = min(span.first_ns, t0_ns), max(span.end_ns, end_ns)


def _said_before(boots: Sequence[_Boot]) -> list[_Limit | None]:
    """For each boot the last time that was said in the boots before it, as far as the chain leads back."""
    limits: list[_Limit | None] = []
    found: _Limit | None = None
    for here in boots:
        found = found if here.linked else None
        limits.append(found)
        said = [(each.earliest_ms, each.dock) for each in here.sightings]
        found = max([*said, *([found] if found else [])], default=None)
    return limits


def _said_after(boots: Sequence[_Boot]) -> list[_Limit | None]:
    """For each boot the first time that was said in the boots after it, as far as the chain leads there."""
    limits: list[_Limit | None] = []
    found: _Limit | None = None
    for here in reversed(boots):
        limits.append(found)
        said = [(each.latest_ms, each.dock) for each in here.sightings]
        found = min([*said, *([found] if found else [])], default=None) if here.linked else None
    return limits[::-1]


def _bracket(here: _Boot, at_ns: int, before: _Limit | None, after: _Limit | None) -> Bracket:
    """The narrowest that all claims together leave of this moment."""
    lows = [(each.not_before_ms(at_ns), each.dock) for each in here.sightings]
    highs = [(each.not_after_ms(at_ns), each.dock) for each in here.sightings]
    low = max([*lows, *([before] if before else [])], default=None)
    high = min([*highs, *([after] if after else [])], default=None)
    docks = tuple(sorted({limit[1] for limit in (low, high) if limit is not None}))
    if low is None or high is None or low[0] <= high[0]:
        return Bracket(None if low is None else low[0], None if high is None else high[0], docks, here.disputed)
    return _covering(lows, highs, before, after)


def _covering(lows: list[_Limit], highs: list[_Limit], before: _Limit | None, after: _Limit | None) -> Bracket:
    """No time fits all claims: cover what each of them leaves, whoever is right. The chain's leave one side open."""
    all_claims = [*lows, *highs, *(limit for limit in (before, after) if limit is not None)]
    low, high = min(lows, default=None), max(highs, default=None)
    if after is not None and (not lows or after[0] < max(lows)[0]):
        low = min([*lows, before]) if before is not None and before[0] <= after[0] else None
    if before is not None and (not highs or before[0] > min(highs)[0]):
        high = max([*highs, after]) if after is not None and before[0] <= after[0] else None
    docks = tuple(sorted({dock for _, dock in all_claims}))
    return Bracket(None if low is None else low[0], None if high is None else high[0], docks, True)
