"""The intake loop: the capture process's socket into the ring.

Guarantees: never touches the disk or the journal and never blocks; payload is received straight into the ring's arena.
A frame that breaks the protocol, or that says a time that cannot be, closes the connection and is reported once: the
ring's fragments follow each other in time, whatever capture sends. Footage goes by age also when nothing comes.
Assumes: `step` is called by one thread, when `wait` returns.
"""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import FormatError, PipeError
from agent.formats import mp4, pipe
from agent.model import NS_PER_S, FragmentInfo
from agent.ring import Ring
from agent.terminal import printable

DISCARD_BYTES = 65_536
OBSERVE_EVERY_NS = NS_PER_S // 2  # capture sends one a second: what comes faster is left out, news has limits
MAX_AHEAD_NS = NS_PER_S  # a fragment is sent when its last frame is there; capture reads the same clock
MAX_READS_A_STEP = 256  # of at most one socket buffer each: a flood cannot keep the loop from its other duties


@dataclass(frozen=True, slots=True)
class InitSeen:
    """A capture process has connected and said what its stream is."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Captured:
    """A fragment is in the ring."""

    info: FragmentInfo


@dataclass(frozen=True, slots=True)
class Observed:
    """What one second looked and sounded like, for the self-test. Neither ring nor journal see it."""

    observation: pipe.Observation


@dataclass(frozen=True, slots=True)
class CaptureGone:
    """The connection ended: by the other side, or because it broke the protocol (`violation`, printable)."""

    violation: str | None


IntakeReport = InitSeen | Captured | Observed | CaptureGone


class Intake:
    """Owns the (non-blocking) listening socket and at most one connection.

    A newer connection replaces an older one: a process started after a kill may connect before the killed one's end is
    read.
    """

    def __init__(
        self, listener: socket.socket, ring: Ring, report: Callable[[IntakeReport], None], boot_ns: Callable[[], int]
    ) -> None:
        self._ring = ring
        self._boot_ns = boot_ns
        self._report = report
        self._listener = listener
        self._connection: socket.socket | None = None
        self._init: mp4.Init | None = None
        self._wanted_commands = {"sound": pipe.pack_sound(False), "rate": pipe.pack_rate(pipe.MAX_PERCENT)}
        self._sent: dict[str, bytes] = {}
        self._discard = memoryview(bytearray(DISCARD_BYTES))
        self._header = memoryview(bytearray(pipe.HEADER_BYTES))
        self._observation = memoryview(bytearray(pipe.OBSERVATION_BYTES))
        self._frame: pipe.Header | None = None
        self._target = self._header
        self._filled = 0
        self._left = pipe.HEADER_BYTES
        self._kept = False
        self._end_ns = 0  # of the newest fragment, of whichever capture process
        self._observe_ns = 0  # before then, observations are left out

    def wait(self, timeout_s: float) -> None:
        """Until there is something to read, at most `timeout_s`."""
        readers = [self._listener] if self._connection is None else [self._listener, self._connection]
        select.select(readers, [], [], timeout_s)

    def step(self) -> None:
        """Take what is there, and let go what is too old."""
        self._ring.expire(self._boot_ns())
        self._accept()
        self._send_commands()
        try:
            for _ in range(MAX_READS_A_STEP):
                if self._connection is None or not self._read():
                    return
        except (PipeError, FormatError) as error:
            self._disconnect(str(error))

    def sound(self, on: bool) -> None:
        """Want sound, or silence in its place, from the next step on; any thread may say so."""
        self._wanted_commands["sound"] = pipe.pack_sound(on)

    def rate(self, percent: int) -> None:
        """Want this share of the board's bit rate, from the next step on; any thread may say so."""
        self._wanted_commands["rate"] = pipe.pack_rate(percent)

    def close(self) -> None:
        """Close both sockets; the capture process ends at EOF."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, InterruptedError):
            return
        self._drop()
        connection.setblocking(False)
        self._connection = connection
        self._init = None
        self._sent = {"rate": pipe.pack_rate(pipe.MAX_PERCENT)}  # what a new capture process films with
        self._begin_header()

    def _send_commands(self) -> None:
        if self._connection is None:
            return
        for name, wanted in self._wanted_commands.items():
            if self._sent.get(name) != wanted:
                with contextlib.suppress(OSError):  # a dead peer shows in the next read
                    self._connection.send(wanted)
                    self._sent[name] = wanted

    def _read(self) -> bool:
        """One read; False when the socket has nothing more for now."""
        assert self._connection is not None
        try:
            count = self._connection.recv_into(self._target[self._filled : self._filled + self._wanted()])
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # killed with our command unread: the connection is reset
            self._disconnect(None)
            return False
        if count == 0:
            self._disconnect(None)
            return False
        self._advance(count)
        return True

    def _wanted(self) -> int:
        return min(self._left, len(self._target) - self._filled)

    def _advance(self, count: int) -> None:
        self._left -= count
        self._filled += count
        if self._left:
            if self._filled == len(self._target):  # discarding: the same small buffer again
                self._filled = 0
            return
        if self._frame is None:
            self._begin_payload(pipe.parse_header(bytes(self._header)))
        else:
            self._finish(self._frame)
            self._begin_header()

    def _begin_header(self) -> None:
        self._frame = None
        self._target = self._header
        self._filled = 0
        self._left = pipe.HEADER_BYTES
        self._kept = False

    def _begin_payload(self, frame: pipe.Header) -> None:
        self._frame = frame
        self._filled = 0
        self._left = frame.length
        if isinstance(frame, pipe.InitHeader):
            self._target = memoryview(bytearray(mp4.padded_length(frame.length)))
            return
        if isinstance(frame, pipe.ObservationHeader):
            self._target = self._observation
            return
        if self._init is None:
            raise PipeError("kind", "a fragment before any init", "restart capture")
        self._check_times(frame)
        slot = self._ring.reserve(mp4.padded_length(frame.length))
        self._kept = slot is not None
        self._target = self._discard if slot is None else slot

    def _finish(self, frame: pipe.Header) -> None:
        if isinstance(frame, pipe.ObservationHeader):
            self._observe(pipe.parse_observation(bytes(self._observation)))
            return
        if isinstance(frame, pipe.InitHeader):
            self._init = mp4.parse_init(self._target[: frame.length])
            mp4.pad_in_place(self._target, frame.length)
            self._report(InitSeen(self._ring.set_init(bytes(self._target))))
            return
        if self._kept:
            assert self._init is not None
            self._check_fragment(frame, self._init)
            mp4.pad_in_place(self._target, frame.length)
            self._kept = False
            self._report(Captured(self._ring.publish(frame.t0_ns, frame.dur_ns, frame.frames, frame.sound)))
        else:
            self._ring.dropped()
        self._end_ns = frame.t0_ns + frame.dur_ns

    def _observe(self, observation: pipe.Observation) -> None:
        now_ns = self._boot_ns()
        if observation.boot_ns > now_ns + MAX_AHEAD_NS:
            raise PipeError("boot_ns", "an observation of a time to come", "restart capture")
        if now_ns >= self._observe_ns:
            self._observe_ns = now_ns + OBSERVE_EVERY_NS
            self._report(Observed(observation))

    def _check_fragment(self, frame: pipe.FragmentHeader, init: mp4.Init) -> None:
        runs = mp4.parse_fragment(self._target[: frame.length], init)
        frames = len(mp4.video_of(runs, init).samples)
        if frames != frame.frames:
            raise PipeError("frames", f"{frame.frames} announced, {frames} found", "restart capture")

    def _check_times(self, frame: pipe.FragmentHeader) -> None:
        if frame.t0_ns < self._end_ns - frame.dur_ns // frame.frames:
            raise PipeError("t0_ns", "before the end of the fragment before it", "restart capture")
        if frame.t0_ns + frame.dur_ns > self._boot_ns() + MAX_AHEAD_NS:
            raise PipeError("dur_ns", "ends in the future", "restart capture")

    def _disconnect(self, violation: str | None) -> None:
        self._drop()
        self._report(CaptureGone(None if violation is None else printable(violation)))

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._kept:
            self._ring.abandon()
        self._begin_header()
