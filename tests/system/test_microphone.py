"""ALSA's real library under the real microphone, muxer and AAC: sound lies where it was heard."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from hw.capture.main import BootClock
from hw.capture.microphone import Microphone
from hw.capture.source import SECOND_NS, Packet, SoundBlock
from tests.support.alsa_device import RATE_HZ, PipedCard
from tests.support.filmed_sound import film_microphone
from tests.support.sound_card import MS_NS, beep, tell_time

DEVICE = "hw:CARD=mic,DEV=0"
LIMIT_NS = 40 * MS_NS
SECONDS = 8


def test_beeps_lie_where_they_were_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each whole second of the boot clock has one, by a card whose clock is 200 ppm fast."""
    with PipedCard(tmp_path, beep, ppm=200) as card:
        monkeypatch.setenv("ALSA_CONFIG_PATH", str(card.config))
        filmed = film_microphone(DEVICE, SECONDS, tmp_path)
    apart_ns = [beep_ns - round(beep_ns / SECOND_NS) * SECOND_NS for beep_ns in filmed.beeps_ns()]
    print(f"\nbeeps after their time: {[round(each / MS_NS, 1) for each in apart_ns]} ms")
    assert SECONDS - 1 <= len(apart_ns) <= SECONDS
    assert max(map(abs, apart_ns)) <= LIMIT_NS
    assert filmed.fragments_heard == [True] * SECONDS
    assert filmed.level.peak == pytest.approx(16_000, abs=20)  # the left channel alone, and whole
    assert not filmed.said


def test_a_card_that_comes_later_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card, said, came, clock = PipedCard(tmp_path, tell_time), list[str](), threading.Event(), BootClock()
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(card.config))
    blocks: list[SoundBlock] = []

    def post(packet: Packet) -> None:
        assert isinstance(packet, SoundBlock)
        blocks.append(packet)
        if len(blocks) == 20:
            came.set()

    missed = threading.Event()

    def say(line: str) -> None:
        said.append(line)
        missed.set()

    microphone = Microphone(DEVICE, RATE_HZ, clock, say)
    microphone.start(post)
    try:
        assert missed.wait(20)
        with card:
            assert came.wait(20)
            microphone.stop()
    finally:
        microphone.stop()
    assert len(said) == 2
    assert said[0].startswith(f"{DEVICE}: cannot be opened (No such file or directory); connect the microphone")
    assert said[1] == f"{DEVICE}: there is sound again"


def test_without_a_card_it_is_said_and_nothing_else_is(capfd: pytest.CaptureFixture[str]) -> None:
    """This machine may have cards, but none of that name. The library keeps quiet itself."""
    said, missed = list[str](), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        missed.set()

    microphone = Microphone("hw:CARD=nobodyhasthis,DEV=0", RATE_HZ, BootClock(), say)
    microphone.start(lambda packet: None)
    assert missed.wait(20)
    microphone.stop()
    assert "cannot be opened" in said[0]
    assert capfd.readouterr() == ("", "")
