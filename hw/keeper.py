"""The keeper: a process of its own that has the lamps, the buzzer and the vibration, and ends all that they do in time.

Guarantees: a light goes dark at its deadline, and a cue is over when its sequence is, whatever has become of the agent;
a light without a deadline goes dark when nobody has the pipe open any more. It starts and ends dark. A line that is not
one of hw/panel.py's changes nothing; a cue that is older than a second is not played. An output that fails ends the
keeper with one line on standard error: the agent finds the pipe closed, and says so.
Assumes: it runs outside the agent's control group, so that what ends the agent leaves it alone (docs/hardware.md).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from agent.board_parts import BoardParts, Lamp, Led
from agent.config import load_board
from agent.errors import BoardError, ConfigError, FormatError, TemoinError
from agent.model import DARK, NS_PER_MS, NS_PER_S, Colour, Cue
from hw.gpio import Factory, Switch, open_factory, open_output, switch
from hw.leds import LEDS, open_led
from hw.panel import MAX_LINE_BYTES, HeldLight, SaidCue, parse
from hw.signals import TONE_MS, VIBRATION_MS, blink, sequence

STALE_CUE_NS = NS_PER_S
READ_BYTES = 4096
BUZZER, VIBRATION = "/buzzer", "/vibration"  # beside the lamps' names, which have no /


@dataclass(frozen=True, slots=True)
class Outputs:
    """The board's: `lights` names the lamps of each colour."""

    lamps: Mapping[str, Switch]
    lights: Mapping[Colour, frozenset[str]]
    buzzer: Switch
    vibration: Switch


class Keeper:
    """The rule: what was told, and the time, decide each output. All methods may raise BoardError."""

    def __init__(self, outputs: Outputs) -> None:
        self._outputs = outputs
        self._held = HeldLight(DARK, None)
        self._shown_ns = 0
        self._cue = SaidCue(Cue(), 0)
        self._switches = {**outputs.lamps, BUZZER: outputs.buzzer, VIBRATION: outputs.vibration}
        self._on = dict.fromkeys(self._switches, False)
        self.dark()

    def take(self, line: bytes, now_ns: int) -> None:
        """One line; `step` then obeys it. Raises FormatError: then nothing has changed."""
        told = parse(line)
        if isinstance(told, HeldLight):
            if told.light != self._held.at(now_ns):  # the same light goes on blinking as it does
                self._shown_ns = now_ns
            self._held = told
        elif now_ns - told.at_ns < STALE_CUE_NS:
            self._cue = SaidCue(told.cue, now_ns)

    def left(self) -> None:
        """Nobody has the pipe open any more."""
        if self._held.dark_at_ns is None:
            self._held = HeldLight(DARK, None)

    def step(self, now_ns: int) -> int | None:
        """Set what has to change; returns when something will change by itself, None if nothing will."""
        light = self._held.at(now_ns)
        lit, turns_ns = blink(light.pattern, self._shown_ns, now_ns)
        shining = self._outputs.lights[light.colour] if lit and light.colour is not Colour.OFF else frozenset()
        for name in self._outputs.lamps:
            self._turn(name, name in shining)
        sounds, silent_ns = sequence(TONE_MS[self._cue.cue.tone], self._cue.at_ns, now_ns)
        shakes, still_ns = sequence(VIBRATION_MS[self._cue.cue.vibration], self._cue.at_ns, now_ns)
        self._turn(BUZZER, sounds)
        self._turn(VIBRATION, shakes)
        due = [silent_ns, still_ns]
        if light.colour is not Colour.OFF:
            due += [turns_ns, self._held.dark_at_ns]
        return min((ns for ns in due if ns is not None), default=None)

    def dark(self) -> None:
        """Everything off, whatever was thought to be on; the first failure is raised when all have been tried."""
        failure: BoardError | None = None
        for name, turn in self._switches.items():
            try:
                turn(False)
                self._on[name] = False
            except BoardError as error:
                failure = failure or error
        if failure is not None:
            raise failure

    def _turn(self, name: str, on: bool) -> None:
        if self._on[name] != on:
            self._switches[name](on)
            self._on[name] = on


