"""A real wpa_supplicant and a real hostapd, with the files and certificates of `temoin-fleet init`.

On two ends of a wire: IEEE 802.1X as on the air, EAP-TLS included, but for what a wire does not have: name, channel and
ciphers of a network. Or on the air (tests/support/radio_hwsim.py). As root; needs the packages wpasupplicant, hostapd
and iproute2, and for the wire a kernel with veth.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.agency import TestAgency, make_agency
from tests.support.interop import tool

LIMIT_S = 20
DAY_MS = 24 * 3600 * 1000
CAMERA_END, DOCK_END = (f"tm{os.getpid()}{end}" for end in "cd")  # another run on this computer has its own
OVER_THE_AIR = re.compile(
    r"^\s*(ssid|scan_freq|freq_list|key_mgmt|proto|pairwise|group|ieee80211w|country|p2p_disabled|interface|driver|country_code|ieee80211d"
    r"|hw_mode|channel|ieee80211n|wmm_enabled|max_num_sta|ap_isolate|auth_algs|wpa|wpa_key_mgmt|rsn_pairwise)=.*\n",
    re.MULTILINE,
)


def agency_of_yesterday(parent: Path, seed: str) -> TestAgency:
    """By this computer's clock, which hostapd goes by. Two of different seeds have the same names and other keys."""
    parent.mkdir(exist_ok=True)
    now_ms = time.time_ns() // 1_000_000 - DAY_MS
    return make_agency(parent, simulated=False, radio=True, now_ms=now_ms, seed=seed)


def access_points(own: TestAgency, others: TestAgency, folder: Path) -> dict[str, Path | None]:
    """Folders of docks, as RadioBench names them; `camera` shows a camera's certificate."""
    dock = own.folder / "docks" / "dock-01"
    refuses, stranger, camera = (folder / name for name in ("refuses", "stranger", "camera"))
    for made in (refuses, stranger, camera):
        shutil.copytree(dock, made)
    shutil.copy(others.folder / "ca" / "agency.pem", refuses / "agency.pem")
    for suffix in ("pem", "key"):
        shutil.copy(others.folder / "docks" / "dock-01" / f"dock-tls.{suffix}", stranger)
        shutil.copy(own.folder / "cameras" / "cam-01" / f"camera-tls.{suffix}", camera / f"dock-tls.{suffix}")
    return {"dock": dock, "nothing": None, "refuses": refuses, "stranger": stranger, "camera": camera}


class Hosts(ABC):
    """Both programs. `camera` is the folder of one; `put` says whose access point is there."""

    interface: str
    driver: str

    def __init__(self, camera: Path, folder: Path) -> None:
        self.control = folder / "control"
        self._camera = camera
        self._hostapd: subprocess.Popen[bytes] | None = None
        self._supplicant: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.put(None)
        self.kill()

    def start(self) -> None:
        """wpa_supplicant."""
        conf = (self._camera / "wpa_supplicant.conf").read_text()
        conf = re.sub("ctrl_interface=.*", f"ctrl_interface=DIR={self.control}", conf)  # no group temoin here
        (self._camera / "used.conf").write_text(self.supplicant_conf(conf))
        command = ["wpa_supplicant", f"-D{self.driver}", f"-i{self.interface}", "-c", "used.conf"]
        self._supplicant = run(command, self._camera)

    def kill(self) -> None:
        """wpa_supplicant, with SIGKILL."""
        if self._supplicant is not None:
            self._supplicant.kill()
            self._supplicant.wait(LIMIT_S)
            self._supplicant = None
        shutil.rmtree(self.control, ignore_errors=True)

    def put(self, dock: Path | None) -> None:
        """This dock's access point, or none, in place of the one before."""
        if self._hostapd is not None:
            stop(self._hostapd)
            self._hostapd = None
        if dock is not None:
            (dock / "used.conf").write_text(self.hostapd_conf((dock / "hostapd.conf").read_text()))
            self._hostapd = self.host(["hostapd", "used.conf"], dock)

    def host(self, command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
        """Start it where the dock is."""
        return run(command, folder)

    @abstractmethod
    def supplicant_conf(self, conf: str) -> str:
        """The file of `init` as it is used here."""

    @abstractmethod
    def hostapd_conf(self, conf: str) -> str: ...


class Wire(Hosts):
    """Camera's end and dock's end. What is written to rfkill stands in the file `rfkill`."""

    interface, driver = CAMERA_END, "wired"

    def __init__(self, camera: Path, folder: Path) -> None:
        super().__init__(camera, folder)
        self.rfkill = folder / "rfkill"
        self.rfkill.write_bytes(b"")

    def __enter__(self) -> Self:
        with contextlib.suppress(subprocess.CalledProcessError):  # of a run that was killed
            ip("link", "del", CAMERA_END)
        ip("link", "add", CAMERA_END, "type", "veth", "peer", "name", DOCK_END)
        for end in (CAMERA_END, DOCK_END):
            ip("link", "set", end, "up")
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        ip("link", "del", CAMERA_END)

    def supplicant_conf(self, conf: str) -> str:
        wired = OVER_THE_AIR.sub("", conf)
        return "ap_scan=0\n" + wired.replace("network={\n", "network={\n    key_mgmt=IEEE8021X\n    eapol_flags=0\n")

    def hostapd_conf(self, conf: str) -> str:
        return f"interface={DOCK_END}\ndriver=wired\nuse_pae_group_addr=1\n" + OVER_THE_AIR.sub("", conf)


def ip(*arguments: str) -> None:
    subprocess.run([tool("ip", "iproute2"), *arguments], check=True, capture_output=True, timeout=LIMIT_S)


def run(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    path = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin:/bin")
    assert path is not None, f"{command[0]} is not installed; run: .ci/setup check"
    with (folder / f"{command[0]}.log").open("ab") as log:
        return subprocess.Popen([path, *command[1:]], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
