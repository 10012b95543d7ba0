"""Other people's readers and writers of age files, run as they are: Debian's `age` and npm's `age-encryption`.

A tool that is missing fails the test, and says what to install: a check that skips itself proves nothing.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import termios
from pathlib import Path

NPM_PROJECT = Path(__file__).parents[1] / "system" / "npm"
LIMIT_S = 120


def tool(name: str, package: str) -> str:
    """The path of a program of a Debian package."""
    path = shutil.which(name)
    assert path is not None, f"{name} is not installed; run: apt-get install {package}"
    return path


def run(command: list[str], data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, input=data, capture_output=True, timeout=LIMIT_S, check=False)


def age(*arguments: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Debian's age: X25519 and scrypt only, before 1.3."""
    return run([tool("age", "age"), *map(str, arguments)], data)


def age_with_passphrase(passphrase: str, *arguments: str | Path) -> tuple[int, bytes]:
    """Exit code and what age says on its terminal: it asks for a passphrase there and nowhere else."""
    controller, terminal = os.openpty()
    process = subprocess.Popen(
        [tool("age", "age"), *arguments],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(terminal)
    said = bytearray()
    try:
        while b"passphrase" not in said:
            said += os.read(controller, 1_024)
        os.write(controller, f"{passphrase}\n".encode())
        return process.wait(LIMIT_S), bytes(said)
    finally:
        process.kill()
        process.wait()
        os.close(controller)


def npm_script(script: str, *arguments: str | Path) -> subprocess.CompletedProcess[bytes]:
    """`open.mjs IDENTITY_FILE INPUT OUTPUT` or `seal.mjs RECIPIENT INPUT OUTPUT`, over the pinned age-encryption."""
    if not (NPM_PROJECT / "node_modules" / "age-encryption").exists():
        command = [tool("npm", "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(command, cwd=NPM_PROJECT, capture_output=True, timeout=LIMIT_S, check=False)
        assert done.returncode == 0, f"npm ci failed in {NPM_PROJECT}: {done.stderr.decode()}"
    command = [tool("node", "nodejs"), str(NPM_PROJECT / script), *map(str, arguments)]
    return run(command)
