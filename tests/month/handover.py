"""One camera with a long journal, handed over to a dock that is killed once and left once, and what that took.

Real processes: agent and capture, Mosquitto, dock. In the end every entry that was on the card is in the archive, once
and in its order, byte for byte, and every segment that the card had; the resident memory of both sides is measured all
the time. Every failure is a HandoverError.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.disk import LOCK_NAME, RealDisk
from agent.formats.age import RecipientKind
from agent.model import NS_PER_MS
from agent.store.last import file_numbers
from agent.store.lines import JournalLines
from tests.bench.camera import Camera, Enrolled
from tests.bench.films import Filmed
from tests.bench.month import Month, make_month
from tests.bench.start import starts
from tests.bench.table import median, ratios
from tests.month.listener import NAME, Listener, log_of
from tests.support.agency import TestAgency, make_agency
from tests.support.brokers import admit
from tests.support.dock_process import RunningDock
from tests.support.mosquitto import Mosquitto, free_port

DEV = "cam-01"
DAYS = 31
POLL_S = 0.05
PATIENCE_S = 240.0
"""Without any progress. A camera whose dock was killed asks it anew within 60 s."""


Until = Callable[[str, Callable[[], bool]], float]


class HandoverError(AssertionError):
    """Something that did not come, or must not be."""


@dataclass(frozen=True, slots=True)
class Peak:
    """Resident memory of a process in KiB: when the journal began to go, at a third and two thirds of it, at most."""

    begin: int
    third: int
    two_thirds: int
    most: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a handover took. `seconds` is the journal's, without the pauses around the two interruptions."""

    month: Month
    seconds: float
    interrupted_s: float
    listener: Listener
    agent: Peak
    dock: Peak
    segments: int


class Station:
    """Everything in one folder; nothing that it starts outlives the context."""

    def __init__(self, folder: Path, filmed: Filmed, entries: int, kept: int) -> None:
        now_ms = time.time_ns() // NS_PER_MS - DAYS * 24 * 3600 * 1000
        broker_port, intake_port, health_port = free_port(), free_port(), free_port()
        self.agency: TestAgency = make_agency(
            folder,
            RecipientKind.CLASSIC,
            prerecord_ms=5_000,
            footage=filmed.film(folder / "films"),
            now_ms=now_ms,
            broker_port=broker_port,
            intake_port=intake_port,
        )
        config = self.agency.dock_folder() / "dock.toml"
        config.write_text(config.read_text().replace("127.0.0.1:9464", f"127.0.0.1:{health_port}"))
        self._files = admit(self.agency, NAME, "read")
        self.month = make_month(folder / "card", self.agency, DEV, entries, kept)
        self.original = folder / "original"
        shutil.copytree(folder / "card" / "journal", self.original / "journal", copy_function=os.link)
        self.kept = sum(1 for _ in (folder / "card" / "segments").glob("*/*"))
        self.enrolled = Enrolled(self.agency.folder, filmed)
        self.camera: Camera = self.enrolled.camera(folder / "camera", folder / "card")
        self.mosquitto = Mosquitto(self.agency.dock_folder(), broker_port)
        self.dock = RunningDock(self.agency, self.mosquitto, health_port, folder / "dock.log")

    @property
    def archive(self) -> Path:
        return self.dock.archive / DEV

    def start_ratio(self, folder: Path) -> float:
        """Start to ready against an empty card's."""
        empty = self.enrolled.camera(folder)
        fresh, old = starts(empty, self.camera, [])
        return median(ratios(old, fresh))

    @contextlib.contextmanager
    def running(self) -> Iterator[Listener]:
        """Broker, dock and camera; the camera is not on the dock yet."""
        self.mosquitto.start()
        try:
            self.dock.start()
            listener = Listener(self._files, self.mosquitto.port, DEV)
            try:
                with self.camera:
                    self.camera.start()
                    self.camera.wait_for("ready")
                    yield listener
            finally:
                listener.close()
        finally:
            if self.dock.process is not None and self.dock.process.poll() is None:
                self.dock.kill()
            self.mosquitto.kill()


