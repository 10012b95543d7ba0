"""Puts a report together from what the checks found: the same for a camera's folder and for a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from agent.evidence.chain import ChainCheck
from agent.evidence.recordings import RecordingCheck
from agent.evidence.verdict import Findings, RecordingSummary, Report, Verdict, widest, worst
from agent.model import NS_PER_MS, NS_PER_S

WIDE_MS = 60_000
"""A bracket up to a minute wide is what 500 ppm leave of a shift of 16 hours."""


def report_of(
    path: Path,
    layout: str,
    findings: Findings,
    chain: ChainCheck,
    recordings: RecordingCheck,
    counts: Mapping[str, int],
) -> Report:
    """What was found, as one report."""
    summaries = tuple(_bracketed(each, chain) for each in recordings.summaries())
    _judge_time(summaries, findings)
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
        bracket=widest(each.widest for each in summaries),
        recordings=summaries,
        counts=counts,
    )


def _bracketed(summary: RecordingSummary, chain: ChainCheck) -> RecordingSummary:
    began, ended = chain.brackets.of(summary.rec)
    return replace(summary, began=began, ended=ended)


def _judge_time(summaries: Sequence[RecordingSummary], findings: Findings) -> None:
    """Tokens are not evaluated here (docs/court.md has the stock command): at best a dock says when this was."""
    if not summaries:
        findings.add(Verdict.PARTIAL, "bracket", "journal", "the time bracket is open: no token vouches for the time")
    for each in summaries:
        bracket, width_ms = each.widest, each.widest.width_ms
        if bracket.docks and bracket.disputed:
            code, problem = "bracket-disputed", f"what is claimed of the time contradicts itself: {bracket}"
        elif width_ms is None:
            code, problem = "bracket", f"the time bracket is open: {bracket}; {bracket.whose}"
        elif width_ms > WIDE_MS:
            width_s = width_ms * NS_PER_MS // NS_PER_S
            code, problem = "bracket-wide", f"the time bracket is {width_s} s wide: {bracket}; {bracket.whose}"
        else:
            code, problem = "bracket-claimed", f"the time bracket rests on a claim: {bracket}; {bracket.whose}"
        findings.add(Verdict.PARTIAL, code, each.rec, problem)
