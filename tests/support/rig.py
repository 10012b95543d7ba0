"""The whole camera on one thread and a clock that is set: real ring, intake, recorder, supervisor, journal and disk.

Time passes in ticks of TICK_MS; in each, intake, writer and main step in this order. A step that costs time keeps its
loop busy until then, its reports come at the end of that time, and the others step on. What is scripted: the capture
process (a string, see `Rig.film`), the finger, and what an operation of the card costs or does. Nothing sleeps.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from agent import local_socket
from agent.button import Button
from agent.clock import TimeKeeper
from agent.conditions import Rules
from agent.config import BatteryLevels
from agent.errors import CaptureError
from agent.evidence import verdict
from agent.evidence.verify import verify
from agent.formats import pipe
from agent.formats.age import parse_recipients
from agent.formats.canonical import Object
from agent.formats.entries import Entry, parse_line
from agent.formats.fields import ns_of
from agent.formats.statement import Policy
from agent.intake import Intake, IntakeReport
from agent.model import (
    DARK,
    NS_PER_MS,
    NS_PER_S,
    Activity,
    BatteryChanged,
    ButtonEdge,
    Cue,
    Light,
    RadioChanged,
    RadioState,
)
from agent.orders import Durable, Order, Report
from agent.outside import Outside
from agent.placing import Placing
from agent.recorder import Recorder
from agent.recording import Parts, Settings
from agent.ring import Ring
from agent.states import RED, Moment, cue
from agent.store.check import recover
from agent.store.custody import Custody, Survey, worn_at_start
from agent.store.journal import Journal
from agent.store.last import read_last
from agent.store.segments import SealBuffer
from agent.supervisor import FOR_REPORTS, Supervisor
from agent.upkeep import Lasting, Upkeep
from hw.sim.disk import SimDisk
from tests.support import mp4
from tests.support.agency import NOW_MS, TestAgency, seeded_random
from tests.support.capture import footage_parts
from tests.support.fake_clock import UTC_MS, FakeClock
from tests.support.footage import make_footage

TICK_MS = 50
PRERECORD_MS = 10_000
KEEP_MS = PRERECORD_MS + 15_000
ARENA_BYTES = 40 * 65_536
RESERVE_BYTES = 64 * 1024 * 1024
BIG_BYTES = 1_900_000
BUFFER = SealBuffer()
LEVELS = BatteryLevels(warn_percent=(20, 10, 5), cut_off_percent=3)
FRAME_NS = NS_PER_S // 25


class KilledError(BaseException):
    """The process was killed before an operation of the card. Not an Exception: nobody may handle it."""


@cache
def film() -> tuple[bytes, tuple[bytes, ...]]:
    """Init and fragments of a real film with sound, 25 pictures each. Made once."""
    with TemporaryDirectory() as folder:
        made = make_footage(Path(folder) / "film.mp4", frames=100, beeps=True)
        init, fragments = footage_parts(made, 4)
    assert all(each.header.frames == 25 for each in fragments)
    return init.data, tuple(each.data for each in fragments)


@cache
def big_film() -> tuple[bytes, bytes]:
    """Init and a fragment of BIG_BYTES with one picture."""
    return mp4.make_init(sound=False), mp4.make_fragment_of(BIG_BYTES)


class ScriptedCapture:
    """A Camera whose process does what the test scripts. `told` says what the agent did to it."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.cannot_start = False
        self._alive = False

    def start(self) -> None:
        self.told.append("start")
        if self.cannot_start:
            raise CaptureError("capture", "cannot be started", "look")
        self._alive = True

    def alive(self) -> bool:
        return self._alive

    def kill(self) -> None:
        self.told.append("kill")
        self._alive = False

    def die(self) -> None:
        """By itself."""
        self._alive = False

    def power_cycle(self) -> None:
        self.told.append("power_cycle")

    def reboot(self) -> None:
        self.told.append("reboot")

    def last_words(self) -> str:
        return "its last words"


class SeenPanel:
    """A Panel that remembers what was shown when. `before` is called with each light before it is."""

    def __init__(self, clock: FakeClock, before: Callable[[Light], None]) -> None:
        self.lights: list[tuple[int, Light]] = []
        self.cues: list[tuple[int, Cue]] = []
        self._clock = clock
        self._before = before
        self._dark_at_ns: int | None = None

    def show(self, light: Light, dark_after_ns: int | None) -> None:
        self._before(light)
        if self.light != light:
            self.lights.append((self._clock.now_ns, light))
        self._dark_at_ns = None if dark_after_ns is None else self._clock.now_ns + dark_after_ns

    def play(self, cue: Cue) -> None:
        self.cues.append((self._clock.now_ns, cue))

    @property
    def light(self) -> Light:
        """What somebody sees now."""
        dark = not self.lights or (self._dark_at_ns is not None and self._clock.now_ns >= self._dark_at_ns)
        return DARK if dark else self.lights[-1][1]


