"""What a verification says: one verdict, every reason for it, and what it does not prove.

Guarantees: the worst reason decides and comes first; a reason of one kind is listed once, with the first entry or file
where it was found and how many more there are, so that a report stays short whatever it is given. Source:
docs/formats.md, "Verdicts".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from agent.formats.canonical import Object
from agent.formats.fields import format_utc
from agent.model import NS_PER_S, Stamp

NOT_PROVEN: tuple[tuple[str, str], ...] = (
    ("la scène filmée elle-même", "the scene itself"),
    ("que l'objectif n'était pas couvert", "that the lens was not covered"),
    ("qu'aucun appui n'a été omis", "that no press was left out"),
    ("que la batterie n'a pas été retirée exprès", "that the battery was not pulled on purpose"),
    ("l'identité du porteur au-delà de la remise", "who wore the camera, beyond the hand-out"),
    ("l'heure UTC à l'intérieur de l'intervalle", "UTC inside the time bracket"),
    ("l'honnêteté de qui détient la clé de la caméra", "the honesty of whoever controls the camera's key"),
    (
        "entre deux dépôts : une fin coupée net ou une carte restaurée, sauf tête extérieure ou compteur de la puce",
        "between two dockings: a clean cut of the tail or a restored card, but against an outside head or a counter",
    ),
)


class Verdict(IntEnum):
    """From best to worst; the worst reason is the verdict."""

    VALID = 0
    PARTIAL = 1
    SIMULATED = 2
    INCOMPLETE = 3
    UNTRUSTED = 4
    FORK = 5
    INVALID = 6


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the verdict is not better. `where` is the first entry or file; `more` counts the others like it."""

    verdict: Verdict
    code: str
    where: str
    problem: str
    more: int = 0

    def __str__(self) -> str:
        others = f" (and {self.more} more like it)" if self.more else ""
        return f"{self.verdict.name}: {self.where}: {self.problem}{others}"

    def as_json(self) -> Object:
        return {
            "verdict": self.verdict.name,
            "code": self.code,
            "where": self.where,
            "problem": self.problem,
            "more": self.more,
        }


class Findings:
    """Collects reasons while the evidence streams by."""

    def __init__(self) -> None:
        self._reasons: dict[tuple[Verdict, str], Reason] = {}
        self.notes: list[str] = []

    def add(self, verdict: Verdict, code: str, where: str, problem: str) -> None:
        """`code` names the kind of reason; the first `where` and `problem` of a kind are kept."""
        key = (verdict, code)
        first = self._reasons.get(key)
        if first is None:
            self._reasons[key] = Reason(verdict, code, where, problem.replace("\n", " "))
        else:
            self._reasons[key] = Reason(verdict, code, first.where, first.problem, first.more + 1)

    def reasons(self) -> tuple[Reason, ...]:
        """Worst first; among equals in the order of their finding."""
        return tuple(sorted(self._reasons.values(), key=lambda reason: -reason.verdict))


@dataclass(frozen=True, slots=True)
class Bracket:
    """Between which times a moment lies, as docks claim: UTC in ms, None where nobody says it.

    `docks` made the claims that limit it. `disputed`: claims contradict one another, and it covers them all.
    """

    not_before_ms: int | None = None
    not_after_ms: int | None = None
    docks: tuple[str, ...] = ()
    disputed: bool = False

    @property
    def width_ms(self) -> int | None:
        """None if a side is open."""
        if self.not_before_ms is None or self.not_after_ms is None:
            return None
        return self.not_after_ms - self.not_before_ms

    @property
    def whose(self) -> str:
        """Whose word it is."""
        if not self.docks:
            return "nobody but the camera says when this was"
        said = f"by the claim of dock {' and dock '.join(self.docks)}, not proven by a token"
        return f"{said}; DISPUTED" if self.disputed else said

    def __str__(self) -> str:
        return f"not before {_or_open(self.not_before_ms)}, not after {_or_open(self.not_after_ms)}"

    def as_json(self) -> Object:
        return {
            "not_before": _utc_or_none(self.not_before_ms),
            "not_after": _utc_or_none(self.not_after_ms),
            "width_ms": self.width_ms,
            "claimed_by": list(self.docks),
            "disputed": self.disputed,
        }


