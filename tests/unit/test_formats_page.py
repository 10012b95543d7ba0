"""docs/formats.md says what the code does: its tables of fields against the checks, its example against the vectors."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path

import pytest

from agent.errors import FormatError
from agent.formats import bodies, statement
from agent.formats.fields import Check
from tests.vectors import entries_story

PROJECT = Path(__file__).parents[2]
PAGE = (PROJECT / "docs" / "formats.md").read_text()
CODE = re.compile(r"`([^`]*)`")


def between(start: str, end: str) -> str:
    return PAGE.split(f"<!-- {start}", 1)[1].split(f"<!-- {end}", 1)[0]


def rows(table: str) -> list[tuple[str, str, str]]:
    """(name, field, value) of each row; the name is the one of the row above where the cell is empty."""
    found, name = [], ""
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| ") and cells[0] not in ("kind", "type"):
            name = cells[0].strip("`") or name
            found.append((name, cells[1].strip("`"), cells[2]))
    return found


BODIES = rows(between("table of bodies", "end of the table"))
STATEMENTS = rows(between("table of statements", "end of the table"))
CHECKS: list[tuple[str, str, Check]] = [
    *((f"{kind}.{field}", value, bodies._FIELDS[kind][field]) for kind, field, value in BODIES),
    *(
        (f"temoin/{name}/1.{field}", value, {**statement._BY_DOCK, "policy": statement._POLICY}[name][field])
        for name, field, value in STATEMENTS
    ),
]
EXAMPLES = {
    "hash": "0" * 64,
    "random": "0" * 32,
    "id": "cam-0001",
    "rec": "cam-0001-01234567-1",
    "ns": "0",
    "UTC": "2026-01-31T08:00:00.000Z",
    "word": "a.b_c+d-e",
    "count": 0,
    "bool": True,
    "file name": "journal/00000000.log",
    "reference": {"head": "0" * 64, "seq": 0},
}


def takes(check: Check, value: object) -> bool:
    try:
        check(value, "field")  # type: ignore[arg-type]  # what is not of the format is tried on purpose
    except FormatError:
        return False
    return True


def test_the_table_of_bodies_has_every_field_of_every_kind_and_no_other() -> None:
    assert len({(kind, field) for kind, field, _ in BODIES}) == len(BODIES)
    found = {kind: {"salt"} | {field for name, field, _ in BODIES if name == kind} for kind, _, _ in BODIES}
    assert found == {kind: set(names) for kind, names in bodies.FIELDS.items()}


def test_the_table_of_statements_has_every_field_of_every_type_and_no_other() -> None:
    assert len({(name, field) for name, field, _ in STATEMENTS}) == len(STATEMENTS)
    found = {name: {field for each, field, _ in STATEMENTS if each == name} for name, _, _ in STATEMENTS}
    common = {"typ", "agency", "dock", "dev", "jid", "dseq", "session", "utc"}
    expected = {name: set(names) for name, names in statement.FIELDS.items()}
    assert {name: names | ({"typ"} if name == "policy" else common) for name, names in found.items()} == expected


@pytest.mark.parametrize(("name", "value", "check"), CHECKS, ids=[name for name, _, _ in CHECKS])
def test_the_value_in_the_table_is_the_one_that_is_checked(name: str, value: str, check: Check) -> None:
    assert takes(check, None) is value.endswith(" or null")
    plain = value.removesuffix(" or null")
    if plain in EXAMPLES:
        assert takes(check, EXAMPLES[plain])
        assert not takes(check, [EXAMPLES[plain]])
    elif plain.startswith("`"):
        assert all(takes(check, each) for each in CODE.findall(plain))
        assert not takes(check, "another")
    elif plain.startswith("list of"):
        _check_list(check, plain)
    elif match := re.fullmatch(r"(integer|text,) (-?[\d,]+) to ([\d,]+)", plain):
        _check_range(check, match[1] == "integer", *(int(each.replace(",", "")) for each in match.groups()[1:]))
    elif match := re.fullmatch(r"1 to (\d+) times ([\d,]+)", plain):
        most, unit = int(match[1]), int(match[2].replace(",", ""))
        assert [takes(check, each * unit) for each in (0, 1, most, most + 1)] == [False, True, True, False]
        assert not takes(check, unit + 1)
    else:
        assert plain in ("statement", "object", "base64") or re.fullmatch(r"object of 0 to 16", plain), (
            f"{name}: {plain}"
        )


def _check_range(check: Check, is_integer: bool, low: int, high: int) -> None:
    sizes = [low - 1, low, high, high + 1]
    values = [size if is_integer else "x" * size for size in sizes]
    assert [takes(check, each) for each in values] == [False, True, True, False]


def _check_list(check: Check, plain: str) -> None:
    match = re.fullmatch(r"list of (\d+) to ([\d,]+)( \w+)?", plain)
    assert match is not None, plain
    least, most = int(match[1]), int(match[2].replace(",", ""))
    assert takes(check, []) is (least == 0)
    item = EXAMPLES.get((match[3] or "").strip())
    if item is not None:
        assert takes(check, [item] * most)
        assert not takes(check, [item] * (most + 1))


def test_the_worked_example_is_the_entry_of_the_vectors() -> None:
    example = between("worked example", "end of the example")
    seq = next(seq for seq, (kind, _) in enumerate(entries_story.story()) if kind == "fragment")
    head, signature, body = (column.decode() for column in entries_story.journal()[seq])
    before = entries_story.journal()[seq - 1][0]
    der = base64.b64decode(signature).hex()
    assert f"Line {seq + 1} of `tests/vectors/entries/journal.log` is entry {seq}" in PAGE
    assert re.findall(r"```\n(.*)\n```", example) == [head, signature, body, der]
    hashes = [hashlib.sha256(each).hexdigest() for each in (body.encode(), before, head.encode())]
    assert re.findall(r"`([0-9a-f]{64})`", example)[:3] == hashes
    assert f"the body, {len(body)} bytes" in example
    assert f"the head, {len(head)} bytes" in example
    r, s = re.findall(r"[rs] = `([0-9a-f]+)`", example)
    assert der == "30" + f"{len(r + s) // 2 + 4:02x}" + f"02{len(r) // 2:02x}{r}" + f"02{len(s) // 2:02x}{s}"


def test_the_folders_of_vectors_and_their_scripts_are_there() -> None:
    found = re.findall(r"^\| `(tests/vectors/[a-z0-9]+/)`.*`python -m (tests\.vectors\.\w+)`", PAGE, re.MULTILINE)
    assert len(found) == 8
    for folder, script in found:
        assert (PROJECT / folder).is_dir()
        assert (PROJECT / f"{script.replace('.', '/')}.py").exists()
