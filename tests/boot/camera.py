"""A camera on a booted Debian, from `make camera-install` to the verdict on what it recorded."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from agent.config import MIB_BYTES
from agent.model import Activity
from agent.states import panel
from hw.panel import HeldLight, parse
from tests.boot.container import Container, wait_for
from tests.boot.root import SOURCE

HOME = "/var/lib/temoin"
CONFIG = f"{HOME}/camera.toml"
PIPE = "/run/temoin-keeper/panel"
WITHIN_S = 60.0  # of a busy machine
WATCHDOG_S = 10.0
LIMITS = (  # of the board's budget: 512 MiB, 160 for the system, 128 for capture, 64 for the agent without its ring
    ("temoin.slice", "MemoryMax", 352),
    ("temoin.service", "MemoryMax", 352),
    ("temoin.service", "LimitMEMLOCK", 160),
)

Say = Callable[[str], None]


class Camera:
    """The camera of /agency/cameras/cam-01."""

    def __init__(self, container: Container, say: Say) -> None:
        self._container = container
        self._say = say

    def play(self) -> None:
        """All of it, in order. Raises AssertionError, CalledProcessError."""
        self.install()
        self.record()
        self.hang()
        self.lose_capture()
        self.fail()
        self.end()

    def install(self) -> None:
        began = time.monotonic()
        self._container.ask(
            "make", "-C", SOURCE, "camera-install", "CAMERA=/agency/cameras/cam-01", timeout_s=300
        )  # fmt: skip
        self._say(f"installed in {time.monotonic() - began:.0f} s, and ready: Type=notify lets nothing else through")
        assert self._container.shows("temoin.service", "ActiveState") == "active"
        self._until("ready", lambda status: status["activity"] == "ready")
        for unit, name, mib in LIMITS:
            assert self._container.shows(unit, name) == str(mib * MIB_BYTES), f"{unit}: {name}"
        text = self._container.shows("temoin.service", "StatusText")
        assert text.startswith("ready"), text
        assert self._container.ask("stat", "-c", "%U %a", HOME, "/run/temoin").split() == [
            "temoin",
            "700",
            "temoin",
            "750",
        ]
        self._container.ask("make", "-C", SOURCE, "camera-install", "CAMERA=/agency/cameras/cam-01", timeout_s=300)
        self._until("ready again", lambda status: status["activity"] == "ready")

    def record(self) -> None:
        """Press, red, hold."""
        self._sim("press")
        self._sim("release")
        took_s = self._until("red", lambda status: status["light"] == {"colour": "red", "pattern": "steady"})
        time.sleep(3)
        self._sim("hold")
        self._until("stopped", lambda status: status["activity"] == "ready" and status["recording"] is None)
        self._say(f"recorded: red {took_s:.1f} s after the press, stopped by a hold")

    def hang(self) -> None:
        """The watchdog ends an agent that hangs while it records; the next one goes on with it."""
        self._sim("press")
        self._sim("release")
        self._until("red", lambda status: status["light"] == {"colour": "red", "pattern": "steady"})
        recording = self._status()["recording"]
        before = self._container.shows("temoin.service", "MainPID")
        self._container.ask("kill", "-STOP", before)
        took_s = wait_for("another agent", lambda: self._pid() not in ("0", before), WATCHDOG_S + WITHIN_S)
        self._until("red again", lambda status: status["light"] == {"colour": "red", "pattern": "steady"})
        assert self._status()["recording"] == recording
        causes = self._journal("gap")
        assert causes, "a gap says what is missing"
        self._say(f"stopped by SIGSTOP: another agent after {took_s:.1f} s, the recording goes on, gap {causes[-1]}")
        self._sim("hold")
        self._until("stopped", lambda status: status["activity"] == "ready" and status["recording"] is None)

    def lose_capture(self) -> None:
        """Whoever kills capture gets another one."""
        before = self._capture()
        self._container.ask("kill", "-KILL", before)
        took_s = wait_for("another capture process", lambda: self._capture() not in ("", before), WITHIN_S)
        self._until(
            "ready", lambda status: status["activity"] == "ready" and "camera_failing" not in str(status["conditions"])
        )
        self._say(f"capture killed: another one after {took_s:.1f} s")

    def fail(self) -> None:
        """A service that fails shows it, by one line to the keeper; after five times in a minute it rests."""
        self._container.ask("install", "-d", "-m", "0750", "-g", "temoin-keeper", "/run/temoin-keeper")
        self._container.ask("mkfifo", "-m", "0660", PIPE)
        self._container.ask("chgrp", "temoin-keeper", PIPE)
        said = f"cat <>{PIPE} >/run/said"
        self._container.ask("systemd-run", "--quiet", "--unit=stand-in-keeper", "sh", "-c", said)
        before = self._pid()
        self._container.ask("kill", "-KILL", before)
        wait_for("another agent", lambda: self._pid() not in ("0", before), WITHIN_S)
        told = [parse(line) for line in self._container.ask("cat", "/run/said").encode().splitlines(keepends=True)]
        lights = [each for each in told if isinstance(each, HeldLight)]
        assert [each.light for each in lights] == [panel(Activity.REFUSING, frozenset())], told
        self._say("agent killed: the fault light was shown")
        began = time.monotonic()
        while self._container.shows("temoin.service", "ActiveState") != "failed":
            assert time.monotonic() - began < WITHIN_S, "it is started again and again"
            self._container.tell("systemctl", "kill", "--signal=KILL", "temoin.service")
        took_s = wait_for("the next try", lambda: self._pid() != "0", 2 * WITHIN_S)
        self._until("ready", lambda status: status["activity"] == "ready")
        self._say(f"killed five times in a minute: rested for {took_s:.0f} s, and is ready again")

    def end(self) -> None:
        """Switched off in order; what it recorded stands, for any reader."""
        self._container.ask("systemctl", "stop", "temoin.service")
        assert self._container.shows("temoin.service", "Result") == "success"
        verify = ("temoin", "verify", f"{HOME}/data", "--trust", f"{HOME}/agency.pem", "--json")
        assert self._container.tell(*verify, user="temoin").returncode == 1, "simulated evidence is none"
        verdict = json.loads(self._container.ask(*verify, "--allow-simulated", user="temoin"))
        assert verdict["verdict"] == "SIMULATED", verdict
        self._say("verified: SIMULATED")

    def _sim(self, action: str) -> None:
        self._container.ask("temoin", "sim", action, "--config", CONFIG, user="temoin")

    def _status(self) -> dict[str, object]:
        done = self._container.tell("temoin", "status", "--json", "--config", CONFIG, user="temoin")
        found = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        assert isinstance(found, dict)
        return found

    def _until(self, what: str, holds: Callable[[dict[str, object]], bool]) -> float:
        def is_so() -> bool:
            status = self._status()
            return bool(status.get("answers")) and holds(status)

        return wait_for(what, is_so, WITHIN_S)

    def _pid(self) -> str:
        return self._container.shows("temoin.service", "MainPID")

    def _capture(self) -> str:
        return self._container.tell("pgrep", "-f", "--", "-m hw[.]capture ").stdout.strip()

    def _journal(self, kind: str) -> list[str]:
        """The causes of the entries of this kind."""
        found: list[str] = []
        for file in sorted((self._container.root / HOME[1:] / "data/journal").glob("*.log")):
            for line in file.read_bytes().split(b"\n"):
                head, _, rest = line.partition(b"\t")
                if head.startswith(b"{") and json.loads(head)["kind"] == kind:
                    found.append(json.loads(rest.partition(b"\t")[2])["cause"])
        return found
