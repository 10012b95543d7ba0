"""The rounds: what goes wrong, where. Each takes a world, plays, and returns how many faults it has put in."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from agent.adapters.signer import load_private_key
from agent.formats import wire
from agent.formats.canonical import Value
from agent.formats.fields import format_utc
from agent.formats.statement import Statement, compose
from firmware.certificates import sign
from tests.faults.checks import FaultsError, read_journal
from tests.faults.dock import FILLER, FULL, KILL
from tests.faults.others import clockless, fill_month, hostile, month
from tests.faults.wire import Link
from tests.faults.world import DEV, SEGMENTS, Spy, World
from tests.kills.image import Image
from tests.kills.traps import Fate, Trap
from tests.support.agency import DOCK

A_ROUND = 5
"""Faults that a round puts in, spread over one docking."""


def broker(world: World) -> int:
    """SIGKILL of Mosquitto."""
    world.start()
    world.touch()
    for number in range(A_ROUND):
        world.until_stored(number * SEGMENTS // A_ROUND)
        time.sleep(world.random.uniform(0, 0.4))
        world.mosquitto.kill()
        time.sleep(world.random.uniform(0, 0.5))
        world.mosquitto.start()
    world.finish()
    return A_ROUND


def dock(world: World) -> int:
    """SIGKILL of the dock before any of its steps; of its start too."""
    world.start()
    world.touch()
    killed = 0
    for number in range(A_ROUND + 1):
        world.until_stored(min(number, A_ROUND) * SEGMENTS // (A_ROUND + 2))
        world.dock.arm(world.random.randrange(1, 25), KILL)
        deadline = time.monotonic() + 4
        while world.dock.alive and time.monotonic() < deadline:
            time.sleep(0.01)
        if world.dock.alive:
            world.dock.disarm()
            time.sleep(0.05)
        if not world.dock.alive:
            killed += 1
            while not world.dock.alive:
                if world.random.random() < 0.3:
                    world.dock.arm(world.random.randrange(1, 6), KILL)
                    world.dock.start()
                    time.sleep(0.2)
                    killed += not world.dock.alive
                    world.dock.disarm()
                else:
                    world.dock.start()
    world.finish()
    return killed


def camera(world: World) -> int:
    """SIGKILL of the camera before any operation on its card while it docks, and at any moment."""
    world.start()
    for _ in range(A_ROUND):
        inside = world.random.choice(("Errands.step", "_Transfer._send", "Outbox.batch", "purge", "Journal.commit"))
        world.camera.arm(Trap(Fate.KILL, inside, world.random.randrange(1, 8), 0))
        world.touch()
        if not world.camera.died(world.random.uniform(0.5, 3)):
            world.camera.kill()
        world.start_camera()
    world.touch()
    world.finish()
    return A_ROUND


def cut(world: World) -> int:
    """Uploads are cut anywhere, the answer's side included."""
    size = max(path.stat().st_size for path in (world.camera.data / "segments").glob("*/*"))
    world.intake.bytes_a_second = 4_000_000
    world.intake.cut_after = [world.random.randrange(0, size + 4000) for _ in range(A_ROUND)]
    world.start()
    world.touch()
    world.finish()
    if world.intake.cuts < A_ROUND - 2:
        raise FaultsError(f"only {world.intake.cuts} uploads were cut")
    return world.intake.cuts


