"""Every vector of the statements through the reader, and the script still making the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from agent.errors import FormatError
from agent.formats import statement
from agent.formats.canonical import Object
from tests.support.vectors import differences
from tests.vectors import make_statement

FOLDER = Path(__file__).parent / "statement"


class Vector(TypedDict, total=False):
    type: str
    value: Object
    error: str


INDEX: dict[str, Vector] = json.loads((FOLDER / "index.json").read_text())
VALID = [name for name, vector in INDEX.items() if "value" in vector]


def test_the_script_still_makes_these_bytes() -> None:
    assert differences(FOLDER, make_statement.generate()) == []


def test_every_file_is_in_the_index() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {*INDEX, "index.json"}


def test_every_type_has_a_vector() -> None:
    assert {INDEX[name]["type"] for name in VALID} == statement.TYPES


@pytest.mark.parametrize("name", VALID)
def test_reads_and_writes(name: str) -> None:
    data, vector = (FOLDER / name).read_bytes(), INDEX[name]
    found = statement.parse_line(data)
    assert found.name == vector["type"]
    assert found.value == {**vector["value"], "typ": f"temoin/{found.name}/1"}
    assert found.line == data
    assert statement.compose(found.name, vector["value"]) == found.text
    assert statement.parse_embedded(found.embedded) == found


@pytest.mark.parametrize("name", VALID)
def test_signatures_are_over_the_bytes_of_the_first_column(name: str) -> None:
    found = statement.parse_line((FOLDER / name).read_bytes())
    key = make_statement.POLICY_KEY if statement.ROLE_OF[found.name] == "policy" else make_statement.DOCK_KEY
    key.public_key().verify(found.signature, found.text, ec.ECDSA(SHA256()))


@pytest.mark.parametrize("name", [name for name, vector in INDEX.items() if "error" in vector])
def test_refuses(name: str) -> None:
    with pytest.raises(FormatError) as caught:
        statement.parse_line((FOLDER / name).read_bytes())
    assert str(caught.value) == INDEX[name]["error"]
