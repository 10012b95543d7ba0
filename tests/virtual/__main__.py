"""`make virtual`: conformance, the capture process and its faults on the true picamera2 and libcamera.

Exit 0: every test ran and passed. A suite that did not run the board's camera, or left a test out, fails.
"""

from __future__ import annotations

import os
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path

from tests.virtual.board import board_file
from tests.virtual.frames import make_frames
from tests.virtual.root import VIRTUAL_YAML, VirtualError, root, run_inside

CONFORMANCE = "tests/conformance/test_source.py"
FILMING = "tests/hil"
FAULTS = "tests/virtual"
SUITES = (
    (CONFORMANCE, "bars", "720p", 9),
    (FILMING, "bars", "720p", 6),
    (FILMING, "bars", "1080p", 6),
    (FAULTS, "film", "720p", 5),
)
"""What runs, on which camera (a .yaml beside this), in which size, and the least number of its tests."""


def main(_arguments: Sequence[str]) -> int:
    """The exit code."""
    if os.geteuid() != 0:
        print("make virtual: needs root, for a Debian of its own", file=sys.stderr)
        return 2
    try:
        folder = root()
    except VirtualError as error:
        print(f"make virtual: {error}", file=sys.stderr)
        return 1
    make_frames(folder / "frames")
    failed = [
        f"{paths} on {camera}, {size}"
        for paths, camera, size, least in SUITES
        if not passed(folder, paths, camera, size, least)
    ]
    for each in failed:
        print(f"make virtual: {each}: failed, or ran too little", file=sys.stderr)
    return 1 if failed else 0


def passed(folder: Path, paths: str, camera: str, size: str, least: int) -> bool:
    """Whether these tests ran in the root, none was left out, and none failed."""
    cameras = folder / VIRTUAL_YAML
    cameras.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(__file__).with_name(f"{camera}.yaml"), cameras)
    scratch = folder / "tmp" / "virtual"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    board = board_file(scratch, camera, size)
    code = run_inside(
        folder,
        *("chrt", "--rr", "1"),  # a sensor does not wait for what else this computer does
        *("python", "-m", "pytest", "-v", "-m", "hil", "-p", "no:cacheprovider"),
        *("--basetemp", "/tmp/pytest", "--junitxml", "/tmp/virtual/report.xml", paths),
        PYTHONPATH="/project/tests/virtual/stubs:/project",
        TEMOIN_BOARD=f"/tmp/virtual/{board.name}",
        VIRTUAL_CAMERA_HOLD="/tmp/virtual/hold",
    )
    suite = ElementTree.parse(scratch / "report.xml").getroot().find("testsuite") if code == 0 else None
    return suite is not None and int(suite.get("tests", 0)) >= least and suite.get("skipped") == "0"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
