"""`python -m hw.sim.play dock|camera --folder DIR [--footage FILE]`: one side of the house, in its own terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from agent.terminal import run
from hw.sim.demo.footage import street
from hw.sim.demo.timeline import DemoError
from hw.sim.play.camera import play_camera
from hw.sim.play.dock import play_dock
from hw.sim.play.place import Place


def main() -> int:
    parser = argparse.ArgumentParser(prog="play", description="The dock or the camera, to play with.")
    parser.add_argument("side", choices=("dock", "camera"))
    parser.add_argument("--folder", type=Path, required=True, help="the same for both")
    parser.add_argument("--footage", type=Path, help="film that the camera films from now on")
    parsed = parser.parse_args()
    play = _dock if parsed.side == "dock" else _camera
    return run(f"make {parsed.side}", lambda: play(Place(parsed.folder.absolute()), parsed.footage))


def _dock(place: Place, footage: Path | None) -> int:
    with place.taken("dock"):
        film = _film(footage)
        if not place.made:
            place.make(film or street().absolute())
        elif film is not None:
            place.film(film)
        play_dock(place)
    return 0


def _camera(place: Place, footage: Path | None) -> int:
    if not place.made:
        raise DemoError(str(place.folder), "there is no camera and no dock in this folder yet", "run first: make dock")
    with place.taken("camera"):
        film = _film(footage)
        if film is not None:
            place.film(film)
        play_camera(place)
    return 0


def _film(footage: Path | None) -> Path | None:
    """Raises DemoError: the camera of an earlier play would refuse to start until somebody names another."""
    if footage is not None and not footage.is_file():
        raise DemoError(str(footage), "is not a file", "give a video file: FOOTAGE=<file>")
    return None if footage is None else footage.absolute()


if __name__ == "__main__":
    sys.exit(main())
