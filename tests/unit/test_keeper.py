"""The keeper, its pipe and its lamps; the panel's end of it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.board_parts import Led
from agent.errors import BoardError, ConfigError, FormatError
from agent.model import DARK, NS_PER_MS, NS_PER_S, Colour, Cue, Light, OutputFailed, Pattern, Tone, Vibration
from hw.gpio import open_factory
from hw.keeper import Keeper, Outputs, PipeReader, turn
from hw.leds import open_led
from hw.panel import MAX_LINE_BYTES, HeldLight, PipedPanel, SaidCue, encode, parse
from hw.signals import BLINK_MS, MAX_SEQUENCE_MS, TONE_MS, VIBRATION_MS, blink, sequence
from tests.support.fake_clock import FakeClock
from tests.support.pins import KeptBoard

RED = Light(Colour.RED)
HARDWARE_PAGE = (Path(__file__).parents[2] / "docs" / "hardware.md").read_text()

moments = st.integers(0, 10**18)
lights = st.builds(Light, st.sampled_from(Colour), st.sampled_from(Pattern))
told = st.builds(HeldLight, lights, st.none() | moments) | st.builds(
    SaidCue, st.builds(Cue, st.sampled_from(Tone), st.sampled_from(Vibration)), moments
)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[KeptBoard]:
    board = KeptBoard(tmp_path / "panel")
    yield board
    board.close()


@given(told)
def test_a_line_comes_back_as_it_was_told_and_is_never_torn(what: HeldLight | SaidCue) -> None:
    line = encode(what)
    assert parse(line) == what
    assert len(line) <= MAX_LINE_BYTES <= 512  # POSIX's least PIPE_BUF


@given(st.binary(max_size=MAX_LINE_BYTES))
def test_any_other_line_is_refused(line: bytes) -> None:
    try:
        found = parse(line)
    except FormatError:
        return
    assert encode(found) == line, "one encoding only"


@pytest.mark.parametrize(
    "line",
    [b"light red steady 5", b"light red steady 05\n", b"light red steady -1\n", b"light pink steady 5\n",
     b"light red blink 5\n", b"light red steady\n", b"cue start short -\n", b"cue start loud 5\n",
     b"LIGHT red steady 5\n", b"light red steady 5\n\n", b"light  red steady 5\n",
     b"light red steady 10000000000000000000\n"],
)  # fmt: skip
def test_lines_that_are_nearly_right(line: bytes) -> None:
    with pytest.raises(FormatError):
        parse(line)


@pytest.mark.parametrize("steps_ms", [*TONE_MS.values(), *VIBRATION_MS.values()])
def test_every_sequence_begins_on_and_ends_off_in_time(steps_ms: tuple[int, ...]) -> None:
    assert len(steps_ms) % 2 or not steps_ms
    assert sum(steps_ms) <= MAX_SEQUENCE_MS
    now_ns: int | None = 0
    for number, step_ms in enumerate(steps_ms):
        assert now_ns is not None
        on, due_ns = sequence(steps_ms, 0, now_ns)
        assert (on, due_ns) == (number % 2 == 0, now_ns + step_ms * NS_PER_MS)
        now_ns = due_ns
    assert sequence(steps_ms, 0, now_ns or 0) == (False, None)


def test_no_two_cues_sound_or_feel_alike() -> None:
    assert set(TONE_MS) == set(Tone)
    assert set(VIBRATION_MS) == set(Vibration)
    assert set(BLINK_MS) == set(Pattern) - {Pattern.STEADY}
    for table in (TONE_MS, VIBRATION_MS):
        assert len(set(table.values())) == len(table)


@given(st.sampled_from([Pattern.SLOW, Pattern.FAST]), st.integers(0, 10**12), st.integers(0, 10**12))
def test_a_light_is_lit_at_once_and_blinks_by_halves(pattern: Pattern, shown_ns: int, later_ns: int) -> None:
    assert blink(pattern, shown_ns, shown_ns)[0]
    lit, turns_ns = blink(pattern, shown_ns, shown_ns + later_ns)
    assert turns_ns is not None
    assert 0 < turns_ns - shown_ns - later_ns <= BLINK_MS[pattern] * NS_PER_MS
    assert blink(pattern, shown_ns, turns_ns)[0] is not lit
    assert blink(pattern, shown_ns, turns_ns - 1)[0] is lit


def test_the_keeper_asks_for_the_deadline_and_no_sooner(board: KeptBoard) -> None:
    board.panel.show(RED, 3 * NS_PER_S)
    dark_ns = board.clock.now_ns + 3 * NS_PER_S
    assert board.turn() == dark_ns
    board.keeper.step(dark_ns - 1)
    assert board.colour() is Colour.RED
    assert board.keeper.step(dark_ns) is None
    assert board.colour() is Colour.OFF


def test_the_same_light_shown_again_blinks_on_in_step(board: KeptBoard) -> None:
    blinking = Light(Colour.GREEN, Pattern.SLOW)
    began_ns = board.clock.now_ns
    board.panel.show(blinking, 3 * NS_PER_S)
    board.turn()
    board.clock.advance(700)
    board.panel.show(blinking, 3 * NS_PER_S)
    assert board.turn() == began_ns + NS_PER_S
    assert board.colour() is Colour.OFF, "in its dark half"
    board.panel.show(Light(Colour.AMBER, Pattern.SLOW), 3 * NS_PER_S)
    board.turn()
    assert board.colour() is Colour.AMBER, "another one is lit at once"


def test_a_blinking_light_that_went_dark_begins_lit(board: KeptBoard) -> None:
    blinking = Light(Colour.GREEN, Pattern.SLOW)
    board.panel.show(blinking, NS_PER_S)
    board.turn()
    board.clock.advance(1_700)
    board.turn()
    board.panel.show(blinking, NS_PER_S)
    board.turn()
    assert board.colour() is Colour.GREEN


def test_an_agent_that_ends_leaves_its_light_until_the_deadline(board: KeptBoard) -> None:
    board.panel.show(RED, 3 * NS_PER_S)
    board.panel.close()
    dark_ns = board.clock.now_ns + 3 * NS_PER_S
    assert (board.turn(), board.turn()) == (dark_ns, dark_ns)
    assert board.colour() is Colour.RED
    assert board.keeper.step(dark_ns) is None
    assert board.colour() is Colour.OFF


def test_a_light_without_a_deadline_ends_with_the_last_writer(board: KeptBoard) -> None:
    board.panel.show(RED, None)
    other = PipedPanel(board.reader_path, board.clock, board.posted.append)
    other.play(Cue())
    board.turn()
    board.panel.close()
    board.turn()
    assert board.colour() is Colour.RED, "somebody has the pipe open"
    other.close()
    board.turn()
    board.turn()
    assert board.colour() is Colour.OFF


def test_the_next_agent_finds_the_keeper(board: KeptBoard) -> None:
    for colour in (Colour.RED, Colour.BLUE, Colour.GREEN):
        panel = PipedPanel(board.reader_path, board.clock, board.posted.append)
        panel.show(Light(colour), NS_PER_S)
        board.turn()
        assert board.colour() is colour
        panel.close()
        board.turn()
    assert board.posted == []


def test_a_cue_is_played_to_its_end(board: KeptBoard) -> None:
    wiring = board.parts.wiring
    board.panel.play(Cue(Tone.STOP, Vibration.SHORT))
    began_ns = board.clock.now_ns
    due_ns = board.turn()
    seen: list[tuple[int, bool, bool]] = []
    while due_ns is not None:
        seen.append((due_ns - began_ns, board.pins.is_on(wiring.buzzer), board.pins.is_on(wiring.vibration)))
        due_ns = board.keeper.step(due_ns)
    assert [(ns // NS_PER_MS, sounds, shakes) for ns, sounds, shakes in seen] == [
        (100, True, True), (150, True, False), (250, False, False), (400, True, False)
    ]  # fmt: skip
    assert not board.pins.is_on(wiring.buzzer)


@pytest.mark.parametrize(("late_ms", "played"), [(999, True), (1_000, False)])
def test_a_stale_cue_is_not_played(board: KeptBoard, late_ms: int, played: bool) -> None:
    board.panel.play(Cue(Tone.START))
    board.clock.advance(late_ms)
    board.turn()
    assert board.pins.is_on(board.parts.wiring.buzzer) is played


def test_rubbish_in_the_pipe_changes_nothing(board: KeptBoard) -> None:
    board.panel.show(RED, NS_PER_S)
    board.turn()
    pipe = os.open(board.reader_path, os.O_WRONLY)
    os.write(pipe, b"light green steady 99\xff\n\nlight blue steady -" + b"x" * 3000 + b"\nlight gr")
    board.turn()
    assert board.colour() is Colour.RED
    os.write(pipe, b"een steady -\n")
    board.turn()
    assert board.colour() is Colour.GREEN
    os.close(pipe)


def test_a_line_that_its_writer_never_ended_is_not_joined_to_the_next(board: KeptBoard) -> None:
    pipe = os.open(board.reader_path, os.O_WRONLY)
    os.write(pipe, b"light green")
    os.close(pipe)
    board.turn()
    board.turn()
    board.panel.show(RED, NS_PER_S)
    board.turn()
    assert board.colour() is Colour.RED


def test_a_keeper_that_does_not_read_is_told(board: KeptBoard) -> None:
    board.panel.show(RED, NS_PER_S)
    board.clock.advance(499)
    board.panel.show(RED, NS_PER_S)
    assert board.posted == []
    board.clock.advance(500)
    board.panel.show(RED, NS_PER_S)
    assert board.posted == [OutputFailed("keeper")]
    board.turn()
    board.clock.advance(500)
    board.panel.show(RED, NS_PER_S)
    assert board.posted == [OutputFailed("keeper")]


def test_a_full_pipe_never_waits(board: KeptBoard) -> None:
    for _ in range(3_000):
        board.panel.play(Cue(Tone.START))
    assert set(board.posted) == {OutputFailed("buzzer")}


def test_without_a_keeper_every_call_is_told_until_one_is_there(tmp_path: Path) -> None:
    path = tmp_path / "panel"
    posted: list[OutputFailed] = []
    panel = PipedPanel(path, FakeClock(), posted.append)
    panel.show(RED, NS_PER_S)
    panel.play(Cue(Tone.START))
    assert posted == [OutputFailed("light"), OutputFailed("buzzer")]
    reader = PipeReader(path)
    panel.show(RED, NS_PER_S)
    assert len(posted) == 2
    assert reader.read()[0] == [encode(HeldLight.shown(RED, NS_PER_S, FakeClock().now_ns))]
    reader.close()


def test_a_file_in_the_place_of_the_pipe_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "panel").write_text("")
    with pytest.raises(ConfigError, match=r"panel: File exists; give a path in a folder of its own"):
        PipeReader(tmp_path / "panel")


class Lamp:
    """One that may fail."""

    def __init__(self) -> None:
        self.on = True
        self.fails = False

    def __call__(self, on: bool) -> None:
        if self.fails:
            raise BoardError("lamp", "gone", "check it")
        self.on = on


def outputs(lamps: list[Lamp]) -> Outputs:
    names = ("green", "amber", "red", "blue")
    return Outputs(
        dict(zip(names, lamps, strict=False)), {Colour(name): frozenset({name}) for name in names}, lamps[4], lamps[5]
    )


def test_it_starts_dark_and_one_lamp_that_fails_does_not_keep_the_others_on(tmp_path: Path) -> None:
    lamps = [Lamp() for _ in range(6)]
    keeper = Keeper(outputs(lamps))
    assert not any(lamp.on for lamp in lamps)
    keeper.take(encode(HeldLight(RED, None)), 0)
    keeper.take(encode(SaidCue(Cue(Tone.START, Vibration.LONG), 0)), 0)
    keeper.step(0)
    assert [lamp.on for lamp in lamps] == [False, False, True, False, True, True]
    lamps[0].fails = True
    with pytest.raises(BoardError):
        keeper.dark()
    assert not any(lamp.on for lamp in lamps)


def test_an_output_that_fails_ends_the_keepers_turn(board: KeptBoard, tmp_path: Path) -> None:
    lamps = [Lamp() for _ in range(6)]
    keeper = Keeper(outputs(lamps))
    assert board.reader is not None
    lamps[2].fails = True
    board.panel.show(RED, None)
    with pytest.raises(BoardError, match="lamp: gone; check it"):
        turn(keeper, board.reader, 0)


def led(folder: Path, full: str = "255\n") -> Path:
    folder.mkdir(parents=True)
    (folder / "trigger").write_text("none [mmc0] timer\n")
    (folder / "max_brightness").write_text(full)
    (folder / "brightness").write_text("7\n")
    return folder


def first_line(path: Path) -> str:
    return path.read_text().split("\n")[0]  # sysfs takes each write as a whole; a file keeps what it overwrites


def test_a_led_of_the_kernel(tmp_path: Path) -> None:
    folder = led(tmp_path / "cam:red")
    turn_led = open_led(Led("cam:red"), tmp_path)
    assert (first_line(folder / "trigger"), first_line(folder / "brightness")) == ("none", "0")
    turn_led(True)
    assert first_line(folder / "brightness") == "255"
    turn_led(False)
    assert first_line(folder / "brightness") == "0"
    (folder / "brightness").unlink()
    with pytest.raises(BoardError, match=r"brightness: No such file or directory; check the LED's name"):
        turn_led(True)


@pytest.mark.parametrize("full", ["0\n", "", "-1\n", "max\n", "255", "1000000\n"])
def test_a_led_that_says_no_brightness(tmp_path: Path, full: str) -> None:
    led(tmp_path / "x", full)
    with pytest.raises(BoardError, match="max_brightness: says "):
        open_led(Led("x"), tmp_path)


def test_a_led_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BoardError, match=r"x/trigger: No such file or directory"):
        open_led(Led("x"), tmp_path)


def test_without_pins_the_factory_is_one_line_and_lgpio_has_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LG_WD", "elsewhere")  # put back at the end
    with pytest.raises(BoardError, match=r"^gpio: "):
        open_factory(tmp_path)
    assert os.environ["LG_WD"] == str(tmp_path)


def test_the_tables_of_the_hardware_page_are_the_codes() -> None:
    for table in (TONE_MS, VIBRATION_MS):
        for kind, steps_ms in table.items():
            if steps_ms:
                assert re.search(rf"^\| {kind.value} \| {' '.join(map(str, steps_ms))} \|$", HARDWARE_PAGE, re.M), kind
    for pattern, half_ms in BLINK_MS.items():
        assert f"| {pattern.value} | {half_ms} ms on, {half_ms} ms off |" in HARDWARE_PAGE


def test_dark_is_dark(board: KeptBoard) -> None:
    board.panel.show(DARK, None)
    assert board.turn() is None
    assert board.colour() is Colour.OFF
