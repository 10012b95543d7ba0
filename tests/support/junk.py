"""Values that turn up where they do not belong. Some are no JSON at all: what a type checker would refuse."""

from __future__ import annotations

from typing import cast

from agent.formats.canonical import Value

JUNK: list[Value] = [
    None,
    True,
    False,
    0,
    -1,
    10**400,
    "",
    "-",
    "\n",
    "\x7f",
    "\ud800",
    "x" * 70_000,
    [],
    [None],
    {},
    {"a": []},
    *(cast(Value, value) for value in (1.0, float("nan"), b"1", {1}, {1: 1})),
]