class _Memory:
    """Samples of a process's resident memory, by how far the journal was."""

    def __init__(self) -> None:
        self._samples: list[tuple[int, int]] = []

    def take(self, pid: int, archived: int) -> None:
        with contextlib.suppress(OSError, ValueError):
            status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
            self._samples.append((archived, int(status.partition("VmRSS:")[2].split()[0])))

    def peak(self, entries: int) -> Peak:
        """The largest up to a third of the journal, and so on."""

        def up_to(last: int) -> int:
            return max((kib for archived, kib in self._samples if archived < last), default=0)

        return Peak(self._samples[0][1], up_to(entries // 3), up_to(2 * entries // 3), up_to(1 << 60))


def hand_over(station: Station) -> Outcome:
    """The whole of it, interrupted twice, and checked."""
    entries = station.month.entries
    agent, dock = _Memory(), _Memory()
    with station.running() as listener:

        def until(what: str, holds: Callable[[], bool]) -> float:
            """Seconds that it took."""
            began, seen, seen_at = time.monotonic(), -1, time.monotonic()
            while not holds():
                assert station.dock.process is not None
                agent.take(station.camera.pid, listener.archived)
                dock.take(station.dock.process.pid, listener.archived)
                here = listener.archived + _stored(station)
                if here != seen:
                    seen, seen_at = here, time.monotonic()
                if time.monotonic() - seen_at > PATIENCE_S:
                    said = log_of(station.dock.log), station.camera.status()
                    raise HandoverError(f"{what} did not come: {listener.archived} of {entries} archived; {said}")
                time.sleep(POLL_S)
            return time.monotonic() - began

        station.camera.do("contact")
        seconds = until("a third of the journal", lambda: listener.archived >= entries // 3)
        interrupted = _without_dock(station, listener, until)
        seconds += until("two thirds of the journal", lambda: listener.archived >= 2 * entries // 3)
        interrupted += _off_the_dock(station, listener, until)
        seconds += until("the journal", lambda: listener.archived >= entries - 1)
        until("every segment", lambda: _stored(station) >= station.kept)
    _check_archive(station)
    return Outcome(
        station.month, seconds, interrupted, listener, agent.peak(entries), dock.peak(entries), _stored(station)
    )


def _without_dock(station: Station, listener: Listener, until: Until) -> float:
    """The dock is killed, and started again; seconds until it has got further."""
    began = time.monotonic()
    station.dock.kill()
    here = listener.archived
    station.dock.start()
    until("the journal after a killed dock", lambda: listener.archived > here)
    return time.monotonic() - began


def _off_the_dock(station: Station, listener: Listener, until: Until) -> float:
    """The camera is taken away, and comes back; seconds until the dock has got further."""
    began = time.monotonic()
    station.camera.do("undock")
    until("undocking", lambda: "docked" not in str(station.camera.status().get("conditions")))
    here = listener.archived
    station.camera.do("contact")
    until("the journal after an undocking", lambda: listener.archived > here)
    return time.monotonic() - began


def _stored(station: Station) -> int:
    return sum(1 for _ in (station.archive / "segments").glob("*/*.mp4.age"))


def _check_archive(station: Station) -> None:
    """The archive holds what the card held, each entry once, in its order, byte for byte."""
    ours, last = JournalLines(RealDisk(station.original)), station.month.entries - 1
    seq = 0
    for number in file_numbers(RealDisk(station.archive)):
        if number != seq:
            raise HandoverError(f"the archive's file {number} begins where entry {seq} comes next")
        for line in (station.archive / f"journal/{number:08d}.log").read_bytes().splitlines(keepends=True):
            mine = ours.take(last)
            if mine is not None and mine.data != line:
                raise HandoverError(f"entry {seq} of the archive is not the camera's")
            seq += 1
    if seq <= last:
        raise HandoverError(f"the archive ends with entry {seq - 1}, of {last}")
    strangers = [path.name for path in station.dock.archive.iterdir() if path.name not in (DEV, LOCK_NAME)]
    if strangers:
        raise HandoverError(f"the archive holds {strangers} besides")
