"""`temoin-dock run` as a process of its own, beside a real Mosquitto, both in folders that `temoin-fleet init` made."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.adapters.disk import RealDisk
from agent.adapters.https import HttpsUploader
from agent.adapters.mqtt import MqttBroker
from agent.formats import statement, wire
from agent.formats.statement import Statement
from agent.model import Arrived, Connected, Disconnected, Greeting, Message, Upload, Uploaded
from agent.toml_table import Address
from tests.support.agency import TestAgency, make_agency
from tests.support.brokers import CAMERAS, accept_anybody, camera_files
from tests.support.mosquitto import Mosquitto, free_port, running
from tests.support.posts import Posts

ROOT = Path(__file__).parents[2]
TRIES = 5
START_S = 120  # of a machine that is emulated; elsewhere it takes two


@dataclass
class RunningDock:
    """The process, its addresses, and what it logged."""

    agency: TestAgency
    mosquitto: Mosquitto
    health_port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def config(self) -> Path:
        return self.agency.dock_folder() / "dock.toml"

    @property
    def archive(self) -> Path:
        return self.agency.dock_folder() / "archive"

    def start(self) -> None:
        """Start it, and wait until it is healthy."""
        command = [sys.executable, "-m", "dock.cli", "run", "--config", str(self.config)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stderr=log)
        self.wait_until_healthy()

    def wait_until_healthy(self) -> None:
        deadline = time.monotonic() + START_S
        while self.health()[0] != 200:
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def get(self, path: str) -> tuple[int, str]:
        """Status and text of the listener for this computer; (0, "") where nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.health_port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def health(self) -> tuple[int, str]:
        return self.get("/health")

    def events(self) -> list[dict[str, object]]:
        """What it logged so far."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]

    def wait_for_event(self, event: str) -> None:
        """Until it has logged that."""
        deadline = time.monotonic() + START_S
        while event not in [each["event"] for each in self.events()]:
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """At once, as a power cut of the process."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """In order. Returns its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=START_S)


@contextlib.contextmanager
def running_dock(parent: Path) -> Iterator[RunningDock]:
    """Broker and dock of an agency that is valid now; both ended by their own ids."""
    broker_port, intake_port, health_port = free_port(), free_port(), free_port()
    now_ms = time.time_ns() // 1_000_000_000 * 1000
    agency = make_agency(
        parent, cameras=CAMERAS, simulated=False, broker_port=broker_port, intake_port=intake_port, now_ms=now_ms
    )
    config = agency.dock_folder() / "dock.toml"
    config.write_text(config.read_text().replace("127.0.0.1:9464", f"127.0.0.1:{health_port}"))
    with running(agency.dock_folder(), broker_port) as mosquitto:
        dock = RunningDock(agency, mosquitto, health_port, parent / "dock.log")
        try:
            dock.start()
            yield dock
        finally:
            if dock.process is not None and dock.process.poll() is None:
                dock.kill()


class HandCamera:
    """A camera's side of the wire by its real adapters, with a hand in the place of the rules."""

    def __init__(self, dock: RunningDock, card: Path, dev: str = "cam-01") -> None:
        self.dev = dev
        self.session = ""
        self.posts, self.uploads = Posts(), Posts()
        self._number = 0
        self._heard: list[Statement] = []
        files = camera_files(dock.agency, dev)
        address = Address("127.0.0.1", dock.mosquitto.port)
        self.broker = MqttBroker(address, files, dev, accept_anybody, self.posts)
        self.uploader = HttpsUploader(RealDisk(card), files, accept_anybody, self.uploads)

    def connect(self, connection: int = 1) -> None:
        """As a camera does: a broker that has only begun may break a connection off, and is tried again."""
        greeting = Greeting(wire.dock_topic(self.dev), wire.status_topic(self.dev), b"{}")
        for number in range(connection * TRIES, (connection + 1) * TRIES):
            self.broker.connect(number, greeting)
            event = self.posts.next()
            while not (isinstance(event, Connected | Disconnected) and event.connection == number):
                event = self.posts.next()
            if isinstance(event, Connected):
                return
        raise AssertionError("the broker takes no connection")

    def say(self, topic: str, payload: bytes, properties: wire.Properties = (), retained: bool = False) -> None:
        self._number += 1
        self.broker.publish(Message(self._number, topic, payload, tuple(properties), retained))

    def hear(self, name: str) -> Statement:
        """The next statement of this type and of `session`, in whichever order with those of other types."""
        while True:
            for found in self._heard:
                if found.name == name and found.value["session"] == self.session:
                    self._heard.remove(found)
                    return found
            arrived = self.posts.wait_for(Arrived)
            self.broker.acknowledge(arrived)
            said = statement.parse_line(arrived.payload)
            if said.name != "policy":  # which is of no session
                self._heard.append(said)

    def upload(self, ticket: Statement, path: str) -> int:
        """Answer a ticket; the HTTP status."""
        self.begin_upload(ticket, path)
        return self.uploads.wait_for(Uploaded).status

    def begin_upload(self, ticket: Statement, path: str) -> None:
        """Answer a ticket, and wait for nothing."""
        size, url = ticket.value["size"], ticket.value["url"]
        assert isinstance(size, int)
        assert isinstance(url, str)
        self.uploader.start(Upload(1, path, size, url, ()))