@dataclass(frozen=True, slots=True)
class RecordingSummary:
    """What the journal says of one recording. `press` is the stamp of its first entry; `began` and `ended` bracket its
    first and its last picture."""

    rec: str
    press: Stamp
    segments: int
    fragments: int
    footage_ns: int
    stopped: str | None
    began: Bracket = Bracket()
    ended: Bracket = Bracket()

    @property
    def widest(self) -> Bracket:
        """The one that says less: open, or the wider."""
        return widest((self.began, self.ended))

    def bracket_lines(self) -> list[str]:
        """When it was, for people, and whose word that is."""
        return [f"  began {self.began}", f"  ended {self.ended}", f"  {self.widest.whose}"]

    def __str__(self) -> str:
        ended = f"stopped: {self.stopped}" if self.stopped else "not stopped"
        return (
            f"{self.rec}: {_moment(self.press)}, {self.footage_ns / NS_PER_S:.1f} s, "
            f"{self.fragments} fragments in {self.segments} segments, {ended}"
        )

    def as_json(self) -> Object:
        utc_ms = self.press.utc_ms
        return {
            "rec": self.rec,
            "utc": None if utc_ms is None else format_utc(utc_ms),
            "err_ms": self.press.err_ms,
            "src": self.press.source.value,
            "footage_ms": self.footage_ns // 1_000_000,
            "fragments": self.fragments,
            "segments": self.segments,
            "stopped": self.stopped,
            "began": self.began.as_json(),
            "ended": self.ended.as_json(),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one verification. `bracket` is the widest of its recordings.

    `layout` is camera, dock (a dock's own journal; then `camera` is the dock's id) or bundle. `camera`, `jid`, `role`
    and `key_class` are None where the evidence has none.
    """

    path: str
    layout: str
    verdict: Verdict
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]
    camera: str | None
    jid: str | None
    role: str | None
    key_class: str | None
    bracket: Bracket
    recordings: tuple[RecordingSummary, ...]
    counts: Mapping[str, int] = field(default_factory=dict)

    def exit_code(self, allow_simulated: bool) -> int:
        """0 for VALID and PARTIAL, and for SIMULATED when that is allowed; 1 for the rest."""
        if self.verdict is Verdict.SIMULATED:
            return 0 if allow_simulated else 1
        return 0 if self.verdict <= Verdict.PARTIAL else 1

    def lines(self) -> list[str]:
        """For people: the verdict with its worst reason first, then all that belongs to it."""
        signer = "dock" if self.layout == "dock" else "camera"
        first = str(self.reasons[0]) if self.reasons else f"{self.verdict.name}: {self.path}: nothing to object"
        return [
            first,
            *(f"  {reason}" for reason in self.reasons[1:]),
            f"{signer} {self.camera or 'unknown'}, role {self.role or 'not proven'}, journal {self.jid or 'unknown'}",
            f"key class: {self.key_class or 'unknown'}",
            f"time: {self.bracket}; {self.bracket.whose}",
            "checked: " + ", ".join(f"{count} {name}" for name, count in self.counts.items()),
            *(line for each in self.recordings for line in (f"recording {each}", *each.bracket_lines())),
            *(f"note: {note}" for note in self.notes),
            "NON PROUVÉ / NOT PROVEN:",
            *(f"  - {french} / {english}" for french, english in NOT_PROVEN),
        ]

    def as_json(self) -> Object:
        """The same for programs; the keys are part of the command's interface."""
        return {
            "verdict": self.verdict.name,
            "path": self.path,
            "layout": self.layout,
            "reasons": [reason.as_json() for reason in self.reasons],
            "notes": list(self.notes),
            "camera": self.camera,
            "jid": self.jid,
            "role": self.role,
            "key_class": self.key_class,
            "bracket": self.bracket.as_json(),
            "recordings": [recording.as_json() for recording in self.recordings],
            "counts": dict(self.counts),
            "not_proven": [english for _, english in NOT_PROVEN],
        }


def worst(reasons: Sequence[Reason]) -> Verdict:
    """VALID if there is none."""
    return max((reason.verdict for reason in reasons), default=Verdict.VALID)


def widest(brackets: Iterable[Bracket]) -> Bracket:
    """An open one, or the widest; one that is open on both sides if there is none."""
    return max(brackets, key=_looseness, default=Bracket())


def _looseness(bracket: Bracket) -> tuple[int, int]:
    width_ms = bracket.width_ms
    if width_ms is not None:
        return 0, width_ms
    return [bracket.not_before_ms, bracket.not_after_ms].count(None), 0


def _moment(stamp: Stamp) -> str:
    if stamp.utc_ms is None:
        return "at an unknown time"
    return f"{format_utc(stamp.utc_ms)} +-{stamp.err_ms} ms ({stamp.source.value})"


def _or_open(utc_ms: int | None) -> str:
    return "open" if utc_ms is None else format_utc(utc_ms)


def _utc_or_none(utc_ms: int | None) -> str | None:
    return None if utc_ms is None else format_utc(utc_ms)
