"""The panel of a real board, as the agent has it: the writing end of a pipe to the keeper (hw/keeper.py).

Guarantees: `show` and `play` return at once and never raise; an output that fails, or a keeper that does not read, is
posted. The deadline of a light is absolute, so that the keeper needs no help from us: also when this process is
stopped, killed or hung. Holds no pin. Assumes: the keeper has made the pipe; one thread shows and plays.

One line a call, short enough that the kernel never tears it (PIPE_BUF):

    light COLOUR PATTERN DARK_AT_NS     dark_at_ns on CLOCK_BOOTTIME; - : held while somebody has the pipe open
    cue TONE VIBRATION AT_NS            at_ns: when it was said
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import termios
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent.errors import FormatError
from agent.model import DARK, NS_PER_S, Colour, Cue, Light, OutputFailed, Pattern, Tone, Vibration
from agent.ports import Clock

MAX_LINE_BYTES = 64
READ_WITHIN_NS = NS_PER_S // 2  # a keeper that leaves a line unread for longer hangs

_NS = r"(0|[1-9][0-9]{0,18})"
_LINE = re.compile(rf"(?:light ([a-z]+) ([a-z]+) (?:{_NS}|-)|cue ([a-z]+) ([a-z]+) {_NS})\n")


@dataclass(frozen=True, slots=True)
class HeldLight:
    """A light and the moment on the boot clock at which it goes dark; None: held until something else is shown."""

    light: Light
    dark_at_ns: int | None

    @staticmethod
    def shown(light: Light, dark_after_ns: int | None, now_ns: int) -> HeldLight:
        """What `Panel.show` at `now_ns` means."""
        return HeldLight(light, None if dark_after_ns is None else now_ns + dark_after_ns)

    def at(self, now_ns: int) -> Light:
        """What is seen at `now_ns`."""
        return DARK if self.dark_at_ns is not None and now_ns >= self.dark_at_ns else self.light


@dataclass(frozen=True, slots=True)
class SaidCue:
    """A cue and the moment on the boot clock at which it was said."""

    cue: Cue
    at_ns: int


def encode(told: HeldLight | SaidCue) -> bytes:
    """The line."""
    match told:
        case HeldLight():
            dark_at = "-" if told.dark_at_ns is None else str(told.dark_at_ns)
            line = f"light {told.light.colour.value} {told.light.pattern.value} {dark_at}\n"
        case SaidCue():
            line = f"cue {told.cue.tone.value} {told.cue.vibration.value} {told.at_ns}\n"
    return line.encode("ascii")


def parse(line: bytes) -> HeldLight | SaidCue:
    """A whole line with its newline. Raises FormatError."""
    try:
        match = _LINE.fullmatch(line.decode("ascii"))
        if match is None:
            raise ValueError
        colour, pattern, dark_at, tone, vibration, at = match.groups()
        if colour is None:
            return SaidCue(Cue(Tone(tone), Vibration(vibration)), int(at))
        return HeldLight(Light(Colour(colour), Pattern(pattern)), None if dark_at is None else int(dark_at))
    except ValueError:
        raise FormatError("panel", "is not a line of its pipe", "write what hw/panel.py encodes") from None


class PipedPanel:
    """A Panel at the writing end of the pipe `path`. A keeper that comes back is found with the next light."""

    def __init__(self, path: Path, clock: Clock, post: Callable[[OutputFailed], None]) -> None:
        self._path = path
        self._clock = clock
        self._post = post
        self._pipe: int | None = None
        self._wrote_ns = 0

    def show(self, light: Light, dark_after_ns: int | None) -> None:
        now_ns = self._clock.boot_ns()
        self._write(encode(HeldLight.shown(light, dark_after_ns, now_ns)), now_ns, "light")

    def play(self, cue: Cue) -> None:
        now_ns = self._clock.boot_ns()
        self._write(encode(SaidCue(cue, now_ns)), now_ns, "buzzer")

    def close(self) -> None:
        """Leave the pipe: a light with a deadline stays until then, any other goes dark."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            os.close(pipe)

    def _write(self, line: bytes, now_ns: int, output: str) -> None:
        try:
            if self._pipe is None:
                self._pipe = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            elif now_ns - self._wrote_ns >= READ_WITHIN_NS and _unread_bytes(self._pipe):
                self._post(OutputFailed("keeper"))
            os.write(self._pipe, line)  # at most PIPE_BUF bytes: all of it, or BlockingIOError
            self._wrote_ns = now_ns
        except OSError:  # no keeper, or a full pipe
            self.close()
            self._post(OutputFailed(output))


def _unread_bytes(pipe: int) -> int:
    (count,) = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, struct.pack("i", 0)))
    assert isinstance(count, int)
    return count
