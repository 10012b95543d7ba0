"""The folder that `make dock` and `make camera` share: an agency, its dock and its camera, made once.

    <folder>/town/          as the demo's OUT: agency/, station/, dock/ (the archive), camera/
    <folder>/dock.lock, camera.lock     held while that side plays

Guarantees: what is there is whole (it is made beside and renamed); ports are drawn when it is made, and kept in its
configuration files; one dock and one camera at a time play in it, and a second one is told so.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from hw.sim.demo.enrolled import enrol
from hw.sim.demo.station import DOCK, Station, free_port
from hw.sim.demo.timeline import DemoError

_FOOTAGE = re.compile(r"^footage = .*$", re.MULTILINE)


class Place:
    """One folder to play in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._town = folder / "town"

    @property
    def camera(self) -> Path:
        """The camera's folder, with camera.toml."""
        return self._town / "camera"

    @property
    def made(self) -> bool:
        return self._town.is_dir()

    def station(self) -> Station:
        """The dock with its broker."""
        return Station(self._town)

    def make(self, film: Path) -> None:
        """The first time. Raises DemoError."""
        new = self.folder / "new"
        shutil.rmtree(new, ignore_errors=True)  # what an interrupted one left
        new.mkdir(mode=0o700)
        enrol(new / "agency", new / "camera", film, free_port(), free_port())
        Station(new).set_up(new / "agency" / "docks" / DOCK)
        new.rename(self._town)

    def film(self, film: Path) -> None:
        """Have the camera film this file from its next start on."""
        config = self.camera / "camera.toml"
        line = f"footage = {json.dumps(str(film), ensure_ascii=False)}"
        text = _FOOTAGE.sub(lambda _: line, config.read_text(encoding="utf-8"), count=1)
        new = config.with_name("camera.toml.new")
        new.write_text(text, encoding="utf-8")
        new.replace(config)

    @contextlib.contextmanager
    def taken(self, side: str) -> Iterator[None]:
        """Hold this side (`dock` or `camera`). Raises DemoError when somebody plays it already."""
        lock = self.folder / f"{side}.lock"
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DemoError(str(self.folder), error.strerror or "cannot be used", _ELSEWHERE.format(side)) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = f"another make {side} runs in this folder already"
            raise DemoError(str(self.folder), problem, f"use that one, or {_ELSEWHERE.format(side)}") from None
        else:
            yield
        finally:
            os.close(descriptor)


_ELSEWHERE = "give another folder: make {} PLAY=<folder>"
