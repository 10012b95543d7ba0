"""`temoin run`: the agent's process. Puts ports, rules and threads together, and takes them apart again.

Start order: panel, journal, recovery, capture; ready is when capture has delivered. Three loops: intake and writer in
threads of their own, the main loop here. What cannot be used at the start is shown on the panel, said in one line, and
ends the process with a code that is not 0: nothing is recorded under a configuration that is not whole.
"""

from __future__ import annotations

import os
import secrets
import signal
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import VERSION, keys, local_socket
from agent.adapters.memory import locked_arena
from agent.adapters.signer import FileSigner
from agent.adapters.status import write_status
from agent.button import Button
from agent.clock import TimeKeeper
from agent.config import RING_RESERVE_MS, Board, CameraConfig, check_footage, check_memory, load_board, load_camera
from agent.errors import ConfigError, TemoinError
from agent.formats.age import parse_recipients
from agent.formats.canonical import MAX_LONG_LINE_BYTES
from agent.formats.fields import format_utc
from agent.formats.statement import Policy
from agent.intake import Captured, Intake, IntakeReport
from agent.model import NS_PER_MS, NS_PER_S, Activity, BoardEvent, Unavailable
from agent.orders import Note, Report
from agent.recorder import Recorder
from agent.recording import Parts, Settings
from agent.ring import Ring
from agent.states import DARK_AFTER_NS, Moment, cue, panel
from agent.status import as_object
from agent.store.check import RecoveryReport, recover
from agent.store.journal import Journal
from agent.store.last import LastFile, read_last
from agent.store.segments import SealBuffer
from agent.store.space import reserve_bytes
from agent.supervisor import TICK_NS, Rules, Supervisor
from agent.terminal import printable, run
from agent.threads import Loop
from hw.boards import board_file
from hw.sim.board import Misfortunes, SimBoard
from hw.sim.camera import capture_command
from hw.sim.disk import SimDisk
from hw.sim.stall import CardStall

CAPTURE_SOCKET = "capture.sock"
WAIT_S = 0.25
STATUS_EVERY_NS = NS_PER_S // 2
IMAGE_DATE_MS = 1_767_225_600_000  # 2026-01-01: no journal of this software is older
POWER_CUT_EXIT = 137


def run_camera(path: Path) -> int:
    """Run the agent until it is told to end. Raises TemoinError for what cannot be used at the start."""
    config = load_camera(path)
    board = load_board(config.board_file(board_file))
    check_footage(config, board)
    if not board.simulated:
        raise ConfigError(f"{config.file}: board", f"{board.name} has no drivers in this version", "use the board sim")
    assert config.footage is not None
    agent = Agent(config, board, config.footage)
    try:
        agent.open()
        agent.serve()
    except TemoinError as error:
        agent.refuse(error)
        raise
    finally:
        agent.close()
    return 0


