"""A program of ours on a terminal of its own: what it showed, what it was typed, how it ended."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_TIMEOUT_S = 60  # a hang, not a measure: the programs here end by themselves
# The child makes the terminal its controlling one; then it is the program, with nothing else of the terminal open.
_TAKE_TERMINAL = (
    "import fcntl, os, sys, termios;"
    "fcntl.ioctl(int(sys.argv[1]), termios.TIOCSCTTY, 0); os.close(int(sys.argv[1]));"
    "os.execv(sys.executable, [sys.executable, *sys.argv[2:]])"
)


@dataclass(frozen=True, slots=True)
class Ended:
    """Exit code, everything that the terminal showed, and the two streams, which are not the terminal."""

    code: int
    shown: str
    stdout: str
    stderr: str


def run_on_terminal(arguments: Sequence[str], answers: Sequence[bytes], prompt: bytes, cwd: Path) -> Ended:
    """Run `python arguments`, and each time the terminal shows `prompt`, type the next answer (with its newline)."""
    master, slave = pty.openpty()
    command = [sys.executable, "-c", _TAKE_TERMINAL, str(slave), *arguments]
    child = subprocess.Popen(
        command,
        pass_fds=(slave,),
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
    )
    assert child.stdout is not None
    stdout = child.stdout.fileno()
    shown, out = bytearray(), bytearray()
    waiting = list(answers)
    seen = 0
    ended = False
    # Our own `slave` stays open: without it the terminal hangs up until the child opens /dev/tty.
    while not ended or select.select([master], [], [], 0)[0]:
        readable, _, _ = select.select([master] if ended else [master, stdout], [], [], _TIMEOUT_S)
        assert readable, f"nothing more within {_TIMEOUT_S} s after {bytes(shown)!r}"
        if master in readable:
            shown += os.read(master, 4096)
        elif stdout in readable:
            data = os.read(stdout, 4096)
            out += data
            ended = not data
        while waiting and prompt in shown[seen:]:
            seen = shown.index(prompt, seen) + len(prompt)
            os.write(master, waiting.pop(0))
    _, err = child.communicate(timeout=_TIMEOUT_S)
    os.close(master)
    os.close(slave)
    return Ended(child.returncode, shown.decode(), out.decode(), err.decode())
