"""One round: a camera's short life, ended by force at every bad moment in turn, looked at after each, and played in the
end. Where exactly each end comes is the seed's choice."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from agent.model import NS_PER_S
from tests.kills import checks
from tests.kills.camera import Agency, Camera, KillsError, enrol
from tests.kills.card import Card, read_card
from tests.kills.checks import Death
from tests.kills.traps import Fate, Trap

MAX_RESUME_NS = 5 * NS_PER_S
RING_S = 7.0
AGENT_FATES = (Fate.KILL, Fate.CUT)


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


PLACES = {
    Phase.DRAIN: Place("Recording._write", 16),
    Phase.SEGMENT: Place("Recording._write", 13, after="Recording._seal"),
    Phase.JOURNAL: Place("Journal._rotate", 7),
    Phase.SEAL: Place("Recording.finish", 4),
    Phase.RECOVERY: Place("recover", 14),
    Phase.START: Place("Agent.open", 14),
}


@dataclass(frozen=True, slots=True)
class End:
    """One kill or cut that came. `lost_ns`: footage that it took; `resume_ns`: until the next durable fragment."""

    phase: Phase
    fate: Fate
    lost_ns: int | None = None
    resume_ns: int | None = None


class Round:
    """`say` takes one line for each end. `play` raises KillsError when the camera did not hold."""

    def __init__(self, folder: Path, film: Path, seed: str, say: Callable[[str], None]) -> None:
        self.ends: list[End] = []
        self.missed = 0
        self.pictures = 0
        self._agency: Agency = enrol(folder, film)
        self._camera = Camera(folder / "camera")
        self._scratch = folder
        self._random = random.Random(seed)
        self._say = say
        self._cut = False  # since the last start that went well
        self._death: Death | None = None

    def play(self) -> None:
        """The whole life."""
        camera = self._camera
        try:
            self._starts(Phase.START, 2)
            self._revive()
            self._dies_in_drain()
            self._starts(Phase.RECOVERY, 2)
            self._revive()
            self._dies_in_rotation(natural=self._random.random() < 0.15)
            self._starts(Phase.RECOVERY, 1)
            self._dies_in_journal_rotation()
            self._starts(Phase.RECOVERY, 1)
            self._revive()
            self._capture_dies()
            self._dies_alive()
            self._revive()
            self._dies_in_seal()
            self._starts(Phase.START, 1)
            self._revive()
            self._capture_dies_in_drain()
            camera.stop()
            _, self.pictures = checks.in_the_end(camera, self._agency, camera.told(), self._scratch)
        finally:
            camera.end()

    # Ends.

    def _starts(self, phase: Phase, count: int) -> None:
        """Starts that end before the camera is there. With nothing to recover it is a plain start."""
        for _ in range(count):
            card = self._card()
            here = phase if card is None or card.open is None else Phase.RECOVERY
            if phase is Phase.RECOVERY and (card is None or card.open is None) and not self._unknown_files(card):
                here = Phase.START
            trap = self._trap(here)
            self._camera.start(trap)
            self._await_end(here, trap, seconds=6.0)
            if self._camera.alive:  # fewer operations than the trap waited for: it is up
                self._camera.kill()
                self._note_death(cut=False)

    def _dies_in_drain(self) -> None:
        self._fill_ring()
        self._by_trap(Phase.DRAIN, lambda: self._camera.do("tap"))

    def _dies_in_rotation(self, natural: bool) -> None:
        """A new init is a new segment; so are 30 s."""
        self._recording()
        self._by_trap(Phase.SEGMENT, (lambda: None) if natural else self._camera.kill_capture, seconds=40.0)

    def _dies_in_journal_rotation(self) -> None:
        """The file of this run is full as soon as a few entries more are in it."""
        self._revive(nearly_full=self._random.randrange(2500, 6000))
        trap = self._trap(Phase.JOURNAL)
        self._camera.arm(trap)
        if self._camera.status().get("activity") == "ready":
            self._camera.do("tap")
        self._await_end(Phase.JOURNAL, trap, seconds=20.0)
        if self._camera.alive:
            self._camera.kill()
            self._note_death(cut=False)

    def _dies_alive(self) -> None:
        """At any moment of a recording that has caught up."""
        self._recording()
        time.sleep(self._random.uniform(0.2, 2.2))
        before = self._camera.told()
        fate = self._random.choice(AGENT_FATES)
        at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        if fate is Fate.KILL:
            self._camera.kill()
        else:
            self._camera.cut()
        assert before
        self._note_death(cut=fate is Fate.CUT, phase=Phase.LIVE, fate=fate, at_ns=at_ns)

    def _dies_in_seal(self) -> None:
        self._recording()
        time.sleep(1.0)
        self._by_trap(Phase.SEAL, lambda: self._camera.do("hold"))

    def _by_trap(self, phase: Phase, act: Callable[[], object], seconds: float = 15.0) -> None:
        trap = self._trap(phase)
        self._camera.arm(trap)
        act()
        self._await_end(phase, trap, seconds)
        if self._camera.alive:
            self._camera.kill()
            self._note_death(cut=False)

    def _capture_dies(self) -> None:
        """The agent lives on: a new capture process, a new segment, a gap."""
        self._recording()
        time.sleep(self._random.uniform(0.0, 1.0))
        at_ns = self._camera.kill_capture()
        self._goes_on(Phase.LIVE, at_ns)

    def _capture_dies_in_drain(self) -> None:
        self._fill_ring()
        place = PLACES[Phase.DRAIN]
        self._camera.arm(Trap(Fate.CAPTURE, place.inside, self._random.randint(1, place.most), 0))
        self._camera.do("tap")
        sprung = self._camera.wait_told("the trap", lambda line: "trap" in line and "capture" in str(line["trap"]))
        self._goes_on(Phase.DRAIN, int(str(sprung["boot_ns"])))

    def _goes_on(self, phase: Phase, at_ns: int) -> None:
        """The next fragment that a new capture process took becomes durable."""
        epochs = [each[2] for line in self._camera.told() if isinstance(each := line.get("captured"), list)]
        fresh = self._camera.wait_told(
            "a fragment of a new capture process",
            lambda line: _is_captured_after(line, at_ns) and line["captured"][2] > epochs[-1] - 1,  # type: ignore[index]
        )
        durable = self._camera.wait_told(
            "a durable fragment after it", lambda line: "durable" in line and _at(line) > _at(fresh)
        )
        self._add(End(phase, Fate.CAPTURE, resume_ns=self._in_time(_at(durable) - at_ns)))

    # What comes between.

    def _fill_ring(self) -> None:
        """Wait for some seconds of footage that no recording holds."""
        self._camera.wait_for("ready")
        ready_ns = self._newest_ns()
        self._camera.wait_told(
            "footage", lambda line: _captured_end(line) > ready_ns + RING_S * NS_PER_S, seconds=RING_S + 15
        )

    def _newest_ns(self) -> int:
        return max((_captured_end(line) for line in self._camera.told()), default=0)

    def _recording(self) -> None:
        """A recording runs and has caught up."""
        if self._camera.wait_for("ready", "recording")["activity"] == "ready":
            self._camera.do("tap")
        since_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        self._camera.wait_told(
            "a live durable fragment",
            lambda line: "durable" in line and _at(line) > since_ns and _at(line) - int(line["end_ns"]) < NS_PER_S,  # type: ignore[call-overload]
        )

    def _revive(self, nearly_full: int | None = None) -> None:
        """The next start, which must go well: the recording goes on in the same boot, and is interrupted in another."""
        card = self._card()
        opened = None if card is None else card.open
        told_before = len(self._camera.told())
        self._camera.start(nearly_full=nearly_full)
        if opened is not None and not self._cut:
            self._camera.wait_for("recording")
            durable = next(line for line in self._camera.told()[told_before:] if line.get("durable") == opened.rec)
            assert self._death is not None
            self._resumed(self._in_time(_at(durable) - self._death.at_ns))
        else:
            status = self._camera.wait_for("ready")
            found = read_card(self._camera.data)
            ended = None if opened is None else next(each for each in found.recordings if each.rec == opened.rec)
            if ended is not None and ended.stopped != "interrupted":
                raise KillsError(f"{ended.rec}: stopped as {ended.stopped}, not as interrupted")
            conditions = status.get("conditions")
            if ended is not None and isinstance(conditions, list) and "interrupted" not in conditions:
                raise KillsError("the camera does not say that its recording was interrupted")
        self._cut = False
        self._death = None

    def _resumed(self, resume_ns: int) -> None:
        last = self.ends[-1]
        self.ends[-1] = End(last.phase, last.fate, last.lost_ns, resume_ns)

    def _in_time(self, resume_ns: int) -> int:
        if resume_ns > MAX_RESUME_NS:
            raise KillsError(f"{resume_ns / NS_PER_S:.2f} s until the next durable fragment")
        return resume_ns

    def _trap(self, phase: Phase) -> Trap:
        place = PLACES[phase]
        fate = self._random.choice(AGENT_FATES)
        number = self._random.randint(1, place.most)
        return Trap(fate, place.inside, number, self._random.randrange(1 << 32), place.after)

    def _await_end(self, phase: Phase, trap: Trap, seconds: float) -> None:
        if not self._camera.died(seconds):
            self.missed += 1
            self._say(f"{phase}: no {trap}")
            return
        sprung = [line for line in self._camera.told() if line.get("trap") == str(trap)]
        if not sprung:
            raise KillsError(f"the agent ended by itself in {phase}")
        self._note_death(trap.fate is Fate.CUT, phase, trap.fate, _at(sprung[-1]), trap)

    def _note_death(
        self,
        cut: bool,
        phase: Phase | None = None,
        fate: Fate = Fate.KILL,
        at_ns: int | None = None,
        trap: Trap | None = None,
    ) -> None:
        self._cut = self._cut or cut
        at_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) if at_ns is None else at_ns
        self._death = Death(at_ns, self._camera.told(), cut)
        if not (self._camera.data / "journal").is_dir() or not any((self._camera.data / "journal").glob("*.log")):
            loss = None
        else:
            _, loss = checks.after_death(self._camera, self._agency, self._death)
        if phase is None:
            return
        if phase is Phase.DRAIN and loss is not None and not loss.in_drain:
            phase = Phase.LIVE
        lost_ns = None if loss is None else loss.lost_ns
        self._add(End(phase, fate, lost_ns), trap)

    def _add(self, end: End, trap: Trap | None = None) -> None:
        self.ends.append(end)
        what = str(trap) if trap else f"{end.fate} at any moment"
        lost = "" if end.lost_ns is None else f", {end.lost_ns / NS_PER_S:.2f} s lost"
        self._say(f"{end.phase}: {what}{lost}")

    def _card(self) -> Card | None:
        if not any((self._camera.data / "journal").glob("*.log")):
            return None
        return read_card(self._camera.data)

    def _unknown_files(self, card: Card | None) -> bool:
        """Whether a start has files to name."""
        if card is None:
            return False
        known = {(str(body["rec"]), body["seg"]) for body in card.of("segment.open")}
        files = (self._camera.data / "segments").glob("*/*.mp4.age")
        return any((file.parent.name, int(file.name[:4])) not in known for file in files)


def _at(line: object) -> int:
    assert isinstance(line, dict)
    return int(line["boot_ns"])


def _captured_end(line: object) -> int:
    assert isinstance(line, dict)
    found = line.get("captured")
    return int(found[1]) if isinstance(found, list) else 0


def _is_captured_after(line: object, at_ns: int) -> bool:
    assert isinstance(line, dict)
    found = line.get("captured")
    return isinstance(found, list) and int(found[0]) > at_ns