class Agent:
    """One run of the agent. `open` may raise; `close` undoes whatever of it was done."""

    def __init__(self, config: CameraConfig, board: Board, footage: Path) -> None:
        self._config = config
        self._board = board
        self._terminated = False
        self._supervisor: Supervisor | None = None
        self._loops: list[Loop] = []
        self._intake: Intake | None = None
        self._ring: Ring | None = None
        self._journal: Journal | None = None
        self._disk: SimDisk | None = None
        self._locked = False
        self._source = printable(f"board {board.name}: footage {footage.name}")[:200]
        self._stall = CardStall()
        command = capture_command(config.run / CAPTURE_SOCKET, board.file, footage)
        rtc_err_ms = board.clock.rtc_error_ms if board.clock.rtc else None
        misfortunes = Misfortunes(self._stall.begin, self._power_cut)
        self._devices = SimBoard(config.run, command, rtc_err_ms, self._post, misfortunes)
        self._devices.panel.show(panel(Activity.BOOTING, frozenset()), DARK_AFTER_NS)

    def open(self) -> None:
        """Everything up to a running capture process."""
        root, signer = load_credentials(self._config, self._board)
        disk = self._open_disk()
        found = read_last(disk)
        policy = load_policy(self._config, root, found)
        check_memory(self._board, policy.prerecord_ms)
        keeper = self._keep_time(found, policy)
        journal = self._open_journal(disk, signer, keeper, found, policy)
        recovery = recover(journal, disk)
        ring = self._make_ring(policy)
        intake = Intake(local_socket.listen(self._config.run / CAPTURE_SOCKET, 0o660), ring, self._heard)
        self._intake = intake
        supervisor = self._make_supervisor(policy, keeper, intake, journal, recovery)
        self._supervisor = supervisor
        recorder = self._make_recorder(policy, disk, journal, ring)
        if recovery.resume is not None:
            recorder.resume(recovery.resume)
        self._start_loops(intake, recorder, supervisor)
        self._devices.open()
        supervisor.start(self._devices.clock.boot_ns())

    def serve(self) -> None:
        """The main loop, until the camera is switched off or the process told to end."""
        supervisor = self._supervisor
        assert supervisor is not None
        if not self._locked:
            supervisor.orders.post(
                Note("alert", {"cause": "ring_not_locked", "values": {}, "remedy": "raise_memlock_limit"})
            )
        for wanted in (signal.SIGTERM, signal.SIGINT):
            signal.signal(wanted, self._terminate)
        status_ns = 0
        while not supervisor.ended:
            supervisor.news.wait(TICK_NS / NS_PER_S)
            for loop in self._loops:
                loop.check()
            now_ns = self._devices.clock.boot_ns()
            if self._terminated:
                self._terminated = False
                supervisor.terminate(now_ns)
            supervisor.step(now_ns)
            if now_ns >= status_ns:
                status_ns = now_ns + STATUS_EVERY_NS
                write_status(self._config.run, as_object(supervisor.status(), now_ns))

    def refuse(self, error: TemoinError) -> None:
        """Tell the officer that this camera does not record; the light goes dark by itself."""
        self._devices.panel.show(panel(Activity.REFUSING, frozenset()), DARK_AFTER_NS)
        self._devices.panel.play(cue(Moment.REFUSED))
        why = Unavailable("start_failed", {"problem": str(error)})
        write_status(self._config.run, {"activity": Activity.REFUSING.value, "unavailable": why.values})

    def close(self) -> None:
        """End the loops in order: what was ordered is durable, nothing captured stays in memory."""
        for loop in reversed(self._loops):
            loop.end()
            if self._supervisor is not None:
                self._supervisor.orders.nudge()
            loop.join()
        self._devices.camera.kill()
        if self._intake is not None:
            self._intake.close()
        if self._ring is not None:
            self._ring.wipe()
        if self._journal is not None:
            self._journal.close()
        self._devices.close()

    def _open_disk(self) -> SimDisk:
        data = self._config.data
        try:
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(str(data), error.strerror or str(error), "give a data folder on a card") from None
        disk = SimDisk(data, observe=self._stall)
        disk.lock()
        self._disk = disk
        return disk

    def _keep_time(self, found: LastFile | None, policy: Policy) -> TimeKeeper:
        last_utc_ms = None if found is None else found.state.last_utc_ms
        keeper = TimeKeeper(self._devices.clock, max(IMAGE_DATE_MS, last_utc_ms or 0))
        now = keeper.stamp()
        if now.utc_ms is not None and now.err_ms is not None and now.utc_ms + now.err_ms < policy.not_before_ms:
            raise ConfigError(
                f"{self._config.policy}: not_before",
                f"{format_utc(policy.not_before_ms)} has not come",
                "set the clock, or use the policy that is in force",
            )
        return keeper

    def _open_journal(
        self, disk: SimDisk, signer: FileSigner, keeper: TimeKeeper, found: LastFile | None, policy: Policy
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
        self, policy: Policy, keeper: TimeKeeper, intake: Intake, journal: Journal, recovery: RecoveryReport
    ) -> Supervisor:
        levels = self._board.battery
        devices = self._devices
        resume = recovery.resume
        return Supervisor(
            Rules(policy.sound, policy.prerecord_sound, levels.warn_percent, levels.cut_off_percent),
            devices.panel,
            devices.camera,
            intake.sound,
            lambda: keeper.stamp().source,
            Button(devices.pressed, devices.clock.boot_ns()),
            interrupted=journal.state.interrupted is not None,
            resuming=None if resume is None else (resume.rec, resume.press_ns),
        )

    def _make_recorder(self, policy: Policy, disk: SimDisk, journal: Journal, ring: Ring) -> Recorder:
        recipients = parse_recipients(policy.recipients)
        settings = Settings(recipients, policy.hash_hex, policy.prerecord_ms, self._source)
        parts = Parts(journal, disk, ring, SealBuffer(), os.urandom, settings)
        needed = reserve_bytes(policy.prerecord_ms, self._board.video.max_bit_rate_bps)
        return Recorder(parts, max(needed, self._board.storage.reserve_mib * 1024 * 1024), self._reported)

    def _start_loops(self, intake: Intake, recorder: Recorder, supervisor: Supervisor) -> None:
        def take_in() -> bool:
            intake.wait(WAIT_S)
            intake.step()
            return not reading.ending

        def write() -> bool:
            orders = supervisor.orders.take()
            if recorder.step(orders) or orders:
                return True
            if writing.ending:
                return False
            supervisor.orders.wait(WAIT_S)
            return True

        writing = Loop("writer", write, supervisor.news.nudge)
        reading = Loop("intake", take_in, supervisor.news.nudge)
        self._loops = [writing, reading]
        for loop in self._loops:
            loop.start()

    def _heard(self, report: IntakeReport) -> None:
        """From the intake loop: for the main loop, and the writer has something to do."""
        if self._supervisor is not None:
            self._supervisor.news.post(report, control=not isinstance(report, Captured))
            self._supervisor.orders.nudge()

    def _reported(self, report: Report) -> None:
        if self._supervisor is not None:
            self._supervisor.news.post(report, control=True)

    def _post(self, event: BoardEvent) -> None:
        if self._supervisor is not None:
            self._supervisor.news.post(event, control=True)

    def _terminate(self, number: int, frame: object) -> None:
        self._terminated = True  # a handler runs between any two lines: nothing that takes a lock

    def _power_cut(self) -> None:
        """The simulated board has no power any more: what was not durable is gone, and so are we, at once."""
        if self._disk is not None:
            self._disk.power_cut(lambda most: secrets.randbelow(most + 1))
        os._exit(POWER_CUT_EXIT)


