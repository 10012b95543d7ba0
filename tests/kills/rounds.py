"""One round: a camera's short life, ended by force at every bad moment in turn, looked at after each, and played in the
end. Where exactly each end comes is the seed's choice.

Time until the footage goes on counts from the next start: between an end and that start the harness looks at the card,
where on a camera systemd would start the agent again at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.agent import Agent
from agent.errors import TemoinError
from agent.model import NS_PER_S
from agent.recorder import Recorder
from agent.recording import Recording
from agent.store.check import recover
from agent.store.journal import Journal
from hw.sim.clock import BOOT
from tests.kills import checks
from tests.kills.camera import POLL_S, Agency, Camera, KillsError, Told, boot_ns, enrol
from tests.kills.card import Card, Taken, read_card
from tests.kills.checks import Death
from tests.kills.traps import Fate, Trap

MAX_RESUME_NS = 5 * NS_PER_S
MAX_LOAD = 1.5  # a processor: with more than that waiting, a start takes as long as others let it
RING_S = 7.0
FINGER_S = 0.3  # until a tap is over: a finger presses once at a time
AGENT_FATES = (Fate.KILL, Fate.KILL, Fate.CUT)  # a kill leads to more: the same recording goes on


class Phase(StrEnum):
    """Where an end comes."""

    DRAIN = "drain"
    SEGMENT = "rotation of the segment"
    JOURNAL = "rotation of the journal"
    SEAL = "seal"
    RECOVERY = "recovery"
    START = "start"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the traps of a phase are laid: the function, and how many operations it makes at most."""

    inside: str
    most: int
    after: str | None = None

    def trap(self, fate: Fate, choose: random.Random) -> Trap:
        """One of them."""
        return Trap(fate, self.inside, choose.randint(1, self.most), choose.randrange(1 << 32), self.after)


# Names taken from the functions: one that is renamed is found out before anything is killed.
PLACES = {
    Phase.DRAIN: Place(Recorder.step.__qualname__, 20, after=Recorder._begin.__qualname__),
    Phase.SEGMENT: Place(Recorder.step.__qualname__, 13, after=Recording._seal.__qualname__),
    Phase.JOURNAL: Place(Journal.rotate.__qualname__, 7),
    Phase.SEAL: Place(Recording.finish.__qualname__, 4),
    Phase.RECOVERY: Place(recover.__qualname__, 14),
    Phase.START: Place(Agent.open.__qualname__, 14),
    Phase.LIVE: Place(Recorder.step.__qualname__, 10),
}


@dataclass(frozen=True, slots=True)
class End:
    """One kill or cut that came. `lost_ns`: footage that it took; `resume_ns`: until the next durable fragment."""

    phase: Phase
    fate: Fate
    lost_ns: int | None = None
    resume_ns: int | None = None

    def __str__(self) -> str:
        times = (("lost", self.lost_ns), ("until it went on", self.resume_ns))
        return "".join(f", {time_ns / NS_PER_S:.2f} s {what}" for what, time_ns in times if time_ns is not None)