class Rig:
    """One camera with its card in `folder`. `boot` starts the agent, as often as wanted.

    `observe(operation, path)` is called before each operation of the card and returns what it costs in ms.
    """

    def __init__(self, folder: Path, agency: TestAgency, dev: str = "cam-01") -> None:
        self.clock = FakeClock(now_ns=1_000 * NS_PER_S, rtc_ms=NOW_MS)
        self.agency = agency
        self.root = folder / "data"
        self.root.mkdir(parents=True)
        self.observe: Callable[[str, str], int] = lambda operation, path: 0
        self._spent_ms = 0
        self.told: list[Durable] = []
        self.reports: list[Report] = []
        self.news: list[IntakeReport] = []
        self.disk = self._new_disk()
        self._socket = folder / "capture.sock"
        self._signer = agency.signer(dev)
        self._dev = dev
        self._random = seeded_random("rig")
        self._boots = 0
        self._capture: socket.socket | None = None
        self._due_ns = 0
        self._sent = 0
        self.surveys = True
        """Whether what comes next finds the survey of older entries done; else it has not begun."""
        self.boot()

    # The agent.

    def boot(self, prerecord_ms: int = PRERECORD_MS, arena_bytes: int = ARENA_BYTES) -> None:
        """Start the agent on the card, as agent/__main__.py does."""
        self._waiting: list[Report] = []
        self._writer_free_ns = 0
        self.disk.say_free(RESERVE_BYTES * 4)
        self.keeper = keeper = TimeKeeper(self.clock, 0)
        found = read_last(self.disk)
        self.journal = Journal.start(
            self.disk,
            found,
            self._signer,
            keeper.stamp,
            self._random,
            dev=self._dev,
            software="1.0",
            model="sim",
            source="test",
        )
        policy = self.agency.policy
        if self.journal.state.policy is None:
            self.journal.append("policy", {"hash": policy.hash_hex, "version": policy.version})
        self.custody = Custody()
        self.custody.handed_out(worn_at_start(self.disk, self.journal.state))
        self.journal.watch(self.custody.take)
        self._survey = Survey(self.disk, self.custody, self.journal.state.low, self.journal.run_begins)
        recovery = recover(self.journal, self.disk)
        self.arena = bytearray(arena_bytes)
        self.ring = Ring(memoryview(self.arena), (prerecord_ms + 15_000) * NS_PER_MS)
        self.intake = Intake(local_socket.listen(self._socket), self.ring, self._hear, self.clock.boot_ns)
        self.panel = SeenPanel(self.clock, self._check_light)
        self.camera = ScriptedCapture()
        settings = Settings(parse_recipients(policy.recipients), policy.hash_hex, prerecord_ms, "test")
        custody, ring = self.custody, self.ring
        parts = Parts(
            self.journal, self.disk, ring, BUFFER, self._random, settings, lambda: custody.wearer(keeper.stamp())
        )
        self.recorder = Recorder(parts, custody, RESERVE_BYTES, self._told)
        resume = recovery.resume
        self.supervisor = Supervisor(
            Rules(sound=True, prerecord_sound=False, battery=LEVELS),
            self.panel,
            self.camera,
            Outside(
                want_sound=self.intake.sound,
                time_source=lambda: keeper.stamp().source,
                worn=lambda: custody.wearer(keeper.stamp()) is not None,
                contact=self._radio,
                network=self._touched,
                wipe=ring.wipe,
            ),
            self._upkeep(policy),
            Button(pressed=False, at_ns=self.clock.now_ns),
            interrupted=self.journal.state.interrupted is not None,
            resuming=None if resume is None else (resume.rec, resume.press_ns),
        )
        if resume is not None:
            self.recorder.resume(resume)
        self.supervisor.start(self.clock.now_ns)
        worn = custody.wearer(keeper.stamp())
        while self.surveys and self._survey.step():
            pass
        assert custody.wearer(keeper.stamp()) == worn, "the survey finds another wearer than the start did"
        self.settle()

    def _upkeep(self, policy: Policy) -> Upkeep:
        keeper, custody = self.keeper, self.custody
        lasting = Lasting(
            sound_wanted=True,
            reserve_bytes=RESERVE_BYTES,
            bit_rate_bps=4_000_000,
            certificate_until_ms=UTC_MS + 365 * 86_400_000,
            policy_version=policy.version,
            policy_from_ms=policy.not_before_ms,
            levels=LEVELS,
        )
        recipients = parse_recipients(policy.recipients)
        placing = Placing(recipients, self._random, lambda: custody.sector(keeper.stamp()))
        return Upkeep(lasting, placing, keeper.stamp, self.intake.rate)

    def settle(self) -> None:
        """All that follows at once from what was just posted or sent."""
        for _ in range(3):
            self.turn()

    def turn(self) -> None:
        """Every loop that is not busy steps once, now."""
        self.intake.step()
        while self.clock.now_ns >= self._writer_free_ns:
            self._deliver()
            orders: list[Order] = self.supervisor.orders.take()
            self._spent_ms = 0
            more = self.recorder.step(orders)
            self._writer_free_ns = self.clock.now_ns + self._spent_ms * NS_PER_MS
            if not (more or orders):
                break
        if self.clock.now_ns >= self._writer_free_ns:
            self._deliver()
        self.supervisor.step(self.clock.now_ns)

    def run(self, ms: int) -> None:
        """Time passes. Capture sends nothing meanwhile."""
        until_ns = self.clock.now_ns + ms * NS_PER_MS
        while self.clock.now_ns < until_ns:
            self.clock.now_ns = min(self.clock.now_ns + TICK_MS * NS_PER_MS, until_ns)
            self.turn()

    def kill(self) -> None:
        """The agent's process is gone, its memory and sockets too; capture ends, and the kernel keeps its files."""
        self.hang_up()
        self.intake.close()

    def close(self) -> None:
        """The test is over."""
        self.kill()
        self.disk.power_cut()

    def restart(self) -> None:
        """After a kill, in the same boot."""
        self.kill()
        self.boot()

    def power_cut(self, choose: Callable[[int], int] = lambda n: 0) -> None:
        """All that was not durable is gone, by `choose`; then the board starts again."""
        self.kill()
        self.disk.power_cut(choose)
        self.disk = self._new_disk()
        self._boots += 1
        self.clock.boot = f"{self._boots:08x}-0000-4000-8000-000000000000"
        self.boot()

    # The capture process.

    def film(self, script: str) -> None:
        """What capture does, a letter each: `I` connects and sends its init; `P` the second passes and its fragment
        comes; `-` it passes and nothing comes; `X` it ends. `J` and `B` are `I` and `P` of the big film."""
        for letter in script:
            match letter:
                case "I" | "J":
                    self.connect()
                    self.send_init(film()[0] if letter == "I" else big_film()[0])
                case "P" | "-" | "B":
                    self._second(letter)
                case "X":
                    self.camera.die()
                    self.hang_up()
                    self.settle()
                case _:
                    raise AssertionError(letter)

    def connect(self) -> None:
        """A new capture process connects."""
        self.hang_up()
        self._capture = local_socket.connect(self._socket, None)
        self._capture.setblocking(False)
        self._due_ns = self.clock.now_ns + NS_PER_S

    def hang_up(self) -> None:
        if self._capture is not None:
            self._capture.close()
            self._capture = None

    def send_init(self, init: bytes) -> None:
        self.push(pipe.pack_init(len(init)) + init)

    def send_fragment(self, data: bytes, t0_ns: int, frames: int = 25, dur_ns: int = NS_PER_S) -> None:
        self.push(pipe.pack_fragment(pipe.FragmentHeader(len(data), t0_ns, dur_ns, frames, True)) + data)

    def push(self, data: bytes) -> None:
        """Send the bytes and let all loops step. The agent may hang up in between."""
        assert self._capture is not None
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._capture.send(rest) :]
            except BlockingIOError:
                self.intake.step()
            except (BrokenPipeError, ConnectionResetError):
                break
        self.settle()

    def _second(self, letter: str) -> None:
        self.run(max(0, self._due_ns - self.clock.now_ns) // NS_PER_MS)
        t0_ns = self._due_ns - NS_PER_S
        self._due_ns += NS_PER_S
        if letter == "P":
            fragments = film()[1]
            self.send_fragment(fragments[self._sent % len(fragments)], t0_ns)
            self._sent += 1
        elif letter == "B":
            self.send_fragment(big_film()[1], t0_ns, frames=1)

    # The officer, and the board.

    def press(self) -> int:
        """The button goes down; when that was."""
        self.supervisor.news.post(ButtonEdge(True, self.clock.now_ns))
        self.settle()
        return self.clock.now_ns

    def release(self) -> None:
        self.supervisor.news.post(ButtonEdge(False, self.clock.now_ns))
        self.settle()

    def tap(self) -> int:
        """Down, and up after 100 ms; when it went down."""
        at_ns = self.press()
        self.run(100)
        self.release()
        return at_ns

    def battery(self, event: BatteryChanged) -> None:
        self.supervisor.news.post(event)
        self.settle()

    # What came of it.

    def activity(self) -> Activity:
        return self.supervisor.status().activity

    def felt(self, moment: Moment) -> list[int]:
        """When the officer was told this."""
        return [at_ns for at_ns, played in self.panel.cues if played == cue(moment)]

    def entries(self, *kinds: str) -> list[Entry]:
        """What the journal on the card holds of these kinds, lines repeated over a file border once."""
        return [entry for entry in _entries(self.root) if not kinds or entry.head.kind in kinds]

    def bodies(self, kind: str) -> list[Object]:
        return [entry.body for entry in self.entries(kind) if entry.body is not None]

    def causes(self, kind: str = "alert") -> list[str]:
        return [str(body["cause"]) for body in self.bodies(kind)]

    def durable_end_ns(self) -> int:
        """End of the newest fragment whose entry and bytes a power cut could not take; 0 if there is none."""
        found = 0
        for entry in _entries(self.root, self._durable_bytes):
            body = entry.body
            if entry.head.kind == "fragment" and body is not None:
                found = ns_of(body, "t0_ns") + ns_of(body, "dur_ns")
        return found

    def verify(self) -> verdict.Report:
        return verify(self.root, self.agency.root_pem, now_ms=(self.clock.rtc() or (NOW_MS, 0))[0])

    def check(self, *, more: frozenset[str] = frozenset()) -> None:
        """The verifier has nothing to say but that the board is simulated and no token brackets the time (and `more`);
        and everything that was told to be durable is there."""
        report = self.verify()
        codes = {reason.code for reason in report.reasons}
        assert codes <= {"simulated", "bracket"} | more, report.lines()
        assert report.verdict <= verdict.Verdict.SIMULATED
        kept = {(str(body["rec"]), ns_of(body, "t0_ns") + ns_of(body, "dur_ns")) for body in self.bodies("fragment")}
        assert kept >= {(told.rec, told.end_ns) for told in self.told}, "what was told to be durable is missing"

    # The wires.

    def _new_disk(self) -> SimDisk:
        disk = SimDisk(self.root, self._observe, flush=lambda descriptor: None)
        disk.lock()
        return disk

    def _observe(self, operation: str, path: str) -> None:
        self._spent_ms += self.observe(operation, path)

    def _hear(self, report: IntakeReport) -> None:
        self.news.append(report)
        self.supervisor.news.post(report, leaving=FOR_REPORTS)

    def _radio(self, on: bool) -> None:
        """That of a dock with a wire."""
        self.supervisor.news.post(RadioChanged(RadioState.ASSOCIATED if on else RadioState.OFF))

    def _touched(self, on: bool) -> None:
        """No dock: tests/support/dock_rig.py has one."""

    def _told(self, report: Report) -> None:
        self._waiting.append(report)
        self.reports.append(report)
        if isinstance(report, Durable):
            self.told.append(report)

    def _deliver(self) -> None:
        waiting, self._waiting = self._waiting, []
        for report in waiting:
            self.supervisor.news.post(report)

    def _check_light(self, light: Light) -> None:
        if light == RED:
            shown_ns = self.supervisor.status().durable_end_ns
            assert shown_ns is not None, "red before anything was told"
            assert shown_ns <= self.durable_end_ns(), "red before its fragment is durable"

    def _durable_bytes(self, path: str) -> int:
        content = self.disk._contents.get(path)
        return (self.root / path).stat().st_size if content is None else content.durable_bytes


def _entries(root: Path, length_of: Callable[[str], int] | None = None) -> list[Entry]:
    found: dict[int, Entry] = {}
    for path in sorted((root / "journal").glob("*.log")):
        data = path.read_bytes()
        if length_of is not None:
            data = data[: length_of(f"journal/{path.name}")]
        for line in data.split(b"\n")[:-1]:
            entry = parse_line(line + b"\n")
            found.setdefault(entry.head.seq, entry)
    return [found[seq] for seq in sorted(found)]
