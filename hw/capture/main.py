"""The capture process: a source to the agent's socket, until the agent closes it.

Guarantees: sends one init, then fragments as they become complete, and with each look at a picture an observation;
obeys the agent's commands; ends with 0 when the socket ends, with 1 and one line on standard error when
the source cannot go on or something is wrong with what it was given, with 2 on a wrong command line. A microphone that
is lost or comes back, and a bit rate that is refused, are lines besides. May be killed at any time: it keeps nothing.

Holds no key, no policy and no network. When the agent is slow it waits in `send`, and its inbox fills.
"""

from __future__ import annotations

import argparse
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from agent import local_socket
from agent.config import Board, load_board
from agent.errors import CaptureError, TemoinError
from agent.formats import pipe
from hw.capture.inbox import Inbox
from hw.capture.level import Level, Meter
from hw.capture.muxer import Fragment, Init, Muxer
from hw.capture.source import SECOND_NS, Ended, Look, Picture, SoundBlock, Source

INBOX_SECONDS = 3
POLL_S = 0.1


class BootClock:
    """A Pacer: CLOCK_BOOTTIME of this machine."""

    def boot_ns(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def wait_until(self, boot_ns: int, stop: threading.Event) -> None:
        remaining_ns = boot_ns - self.boot_ns()
        if remaining_ns > 0:
            stop.wait(remaining_ns / SECOND_NS)


class AgentSocket:
    """Our end of the socket. Every method raises EOFError once the agent is gone."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = b""

    def send(self, part: Init | Fragment) -> None:
        """The whole part, however long the agent takes."""
        header = pipe.pack_init(len(part.data)) if isinstance(part, Init) else pipe.pack_fragment(part.header)
        self._send(header)
        self._send(part.data)

    def observe(self, look: Look, level: Level, missing_ms: int) -> None:
        """What the picture looks like, and what was heard, and missed, since the look before."""
        seen = pipe.Observation(
            look.boot_ns,
            look.luma,
            look.contrast,
            look.sharpness,
            look.exposure_us,
            look.gain_milli,
            level.heard,
            level.peak,
            level.rms,
            level.clipped,
            min(missing_ms, pipe.MAX_MISSING_MS),
        )
        self._send(pipe.pack_observation(seen))

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise EOFError from error

    def commands(self) -> list[pipe.Command]:
        """What the agent has sent since the last call, without waiting. Raises PipeError too."""
        found: list[pipe.Command] = []
        while True:
            try:
                data = self._connection.recv(pipe.COMMAND_BYTES - len(self._received), socket.MSG_DONTWAIT)
            except BlockingIOError:
                return found
            except ConnectionResetError as error:
                raise EOFError from error
            if not data:
                raise EOFError
            self._received += data
            if len(self._received) == pipe.COMMAND_BYTES:
                found.append(pipe.parse_command(self._received))
                self._received = b""


def serve(connection: socket.socket, source: Source, muxer: Muxer, inbox: Inbox) -> None:
    """Until the agent is gone. Raises CaptureError when the source ends, PipeError when the agent breaks its word."""
    agent = AgentSocket(connection)
    meter = Meter()
    source.start(inbox.post)
    try:
        while True:
            for command in agent.commands():
                obey(command, source, muxer)
            packet = inbox.take(POLL_S)
            if packet is None:
                continue
            if isinstance(packet, Look):
                agent.observe(packet, meter.take(packet.boot_ns), muxer.take_missing_ms())
                continue
            if isinstance(packet, Ended):
                for part in muxer.finish():
                    agent.send(part)
                raise packet.error
            if isinstance(packet, SoundBlock):
                meter.add(packet)
            for part in muxer.picture(packet) if isinstance(packet, Picture) else muxer.sound(packet):
                agent.send(part)
    except EOFError:
        return
    finally:
        source.stop()


def obey(command: pipe.Command, source: Source, muxer: Muxer) -> None:
    """An encoder that refuses another rate costs no picture: it is said, and filming goes on."""
    if isinstance(command, pipe.SoundCommand):
        return muxer.set_sound(command.on)
    try:
        source.film_at(command.percent)
    except CaptureError as error:
        _say(f"{error}; filming goes on at the rate before")
    return None


def source_of(board: Board, footage: Path | None, clock: BootClock) -> Source:
    """What the board films with; only that is loaded. Raises CaptureError."""
    if board.parts is not None:
        if footage is not None:
            raise CaptureError("--footage", f"the board {board.name} films with its camera", "leave it out")
        from hw.capture.microphone import FilmWithSound, Microphone

        microphone = Microphone(board.parts.microphone, board.sound.sample_rate_hz, clock, _say)
        return FilmWithSound(filmed_by(board, clock), microphone)
    if footage is None:
        raise CaptureError("--footage", f"the simulated board {board.name} has no camera", "give a video file")
    from hw.capture.footage import Footage

    return Footage(footage, board.video, board.sound, clock)


def filmed_by(board: Board, clock: BootClock) -> Source:
    """The pictures of a real board's camera, which is opened when it is started."""
    from hw.capture.camera import Camera
    from hw.capture.picamera import PicameraDevice

    parts = board.parts
    assert parts is not None, "a simulated board has no camera"
    return Camera(lambda: PicameraDevice(board.video, parts), board.video, clock)


def _say(line: str) -> None:
    print(f"capture: {line}", file=sys.stderr, flush=True)  # noqa: T201 - to whoever started it


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hw.capture", description="Films for the agent, over its socket.")
    parser.add_argument("--socket", type=Path, required=True, help="the agent's socket")
    parser.add_argument("--board", type=Path, required=True, help="the board's TOML file")
    parser.add_argument("--footage", type=Path, help="a video file to play: what a simulated board films")
    return parser.parse_args(argv)


def main(argv: Sequence[str]) -> int:
    """The exit code; see the module's text."""
    arguments = _arguments(argv)
    try:
        board = load_board(arguments.board)
        source = source_of(board, arguments.footage, BootClock())
        inbox = Inbox(INBOX_SECONDS * board.video.frames_per_second * 2)
        with local_socket.connect(arguments.socket) as connection:
            serve(connection, source, Muxer(board.video, board.sound), inbox)
    except TemoinError as error:
        _say(str(error))
        return 1
    return 0
