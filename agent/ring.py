"""The pre-record ring: the newest fragments, in one fixed piece of memory.

Guarantees:
- slots never overlap, and what a reader holds is never overwritten: the incoming fragment is dropped instead, and
  uses up a serial, so that readers see the hole (it becomes a `gap` entry);
- a fragment that began longer than `keep_ns` before the newest one ended cannot be read any more, and its bytes are
  zero once nobody holds it. Every byte outside the fragments and the open reservation is zero, always;
- oldest first: no fragment goes while an older one that nobody holds stays.

Assumes: an arena of zeros that nobody else writes to; one thread that reserves, publishes, abandons and sets inits (the
intake loop); any threads for the rest. One lock, never held while payload is copied: payload is received straight into
the reserved view and read straight out of the held one. Zeroing happens under it, one fragment at a time.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from agent.model import FragmentInfo

_ZEROS = bytes(65_536)


@dataclass(slots=True, eq=False)
class _Slot:
    """A fragment's place in the arena. `listed` until evicted; it keeps its place until `holds` is 0."""

    info: FragmentInfo
    start: int
    holds: int = 0
    listed: bool = True

    @property
    def end(self) -> int:
        return self.start + self.info.length

    def overlaps(self, start: int, end: int) -> bool:
        return self.start < end and start < self.end


@dataclass(slots=True, eq=False)
class _Reservation:
    start: int
    view: memoryview
    wiped: bool = False


class Held:
    """A fragment that one reader holds. `view` is read-only, `info.length` bytes, and unusable after `release`."""

    def __init__(self, ring: Ring, slot: _Slot, view: memoryview) -> None:
        self.info = slot.info
        self.view = view
        self._ring = ring
        self._slot: _Slot | None = slot

    def release(self) -> None:
        """Give it back. A second call does nothing; BufferError if something still exports the view's memory."""
        if self._slot is not None:
            self.view.release()
            slot, self._slot = self._slot, None
            self._ring._released(slot)  # noqa: SLF001  the ring hands out Held and takes it back: one unit


