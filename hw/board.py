"""A real board behind the ports: clock, panel, camera, power and inputs, and the threads that serve them.

Guarantees: a panel before anything else, so that whatever fails is shown; an output that fails is posted, never raised;
nothing waits for a bus, a pin or a process in the main loop. What is missing at the start is a BoardError.
Assumes: the keeper and the capture service run beside the agent (docs/hardware.md, "Services").
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.board_parts import Pin
from agent.config import Board, CameraConfig
from agent.errors import BoardError
from agent.model import OutputFailed
from agent.ports import Clock, Post, Radio
from agent.threads import Loop
from hw.capture_service import ServiceCapture
from hw.clock import BoardClock
from hw.gpio import Factory, Switch, open_factory, open_output, switch
from hw.health import measure
from hw.inputs import BoardInputs
from hw.panel import PipedPanel
from hw.place import GpsdPlace
from hw.power import KernelPower
from hw.radio import Cable, WifiRadio
from hw.sensor import SensorCamera
from hw.watch import BoardWatch

END_WITHIN_S = 2.0
OpenPins = Callable[[Path], Factory]
GPIO_FOLDER = "lgpio"
REBOOT, POWER_OFF = "reboot", "poweroff"
"""In the run folder: temoin-reboot.path and temoin-poweroff.path do it when one appears."""


class RealBoard:
    """Devices (agent/ports.py) of a board with parts. Raises BoardError. `clock` is the system's."""

    def __init__(
        self,
        board: Board,
        config: CameraConfig,
        clock: Clock,
        post: Post,
        open_pins: OpenPins = open_factory,
    ) -> None:
        parts, services = board.parts, config.services
        assert parts is not None, "the board is a real one"
        assert services is not None, "checked by check_footage"
        self._post = post
        self._run = config.run
        self._data = config.data
        self.clock = BoardClock(clock, board.clock.rtc_error_ms)
        self.panel = PipedPanel(services.keeper, clock, post)
        self._ending = False
        self._watch = BoardWatch(clock, post)
        self._factory = open_pins(_made(config.run / GPIO_FOLDER))
        wiring = parts.wiring
        self._inputs = BoardInputs(wiring, self._factory, clock, post, self._watch.wake)
        self.pressed = self._inputs.pressed
        self.power = KernelPower(parts.supplies, lambda: self._inputs.contact)
        line = None if wiring.sensor is None else _line(self._factory, wiring.sensor)
        capture = ServiceCapture(services.capture)
        self.camera = SensorCamera(capture, line, lambda: self._ask(REBOOT), clock, post, self._watch.wake)
        self._wifi = None if parts.radio is None else WifiRadio(parts.radio, clock, post)
        self.radio: Radio = Cable(post) if self._wifi is None else self._wifi
        self._receiver = GpsdPlace(clock, post) if parts.gpsd else None
        turns = {"board": self._turn}
        if self._wifi is not None:
            turns["radio"] = self._wifi.turn
        if self._receiver is not None:
            turns["place"] = self._receiver.turn
        self._loops = [Loop(name, turn, lambda: None) for name, turn in turns.items()]

    def open(self) -> None:
        self._inputs.open()
        for loop in self._loops:
            loop.start()

    def check(self) -> None:
        for loop in self._loops:
            loop.check()

    def close(self) -> None:
        self._ending = True
        self._watch.wake()
        for ends in (self._wifi, self._receiver):
            if ends is not None:
                ends.end()
        for loop in self._loops:
            if loop.is_alive():
                loop.join(END_WITHIN_S)
        if self._wifi is not None:
            self._wifi.close()
        self._inputs.close()
        self._factory.close()
        self.panel.close()

    def _turn(self) -> bool:
        self._watch.turn((self._inputs, self.camera), self.power, (self.clock.measure, self._measure))
        return not self._ending

    def _measure(self) -> None:
        self._post(measure(self._data))

    def power_off(self) -> None:
        self._ask(POWER_OFF)

    def _ask(self, what: str) -> None:
        """Whoever may do it: this user may not."""
        try:
            (self._run / what).touch(mode=0o600)
        except OSError:
            self._post(OutputFailed(what))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = error.strerror or "cannot be made"
        raise BoardError(str(folder), problem, "choose a run folder of the agent's own") from None
    return folder


def _line(factory: Factory, pin: Pin) -> Switch:
    return switch(open_output(factory, pin), pin)
