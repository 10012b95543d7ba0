"""The queue between source and loop: bounded, never waits, and leaves out whole rests of GOPs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.errors import CaptureError
from hw.capture.inbox import Inbox
from hw.capture.source import Ended, Picture, SoundBlock


def picture(number: int, keyframe: bool) -> Picture:
    return Picture(number, b"", keyframe)


def play(stream: str, limit: int) -> tuple[str, int]:
    """`I`, `P` and `s` (sound) are posted, `-` takes one out; returns what was taken, and how many pictures dropped."""
    inbox, taken = Inbox(limit), ""
    for number, letter in enumerate(stream):
        if letter == "-":
            packet = inbox.take(0)
            taken += "" if packet is None else stream[packet.boot_ns] if not isinstance(packet, Ended) else "e"
        elif letter == "s":
            inbox.post(SoundBlock(number, b"", True))
        else:
            inbox.post(picture(number, letter == "I"))
    while (packet := inbox.take(0)) is not None:
        taken += stream[packet.boot_ns] if not isinstance(packet, Ended) else "e"
    return taken, inbox.dropped_pictures


def test_in_order_while_there_is_room() -> None:
    assert play("IPsP-IP", 10) == ("IPsPIP", 0)


def test_the_rest_of_a_gop_goes_with_the_picture_that_did_not_fit() -> None:
    assert play("IPPP--PPIPP", 3) == ("IPPIP", 4)


def test_a_keyframe_without_room_starts_nothing() -> None:
    assert play("IPPIP---PPIP", 3) == ("IPPIP", 4)


def test_sound_needs_room_too_and_drops_no_picture() -> None:
    assert play("IPsss-PI", 3) == ("IPsP", 1)


@given(st.text("IPs-", max_size=60).map(lambda text: "I" + text), st.integers(1, 8))
def test_no_picture_comes_without_those_it_is_made_from(stream: str, limit: int) -> None:
    inbox, posted, taken = Inbox(limit), [0], list[int]()
    for letter in stream:
        if letter == "-":
            packet = inbox.take(0)
            if isinstance(packet, Picture):
                taken.append(packet.boot_ns)
        elif letter == "s":
            inbox.post(SoundBlock(1, b"", True))
        else:
            posted[0] += 1
            inbox.post(picture(posted[0], letter == "I"))
    while (packet := inbox.take(0)) is not None:
        if isinstance(packet, Picture):
            taken.append(packet.boot_ns)
    letters = [letter for letter in stream if letter in "IP"]
    for number in taken:
        assert letters[number - 1] == "I" or number - 1 in taken
    assert len(taken) + inbox.dropped_pictures == len(letters)


def test_the_end_always_fits() -> None:
    inbox = Inbox(1)
    inbox.post(picture(0, True))
    inbox.post(Ended(CaptureError("a", "b")))
    assert isinstance(inbox.take(0), Picture)
    assert isinstance(inbox.take(0), Ended)
    assert inbox.take(0) is None
