"""`python -m tests.boot [--suite trixie|bookworm]`: 0 if camera and dock work as they are installed."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tests.boot.camera import Camera
from tests.boot.capture import CaptureService
from tests.boot.container import Container
from tests.boot.dock import Dock
from tests.boot.power import Power
from tests.boot.root import SUITES, make_root, run
from tests.kills.footage import BOARD, make_film

FLEET = Path(sys.executable).with_name("temoin-fleet")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.boot", description="Camera and dock as they are installed.")
    parser.add_argument("--suite", choices=SUITES, help="one Debian (default: each)")
    parser.add_argument("--out", type=Path, default=Path("build/boot"), help="folder for roots and logs")
    parsed = parser.parse_args()
    out: Path = parsed.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    suites = SUITES if parsed.suite is None else (parsed.suite,)
    failed = [suite for suite in suites if not _boot(suite, out)]
    print(f"{len(suites) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _boot(suite: str, out: Path) -> bool:
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{suite:<9}{time.monotonic() - began:4.0f} s  {line}", flush=True)

    root = out / suite
    shutil.rmtree(root, ignore_errors=True)
    try:
        make_root(suite, out, root)
        lay_agency(root, out)
        with Container(root, out / f"{suite}.log") as container:
            say(f"booted: {container.ask('systemctl', '--version').splitlines()[0]}")
            try:
                Camera(container, say).play()
                CaptureService(container, say).play()
                Dock(container, say).play()
                Power(container, say).play()
            except Exception:
                (out / f"{suite}.journal").write_text(container.tell("journalctl", "--no-pager").stdout)
                raise
    except (AssertionError, OSError, subprocess.SubprocessError):
        say("FAILED\n" + traceback.format_exc())
        print(f"what is left of it is in {root}, what it said in {out}/{suite}.log and .journal")
        return False
    shutil.rmtree(root)
    return True


def lay_agency(root: Path, out: Path) -> None:
    """/agency, with a camera and a dock; the camera's film in /srv."""
    film = root / "srv/film.mp4"
    if not (out / "film.mp4").exists():
        make_film(out / "film.mp4")
    shutil.copy(out / "film.mp4", film)
    board = out / "board.toml"
    board.write_text(BOARD)
    run(
        *(str(FLEET), "init", str(root / "agency"), "--demo", "--agency", "ville-boot", "--name", "Police municipale"),
        *("--camera", "cam-01", "--dock", "dock-01", "--board", str(board), "--footage", str(film)),
        *("--prerecord-s", "5"),
    )
    config = root / "agency/cameras/cam-01/camera.toml"
    config.write_text(config.read_text().replace(str(film), "/srv/film.mp4"))


if __name__ == "__main__":
    sys.exit(main())
