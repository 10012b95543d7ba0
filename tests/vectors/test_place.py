"""What is sealed into a `place` is what its vectors say, and the script still writes the same."""

from __future__ import annotations

import json
from typing import cast

import pytest

from agent.formats.place import place_text
from agent.model import Place, PlaceSource
from tests.support.vectors import differences
from tests.vectors.make_place import FOLDER, generate

INDEX = cast(dict[str, dict[str, str | int]], json.loads((FOLDER / "index.json").read_text()))


@pytest.mark.parametrize("name", INDEX)
def test_place(name: str) -> None:
    said = INDEX[name]
    where: Place | str
    if "sector" in said:
        where = str(said["sector"])
    else:
        latitude_e7, longitude_e7, error_m = (int(said[key]) for key in ("latitude_e7", "longitude_e7", "error_m"))
        where = Place(latitude_e7, longitude_e7, error_m, 0, PlaceSource(str(said["source"])))
    assert place_text(where) == (FOLDER / name).read_bytes()


def test_the_script_writes_what_is_there() -> None:
    assert differences(FOLDER, generate()) == []
