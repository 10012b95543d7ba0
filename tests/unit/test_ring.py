"""The ring against a list that does the same without an arena: no overlap, nothing held changes, nothing stays."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.model import NS_PER_S, FragmentInfo
from agent.ring import Held, Ring

SECOND = NS_PER_S


class RingAgainstList(RuleBasedStateMachine):
    """The model knows which fragments may be read (a list), and what each of them holds (one byte, repeated)."""

    @initialize(size=st.integers(8, 64), keep_s=st.integers(1, 12))
    def set_up(self, size: int, keep_s: int) -> None:
        self.arena = bytearray(size)
        self.keep_ns = keep_s * SECOND
        self.ring = Ring(memoryview(self.arena), self.keep_ns)
        self.listed: list[FragmentInfo] = []
        self.held: list[Held] = []
        self.inits: dict[int, bytes] = {}
        self.reserved: memoryview | None = None
        self.doomed = False
        self.now_s = 100
        self.serial = 0
        self.new_init()

    @precondition(lambda self: self.reserved is None)
    @rule()
    def new_init(self) -> None:
        init = f"init {len(self.inits)}".encode()
        self.inits[self.ring.set_init(init)] = init

    @precondition(lambda self: self.reserved is None)
    @rule(length=st.integers(1, 24))
    def reserve(self, length: int) -> None:
        before = self.listed
        self.reserved = self.ring.reserve(length)
        self.doomed = False
        oldest, newest = self.ring.oldest, self.ring.newest
        if self.reserved is None:
            assert length > len(self.arena) or self.held
            assert (oldest, newest) == ((before[0], before[-1]) if before else (None, None)), "evicted for nothing"
            self.ring.dropped()
            self.serial += 1
            self.now_s += 1
            return
        assert len(self.reserved) == length
        assert not any(self.reserved)
        held = {one.info.serial for one in self.held}
        readable = self.readable()
        first_left = next((info.serial for info in readable if info.serial not in held), self.serial)
        for gone in (info for info in before if info not in readable):
            assert gone.serial not in held, "evicted what a reader holds"
            assert gone.serial < first_left, "evicted a younger one before an older one"
        self.listed = readable

    @precondition(lambda self: self.reserved is not None)
    @rule(seconds=st.integers(1, 3), pause_s=st.sampled_from([0, 0, 0, 4]))
    def publish(self, seconds: int, pause_s: int) -> None:
        assert self.reserved is not None
        length = len(self.reserved)
        self.reserved[:] = bytes([self.content(self.serial)]) * length
        self.now_s += pause_s
        info = self.ring.publish(self.now_s * SECOND, seconds * SECOND, 25, True)
        assert info == FragmentInfo(
            self.serial, max(self.inits), self.now_s * SECOND, seconds * SECOND, 25, True, length
        )
        self.serial += 1
        self.now_s += seconds
        if not self.doomed:
            self.listed.append(info)
            self.age(info.end_ns)
        self.reserved = None

    @precondition(lambda self: self.reserved is not None)
    @rule()
    def abandon(self) -> None:
        assert self.reserved is not None
        self.reserved[:] = b"\xff" * len(self.reserved)
        self.ring.abandon()
        self.reserved = None

    @rule(seconds=st.integers(0, 5))
    def expire(self, seconds: int) -> None:
        self.now_s += seconds
        self.ring.expire(self.now_s * SECOND)
        self.age(self.now_s * SECOND)

    @rule(back=st.integers(-2, 12))
    def hold(self, back: int) -> None:
        wanted = max(0, self.serial - back)
        held = self.ring.hold(wanted)
        expected = next((info for info in self.listed if info.serial >= wanted), None)
        assert (held.info if held else None) == expected
        if held is not None:
            assert self.ring.init(held.info.epoch) == self.inits[held.info.epoch]
            self.held.append(held)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        held = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        held.release()
        held.release()

    @rule(ends_after_s=st.integers(95, 140), serial=st.integers(0, 30))
    def first_after(self, ends_after_s: int, serial: int) -> None:
        expected = next(
            (one.serial for one in self.listed if one.end_ns > ends_after_s * SECOND and one.serial >= serial), None
        )
        assert self.ring.first_after(ends_after_s * SECOND, serial) == expected

    @rule()
    def wipe(self) -> None:
        self.ring.wipe()
        self.listed = []
        self.doomed = self.reserved is not None

    @invariant()
    def readable_is_what_the_list_says(self) -> None:
        if hasattr(self, "ring"):
            assert self.readable() == self.listed
            assert self.ring.oldest == (self.listed[0] if self.listed else None)
            assert self.ring.newest == (self.listed[-1] if self.listed else None)

    @invariant()
    def held_never_changes(self) -> None:
        for held in self.held if hasattr(self, "ring") else []:
            assert bytes(held.view) == bytes([self.content(held.info.serial)]) * held.info.length

    @invariant()
    def all_else_is_zero(self) -> None:
        if not hasattr(self, "ring"):
            return
        alive = {info.serial: info.length for info in self.listed}
        alive |= {held.info.serial: held.info.length for held in self.held}
        assert self.ring.used_bytes() == sum(alive.values())
        for serial, length in alive.items():
            assert self.arena.count(self.content(serial)) == length, "overlapping slots"
        assert len(self.arena) - self.arena.count(0) == sum(alive.values()), "bytes of a fragment outlive it"

    def readable(self) -> list[FragmentInfo]:
        found: list[FragmentInfo] = []
        serial = self.ring.first_after(-1, 0)
        while serial is not None:
            held = self.ring.hold(serial)
            assert held is not None
            found.append(held.info)
            held.release()
            serial = self.ring.first_after(-1, serial + 1)
        return found

    def age(self, newest_ns: int) -> None:
        cutoff_ns = newest_ns - self.keep_ns
        self.listed = [info for info in self.listed if info.t0_ns >= cutoff_ns]

    def content(self, serial: int) -> int:
        return serial % 250 + 1


TestRingAgainstList = RingAgainstList.TestCase
TestRingAgainstList.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


def filled(lengths: list[int], arena_bytes: int = 10, keep_s: int = 100) -> Ring:
    """A ring with one fragment a second from 0 s on."""
    ring = Ring(memoryview(bytearray(arena_bytes)), keep_s * SECOND)
    ring.set_init(b"init")
    for second, length in enumerate(lengths):
        assert ring.reserve(length) is not None
        ring.publish(second * SECOND, SECOND, 25, True)
    return ring


@given(st.lists(st.integers(1, 10), min_size=1, max_size=40))
def test_without_readers_any_fragment_that_fits_the_arena_gets_in(lengths: list[int]) -> None:
    newest = filled(lengths).newest
    assert newest is not None
    assert newest.serial == len(lengths) - 1


def test_a_fragment_larger_than_the_arena_evicts_nothing() -> None:
    ring = filled([4, 4])
    assert ring.reserve(11) is None
    assert ring.oldest is not None
    assert ring.oldest.serial == 0


def test_the_arena_is_used_to_its_last_byte() -> None:
    ring = filled([5, 5])
    assert ring.used_bytes() == 10
    assert ring.oldest is not None
    assert ring.oldest.serial == 0


def test_wrapping_evicts_what_lies_behind_the_head_before_anything_younger() -> None:
    ring = filled([3, 3, 3, 3])  # the fourth wraps: over the first
    assert ring.first_after(-1, 0) == 1
    assert ring.reserve(7) is not None  # at 3 to 10: over the second and third
    assert ring.first_after(-1, 0) == 3


def test_a_held_fragment_in_the_way_costs_the_incoming_one() -> None:
    ring = filled([5, 5])
    held = ring.hold(0)
    assert held is not None
    assert ring.reserve(5) is None
    ring.dropped()
    held.release()
    assert ring.reserve(5) is not None
    assert ring.publish(3 * SECOND, SECOND, 25, True).serial == 3, "the dropped one left its hole"


@pytest.mark.parametrize(("end_s", "stays"), [(5, True), (6, False)])
def test_age_counts_from_the_beginning_of_a_fragment_to_the_end_of_the_newest(end_s: int, stays: bool) -> None:
    ring = filled([1], keep_s=5)
    ring.reserve(1)
    ring.publish((end_s - 1) * SECOND, SECOND, 25, True)
    assert (ring.first_after(-1, 0) == 0) is stays


def test_a_stalled_capture_does_not_keep_footage() -> None:
    ring = filled([1], keep_s=5)
    ring.expire(5 * SECOND)
    assert ring.first_after(-1, 0) == 0
    ring.expire(5 * SECOND + 1)
    assert ring.first_after(-1, 0) is None
    assert ring.used_bytes() == 0


def test_readers_cannot_write_and_cannot_read_after_release() -> None:
    held = filled([4]).hold(0)
    assert held is not None
    assert held.view.readonly
    held.release()
    with pytest.raises(ValueError, match="released"):
        held.view.tobytes()


def test_the_receiver_cannot_write_after_publishing() -> None:
    ring = filled([])
    view = ring.reserve(4)
    assert view is not None
    ring.publish(0, SECOND, 25, True)
    with pytest.raises(ValueError, match="released"):
        view[0] = 1


def test_inits_are_kept_while_a_held_fragment_refers_to_them() -> None:
    ring = filled([4])
    held = ring.hold(0)
    assert held is not None
    ring.wipe()
    assert ring.set_init(b"second") == 2
    assert ring.init(1) == b"init"
    held.release()
    assert ring.init(2) == b"second"
    with pytest.raises(KeyError):
        ring.init(1)


def test_a_writer_and_a_wiper_beside_the_intake_see_whole_fragments_only() -> None:
    """Three threads on one ring: every held view is one fragment's bytes from end to end."""
    arena = bytearray(64 * 1024)
    ring = Ring(memoryview(arena), 3600 * SECOND)
    ring.set_init(b"init")
    done = threading.Event()
    torn: list[int] = []

    def read() -> None:
        serial = 0
        while not done.is_set():
            held = ring.hold(serial)
            if held is not None:
                if set(held.view) != {held.info.serial % 250 + 1}:
                    torn.append(held.info.serial)
                serial = held.info.serial + 1
                held.release()

    def wipe() -> None:
        while not done.is_set():
            ring.wipe()

    threads = [threading.Thread(target=read), threading.Thread(target=wipe)]
    for thread in threads:
        thread.start()
    serial = 0
    while serial < 400:
        view = ring.reserve(1 + serial * 997 % 9000)
        if view is None:
            ring.dropped()
        else:
            view[:] = bytes([serial % 250 + 1]) * len(view)
            ring.publish(serial, 1, 25, True)
        serial += 1
    done.set()
    for thread in threads:
        thread.join()
    ring.wipe()
    assert torn == []
    assert not any(arena)
