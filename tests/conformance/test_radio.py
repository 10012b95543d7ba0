"""What every Radio does; over a simulated wpa_supplicant here, over real ones in tests/system/test_radio.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.model import NS_PER_MS, RadioChanged, RadioFault
from hw.radio import Cable, WifiRadio
from tests.support.fake_clock import FakeClock
from tests.support.radio_bench import ASSOCIATED, OFF, SCENES, SEARCHING, RadioBench, failed
from tests.support.supplicant import INTERFACE, UNKNOWN, Air, FakeSupplicant

LIMIT_S = 10
TICK_S = 0.01


class PassingClock(FakeClock):
    """Time passes whenever somebody looks, and with it whatever is waited for in `passes`."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = threading.Condition()

    def boot_ns(self) -> int:
        with self._passed:
            self.advance(200)
            self._passed.notify_all()
            return super().boot_ns()

    def passes(self, ms: int) -> None:
        with self._passed:
            until_ns = self.now_ns + ms * NS_PER_MS
            assert self._passed.wait_for(lambda: self.now_ns >= until_ns, LIMIT_S)


@pytest.fixture
def supplicant(tmp_path: Path) -> Iterator[FakeSupplicant]:
    made = FakeSupplicant(tmp_path)
    yield made
    made.close()


@pytest.fixture
def clock() -> PassingClock:
    return PassingClock()


@pytest.fixture
def bench(supplicant: FakeSupplicant, clock: PassingClock) -> Iterator[RadioBench]:
    def make(post: Callable[[RadioChanged], None]) -> WifiRadio:
        return WifiRadio(INTERFACE, clock, post, supplicant.control, supplicant.rfkill, TICK_S)

    def air(kind: str) -> None:
        supplicant.air = Air(kind)

    made = RadioBench(make, air, supplicant.lose, supplicant.is_silent, LIMIT_S)
    made.start()
    yield made
    made.end()


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_radio(scene: Callable[[RadioBench], None], bench: RadioBench) -> None:
    scene(bench)


def test_it_begins_by_blocking_what_somebody_left_on(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    assert supplicant.is_blocked()
    assert bench.changes.empty(), "it is off, as everybody thinks"


def test_power_save_is_off_once_it_is_associated(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    assert supplicant.power_save
    contact(bench)
    assert supplicant.was_told("SET ps 0")
    assert not supplicant.power_save


def contact(bench: RadioBench) -> None:
    bench.radio.on()
    bench.until(ASSOCIATED)


def test_it_takes_leave_of_the_access_point(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    contact(bench)
    bench.radio.off()
    bench.until(OFF)
    assert supplicant.was_told("DISABLE_NETWORK all")


def test_a_wpa_supplicant_that_is_not_there_is_waited_for(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    supplicant.die()
    bench.radio.on()
    bench.until(failed(RadioFault.NO_SUPPLICANT))
    supplicant.run()
    bench.until(ASSOCIATED)


def test_a_wpa_supplicant_that_starts_again_is_spoken_to_again(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    contact(bench)
    supplicant.die()
    bench.until(failed(RadioFault.NO_SUPPLICANT))
    supplicant.run()
    bench.until(ASSOCIATED)


def test_a_wpa_supplicant_that_hangs_is_said_once_and_does_not_keep_the_radio_on(
    bench: RadioBench, supplicant: FakeSupplicant, clock: PassingClock
) -> None:
    contact(bench)
    supplicant.hung = True
    bench.until(failed(RadioFault.NO_SUPPLICANT))
    supplicant.hung = False
    bench.until(ASSOCIATED)
    supplicant.hung = True
    bench.until(failed(RadioFault.NO_SUPPLICANT))
    clock.passes(20_000)
    bench.radio.off()
    assert bench.until(OFF) == [OFF]
    assert supplicant.is_blocked()


def test_a_radio_that_is_blocked_by_a_switch_is_none(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    supplicant.switch(blocks=True)
    bench.radio.on()
    bench.until(failed(RadioFault.NO_RADIO))
    supplicant.switch(blocks=False)
    bench.until(ASSOCIATED)


def test_without_rfkill_there_is_no_radio_and_nobody_says_that_it_is_off(
    supplicant: FakeSupplicant, tmp_path: Path
) -> None:
    def make(post: Callable[[RadioChanged], None]) -> WifiRadio:
        return WifiRadio(INTERFACE, PassingClock(), post, supplicant.control, tmp_path / "none" / "rfkill", TICK_S)

    bench = RadioBench(make, lambda kind: None, supplicant.lose, lambda: False, LIMIT_S)
    bench.start()
    assert bench.until(failed(RadioFault.NO_RADIO)) == [failed(RadioFault.NO_RADIO)]
    bench.radio.on()
    bench.radio.off()
    bench.end()
    assert bench.changes.empty()


def test_what_it_does_not_know_changes_nothing(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    supplicant.air = Air.NOTHING
    bench.radio.on()
    bench.until(failed(RadioFault.NOT_FOUND))
    for said in UNKNOWN:
        supplicant.shout(said)
    supplicant.air = Air.DOCK
    assert bench.until(ASSOCIATED) == [ASSOCIATED]


def test_a_flood_of_events_does_not_keep_it_on(bench: RadioBench, supplicant: FakeSupplicant) -> None:
    contact(bench)
    is_off = threading.Event()

    def flood() -> None:
        while not is_off.is_set():
            supplicant.shout("<3>CTRL-EVENT-SCAN-STARTED ")

    floods = [threading.Thread(target=flood) for _ in range(2)]
    for each in floods:
        each.start()
    bench.radio.off()
    try:
        bench.until(OFF)
    finally:
        is_off.set()
    for each in floods:
        each.join(LIMIT_S)
    assert supplicant.is_blocked()


def test_a_cable_is_there_with_the_contact() -> None:
    posted: list[RadioChanged] = []
    cable = Cable(posted.append)
    cable.off()
    cable.on()
    cable.on()
    cable.off()
    assert posted == [ASSOCIATED, OFF]
    assert SEARCHING not in posted
