"""A real board behind the ports: clock, panel, camera, power and inputs, and the thread that serves them.

Guarantees: a panel before anything else, so that whatever fails is shown; an output that fails is posted, never raised;
nothing waits for a bus, a pin or a process in the main loop. What is missing at the start is a BoardError.
Assumes: the keeper and the capture service run beside the agent (docs/hardware.md, "Services").
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.board_parts import BoardParts, Pin
from agent.config import Services
from agent.errors import BoardError
from agent.model import OutputFailed
from agent.ports import Clock, Post
from agent.threads import Loop
from hw.capture_service import ServiceCapture
from hw.clock import BoardClock
from hw.gpio import Factory, Switch, open_factory, open_output, switch
from hw.inputs import BoardInputs
from hw.panel import PipedPanel
from hw.power import KernelPower
from hw.sensor import SensorCamera
from hw.watch import BoardWatch

OpenPins = Callable[[Path], Factory]
GPIO_FOLDER = "lgpio"
REBOOT = "reboot"
"""In the run folder: the unit temoin-reboot.path restarts the board when it appears."""


class RealBoard:
    """Devices (agent/ports.py). Raises BoardError. `clock` is the system's; `run` the agent's run folder."""

    def __init__(
        self,
        parts: BoardParts,
        rtc_error_ms: int,
        services: Services,
        run: Path,
        clock: Clock,
        post: Post,
        open_pins: OpenPins = open_factory,
    ) -> None:
        self._post = post
        self._run = run
        self.clock = BoardClock(clock, rtc_error_ms)
        self.panel = PipedPanel(services.keeper, clock, post)
        self._watch = BoardWatch(clock, post)
        self._factory = open_pins(_made(run / GPIO_FOLDER))
        wiring = parts.wiring
        self._inputs = BoardInputs(wiring, self._factory, clock, post, self._watch.wake)
        self.pressed = self._inputs.pressed
        self.power = KernelPower(parts.supplies, lambda: self._inputs.contact)
        line = None if wiring.sensor is None else _line(self._factory, wiring.sensor)
        capture = ServiceCapture(services.capture)
        self.camera = SensorCamera(capture, line, self._reboot, clock, post, self._watch.wake)
        self._loop = Loop("board", self._turn, lambda: None)

    def open(self) -> None:
        self._inputs.open()
        self._loop.start()

    def check(self) -> None:
        self._loop.check()

    def close(self) -> None:
        if self._loop.is_alive():
            self._loop.end()
            self._watch.wake()
            self._loop.join()
        self._inputs.close()
        self._factory.close()
        self.panel.close()

    def _turn(self) -> bool:
        self._watch.turn((self._inputs, self.camera), self.power, (self.clock.measure,))
        return not self._loop.ending

    def _reboot(self) -> None:
        """Ask whoever may: this user may not."""
        try:
            (self._run / REBOOT).touch(mode=0o600)
        except OSError:
            self._post(OutputFailed("reboot"))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        problem = error.strerror or "cannot be made"
        raise BoardError(str(folder), problem, "choose a run folder of the agent's own") from None
    return folder


def _line(factory: Factory, pin: Pin) -> Switch:
    return switch(open_output(factory, pin), pin)
