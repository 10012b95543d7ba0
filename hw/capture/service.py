"""The capture service: starts and kills `python -m hw.capture` for the agent, which is another user and may do neither.

`python -m hw.capture.service ARGUMENTS...`, its standard input a listening stream socket (StandardInput=socket, of
temoin-capture.socket). A connection is one life of a capture process with these arguments: it starts with the
connection, what it writes comes back over it, and the connection ends when the process has.

Guarantees: when a connection ends, another one comes, or this process is told to end, the capture process and its group
get SIGKILL, at once; only then does the connection end, and only then does another one start. So whoever has seen his
connection end hears no more of that capture process, hung or stopped as it may have been. Nobody who connects says
what is run. A slow reader of last words loses some, and delays nothing.
Assumes: the socket's permissions say who may connect; when this process itself is killed, the service manager kills
what is left of the service. It imports as little as it can: it is there for as long as the camera is on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence

SAID_BYTES = 4096
PIPE_BYTES = 65_536  # what a pipe holds
GONE_WITHIN_MS = 50  # a killed process is; one that waits for its driver never runs again, but may stay for longer
STANDARD_INPUT, STANDARD_OUTPUT, STANDARD_ERROR = 0, 1, 2


class Life:
    """One capture process and the connection that it lives by. Raises OSError when it cannot be started."""

    def __init__(self, connection: socket.socket, command: Sequence[str]) -> None:
        self._connection = connection
        self._said, words = os.pipe()  # neither is inherited
        try:
            self.pid = os.posix_spawn(
                command[0],
                tuple(command),
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, STANDARD_INPUT, os.devnull, os.O_RDONLY, 0),  # not the listening socket
                    (os.POSIX_SPAWN_DUP2, words, STANDARD_OUTPUT),
                    (os.POSIX_SPAWN_DUP2, words, STANDARD_ERROR),
                ],
                setsid=True,
            )
        except OSError:
            os.close(self._said)
            raise
        finally:
            os.close(words)
        os.set_blocking(self._said, False)
        self._silent = False
        self._ended = os.pidfd_open(self.pid)

    def watched(self) -> list[int]:
        """What becomes readable when there is something to do."""
        return [self._connection.fileno(), self._ended, *([] if self._silent else [self._said])]

    def over(self, readable: frozenset[int]) -> bool:
        """Whether the agent has gone (it never sends), or the process has; what it said is passed on."""
        if self._said in readable:
            self._pass_on()
        return self._connection.fileno() in readable or self._ended in readable

    def end(self) -> None:
        """Kill what is left, pass on the last words, and only then let the connection end."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # not yet reaped: the number is its own
        wait_for([self._ended], GONE_WITHIN_MS)
        for _ in range(PIPE_BYTES // SAID_BYTES):  # somebody who left the group could go on for ever
            self._pass_on()
        self._connection.close()
        os.close(self._said)
        os.close(self._ended)

    def _pass_on(self) -> None:
        """To the agent, and to the service's own log."""
        try:
            words = os.read(self._said, SAID_BYTES)
        except BlockingIOError:
            return
        self._silent = not words
        with contextlib.suppress(OSError):  # it is full, or closed by the agent
            self._connection.send(words, socket.MSG_DONTWAIT)
        with contextlib.suppress(OSError):
            os.write(STANDARD_ERROR, words)  # to the log, which may have to wait for the card: main


def wait_for(descriptors: Sequence[int], timeout_ms: int | None = None) -> frozenset[int]:
    """Those that are readable, or at their end; empty after the time."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return frozenset(descriptor for descriptor, _ in poll.poll(timeout_ms))


def serve(listener: socket.socket, command: Sequence[str]) -> None:
    """Until this process is told to end."""
    life: Life | None = None
    killed: list[int] = []
    try:
        while True:
            readable = wait_for([listener.fileno(), *(life.watched() if life else ())])
            calls = listener.fileno() in readable
            if life is not None and (life.over(readable) or calls):
                life.end()
                killed.append(life.pid)
                life = None
            killed = [pid for pid in killed if os.waitpid(pid, os.WNOHANG) == (0, 0)]
            if calls:
                life = begin(listener, command)
    finally:
        if life is not None:
            life.end()


def begin(listener: socket.socket, command: Sequence[str]) -> Life | None:
    """A life for whoever connects; None when he has gone again, or when it cannot be: then he is told why."""
    try:
        connection, _ = listener.accept()
    except OSError:
        return None
    try:
        return Life(connection, command)
    except OSError as error:
        connection.send(f"capture cannot be started: {error.strerror}\n".encode(), socket.MSG_DONTWAIT)
        connection.close()
        return None


def main(arguments: Sequence[str]) -> int:
    """0 when it was told to end."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    os.set_blocking(STANDARD_ERROR, False)
    listener = socket.socket(fileno=STANDARD_INPUT)
    listener.setblocking(False)
    serve(listener, [sys.executable, "-m", "hw.capture", *arguments])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
