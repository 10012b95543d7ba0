"""The machine: qemu, which calculates a computer of two processors and no network, until it ends or its time is over.

Guarantees: it is this process's child, ended by its id whatever happens here; its disk is never written (`snapshot`).
Assumes: nothing of the processor that this computer has: all of it is emulated (TCG), several times slower.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.vm.debian import VmError
from tests.vm.image import Image

PROCESSORS = 2
MEMORY_MIB = 1536
LOOK_S = 0.2
TIME = ("-icount", "shift=0", "-rtc", "base=utc,clock=vm")
"""A nanosecond of the machine is an instruction, of one processor after the other; idle, its clock goes as ours. What a
limit or a figure inside says hardly depends on how fast or how busy this computer is. A core of a small board does
about as much in a second."""
KERNEL_LINE = (
    "console=ttyS0 loglevel=4 panic=-1 reboot=t mitigations=off random.trust_cpu=on "
    "net.ifnames=0 snd-aloop.pcm_substreams=1"
)
"""panic=-1: a kernel that gives up starts again at once, and -no-reboot makes that qemu's end."""


def run(image: Image, work: Path, folder: Path, setting: str, limit_s: float) -> Iterator[str]:
    """Start it; yields the lines of its second serial port as they come. Raises VmError when its time is over.

    `setting`, NAME=VALUE, is in its first process's environment. `folder` gets console.log and report.log.
    """
    console, report = folder / "console.log", folder / "report.log"
    for path in (console, report):
        path.write_bytes(b"")
    command = [
        "nice", "-n", "10", "qemu-system-x86_64", "-accel", "tcg,thread=single", *TIME, "-cpu", "max", "-machine", "pc",
        "-smp", str(PROCESSORS), "-m", str(MEMORY_MIB), "-nodefaults", "-no-user-config", "-display", "none",
        "-no-reboot", "-net", "none",
        "-serial", f"file:{console}", "-serial", f"file:{report}",
        "-kernel", str(image.kernel), "-initrd", str(image.first_root), "-append", f"{KERNEL_LINE} {setting}",
        "-drive", f"file={image.disk},format=raw,if=virtio,snapshot=on",
        "-drive", f"file={work},format=raw,if=virtio,snapshot=on",
    ]  # fmt: skip
    try:
        machine = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        raise VmError(f"qemu-system-x86_64: {error.strerror}; run .ci/setup vm") from None
    ends = time.monotonic() + limit_s
    try:
        with report.open("rb") as file:
            rest = b""
            while True:
                ended = machine.poll() is not None  # before reading: what was written until then is read
                *lines, rest = (rest + file.read()).split(b"\n")
                yield from (line.decode("utf-8", "replace") + "\n" for line in lines)
                if ended:
                    return
                if time.monotonic() > ends:
                    raise VmError(f"the machine did not end within {limit_s:.0f} s")
                time.sleep(LOOK_S)
    finally:
        if machine.poll() is None:
            machine.kill()
        machine.wait()
