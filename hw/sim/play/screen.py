"""A terminal to play in: a live screen and keys, or lines for a pipe.

Guarantees: the terminal is left as it was found, whatever ends the program; SIGINT, SIGTERM and SIGHUP only ask for the
end, so that everything that was started is ended in order. Nothing waits for a key.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator, Sequence
from types import FrameType

from rich.console import Console, RenderableType
from rich.live import Live

REFRESH_S = 0.25


class Screen:
    """`show` what there is now, again and again; `key` is the newest that was pressed. Made by `opened`."""

    def __init__(self, live: Live | None) -> None:
        self.ending = False
        self._live = live
        self._last: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """Whether somebody looks at it, and may press keys."""
        return self._live is not None

    def end(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ask for the end."""
        self.ending = True

    def show(self, drawn: Callable[[], RenderableType]) -> None:
        """Draw it, where there is a screen."""
        if self._live is not None:
            self._live.update(drawn(), refresh=True)

    def say(self, lines: Sequence[str]) -> None:
        """Lines, where there is no screen."""
        if self._live is None and lines:
            sys.stdout.writelines(f"{line}\n" for line in lines)
            sys.stdout.flush()

    def pause(self) -> str:
        """Let REFRESH_S pass, or less when a key comes, which is returned; else an empty string."""
        if self._live is None:
            time.sleep(REFRESH_S)
            return ""
        descriptor = sys.stdin.fileno()
        with contextlib.suppress(InterruptedError):
            if select.select([descriptor], [], [], REFRESH_S)[0]:
                data = os.read(descriptor, 64)
                self.ending |= not data  # the terminal is gone
                return data[:1].decode("ascii", "replace")
        return ""


@contextlib.contextmanager
def opened() -> Iterator[Screen]:
    """A screen where input and output are a terminal, else lines."""
    with contextlib.ExitStack() as stack:
        live = None
        if sys.stdin.isatty() and sys.stdout.isatty():
            stack.enter_context(_keys())
            live = stack.enter_context(Live(console=Console(), auto_refresh=False))
        screen = Screen(live)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            stack.callback(signal.signal, number, signal.signal(number, screen.end))
        yield screen


@contextlib.contextmanager
def _keys() -> Iterator[None]:
    """Keys come one by one, and are not shown."""
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
