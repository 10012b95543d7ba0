"""Rounds that are not one fault five times: a hostile camera, a camera without a clock, a month off-line."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from pathlib import Path

from agent.adapters.mqtt import MqttBroker
from agent.adapters.tls import client_context
from agent.evidence.verify import verify
from agent.formats import wire
from agent.model import Arrived, Connected, Message, PublishRefused
from agent.toml_table import Address
from tests.faults.checks import FaultsError, read_journal
from tests.faults.world import DEV, Spy, World
from tests.support.brokers import accept_anybody, camera_files, greeting_of
from tests.support.evidence import Builder
from tests.support.posts import Posts

HOSTILE = "cam-02"
MONTH = 86400 * 31
OFF_LINE = 50_000
A_FILE = 5_000
MIB = 1024 * 1024
MAX_GROWTH_BYTES = 48 * MIB
NOT_AUTHORISED = 0x87


def rss_bytes(pid: int) -> int:
    """What a process has in memory now."""
    return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * 4096


def hostile(world: World) -> int:
    """Another camera's valid certificate tries every topic, URL, ticket; large, slow and endless requests."""
    world.start()
    world.touch()
    world.until_stored(1)
    assert world.dock.process is not None
    pid = world.dock.process.pid
    before = rss_bytes(pid)
    refused = _topics(world)
    rec = next((world.archive / "segments").iterdir()).name
    size = next((world.archive / "segments" / rec).iterdir()).stat().st_size
    paths = [f"/blobs/{rec}/0000", f"/blobs/{rec}/0001", f"/blobs/{rec}/9999", "/", "/metrics", "/health"]
    paths += [f"/blobs/../../{rec}/0000", f"/blobs/%2e%2e/{rec}/0000", f"/blobs/{rec}/0000/../0001", "//blobs/x/0000"]
    for path in paths:
        for method in ("PUT", "GET", "POST", "DELETE"):
            for length in (size, 0, 1 << 50):
                status = _ask(
                    world, f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode()
                )
                if status is not None and status < 400:
                    raise FaultsError(f"{method} {path}: {status}")
                refused += 1
    huge = b"X-A: " + b"a" * 4000 + b"\r\n"
    for head in (
        b"PUT /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
        b"PUT / HTTP/1.1\r\n" + huge * 5000 + b"\r\n",
        b"\0" * 65536,
    ):
        status = _ask(world, head)
        if status is not None and status < 400:
            raise FaultsError(f"a malformed head: {status}")
        refused += 1
    slow = [threading.Thread(target=_drip, args=(world, rec, size)) for _ in range(12)]
    for each in slow:
        each.start()
    peak = max(before, rss_bytes(pid))
    for each in slow:
        each.join()
    grown = max(peak, rss_bytes(pid)) - before
    if grown > MAX_GROWTH_BYTES:
        raise FaultsError(f"the dock has grown by {grown / MIB:.0f} MiB")
    logged = [event for event in world.dock.events() if event["event"] == "refused"]
    if not logged:
        raise FaultsError("the dock has logged no refusal")
    world.finish()
    if (world.dock.archive / HOSTILE).exists():
        raise FaultsError("something of the hostile camera is in the archive")
    world.say(f"{refused} refused, {len(logged)} logged; the dock grew by {grown / MIB:.1f} MiB")
    return refused


def _topics(world: World) -> int:
    """Says things in another camera's name, and the dock's; listens to all. Returns how many were refused."""
    posts = Posts()
    broker = MqttBroker(
        Address("127.0.0.1", world.mosquitto.port), camera_files(world.agency, HOSTILE), HOSTILE, accept_anybody, posts
    )
    broker.connect(1, greeting_of(HOSTILE))
    posts.wait_for(Connected)
    topics = [wire.status_topic(DEV), wire.journal_topic(DEV), wire.dock_topic(DEV), wire.dock_topic(HOSTILE), "a/b"]
    for number, topic in enumerate(topics):
        broker.publish(Message(number, topic, b"{}", (), False))
        if posts.wait_for(PublishRefused).reason_code != NOT_AUTHORISED:
            raise FaultsError(f"{topic}: not refused")
    broker.close(None)
    if any(isinstance(event, Arrived) for event in posts.passed):
        raise FaultsError("somebody else's messages arrived")
    return len(topics)


def _connect(world: World) -> ssl.SSLSocket:
    context = client_context(camera_files(world.agency, HOSTILE), accept_anybody)
    return context.wrap_socket(socket.create_connection(("127.0.0.1", world.intake.port), timeout=10))