class Round:
    """`say` takes one line for each end. `play` raises KillsError when the camera did not hold."""

    def __init__(self, folder: Path, film: Path, seed: str, say: Callable[[str], None]) -> None:
        self.ends: list[End] = []
        self.missed = 0
        self.unjudged = 0
        self.pictures = 0
        self._agency: Agency = enrol(folder, film)
        self._camera = Camera(folder / "camera")
        self._scratch = folder
        self._random = random.Random(seed)
        self._say = say

    def play(self) -> None:
        """The whole life."""
        camera = self._camera
        try:
            self._dies_at_start(2)
            self._revive()
            self._fill_ring()
            self._dies(Phase.DRAIN, lambda: camera.do("tap"))
            self._dies_at_start(2)
            self._revive()
            self._recording()
            natural = self._random.random() < 0.15  # 30 s; else a new init, which is a new segment too
            self._dies(Phase.SEGMENT, (lambda: None) if natural else camera.kill_capture, seconds=40.0)
            self._dies_at_start(1)
            self._dies_in_journal_rotation()
            self._dies_at_start(1)
            self._revive()
            self._capture_dies()
            self._dies_alive()
            self._revive()
            self._recording()
            self._dies(Phase.SEAL, lambda: camera.do("hold"))
            self._dies_at_start(1)
            self._revive()
            self._fill_ring()
            self._capture_dies_in_drain()
            camera.stop()
            _, self.pictures = checks.in_the_end(camera, self._agency, camera.told(), self._scratch)
        finally:
            camera.end()

    # Ends.

    def _dies(self, phase: Phase, act: Callable[[], object], seconds: float = 15.0) -> None:
        """By a trap, which `act` leads the agent into."""
        trap = self._trap(phase)
        self._camera.arm(trap)
        with contextlib.suppress(TemoinError):  # it may die under the finger, before it has answered
            act()
        self._await_end(phase, trap, seconds)

    def _dies_at_start(self, times: int) -> None:
        """Starts that end before the camera is there."""
        for _ in range(times):
            phase = Phase.RECOVERY if self._has_to_recover() else Phase.START
            trap = self._trap(phase)
            self._camera.start(trap)
            self._await_end(phase, trap, seconds=6.0)

    def _dies_in_journal_rotation(self) -> None:
        """The file of this run is full as soon as a few entries more are in it."""
        trap = self._trap(Phase.JOURNAL)
        self._camera.start(trap, nearly_full=self._random.randrange(2500, 7000))
        deadline = time.monotonic() + 15
        while self._camera.alive and time.monotonic() < deadline:
            activity = self._camera.status().get("activity")
            if activity == "ready":
                with contextlib.suppress(TemoinError):  # it may die under the press
                    self._camera.do("tap")
            if activity in ("ready", "recording"):
                break
            time.sleep(POLL_S)
        self._await_end(Phase.JOURNAL, trap, seconds=15.0)

    def _dies_alive(self) -> None:
        """At any moment of a recording that has caught up: of the clock, or of the writer."""
        self._recording()
        if self._random.random() < 0.5:
            self._dies(Phase.LIVE, lambda: None)
            return
        time.sleep(self._random.uniform(0.2, 2.2))
        fate = self._random.choice(AGENT_FATES)
        at_ns = boot_ns()
        if fate is Fate.KILL:
            self._camera.kill()
        else:
            self._camera.cut()
        self._look(Phase.LIVE, fate, at_ns, f"{fate} at any moment")

    def _capture_dies(self) -> None:
        """The agent lives on: a new capture process, a new segment, a gap."""
        self._recording()
        time.sleep(self._random.uniform(0.0, 1.0))
        self._goes_on(Phase.LIVE, self._camera.kill_capture())

    def _capture_dies_in_drain(self) -> None:
        self._camera.arm(PLACES[Phase.DRAIN].trap(Fate.CAPTURE, self._random))
        self._camera.do("tap")
        sprung = self._camera.wait_told("the trap", lambda line: str(line.get("trap")).startswith(Fate.CAPTURE))
        self._goes_on(Phase.DRAIN, _at(sprung))

    def _goes_on(self, phase: Phase, at_ns: int) -> None:
        """The first fragment of the next capture process becomes durable in time."""
        fresh = self._camera.wait_told("a new capture's fragment", lambda line: _captured(line)[0] > at_ns)
        durable = self._camera.wait_told(
            "that it is durable", lambda line: "durable" in line and int(str(line["end_ns"])) >= _captured(fresh)[1]
        )
        self._add(End(phase, Fate.CAPTURE, resume_ns=self._in_time(_at(durable) - at_ns)), "kill of capture")

    def _await_end(self, phase: Phase, trap: Trap, seconds: float) -> None:
        if self._camera.died(seconds):
            sprung = [line for line in self._camera.told() if line.get("trap") == str(trap)]
            if not sprung:
                raise KillsError(f"the agent ended by itself in {phase}")
            self._look(phase, trap.fate, _at(sprung[-1]), str(trap))
            return
        self.missed += 1  # there are fewer operations than the trap waited for
        self._say(f"{phase}: no {trap}")
        self._look(Phase.LIVE, Fate.KILL, self._camera.kill(), "kill instead")

    def _look(self, phase: Phase, fate: Fate, at_ns: int, what: str) -> None:
        """The card as the end left it."""
        loss = None
        if self._card() is not None:
            _, loss = checks.after_death(self._camera, self._agency, Death(at_ns, self._camera.told()))
        if phase is Phase.DRAIN and loss is not None and not loss.in_drain:
            phase = Phase.LIVE  # the trap came late
        self._add(End(phase, fate, None if loss is None else loss.lost_ns), what)

    def _add(self, end: End, what: str) -> None:
        self.ends.append(end)
        self._say(f"{end.phase}: {what}{end}")

    def _trap(self, phase: Phase) -> Trap:
        return PLACES[phase].trap(self._random.choice(AGENT_FATES), self._random)

    # What comes between.

    def _revive(self) -> None:
        """The next start, which must go well: the recording goes on in the same boot, and is interrupted in another."""
        card = self._card()
        opened = None if card is None else card.open
        same_boot = card is not None and card.boot == self._boot()
        told_before, start_ns = len(self._camera.told()), boot_ns()
        self._camera.start()
        if opened is None or not same_boot:
            self._check_interrupted(opened, self._camera.wait_for("ready").get("conditions"))
            return
        self._camera.wait_for("recording")
        durable = next(line for line in self._camera.told()[told_before:] if line.get("durable") == opened.rec)
        last = self.ends[-1]
        self.ends[-1] = End(last.phase, last.fate, last.lost_ns, self._in_time(_at(durable) - start_ns))

    def _check_interrupted(self, opened: Taken | None, conditions: object) -> None:
        if opened is None:
            return
        ended = next(each for each in read_card(self._camera.data).recordings if each.rec == opened.rec)
        if ended.stopped != "interrupted":
            raise KillsError(f"{ended.rec}: stopped as {ended.stopped}, not as interrupted")
        if not isinstance(conditions, list) or "interrupted" not in conditions:
            raise KillsError("the camera does not say that its recording was interrupted")

    def _fill_ring(self) -> None:
        """Nothing is recorded, and there are some seconds of footage that no recording holds."""
        if self._camera.wait_for("ready", "recording")["activity"] == "recording":
            self._camera.do("hold")
            self._camera.wait_for("ready")
        enough_ns = boot_ns() + int(RING_S * NS_PER_S)
        self._camera.wait_told("footage", lambda line: _captured(line)[1] > enough_ns, seconds=RING_S + 15)

    def _recording(self) -> None:
        """A recording runs and has caught up."""
        if self._camera.wait_for("ready", "recording")["activity"] == "ready":
            self._camera.do("tap")
            time.sleep(FINGER_S)
        since_ns = boot_ns()

        def is_live(line: Told) -> bool:
            return "durable" in line and _at(line) > since_ns and _at(line) - int(str(line["end_ns"])) < NS_PER_S

        self._camera.wait_told("a live durable fragment", is_live)

    def _in_time(self, resume_ns: int) -> int | None:
        """None where the time says nothing: two cameras load a computer with about 1.5."""
        if resume_ns <= MAX_RESUME_NS:
            return resume_ns
        load = os.getloadavg()[0]
        if load <= MAX_LOAD * (os.cpu_count() or 1):
            raise KillsError(f"{resume_ns / NS_PER_S:.2f} s until the next durable fragment")
        self.unjudged += 1
        self._say(f"{resume_ns / NS_PER_S:.2f} s until it went on: not judged, others load this computer ({load:.1f})")
        return None

    def _boot(self) -> str:
        """The boot in which the simulated board is now."""
        return str(json.loads((self._camera.run / BOOT).read_text(encoding="utf-8"))["boot"])

    def _card(self) -> Card | None:
        return read_card(self._camera.data) if any((self._camera.data / "journal").glob("*.log")) else None

    def _has_to_recover(self) -> bool:
        """Whether a start has a recording to account for, or files to name."""
        card = self._card()
        if card is None or card.open is not None:
            return card is not None
        known = {(str(body["rec"]), body["seg"]) for body in card.of("segment.open")}
        files = (self._camera.data / "segments").glob("*/*.mp4.age")
        return any((file.parent.name, int(file.name[:4])) not in known for file in files)


def _at(line: Told) -> int:
    return int(str(line["boot_ns"]))


def _captured(line: Told) -> tuple[int, int]:
    """(t0_ns, end_ns) of a captured fragment; zeros for any other line."""
    found = line.get("captured")
    return (int(found[0]), int(found[1])) if isinstance(found, list) else (0, 0)
