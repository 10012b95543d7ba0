"""The agent of one camera, put together: ports, rules and threads, and how they are taken apart again.

Start order: panel, capture, journal, policy, recovery, ring; ready is when all of them are there and capture's init was
received. The capture process takes as long to start as everything else, so it is the first; until there is a ring, what
it sends waits in its socket. Three loops: intake and writer in threads of their own (agent/loops.py), the main loop
here. Knows the board by its ports only, simulated or not (agent/__main__.py chooses).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from typing import TYPE_CHECKING

from cryptography import x509

from agent import VERSION, keys, local_socket
from agent.adapters.memory import locked_arena
from agent.adapters.signer import FileSigner
from agent.adapters.status import write_status
from agent.button import Button
from agent.clock import TimeKeeper
from agent.conditions import Rules
from agent.config import MIB_BYTES, RING_RESERVE_MS, Board, CameraConfig, Network
from agent.credentials import choose_policy, load_credentials, policy_refused
from agent.dockside import Dockside
from agent.errors import CaptureError, DiskError, FormatError, StoreError
from agent.formats.age import parse_recipients
from agent.formats.canonical import Value
from agent.formats.statement import Policy
from agent.intake import InitSeen, Intake, IntakeReport
from agent.loops import start_loops
from agent.model import NS_PER_MS, NS_PER_S, Activity, BatteryChanged, BoardEvent
from agent.order_box import FOR_CONTROL
from agent.orders import DockingNews, Kept, Note, Order, Report
from agent.outside import Outside
from agent.placing import Placing
from agent.ports import Disk, MakeDevices, Supervision
from agent.recorder import Recorder
from agent.recording import Parts, Settings
from agent.ring import Ring
from agent.status import Status, as_object
from agent.store.check import RecoveryReport, recover
from agent.store.custody import Custody, Survey, worn_at_start
from agent.store.journal import Journal
from agent.store.last import LastFile, read_last
from agent.store.relay import forget_before
from agent.store.segments import SealBuffer
from agent.store.space import reserve_bytes
from agent.supervisor import FOR_REPORTS, TICK_NS, Supervisor
from agent.threads import Loop
from agent.upkeep import Lasting, Upkeep

if TYPE_CHECKING:
    from agent.docking import Neighbours

CAPTURE_SOCKET = "capture.sock"
STATUS_EVERY_NS = NS_PER_S // 2
IMAGE_DATE_MS = 1_767_225_600_000  # 2026-01-01: no journal of this software is older
FOR_DOCKING = 2 * FOR_CONTROL  # slots that a docking leaves to everything else


class Agent:
    """One run of the agent on a data folder that it has locked. `open` may raise; `close` undoes what was done.

    `source`: what films, as the journal calls it.
    """

    def __init__(
        self,
        config: CameraConfig,
        board: Board,
        disk: Disk,
        make_devices: MakeDevices,
        source: str,
        supervision: Supervision,
    ) -> None:
        self._config = config
        self._board = board
        self._disk = disk
        self._source = source
        self._supervision = supervision
        self._terminated = False
        self._filming = False
        self._supervisor: Supervisor | None = None
        self._loops: tuple[Loop, ...] = ()
        self._listener: socket.socket | None = None
        self._intake: Intake | None = None
        self._ring: Ring | None = None
        self._journal: Journal | None = None
        self._locked = False
        self._survey = Loop("survey", lambda: False, lambda: None)
        self._dockside: Dockside | None = None
        self._devices = make_devices(self._post)

    def open(self) -> None:
        """Everything up to running loops. Of what capture has filmed, nothing is read before all this has held."""
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, self._terminate)
        listener = self._begin_to_film()
        disk = self._disk
        found = read_last(disk)
        last_utc_ms = None if found is None else found.state.last_utc_ms
        keeper = TimeKeeper(self._devices.clock, max(IMAGE_DATE_MS, last_utc_ms or 0))
        root, signer = load_credentials(self._config, self._board, keeper.stamp())
        chosen = choose_policy(self._config, self._board, root, disk, found, keeper.stamp())
        policy = chosen.policy
        journal = self._open_journal(disk, signer, keeper, found, policy)
        if chosen.refused is not None:
            journal.append("alert", policy_refused(chosen.refused))
        custody = Custody()
        with contextlib.suppress(FormatError, StoreError, DiskError):  # the survey meets it again, and tells
            custody.handed_out(worn_at_start(disk, journal.state))
        journal.watch(custody.take)
        recovery = recover(journal, disk)
        with contextlib.suppress(DiskError):  # the next start tries again
            forget_before(disk, policy.version)
        ring = self._make_ring(policy)
        intake = Intake(listener, ring, self._heard, self._devices.clock.boot_ns)
        self._intake = intake
        outside = Outside(
            want_sound=intake.sound,
            time_source=lambda: keeper.stamp().source,
            worn=lambda: custody.wearer(keeper.stamp()) is not None,
            contact=lambda on: self._devices.radio.on() if on else self._devices.radio.off(),
            network=self._network,
            wipe=ring.wipe,
        )
        upkeep = self._make_upkeep(policy, intake, keeper, signer, custody)
        supervisor = self._make_supervisor(policy, outside, upkeep, journal, recovery)
        self._supervisor = supervisor
        recorder = self._make_recorder(policy, keeper, journal, ring, custody)
        if recovery.resume is not None:
            recorder.resume(recovery.resume)
        self._loops = start_loops(intake, recorder, supervisor)
        if self._config.network is not None:
            self._dockside = self._make_dockside(self._config.network, root, policy, keeper, journal, custody)
        survey = Survey(disk, custody, journal.state.low, journal.run_begins)
        self._survey = Loop("survey", lambda: self._look_back(survey), lambda: None)
        self._devices.open()
        supervisor.news.post(BatteryChanged(self._devices.power.battery()))
        supervisor.start(self._devices.clock.boot_ns())

    def serve(self) -> None:
        """The main loop, until the camera is switched off or the process told to end. Only it says `alive`."""
        supervisor = self._supervisor
        assert supervisor is not None
        self._supervision.ready()
        if not self._locked:
            supervisor.orders.post(
                Note("alert", {"cause": "ring_not_locked", "values": {}, "remedy": "raise_memlock_limit"})
            )
        status_ns = 0
        surveying = False
        while not supervisor.ended:
            supervisor.news.wait(TICK_NS / NS_PER_S)
            for loop in self._loops:
                loop.check()
            self._devices.check()
            self._check_film()
            now_ns = self._devices.clock.boot_ns()
            if self._terminated:
                self._terminated = False
                supervisor.terminate(now_ns)
            supervisor.step(now_ns)
            if not surveying and supervisor.status().activity is not Activity.BOOTING:
                surveying = True
                self._survey.start()
            if now_ns >= status_ns or supervisor.ended:
                status_ns = now_ns + STATUS_EVERY_NS
                self._say(supervisor.status(), now_ns)

    def _say(self, status: Status, now_ns: int) -> None:
        write_status(self._config.run, as_object(status, now_ns))
        self._supervision.status(", ".join([status.activity, *sorted(status.conditions)]))
        self._supervision.alive()

    def _check_film(self) -> None:
        """A film that the simulated board cannot play is a mistake of who configured it, not a camera that fails."""
        if self._filming or not self._board.simulated or self._devices.camera.alive():
            return
        said = self._devices.camera.last_words()
        if said:
            raise CaptureError("", said.removeprefix("capture: "))

    def close(self) -> None:
        """End the loops in order: what was ordered is durable, nothing captured stays in memory."""
        self._supervision.stopping()
        if self._dockside is not None:
            self._dockside.close()
        if self._survey.is_alive():
            self._survey.end()
            self._survey.join()
        for loop in reversed(self._loops):
            loop.end()
            if self._supervisor is not None:
                self._supervisor.orders.nudge()
            loop.join()
        self._devices.camera.kill()
        if self._intake is not None:
            self._intake.close()
        if self._listener is not None:
            self._listener.close()
        if self._ring is not None:
            self._ring.wipe()
        if self._journal is not None:
            self._journal.close()
        if self._supervisor is not None and self._supervisor.powers_off:
            self._devices.power_off()
        self._devices.close()

    def _begin_to_film(self) -> socket.socket:
        """Start capture, and listen for it.

        It takes its time to start, and the journal takes its time to be read; neither needs the other before the first
        fragment is there. One that has more to send than its socket holds waits, as for a slow agent.
        """
        self._listener = local_socket.listen(self._config.run / CAPTURE_SOCKET, 0o660)
        with contextlib.suppress(CaptureError):  # the supervisor starts it again, and says what came of it
            self._devices.camera.start()
        return self._listener

    def _open_journal(
        self, disk: Disk, signer: FileSigner, keeper: TimeKeeper, found: LastFile | None, policy: Policy
    ) -> Journal:
        journal = Journal.start(
            disk,
            found,
            signer,
            keeper.stamp,
            os.urandom,
            dev=self._config.dev,
            software=f"temoin.{VERSION}",
            model=self._board.model,
            source=self._source,
        )
        self._journal = journal
        if journal.state.policy != (policy.hash_hex, policy.version):
            journal.append("policy", {"hash": policy.hash_hex, "version": policy.version})
        return journal

    def _make_ring(self, policy: Policy) -> Ring:
        arena, self._locked = locked_arena(self._board.ring_bytes(policy.prerecord_ms))
        self._ring = Ring(memoryview(arena), (policy.prerecord_ms + RING_RESERVE_MS) * NS_PER_MS)
        return self._ring

    def _make_supervisor(
        self, policy: Policy, outside: Outside, upkeep: Upkeep, journal: Journal, recovery: RecoveryReport
    ) -> Supervisor:
        devices = self._devices
        resume = recovery.resume
        return Supervisor(
            Rules(policy.sound, policy.prerecord_sound, self._board.battery),
            devices.panel,
            devices.camera,
            outside,
            upkeep,
            Button(devices.pressed, devices.clock.boot_ns()),
            interrupted=journal.state.interrupted is not None,
            resuming=None if resume is None else (resume.rec, resume.press_ns),
        )

    def _make_recorder(
        self, policy: Policy, keeper: TimeKeeper, journal: Journal, ring: Ring, custody: Custody
    ) -> Recorder:
        recipients = parse_recipients(policy.recipients)
        settings = Settings(recipients, policy.hash_hex, policy.prerecord_ms, self._source)
        parts = Parts(
            journal, self._disk, ring, SealBuffer(), os.urandom, settings, lambda: custody.wearer(keeper.stamp())
        )
        return Recorder(parts, custody, self._reserve_bytes(policy), self._post)

    def _reserve_bytes(self, policy: Policy) -> int:
        needed = reserve_bytes(policy.prerecord_ms, self._board.video.max_bit_rate_bps)
        return max(needed, self._board.storage.reserve_mib * MIB_BYTES)

    def _make_upkeep(
        self, policy: Policy, intake: Intake, keeper: TimeKeeper, signer: FileSigner, custody: Custody
    ) -> Upkeep:
        lasting = Lasting(
            sound_wanted=policy.sound,
            reserve_bytes=self._reserve_bytes(policy),
            bit_rate_bps=self._board.video.bit_rate_bps,
            certificate_until_ms=keys.valid_until_ms([x509.load_der_x509_certificate(each) for each in signer.chain]),
            policy_version=policy.version,
            policy_from_ms=policy.not_before_ms,
            levels=self._board.battery,
        )
        recipients = parse_recipients(policy.recipients)
        placing = Placing(recipients, os.urandom, lambda: custody.sector(keeper.stamp()))
        return Upkeep(lasting, placing, keeper.stamp, intake.rate)

    def _make_dockside(
        self,
        network: Network,
        root: x509.Certificate,
        policy: Policy,
        keeper: TimeKeeper,
        journal: Journal,
        custody: Custody,
    ) -> Dockside:
        supervisor = self._supervisor
        assert supervisor is not None

        def order(item: Order) -> bool:
            """Leaving slots to all that the officer wants; a docking asks again."""
            return supervisor.orders.has_room(FOR_DOCKING) and supervisor.orders.post(item, leaving=FOR_DOCKING)

        def tell(news: DockingNews) -> None:
            supervisor.news.post(news, leaving=FOR_REPORTS)

        def needed() -> Neighbours:
            from agent.docking import Neighbours

            return Neighbours(
                self._config, network, root, policy, self._disk, journal, custody, keeper, os.urandom, order, tell
            )

        return Dockside(needed, self._devices.clock.boot_ns, self._alert)

    def _network(self, on: bool) -> None:
        if self._dockside is not None:
            self._dockside.contact(on)

    def _look_back(self, survey: Survey) -> bool:
        """A turn of the survey of older entries. Without it nothing is purged; everything else goes on."""
        try:
            return survey.step() and not self._survey.ending
        except (FormatError, StoreError, DiskError) as error:
            values: dict[str, Value] = {"file": error.where[:200], "problem": error.problem[:200]}
            self._alert("journal_unreadable", values, "hand_in")
            return False

    def _alert(self, cause: str, values: dict[str, Value], remedy: str) -> None:
        """An `alert` from a thread that is not the main loop's."""
        assert self._supervisor is not None
        self._supervisor.orders.post(Note("alert", {"cause": cause, "values": values, "remedy": remedy}))

    def _heard(self, report: IntakeReport) -> None:
        """From the intake loop: for the main loop, and the writer has something to do."""
        self._filming = self._filming or isinstance(report, InitSeen)
        if self._supervisor is not None:
            self._supervisor.news.post(report, leaving=FOR_REPORTS)
            self._supervisor.orders.nudge()

    def _post(self, news: Report | BoardEvent) -> None:
        """From the writer and the board."""
        if isinstance(news, Kept):
            if self._dockside is not None:
                self._dockside.kept(news)
        elif self._supervisor is not None:
            self._supervisor.news.post(news)

    def _terminate(self, number: int, frame: object) -> None:
        self._terminated = True  # a handler runs between any two lines: nothing that takes a lock
