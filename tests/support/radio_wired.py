"""A real wpa_supplicant and a real hostapd on two ends of a wire: IEEE 802.1X as on the air, EAP-TLS included.

The files are those of `temoin-fleet init`, but for what a wire does not have: name, channel and ciphers of a network.
As root; needs the packages wpasupplicant, hostapd and iproute2, and a kernel with veth.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from tests.support.interop import tool

LIMIT_S = 20
CAMERA_END, DOCK_END = "temoin0", "temoin1"
OVER_THE_AIR = re.compile(
    r"^\s*(ssid|key_mgmt|proto|pairwise|group|ieee80211w|country|p2p_disabled|interface|driver|country_code|ieee80211d"
    r"|hw_mode|channel|ieee80211n|wmm_enabled|max_num_sta|ap_isolate|auth_algs|wpa|wpa_key_mgmt|rsn_pairwise)=.*\n",
    re.MULTILINE,
)


class Wire:
    """Camera's end and dock's end. `camera` and `docks` are folders of `temoin-fleet init`."""

    def __init__(self, camera: Path, folder: Path) -> None:
        self._folder = folder
        self.control = folder / "control"
        self.rfkill = folder / "rfkill"
        self.rfkill.write_bytes(b"")
        self._camera = camera
        self._hostapd: subprocess.Popen[bytes] | None = None
        self._supplicant: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Wire:
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("link", "del", CAMERA_END)
        ip("link", "add", CAMERA_END, "type", "veth", "peer", "name", DOCK_END)
        for end in (CAMERA_END, DOCK_END):
            ip("link", "set", end, "up")
        conf = OVER_THE_AIR.sub("", (self._camera / "wpa_supplicant.conf").read_text())
        conf = re.sub("ctrl_interface=.*", f"ctrl_interface=DIR={self.control}\nap_scan=0", conf)
        conf = conf.replace("network={\n", "network={\n    key_mgmt=IEEE8021X\n    eapol_flags=0\n")
        (self._camera / "wired.conf").write_text(conf)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.put(None)
        self.kill()
        ip("link", "del", CAMERA_END)

    def start(self) -> None:
        """wpa_supplicant."""
        self._supplicant = run(["wpa_supplicant", "-Dwired", f"-i{CAMERA_END}", "-c", "wired.conf"], self._camera)

    def kill(self) -> None:
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
        if dock is None:
            return
        own = f"interface={DOCK_END}\ndriver=wired\nuse_pae_group_addr=1\n"
        (dock / "wired.conf").write_text(own + OVER_THE_AIR.sub("", (dock / "hostapd.conf").read_text()))
        self._hostapd = run(["hostapd", "wired.conf"], dock)


def ip(*arguments: str) -> None:
    subprocess.run([tool("ip", "iproute2"), *arguments], check=True, capture_output=True, timeout=LIMIT_S)


def run(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    path = shutil.which(command[0], path="/usr/sbin:/sbin:/usr/bin")
    assert path is not None, f"{command[0]} is not installed; run: make check"
    log = (folder / f"{command[0]}.log").open("ab")
    with log:
        return subprocess.Popen([path, *command[1:]], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
