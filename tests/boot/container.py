"""A booted Debian: systemd-nspawn with a network of its own that leads nowhere, and cgroups of its own.

Guarantees: ends what it started, by its pid, and nothing else. Where this machine has the old cgroups (v1) beside the
unified ones, the container gets the unified ones, which Debian 13's systemd demands; without controllers then: no limit
of memory holds (docs/hardware.md, "Services").
Assumes root; no systemd is needed on this machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

BOOTS_WITHIN_S = 120.0
ENDS_WITHIN_S = 60.0
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
}


class Container:
    """Runs while it is a context. `log` takes what the console says."""

    def __init__(self, root: Path, log: Path) -> None:
        self.root = root
        self._log = log
        self._cgroup = unified_cgroups() / f"temoin-boot-{os.getpid()}"
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Container:
        self._cgroup.mkdir()
        command = [
            *("systemd-nspawn", "--quiet", f"--directory={self.root}", "--machine=temoin-boot", "--register=no"),
            *("--keep-unit", "--private-network", "--boot", "--console=pipe", "--resolv-conf=off"),
            *("--capability=CAP_BPF,CAP_PERFMON", "--system-call-filter=bpf"),  # what DeviceAllow is made of
        ]
        enter = f'echo $$ >"{self._cgroup}/cgroup.procs" && exec "$@"'
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", enter, "sh", *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        try:
            wait_for("systemd in the container", self._find_leader, BOOTS_WITHIN_S)
            wait_for("the end of its boot", self._booted, BOOTS_WITHIN_S)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """In order if it can, else by force."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        (self._cgroup / "cgroup.kill").write_text("1")
        wait_for("the end of the container's processes", self._swept, ENDS_WITHIN_S)

    def ended(self) -> bool:
        """It has gone down by itself."""
        return self._process is None or self._process.poll() is not None

    def tell(self, *command: str, timeout_s: float = 60, user: str = "root") -> subprocess.CompletedProcess[str]:
        """Run it inside, whatever becomes of it."""
        who = [] if user == "root" else ["runuser", "-u", user, "--"]
        return subprocess.run(
            ["nsenter", f"--target={self._leader}", "--all", *who, *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
        )

    def ask(self, *command: str, timeout_s: float = 60, user: str = "root") -> str:
        """The standard output of a command inside that succeeds."""
        done = self.tell(*command, timeout_s=timeout_s, user=user)
        assert done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def shows(self, unit: str, name: str) -> str:
        """A property of a unit."""
        return self.ask("systemctl", "show", "--property", name, "--value", unit).strip()

    def _find_leader(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"systemd-nspawn ended: {self._log.read_text(errors='replace')}"
        pid = self._process.pid
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with contextlib.suppress(OSError):
                if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                    self._leader = int(child)
        return self._leader != 0

    def _swept(self) -> bool:
        """A group cannot be removed while anything in it has not quite ended."""
        for folder, _, _ in os.walk(self._cgroup, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
        return not self._cgroup.exists()

    def _booted(self) -> bool:
        return self.tell("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")


def unified_cgroups() -> Path:
    """Where this machine has its unified cgroups mounted."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(where)
    raise AssertionError("this machine has no unified cgroups (cgroup2) mounted")


def wait_for(what: str, holds: Callable[[], bool], within_s: float) -> float:
    """The seconds that it took."""
    began = time.monotonic()
    while not holds():
        assert time.monotonic() - began < within_s, f"{what}: not within {within_s:.0f} s"
        time.sleep(0.1)
    return time.monotonic() - began
