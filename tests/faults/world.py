"""One camera, its dock and their broker as real processes, with a card that was prepared: a docking takes seconds."""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from agent.adapters.mqtt import MqttBroker
from agent.formats.age import RecipientKind
from agent.formats.entries import Entry
from agent.model import Arrived, Greeting, Message, NetworkEvent
from agent.toml_table import Address
from tests.faults.checks import FaultsError, in_the_end, read_journal
from tests.faults.dock import FILLER, SKEW, TRAP
from tests.faults.wire import Link, Wire
from tests.kills.camera import Camera
from tests.kills.footage import BOARD
from tests.support.agency import DOCK, make_agency
from tests.support.brokers import accept_anybody, admit
from tests.support.dock_process import ROOT, RunningDock
from tests.support.evidence import Builder, Piece, builder
from tests.support.mosquitto import Mosquitto, free_port

DEV = "cam-01"
SPY = "dock-02"
SEGMENTS = 10
PIECES = 3
PIECE_BYTES = 128 * 1024
BYTES_A_SECOND = 1_500_000
DEADLINE_S = 90.0
POLL_S = 0.02

Say = Callable[[str], None]


class FaultyDock(RunningDock):
    """The dock with traps (tests/faults/dock.py)."""

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.faults.dock", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stderr=log)
        self._wait_until_listening()

    def _wait_until_listening(self) -> None:
        """Or until a trap of its start has come."""
        deadline = time.monotonic() + 30
        while self.get("/health")[0] == 0:
            if not self.alive:
                return
            if time.monotonic() > deadline:
                raise FaultsError(f"the dock does not start: {self.log.read_text()[-500:]}")
            time.sleep(0.05)

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def arm(self, number: int, fate: str) -> None:
        """The step of that number from now on is its last, or meets a full disk."""
        temporary = self.config.parent / "trap.tmp"
        temporary.write_text(json.dumps({"number": number, "fate": fate}))
        temporary.rename(self.config.parent / TRAP)

    @property
    def armed(self) -> bool:
        return (self.config.parent / TRAP).exists()

    def disarm(self) -> None:
        (self.config.parent / TRAP).unlink(missing_ok=True)

    def skew(self, seconds: int | None) -> None:
        """Its clock is wrong by that, or right again."""
        path = self.config.parent / SKEW
        if seconds is None:
            path.unlink(missing_ok=True)
            return
        path.with_suffix(".tmp").write_text(str(seconds))
        path.with_suffix(".tmp").rename(path)


class Spy:
    """Somebody with the dock's own rights at the broker: hears all, says anything in anybody's name."""

    def __init__(self, world: World) -> None:
        self.heard: list[Arrived] = []
        self._number = 0
        self._broker = MqttBroker(
            Address("127.0.0.1", world.mosquitto.port), world.spy_files, SPY, accept_anybody, self
        )
        self._broker.connect(1, Greeting("temoin/1/#", "", b""))

    def __call__(self, event: NetworkEvent) -> None:
        if isinstance(event, Arrived):
            self.heard.append(event)
            self._broker.acknowledge(event)

    def say(self, topic: str, payload: bytes, properties: tuple[tuple[str, str], ...] = ()) -> None:
        self._number += 1
        self._broker.publish(Message(self._number, topic, payload, properties))

    def close(self) -> None:
        self._broker.close(None)


