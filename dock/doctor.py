"""`temoin-dock doctor`: what would keep this dock from working, each with what to do.

Guarantees: changes nothing, and works beside a running dock. It looks at configuration, certificates, policy, the
broker's answer, the clock (chrony's own bound against the one that dock.toml claims) and space.
"""

from __future__ import annotations

import subprocess
import threading
import time

from agent.adapters.disk import RealDisk
from agent.adapters.mqtt import MqttBroker
from agent.catalogue import say
from agent.errors import TemoinError
from agent.keys import check_chain, parse_certificate
from agent.model import Connected, Disconnected, Greeting, NetworkEvent
from dock.config import DockConfig
from dock.opening import Papers, load_papers, tls_files

ANSWER_S = 22  # a broker's port allows itself 20
CHRONY_S = 5
_ROOT_DELAY, _ROOT_DISPERSION, _LEAP = 10, 11, 13  # of `chronyc -c tracking`, counted from 0
LOW_BYTES = 24 * 1024**3  # a day of six cameras that record two hours each at 4 Mbit/s


def examine(config: DockConfig) -> tuple[list[str], bool]:
    """Lines for dock staff, and whether all is well."""
    language = config.language
    now_ms = time.time_ns() // 1_000_000
    lines: list[str] = []
    sound = True
    papers: Papers | None = None
    try:
        papers = load_papers(config, now_ms)
        lines.append(say("dock.doctor_papers", language, dock=config.dock, agency=config.agency))
    except TemoinError as error:
        lines.append(say("dock.doctor_wrong", language, problem=str(error)))
        sound = False
    for found in (
        None if papers is None else _broker(config, papers, now_ms, language),
        _clock(config, language),
        _space(config, language),
    ):
        if found is not None:
            lines.append(found[0])
            sound = sound and found[1]
    return lines, sound


def _broker(config: DockConfig, papers: Papers, now_ms: int, language: str) -> tuple[str, bool]:
    """Ask it for a connection under the dock's own certificate. A running dock would lose its own: then its answer
    stands for the broker's (both have one client id)."""
    if _is_running(config):
        return say("dock.doctor_running", language), True
    answered = threading.Event()
    events: list[NetworkEvent] = []

    def post(event: NetworkEvent) -> None:
        events.append(event)
        answered.set()

    def accept(peer: bytes) -> None:
        check_chain((parse_certificate(peer, "broker"),), papers.root, ("dock-tls",), "broker", now_ms)

    broker = MqttBroker(config.broker, tls_files(config), config.dock, accept, post)
    broker.connect(1, Greeting(f"temoin/1/{config.dock}/status", "", b""))
    answered.wait(ANSWER_S)
    broker.close(None)
    if events and isinstance(events[0], Connected):
        return say("dock.doctor_broker", language, broker=str(config.broker)), True
    why = events[0].why if events and isinstance(events[0], Disconnected) else "no answer"
    return say("dock.doctor_broker_wrong", language, why=why), False


def _is_running(config: DockConfig) -> bool:
    try:
        RealDisk(config.archive).lock()
    except TemoinError:
        return True
    return False


def _clock(config: DockConfig, language: str) -> tuple[str, bool]:
    bound_ms = _chrony_bound_ms()
    if bound_ms is None:
        return say("dock.doctor_clock_unknown", language, claimed=config.error_ms), False
    if bound_ms > config.error_ms:
        return say("dock.doctor_clock_wrong", language, bound=bound_ms, claimed=config.error_ms), False
    return say("dock.doctor_clock", language, bound=bound_ms, claimed=config.error_ms), True


def _chrony_bound_ms() -> int | None:
    """Root delay / 2 + root dispersion (RFC 5905, 11.2), None where chrony does not answer or is not synchronised."""
    try:
        done = subprocess.run(
            ["chronyc", "-c", "tracking"], capture_output=True, text=True, timeout=CHRONY_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return bound_of(done.stdout)


def bound_of(tracking: str) -> int | None:
    """The bound in milliseconds, rounded up, in what `chronyc -c tracking` says."""
    columns = tracking.strip().split(",")
    try:
        if columns[_LEAP] == "Not synchronised":
            return None
        seconds = float(columns[_ROOT_DELAY]) / 2 + float(columns[_ROOT_DISPERSION])
    except (IndexError, ValueError):
        return None
    return int(seconds * 1000) + 1


def _space(config: DockConfig, language: str) -> tuple[str, bool]:
    try:
        free_bytes = RealDisk(config.archive).free_bytes()
    except TemoinError as error:
        return say("dock.doctor_wrong", language, problem=str(error)), False
    free_gib = free_bytes // 1024**3
    if free_bytes < LOW_BYTES:
        return say("dock.doctor_space_low", language, free=free_gib), False
    return say("dock.doctor_space", language, free=free_gib), True
