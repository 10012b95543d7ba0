"""The machine's Debian 13: made by mmdebstrap, with the kernel, its headers and source, and Témoin's environment.

Guarantees: the same recipe gives `recipe` the same name; commands in the root see nothing of this computer but its
Debian mirror, its name servers and its certificates. Assumes: root, Debian, mmdebstrap.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.virtual.root import KEPT_SETTINGS, SUITE, VIRTUAL_YAML

PROJECT = Path(__file__).parents[2]
KERNEL_SOURCE = "linux-source-6.12"
PACKAGES = (
    "ca-certificates",
    "linux-image-amd64",  # not -cloud-amd64: that one has no sound
    "linux-headers-amd64",
    KERNEL_SOURCE,
    "gcc",
    "make",
    "libc6-dev",
    "kmod",
    "xz-utils",
    "busybox-static",
    "python3",
    "python3-dev",
    "python3-venv",
    "swig",
    "procps",
    "iproute2",
    "alsa-utils",  # sound
    "python3-libcamera",  # pictures
    "libcamera-ipa",
    "libcap-dev",
    "mosquitto",  # a dock
    "openssl",
    "wpasupplicant",  # the radio, and an access point
    "hostapd",
    "iw",
    "wireless-regdb",
)
LEFT_OUT = ("/usr/share/man/*", "/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*")
LGPIO = "lgpio==0.2.2.0"  # without a version pip may take 0.0.0.2; there is no wheel for Python 3.13
TEST_PARTS = ("gpiozero", "hypothesis", "pytest>")
"""What of the extra `dev` runs inside."""

Say = Callable[[str], None]


class VmError(RuntimeError):
    """The machine could not be made, or did not answer; the message is for who typed `make vm`."""


def requirements() -> list[str]:
    """Témoin's own, and what its tests on these parts import, as pyproject.toml has them; without lgpio."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["camera"], *extras["dock"]]
    wanted += [each for each in extras["dev"] if each.startswith(TEST_PARTS)]
    here = (each.partition(";")[0] for each in wanted)  # what else asks for a board's processor is asked for here too
    return sorted({each for each in here if not each.startswith("lgpio")})


def recipe(scripts: Sequence[Path]) -> str:
    """A name for what the root is made from: packages, requirements, and these scripts that work on it."""
    parts = [
        SUITE,
        *PACKAGES,
        *LEFT_OUT,
        LGPIO,
        *requirements(),
        *(path.read_text("utf-8") for path in scripts),
    ]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


class Root:
    """A root in a folder that must not be there yet. Raises VmError."""

    def __init__(self, folder: Path, say: Say) -> None:
        self.folder = folder
        say(f"making a root of Debian ({SUITE}): about 500 MB to download, some minutes")
        options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        options += ["--dpkgopt=force-unsafe-io"]  # a root that was cut off is made again
        options += ['--aptopt=Acquire::Check-Valid-Until "false"', f"--include={','.join(PACKAGES)}"]
        source = f"deb {_mirror()} {SUITE} main"
        run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", "--format=directory", *options, SUITE,
            str(folder), source)  # fmt: skip
        shutil.copy("/etc/resolv.conf", folder / "etc" / "resolv.conf")
        (self.kernel,) = (each.name for each in (folder / "lib" / "modules").iterdir())
        """Its release, as `uname -r` will say."""

    def run(self, *command: str, **settings: str) -> str:
        """Inside; returns what it said. Raises VmError."""
        kept = {name: os.environ[name] for name in KEPT_SETTINGS if name in os.environ}
        fixed = {"HOME": "/root", "LANG": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        return run("chroot", str(self.folder), *command, environment={**fixed, **kept, **settings})

    def add_environment(self, say: Say) -> None:
        """/venv: everything that Témoin asks for, and lgpio, which is built."""
        say("making its environment: lgpio is built, the rest is downloaded")
        certificates = self.folder / "etc" / "ssl" / "certs" / "this-computer.crt"
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", certificates)
        settings = {"PIP_CERT": f"/{certificates.relative_to(self.folder)}", "PIP_NO_CACHE_DIR": "1", "PYPI": "1"}
        pip = ("/venv/bin/pip", "--quiet", "--disable-pip-version-check")
        self.run("python3", "-m", "venv", "--system-site-packages", "/venv")  # Debian has libcamera, and no index has
        (self.folder / VIRTUAL_YAML).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / VIRTUAL_YAML).symlink_to("/work/tests/vm/guest/cameras.yaml")
        self.run(*pip, "wheel", "--no-deps", "--wheel-dir", "/wheels", LGPIO, **settings)  # PYPI: with its C library
        (wheel,) = (self.folder / "wheels").iterdir()
        self.run(*pip, "install", f"/wheels/{wheel.name}", *requirements(), **settings)


def run(*command: str, environment: dict[str, str] | None = None) -> str:
    """What it said on standard output. Raises VmError with what it said besides."""
    try:
        done = subprocess.run(
            ["nice", "-n", "10", *command], capture_output=True, text=True, check=False, env=environment
        )
    except OSError as error:
        raise VmError(f"{command[0]}: {error.strerror}; run .ci/setup vm") from None
    if done.returncode != 0:
        raise VmError(f"{' '.join(command)[:200]}\n{(done.stdout + done.stderr)[-3000:]}")
    return done.stdout


def _mirror() -> str:
    """The Debian mirror that this computer's apt uses."""
    found = run("apt-get", "indextargets", "--format", "$(REPO_URI)", "Label: Debian", "Created-By: Packages").split()
    if not found:
        raise VmError("apt knows no mirror of Debian here: run apt-get update")
    return found[0].rstrip("/")
