"""The folder that `make dock` and `make camera` share."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from hw.sim.demo.timeline import DemoError
from hw.sim.play.place import Place


def test_a_side_is_played_once_at_a_time_and_again_later(tmp_path: Path) -> None:
    place = Place(tmp_path / "new" / "folder")
    with place.taken("dock"):
        with place.taken("camera"):
            pass
        with pytest.raises(DemoError, match="another make dock runs in this folder already"), place.taken("dock"):
            pass
    with place.taken("dock"):
        pass


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DemoError, match="give another folder"), Place(tmp_path / "file" / "below").taken("dock"):
        pass


@pytest.mark.parametrize("name", ["film.mp4", 'ma "caméra" \\1.mkv', "a b = c.mp4"])
def test_another_film_and_nothing_else_changes(tmp_path: Path, name: str) -> None:
    place = Place(tmp_path)
    place.camera.mkdir(parents=True)
    config = place.camera / "camera.toml"
    config.write_text('dev = "cam-01"\nfootage = "old.mp4"\n\n[folders]\ndata = "data"\n')
    place.film(tmp_path / name)
    found = tomllib.loads(config.read_text())
    assert found == {"dev": "cam-01", "footage": str(tmp_path / name), "folders": {"data": "data"}}
