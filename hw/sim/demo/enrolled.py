"""The demo's agency: one camera on a simulated board, one dock, both on the loopback."""

from __future__ import annotations

import shutil
from pathlib import Path

from hw.sim.demo.shift import command
from hw.sim.demo.station import DOCK

CAMERA = "cam-01"
PRERECORD_S = 10


def enrol(agency: Path, camera: Path, film: Path, broker_port: int, intake_port: int) -> None:
    """Make the folder `agency`, and `camera` as the technician flashes it. Raises DemoError."""
    identity = ["--agency", "ville-demo", "--name", "Police municipale", "--camera", CAMERA]
    setting: list[str | Path] = ["--board", "sim", "--prerecord-s", str(PRERECORD_S), "--footage", film]
    broker, intake = (f"127.0.0.1:{port}" for port in (broker_port, intake_port))
    network = ["--dock", DOCK, "--broker", broker, "--intake-host", intake]
    command("temoin-fleet", "init", agency, *identity, *setting, *network, "--demo")
    shutil.copytree(agency / "cameras" / CAMERA, camera)
