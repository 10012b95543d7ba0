"""The capture service on a booted Debian, with a film: its user, and whoever may and may not start and kill it."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.boot.container import Container, wait_for
from tests.boot.root import SOURCE

UNITS = "/etc/systemd/system"
PYTHON = "/opt/temoin/bin/python"
WITHIN_S = 30.0
START = "/run/temoin-capture/start.sock"

AGENT = f"""
import json, os, socket, struct, sys, time
from pathlib import Path
from agent import local_socket
from agent.formats import pipe
from hw.capture_service import ServiceCapture

os.umask(0o077)
listener = local_socket.listen(Path("/run/temoin/capture.sock"), 0o660)
listener.settimeout(20)
capture = ServiceCapture(Path("{START}"))
began = time.monotonic()
capture.start()
connection, _ = listener.accept()
connection.settimeout(20)
peer = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
header = pipe.parse_header(connection.recv(pipe.HEADER_BYTES, socket.MSG_WAITALL))
found = {{"uid": peer[1], "first": type(header).__name__, "start_s": time.monotonic() - began}}
if sys.argv[1:] == ["hold"]:
    time.sleep(600)
began = time.monotonic()
capture.kill()
found["kill_ms"] = (time.monotonic() - began) * 1000
while connection.recv(65_536):
    pass
print(json.dumps(found))
"""
CONNECT = f"import socket; socket.socket(socket.AF_UNIX).connect('{START}')"


class CaptureService:
    """As a real board has it; here it plays the film of the simulated one. The agent must not run."""

    def __init__(self, container: Container, say: Callable[[str], None]) -> None:
        self._container = container
        self._say = say

    def play(self) -> None:
        self.install()
        self.start_and_kill()
        self.refuse_others()
        self.refuse_devices()
        self.end_with_the_agent()
        self.end_with_the_launcher()

    def install(self) -> None:
        for unit in ("temoin-capture.socket", "temoin-capture.service"):
            self._container.ask("install", "-m", "0644", f"{SOURCE}/systemd/{unit}", UNITS)
        root = self._container.root
        (root / "etc/temoin/capture").write_text("CAPTURE_ARGUMENTS=--footage /srv/film.mp4\n")
        (root / "srv/stand_in.py").write_text(AGENT)
        self._container.ask("systemctl", "daemon-reload")
        self._container.ask("systemctl", "enable", "--now", "temoin-capture.socket", "temoin-capture.service")
        socket = self._container.ask("stat", "-c", "%U %G %a", START).split()
        assert socket == ["root", "temoin", "660"], socket

    def start_and_kill(self) -> None:
        found = json.loads(self._container.ask(PYTHON, "/srv/stand_in.py", user="temoin"))
        assert found["uid"] == int(self._container.ask("id", "-u", "temoin-capture"))
        assert found["first"] == "InitHeader"
        launcher = self._container.shows("temoin-capture.service", "MainPID")
        status = self._container.ask("cat", f"/proc/{launcher}/status")
        rss_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
        self._say(
            f"capture service: filming {found['start_s']:.1f} s after start, killed in {found['kill_ms']:.0f} ms;"
            f" the launcher takes {rss_kib / 1024:.1f} MiB"
        )

    def refuse_others(self) -> None:
        """Who is not the agent neither starts capture nor finds anything out."""
        for user in ("nobody", "temoin-keeper"):
            assert "PermissionError" in self._container.tell(PYTHON, "-c", CONNECT, user=user).stderr, user
        for path in ("/var/lib/temoin", "/var/lib/temoin/data", "/run/temoin/status.json", "/run/temoin-keeper/panel"):
            assert self._container.tell("test", "-r", path, user="temoin-capture").returncode == 1, path
            assert self._container.tell("test", "-w", path, user="temoin-capture").returncode == 1, path

    def refuse_devices(self) -> None:
        """Any device but those that it films with: root itself does not get one in the service's control group."""
        self._container.ask("mknod", "/srv/tun", "c", "10", "200")
        procs = "/sys/fs/cgroup/temoin.slice/temoin-capture.service/cgroup.procs"
        for enter, code in (("", 0), (f"echo 0 >{procs};", 1)):
            run = ("systemd-run", "--quiet", "--pipe", "--wait", "sh", "-c", f"{enter} : </dev/null && : </srv/tun")
            done = self._container.tell(*run)
            assert (done.returncode != 0, "not permitted" in done.stderr) == (code, code), done

    def end_with_the_agent(self) -> None:
        """Whatever becomes of the agent, capture does not outlive it, stopped as it may be."""
        self._hold()
        self._container.ask("kill", "-STOP", self._child())
        self._container.ask("systemctl", "kill", "--signal=KILL", "temoin-stand-in.service")
        took_s = wait_for("the end of capture", lambda: self._child() == "", WITHIN_S)
        self._say(f"agent killed: its capture process, stopped, is gone after {took_s:.1f} s")

    def end_with_the_launcher(self) -> None:
        self._hold()
        self._container.ask("kill", "-STOP", self._child())
        launcher = self._container.shows("temoin-capture.service", "MainPID")
        self._container.ask("kill", "-KILL", launcher)
        wait_for("the end of capture", lambda: self._child() == "", WITHIN_S)
        wait_for("another launcher", lambda: self._launcher() not in ("0", launcher), WITHIN_S)
        self._container.ask(PYTHON, "/srv/stand_in.py", user="temoin")
        self._say("launcher killed: its capture process is gone, and the next one starts another")

    def _hold(self) -> None:
        self._container.tell("systemctl", "reset-failed", "temoin-stand-in.service")
        run = ("systemd-run", "--quiet", "--unit=temoin-stand-in", "--uid=temoin", "--gid=temoin")
        self._container.ask(*run, PYTHON, "/srv/stand_in.py", "hold")
        wait_for("a capture process", lambda: self._child() != "", WITHIN_S)

    def _child(self) -> str:
        return self._container.tell("pgrep", "-u", "temoin-capture", "-f", "--", "-m hw[.]capture ").stdout.strip()

    def _launcher(self) -> str:
        return self._container.shows("temoin-capture.service", "MainPID")
