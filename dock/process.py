"""The dock's process: the station's rules between broker, intake and clock (docs/operations-dock.md).

Guarantees: the station is called from one thread only, which also publishes what it says, in its order; a journal
message is acknowledged to the broker after the station is done with it; the event loop never waits for a disk. The
broker is tried again for ever, later and later up to MAX_WAIT_S with jitter, so that six cameras and a dock do not
come back in step. When the dock's own journal, key or catalogue is lost the process ends with that error, whoever met
it: a receipt that cannot be journalled must not be given, and without the catalogue nothing can be asked for. Assumes
nothing of the broker but docs/docking.md, and that somebody starts the process again, as systemd does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from agent.adapters.mqtt import MqttBroker
from agent.adapters.tls import server_context
from agent.errors import CertificateError, FormatError, SignatureError, StoreError
from agent.formats import wire
from agent.formats.wire import Channel
from agent.keys import check_chain, parse_certificate
from agent.model import Arrived, Connected, Disconnected, Greeting, NetworkEvent, PublishRefused
from agent.model import Message as Outgoing
from agent.ports import Random
from dock.blobs import Blob, BlobError, Outcome, Upload
from dock.cameras import cameras, overview
from dock.catalogue import Catalogue, CatalogueError
from dock.config import DockConfig
from dock.health import Health
from dock.intake import Intake
from dock.log import Log
from dock.metrics import Metrics
from dock.opening import Opened, StationClock, load_papers, open_station, tls_files
from dock.station import Message, Station
from dock.trouble import Trouble

TICK_S = 1
FIRST_WAIT_S = 1
MAX_WAIT_S = 30
NOBODY = 0x10

_Result = TypeVar("_Result")


class DockProcess:
    """`run` until `end` is called. Made, and called, in the event loop's thread."""

    def __init__(self, config: DockConfig, log: Log, random: Random) -> None:
        self._config = config
        self._log = log
        self._random = random
        self._clock = StationClock(config.error_ms)
        self.metrics = Metrics()
        self._papers = load_papers(config, self._clock.utc_ms())
        self._rules = ThreadPoolExecutor(1, thread_name_prefix="station")
        self._loop = asyncio.get_running_loop()
        self._ending = asyncio.Event()
        self._lost: StoreError | SignatureError | CatalogueError | None = None
        self._events: asyncio.Queue[NetworkEvent] = asyncio.Queue()
        self._connection = 0
        self._wait_s = FIRST_WAIT_S
        self._published = 0
        self._counted: Counter[str] = Counter()
        self._docked: frozenset[str] = frozenset()
        self._troubles: Mapping[str, Trouble] = {}
        listen = wire.status_topic("+")
        self._greeting = Greeting(listen, "", b"")
        self._broker = MqttBroker(
            config.broker, tls_files(config), config.dock, self._accept, self._post, (wire.journal_topic("+"),)
        )

    async def run(self) -> None:
        """Raises TemoinError: what does not let it start, or what ended it."""
        opened = await self._in_thread(self._open)
        try:
            await self._serve(opened)
        finally:
            await self._in_thread(lambda: self._close(opened))
            self._rules.shutdown()
            self._log.write("stopped", dock=self._config.dock)

    def end(self) -> None:
        """End in order."""
        self._ending.set()

    def _open(self) -> Opened:
        return open_station(self._config, self._papers, self._clock, self._random)

    async def _serve(self, opened: Opened) -> None:
        config, station = self._config, opened.station
        intake = Intake(
            _Desk(self, station, self._clock), self._papers.root, self._clock.utc_ms, self._log, self.metrics
        )
        health = Health(self.metrics, lambda: self._overview(opened.catalogue))
        try:
            await intake.start(config.intake, server_context(tls_files(config)))
            await health.start(config.health)
            self._log.write("started", dock=config.dock, intake=str(config.intake), health=str(config.health))
            await self._loops(station, health)
        finally:
            await health.stop()
            await intake.stop()

    def _overview(self, catalogue: Catalogue) -> Mapping[str, object]:
        found = cameras(catalogue, self._clock.utc_ms())
        return overview(found, self._docked, self._troubles, self._clock.moment().mono_ns)

    async def _loops(self, station: Station, health: Health) -> None:
        """Until one of them ends: the first by order, the others by an error."""
        tasks = [
            asyncio.create_task(work)
            for work in (self._end(), self._tick(station, health), self._listen(station, health))
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _close(self, opened: Opened) -> None:
        self._broker.close(None)
        opened.journal.shut_down()
        opened.catalogue.close()

    async def _end(self) -> None:
        """Until it is told to, or has lost what it cannot go on without."""
        await self._ending.wait()
        if self._lost is not None:
            raise self._lost

    async def _tick(self, station: Station, health: Health) -> None:
        while True:
            await self.ask(station, lambda: station.tick(self._clock.moment()))
            health.alive()
            await asyncio.sleep(TICK_S)

    # --- broker -------------------------------------------------------------------------------------------------------

    def _accept(self, peer: bytes) -> None:
        """The broker of this dock shows this dock's own role."""
        certificate = parse_certificate(peer, "broker")
        role = check_chain((certificate,), self._papers.root, ("dock-tls",), "broker", self._clock.utc_ms())
        if role.id != self._config.dock:
            raise CertificateError("broker: role", f"is {role.urn}, not of this dock", "correct [broker] in dock.toml")

    def _post(self, event: NetworkEvent) -> None:
        self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    async def _listen(self, station: Station, health: Health) -> None:
        await self._connect()
        while True:
            event = await self._events.get()
            match event:
                case Connected():
                    self._wait_s = FIRST_WAIT_S
                    self._log.write("broker_connected", broker=str(self._config.broker))
                    self._set_connected(health, True)
                case Disconnected() if event.connection == self._connection:
                    self._set_connected(health, False)
                    await self._wait(event.why)
                    await self._connect()
                case Arrived():
                    await self._arrived(station, event)
                case PublishRefused() if event.reason_code != NOBODY:
                    self._log.write("broker_refused", reason_code=event.reason_code)
                case _:
                    pass  # that a broker has a message says nothing

    def _set_connected(self, health: Health, connected: bool) -> None:
        self.metrics.connected.set(connected)
        health.connected = connected

    async def _connect(self) -> None:
        self._connection += 1
        await self._in_thread(lambda: self._broker.connect(self._connection, self._greeting))

    async def _wait(self, why: str) -> None:
        """Between half and whole of a time that doubles."""
        jitter = int.from_bytes(self._random(2)) / 0xFFFF
        wait_s = self._wait_s * (1 + jitter) / 2
        self._wait_s = min(MAX_WAIT_S, self._wait_s * 2)
        self._log.write("broker_lost", why=why, wait_ms=int(wait_s * 1000))
        await asyncio.sleep(wait_s)

    async def _arrived(self, station: Station, event: Arrived) -> None:
        try:
            dev, channel = wire.parse_topic(event.topic)
            self.metrics.messages.labels(channel.value).inc()
            await self.ask(station, self._question(station, dev, channel, event))
        except FormatError as error:
            self.refused("malformed", topic=event.topic, why=str(error))
        await self._in_thread(lambda: self._broker.acknowledge(event))

    def _question(self, station: Station, dev: str, channel: Channel, event: Arrived) -> Callable[[], list[Message]]:
        """What the station is asked by this message. Raises FormatError."""
        if channel is Channel.STATUS:
            status = wire.parse_status(event.payload)
            if status.dev != dev:
                raise FormatError("status.dev", f"is {status.dev}, the topic is of {dev}")
            return lambda: station.on_status(status, self._clock.moment())
        batch = wire.parse_batch(event.payload, event.properties)
        return lambda: station.on_batch(dev, batch, self._clock.moment())

    # --- station ------------------------------------------------------------------------------------------------------

    async def ask(self, station: Station, question: Callable[[], list[Message]]) -> None:
        """Ask the station, and publish what it says, both in its thread."""

        def work() -> None:
            for message in question():
                self._published += 1
                self._broker.publish(
                    Outgoing(self._published, message.topic, message.payload, tuple(message.properties))
                )

        await self._in_thread(work)
        self._tell_changes(station)

    async def open_upload(self, open_upload: Callable[[], Upload]) -> Upload:
        """Asked in the station's thread too."""
        return await self._in_thread(open_upload)

    def refused(self, cause: str, **fields: str) -> None:
        self.metrics.refusals.labels(cause).inc()
        self._log.write("refused", cause=cause, **fields)

    def _tell_changes(self, station: Station) -> None:
        """What has changed goes into metrics and log."""
        counts = Counter(station.counts)
        for what, count in (counts - self._counted).items():
            self.metrics.station.labels(what).inc(count)
            if what in ("refused", "alerts"):
                self._log.write(what, count=count, see="the dock's journal")
        self._counted = counts
        docked = frozenset(station.docked)
        for dev in sorted(docked - self._docked):
            self._log.write("docked", camera=dev)
        for dev in sorted(self._docked - docked):
            self._log.write("undocked", camera=dev)
        self._docked = docked
        self._troubles = dict(station.last_troubles)
        self.metrics.docked.set(len(docked))

    async def _in_thread(self, work: Callable[[], _Result]) -> _Result:
        """In the station's thread. What a dock cannot go on without ends the process, whoever was asking."""
        try:
            return await self._loop.run_in_executor(self._rules, work)
        except (StoreError, SignatureError, CatalogueError) as error:
            self._lost = error
            self._ending.set()
            raise


class _Desk:
    """The station, as the intake sees it."""

    def __init__(self, process: DockProcess, station: Station, clock: StationClock) -> None:
        self._process = process
        self._station = station
        self._clock = clock

    async def open_upload(self, dev: str, rec: str, seg: int, size: int) -> Upload:
        return await self._process.open_upload(
            lambda: self._station.open_upload(dev, rec, seg, size, self._clock.moment())
        )

    async def on_blob(self, blob: Blob, outcome: Outcome) -> None:
        await self._process.ask(self._station, lambda: self._station.on_blob(blob, outcome, self._clock.moment()))

    async def on_upload_failed(self, blob: Blob, error: BlobError) -> None:
        def tell() -> list[Message]:
            self._station.on_upload_failed(blob, error, self._clock.moment())
            return []

        await self._process.ask(self._station, tell)
