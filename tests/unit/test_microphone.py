"""The microphone on a clock of the test's: sound lies where it was heard, whatever the card and the scheduler do."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.errors import CaptureError
from hw.capture.microphone import FilmWithSound, Microphone
from hw.capture.muxer import SOUND_LAG_NS
from hw.capture.sound_track import SoundTrack
from hw.capture.source import SAMPLE_BYTES, SECOND_NS, Ended, Packet, Picture, Post, SoundBlock
from tests.support.capture import BOOT_NS, JumpingPacer
from tests.support.sound_card import MS_NS, Card, Listener, RunningCard, scheduling, told_apart_ms

RATE = 8_000
ALL = 2**62
DEVICE = "hw:CARD=mic,DEV=0"
Span = tuple[int, int]


def at(second: float) -> int:
    return BOOT_NS + round(second * SECOND_NS)


def spans(*pairs: tuple[float, float]) -> list[Span]:
    """(begin, length) in seconds."""
    return [(at(begin), round(length * SECOND_NS)) for begin, length in pairs]


class Tape:
    """What a SoundTrack makes of the blocks, as the muxer does: how far apart it lies from when it was heard."""

    def __init__(self, pacer: JumpingPacer, rate: int) -> None:
        self._pacer = pacer
        self._rate = rate
        self._track = SoundTrack(rate)
        self._last_ns = 0
        self.apart_ms = (0, 0)
        self.samples = self.silent = 0

    def take(self, block: SoundBlock) -> None:
        assert self._last_ns < block.boot_ns < self._pacer.boot_ns()
        self._last_ns = block.boot_ns
        self._track.fill_to(self._position(self._pacer.boot_ns() - SOUND_LAG_NS))
        self._track.add(self._position(block.boot_ns), block.samples, block.heard)
        for position, data in self._track.blocks(ALL):
            samples = np.frombuffer(data, "<i2")
            times = BOOT_NS + (position + np.arange(len(samples))) * SECOND_NS // self._rate
            apart = told_apart_ms(samples, times)
            self.samples += len(samples)
            self.silent += len(samples) - len(apart)
            if len(apart):
                low, high = self.apart_ms
                self.apart_ms = (min(low, int(apart.min())), max(high, int(apart.max())))

    @property
    def silent_s(self) -> float:
        return self.silent / self._rate

    def _position(self, boot_ns: int) -> int:
        return (boot_ns - BOOT_NS) * self._rate // SECOND_NS


def listen(card: Card, seconds: float, said: list[str] | None = None) -> tuple[Tape, list[SoundBlock]]:
    """What the microphone posts until then, and the track of it."""
    tape, blocks = Tape(card.pacer, card.rate_hz), list[SoundBlock]()

    def take(block: SoundBlock) -> None:
        tape.take(block)
        blocks.append(block)

    listener = Listener(card.pacer, at(seconds), take)
    lines = [] if said is None else said
    microphone = Microphone(DEVICE, card.rate_hz, card.pacer, lines.append, card.open)
    microphone.start(listener.post)
    try:
        listener.wait()
    finally:
        microphone.stop()
    return tape, blocks


@pytest.mark.parametrize("ppm", [50, -200])
def test_an_hour_lies_where_it_was_heard(ppm: int) -> None:
    """A clock that is wrong, a reader that wakes late, a stall that the buffer holds and one of 3 s that it does not,
    an overrun of 0.5 s, and half a second that the card lost without a word."""
    stalls = spans((600, 0.9), (1200, 3), (1800, 1.5))
    card = Card(
        JumpingPacer(), 2_000, ppm, late_ns=scheduling(ppm), stalls=stalls, unsaid=spans((2400, 0.5)), period_ms=100
    )
    tape, _ = listen(card, 3600)
    assert -20 <= tape.apart_ms[0] <= tape.apart_ms[1] <= 20
    assert tape.samples >= 3599 * card.rate_hz
    assert tape.silent_s == pytest.approx(3 + 1.5 + 0.5, abs=1)


TROUBLES = st.lists(st.tuples(st.floats(0.01, 5), st.sampled_from([0.1, 0.4, 0.9, 1.2, 2.5])), max_size=3)
FEW = TROUBLES.map(lambda found: found[:1])


def one_after_another(troubles: list[tuple[float, float]]) -> list[Span]:
    """(pause before it, length) of each, in seconds."""
    found, begin = list[Span](), 0.0
    for pause, length in troubles:
        begin += pause
        found += spans((begin, length))
        begin += length
    return found


@settings(max_examples=25, deadline=None)
@given(st.integers(-200, 200), st.sampled_from([300, 1000]), st.integers(0, 99), TROUBLES, TROUBLES, FEW)
@example(0, 300, 198, [], [(9.1, 1.5)], [(2, 3.7)])  # lost unsaid while the time is not known yet
@example(0, 300, 0, [], [(1.0, 0.1), (0.5, 0.1)], [(0.5, 0.1)])  # and besides while the reader is late
@example(0, 300, 21, [], [(3.8125, 0.1)], [(0.5, 2.5)])  # after a block that was late
@example(0, 300, 1, [], [(0.5, 0.1)], [(0.75, 0.1)])  # so soon before the card is gone that it is not found
@example(0, 1000, 25, [(0.05, 0.4)], [], [])  # a stall that the buffer holds, at that time
def test_sound_is_never_apart_from_its_time(
    ppm: int,
    buffer_ms: int,
    seed: int,
    stalls: list[tuple[float, float]],
    unsaid: list[tuple[float, float]],
    absent: list[tuple[float, float]],
) -> None:
    """Stalls, losses told and untold, the card gone and back, in any order and also at once."""
    card = Card(
        JumpingPacer(),
        2_000,
        ppm,
        buffer_ms=buffer_ms,
        late_ns=scheduling(seed, 15 * MS_NS, 300 * MS_NS),
        stalls=one_after_another(stalls),
        unsaid=one_after_another(unsaid),
        absent=one_after_another(absent),
    )
    tape, _ = listen(card, 20)
    assert -40 <= tape.apart_ms[0] <= tape.apart_ms[1] <= 40


def test_what_was_lost_is_a_hole_and_no_shift() -> None:
    """Told by the card or not: what was heard before and after lies where it was."""
    for stalls, unsaid in ((spans((5, 1.5)), []), ([], spans((5, 1.5)))):
        _, blocks = listen(Card(JumpingPacer(), RATE, stalls=stalls, unsaid=unsaid), 10)
        ends_ns = [block.boot_ns + len(block.samples) // SAMPLE_BYTES * SECOND_NS // RATE for block in blocks]
        holes_ns = [later.boot_ns - end_ns for later, end_ns in zip(blocks[1:], ends_ns[:-1], strict=True)]
        assert [round(hole_ns / MS_NS, -2) for hole_ns in holes_ns if abs(hole_ns) > MS_NS] == [1500]


def test_a_card_that_runs_true_is_posted_as_it_was_heard() -> None:
    """Sample for sample: nothing is doubled, dropped or replaced."""
    track, values = SoundTrack(RATE), bytearray()
    _, blocks = listen(Card(JumpingPacer(), RATE), 5)
    for block in blocks:
        track.add((block.boot_ns - BOOT_NS) * RATE // SECOND_NS, block.samples, block.heard)
        values += b"".join(samples for _, samples in track.blocks(ALL))
    heard = b"".join(block.samples for block in blocks)
    assert bytes(values).lstrip(b"\0") in heard
    assert len(values) > 4 * RATE * SAMPLE_BYTES


def opened_s(card: Card) -> list[int]:
    return [round((opened_ns - BOOT_NS) / SECOND_NS) for opened_ns in card.opened_ns]


def test_an_absent_microphone_is_said_once_and_tried_again() -> None:
    said: list[str] = []
    card = Card(JumpingPacer(), RATE, absent=spans((0, 100)))
    _, blocks = listen(card, 130, said)
    assert [round((opened_ns - BOOT_NS) / SECOND_NS) for opened_ns in card.opened_ns] == [
        0,
        1,
        3,
        7,
        15,
        31,
        61,
        91,
        121,
    ]
    assert said == [
        f"{DEVICE}: cannot be opened (No such device); connect the microphone; filming goes on without sound",
        f"{DEVICE}: there is sound again",
    ]
    assert blocks[0].boot_ns == pytest.approx(card.opened_ns[-1], abs=MS_NS)


def test_a_microphone_that_is_lost_comes_back() -> None:
    said: list[str] = []
    card = Card(JumpingPacer(), RATE, absent=spans((10, 0.5), (20, 0.5)))
    tape, _ = listen(card, 30, said)
    assert len(said) == 4
    assert opened_s(card) == [0, 11, 21]
    assert tape.silent_s == pytest.approx(2, abs=0.2)


class Mute:
    """A card that opens, and never gives a sample."""

    def __init__(self, pacer: JumpingPacer) -> None:
        self._pacer = pacer
        self.open = self.closed = 0

    def opened(self, device: str, rate_hz: int) -> Mute:
        self.open += 1
        return self

    def read(self, timeout_ms: int) -> bytes:
        self._pacer.wait_until(self._pacer.boot_ns() + timeout_ms * MS_NS, threading.Event())
        return b""

    def close(self) -> None:
        self.closed += 1


def test_a_card_that_gives_nothing_is_lost_too_and_given_back() -> None:
    pacer, said, enough = JumpingPacer(), list[str](), threading.Event()
    card = Mute(pacer)

    def open_until_enough(device: str, rate_hz: int) -> Mute:
        if card.open == 3:
            enough.set()
        return card.opened(device, rate_hz)

    microphone = Microphone(DEVICE, RATE, pacer, said.append, open_until_enough)
    microphone.start(lambda packet: pytest.fail(f"nothing was heard, but {packet}"))
    assert enough.wait(60)
    microphone.stop()
    assert len(said) == 1
    assert "gives no samples for 2 s" in said[0]
    assert card.closed == card.open


class Script:
    """A camera that posts what it was given."""

    def __init__(self, packets: Sequence[Packet]) -> None:
        self._packets = packets
        self.did: list[str] = []

    def start(self, post: Post) -> None:
        for packet in self._packets:
            post(packet)

    def film_at(self, percent: int) -> None:
        self.did.append(f"film at {percent}")

    def stop(self) -> None:
        self.did.append("stop")


def test_pictures_and_sound_come_as_one_source_that_ends_with_the_camera() -> None:
    pacer = JumpingPacer()
    listener = Listener(pacer, at(1), lambda block: None)
    microphone = Microphone(DEVICE, RATE, pacer, print, Card(pacer, RATE).open)
    camera = Script([Picture(BOOT_NS, b"", keyframe=True)])
    source, posted = FilmWithSound(camera, microphone), list[Packet]()

    def post(packet: Packet) -> None:
        posted.append(packet)
        if isinstance(packet, SoundBlock):
            listener.post(packet)

    source.start(post)
    listener.wait()
    source.film_at(50)
    source.stop()
    assert "microphone" not in {thread.name for thread in threading.enumerate()}
    source.stop()
    assert isinstance(posted[0], Picture)
    assert camera.did == ["film at 50", "stop", "stop"]


def test_no_sound_comes_after_the_camera_ended() -> None:
    pacer, posted = JumpingPacer(), list[Packet]()
    heard = threading.Event()

    def open_card(device: str, rate_hz: int) -> RunningCard:
        if pacer.boot_ns() > at(3):
            heard.set()
        return Card(pacer, RATE, absent=spans((2, 0.1), (3, 0.1), (5, 0.1))).open(device, rate_hz)

    microphone = Microphone(DEVICE, RATE, pacer, lambda line: None, open_card)
    source = FilmWithSound(Script([Ended(CaptureError("camera", "is gone"))]), microphone)
    source.start(posted.append)
    assert heard.wait(60)
    source.stop()
    assert [type(packet) for packet in posted] == [Ended]


def test_stop_before_start_is_fine() -> None:
    Microphone(DEVICE, RATE, JumpingPacer(), print, Card(JumpingPacer(), RATE).open).stop()
