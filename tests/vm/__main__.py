"""`python -m tests.vm [--limit S]`: 0 if every test passed in the machine, 1 if not; docs/hardware.md."""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time
from pathlib import Path

from tests.vm import machine, report, suite
from tests.vm.debian import Say, VmError
from tests.vm.image import image, pack_work
from tests.vm.verdict import Heard

LIMIT_S = 1800
SOUND_S = 60
BUILD = Path("build/vm")


def main() -> int:
    """See the module's text."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=(__doc__ or "").split(":", 1)[1].strip())
    parser.add_argument("--limit", type=int, default=LIMIT_S, help=f"seconds that it may take (default: {LIMIT_S})")
    parser.add_argument("--sound", type=int, default=SOUND_S, help=f"seconds of sound (default: {SOUND_S})")
    parsed = parser.parse_args()
    build = BUILD.absolute()
    build.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the machine ends with us
    with (build / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"another one runs in {BUILD}")
            return 1
        return _run(build, parsed.limit, parsed.sound)


def _run(build: Path, limit_s: int, sound_s: int) -> int:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {text}", flush=True)

    heard: Heard | None = None
    faults: list[str] = []
    try:
        heard = Heard(suite.wanted())
        start = image(build, say)
        work = build / "work.tar"
        pack_work(work)
        say("starting the machine")
        for text in machine.run(start, work, build, f"{suite.SOUND_SECONDS}={sound_s}", limit_s):
            line = report.parse(text)
            heard.take(line)
            _tell(line, say)
    except (VmError, report.ReportError) as error:
        faults.append(str(error))
    if heard is not None:
        print(heard.table())
        faults += heard.faults()
    for fault in faults:
        print(f"FAILED: {fault}")
    say(f"{len(faults)} faults; what the machine said is in {BUILD}/console.log" if faults else "all passed")
    return 1 if faults else 0


def _tell(line: report.Line, say: Say) -> None:
    match line:
        case report.Begin():
            say(f"Linux {line.kernel} is up, {line.seconds} s after its start")
        case report.Done():
            say(f"{line.outcome:7} {line.ms:6} ms  {line.test}")
        case _:
            pass


if __name__ == "__main__":
    sys.exit(main())
