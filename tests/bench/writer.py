"""The writer of a camera as `agent.__main__` wires it, on a real card, fed by hand: ring, recorder, journal, thread.

The clock is this machine's, and can be moved ahead: a pre-record of 30 s is filled in no time, and no second is filmed
twice. Reports carry the time at which the writer gave them.
"""

from __future__ import annotations

import os
import queue
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.clock import SystemClock
from agent.adapters.memory import locked_arena
from agent.clock import TimeKeeper
from agent.formats import mp4
from agent.formats.age import parse_recipients
from agent.formats.entries import Entry
from agent.mailbox import Mailbox
from agent.model import NS_PER_MS, NS_PER_S, FragmentInfo, StopCause
from agent.orders import Durable, Order, Report, Start, Stop, Stopped
from agent.ports import Disk
from agent.recorder import Recorder
from agent.recording import Parts, Settings
from agent.ring import Ring
from agent.store.check import recover
from agent.store.custody import Custody
from agent.store.journal import Journal
from agent.store.last import read_last
from agent.store.segments import SealBuffer
from agent.threads import Loop
from tests.support.agency import TestAgency, make_agency
from tests.support.mp4 import make_fragment, make_init, padded

PRERECORD_S = 30
RESERVE_S = 15
FRAGMENT_BYTES = 1024 * 1024
FRAMES = 25
_FRAME_BYTES = 41_800  # 25 of them, their sound and boxes, and the padding: 1 MiB, a second at 8 Mbit/s
_WAIT_S = 0.25
_PATIENCE_S = 60.0


class AheadClock(SystemClock):
    """The boot clock plus what was skipped, and a real-time clock that goes with it."""

    def __init__(self) -> None:
        super().__init__()
        self._skipped_ns = 0

    def boot_ns(self) -> int:
        return super().boot_ns() + self._skipped_ns

    def rtc(self) -> tuple[int, int] | None:
        return (time.time_ns() + self._skipped_ns) // NS_PER_MS, 2000

    def skip(self, seconds: int) -> None:
        self._skipped_ns += seconds * NS_PER_S


@dataclass(frozen=True, slots=True)
class Pressed:
    """What a press led to, in ms from its edge: first fragment durable, whole ring durable."""

    first_ms: float
    drained_ms: float


class Writer:
    """One run of the writer over `disk`; its card can be verified against `agency` after `close`."""

    def __init__(self, folder: Path, disk: Disk) -> None:
        self.agency: TestAgency = make_agency(folder, now_ms=time.time_ns() // NS_PER_MS)
        self.clock = AheadClock()
        keeper = TimeKeeper(self.clock, 0)
        policy = self.agency.policy
        found = read_last(disk)
        signer = self.agency.signer()
        self.journal = Journal.start(
            disk,
            found,
            signer,
            keeper.stamp,
            os.urandom,
            dev="cam-01",
            software="bench",
            model="sim",
            source="bench",
        )
        self.journal.append("policy", {"hash": policy.hash_hex, "version": policy.version})
        self.entries: list[Entry] = []
        self.journal.watch(self.entries.extend)
        recover(self.journal, disk)
        seconds = PRERECORD_S + RESERVE_S + 1
        arena, self.locked = locked_arena(seconds * (FRAGMENT_BYTES + 65_536))
        self.ring = Ring(memoryview(arena), (PRERECORD_S + RESERVE_S) * NS_PER_S)
        self.epoch = self.ring.set_init(padded(make_init()))
        self._fragment = padded(make_fragment(frame_bytes=_FRAME_BYTES))
        assert len(self._fragment) == FRAGMENT_BYTES
        assert mp4.parse_padded_fragment(memoryview(self._fragment), mp4.parse_init(memoryview(make_init())))
        settings = Settings(parse_recipients(policy.recipients), policy.hash_hex, PRERECORD_S * 1000, "bench")
        parts = Parts(self.journal, disk, self.ring, SealBuffer(), os.urandom, settings, lambda: None)
        self._reports: queue.SimpleQueue[tuple[int, Report]] = queue.SimpleQueue()
        self._recorder = Recorder(parts, Custody(), 64 * 1024 * 1024, self._report)
        self.orders: Mailbox[Order] = Mailbox(64)
        self._loop = Loop("writer", self._write, lambda: None)
        self._loop.start()

    def publish(self, t0_ns: int) -> FragmentInfo | None:
        """One more second into the ring, as intake does it; None if it had to be dropped."""
        slot = self.ring.reserve(FRAGMENT_BYTES)
        if slot is None:
            self.ring.dropped()
            return None
        slot[:] = self._fragment
        info = self.ring.publish(t0_ns, NS_PER_S, FRAMES, True)
        self.orders.nudge()
        return info

    def fill(self) -> FragmentInfo:
        """30 s that no recording holds yet; the newest of them ends now."""
        self.ring.wipe()
        self.clock.skip(PRERECORD_S + 1)
        now_ns = self.clock.boot_ns()
        for back in range(PRERECORD_S, 0, -1):
            info = self.publish(now_ns - back * NS_PER_S)
        assert info is not None
        return info

    def press(self, newest: FragmentInfo) -> Pressed:
        """Press, and wait until all that the ring holds is durable."""
        press_ns = self.clock.boot_ns()
        self.orders.post(Start(press_ns))
        first_ns = self.durable(0)
        drained_ns = self.durable(newest.end_ns)
        return Pressed((first_ns - press_ns) / NS_PER_MS, (drained_ns - press_ns) / NS_PER_MS)

    def durable(self, end_ns: int) -> int:
        """Wait until the recording is durable up to there (or says so next); when that was."""
        while True:
            at_ns, report = self.next()
            assert isinstance(report, Durable), report
            if report.end_ns >= end_ns:
                return at_ns

    def stop(self, until_ns: int) -> list[tuple[int, Report]]:
        """End the recording with the fragment that holds that moment; all reports up to its end, with their times."""
        self.orders.post(Stop(StopCause.HOLD, self.clock.boot_ns(), until_ns))
        found = [self.next()]
        while not isinstance(found[-1][1], Stopped):
            found.append(self.next())
        return found

    def next(self) -> tuple[int, Report]:
        """The writer's next report, with its time."""
        found = self._reports.get(timeout=_PATIENCE_S)
        self._loop.check()
        return found

    def close(self) -> None:
        self._loop.end()
        self.orders.nudge()
        self._loop.join()
        self.journal.close()
        self._loop.check()

    def _write(self) -> bool:
        taken: Sequence[Order] = self.orders.take()
        if self._recorder.step(list(taken)) or taken:
            return True
        if self._loop.ending:
            return False
        self.orders.wait(_WAIT_S)
        return True

    def _report(self, report: Report) -> None:
        self._reports.put((self.clock.boot_ns(), report))