class Ring:
    """`arena` holds the fragments, `keep_ns` (pre-record + reserve) says how far back they may reach.

    The arena should hold keep_ns at the board's highest bit rate and one largest fragment more: what does not fit
    before its end starts again at its beginning.
    """

    def __init__(self, arena: memoryview, keep_ns: int) -> None:
        assert keep_ns > 0
        assert arena.ndim == 1
        assert arena.itemsize == 1
        assert not arena.readonly
        self._arena = arena
        self._keep_ns = keep_ns
        self._lock = threading.Lock()
        self._slots: list[_Slot] = []  # by serial
        self._head = 0  # where the next slot begins, if it fits
        self._reservation: _Reservation | None = None
        self._inits: dict[int, bytes] = {}
        self._epoch = 0
        self._next_serial = 0

    def set_init(self, init_padded: bytes) -> int:
        """Begin a new epoch: fragments published from now on belong to this init. Returns its number, from 1."""
        with self._lock:
            assert self._reservation is None, "a fragment of the old epoch is still being received"
            self._epoch += 1
            self._inits[self._epoch] = init_padded
            self._forget_inits()
            return self._epoch

    def init(self, epoch: int) -> bytes:
        """The padded init of that epoch: kept while a fragment refers to it, the newest always. KeyError otherwise."""
        with self._lock:
            return self._inits[epoch]

    def reserve(self, padded_length: int) -> memoryview | None:
        """Contiguous room for one fragment, all zeros, to be received into; then `publish` or `abandon`.

        None when it is larger than the arena or a held fragment is in the way: nothing was evicted, and the caller
        drops the fragment and calls `dropped`. At most one reservation is open.
        """
        assert padded_length > 0
        with self._lock:
            assert self._reservation is None, "one reservation at a time"
            if padded_length > len(self._arena):
                return None
            start = self._head if self._head + padded_length <= len(self._arena) else 0
            end = start + padded_length
            in_the_way = [slot for slot in self._slots if slot.overlaps(start, end)]
            if any(slot.holds for slot in in_the_way):
                return None
            if in_the_way:
                self._evict_to(in_the_way[-1].info.serial)
            view = self._arena[start:end]
            self._reservation = _Reservation(start, view)
            return view

    def publish(self, t0_ns: int, dur_ns: int, frames: int, sound: bool) -> FragmentInfo:
        """What was received into the reservation becomes a fragment of the current epoch, and the oldest go by age.

        After a `wipe` that came in between, the fragment gets its number but is zeroed and can never be read.
        """
        with self._lock:
            taken = self._end_reservation()
            assert self._epoch, "a fragment before any init"
            length = len(taken.view)
            info = FragmentInfo(self._take_serial(), self._epoch, t0_ns, dur_ns, frames, sound, length)
            taken.view.release()
            if taken.wiped:
                self._zero(taken.start, taken.start + length)
                return info
            self._slots.append(_Slot(info, taken.start))
            self._head = taken.start + length
            self._evict_before(info.end_ns - self._keep_ns)
            return info

    def abandon(self) -> None:
        """The fragment will not be completed (its sender is gone): give the reservation up."""
        with self._lock:
            taken = self._end_reservation()
            end = taken.start + len(taken.view)
            taken.view.release()
            self._zero(taken.start, end)

    def dropped(self) -> None:
        """A fragment found no room. It uses up a serial, so that readers see the hole."""
        with self._lock:
            self._take_serial()

    def expire(self, now_ns: int) -> None:
        """Evict by age when capture stalls: what began before now - keep_ns goes."""
        with self._lock:
            self._evict_before(now_ns - self._keep_ns)

    def first_after(self, end_after_ns: int, serial_at_least: int) -> int | None:
        """Serial of the oldest fragment that ends after `end_after_ns` and has at least that serial."""
        with self._lock:
            for slot in self._listed():
                if slot.info.end_ns > end_after_ns and slot.info.serial >= serial_at_least:
                    return slot.info.serial
            return None

    def hold(self, serial: int) -> Held | None:
        """The fragment with that serial, or the oldest later one, safe until released; None when there is none yet."""
        with self._lock:
            for slot in self._listed():
                if slot.info.serial >= serial:
                    slot.holds += 1
                    return Held(self, slot, self._arena[slot.start : slot.end].toreadonly())
            return None

    @property
    def newest(self) -> FragmentInfo | None:
        """The last published fragment that can still be read."""
        with self._lock:
            return next((slot.info for slot in reversed(self._slots) if slot.listed), None)

    @property
    def oldest(self) -> FragmentInfo | None:
        """The first published fragment that can still be read."""
        with self._lock:
            return next((slot.info for slot in self._listed()), None)

    def used_bytes(self) -> int:
        """Bytes of the arena that fragments take, held ones included."""
        with self._lock:
            return sum(slot.info.length for slot in self._slots)

    def wipe(self) -> None:
        """Drop all fragments and zero their bytes.

        What a reader holds is zeroed when it is released, what is being received when it is published or abandoned:
        nothing waits. Drops go too; the newest init, which holds no picture, stays.
        """
        with self._lock:
            for slot in self._slots:
                slot.listed = False
            if self._reservation is not None:
                self._reservation.wiped = True
        while self._erase_one():  # the lock is free between two fragments: the intake loop waits for one at most
            pass

    def _released(self, slot: _Slot) -> None:
        with self._lock:
            assert slot.holds > 0
            slot.holds -= 1
            if not slot.listed:
                self._erase_unheld()

    def _listed(self) -> Iterator[_Slot]:
        return (slot for slot in self._slots if slot.listed)

    def _take_serial(self) -> int:
        serial = self._next_serial
        self._next_serial += 1
        return serial

    def _end_reservation(self) -> _Reservation:
        taken, self._reservation = self._reservation, None
        assert taken is not None, "nothing is reserved"
        return taken

    def _evict_to(self, serial: int) -> None:
        for slot in self._slots:
            if slot.info.serial <= serial and not slot.holds:
                slot.listed = False
        self._erase_unheld()

    def _evict_before(self, cutoff_ns: int) -> None:
        for slot in self._slots:
            if slot.info.t0_ns < cutoff_ns:
                slot.listed = False
        self._erase_unheld()

    def _erase_unheld(self) -> None:
        for slot in self._slots:
            if not slot.listed and not slot.holds:
                self._zero(slot.start, slot.end)
        self._slots = [slot for slot in self._slots if slot.listed or slot.holds]
        self._forget_inits()

    def _erase_one(self) -> bool:
        with self._lock:
            slot = next((slot for slot in self._slots if not slot.listed and not slot.holds), None)
            if slot is None:
                self._forget_inits()
                return False
            self._zero(slot.start, slot.end)
            self._slots.remove(slot)
            return True

    def _zero(self, start: int, end: int) -> None:
        """In steps of one constant block: nothing of the arena's size is allocated while wiping it."""
        for at in range(start, end, len(_ZEROS)):
            until = min(at + len(_ZEROS), end)
            self._arena[at:until] = _ZEROS[: until - at]

    def _forget_inits(self) -> None:
        referred = {slot.info.epoch for slot in self._slots} | {self._epoch}
        self._inits = {epoch: init for epoch, init in self._inits.items() if epoch in referred}