def _ask(world: World, request: bytes) -> int | None:
    """The status that answers, None if the connection was closed without one."""
    with contextlib.suppress(OSError), _connect(world) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request)
        answer = connection.recv(200).split(b" ")
        return int(answer[1]) if len(answer) > 1 else None
    return None


def _drip(world: World, rec: str, size: int) -> None:
    """A body that never comes, a byte at a time."""
    with contextlib.suppress(OSError), _connect(world) as connection:
        connection.sendall(f"PUT /blobs/{rec}/0000 HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(30):
            connection.sendall(b"x")
            time.sleep(0.1)


def clockless(world: World) -> int:
    """A board without a clock docks and has its time; an old beacon does nothing; a step of a month is disputed."""
    world.mosquitto.start()
    spy = Spy(world)
    world.dock.start()
    world.start_camera()
    world.touch()
    world.until_done()
    world.camera.do("undock")
    world.until("undock", lambda: "undock" in world.kinds())
    entries = [entry for _, entry in sorted(read_journal(world.camera.data).items())]
    boot = [entry for entry in entries if entry.head.stamp.boot == entries[-1].head.stamp.boot]
    early = [entry for entry in boot if entry.head.stamp.source.value not in ("beacon",)]
    if not early or boot[-1].head.stamp.source.value != "beacon":
        raise FaultsError("the camera had a time before it docked, or none after it")
    beacons = [each for each in spy.heard if each.topic == wire.dock_topic(DEV) and b"temoin/beacon/1" in each.payload]
    world.dock.skew(MONTH)
    world.touch()
    world.until("docked again", lambda: world.kinds().count("dock") == 2)
    said = world.kinds().count("beacon")
    for each in beacons:
        spy.say(each.topic, each.payload, each.properties)
    world.until(
        "a dispute",
        lambda: any(
            "disput" in str(entry.body) or entry.head.stamp.source.value == "disputed"
            for entry in read_journal(world.camera.data).values()
        ),
        20,
    )
    world.dock.skew(None)
    if world.kinds().count("beacon") > said + 1:
        raise FaultsError("a replayed beacon was taken")
    world.finish()
    spy.close()
    report = verify(world.camera.data, world.agency.root_pem, now_ms=time.time_ns() // 1_000_000)
    if "disputed" not in {reason.code for reason in report.reasons}:
        raise FaultsError("verify does not show what is disputed")
    world.say(f"{len(early)} entries before the time came; {report.bracket}; " + "; ".join(map(str, report.reasons)))
    return 3


def fill_month(made: Builder) -> None:
    """OFF_LINE entries of a camera that is used and never docks."""
    for number in range(OFF_LINE):
        if number % A_FILE == A_FILE - 1:
            made.rotate()
        made.append("selftest", {"checks": []})


def month(world: World) -> int:
    """Sync of OFF_LINE entries in bounded memory, which goes on where it was after an interruption."""
    world.start()
    world.camera.wait_for("ready", seconds=60)
    assert world.dock.process is not None
    pids = (world.camera.pid, world.dock.process.pid)
    world.touch()
    world.until("docked", lambda: _position(world) > 0)
    before = [rss_bytes(pid) for pid in pids]
    peak, began = list(before), time.monotonic()

    def grow() -> int:
        peak[:] = [max(old, rss_bytes(pid)) for old, pid in zip(peak, pids, strict=True)]
        return _position(world)

    world.until("half of it", lambda: grow() > OFF_LINE // 2)
    world.mosquitto.kill()
    there = _position(world)
    world.mosquitto.start()
    spy = Spy(world)
    world.until("all of it", lambda: grow() >= OFF_LINE, 200)
    took = time.monotonic() - began
    firsts = [int(dict(each.properties)["first"]) for each in spy.heard if each.topic == wire.journal_topic(DEV)]
    world.finish()
    spy.close()
    grown = [(high - low) / MIB for high, low in zip(peak, before, strict=True)]
    if firsts and min(firsts) < there - 10_000:
        raise FaultsError(f"began again at {min(firsts)} after {there}")
    if max(grown) * MIB > MAX_GROWTH_BYTES:
        raise FaultsError(f"camera and dock grew by {grown} MiB")
    world.say(
        f"{OFF_LINE} entries in {took:.1f} s; interrupted at {there}, went on at {min(firsts, default=there)}; "
        f"camera +{grown[0]:.1f} MiB, dock +{grown[1]:.1f} MiB"
    )
    return 1


def _position(world: World) -> int:
    docking = world.camera.status().get("docking")
    return int(docking["position"]) if isinstance(docking, dict) else 0
