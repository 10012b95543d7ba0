"""Every vector of the capture socket gives the outcome that its index states, and the script still writes the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast

import pytest

from agent.errors import PipeError
from agent.formats.pipe import (
    Command,
    Header,
    Observation,
    parse_command,
    parse_header,
    parse_observation,
)
from tests.support.vectors import differences
from tests.vectors.make_pipe import FOLDER, generate

INDEX = cast(dict[str, dict[str, dict[str, str]]], json.loads((FOLDER / "index.json").read_text()))


def outcome(parse: Callable[[bytes], Header | Observation | Command], data: bytes) -> str:
    try:
        return repr(parse(data))
    except PipeError as error:
        return str(error)


@pytest.mark.parametrize("name", INDEX["headers"])
def test_header(name: str) -> None:
    vector = INDEX["headers"][name]
    assert outcome(parse_header, bytes.fromhex(vector["bytes"])).startswith(vector["outcome"])


@pytest.mark.parametrize("name", INDEX["observations"])
def test_observation(name: str) -> None:
    vector = INDEX["observations"][name]
    assert outcome(parse_observation, bytes.fromhex(vector["bytes"])).startswith(vector["outcome"])


@pytest.mark.parametrize("name", INDEX["commands"])
def test_command(name: str) -> None:
    vector = INDEX["commands"][name]
    assert outcome(parse_command, bytes.fromhex(vector["bytes"])).startswith(vector["outcome"])


def test_the_script_writes_what_is_there() -> None:
    assert differences(FOLDER, generate()) == []
