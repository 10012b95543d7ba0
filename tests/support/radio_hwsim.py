"""`python -m tests.support.radio_hwsim [FOLDER]`: the radio on mac80211_hwsim's air, as root, in a virtual machine.

Two radios of the kernel's: the camera's, with hw/radio.py over a real wpa_supplicant, and the dock's, with a real
hostapd, with the files of `temoin-fleet init` as they are. Each scene is a line on the standard output: its name, `ok`
or what failed, and how long it took in ms; then the times from contact to association. Exit code 0 if all are ok.

rfkill is one for the whole machine, and here two machines are in one: what the camera writes goes to a FIFO, and from
there, for its own radio, to the kernel.
"""

from __future__ import annotations

import os
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from agent.adapters.clock import SystemClock
from agent.model import RadioChanged, RadioFault
from hw.radio import WifiRadio
from tests.support.radio_bench import ASSOCIATED, OFF, SCENES, RadioBench, contact_associates, failed
from tests.support.radio_hosts import Hosts, access_points, agency_of_yesterday

LIMIT_S = 90
CONTACTS = 7
LEARNT_MS = 15_000
"""A contact that takes longer than this from touch to association leaves nothing of the 15 s to the first `ack`."""

_CHANGE, _EVENT = 2, "=IBBBB"


class Air(Hosts):
    """wlan0 is the camera's, wlan1 the dock's."""

    interface, driver = "wlan0", "nl80211"
    dock_interface = "wlan1"

    def __init__(self, camera: Path, folder: Path) -> None:
        super().__init__(camera, folder)
        self.rfkill = folder / "rfkill"
        os.mkfifo(self.rfkill)
        self._own = _rfkill_of(self.interface)
        threading.Thread(target=self._pass_on, daemon=True).start()

    def supplicant_conf(self, conf: str) -> str:
        return conf

    def hostapd_conf(self, conf: str) -> str:
        return re.sub("^interface=.*", f"interface={self.dock_interface}", conf, flags=re.MULTILINE)

    def is_silent(self) -> bool:
        return (self._own / "soft").read_text() == "1\n"

    def power_save(self) -> str:
        said = subprocess.run(["iw", "dev", self.interface, "get", "power_save"], capture_output=True, check=True)
        return said.stdout.decode().strip()

    def _pass_on(self) -> None:
        """For each event to the FIFO, one for the camera's radio to the kernel."""
        index = int((self._own / "index").read_text())
        events = os.open(self.rfkill, os.O_RDWR)
        with Path("/dev/rfkill").open("wb", buffering=0) as kernel:
            while event := os.read(events, struct.calcsize(_EVENT)):
                _, kind, _, soft, _ = struct.unpack(_EVENT, event)
                kernel.write(struct.pack(_EVENT, index, kind, _CHANGE, soft, 0))


def _rfkill_of(interface: str) -> Path:
    [found] = Path(f"/sys/class/net/{interface}/phy80211").glob("rfkill*")
    return found


@contextmanager
def bench_of(air: Air, docks: dict[str, Path | None]) -> Iterator[RadioBench]:
    def make(post: Callable[[RadioChanged], None]) -> WifiRadio:
        return WifiRadio(air.interface, SystemClock(), post, air.control, air.rfkill)

    def silent() -> bool:
        time.sleep(0.2)  # until what was written has come through the FIFO
        return air.is_silent()

    made = RadioBench(make, lambda kind: air.put(docks[kind]), lambda: air.put(None), silent, LIMIT_S)
    made.start()
    try:
        yield made
    finally:
        made.end()


def main(folder: Path) -> int:
    subprocess.run(["modprobe", "mac80211_hwsim", "radios=2"], check=True)
    own, others = (agency_of_yesterday(folder / name, name) for name in ("own", "others"))
    docks = access_points(own, others, folder)
    failures = 0
    taken_ms: list[int] = []
    for number, (name, scene) in enumerate(_scenes(taken_ms)):
        place = folder / f"scene-{number}"
        place.mkdir()
        with Air(own.folder / "cameras" / "cam-01", place) as air, bench_of(air, docks) as bench:
            began_ns = time.monotonic_ns()
            try:
                scene(bench, air)
                said = "ok"
            except AssertionError as error:
                said = f"FAILED: {error}"
                failures += 1
            print(f"{name} {said} {(time.monotonic_ns() - began_ns) // 1_000_000}", flush=True)
    if taken_ms:
        print(f"contact to association, ms: median {statistics.median(taken_ms):.0f}, all {taken_ms}", flush=True)
    return 1 if failures else 0


def _scenes(taken_ms: list[int]) -> Iterator[tuple[str, Callable[[RadioBench, Air], None]]]:
    for each in SCENES:
        yield each.__name__, partial(_on_the_air, each)
    yield "a_camera_is_no_access_point", _camera
    yield "power_save_is_off", _power_save
    yield "contact_to_association", partial(_times, taken_ms)


def _on_the_air(scene: Callable[[RadioBench], None], bench: RadioBench, air: Air) -> None:
    scene(bench)


def _camera(bench: RadioBench, air: Air) -> None:
    bench.air("camera")
    bench.radio.on()
    assert ASSOCIATED not in bench.until(failed(RadioFault.WRONG_DOCK))


def _power_save(bench: RadioBench, air: Air) -> None:
    bench.air("dock")
    bench.radio.on()
    bench.until(ASSOCIATED)
    until_s = time.monotonic() + LIMIT_S
    while air.power_save() != "Power save: off":
        assert time.monotonic() < until_s, air.power_save()
        time.sleep(0.1)


def _times(taken_ms: list[int], bench: RadioBench, air: Air) -> None:
    contact_associates(bench)
    for _ in range(CONTACTS):
        began_ns = time.monotonic_ns()
        bench.radio.on()
        bench.until(ASSOCIATED)
        taken_ms.append((time.monotonic_ns() - began_ns) // 1_000_000)
        bench.radio.off()
        bench.until(OFF)
    assert max(taken_ms) < LEARNT_MS


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1])))
    with tempfile.TemporaryDirectory() as scratch:
        sys.exit(main(Path(scratch)))
