"""Makes one docking out of its rules and its real ports. Loaded at the first contact with a dock, and not before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cryptography import x509

from agent.adapters.https import HttpsUploader
from agent.adapters.mqtt import MqttBroker
from agent.adapters.tls import TlsFiles
from agent.clock import TimeKeeper
from agent.config import CameraConfig, Network
from agent.formats.statement import Policy
from agent.mailbox import Mailbox
from agent.model import NetworkEvent, TimeSource
from agent.orders import DockingNews, Order
from agent.ports import Disk, Random
from agent.session import check_dates, check_peer
from agent.store.custody import Custody
from agent.store.journal import Journal
from agent.store.outbox import Outbox
from agent.store.relay import newest_version
from agent.store.state import Reference
from agent.sync import INBOX, Facts, Outside, Sync, SyncNews


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What a docking needs of the agent. `order` and `tell` may be called from its thread."""

    config: CameraConfig
    network: Network
    root: x509.Certificate
    policy: Policy
    disk: Disk
    journal: Journal
    custody: Custody
    keeper: TimeKeeper
    random: Random
    order: Callable[[Order], bool]
    tell: Callable[[DockingNews], None]


def begin(needed: Neighbours) -> Sync:
    """A docking that has just begun: its next `step` connects. Raises DiskError."""
    inbox: Mailbox[SyncNews] = Mailbox(INBOX)
    config, network, journal = needed.config, needed.network, needed.journal
    files = TlsFiles(config.agency_certificate, network.certificate, network.key)

    def accept(peer: bytes) -> None:
        check_peer(peer, needed.root, needed.policy.docks)
        now = needed.keeper.stamp()
        if now.source is TimeSource.BEACON and now.utc_ms is not None and now.err_ms is not None:
            check_dates((peer,), "dock-tls", needed.root, now.utc_ms, now.err_ms)

    def post(event: NetworkEvent) -> None:
        inbox.post(event)

    def durable() -> Reference:
        assert journal.durable is not None, "the start is durable before anything docks"
        return journal.durable

    state = journal.state
    facts = Facts(
        dev=config.dev,
        jid=state.position.jid,
        agency=config.agency,
        root=needed.root,
        policy=needed.policy,
        newest_policy=max(needed.policy.version, newest_version(needed.disk)),
        dseq=dict(state.dseq),
        ack=state.ack,
    )
    outside = Outside(
        broker=MqttBroker(network.broker, files, config.dev, accept, post),
        uploader=HttpsUploader(needed.disk, files, accept, post),
        random=needed.random,
        keeper=needed.keeper,
        order=needed.order,
        tell=needed.tell,
        durable=durable,
    )
    return Sync(facts, outside, Outbox(needed.disk), needed.custody, inbox)
