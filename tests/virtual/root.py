"""A Debian 13 with its own libcamera, and picamera2 from PyPI beside Témoin's environment, in build/virtual.

Guarantees: the same packages and requirements give the same root, made once; the commands in it see this working tree
as /project, read-only, and of this computer its Debian mirror, its name servers and its certificates.
Assumes root, Debian, mmdebstrap and unshare.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[2]
PLACE = PROJECT / "build" / "virtual"
SUITE = "trixie"
PACKAGES = (
    *("ca-certificates", "python3", "python3-venv", "python3-libcamera", "libcamera-ipa"),
    *("python3-dev", "gcc", "libc6-dev", "libcap-dev"),  # python-prctl and PiDNG, of picamera2, are built
)
TEST_PARTS = ("hypothesis", "pytest>")
KEPT_SETTINGS = ("PIP_INDEX_URL", "http_proxy", "https_proxy", "no_proxy", "CI")
VIRTUAL_YAML = "usr/share/libcamera/pipeline/virtual/virtual.yaml"


class VirtualError(RuntimeError):
    """The message is for who typed `make virtual`."""


def requirements() -> list[str]:
    """Témoin's own, picamera2, and what runs the tests, as pyproject.toml has them."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [each.partition(";")[0] for each in extras["camera"] if each.startswith("picamera2")]
    return [*project["dependencies"], *wanted, *(each for each in extras["dev"] if each.startswith(TEST_PARTS))]


def root() -> Path:
    """The folder; made if there is none of this recipe. Raises VirtualError."""
    recipe = hashlib.sha256("\0".join([SUITE, *PACKAGES, *requirements()]).encode()).hexdigest()[:16]
    folder = PLACE / f"root-{recipe}"
    if not folder.exists():
        for old in PLACE.glob("root-*"):
            _run("rm", "-rf", "--one-file-system", str(old))
        part = folder.with_suffix(".part")
        part.parent.mkdir(parents=True, exist_ok=True)
        _make(part)
        part.rename(folder)
    return folder


def run_inside(folder: Path, *command: str, **settings: str) -> int:
    """The exit code of a command in /project, which says what it says. Its mounts go with it."""
    kept = {name: os.environ[name] for name in KEPT_SETTINGS if name in os.environ}
    fixed = {
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "PATH": "/venv/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LIBCAMERA_LOG_LEVELS": "*:ERROR",
    }
    (folder / "project").mkdir(exist_ok=True)
    mounts = (
        f"mount --make-rprivate / 2>/dev/null; mount -t proc proc '{folder}/proc' && mount --rbind /dev '{folder}/dev'"
        f" && mount --bind -o ro '{PROJECT}' '{folder}/project'"
        f" && exec chroot '{folder}' sh -c 'cd /project && exec \"$@\"' sh \"$@\""
    )
    inside = ("unshare", "--mount", "--propagation", "unchanged", "sh", "-c", mounts, "sh", *command)
    return subprocess.run(inside, env={**fixed, **kept, **settings}, check=False).returncode


def _make(folder: Path) -> None:
    print("making a Debian 13 with libcamera and picamera2: about 250 MB to download, a minute or two", flush=True)
    told = _run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian", "Created-By: Packages").split()
    if not told:
        raise VirtualError("apt knows no mirror of Debian here: run apt-get update")
    age = [
        '--aptopt=Acquire::Check-Valid-Until "false"',
        '--aptopt=Acquire::Check-Date "false"',
    ]  # it may stand still
    source = f"deb {told[0].rstrip('/')} {SUITE} main"
    _run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory",
         f"--include={','.join(PACKAGES)}", *age, SUITE, str(folder), source)  # fmt: skip
    shutil.copy("/etc/resolv.conf", folder / "etc" / "resolv.conf")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", folder / "etc" / "this-computer.crt")
    _in_root(folder, "python3", "-m", "venv", "--system-site-packages", "/venv")
    _in_root(folder, "/venv/bin/pip", "install", "--quiet", "--disable-pip-version-check", *requirements())


def _in_root(folder: Path, *command: str) -> None:
    settings = {"PIP_CERT": "/etc/this-computer.crt", "PIP_NO_CACHE_DIR": "1"}
    if run_inside(folder, *command, **settings):
        raise VirtualError(f"{' '.join(command)[:200]}: failed")


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise VirtualError(f"{command[0]}: {error.strerror}; run .ci/setup virtual") from None
    if done.returncode:
        raise VirtualError(f"{' '.join(command)[:200]}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout
