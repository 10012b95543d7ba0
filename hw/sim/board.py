"""A whole simulated board behind the ports: clock, panel, camera and power in one run folder, driven by `temoin sim`.

Guarantees: what happens to the board is posted, from a thread that only posts; the devices' state is in the run folder
and outlives the agent, as hardware does. Assumes: the data folder's lock keeps a second agent off the same board.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError
from agent.model import NS_PER_S, BatteryChanged, BoardEvent, Contact
from hw.radio import Cable
from hw.sim.camera import SimCamera
from hw.sim.clock import SimClock
from hw.sim.control import Action, Control
from hw.sim.finger import HOLD_NS, TAP_NS, Finger
from hw.sim.panel import SimPanel
from hw.sim.power import SimPower
from hw.sim.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Misfortunes:
    """What the board cannot do to the agent by itself: the card is busy for so many ms; the power is gone.

    `power_cut` drops what was not durable and ends the process: it does not return in earnest use.
    """

    card_stall: Callable[[int], None]
    power_cut: Callable[[], None]


class SimBoard:
    """`command` is the capture process's, `rtc_err_ms` the board's (None: no real-time clock).

    `post` is called from the board's thread too; it returns at once and never raises. Raises ConfigError when the run
    folder cannot be used.
    """

    def __init__(
        self,
        run: Path,
        command: Sequence[str],
        rtc_err_ms: int | None,
        post: Callable[[BoardEvent], None],
        misfortunes: Misfortunes,
    ) -> None:
        try:
            run.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            problem = error.strerror or "cannot be made"
            raise ConfigError(str(run), problem, "choose a run folder of your own") from None
        self.clock = SimClock(run, rtc_err_ms)
        self.panel = SimPanel(run, self.clock, post)
        self.power = SimPower(run)
        self.camera = SimCamera(run, command, self._log)
        self.radio = Cable(post)
        self.pressed = False  # a finger is on the simulated button only while its action runs
        self._timeline = Timeline(run)
        self._post = post
        self._misfortunes = misfortunes
        self._finger = Finger()
        self._run = run
        self._control: Control | None = None

    def open(self) -> None:
        """Take actions from now on. Only once the data folder is locked: it takes the socket from whoever had it."""
        self._control = Control(self._run, self.perform, self.step)
        self._control.start()

    def power_off(self) -> None:
        self._log("power_off")

    def check(self) -> None:
        """Nothing: whoever drives the board is told of what goes wrong in it."""

    def close(self) -> None:
        """Take no more actions. The devices stay as they are; a capture process that runs is the caller's to kill."""
        if self._control is not None:
            self._control.close()
            self._control = None

    def perform(self, action: Action) -> None:
        """Let it happen to the board. Raises FormatError when it is not possible now."""
        match action.name:
            case "press":
                self._press(None)
            case "tap":
                self._press(TAP_NS)
            case "hold":
                self._press(HOLD_NS)
            case "release":
                self._post_all(self._finger.release(self.clock.boot_ns()))
            case "dock" | "contact":  # alike until the dock has a network to find it on
                self._touch(True)
            case "undock":
                self._touch(False)
            case "battery":
                self.power.set_percent(action.value)
                self._post(BatteryChanged(self.power.battery()))
            case _:
                self._misfortune(action)

    def step(self) -> float | None:
        """Let go of the button when a tap or hold is over; returns the seconds until then."""
        now_ns = self.clock.boot_ns()
        self._post_all(self._finger.step(now_ns))
        release_at_ns = self._finger.release_at_ns
        return None if release_at_ns is None else (release_at_ns - now_ns) / NS_PER_S

    def _misfortune(self, action: Action) -> None:
        self._log(action.name)
        match action.name:
            case "camera-stall":
                self.camera.stall()
            case "camera-back":
                self.camera.revive()
            case "card-stall":
                self._misfortunes.card_stall(action.value)
            case "clock-step":
                self.clock.step(action.value)
            case "power-cut":
                self._power_cut()
            case _:
                raise AssertionError(f"no such action: {action.name}")

    def _press(self, release_after_ns: int | None) -> None:
        self._post_all(self._finger.press(self.clock.boot_ns(), release_after_ns))

    def _touch(self, on: bool) -> None:
        self.power.set_contact(on)
        self._post(Contact(on))
        self._post(BatteryChanged(self.power.battery()))  # it charges, or no longer

    def _power_cut(self) -> None:
        self.camera.kill()
        self.panel.power_cut()
        self.clock.power_cut()
        self._misfortunes.power_cut()

    def _post_all(self, events: Sequence[BoardEvent]) -> None:
        for event in events:
            self._post(event)

    def _log(self, device: str) -> None:
        self._timeline.add(self.clock.boot_ns(), {"device": device})
