"""What ships stays small enough to be read, and says at its top what it guarantees; so far as a machine can tell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
ROOMS = ("agent", "hw", "dock", "firmware")
MODULE_LINES = 400
FUNCTION_LINES = 70


def modules() -> list[Path]:
    found = [path for room in ROOMS for path in sorted((PROJECT / room).rglob("*.py"))]
    assert len(found) > 100, "this looks at the wrong folder"
    return found


def violations(name: str, text: str) -> Iterator[str]:
    """What of this source is too long, or does not say what it is. An empty file has nothing to say."""
    lines = len(text.splitlines())
    if lines > MODULE_LINES:
        yield f"{name}: {lines} lines, more than {MODULE_LINES}: split it by a seam that a newcomer finds by its name"
    tree = ast.parse(text)
    if tree.body and not ast.get_docstring(tree):
        yield f"{name}: no docstring that says what it guarantees and assumes"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            length = node.end_lineno - node.lineno + 1
            if length > FUNCTION_LINES:
                yield f"{name}:{node.lineno}: {node.name} has {length} lines, more than {FUNCTION_LINES}"


def test_what_ships_keeps_to_the_limits() -> None:
    found = [
        each
        for path in modules()
        for each in violations(str(path.relative_to(PROJECT)), path.read_text(encoding="utf-8"))
    ]
    assert not found, "\n".join(found)


HEAD = '"""What it is."""\n'


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        (HEAD, 0),
        ("# only a comment\n", 0),
        ("x = 1\n", 1),
        ('x = 1\n"""Too late."""\n', 1),
        (HEAD + "x = 1\n" * (MODULE_LINES - 1), 0),
        (HEAD + "x = 1\n" * MODULE_LINES, 1),
        (HEAD + "def f():\n" + "    x = 1\n" * (FUNCTION_LINES - 1), 0),
        (HEAD + "def f():\n" + "    x = 1\n" * FUNCTION_LINES, 1),
        (HEAD + "class C:\n    async def f(self):\n" + "        x = 1\n" * FUNCTION_LINES, 1),
        ("def f():\n" + "    x = 1\n" * MODULE_LINES, 3),
    ],
)
def test_the_limits_are_measured(text: str, count: int) -> None:
    assert len(list(violations("it.py", text))) == count
