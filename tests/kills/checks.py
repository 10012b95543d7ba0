"""What must hold of a card after a kill or a cut, and of its pictures in the end. Every failure is a KillsError."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from agent.errors import ExportError
from agent.evidence.salvage import salvage
from agent.evidence.verdict import Report, Verdict
from agent.evidence.verify import verify
from agent.model import NS_PER_MS, NS_PER_S
from tests.kills.camera import PRERECORD_MS, Agency, Camera, KillsError, Told
from tests.kills.card import Card, Piece, Taken, read_card
from tests.kills.footage import FRAMES
from tests.support.footage import read_numbers

MAX_LOST_NS = 2 * NS_PER_S
BEFORE_START = frozenset({"simulated", "bracket", "open", "unsealed", "torn", "unnamed", "recovered", "stranger"})
IN_THE_END = frozenset({"simulated", "bracket", "recovered"})
"""Codes of reasons that a killed camera may have: before its next start, and after it has been switched off."""


@dataclass(frozen=True, slots=True)
class Death:
    """An end of the agent. `told` is all that was told before it, `at_ns` the boot clock just before it."""

    at_ns: int
    told: Sequence[Told]


@dataclass(frozen=True, slots=True)
class Loss:
    """What a death took from the open recording: ns of time without a durable fragment; None inside a drain."""

    lost_ns: int | None
    in_drain: bool


def after_death(camera: Camera, agency: Agency, death: Death) -> tuple[Card, Loss | None]:
    """The card as it lies there. None for the loss when nothing was being recorded."""
    card = read_card(camera.data)
    _check_told(card, death.told)
    _check_red(card, camera.seen_red())
    _check_status(card, camera.status())
    _check_report(camera, agency, BEFORE_START)
    _check_runs(card, death.told)
    taken = _being_recorded(card, death)
    if taken is None:
        return card, None
    lost_ns = _lost(taken.pieces[-1].end_ns, _captured(death.told)[-1], death.at_ns)
    if not _caught_up(taken.rec, death):
        return card, Loss(None, in_drain=True)
    if lost_ns > MAX_LOST_NS:
        raise KillsError(f"{taken.rec}: {lost_ns / NS_PER_S:.2f} s before the cut are missing")
    return card, Loss(lost_ns, in_drain=False)


def in_the_end(camera: Camera, agency: Agency, told: Sequence[Told], scratch: Path) -> tuple[Card, int]:
    """The card of a camera that was switched off in order; returns it and the number of pictures compared."""
    card = read_card(camera.data)
    _check_told(card, told)
    _check_runs(card, told)
    report = _check_report(camera, agency, IN_THE_END)
    recovered = any(taken.recovered for taken in card.recordings)
    if recovered != ("recovered" in {reason.code for reason in report.reasons}):
        raise KillsError(f"{camera.data}: the verdict does not say what the journal says of recovered segments")
    pictures = 0
    for taken in card.recordings:
        if taken.stopped is None:
            raise KillsError(f"{taken.rec}: has not ended")
        _check_gaps(taken)
        pictures += _check_pictures(taken, camera.data, agency, scratch)
    return card, pictures


def _check_told(card: Card, told: Sequence[Told]) -> None:
    """Whatever was told is in the entries."""
    by_rec = {taken.rec: taken for taken in card.recordings}
    marks = 0
    for line in told:
        if "durable" in line:
            taken = by_rec.get(str(line["durable"]))
            if taken is None or all(piece.end_ns != int(str(line["end_ns"])) for piece in taken.pieces):
                raise KillsError(f"told but lost: {line}")
        elif line.get("stopped") is not None:
            taken = by_rec.get(str(line["stopped"]))
            if taken is None or taken.stopped != line["cause"]:
                raise KillsError(f"told but lost: {line}")
        marks += "marked" in line
    if marks > sum(taken.marks for taken in card.recordings):
        raise KillsError(f"{marks} marks were told, and not all are there")


def _check_red(card: Card, red_ns: Sequence[int]) -> None:
    """Whenever the light turned red, a recording had begun on the card."""
    for at_ns in red_ns:
        if all(taken.start_ns > at_ns for taken in card.recordings):
            raise KillsError(f"the light was red at {at_ns}, and no recording had begun")


def _check_status(card: Card, status: object) -> None:
    if not isinstance(status, dict) or status.get("recording") is None or status.get("durable_end_ns") is None:
        return
    ends = {piece.end_ns for taken in card.recordings if taken.rec == status["recording"] for piece in taken.pieces}
    if int(status["durable_end_ns"]) not in ends:
        raise KillsError(f"the status said that {status['durable_end_ns']} was durable")


def _check_report(camera: Camera, agency: Agency, allowed: frozenset[str]) -> Report:
    report = verify(camera.data, agency.root_pem, now_ms=time.time_ns() // NS_PER_MS)
    codes = {reason.code for reason in report.reasons}
    if report.verdict is not Verdict.SIMULATED or codes - allowed:
        raise KillsError(f"{camera.data}: " + "; ".join(str(reason) for reason in report.reasons))
    return report


def _being_recorded(card: Card, death: Death) -> Taken | None:
    """The open recording, if this run of the agent put something into it."""
    run = _this_run(death.told)
    taken = card.open
    if taken is None or not any(line.get("durable") == taken.rec for line in run):
        return None
    return taken


def _this_run(told: Sequence[Told]) -> Sequence[Told]:
    starts = [index for index, line in enumerate(told) if "started" in line]
    return told[starts[-1] :]


def _caught_up(rec: str, death: Death) -> bool:
    """Whether the drain had: a fragment became durable within 2 s of its end, or 2 s have passed since the first."""
    durable = [line for line in _this_run(death.told) if line.get("durable") == rec]
    times = [int(str(line["boot_ns"])) for line in durable]
    live = any(at_ns - int(str(line["end_ns"])) < NS_PER_S for at_ns, line in zip(times, durable, strict=True))
    return live or death.at_ns - times[0] > 2 * NS_PER_S


def _lost(durable_ns: int, captured: Sequence[tuple[int, int]], at_ns: int) -> int:
    """From the first moment that was filmed and is not durable; time in which capture was down is not footage."""
    return at_ns - next((t0_ns for t0_ns, end_ns in captured if end_ns > durable_ns), durable_ns)


def _captured(told: Sequence[Told]) -> list[list[tuple[int, int]]]:
    """(t0_ns, end_ns) of all that was taken from capture, in one list for each run of the agent."""
    runs: list[list[tuple[int, int]]] = []
    for line in told:
        each = line.get("captured")
        if "started" in line:
            runs.append([])
        elif isinstance(each, list):
            runs[-1].append((int(each[0]), int(each[1])))
    return runs


def _check_runs(card: Card, told: Sequence[Told]) -> None:
    """What each run of the agent recorded is a gapless run of what it captured.

    It begins with the oldest fragment that belongs to the recording, or, where a recording goes on, with the first.
    """
    captured = _captured(told)
    earlier_ns = 0
    for taken in card.recordings:
        pieces = [(piece.t0_ns, piece.end_ns) for piece in taken.pieces]
        reach_ns = taken.press_ns - PRERECORD_MS * NS_PER_MS
        for run in captured:
            here = [each for each in pieces if run and run[0][0] <= each[0] <= run[-1][0]]
            resumed = bool(here) and here[0] != pieces[0]
            ours = [each for each in run if resumed or (each[1] > reach_ns and each[0] >= earlier_ns)]
            if here != ours[: len(here)]:
                raise KillsError(f"{taken.rec}: is not a gapless run from the oldest fragment: {here} of {ours}")
        earlier_ns = pieces[-1][1] if pieces else earlier_ns


def _check_gaps(taken: Taken) -> None:
    """Time is contiguous but for gap entries, and each gap entry is at a hole."""
    holes = [
        (before.end_ns, after.t0_ns)
        for before, after in pairwise(taken.pieces)
        if abs(after.t0_ns - before.end_ns) > after.frame_ns
    ]
    said = [(from_ns, to_ns) for from_ns, to_ns, _ in taken.gaps]
    if holes != [gap for gap in said if gap[1] <= taken.pieces[-1].t0_ns]:
        raise KillsError(f"{taken.rec}: holes {holes}, but the entries say {said}")


def _check_pictures(taken: Taken, data: Path, agency: Agency, scratch: Path) -> int:
    """Every picture that an entry counts is there, in its order, by the number burnt into it. Returns how many."""
    before: tuple[Piece, int] | None = None
    total = 0
    for seg in taken.segments:
        pieces = [piece for piece in taken.pieces if piece.seg == seg]
        numbers = _numbers(taken.path(data, seg), agency, scratch)
        wanted = sum(piece.frames for piece in pieces)
        if len(numbers) < wanted:
            raise KillsError(f"{taken.rec} segment {seg}: {len(numbers)} pictures, the entries count {wanted}")
        place = 0
        for piece in pieces:
            shown = numbers[place : place + piece.frames]
            if shown != [(shown[0] + index) % FRAMES for index in range(piece.frames)]:
                raise KillsError(f"{taken.rec} segment {seg}: pictures {shown} do not follow each other")
            _check_follows(taken, before, piece, shown[0])
            before = piece, shown[-1]
            place += piece.frames
        total += wanted
    return total


def _check_follows(taken: Taken, before: tuple[Piece, int] | None, piece: Piece, number: int) -> None:
    if before is None or abs(piece.t0_ns - before[0].end_ns) > piece.frame_ns:
        return  # a gap entry says so: checked there
    if number != (before[1] + 1) % FRAMES:
        raise KillsError(f"{taken.rec}: picture {number} follows {before[1]}, and no gap says so")


def _numbers(file: Path, agency: Agency, scratch: Path) -> list[int]:
    """The numbers of all pictures that salvage finds."""
    out = scratch / f"{file.parent.name}-{file.name}.mp4"
    try:
        made = salvage(file, [agency.identity], out)
    except ExportError as error:
        raise KillsError(f"{file}: {error}") from error
    numbers = read_numbers(out)
    if len(numbers) != made.frames:
        raise KillsError(f"{file}: salvage counts {made.frames} pictures, a player shows {len(numbers)}")
    out.unlink()
    return numbers
