"""A dock on a booted Debian, from `make dock-install` to what a camera has handed over to it."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

from tests.boot.container import Container, wait_for
from tests.boot.root import SOURCE

HOME = "/var/lib/temoin-dock"
BACKUP = "/srv/backup"
CAMERA = "/var/lib/temoin"
CHRONY_BESIDE_THE_CLOCK = "[Unit]\nConditionCapability=\n"
DOCKED_WITHIN_S = 120.0


class Dock:
    """The dock of /agency/docks/dock-01. The camera is installed on the same computer."""

    def __init__(self, container: Container, say: Callable[[str], None]) -> None:
        self._container = container
        self._say = say

    def play(self) -> None:
        self.stand_in_for_time_servers()
        self.install()
        self.take_over()
        self.back_up()

    def stand_in_for_time_servers(self) -> None:
        """A container has no clock to set, and this one nobody to ask: chrony is told that its own is right."""
        root = self._container.root
        drop_ins = root / "etc/systemd/system/chrony.service.d"
        drop_ins.mkdir(parents=True)
        (drop_ins / "boot.conf").write_text(CHRONY_BESIDE_THE_CLOCK)
        (root / "etc/default/chrony").write_text('DAEMON_OPTS="-x"\n')
        (root / "etc/chrony/conf.d/boot.conf").write_text("local stratum 8\n")
        self._container.ask("systemctl", "daemon-reload")
        self._container.ask("systemctl", "restart", "chrony.service")

    def install(self) -> None:
        began = time.monotonic()
        for _ in range(2):  # again, it brings up to date
            self._container.ask("make", "-C", SOURCE, "dock-install", "DOCK=/agency/docks/dock-01", timeout_s=300)
        for unit in ("mosquitto.service", "temoin-dock.service", "temoin-dock-backup.timer"):
            assert self._container.shows(unit, "ActiveState") == "active", unit
            assert self._container.shows(unit, "UnitFileState") == "enabled", unit
        wait_for("the dock's broker", lambda: self._doctor().returncode == 0, DOCKED_WITHIN_S)
        done = self._doctor()
        self._say(f"dock installed, twice, in {time.monotonic() - began:.0f} s; its doctor says")
        for line in done.stdout.splitlines():
            self._say(f"  {line}")

    def take_over(self) -> None:
        """The camera docks: all that it has is in the archive, and verifies there."""
        self._container.ask("systemctl", "start", "temoin.service")
        self._container.ask("temoin", "sim", "dock", "--config", f"{CAMERA}/camera.toml", user="temoin")
        root = self._container.root
        archive = root / HOME[1:] / "archive/cam-01"
        recorded = sorted(path.name for path in (root / CAMERA[1:] / "data/segments").rglob("*.age"))
        assert recorded

        def taken() -> bool:
            return len(list(archive.rglob("*.age"))) >= len(recorded)

        took_s = wait_for("the docking", taken, DOCKED_WITHIN_S)
        self._say(f"docked: {len(recorded)} segments in the archive after {took_s:.1f} s")
        self._container.ask("temoin", "sim", "undock", "--config", f"{CAMERA}/camera.toml", user="temoin")
        verify = ("temoin", "verify", f"{HOME}/archive/cam-01", "--trust", f"{HOME}/agency.pem", "--allow-simulated")
        verdict = self._container.ask(*verify, user="temoin-dock").splitlines()[0]
        assert "SIMULATED" in verdict, verdict

    def back_up(self) -> None:
        root = self._container.root
        self._container.ask("install", "-d", "-m", "0700", "-o", "temoin-dock", BACKUP)
        (root / "etc/temoin-dock/backup").write_text(f"{BACKUP}\n")
        self._container.ask("systemctl", "start", "temoin-dock-backup.service")
        assert self._container.shows("temoin-dock-backup.service", "Result") == "success"
        kept = list((root / BACKUP[1:]).rglob("*.age"))
        assert len(kept) == len(list((root / HOME[1:] / "archive").rglob("*.age"))) > 0
        self._say(f"backed up: {len(kept)} segments")

    def _doctor(self) -> subprocess.CompletedProcess[str]:
        return self._container.tell("temoin-dock", "doctor", "--config", f"{HOME}/dock.toml", user="temoin-dock")
