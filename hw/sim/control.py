"""`temoin sim ACTION`: the socket through which somebody plays officer, dock and misfortune to a simulated board.

One connection, one line each way: `ACTION [VALUE]\n`, answered by `ok\n` or `error\t<where>\t<problem>\t<remedy>\n`. An
action has one spelling. Guarantees: the server's thread hands each action over and acts on nothing itself; a client
that says nothing, too much or nonsense costs it a second at most. Assumes: the run folder is the camera's own (mode
0700): whoever can reach the socket may press the button.
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import local_socket
from agent.errors import ConfigError, FormatError, TemoinError

SOCKET = "sim.sock"
MAX_LINE_BYTES = 512
CLIENT_TIMEOUT_S = 1.0
ANSWER_TIMEOUT_S = 10.0

ACTIONS: dict[str, tuple[int, int, str] | None] = {
    "press": None,
    "release": None,
    "tap": None,
    "hold": None,
    "dock": None,
    "undock": None,
    "contact": None,
    "battery": (0, 100, "percent"),
    "camera-stall": None,
    "camera-back": None,
    "card-stall": (1, 60_000, "milliseconds"),
    "clock-step": (-315_360_000, 315_360_000, "seconds"),
    "power-cut": None,
}
"""Every action, with the range and unit of its value if it takes one."""

_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that happens to the board; `value` is 0 where the action takes none."""

    name: str
    value: int = 0


def parse(words: Sequence[str]) -> Action:
    """The action in `words`. Raises FormatError naming the word that is wrong."""
    if not words or words[0] not in ACTIONS:
        said = f"{words[0]!r} is not an action" if words else "no action"
        raise FormatError("action", said, f"give one of: {', '.join(ACTIONS)}")
    name, *values = words
    allowed = ACTIONS[name]
    if allowed is None:
        if values:
            raise FormatError(name, "takes no value", f"say only: {name}")
        return Action(name)
    least, most, unit = allowed
    if len(values) != 1 or not _NUMBER.fullmatch(values[0]) or not least <= int(values[0]) <= most:
        said = " ".join(values) if values else "nothing"
        raise FormatError(name, f"{said!r} is not a whole number of {unit}", f"give one value, {least} to {most}")
    return Action(name, int(values[0]))


def send(run: Path, action: str, arguments: Sequence[str]) -> str:
    """Have the board that runs in the folder `run` do it; returns what it answered.

    Raises FormatError for an action that does not exist or is not possible now, ConfigError when no board runs there.
    """
    asked = parse([action, *arguments])
    line = " ".join([action, *arguments]).encode() + b"\n"
    try:
        with local_socket.connect(run / SOCKET, ANSWER_TIMEOUT_S) as connection:
            connection.sendall(line)
            answer = _read_line(connection)
    except OSError as error:
        problem = f"no simulated board answers there ({error.strerror or error})"
        raise ConfigError(str(run), problem, "start it with temoin run, on a simulated board") from None
    if answer == "ok" or (not answer and asked.name == "power-cut"):  # without power nobody answers
        return "ok"
    kind, *parts = answer.split("\t")
    if kind == "error" and len(parts) == 3:
        raise FormatError(*parts)
    raise ConfigError(str(run), "the board ended without an answer", "see whether temoin run still runs")


class Control:
    """Serves the socket from a thread of its own until closed.

    `perform` does an action, and raises TemoinError if it cannot be done now. `step` is called between actions; it
    returns in how many seconds it wants to be called again, None for not before the next action.
    """

    def __init__(self, run: Path, perform: Callable[[Action], None], step: Callable[[], float | None]) -> None:
        self._run = run
        self._perform = perform
        self._step = step
        self._listener = local_socket.listen(run / SOCKET)  # the data folder's lock says that there is no other
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, name="sim-control", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """End the thread and remove the socket."""
        self._wake_writer.close()
        self._thread.join()
        self._listener.close()
        self._wake_reader.close()
        (self._run / SOCKET).unlink(missing_ok=True)

    def _serve(self) -> None:
        while True:
            ready, _, _ = select.select([self._listener, self._wake_reader], [], [], self._step())
            if self._wake_reader in ready:
                return
            if ready:
                with contextlib.suppress(OSError):  # the client's trouble, not the board's
                    connection, _ = self._listener.accept()
                    with connection:
                        connection.settimeout(CLIENT_TIMEOUT_S)
                        connection.sendall(self._answer(connection).encode() + b"\n")

    def _answer(self, connection: socket.socket) -> str:
        try:
            self._perform(parse(_read_line(connection).split(" ")))
        except TemoinError as error:
            parts = (error.where, error.problem, error.remedy)
            return "\t".join(["error", *(re.sub(r"[\t\n]", " ", part) for part in parts)])
        return "ok"


def _read_line(connection: socket.socket) -> str:
    """Exactly one line, without its newline; empty when the other side says less or more than that."""
    line = b""
    while b"\n" not in line and len(line) < MAX_LINE_BYTES:
        part = connection.recv(MAX_LINE_BYTES - len(line))
        if not part:
            break
        line += part
    said, newline, more = line.partition(b"\n")
    return said.decode("ascii", "replace") if newline and not more else ""
