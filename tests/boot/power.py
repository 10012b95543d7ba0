"""What the agent may only ask for: that the board is switched off. The last thing that a booted Debian is tried for."""

from __future__ import annotations

from collections.abc import Callable

from tests.boot.container import Container, wait_for
from tests.boot.root import SOURCE

UNITS = "/etc/systemd/system"
WITHIN_S = 60.0


class Power:
    """A simulated board has no such units: they are installed here, as a real one's installer does."""

    def __init__(self, container: Container, say: Callable[[str], None]) -> None:
        self._container = container
        self._say = say

    def play(self) -> None:
        for unit in ("temoin-poweroff.path", "temoin-power@.service"):
            self._container.ask("install", "-m", "0644", f"{SOURCE}/systemd/{unit}", UNITS)
        self._container.ask("systemctl", "daemon-reload")
        self._container.ask("systemctl", "enable", "--now", "temoin-poweroff.path")
        for user in ("temoin-capture", "temoin-keeper"):
            assert self._container.tell("touch", "/run/temoin/poweroff", user=user).returncode == 1, user
        assert not self._container.ended()
        self._container.ask("touch", "/run/temoin/poweroff", user="temoin")
        took_s = wait_for("the power to be off", self._container.ended, WITHIN_S)
        self._say(f"asked by the agent: off after {took_s:.1f} s")
