"""Two sides of a broker for tests, a camera's and the dock's: the real Mosquitto with the generated configuration."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent.adapters.mqtt import MqttBroker
from agent.adapters.tls import TlsFiles
from agent.model import Greeting, NetworkEvent
from agent.ports import AcceptPeer
from agent.toml_table import Address
from tests.support.agency import DOCK, TestAgency, make_agency
from tests.support.mosquitto import Mosquitto, free_port, running

CAMERAS = ("cam-01", "cam-02")
TO_DOCK = ("temoin/1/+/status", "temoin/1/+/journal")
Post = Callable[[NetworkEvent], None]


def accept_anybody(peer: bytes) -> None:
    """For tests in which TLS itself is enough."""


def greeting_of(dev: str) -> Greeting:
    """What a camera connects with."""
    return Greeting(f"temoin/1/{dev}/dock", f"temoin/1/{dev}/status", b'{"state":"gone"}')


DOCK_GREETING = Greeting(TO_DOCK[0], "", b"")


class Stage:
    """Mosquitto for one agency with two cameras and a dock."""

    def __init__(self, agency: TestAgency, mosquitto: Mosquitto) -> None:
        self.agency = agency
        self.mosquitto = mosquitto
        self.address = Address("127.0.0.1", mosquitto.port)
        self._made: list[MqttBroker] = []

    def camera(self, post: Post, accept: AcceptPeer = accept_anybody, dev: str = "cam-01") -> MqttBroker:
        """The camera's side, off-line."""
        return self._keep(MqttBroker(self.address, camera_files(self.agency, dev), dev, accept, post))

    def dock(self, post: Post, accept: AcceptPeer = accept_anybody) -> MqttBroker:
        """The dock's side, off-line."""
        return self._keep(MqttBroker(self.address, dock_files(self.agency), DOCK, accept, post, TO_DOCK[1:]))

    def end(self) -> None:
        for broker in self._made:
            broker.close(None)

    def _keep(self, broker: MqttBroker) -> MqttBroker:
        self._made.append(broker)
        return broker


def camera_files(agency: TestAgency, dev: str = "cam-01") -> TlsFiles:
    folder = agency.camera_folder(dev)
    return TlsFiles(folder / "agency.pem", folder / "camera-tls.pem", folder / "camera-tls.key")


def dock_files(agency: TestAgency) -> TlsFiles:
    folder = agency.dock_folder()
    return TlsFiles(folder / "agency.pem", folder / "dock-tls.pem", folder / "dock-tls.key")


def admit(agency: TestAgency, name: str, access: str) -> TlsFiles:
    """A certificate for somebody besides the dock, and the broker's leave to `read` or `readwrite` everything."""
    folder = agency.dock_folder()
    issued = agency.issue("dock-tls", name)
    certificate, key = folder.parent / f"{name}.pem", folder.parent / f"{name}.key"
    certificate.write_bytes(issued.certificate.public_bytes(Encoding.PEM))
    key.write_bytes(issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key.chmod(0o600)
    with (folder / "mosquitto.acl").open("a") as acl:
        acl.write(f"\nuser {name}\ntopic {access} temoin/1/#\n")
    return TlsFiles(folder / "agency.pem", certificate, key)


@contextlib.contextmanager
def real_stage(parent: Path) -> Iterator[Stage]:
    """An agency in `parent`, valid now, and its broker; both ended with the context."""
    port = free_port()
    agency = make_agency(parent, cameras=CAMERAS, broker_port=port, now_ms=time.time_ns() // 1_000_000_000 * 1000)
    with running(agency.dock_folder(), port) as mosquitto:
        stage = Stage(agency, mosquitto)
        try:
            yield stage
        finally:
            stage.end()