def load_credentials(config: CameraConfig, board: Board) -> tuple[x509.Certificate, FileSigner]:
    """The agency's root and this camera's key. Raises ConfigError, CertificateError, KeyFileError."""
    root = keys.load_chain(_read(config.agency_certificate), str(config.agency_certificate))[0]
    where = str(config.certificate)
    chain = keys.load_chain(_read(config.certificate), where)
    role = keys.check_chain(chain, root, ("sim" if board.simulated else "camera",), where, None)
    if role.id != config.dev:
        raise ConfigError(f"{config.file}: dev", f"{config.dev} is not {role.id} of {where}", "enrol the camera again")
    return root, FileSigner(config.key, tuple(each.public_bytes(Encoding.DER) for each in chain))


def load_policy(config: CameraConfig, root: x509.Certificate, found: LastFile | None) -> Policy:
    """The signed policy, not older than the one that the journal names. Raises ConfigError."""
    in_force = None if found is None else found.state.policy
    return keys.load_policy(
        _read(config.policy),
        _read(config.policy_certificate),
        root,
        config.dev,
        config.agency,
        None if in_force is None else in_force[1],
        str(config.policy),
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_LONG_LINE_BYTES)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error), "enrol the camera again") from None


if __name__ == "__main__":
    sys.exit(run("temoin", lambda: run_camera(Path(sys.argv[1]))))
