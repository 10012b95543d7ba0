"""A Debian with systemd in a folder, as a technician has it before the installers run: made once a suite, then copied.

Packages and wheels are fetched when it is made; the installers find them there, so that a run needs no network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tomllib
import uuid
from pathlib import Path

PROJECT = Path(__file__).parents[2]
SUITES = ("trixie", "bookworm")
PACKAGES = "ca-certificates,systemd,systemd-sysv,dbus,python3,python3-venv,make,mosquitto,chrony,procps,age,openssl"
SOURCE = "/src"
WHEELS = "/wheels"
CERTIFICATES = Path("/usr/local/share/ca-certificates")
MAKE_WHEELS = f"""
set -eu
update-ca-certificates >/dev/null 2>&1
python3 -m venv /tmp/venv
/tmp/venv/bin/pip wheel --quiet --wheel-dir {WHEELS} 'setuptools>=77' wheel '{SOURCE}[dock,camera]'
rm -rf {WHEELS}/temoin-*
"""


def make_root(suite: str, cache: Path, root: Path) -> None:
    """The folder `root`, with this working tree in /src. What takes long stays in `cache`."""
    cache.mkdir(parents=True, exist_ok=True)
    packed = cache / f"{suite}-{_short_hash(PACKAGES.encode())}.tar"
    if not packed.exists():
        _fetch_packages(suite, packed)
    root.mkdir(parents=True)
    run("tar", "-xf", str(packed), "-C", str(root))
    (root / "etc/machine-id").write_text(f"{uuid.uuid4().hex}\n")  # without one, all that is preset would be enabled
    _lay_source(root / SOURCE[1:])
    wheels = cache / f"{suite}-{_short_hash(_wanted())}.wheels"
    if not wheels.exists():
        _fetch_wheels(root, wheels)
    shutil.copytree(wheels, root / WHEELS[1:], dirs_exist_ok=True)
    (root / "etc/pip.conf").write_text(f"[global]\nno-index = true\nfind-links = {WHEELS}\n")


def _wanted() -> bytes:
    """What the program asks for."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    return repr((project["dependencies"], project["optional-dependencies"])).encode()


def _fetch_packages(suite: str, packed: Path) -> None:
    made = packed.with_suffix(".part")
    age = ['Acquire::Check-Valid-Until "false"', 'Acquire::Check-Date "false"']  # of a mirror that stands still
    run(
        *("mmdebstrap", "--quiet", "--format=tar", "--variant=minbase", f"--include={PACKAGES}"),
        *(f"--aptopt={option}" for option in age),
        *(suite, str(made), f"deb {_mirror()} {suite} main"),
    )
    made.rename(packed)


def _mirror() -> str:
    """Where this machine has its Debian from."""
    told = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages")
    return next(line for line in told.splitlines() if line.rstrip("/").endswith("/debian"))


def _fetch_wheels(root: Path, wheels: Path) -> None:
    """By the root's own Python: each suite has another."""
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    for certificate in CERTIFICATES.glob("*.crt"):  # which the administrator of this machine added
        shutil.copy(certificate, root / str(CERTIFICATES)[1:])
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"}
    environment |= {name: value for name, value in os.environ.items() if name == "PIP_INDEX_URL"}
    run("chroot", str(root), "sh", "-c", MAKE_WHEELS, environment=environment)
    made = wheels.with_suffix(".part")
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(root / WHEELS[1:], made)
    made.rename(wheels)


def _lay_source(target: Path) -> None:
    """The files of this working tree, committed or not."""
    for name in run("git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard").split(
        "\0"
    ):
        if name and (PROJECT / name).is_file() and not name.startswith(("docs/", "tests/")):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(PROJECT / name, target / name)


def _short_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:12]


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """Standard output. Raises CalledProcessError, with what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        print(done.stdout + done.stderr)
    done.check_returncode()
    return done.stdout
