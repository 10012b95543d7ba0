"""What every command does with its terminal: one line for an error, an exit code, and a passphrase that nobody sees.

Guarantees: an error on purpose is one printable line `<program>: <where>: <problem>; <remedy>` on the standard error,
and exit code 1, whatever the names in it hold; a passphrase comes from the controlling terminal only, never from an
argument, the environment or a pipe, and is neither echoed nor repeated in an error.
"""

from __future__ import annotations

import os
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from agent.errors import KeyFileError, TemoinError

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
PIPE_CLOSED = 141  # 128 + SIGPIPE
_TERMINAL = Path("/dev/tty")
_NO_TERMINAL = "run it from a terminal: a passphrase is never an argument, the environment or a pipe"


def run(program: str, main: Callable[[], int]) -> int:
    """The exit code of `main`, its errors said. Anything else that is raised is a defect and keeps its traceback."""
    try:
        code = main()
        sys.stdout.flush()
    except TemoinError as error:
        sys.stderr.write(f"{program}: {printable(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{program}: interrupted\n")
        return INTERRUPTED
    except BrokenPipeError:
        # The interpreter flushes once more when it ends: give it something that cannot fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PIPE_CLOSED
    return code


def printable(line: str) -> str:
    """The same text with everything that a terminal could obey written as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in line)


def ask_passphrase(prompt: str) -> str:
    """What was typed on the controlling terminal, without echo and without its newline. Raises KeyFileError."""
    try:
        descriptor = os.open(_TERMINAL, os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise KeyFileError("passphrase", "there is no terminal to ask for it", _NO_TERMINAL) from None
    with os.fdopen(descriptor, "r+b", buffering=0) as terminal:
        shown = termios.tcgetattr(terminal)
        hidden = shown.copy()
        hidden[3] &= ~termios.ECHO
        # TCSAFLUSH drops what was typed before the prompt: it was shown, so it is no secret.
        termios.tcsetattr(terminal, termios.TCSAFLUSH, hidden)
        try:
            terminal.write(prompt.encode())
            typed = terminal.readline()
        finally:
            termios.tcsetattr(terminal, termios.TCSAFLUSH, shown)
            terminal.write(b"\n")
    if not typed.endswith(b"\n"):
        raise KeyFileError("passphrase", "the terminal was closed before its end", _NO_TERMINAL)
    try:
        return typed[:-1].decode()
    except UnicodeDecodeError:
        raise KeyFileError("passphrase", "it is not UTF-8 text", "use a terminal that sends UTF-8") from None
