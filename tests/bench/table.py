"""What a benchmark says: one row a figure, with its limit and whether it is met.

Guarantees: a figure that was not measured says so and why; it is never counted as met.
"""

from __future__ import annotations

import math
import statistics
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MIN_RUNS = 7
_WIDTHS = (40, 44, 44, 30, 8)
_TITLES = ("what", "measured", "peer and ratio", "limit", "verdict")


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met`: None where there is no limit or nothing was measured. `note`: the cause, or how."""

    what: str
    measured: str
    peer: str = "-"
    limit: str = "-"
    met: bool | None = None
    note: str = ""


def median(samples: Sequence[float]) -> float:
    return statistics.median(samples)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that at least so many percent of them do not exceed (nearest rank)."""
    return sorted(samples)[max(0, math.ceil(len(samples) * percent / 100) - 1)]


def spread(samples: Sequence[float], unit: str, digits: int = 0) -> str:
    """Median and range of the samples."""
    low, high = min(samples), max(samples)
    return f"{median(samples):.{digits}f} {unit} ({low:.{digits}f}..{high:.{digits}f}, n={len(samples)})"


def tail(samples: Sequence[float], unit: str, digits: int = 0) -> str:
    """As `spread`, with the 99th percentile, which is the largest of less than 100 samples."""
    return f"{spread(samples, unit, digits)}, p99 {percentile(samples, 99):.{digits}f}"


def alternate(
    runs: int, ours: Callable[[], float], peer: Callable[[], float], warm: bool = True
) -> tuple[list[float], list[float]]:
    """Figures of A B A B ..., so that what else this machine does falls on both; the first pair does not count."""
    assert runs >= MIN_RUNS, "a ratio needs that many"
    if warm:
        ours()
        peer()
    pairs = [(ours(), peer()) for _ in range(runs)]
    return [each[0] for each in pairs], [each[1] for each in pairs]


def ratios(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Each run against the peer's that followed it."""
    return [mine / theirs for mine, theirs in zip(ours, peer, strict=True)]


def against(name: str, theirs: Sequence[float], unit: str, ratio: Sequence[float], digits: int = 0) -> str:
    """The cell of a peer: its figure, and ours as a ratio of it."""
    return f"{name} {spread(theirs, unit, digits)}; ratio {median(ratio):.2f} ({min(ratio):.2f}..{max(ratio):.2f})"


def render(rows: Sequence[Row]) -> str:
    """The table for a terminal; what a row has to say besides stands below it."""
    lines = [_line(_TITLES), "-" * (sum(_WIDTHS) + 2 * len(_WIDTHS))]
    for row in rows:
        verdict = {True: "met", False: "NOT MET", None: "-"}[row.met]
        cells = [
            textwrap.wrap(cell, width) or [""]
            for cell, width in zip((row.what, row.measured, row.peer, row.limit, verdict), _WIDTHS, strict=True)
        ]
        for number in range(max(map(len, cells))):
            lines.append(_line([cell[number] if number < len(cell) else "" for cell in cells]))
        lines.extend(textwrap.wrap(row.note, 150, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()