class World:
    """Everything of one round in `folder`. Nothing that it starts outlives `close`."""

    def __init__(
        self,
        folder: Path,
        film: Path,
        seed: str,
        say: Say,
        *,
        link: Link | None = None,
        segments: int = SEGMENTS,
        more: Callable[[Builder], None] | None = None,
        rtc: bool = True,
        archive: Path | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.say = say
        self._link = link
        broker_port, self._intake_port, health_port = free_port(), free_port(), free_port()
        self.intake = Wire(self._intake_port, BYTES_A_SECOND)
        host = "127.0.0.1" if link is None else link.near
        now_ms = (time.time_ns() // 1_000_000_000 - 3600) * 1000
        made = make_agency(
            folder,
            RecipientKind.CLASSIC,
            cameras=(DEV, "cam-02"),
            prerecord_ms=10_000,
            footage=film,
            now_ms=now_ms,
            seed=seed,
            broker_port=broker_port,
            intake_port=self.intake.port,
        )
        self.agency = made
        folder_of_dock = made.dock_folder()
        self._rewrite(folder_of_dock / "dock.toml", health_port, host)
        self.spy_files = admit(self.agency, SPY, "readwrite")
        if link is not None:
            self._open_to(link, folder_of_dock)
        if archive is not None:
            (folder_of_dock / "archive").rmdir()
            (folder_of_dock / "archive").symlink_to(archive)
        self.mosquitto = Mosquitto(folder_of_dock, broker_port)
        self.dock = FaultyDock(made, self.mosquitto, health_port, folder / "dock.log")
        self.camera = Camera(self._place_camera(folder / "camera", rtc, host))
        self.before: dict[int, Entry] = {}
        self._fill_card(segments, more)

    # --- making -------------------------------------------------------------------------------------------------------

    def _rewrite(self, config: Path, health_port: int, host: str) -> None:
        toml = config.read_text().replace("127.0.0.1:9464", f"127.0.0.1:{health_port}")
        listen = f'listen = "127.0.0.1:{self.intake.port}"'
        assert listen in toml
        toml = toml.replace(listen, f'listen = "127.0.0.1:{self._intake_port}"')
        config.write_text(toml.replace(f'host = "127.0.0.1:{self.intake.port}"', f'host = "{host}:{self.intake.port}"'))

    def _open_to(self, link: Link, folder: Path) -> None:
        """Broker and intake on the link's address too, and a policy that says so."""
        conf = (folder / "mosquitto.conf").read_text()
        (folder / "mosquitto.conf").write_text(conf.replace(" 127.0.0.1\n", "\n", 1))
        toml = (folder / "dock.toml").read_text()
        self.intake.close()
        toml = toml.replace(f'listen = "127.0.0.1:{self._intake_port}"', f'listen = "0.0.0.0:{self.intake.port}"')
        (folder / "dock.toml").write_text(toml)
        line = self.agency.sign_policy(version=2, intake_hosts=[f"{link.near}:{self.intake.port}"])
        for place in (folder, self.agency.camera_folder()):
            (place / "policy.line").write_bytes(line)

    def _place_camera(self, folder: Path, rtc: bool, host: str) -> Path:
        shutil.copytree(self.agency.camera_folder(), folder)
        board = BOARD if rtc else BOARD.replace("rtc = true\nrtc_error_ms = 2_000", "rtc = false\nrtc_error_ms = 0")
        (folder / "board.toml").write_text(board)
        toml = (folder / "camera.toml").read_text().replace('board = "sim"', 'board = "board.toml"')
        (folder / "camera.toml").write_text(toml.replace("127.0.0.1", host))
        return folder

    def _fill_card(self, segments: int, more: Callable[[Builder], None] | None) -> None:
        made = builder(self.camera.data, self.agency, seed=self.random.randrange(1 << 30))
        made.genesis()
        for _ in range(segments // 2):
            made.record((PIECES, PIECES), lambda n: Piece(made.draw(PIECE_BYTES)))
            if self.random.random() < 0.3:
                made.rotate()
        if more is not None:
            more(made)
        made.append("shutdown", {"cause": "switch"})
        made.write()
        self.before = read_journal(self.camera.data)

    # --- what happens -------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """All three; the camera is not on the dock yet."""
        self.mosquitto.start()
        self.dock.start()
        self.start_camera()

    def start_camera(self) -> None:
        if self._link is None:
            self.camera.start()
        else:
            self._link.inside(self.camera.start)
        self.camera.wait("a status", lambda status: status.get("activity") not in (None, "booting"))

    def touch(self) -> None:
        self.camera.do("contact")

    def kinds(self) -> list[str]:
        """Of all entries of the card."""
        return [entry.head.kind for _, entry in sorted(read_journal(self.camera.data).items())]

    @property
    def archive(self) -> Path:
        return self.dock.archive / DEV

    def stored(self) -> int:
        """Segments in the archive."""
        return sum(1 for _ in (self.archive / "segments").glob("*/*.mp4.age"))

    def on_card(self) -> int:
        return sum(1 for _ in (self.camera.data / "segments").glob("*/*.mp4.age"))

    def until(self, what: str, holds: Callable[[], bool], seconds: float = DEADLINE_S) -> None:
        """Raises FaultsError at the deadline, or when the camera ends by itself."""
        deadline = time.monotonic() + seconds
        while not holds():
            if not self.camera.alive:
                raise FaultsError(f"the camera ended by itself before: {what}")
            if time.monotonic() > deadline:
                raise FaultsError(f"after {seconds:.0f} s still not: {what}; {self.camera.status()}")
            time.sleep(POLL_S)

    def until_stored(self, count: int) -> None:
        self.until(f"{count} segments in the archive", lambda: self.stored() >= count)

    def until_done(self) -> None:
        """All is handed over and purged, and the archive has all but the last words."""
        self.until("an empty card", lambda: self.on_card() == 0)
        self.until("the whole journal in the archive", self._is_synced)

    def _is_synced(self) -> bool:
        if not (self.archive / "journal").is_dir():
            return False
        ours = read_journal(self.camera.data)
        theirs = max(read_journal(self.archive), default=-1)
        return all(entry.head.kind in ("ack", "refused") for seq, entry in ours.items() if seq > theirs)

    def finish(self) -> int:
        """Undock, switch off, check; returns the number of segments compared."""
        self.until_done()
        self.camera.do("undock")
        self.until("undock", lambda: self.kinds().count("undock") >= 1 and "undock" in self.kinds()[-6:])
        # A connection that a partition left half open is the dock's until its time for progress is over.
        self.until("an end of each upload", lambda: not any((self.archive / "segments").glob("*/*.tmp")))
        self.camera.stop()
        return in_the_end(self.camera.data, self.archive, self.before, self.agency)

    def close(self) -> None:
        self.camera.end()
        with contextlib.suppress(Exception):
            self.dock.kill()
        self.mosquitto.kill()
        self.intake.close()
        with contextlib.suppress(OSError):
            (self.dock.archive / FILLER).unlink()


assert DOCK != SPY
