"""`make camera`: the simulated camera on real footage, with what its officer sees and feels, until somebody ends it.

Guarantees: nothing that it starts outlives it; ending it switches the camera off in order, so that a recording is ended
first. A power cut is played as one: the battery goes back after CUT_S. An agent that ends by itself ends the play, with
the agent's last words.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import time
from collections.abc import Mapping

from agent.errors import TemoinError
from agent.model import NS_PER_S
from agent.terminal import printable
from hw.sim.agent_process import COMMANDS, AgentProcess
from hw.sim.control import send
from hw.sim.demo.enrolled import PRERECORD_S
from hw.sim.demo.timeline import DemoError, PanelLog, felt
from hw.sim.panel import light_now
from hw.sim.play.place import Place
from hw.sim.play.screen import Screen, opened
from hw.sim.play.views import Row, Seen, both, camera_rows, camera_sheet, changes
from hw.sim.power import POWER_CUT_EXIT

CUT_S = 3
END_S = 15.0
STALE_NS = 3 * NS_PER_S
FELT_NS = 5 * NS_PER_S
KEYS: Mapping[str, tuple[str, ...]] = {
    " ": ("tap",),
    "h": ("hold",),
    "d": ("dock",),
    "u": ("undock",),
    "b": ("battery", "15"),
    "f": ("battery", "100"),
    "c": ("card-stall", "5000"),
    "s": ("camera-stall",),
    "x": ("power-cut",),
}


def play_camera(place: Place) -> None:
    """Until SIGINT, SIGTERM or SIGHUP. Raises DemoError."""
    run = place.camera / "run"
    agent = AgentProcess(place.camera)
    panel = PanelLog(run)
    panel.new()  # what an earlier play showed
    with contextlib.ExitStack() as stack:
        stack.callback(agent.end, END_S)
        screen = stack.enter_context(opened())
        agent.start()
        _Play(place, agent, panel, screen).run()


class _Play:
    """What goes on between two looks at the board."""

    def __init__(self, place: Place, agent: AgentProcess, panel: PanelLog, screen: Screen) -> None:
        self._place = place
        self._agent = agent
        self._panel = panel
        self._screen = screen
        self._felt: list[tuple[int, str]] = []
        self._filling_ns: int | None = None
        self._before: list[Row] = []
        self._said = ""
        config = f"--config {place.camera / 'camera.toml'}"
        self._footer = [both("play.keys"), f"{both('play.hint_sim')}: {COMMANDS / 'temoin'} sim tap {config}"]

    def run(self) -> None:
        screen = self._screen
        screen.say([both("play.camera_runs"), *self._footer[1:], both("play.hint_end")])
        while not screen.ending:
            self._look_after()
            self._follow()
            key = screen.pause()
            if key == "q":
                screen.end()
            elif key in KEYS:
                self._do(KEYS[key])

    def _do(self, action: tuple[str, ...]) -> None:
        self._said = " ".join(action)
        try:
            send(self._place.camera / "run", action[0], action[1:])
        except TemoinError as error:
            self._said = printable(str(error))

    def _look_after(self) -> None:
        """The battery goes back after a power cut; another end is one."""
        code = self._agent.ended()
        if code is None:
            return
        if code != POWER_CUT_EXIT:
            problem = f"ended with code {code}: {printable(self._agent.last_words())}"
            raise DemoError("temoin run", problem, f"see {self._place.camera / 'agent.log'}")
        self._said = both("play.no_power")
        self._screen.say([self._said])
        deadline = time.monotonic() + CUT_S
        while time.monotonic() < deadline and not self._screen.ending:
            self._follow()
            self._screen.pause()
        if not self._screen.ending:
            self._agent.start()

    def _follow(self) -> None:
        now_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._listen(now_ns)
        seen = self._seen(now_ns)
        rows = camera_rows(seen)
        self._screen.show(functools.partial(camera_sheet, rows, [self._said, *self._footer]))
        self._screen.say(changes(rows, self._before))
        self._before = rows

    def _listen(self, now_ns: int) -> None:
        """What the panel has shown, sounded and shaken since the last look."""
        for event in self._panel.new():
            boot_ns, light, cue = event["boot_ns"], event.get("light"), event.get("cue")
            if isinstance(cue, dict) and isinstance(boot_ns, int):
                self._felt.append((boot_ns, felt(cue)))
                self._screen.say([f"  {felt(cue)}"])
            elif isinstance(light, dict):
                self._screen.say([f"  light {light['colour']} {light['pattern']}"])
        self._felt = [(at_ns, what) for at_ns, what in self._felt if now_ns - at_ns < FELT_NS]

    def _seen(self, now_ns: int) -> Seen:
        camera = self._place.camera
        status = self._agent.status() if self._agent.ended() is None else {}
        written_ns = status.get("boot_ns")
        if not isinstance(written_ns, int) or now_ns - written_ns >= STALE_NS:
            status = {}
        if status.get("activity") not in ("ready", "arming", "recording", "stopping"):
            self._filling_ns = None  # the memory before the press is wiped, or not there yet
        elif self._filling_ns is None:
            self._filling_ns = now_ns
        ring_ns = 0 if self._filling_ns is None else now_ns - self._filling_ns
        return Seen(
            status,
            light_now(camera / "run", now_ns),
            [what for _, what in self._felt],
            now_ns,
            shutil.disk_usage(camera).free,
            min(ring_ns // 1_000_000, PRERECORD_S * 1000),
            PRERECORD_S * 1000,
        )
