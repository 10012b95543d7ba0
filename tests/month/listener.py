"""Somebody with the dock's own rights at the broker, who counts what passes: how much is sent, and what twice.

Guarantees: what it hears is counted and forgotten. Assumes that a dock's `ack` comes by before what follows from it.
"""

from __future__ import annotations

from pathlib import Path

from agent.adapters.mqtt import MqttBroker
from agent.adapters.tls import TlsFiles
from agent.formats import statement, wire
from agent.formats.fields import integer_of
from agent.model import Arrived, Greeting, NetworkEvent
from agent.toml_table import Address
from tests.support.brokers import accept_anybody

NAME = "dock-02"


class Listener:
    """Counts of entries, of one camera.

    `sent`: each as often as it came. `again`: those of them that had come before; `acknowledged_again`: those that the
    dock had acknowledged by then. `most`: of the largest batch. `archived`: number of the last one acknowledged.
    """

    def __init__(self, files: TlsFiles, port: int, dev: str) -> None:
        self.sent = self.again = self.acknowledged_again = self.most = 0
        self.archived = -1
        self._furthest = -1
        self._journal, self._dock = wire.journal_topic(dev), wire.dock_topic(dev)
        self._broker = MqttBroker(Address("127.0.0.1", port), files, NAME, accept_anybody, self._hear)
        self._broker.connect(1, Greeting("temoin/1/#", "", b""))

    def close(self) -> None:
        self._broker.close(None)

    def _hear(self, event: NetworkEvent) -> None:
        """On the connection's own thread."""
        if not isinstance(event, Arrived):
            return
        if event.topic == self._journal:
            self._count(int(dict(event.properties)["first"]), event.payload.count(b"\n"))
        elif event.topic == self._dock:
            said = statement.parse_line(event.payload)
            if said.name == "ack":
                self.archived = max(self.archived, integer_of(said.value, "seq"))
        self._broker.acknowledge(event)

    def _count(self, first: int, count: int) -> None:
        last = first + count - 1
        self.sent += count
        self.most = max(self.most, count)
        self.again += max(0, min(last, self._furthest) - first + 1)
        self.acknowledged_again += max(0, min(last, self.archived) - first + 1)
        self._furthest = max(self._furthest, last)


def log_of(folder: Path) -> str:
    """The end of a log, for a message."""
    return folder.read_text(errors="replace")[-500:] if folder.exists() else ""
