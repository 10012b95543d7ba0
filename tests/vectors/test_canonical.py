"""Every vector of the signed JSON through the reader, and the script still making the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest

from agent.errors import FormatError
from agent.formats import canonical
from agent.formats.canonical import Object
from tests.support.vectors import differences
from tests.vectors import make_canonical

FOLDER = Path(__file__).parent / "canonical"


class Vector(TypedDict, total=False):
    value: Object
    error: str


INDEX: dict[str, Vector] = json.loads((FOLDER / "index.json").read_text())


def test_the_script_still_makes_these_bytes() -> None:
    assert differences(FOLDER, make_canonical.generate()) == []


def test_every_file_is_in_the_index() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*INDEX, "index.json"}


@pytest.mark.parametrize("name", [name for name, vector in INDEX.items() if "value" in vector])
def test_reads_and_writes(name: str) -> None:
    data, value = (FOLDER / name).read_bytes(), INDEX[name]["value"]
    assert canonical.decode(data) == value
    assert canonical.encode(value) == data


@pytest.mark.parametrize("name", [name for name, vector in INDEX.items() if "error" in vector])
def test_refuses(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        canonical.decode((FOLDER / name).read_bytes())
    assert str(caught.value) == INDEX[name]["error"]
