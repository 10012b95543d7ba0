"""What each process of a camera loads: a board has 512 MiB, and what is loaded is paid for as long as it runs.

A row that no longer fits is a question, not a number to raise: what needs it, and does the camera?
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

HEAVY = frozenset(
    {
        *("argparse", "asyncio", "concurrent.futures", "ctypes", "decimal", "email", "http.client", "inspect"),
        *("json", "logging", "multiprocessing", "random", "shutil", "sqlite3", "ssl", "subprocess", "tempfile"),
        *("tomllib", "unittest", "urllib.request", "xml", "zipfile"),
    }
)
"""Of the standard library: what takes time and memory to load."""


@dataclass(frozen=True, slots=True)
class Process:
    """`modules`: what it imports by the time that it works. `own`: how many modules of ours that may bring."""

    modules: str
    packages: frozenset[str]
    standard: frozenset[str]
    own: int


CONFIGURATION = frozenset({"tomllib", "inspect"})  # board files; inspect comes with dataclasses
CRYPTOGRAPHY = frozenset({"email"})  # its X.509 parses addresses
RESOURCES = frozenset({"random", "shutil", "tempfile", "zipfile"})  # packaged boards and words, by importlib.resources
PYAV = frozenset({"ctypes", "decimal", "logging", "inspect", "json"})
AGENT = CONFIGURATION | CRYPTOGRAPHY | RESOURCES | {"ctypes", "json"}

PROCESSES = {
    "the agent until its first light": Process(
        "agent.__main__, hw.panel", frozenset(), CONFIGURATION | RESOURCES | {"json"}, 40
    ),
    "the agent of a real board": Process(
        "agent.__main__, agent.agent, agent.adapters.disk, hw.board", frozenset({"cryptography"}), AGENT, 96
    ),
    "the agent of a simulated board": Process(
        "agent.__main__, agent.agent, hw.sim.board, hw.sim.disk",
        frozenset({"cryptography"}),
        AGENT | {"subprocess"},
        94,
    ),
    "capture of a camera": Process(
        "hw.capture.main, hw.capture.camera, hw.capture.microphone",
        frozenset({"av", "cython_runtime", "numpy"}),
        CONFIGURATION | PYAV | {"argparse"},
        28,
    ),
    "capture of a film": Process(
        "hw.capture.main, hw.capture.footage",
        frozenset({"av", "cython_runtime", "numpy"}),
        CONFIGURATION | PYAV | {"argparse"},
        27,
    ),
    "the capture service": Process("hw.capture.service", frozenset(), frozenset(), 3),
    "the keeper": Process("hw.keeper", frozenset(), CONFIGURATION | {"argparse"}, 16),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_a_process_loads_no_more_than_is_listed(name: str) -> None:
    process = PROCESSES[name]
    script = f"import sys; there = set(sys.modules); import {process.modules}; print(*set(sys.modules) - there)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    tops = {module.partition(".")[0] for module in loaded} - sys.stdlib_module_names - {"agent", "hw", "__main__"}
    assert {top for top in tops if not top.startswith("_")} <= process.packages
    assert loaded & HEAVY <= process.standard
    own = [module for module in loaded if module.partition(".")[0] in ("agent", "hw")]
    assert len(own) <= process.own, sorted(own)