class PipeReader:
    """The reading end of the pipe `path`, which it makes if it is not there. Raises ConfigError when it cannot."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rest = b""
        self._poll = select.poll()
        try:
            if not path.is_fifo():
                os.mkfifo(path, 0o660)
            self._pipe = self._open()
        except OSError as error:
            raise ConfigError(str(path), error.strerror or str(error), "give a path in a folder of its own") from None

    def wait(self, timeout_ns: int | None) -> None:
        """Until there is something to read, or a writer has gone, or the time is over."""
        self._poll.poll(None if timeout_ns is None else max(0, -(-timeout_ns // NS_PER_MS)))

    def read(self) -> tuple[list[bytes], bool]:
        """Whole lines so far, and whether the last writer has gone."""
        try:
            data = os.read(self._pipe, READ_BYTES)
        except BlockingIOError:
            return [], False
        if not data:
            self._rest = b""
            self._again()
            return [], True
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._rest = self._rest[: MAX_LINE_BYTES + 1]  # a line that long is none, whatever follows
        return [line + b"\n" for line in lines], False

    def close(self) -> None:
        os.close(self._pipe)

    def _open(self) -> int:
        pipe = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._poll.register(pipe, select.POLLIN)
        return pipe

    def _again(self) -> None:
        """A new end does not tell of the writer that has gone; the old one goes last, so that there always is one."""
        old = self._pipe
        self._poll.unregister(old)
        try:
            self._pipe = self._open()
        except OSError as error:
            raise ConfigError(str(self._path), error.strerror or str(error), "start the keeper again") from None
        os.close(old)


def turn(keeper: Keeper, reader: PipeReader, now_ns: int) -> int | None:
    """Read what is there, obey, and say when to come again. Raises BoardError, ConfigError."""
    lines, gone = reader.read()
    for line in lines:
        with contextlib.suppress(FormatError):
            keeper.take(line, now_ns)
    if gone:
        keeper.left()
    return keeper.step(now_ns)


def open_outputs(parts: BoardParts, factory: Factory, leds: Path = LEDS) -> Outputs:
    """All of them, off. Raises BoardError."""

    def opened(lamp: Lamp) -> Switch:
        return open_led(lamp, leds) if isinstance(lamp, Led) else switch(open_output(factory, lamp), lamp)

    return Outputs(
        lamps={name: opened(lamp) for name, lamp in parts.lamps.items()},
        lights=parts.lights,
        buzzer=opened(parts.wiring.buzzer),
        vibration=opened(parts.wiring.vibration),
    )


def keep(outputs: Outputs, path: Path) -> None:
    """Until the process is told to end. Raises BoardError, ConfigError."""
    keeper = Keeper(outputs)
    try:
        reader = PipeReader(path)
        due_ns = None
        while True:
            reader.wait(None if due_ns is None else due_ns - _boot_ns())
            due_ns = turn(keeper, reader, _boot_ns())
    finally:
        keeper.dark()


def main(arguments: Sequence[str] | None = None) -> int:
    """`python -m hw.keeper`. 0 when it was told to end, 1 and one line when an output failed or something is wrong."""
    parser = argparse.ArgumentParser(prog="keeper", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--board", type=Path, required=True, help="the board file")
    parser.add_argument("--pipe", type=Path, required=True, help="where the agent writes; made if it is not there")
    parser.add_argument("--folder", type=Path, required=True, help="a folder of its own, for lgpio's files")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _end)
    signal.signal(signal.SIGINT, _end)
    try:
        board = load_board(given.board)
        if board.parts is None:
            raise ConfigError(str(board.file), "a simulated board has no lamps", "give the file of a real one")
        factory = open_factory(given.folder)
        try:
            keep(open_outputs(board.parts, factory), given.pipe)
        finally:
            factory.close()
    except TemoinError as error:
        print(f"keeper: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _boot_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


if __name__ == "__main__":
    sys.exit(main())
