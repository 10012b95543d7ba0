"""Every message of the vectors through the readers of agent/formats/wire.py, and the script still making them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest

from agent.errors import FormatError
from agent.formats import fields, wire
from agent.formats.wire import Channel
from tests.support.vectors import differences
from tests.vectors import make_wire

FOLDER = Path(__file__).parent / "wire"


class Vector(TypedDict, total=False):
    topic: str
    properties: list[list[str]]
    status: dict[str, str | int]
    first: int
    prev: str
    chain: list[str]
    error: str


INDEX: dict[str, Vector] = json.loads((FOLDER / "index.json").read_text())


def read(name: str) -> wire.Status | wire.Batch | tuple[bytes, ...]:
    vector = INDEX[name]
    payload = (FOLDER / f"{name}.payload").read_bytes()
    properties = [(key, value) for key, value in vector["properties"]]
    dev, channel = wire.parse_topic(vector["topic"])
    assert wire.topic(dev, channel) == vector["topic"]
    if channel is Channel.STATUS:
        return wire.parse_status(payload)
    if channel is Channel.JOURNAL:
        return wire.parse_batch(payload, properties)
    return wire.parse_chain(properties)


def test_the_script_still_makes_these_bytes() -> None:
    assert differences(FOLDER, make_wire.generate()) == []


def test_every_file_is_in_the_index() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*(f"{name}.payload" for name in INDEX), "index.json"}


@pytest.mark.parametrize("name", [name for name, vector in INDEX.items() if "error" not in vector])
def test_reads_and_writes(name: str) -> None:
    vector, found = INDEX[name], read(name)
    if isinstance(found, wire.Status):
        assert {key: getattr(found, key) for key in vector["status"] if key != "typ"} == {
            key: value for key, value in vector["status"].items() if key != "typ"
        }
        assert found.encode() == (FOLDER / f"{name}.payload").read_bytes()
    elif isinstance(found, wire.Batch):
        assert (found.first, found.prev) == (vector["first"], vector["prev"])
        assert wire.parse_batch(found.payload, found.properties) == found
    else:
        assert [fields.encode_base64(der) for der in found] == vector["chain"]
        assert wire.parse_chain(wire.chain_properties(found)) == found


@pytest.mark.parametrize("name", [name for name, vector in INDEX.items() if "error" in vector])
def test_refuses(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        read(name)
    assert str(caught.value) == INDEX[name]["error"]
