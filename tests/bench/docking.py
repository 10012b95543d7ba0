"""A docking: journal and segments of a real camera against bare paho and curl, and what the dock by itself takes in."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from agent.adapters.disk import RealDisk
from agent.adapters.tls import client_context
from agent.formats import wire
from agent.formats.age import CHUNK_BYTES
from agent.formats.entries import parse_line
from agent.formats.fields import integer_of, text_of
from agent.formats.statement import Statement
from agent.store.lines import JournalLines
from agent.store.outbox import Outbox
from agent.store.segments import segment_path
from tests.bench.camera import boot_ns, ms_between, seconds_between
from tests.bench.docked import DEV, Card, Station
from tests.bench.place import Place
from tests.bench.table import MIN_RUNS, Row, against, alternate, median, ratios, spread, tail
from tests.support.brokers import accept_anybody, camera_files
from tests.support.dock_process import HandCamera

ENTRIES, QUICK_ENTRIES = 20_000, 4_000
SEGMENTS, QUICK_SEGMENTS = 4, 2
FRAGMENTS, FRAGMENT_BYTES = 15, 17 * CHUNK_BYTES
"""A segment of a little under 16 MiB."""
RECEIPTS, QUICK_RECEIPTS = 100, 30
SMALL_FRAGMENTS = 4
UNDER_WAY = 8
JOURNAL_LIMIT, UPLOAD_LIMIT, CONTACT_LIMIT_MS = 0.5, 0.8, 3_000
ROOT = Path(__file__).parents[2]


def rows(place: Place) -> Iterator[Row]:
    station = Station(place.fresh("docking"), place)
    with station.running():
        contacts: list[float] = []
        card = station.journal_card(QUICK_ENTRIES if place.quick else ENTRIES)
        yield from _journal(station, card, contacts)
        yield from _upload(station, QUICK_SEGMENTS if place.quick else SEGMENTS, contacts)
        yield Row(
            "contact to first ack, loopback",
            spread(contacts, "ms"),
            "-",
            f"{CONTACT_LIMIT_MS} ms",
            max(contacts) <= CONTACT_LIMIT_MS,
            "`temoin run`, from `temoin sim contact` to the dock's statement at the broker; sync is loaded then.",
        )
        yield from _ingest(station, card, place.quick)


# --- journal ----------------------------------------------------------------------------------------------------------


def _journal(station: Station, card: Card, contacts: list[float]) -> Iterator[Row]:
    sizes = [len(batch.payload) for batch in _batches(card)]
    sizes_file = station.agency.folder.parent / "sizes.json"
    sizes_file.write_text(json.dumps(sizes))

    def ours() -> float:
        with station.docking() as ear, station.camera(card) as camera:
            touched_ns = camera.do("contact")
            first_ns = ear.until(lambda said: said.name == "ack", touched_ns)
            contacts.append(ms_between(touched_ns, first_ns))
            last_ns = ear.until(lambda said: said.name == "ack" and integer_of(said.value, "seq") >= card.last)
        return card.journal_bytes / 1e6 / seconds_between(first_ns, last_ns)

    def peer() -> float:
        return sum(sizes) / 1e6 / _bare(station, sizes_file)

    mine, theirs = alternate(MIN_RUNS, ours, peer)
    ratio = ratios(mine, theirs)
    entries = [rate * 1e6 / card.journal_bytes * (card.last + 1) for rate in mine]
    yield Row(
        f"journal sync, {card.last + 1} entries in {len(sizes)} batches",
        spread(mine, "MB/s", 1),
        against("bare paho", theirs, "MB/s", ratio, 1),
        f"{JOURNAL_LIMIT} of bare paho or better",
        median(ratio) >= JOURNAL_LIMIT,
        f"{spread(entries, 'entries/s')}. From the first ack to that of the last entry; each entry parsed, its chain "
        "and signature checked, archived, an fsync a batch. The peer: the same payloads through the same broker at "
        "QoS 1, looked into by nobody.",
    )


def _batches(card: Card) -> Iterator[wire.Batch]:
    """As a camera makes them."""
    disk = RealDisk(card.folder)
    outbox, first = Outbox(disk), JournalLines(disk).oldest()
    while first <= card.last:
        found = outbox.batch(first, card.last)
        assert found is not None
        yield found.batch
        first = found.last + 1


def _bare(station: Station, sizes: Path) -> float:
    """Seconds from the first `publish` to the last message."""

    def run(what: str, folder: Path, name: str) -> subprocess.Popen[str]:
        topic = wire.journal_topic(DEV)
        arguments = [what, str(station.mosquitto.port), str(folder), name, topic, str(sizes)]
        command = [sys.executable, "-m", "tests.bench.bare_mqtt", *arguments]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)

    with run("hear", station.agency.dock_folder(), "dock-01") as hearing:
        assert hearing.stdout is not None
        assert hearing.stdout.readline() == "ready\n"
        with run("publish", station.agency.camera_folder(DEV), DEV) as publishing:
            assert publishing.stdout is not None
            began_ns = int(publishing.stdout.readline())
            ended_ns = int(hearing.stdout.readline())
    return seconds_between(began_ns, ended_ns)


# --- segments ---------------------------------------------------------------------------------------------------------


def _upload(station: Station, segments: int, contacts: list[float]) -> Iterator[Row]:
    card = station.segment_card(segments, FRAGMENTS, FRAGMENT_BYTES)
    size = sum(path.stat().st_size for path in (card.folder / "segments").glob("*/*"))

    def ours() -> float:
        with station.docking() as ear, station.camera(card) as camera:
            touched_ns = camera.do("contact")
            contacts.append(ms_between(touched_ns, ear.until(lambda said: said.name == "ack", touched_ns)))
            began_ns = ear.until(lambda said: said.name == "ticket")
            for _ in range(segments):
                ended_ns = ear.until(lambda said: said.name == "receipt")
        return size / 1e6 / seconds_between(began_ns, ended_ns)

    def peer() -> float:
        with station.docking() as ear:
            hand = _hand_over(station, card)
            took = 0.0
            for _ in range(segments):
                took += _curl(station, card, hand.hear("ticket"))
            hand.broker.close(None)
            ear.until(lambda said: said.name == "receipt")
        return size / 1e6 / took

    mine, theirs = alternate(MIN_RUNS, ours, peer)
    ratio = ratios(mine, theirs)
    yield Row(
        f"upload, {segments} segments of {size / segments / 2**20:.1f} MiB",
        spread(mine, "MB/s"),
        against("curl -T", theirs, "MB/s", ratio),
        f"{UPLOAD_LIMIT} of curl -T or better",
        median(ratio) >= UPLOAD_LIMIT,
        "One at a time on both sides, to the same intake, TLS 1.3. From the first ticket to the last receipt, whatever "
        "the camera journals besides; of curl its own `time_total`, without its start and without `Expect`.",
    )


def _hand_over(station: Station, card: Card) -> HandCamera:
    """A docking by hand, up to where tickets come."""
    hand = HandCamera(station.dock, card.folder)
    hand.connect()
    hand.session = os.urandom(16).hex()  # the broker still has the last question of the run before
    newest = _newest(card)
    status = wire.Status(
        DEV, newest[0], hand.session, os.urandom(16).hex(), wire.StatusState.DOCKED, card.last, newest[1], 0
    )
    hand.say(wire.status_topic(DEV), status.encode(), retained=True)
    hand.hear("ack")
    for batch in _batches(card):
        hand.say(wire.journal_topic(DEV), batch.payload, batch.properties)
    return hand


def _newest(card: Card) -> tuple[str, str]:
    """Journal and head of the last entry."""
    path = max((card.folder / "journal").iterdir())
    entry = parse_line(path.read_bytes().splitlines(keepends=True)[-1])
    assert entry.head.seq == card.last
    return entry.head.jid, entry.digest.hex()


def _curl(station: Station, card: Card, ticket: Statement) -> float:
    """Seconds, by its own account; the answer is 201."""
    files = camera_files(station.agency, DEV)
    command = ["curl", "--silent", "--show-error", "--insecure", "--tlsv1.3", "--header", "Expect:"]
    command += ["--cert", str(files.certificate), "--key", str(files.key), "--write-out", "%{http_code} %{time_total}"]
    command += ["--upload-file", str(card.folder / _path(ticket)), text_of(ticket.value, "url")]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    code, seconds = said.rpartition("}")[2].split()
    assert code == "201", said
    return float(seconds)


def _path(said: Statement) -> str:
    return segment_path(text_of(said.value, "rec"), integer_of(said.value, "seg"))


# --- the dock by itself -----------------------------------------------------------------------------------------------


def _ingest(station: Station, journal: Card, quick: bool) -> Iterator[Row]:
    rates: list[float] = []
    for _ in range(MIN_RUNS):
        with station.docking() as ear:
            began_ns = boot_ns()
            hand = _hand_over(station, journal)
            last_ns = ear.until(lambda said: said.name == "ack" and integer_of(said.value, "seq") >= journal.last)
            hand.broker.close(None)
        rates.append((journal.last + 1) / seconds_between(began_ns, last_ns))
    yield Row(
        "dock ingest, journal",
        spread(rates, "entries/s"),
        note="From the connection to the last ack; the batches are given to it as fast as it takes them.",
    )
    count = QUICK_RECEIPTS if quick else RECEIPTS
    card = station.segment_card(count, SMALL_FRAGMENTS, FRAGMENT_BYTES)
    size = next((card.folder / "segments").glob("*/*")).stat().st_size
    waits: list[float] = []
    with station.docking() as ear:
        hand = _hand_over(station, card)
        for _ in range(count):
            ticket = hand.hear("ticket")
            sent_ns = _put(station, card, ticket)
            received_ns = ear.until(partial(_is_receipt, ticket.value["blob"]))
            waits.append(ms_between(sent_ns, received_ns))
        hand.broker.close(None)
    yield Row(
        f"dock ingest, {count} segments of {size / 2**20:.1f} MiB: last byte to receipt",
        tail(waits, "ms", 1),
        note="The last byte given to the kernel, until the receipt is heard at the broker: hash, fsync of the file, "
        "rename, fsync of its folder, the dock's journal signed and fsynced.",
    )


def _is_receipt(blob: object, said: Statement) -> bool:
    return said.name == "receipt" and said.value["blob"] == blob


def _put(station: Station, card: Card, ticket: Statement) -> int:
    """When the last byte was sent."""
    url = urlsplit(text_of(ticket.value, "url"))
    data = (card.folder / _path(ticket)).read_bytes()
    context = client_context(camera_files(station.agency, DEV), accept_anybody)
    connection = http.client.HTTPSConnection(url.hostname or "", url.port, context=context)
    connection.putrequest("PUT", url.path)
    connection.putheader("Content-Length", str(len(data)))
    connection.endheaders()
    connection.send(data)
    sent_ns = boot_ns()
    with connection.getresponse() as answer:
        assert answer.status == 201, answer.status
    connection.close()
    return sent_ns