def full(world: World) -> int:
    """The archive's disk fills up before any step of the dock, and has space again a second later."""
    world.start()
    world.touch()
    filled = 0
    for number in range(A_ROUND):
        world.until_stored(number * SEGMENTS // (A_ROUND + 1))
        if world.on_card() == 0:
            break
        world.dock.arm(world.random.randrange(1, 12), FULL)
        deadline = time.monotonic() + 4
        while world.dock.armed and time.monotonic() < deadline:
            time.sleep(0.01)
        if world.dock.armed:
            world.dock.disarm()
        else:
            filled += 1
        time.sleep(world.random.uniform(0.3, 1.2))
        (world.dock.archive / FILLER).unlink(missing_ok=True)
        if not world.dock.alive:
            raise FaultsError("the dock ended on a full archive")
    world.finish()
    return filled


def clock(world: World) -> int:
    """The dock's clock is wrong: by minutes, days, years; before its certificates, too."""
    world.start()
    for _ in range(A_ROUND):
        seconds = world.random.choice((-7200, -90_000, -86400 * 40, 90, 90_000, 86400 * 40, 86400 * 365 * 30))
        world.dock.skew(seconds)
        world.touch()
        time.sleep(world.random.uniform(0.5, 1.2))
        world.camera.do("undock")
        time.sleep(0.3)
    world.dock.skew(None)
    world.touch()
    world.finish()
    return A_ROUND


def network(world: World, link: Link) -> int:
    """Delay, loss, reordering; the camera is parted from the dock and comes back."""
    link.delay_ms, link.jitter_ms, link.loss = 10, world.random.uniform(5, 60), world.random.uniform(0.005, 0.05)
    world.start()
    world.touch()
    for number in range(A_ROUND):
        world.until_stored(number * SEGMENTS // A_ROUND)
        time.sleep(world.random.uniform(0, 0.3))
        link.parted = True
        time.sleep(world.random.uniform(0.2, 2.5))
        link.parted = False
    world.finish()
    world.say(f"{link.dropped} packets lost, {link.reordered} overtaken")
    if not link.dropped or not link.reordered:
        raise FaultsError("the link has lost or reordered nothing")
    return A_ROUND


def messages(world: World) -> int:
    """Duplicate, late, replayed and forged messages to both sides, by somebody with the dock's rights at the broker."""
    world.mosquitto.start()
    spy = Spy(world)
    world.dock.start()
    world.start_camera()
    world.touch()
    world.until_stored(1)
    world.camera.do("undock")
    world.until("undock", lambda: "undock" in world.kinds())
    time.sleep(0.3)
    late = [each for each in spy.heard if each.payload]
    world.touch()
    world.until("docked again", lambda: world.kinds().count("dock") >= 2)
    said = 0
    for each in late:
        spy.say(each.topic, each.payload, each.properties)
        said += 1
    for each in [each for each in spy.heard if each not in late and each.payload][:40]:
        spy.say(each.topic, each.payload, each.properties)
        spy.say(each.topic, each.payload, each.properties)
        said += 2
    for topic, payload, properties in _forgeries(world, spy):
        spy.say(topic, payload, properties)
        said += 1
    with contextlib.suppress(FaultsError):
        world.until("refused entries", lambda: len(_refused(world)) >= 6, 5)
    world.finish()
    spy.close()
    causes = _refused(world)
    expected = {"statement_session", "statement_device", "statement_journal", "statement_dseq", "statement_signature"}
    if not expected <= causes:
        raise FaultsError(f"not refused: {expected - causes}")
    world.say(f"{said} messages; the camera refused {', '.join(sorted(causes))}")
    return said


def _refused(world: World) -> set[str]:
    entries = read_journal(world.camera.data).values()
    return {str(entry.body["cause"]) for entry in entries if entry.head.kind == "refused" and entry.body}


def _forgeries(world: World, spy: Spy) -> list[tuple[str, bytes, tuple[tuple[str, str], ...]]]:
    """Signed by the dock's own key for somebody or something else; and one that nobody signed."""
    genuine = next(
        each for each in reversed(spy.heard) if each.topic == wire.dock_topic(DEV) and b"/ack/" in each.payload
    )
    status = [wire.parse_status(each.payload) for each in spy.heard if each.topic == wire.status_topic(DEV)]
    session, jid = status[-1].session, status[-1].jid
    key = world.agency.dock_folder() / "dock.key"
    signing = load_private_key(key, None)

    def make(**changes: Value) -> bytes:
        value: dict[str, Value] = {
            "agency": world.agency.agency,
            "dock": DOCK,
            "dev": DEV,
            "jid": jid,
            "dseq": 1 << 45,
            "session": session,
            "utc": format_utc(time.time_ns() // 1_000_000),
            "seq": 3,
            "head": "7" * 64,
            **changes,
        }
        text = compose("ack", value)
        return Statement("ack", value, text, sign(signing, text)).line

    topic, chain = wire.dock_topic(DEV), genuine.properties
    forged = make()
    return [
        (topic, make(session="a" * 32), chain),
        (topic, make(dev="cam-02"), chain),
        (topic, make(jid="b" * 32), chain),
        (topic, make(dseq=1), chain),
        (topic, _unsigned(forged), chain),
        (topic, b"nonsense", chain),
        (wire.journal_topic("cam-02"), *_batch(spy)),
        (wire.journal_topic(DEV), b"nonsense\n", (("first", "0"), ("prev", "0" * 64))),
    ]


def _unsigned(line: bytes) -> bytes:
    """The same statement with another number: the signature is of another text."""
    return line.replace(b'"seq":3', b'"seq":4')


def _batch(spy: Spy) -> tuple[bytes, tuple[tuple[str, str], ...]]:
    found = next(each for each in spy.heard if each.topic == wire.journal_topic(DEV))
    return found.payload, found.properties


def contact(world: World) -> int:
    """From contact to the first answer, and what undocking in the middle of an upload costs."""
    world.mosquitto.start()
    spy = Spy(world)
    world.dock.start()
    world.start_camera()
    began = time.monotonic()
    world.touch()
    world.until("an ack", lambda: any(b"temoin/ack/1" in each.payload for each in spy.heard), 10)
    took = time.monotonic() - began
    if took > 3:
        raise FaultsError(f"{took:.2f} s from contact to the first ack")
    world.until_stored(1)
    world.camera.do("undock")
    world.until("undock", lambda: "undock" in world.kinds())
    stored = world.stored()
    world.touch()
    world.finish()
    kept = [event for event in world.dock.events() if event["event"] == "stored" and event["outcome"] == "stored"]
    begun = world.intake.connections  # what was under way may have been stored all the same: then once more
    if len(kept) != SEGMENTS or begun > SEGMENTS + 1:
        raise FaultsError(f"{begun} uploads begun for {SEGMENTS} segments, {len(kept)} kept")
    world.say(f"first ack after {took:.2f} s; undocked at {stored} segments: {begun - SEGMENTS} uploads again")
    spy.close()
    return 1


KINDS: dict[str, Callable[[World], int]] = {
    "broker": broker,
    "dock": dock,
    "camera": camera,
    "cut": cut,
    "full": full,
    "clock": clock,
    "messages": messages,
    "contact": contact,
    "hostile": hostile,
    "clockless": clockless,
    "month": month,
}
MEASURES = frozenset({"contact", "clockless", "month"})
"""Kinds whose rounds prove something else than that so many faults do no harm; played once."""
NETWORK = "network"


def play(kind: str, folder: Path, film: Path, seed: str, number: int, say: Callable[[str], None]) -> int:
    """One round in `folder`. Returns the number of faults; raises whatever did not hold."""
    link = Link(f"tf{number}", number, seed) if kind == NETWORK else None
    image = None
    try:
        if kind == "full":
            image = Image(folder / "archive.img", 420)
            image.mount()
        archive = None if image is None else image.mounted
        world = World(
            folder,
            film,
            seed,
            say,
            link=link,
            archive=archive,
            more=fill_month if kind == "month" else None,
            rtc=kind != "clockless",
        )
        try:
            return network(world, link) if link is not None else KINDS[kind](world)
        finally:
            world.close()
            if image is not None:
                image.unmount()
    finally:
        if link is not None:
            link.close()
