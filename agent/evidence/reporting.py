"""Puts a report together from what the checks found: the same for a camera's folder and for a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from agent.evidence.chain import ChainCheck
from agent.evidence.recordings import RecordingCheck
from agent.evidence.verdict import Bracket, Findings, Report, Verdict, worst


def report_of(
    path: Path,
    layout: str,
    findings: Findings,
    chain: ChainCheck,
    recordings: RecordingCheck,
    counts: Mapping[str, int],
) -> Report:
    """What was found, as one report."""
    # Tokens are not evaluated here (docs/court.md has the stock command): nobody but the camera says when this was.
    findings.add(Verdict.PARTIAL, "bracket", "journal", "the time bracket is open: no token vouches for the time")
    reasons = findings.reasons()
    return Report(
        path=str(path),
        layout=layout,
        verdict=worst(reasons),
        reasons=reasons,
        notes=tuple(findings.notes),
        camera=None if chain.identity is None else chain.identity.dev,
        jid=None if chain.identity is None else chain.identity.jid,
        role=None if chain.role is None else chain.role.urn,
        key_class=chain.key_class,
        bracket=Bracket(),
        recordings=recordings.summaries(),
        counts=counts,
    )
