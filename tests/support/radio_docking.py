"""`python -m tests.support.radio_docking [FOLDER]`: contact to the first `ack` over mac80211_hwsim's air, as root.

A camera and a dock in two network namespaces: hw/radio.py over wpa_supplicant, `temoin run` on a simulated board;
hostapd, Mosquitto and `temoin-dock run`. The files are those of `temoin-fleet init`, but that the dock listens to its
network. Addresses are fixed: there is no systemd in the machine, and so no DHCP. The standard output has a line a
contact: ms to the association, and to the first `ack`; at that moment the camera is pulled out, in the middle of what a
docking does. Exit code 0 if every first `ack` came within 15 s, but for the first contact's, which loads the programs.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent.adapters.clock import SystemClock
from hw.radio import WifiRadio
from hw.sim.control import send
from tests.support.agency import TestAgency, make_agency
from tests.support.footage import make_footage
from tests.support.radio_bench import ASSOCIATED, OFF, RadioBench
from tests.support.radio_hosts import access_points, ip, run, stop
from tests.support.radio_hwsim import Air

DOCK_SPACE = "dock"
CAMERA_ADDRESS, DOCK_ADDRESS = "10.84.0.2", "10.84.0.1"
CONTACTS = 5
START_S = 120
FIRST_ACK_MS = 15_000
POLL_S = 0.02


class AirOfTwo(Air):
    """The dock's radio is in a network namespace of its own."""

    def host(self, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        return run(["ip", "netns", "exec", DOCK_SPACE, *command], folder)


def main(folder: Path) -> int:
    subprocess.run(["modprobe", "mac80211_hwsim", "radios=2"], check=True)
    agency = _agency(folder)
    _networks()
    docks = access_points(agency, agency, folder)
    camera = agency.folder / "cameras" / "cam-01"
    with _dock(agency.dock_folder()), AirOfTwo(camera, folder) as air, _agent(camera) as agent:
        bench = RadioBench(
            lambda post: WifiRadio(air.interface, SystemClock(), post, air.control, air.rfkill),
            lambda kind: air.put(docks[kind]),
            lambda: air.put(None),
            air.is_silent,
            START_S,
        )
        bench.start()
        try:
            return _contacts(bench, agent)
        finally:
            bench.end()


def _contacts(bench: RadioBench, agent: _Agent) -> int:
    bench.air("dock")
    worst_ms = 0
    for number in range(CONTACTS + 1):
        began_ns = time.monotonic_ns()
        bench.radio.on()
        bench.until(ASSOCIATED)
        associated_ns = time.monotonic_ns()
        agent.says("dock")
        agent.until(lambda docking: isinstance(docking, dict) and docking["position"] > 0)
        acknowledged_ns = time.monotonic_ns()
        to_ack_ms = (acknowledged_ns - began_ns) // 1_000_000
        print(f"contact {number}: associated {(associated_ns - began_ns) // 1_000_000}, ack {to_ack_ms}", flush=True)
        if number > 0:  # the first one loads what a docking needs, in a machine that is emulated
            worst_ms = max(worst_ms, to_ack_ms)
        bench.radio.off()
        bench.until(OFF)
        agent.says("undock")
        agent.until(lambda docking: docking is None)
    print(f"contact to the first ack, worst of {CONTACTS}: {worst_ms} ms", flush=True)
    return 0 if worst_ms <= FIRST_ACK_MS else 1


class _Agent:
    """`temoin run`."""

    def __init__(self, camera: Path) -> None:
        self._camera = camera
        self._command = [sys.executable, "-m", "agent.cli"]
        self.process = run_python(
            [*self._command, "run", "--config", str(camera / "camera.toml")], camera / "agent.log"
        )

    def says(self, action: str) -> None:
        """Whoever plays the board's contact."""
        send(self._camera / "run", action, ())

    def until(self, wanted: Callable[[object], bool]) -> None:
        deadline = time.monotonic() + START_S
        while True:
            with contextlib.suppress(OSError, ValueError):
                status = json.loads((self._camera / "run" / "status.json").read_text())
                if wanted(status["docking"]):
                    return
            assert self.process.poll() is None, (self._camera / "agent.log").read_text()
            assert time.monotonic() < deadline, (self._camera / "agent.log").read_text()
            time.sleep(POLL_S)


@contextlib.contextmanager
def _agent(camera: Path) -> Iterator[_Agent]:
    agent = _Agent(camera)
    try:
        agent.until(lambda docking: docking is None)
        yield agent
    finally:
        stop(agent.process)


@contextlib.contextmanager
def _dock(folder: Path) -> Iterator[None]:
    """Broker and dock, in the dock's namespace; ready when the dock says so."""
    inside = ["ip", "netns", "exec", DOCK_SPACE]
    broker = run([*inside, shutil.which("mosquitto", path="/usr/sbin") or "mosquitto", "-c", "mosquitto.conf"], folder)
    log = folder / "dock.log"
    dock = run_python([*inside, sys.executable, "-m", "dock.cli", "run", "--config", str(folder / "dock.toml")], log)
    try:
        deadline = time.monotonic() + START_S
        health = ["ip", "netns", "exec", DOCK_SPACE, sys.executable, "-c", _HEALTHY]
        while subprocess.run(health, capture_output=True, check=False).returncode != 0:
            assert dock.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.5)
        yield
    finally:
        stop(dock)
        stop(broker)


_HEALTHY = "import urllib.request as u; u.urlopen('http://127.0.0.1:9464/health', timeout=5)"


def run_python(command: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("ab") as out:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)


def _agency(folder: Path) -> TestAgency:
    film = make_footage(folder / "film.mp4", frames=50)
    now_ms = time.time_ns() // 1_000_000_000 * 1000
    agency = make_agency(
        folder, footage=film, radio=True, now_ms=now_ms, host=DOCK_ADDRESS, broker_port=8883, intake_port=8443
    )
    for name in ("mosquitto.conf", "dock.toml"):
        path = agency.dock_folder() / name
        text = path.read_text().replace("listener 8883 127.0.0.1", "listener 8883")
        path.write_text(text.replace('listen = "127.0.0.1:8443"', f'listen = "{DOCK_ADDRESS}:8443"'))
    return agency


def _networks() -> None:
    phy = Path(f"/sys/class/net/{Air.dock_interface}/phy80211").readlink().name
    ip("netns", "add", DOCK_SPACE)
    subprocess.run(["iw", "phy", phy, "set", "netns", "name", DOCK_SPACE], check=True)
    ip("-n", DOCK_SPACE, "link", "set", "lo", "up")
    ip("-n", DOCK_SPACE, "addr", "add", f"{DOCK_ADDRESS}/24", "dev", Air.dock_interface)
    ip("addr", "add", f"{CAMERA_ADDRESS}/24", "dev", Air.interface)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch)))
