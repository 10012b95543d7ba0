"""Button, switch-off input and contact on pins, mock or the kernel's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agent.button import Button, Gesture, Press, Stuck
from agent.errors import BoardError
from agent.model import NS_PER_S, Battery, BatteryChanged, BoardEvent, ButtonEdge, Contact, SwitchOff
from hw.gpio import open_input, open_output
from hw.inputs import BoardInputs
from hw.watch import MEASURE_NS, BoardWatch
from tests.support.fake_clock import FakeClock
from tests.support.pins import clip_on, header

WIRING = clip_on().wiring


class Bench:
    def __init__(self) -> None:
        self.pins = header()
        self.clock = FakeClock()
        self.posted: list[BoardEvent] = []
        self.woken = 0

    def inputs(self) -> BoardInputs:
        """Opened as on a board: gpiozero pulls a pin to its idle level, whatever drove it before."""
        return BoardInputs(WIRING, self.pins.factory, self.clock, self.posted.append, self._wake)

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.pins.close()


@pytest.fixture
def inputs(bench: Bench) -> Iterator[BoardInputs]:
    inputs = bench.inputs()
    inputs.open()
    yield inputs
    inputs.close()


def gestures(edges: list[BoardEvent], until_ns: int) -> list[Gesture]:
    button = Button(False, 0)
    for edge in edges:
        assert isinstance(edge, ButtonEdge)
        button.edge(edge.pressed, edge.at_ns)
    found: list[Gesture] = []
    while more := button.step(until_ns):
        found += more
    return found


def test_each_edge_of_the_button_is_posted_from_its_callback_bounces_included(
    bench: Bench, inputs: BoardInputs
) -> None:
    began_ns = bench.clock.now_ns
    for on, ms in ((True, 0), (False, 2), (True, 3), (False, 900)):
        bench.clock.now_ns = began_ns + ms * 1_000_000
        bench.pins.drive(WIRING.button, on)
    assert [(edge.pressed, edge.at_ns - began_ns) for edge in bench.posted if isinstance(edge, ButtonEdge)] == [
        (True, 0), (False, 2_000_000), (True, 3_000_000), (False, 900_000_000)
    ]  # fmt: skip
    assert gestures(bench.posted, began_ns + 60 * NS_PER_S)[0] == Press(began_ns)
    assert bench.woken == 0, "nobody else has to do anything"


def test_a_stuck_button(bench: Bench, inputs: BoardInputs) -> None:
    bench.pins.drive(WIRING.button, True)
    now_ns = bench.clock.now_ns
    assert Stuck(now_ns) in gestures(bench.posted, now_ns + 30 * NS_PER_S)


def test_a_button_that_is_down_before_the_first_callback_is_a_level_and_one_after_it_an_edge(bench: Bench) -> None:
    idle = bench.inputs()
    assert not idle.pressed
    bench.pins.drive(WIRING.button, True)  # between the reading of the level and the callback
    idle.open()
    assert bench.posted == [ButtonEdge(True, bench.clock.now_ns)]
    idle.close()


def test_the_idle_levels_are_pulled_to_by_the_board(bench: Bench, inputs: BoardInputs) -> None:
    assert (inputs.pressed, inputs.contact) == (False, False)
    assert bench.pins.pull(WIRING.button) == "up"


def test_switching_off_takes_five_seconds_without_a_break(bench: Bench, inputs: BoardInputs) -> None:
    bench.pins.drive(WIRING.switch_off, True)
    assert bench.woken == 1
    began_ns = bench.clock.now_ns
    assert inputs.step(began_ns) == began_ns + 5 * NS_PER_S
    assert inputs.step(began_ns + 5 * NS_PER_S - 1) == began_ns + 5 * NS_PER_S
    assert bench.posted == []
    bench.clock.advance(4_999)
    bench.pins.drive(WIRING.switch_off, False)
    bench.clock.advance(1)
    bench.pins.drive(WIRING.switch_off, True)
    assert inputs.step(bench.clock.now_ns) == bench.clock.now_ns + 5 * NS_PER_S
    assert bench.posted == []
    bench.clock.advance(5_000)
    assert inputs.step(bench.clock.now_ns) is None
    assert bench.posted == [SwitchOff()]
    bench.clock.advance(60_000)
    inputs.step(bench.clock.now_ns)
    assert bench.posted == [SwitchOff()], "once a press"


def test_edges_that_are_looked_at_late_count_at_their_own_time(bench: Bench, inputs: BoardInputs) -> None:
    bench.pins.drive(WIRING.switch_off, True)
    bench.clock.advance(5_000)
    bench.pins.drive(WIRING.switch_off, False)
    bench.clock.advance(10_000)
    inputs.step(bench.clock.now_ns)
    assert bench.posted == [SwitchOff()]


def test_a_contact_counts_when_it_has_settled(bench: Bench, inputs: BoardInputs) -> None:
    for on in (True, False, True):
        bench.pins.drive(WIRING.contact, on)
        bench.clock.advance(10)
    settles_ns = bench.clock.now_ns - 10_000_000 + 200_000_000
    assert inputs.step(settles_ns - 1) == settles_ns
    assert bench.posted == []
    inputs.step(settles_ns)
    assert inputs.contact
    assert bench.posted == [Contact(True)]
    bench.clock.now_ns = settles_ns
    bench.pins.drive(WIRING.contact, False)
    bench.pins.drive(WIRING.contact, True)
    assert inputs.step(settles_ns + NS_PER_S) is None
    assert bench.posted == [Contact(True)], "it was not away"


def test_a_contact_that_is_there_at_start_is_posted(bench: Bench) -> None:
    inputs = bench.inputs()
    bench.pins.drive(WIRING.contact, True)
    inputs.open()
    bench.clock.advance(200)
    inputs.step(bench.clock.now_ns)
    assert bench.posted == [Contact(True)]
    inputs.close()


def test_a_pin_that_somebody_else_has_is_one_line(bench: Bench) -> None:
    held = open_output(bench.pins.factory, WIRING.button)
    with pytest.raises(BoardError, match=r"GPIO17: GPIOPinInUse: .*; check that no other program has the pin"):
        open_input(bench.pins.factory, WIRING.button)
    held.close()


class FakePower:
    def __init__(self) -> None:
        self.percent = 50
        self.measured = 0

    def measure(self) -> Battery:
        self.measured += 1
        return Battery(self.percent)


def test_the_watch_measures_each_ten_seconds_and_posts_what_is_new(bench: Bench, inputs: BoardInputs) -> None:
    posted: list[BatteryChanged] = []
    watch = BoardWatch(bench.clock, posted.append)
    power = FakePower()
    began_ns = bench.clock.now_ns
    assert watch.step((inputs,), power) == began_ns + MEASURE_NS
    bench.clock.advance(9_999)
    watch.step((inputs,), power)
    assert power.measured == 1
    bench.clock.advance(1)
    watch.step((inputs,), power)
    assert (power.measured, len(posted)) == (2, 1)
    power.percent = 49
    bench.clock.advance(10_000)
    bench.pins.drive(WIRING.contact, True)
    assert watch.step((inputs,), power) == bench.clock.now_ns + 200_000_000, "the first that is due"
    assert posted == [BatteryChanged(Battery(50)), BatteryChanged(Battery(49))]


def test_a_wake_that_comes_while_the_watch_looks_is_not_lost(bench: Bench) -> None:
    watch = BoardWatch(bench.clock, lambda event: None)

    class Waker:
        def step(self, now_ns: int) -> int | None:
            watch.wake()
            return None

    watch.turn((Waker(),), FakePower())  # returns at once
    watch.step((), FakePower())
    assert not watch._woken.is_set(), "each wake is for one turn: it does not spin"
