"""One recording on its way to the card: which fragments, and in which order bytes and entries become durable.

Write order (docs/write-orders.md): ciphertext, fsync of file and folders, entries, fsync of the journal. Only then does
`advance` say Durable. A fragment is held in the ring until then: a write that fails is tried again in a new segment.
Assumes one thread, the owner of the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from agent.errors import DiskError
from agent.formats import mp4
from agent.formats.age import Recipient
from agent.formats.canonical import Value
from agent.model import NS_PER_MS, FragmentInfo, GapCause, StopCause
from agent.orders import Durable, Start, Stopped
from agent.ports import Disk, Random
from agent.ring import Held, Ring
from agent.store.check import recover_segment, set_aside
from agent.store.journal import Journal
from agent.store.segments import MAX_SEGMENT_NS, SealBuffer, SegmentWriter, segment_path
from agent.store.state import OpenRecording

GROUP_BYTES = 4 * 1024 * 1024  # what shares one pair of fsyncs while the drain catches up with live
MAX_TRIES = 3  # segments that may fail in a row before the card is given up


@dataclass(frozen=True, slots=True)
class Settings:
    """What the policy and the board say about every recording."""

    recipients: tuple[Recipient, ...]
    policy_hash: str
    prerecord_ms: int
    source: str


@dataclass(frozen=True, slots=True)
class Parts:
    """What a recording is written with. `wearer`: pseudonym of whoever wears the camera now, None if unknown."""

    journal: Journal
    disk: Disk
    ring: Ring
    buffer: SealBuffer
    random: Random
    settings: Settings
    wearer: Callable[[], str | None]


class Recording:
    """A recording that is being written. `next_serial` is the first fragment that it does not hold yet."""

    def __init__(self, parts: Parts, press_ns: int, next_serial: int, start: Start | None) -> None:
        self._parts = parts
        self._press_ns = press_ns
        self._start = start  # until the first commit: what recording.start will say
        self.next_serial = next_serial
        self._until_ns: int | None = None
        self._stop: tuple[StopCause, int | None] | None = None
        self._segment: SegmentWriter | None = None
        self._path = ""
        self._segment_number = 0
        self._fragments_in_segment = 0
        self._epoch = 0
        self._init: mp4.Init | None = None
        self._plain_bytes = 0
        self._index: list[mp4.IndexEntry] = []
        self._previous: FragmentInfo | None = None
        self._resumed_from_ns: int | None = None
        self._cut_short: GapCause | None = None
        self._failures = 0
        self.rec = "" if start is not None else self._open_state().rec

    @classmethod
    def begin(cls, parts: Parts, start: Start, serial_at_least: int) -> Recording:
        """From the oldest fragment that ends after press - pre-record and that no earlier recording holds, as soon as
        there is one."""
        return cls(parts, start.press_ns, serial_at_least, start)

    @classmethod
    def resume(cls, parts: Parts, found: OpenRecording) -> Recording:
        """After a crash of the agent in the same boot: a new segment, and a gap from what was durable to what comes."""
        recording = cls(parts, found.press_ns, 0, None)
        recording._segment_number = found.segments
        recording._resumed_from_ns = found.end_ns
        return recording

    @property
    def started(self) -> bool:
        """recording.start is durable."""
        return self._start is None

    def stop(self, cause: StopCause, press_ns: int | None, until_ns: int) -> None:
        """The fragment that holds `until_ns` is the last one. The first stop counts."""
        if self._stop is None:
            self._stop = (cause, press_ns)
            self._until_ns = until_ns

    def cut_short(self, why: GapCause) -> None:
        """Nothing more will come: a stop that waits for its last fragment ends with what the ring holds."""
        if self._until_ns is not None:
            self._cut_short = why

    def advance(self) -> Durable | Stopped | None:
        """Make the next group durable, or finish; None when there is nothing to do yet. Raises DiskError when the card
        refused MAX_TRIES segments in a row, StoreError when it does not take the journal."""
        if self._complete():
            return self.finish()
        group = self._gather()
        if not group:
            return None if self._cut_short is None else self.finish()
        try:
            self._write(group)
        except DiskError as error:
            self._failures += 1
            self._give_up_segment(error)
            if self._failures >= MAX_TRIES:
                raise
            return None
        finally:
            for held in group:
                held.release()
        return Durable(self.rec, group[-1].info.end_ns)

    def finish(self) -> Stopped:
        """Seal and stop with what is durable. When nothing ever was there is no recording: the press was refused."""
        cause, press_ns = self._stop or (StopCause.SHUTDOWN, None)
        journal = self._parts.journal
        if not self.started:
            values: dict[str, Value] = {"press_ns": str(self._press_ns)}
            journal.append("refused", {"cause": "no_footage", "values": values, "remedy": "check_camera"})
            journal.commit()
            return Stopped(None, cause)
        try:
            self._seal()
        except DiskError as error:
            self._give_up_segment(error)
        self._append_last_gap()
        found = self._open_state()
        self._append(
            "recording.stop",
            cause=cause.value,
            press_ns=None if press_ns is None else str(press_ns),
            fragments=found.fragments,
            duration_ms=found.duration_ms,
        )
        journal.commit()
        return Stopped(self.rec, cause)

    def _complete(self) -> bool:
        end_ns = self._end_ns()
        return self._until_ns is not None and end_ns is not None and end_ns > self._until_ns

    def _end_ns(self) -> int | None:
        """Where the footage that is durable ends."""
        return self._resumed_from_ns if self._previous is None else self._previous.end_ns

    def _gather(self) -> list[Held]:
        """Fragments for one pair of fsyncs: the first one alone, then up to GROUP_BYTES of one segment."""
        group: list[Held] = []
        length = duration_ns = 0
        serial = self._next_in_ring()
        while serial is not None and (held := self._parts.ring.hold(serial)) is not None:
            info = held.info
            length += info.length
            duration_ns += info.dur_ns
            if self._is_too_late(info) or (group and not self._joins(group, info, length, duration_ns)):
                held.release()
                break
            group.append(held)
            serial = info.serial + 1
            if not self.started or (self._until_ns is not None and info.end_ns > self._until_ns):
                break
        return group

    def _next_in_ring(self) -> int | None:
        if self.started:
            return self.next_serial
        from_ns = self._press_ns - self._parts.settings.prerecord_ms * NS_PER_MS
        return self._parts.ring.first_after(from_ns, self.next_serial)

    def _is_too_late(self, info: FragmentInfo) -> bool:
        """It begins after the moment that the last fragment holds: that one was lost, and this one is not wanted."""
        if self._until_ns is None or info.t0_ns <= self._until_ns:
            return False
        if self._cut_short is None:
            self._cut_short = self._cause_before(info)
        return True

    def _joins(self, group: Sequence[Held], info: FragmentInfo, length: int, duration_ns: int) -> bool:
        """Whether the group stays within its size and within one segment, be it the open one or a new one."""
        if length > GROUP_BYTES or duration_ns > MAX_SEGMENT_NS or info.epoch != group[0].info.epoch:
            return False
        return not (self._segment is not None and self._segment.full(length, duration_ns))

    def _write(self, group: Sequence[Held]) -> None:
        first = group[0].info
        if self._segment is not None and (first.epoch != self._epoch or self._segment.full(first.length, first.dur_ns)):
            self._seal()
        opening = self._segment is None
        segment = self._segment or self._open(first.epoch)
        written = [segment.append(held.view, held.info.dur_ns) for held in group]
        segment.sync(first=opening)
        if opening:
            self._append_start(first)
            self._append_opening(segment)
        for held, where in zip(group, written, strict=True):
            self._append_gap(held.info)
            self._append_fragment(held, where.off, where.len, where.plain, where.blob)
            self._previous = held.info
        self._parts.journal.commit()
        self._start = None
        self._failures = 0
        self.next_serial = group[-1].info.serial + 1

    def _open(self, epoch: int) -> SegmentWriter:
        parts = self._parts
        if not self.started:
            self.rec = parts.journal.next_recording_id()
        init = parts.ring.init(epoch)
        self._path = segment_path(self.rec, self._segment_number)
        self._segment_number += 1
        self._segment = SegmentWriter(
            parts.disk, self._path, parts.settings.recipients, init, parts.random, parts.buffer
        )
        self._init = mp4.parse_padded_init(memoryview(init))
        self._epoch = epoch
        self._fragments_in_segment = 0
        self._plain_bytes = len(init)
        self._index = []
        return self._segment

    def _append_start(self, first: FragmentInfo) -> None:
        if self._start is None:
            return
        settings = self._parts.settings
        got_ms = max(0, self._press_ns - first.t0_ns) // NS_PER_MS
        follows = 0 < self.next_serial == first.serial
        short = "earlier_recording" if follows else self._start.short_reason or "capture_started_later"
        self._append(
            "recording.start",
            cause="press",
            press_ns=str(self._press_ns),
            wanted_ms=settings.prerecord_ms,
            got_ms=got_ms,
            reason=None if got_ms >= settings.prerecord_ms else short,
            wearer=self._parts.wearer(),
            source=settings.source,
            counter=None,
        )

    def _append_opening(self, segment: SegmentWriter) -> None:
        settings, opened = self._parts.settings, segment.opened
        self._append(
            "segment.open",
            seg=self._segment_number - 1,
            header=opened.header,
            nonce=opened.nonce,
            init=opened.init,
            init_len=opened.init_len,
            recipients=list(opened.recipients),
            policy=settings.policy_hash,
            source=settings.source,
        )

    def _append_gap(self, info: FragmentInfo) -> None:
        """A gap entry unless the fragment begins within one frame of where the previous one ended."""
        end_ns = self._end_ns()
        if end_ns is not None and abs(info.t0_ns - end_ns) > info.dur_ns // info.frames:
            self._append("gap", from_ns=str(end_ns), to_ns=str(info.t0_ns), cause=self._cause_before(info).value)

    def _append_last_gap(self) -> None:
        """What is missing between the last fragment and the moment that it should have held."""
        end_ns, until_ns = self._end_ns(), self._until_ns
        if end_ns is not None and until_ns is not None and end_ns < until_ns:
            cause = self._cut_short or GapCause.OVERRUN
            self._append("gap", from_ns=str(end_ns), to_ns=str(until_ns), cause=cause.value)

    def _cause_before(self, info: FragmentInfo) -> GapCause:
        """Why there is a hole before this fragment. The ring counts what it had to drop."""
        before = self._previous
        if before is None:
            return GapCause.AGENT_RESTART
        if info.epoch != before.epoch:
            return GapCause.CAPTURE_RESTART
        return GapCause.CAPTURE_LATE if info.serial == before.serial + 1 else GapCause.OVERRUN

    def _append_fragment(self, held: Held, off: int, length: int, plain: str, blob: str) -> None:
        info = held.info
        self._append(
            "fragment",
            seg=self._segment_number - 1,
            n=self._fragments_in_segment,
            off=off,
            len=length,
            t0_ns=str(info.t0_ns),
            dur_ns=str(info.dur_ns),
            frames=info.frames,
            sound=info.sound,
            pre=info.end_ns <= self._press_ns,
            plain=plain,
            blob=blob,
        )
        assert self._init is not None
        self._index.append(mp4.index_entry(self._plain_bytes, mp4.parse_padded_fragment(held.view, self._init)))
        self._plain_bytes += info.length
        self._fragments_in_segment += 1

    def _seal(self) -> None:
        """Close the segment that is open; its entry becomes durable with the next commit."""
        if self._segment is None:
            return
        sealed = self._segment.finish(mp4.mfra(self._index))
        self._segment = None  # only now: a failure leaves it to be given up
        self._append(
            "segment.seal",
            seg=self._segment_number - 1,
            n=self._fragments_in_segment,
            size=sealed.size,
            blob=sealed.blob,
        )

    def _give_up_segment(self, error: DiskError) -> None:
        """The file is lost to its writer: account for it, so that the same fragments can go into a new one."""
        lost, self._segment = self._segment, None
        if lost is not None:
            lost.abandon()
        journal, disk = self._parts.journal, self._parts.disk
        journal.append_card_failure("card_write_failed", error.where, error)
        if self.started and self._open_state().open is not None:
            recover_segment(journal, disk, self._open_state())
        else:  # no entry knows the file: its number is free again
            self._segment_number -= 1
            if disk.exists(self._path):
                set_aside(journal, disk, self._path)
        journal.commit()

    def _open_state(self) -> OpenRecording:
        (found,) = self._parts.journal.state.open
        return found

    def _append(self, kind: str, **body: Value) -> None:
        self._parts.journal.append(kind, {"rec": self.rec, **body})
