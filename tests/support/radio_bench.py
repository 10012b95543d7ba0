"""What every Radio over a wpa_supplicant does, whatever that and the access point are: simulated, wired, on the air."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from agent.model import RadioChanged, RadioFault, RadioState
from agent.threads import Loop
from hw.radio import WifiRadio

OFF, SEARCHING, ASSOCIATED = (
    RadioChanged(state) for state in (RadioState.OFF, RadioState.SEARCHING, RadioState.ASSOCIATED)
)


def failed(fault: RadioFault) -> RadioChanged:
    return RadioChanged(RadioState.FAILED, fault)


@dataclass
class RadioBench:
    """A radio in its loop and the access point before it. `limit_s`: how long anything may take here.

    `air` puts another access point there: `dock`, `nothing`, `refuses`, `stranger`. `lose` switches it off.
    """

    make: Callable[[Callable[[RadioChanged], None]], WifiRadio]
    air: Callable[[str], None]
    lose: Callable[[], None]
    silent: Callable[[], bool]
    """Whether nothing can be sent: the radios are blocked."""
    limit_s: float
    changes: queue.Queue[RadioChanged] = field(default_factory=queue.Queue)
    seen: list[RadioChanged] = field(default_factory=list)

    def start(self) -> None:
        self.radio = self.make(self.changes.put)
        self._loop = Loop("radio", self.radio.turn, lambda: None)
        self._loop.start()

    def end(self) -> None:
        self.radio.end()
        self._loop.join(self.limit_s)
        assert not self._loop.is_alive(), "it does not end when it is told"
        self._loop.check()
        self.radio.close()

    def until(self, wanted: RadioChanged) -> list[RadioChanged]:
        """Wait for this state; all that was posted up to it."""
        found: list[RadioChanged] = []
        while not found or found[-1] != wanted:
            try:
                found.append(self.changes.get(timeout=self.limit_s))
            except queue.Empty:
                raise AssertionError(f"{wanted} does not come, only {found}") from None
        return found


def contact_associates(bench: RadioBench) -> None:
    bench.air("dock")
    bench.radio.on()
    assert failed(RadioFault.REFUSED) not in bench.until(ASSOCIATED)
    assert not bench.silent()
    bench.radio.off()
    assert bench.until(OFF) == [OFF]
    assert bench.silent()


def it_comes_back_as_often_as_wanted(bench: RadioBench) -> None:
    bench.air("dock")
    for _ in range(3):
        bench.radio.on()
        bench.until(ASSOCIATED)
        bench.radio.off()
        bench.until(OFF)
    assert bench.changes.empty()


def a_dock_that_is_off_is_found_when_it_comes(bench: RadioBench) -> None:
    bench.air("nothing")
    bench.radio.on()
    bench.until(failed(RadioFault.NOT_FOUND))
    bench.air("dock")
    bench.until(ASSOCIATED)


def a_dock_that_goes_off_is_missed_and_found_again(bench: RadioBench) -> None:
    bench.air("dock")
    bench.radio.on()
    bench.until(ASSOCIATED)
    bench.lose()
    assert ASSOCIATED not in (changes := bench.until(SEARCHING)), changes
    bench.air("dock")
    bench.until(ASSOCIATED)


def pulled_out_in_the_middle_it_is_off(bench: RadioBench) -> None:
    bench.air("dock")
    bench.radio.on()
    bench.until(ASSOCIATED)
    bench.lose()
    bench.radio.off()
    bench.until(OFF)
    assert bench.silent()


def a_camera_of_another_agency_is_refused(bench: RadioBench) -> None:
    bench.air("refuses")
    bench.radio.on()
    assert ASSOCIATED not in bench.until(failed(RadioFault.REFUSED))
    bench.radio.off()
    bench.until(OFF)


def who_was_refused_tries_again(bench: RadioBench) -> None:
    bench.air("refuses")
    bench.radio.on()
    bench.until(failed(RadioFault.REFUSED))
    bench.air("dock")
    bench.until(ASSOCIATED)


def an_access_point_of_somebody_else_is_not_joined(bench: RadioBench) -> None:
    bench.air("stranger")
    bench.radio.on()
    assert ASSOCIATED not in bench.until(failed(RadioFault.WRONG_DOCK))
    bench.radio.off()
    bench.until(OFF)


def it_ends_off(bench: RadioBench) -> None:
    bench.air("dock")
    bench.radio.on()
    bench.until(ASSOCIATED)
    threading.Thread(target=bench.radio.end).start()
    bench.until(OFF)
    assert bench.silent()


ON_A_WIRE: tuple[Callable[[RadioBench], None], ...] = (
    contact_associates,
    it_comes_back_as_often_as_wanted,
    a_camera_of_another_agency_is_refused,
    an_access_point_of_somebody_else_is_not_joined,
    it_ends_off,
)
"""What needs nothing that only the air has: scans, and an access point that is missed."""
SCENES = (
    *ON_A_WIRE,
    a_dock_that_is_off_is_found_when_it_comes,
    a_dock_that_goes_off_is_missed_and_found_again,
    pulled_out_in_the_middle_it_is_off,
    who_was_refused_tries_again,
)
