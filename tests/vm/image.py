"""What the machine starts from: kernel, a first root in memory that mounts the disk, the disk, the project's files.

Guarantees: an image is there whole or not at all; it is made again when what it is made from has changed. The project's
files are not in it: they are packed anew for each run, as they are in the working tree.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from tests.vm import debian, modules
from tests.vm.debian import PROJECT, Root, Say, run

FIRST_MODULES = ("virtio_blk", "ext4")
FREE_MIB = 256
MIB = 1024 * 1024
WORK_PARTS = ("agent", "hw", "dock", "firmware", "tests", "docs", "pyproject.toml")
NOT_IN_IMAGE = ("usr/src", "boot", "wheels", "var/cache/apt", "var/lib/apt/lists")
FIRST_INIT = """#!/bin/busybox sh
mount -t devtmpfs dev /dev
for module in $(cat /modules); do insmod /$module || exit 1; done
mount -t ext4 -o noatime /dev/vda /root || exit 1
mount -t tmpfs work /root/work || exit 1
tar -xf /dev/vdb -C /root/work || exit 1
exec switch_root /root /bin/sh /work/tests/vm/guest/init.sh
"""
"""Any failure ends the first process, which the kernel answers with a panic, and the machine with its end."""


@dataclass(frozen=True, slots=True)
class Image:
    """In a folder that is named by what it was made from."""

    folder: Path

    @property
    def disk(self) -> Path:
        return self.folder / "disk.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def first_root(self) -> Path:
        return self.folder / "initrd"


def image(build: Path, say: Say) -> Image:
    """The one in `build` that fits; made if there is none, and then the others go. Raises VmError."""
    name = debian.recipe([Path(each) for each in (__file__, debian.__file__, modules.__file__)])
    wanted = Image(build / f"image-{name}")
    if wanted.folder.exists():
        return wanted
    for old in build.glob("image-*"):
        shutil.rmtree(old)
    making = build / "making"
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    try:
        root = Root(making / "root", say)
        modules.build(root, say)
        root.add_environment(say)
        made = Image(making)
        shutil.copy(root.folder / "boot" / f"vmlinuz-{root.kernel}", made.kernel)
        say("making its disk")
        _first_root(root, made)
        _disk(root, made)
        shutil.rmtree(root.folder)
        making.rename(wanted.folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return wanted


def pack_work(to: Path) -> None:
    """The working tree's files that git has or would take, as a tar file: the machine's second disk."""
    listed = ["git", "-C", str(PROJECT), "ls-files", "-z", "--cached", "--others", "--exclude-standard", *WORK_PARTS]
    names = subprocess.run(listed, capture_output=True, check=True).stdout.decode().split("\0")
    with tarfile.open(to, "w") as archive:
        for name in sorted(set(names) - {""}):
            if (PROJECT / name).is_file():
                archive.add(PROJECT / name, name)


def _first_root(root: Root, made: Image) -> None:
    """A cpio archive of busybox, the modules that mount the disk, in their order, and the script that does it."""
    folder = root.folder / "first"
    for name in ("dev", "root", "bin"):
        (folder / name).mkdir(parents=True)
    busybox = folder / "bin" / "busybox"
    shutil.copy(root.folder / "bin" / "busybox", busybox)
    for name in ("sh", "mount", "insmod", "cat", "tar", "switch_root"):
        (folder / "bin" / name).symlink_to("busybox")
    order: list[str] = []
    for module in FIRST_MODULES:
        for line in root.run("modprobe", "-S", root.kernel, "--show-depends", module).splitlines():
            path = Path(line.split()[1])
            if path.stem not in order:
                order.append(path.stem)
                (folder / path.stem).write_bytes(lzma.decompress((root.folder / path.relative_to("/")).read_bytes()))
    (folder / "modules").write_text("\n".join(order) + "\n", encoding="ascii")
    init = folder / "init"
    init.write_text(FIRST_INIT, encoding="ascii")
    init.chmod(0o755)
    root.run("sh", "-c", "cd /first && find . | busybox cpio -o -H newc >/initrd")
    (root.folder / "initrd").rename(made.first_root)
    shutil.rmtree(folder)


def _disk(root: Root, made: Image) -> None:
    """An ext4 file system in a file, of what runs inside."""
    for name in NOT_IN_IMAGE:
        shutil.rmtree(root.folder / name)
    (root.folder / "work").mkdir()
    used_kib = int(run("du", "-s", "--block-size=1024", str(root.folder)).split()[0])
    size_mib = used_kib * 12 // (10 * 1024) + FREE_MIB
    with made.disk.open("xb") as file:
        file.truncate(size_mib * MIB)
    run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-d", str(root.folder), str(made.disk))
