"""A station for benchmarks: real Mosquitto and `temoin-dock run`, cards to hand over to them, and an ear at the broker.

Each run has an empty dock and the card as it was made: what a run did to them is gone. All times are of the boot clock,
which the processes share.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.mqtt import MqttBroker
from agent.formats import statement
from agent.formats.statement import Statement
from agent.model import NS_PER_MS, Arrived, Connected, Greeting, NetworkEvent
from agent.toml_table import Address
from tests.bench.camera import Camera, Enrolled, boot_ns
from tests.bench.films import HD
from tests.bench.month import make_month
from tests.bench.place import Place
from tests.month.listener import NAME
from tests.support.agency import TestAgency, make_agency
from tests.support.brokers import accept_anybody, admit
from tests.support.dock_process import RunningDock
from tests.support.evidence import Piece, builder
from tests.support.mosquitto import Mosquitto, free_port

DEV = "cam-01"
PATIENCE_S = 120
DAYS = 31
PURGE_DAYS = 7
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Card:
    """A prepared data folder; `last` is the number of the newest entry of its journal."""

    folder: Path
    last: int
    journal_bytes: int


class Ear:
    """Hears what the dock says to the camera, and when it came. It has the dock's own rights at the broker."""

    def __init__(self, station: Station) -> None:
        self._said: queue.SimpleQueue[tuple[int, Statement]] = queue.SimpleQueue()
        self._connected: queue.SimpleQueue[None] = queue.SimpleQueue()
        address = Address("127.0.0.1", station.mosquitto.port)
        self._broker = MqttBroker(address, station.files, NAME, accept_anybody, self._hear)
        self._broker.connect(1, Greeting(f"temoin/1/{DEV}/dock", "", b""))
        self._connected.get(timeout=PATIENCE_S)

    def until(self, holds: Callable[[Statement], bool], since_ns: int = 0) -> int:
        """When the next statement of which this holds had come, which was not before `since_ns`: a new dock finds the
        last question of the run before at the broker, and answers it."""
        while True:
            at_ns, said = self._said.get(timeout=PATIENCE_S)
            if at_ns >= since_ns and holds(said):
                return at_ns

    def close(self) -> None:
        self._broker.close(None)

    def _hear(self, event: NetworkEvent) -> None:
        at_ns = boot_ns()
        if isinstance(event, Connected):
            self._connected.put(None)
        elif isinstance(event, Arrived):
            self._said.put((at_ns, statement.parse_line(event.payload)))
            self._broker.acknowledge(event)


class Station:
    """The agency, its broker, and a dock that is made anew for each `docking`."""

    def __init__(self, folder: Path, place: Place) -> None:
        self._folder = folder
        self._runs = 0
        broker_port, intake_port, health_port = free_port(), free_port(), free_port()
        self.agency: TestAgency = make_agency(
            folder,
            footage=HD.film(place.kept / "films"),
            now_ms=time.time_ns() // NS_PER_MS - DAYS * _DAY_MS,
            broker_port=broker_port,
            intake_port=intake_port,
        )
        config = self.agency.dock_folder() / "dock.toml"
        config.write_text(config.read_text().replace("127.0.0.1:9464", f"127.0.0.1:{health_port}"))
        # As an agency has it, not as the demo: what was received stays on the card. Here card and archive share a disk,
        # and the fsyncs of deleting would be in the way of the archive's.
        line = self.agency.sign_policy(version=2, purge_days=PURGE_DAYS)
        for place_of_it in (self.agency.dock_folder(), self.agency.camera_folder(DEV)):
            (place_of_it / "policy.line").write_bytes(line)
        self.files = admit(self.agency, NAME, "read")
        self.mosquitto = Mosquitto(self.agency.dock_folder(), broker_port)
        self.dock = RunningDock(self.agency, self.mosquitto, health_port, folder / "dock.log")
        self._enrolled = Enrolled(self.agency.folder, HD)

    def journal_card(self, entries: int) -> Card:
        """Shifts whose segments were received and purged: nothing goes but the journal."""
        made = make_month(self._folder / "journal-card", self.agency, DEV, entries, kept=0)
        return Card(made.folder, made.entries - 1, made.journal_bytes)

    def segment_card(self, segments: int, fragments: int, fragment_bytes: int) -> Card:
        """One recording of so many segments, each of so many fragments."""
        made = builder(self._folder / f"card-{segments}x{fragments}", self.agency, DEV)
        made.genesis()
        made.record([fragments] * segments, lambda number: Piece(made.draw(fragment_bytes)))
        made.append("shutdown", {"cause": "switch"})
        folder = made.write()
        size = sum(path.stat().st_size for path in (folder / "journal").iterdir())
        return Card(folder, made.seq - 1, size)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """The broker, for all runs."""
        self.mosquitto.start()
        try:
            yield
        finally:
            self.mosquitto.kill()

    @contextlib.contextmanager
    def docking(self) -> Iterator[Ear]:
        """An empty dock, listened to."""
        for name in ("archive", "data"):
            shutil.rmtree(self.agency.dock_folder() / name, ignore_errors=True)
            (self.agency.dock_folder() / name).mkdir(mode=0o700)
        self.dock.start()
        ear = Ear(self)
        try:
            yield ear
        finally:
            ear.close()
            self.dock.stop()

    @contextlib.contextmanager
    def camera(self, card: Card) -> Iterator[Camera]:
        """`temoin run` on a copy of the card (its files are linked, and never written to again), ready."""
        self._runs += 1
        folder = self._folder / f"camera-{self._runs}"
        data = self._folder / f"data-{self._runs}"
        shutil.copytree(card.folder, data, copy_function=os.link)
        with self._enrolled.camera(folder, data) as camera:
            camera.start()
            camera.wait_for("ready")
            yield camera
        shutil.rmtree(data)
        shutil.rmtree(folder)
