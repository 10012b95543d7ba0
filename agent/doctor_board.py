"""What the doctor says of the board itself: the last self-test, the card's wear, and the parts that the kernel shows.

Guarantees: pure; a self-test is what the camera found at its time and never more than a warning: what holds now, the
agent's conditions and the doctor's own looks say.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.facts import Facts, Journal
from agent.finding import Finding
from agent.formats.fields import format_utc
from agent.health import Outcome
from agent.selftest import card_outcome

_TESTED = {
    Outcome.WELL: "selftest_well",
    Outcome.UNKNOWN: "selftest_unknown",
    Outcome.WARN: "selftest_warns",
    Outcome.FAILED: "selftest_fails",
}
_WEAR = {Outcome.WELL: "card_fresh", Outcome.WARN: "card_ageing", Outcome.FAILED: "card_worn_out"}
NOT_TOLD = "?"


def selftest(facts: Facts) -> Iterator[Finding]:
    """When the last one was, and a row for each of its checks."""
    if not isinstance(facts.journal, Journal):
        return
    tested = facts.journal.tested
    if tested is None:
        yield Finding("selftest_none")
        return
    at_ms = tested.stamp.utc_ms
    yield Finding("selftest_undated") if at_ms is None else Finding("selftest_at", {"at": format_utc(at_ms)})
    for one in tested.checks:
        about = f"selftest.{one.name}_{one.outcome}"
        yield Finding(_TESTED[one.outcome], {}, about, one.values, one.remedy)


def card_health(facts: Facts) -> Iterator[Finding]:
    """What the card tells of its wear; nothing where it tells nothing, as most do."""
    health = facts.card_health
    code = _WEAR.get(card_outcome(health))
    if health is not None and code is not None:
        used = NOT_TOLD if health.used_percent is None else health.used_percent
        yield Finding(code, {"used_percent": used})


def parts(facts: Facts) -> Iterator[Finding]:
    """Each part of a real board that is missing, with what to do about it."""
    missing = [part for part in facts.parts if not part.there]
    for part in missing:
        yield Finding(f"{part.kind}_missing", {"where": part.where})
    if facts.parts and not missing:
        yield Finding("parts_there", {"count": len(facts.parts)})
