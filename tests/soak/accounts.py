"""Every picture of every recording: in an entry, or in a gap that an entry names. From the journal alone."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.formats.canonical import Object
from agent.formats.fields import integer_of, ns_of, text_of
from agent.model import NS_PER_MS, NS_PER_S
from tests.bench.table import Row
from tests.support.journals import bodies


def account(data: Path, root: Path, frames_per_second: int) -> list[Row]:
    """Rows on the recordings of a card, and what the verifier says of it."""
    frame_ns = NS_PER_S // frames_per_second
    starts = [text_of(body, "rec") for body in bodies(data, "recording.start")]
    gaps = {(ns_of(body, "from_ns"), ns_of(body, "to_ns")) for body in bodies(data, "gap")}
    pictures = missing = 0
    for rec in starts:
        fragments = [body for body in bodies(data, "fragment") if body["rec"] == rec]
        pictures += sum(integer_of(body, "frames") for body in fragments)
        missing += _missing(fragments, gaps, frame_ns)
    report = verify(data, root.read_bytes(), outside_head=None, now_ms=time.time_ns() // NS_PER_MS)
    return [
        Row("recordings", f"{len(starts)}, {pictures} pictures", limit="one at least", met=bool(starts)),
        Row("pictures that no entry accounts for", str(missing), limit="0", met=missing == 0),
        Row("gaps, which have their entries", str(len(gaps)), note="Of a machine that is too busy to play the film."),
        Row(
            "`temoin verify` of the card",
            report.verdict.name,
            limit="SIMULATED",
            met=report.verdict is Verdict.SIMULATED,
        ),
    ]


def _missing(fragments: list[Object], gaps: set[tuple[int, int]], frame_ns: int) -> int:
    """Pictures too few for the time that a fragment covers, and for the time between two that no gap covers."""
    inside = sum(max(0, round(ns_of(each, "dur_ns") / frame_ns) - integer_of(each, "frames")) for each in fragments)
    holes = [(_end_ns(earlier), ns_of(later, "t0_ns")) for earlier, later in pairwise(fragments)]
    return inside + sum(max(0, (until - since) // frame_ns) for since, until in holes if (since, until) not in gaps)


def _end_ns(fragment: Object) -> int:
    return ns_of(fragment, "t0_ns") + ns_of(fragment, "dur_ns")
