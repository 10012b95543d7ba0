"""What every Panel does. An observer looks at the board, not at the program."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.model import DARK, NS_PER_S, Colour, Cue, Light, OutputFailed, Pattern, Tone, Vibration
from agent.ports import Panel
from hw.sim.panel import SimPanel, light_now
from tests.support.fake_clock import FakeClock
from tests.support.pins import KeptBoard

RED = Light(Colour.RED)
GREEN = Light(Colour.GREEN, Pattern.SLOW)


@dataclass
class Bench:
    """A panel, the clock that it runs by, what is seen of it, and how its outputs are broken."""

    clock: FakeClock
    panel: Panel
    seen: Callable[[], Light]
    break_outputs: Callable[[], None]
    posted: list[OutputFailed]
    close: Callable[[], None]


def simulated(run: Path) -> Bench:
    clock = FakeClock()
    posted: list[OutputFailed] = []
    folder = run / "run"
    folder.mkdir()
    panel = SimPanel(folder, clock, posted.append)
    return Bench(
        clock,
        panel,
        lambda: light_now(folder, clock.now_ns),
        lambda: shutil.rmtree(folder),
        posted,
        lambda: None,
    )


def kept(run: Path) -> Bench:
    """The pipe, the keeper, and pins, mock or the kernel's: who looks at them sees what an officer sees."""
    board = KeptBoard(run / "panel")
    return Bench(board.clock, board.panel, board.seen, board.end_keeper, board.posted, board.close)


@pytest.fixture(params=[simulated, kept])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    make: Callable[[Path], Bench] = request.param
    bench = make(tmp_path)
    yield bench
    bench.close()


def test_dark_until_something_is_shown(bench: Bench) -> None:
    assert bench.seen() == DARK


@pytest.mark.parametrize("colour", Colour)
@pytest.mark.parametrize("pattern", Pattern)
def test_every_light_is_shown_as_asked(bench: Bench, colour: Colour, pattern: Pattern) -> None:
    bench.panel.show(Light(colour, pattern), None)
    seen = bench.seen()
    assert seen.colour is colour
    assert seen.pattern is pattern or colour is Colour.OFF, "the dark has no pattern that anybody sees"


def test_a_light_without_a_deadline_is_held(bench: Bench) -> None:
    bench.panel.show(GREEN, None)
    bench.clock.advance(3_600_000)
    assert bench.seen() == GREEN


def test_a_light_goes_dark_by_itself_at_its_deadline(bench: Bench) -> None:
    bench.panel.show(RED, 3 * NS_PER_S)
    bench.clock.advance(2_999)
    assert bench.seen() == RED
    bench.clock.advance(1)
    assert bench.seen() == DARK


def test_showing_again_moves_the_deadline_and_another_light_takes_it_away(bench: Bench) -> None:
    bench.panel.show(RED, 3 * NS_PER_S)
    bench.clock.advance(2_000)
    bench.panel.show(RED, 3 * NS_PER_S)
    bench.clock.advance(2_999)
    assert bench.seen() == RED
    bench.panel.show(GREEN, None)
    bench.clock.advance(1)
    assert bench.seen() == GREEN


@pytest.mark.parametrize("tone", Tone)
@pytest.mark.parametrize("vibration", Vibration)
def test_a_cue_changes_no_light(bench: Bench, tone: Tone, vibration: Vibration) -> None:
    bench.panel.show(RED, None)
    bench.panel.play(Cue(tone, vibration))
    assert bench.seen() == RED
    assert bench.posted == []


def test_an_output_that_fails_is_posted_and_never_raised(bench: Bench) -> None:
    bench.panel.show(RED, None)
    bench.break_outputs()
    bench.panel.show(GREEN, None)
    bench.panel.play(Cue(Tone.START))
    assert bench.posted
