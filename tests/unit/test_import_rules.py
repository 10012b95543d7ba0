"""Imports run one way: the contracts of pyproject.toml hold, and each of them finds what it is there to find."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
LINTER = Path(sys.executable).with_name("lint-imports")

UPWARDS = [
    ("agent.errors", "agent.model"),
    ("agent.model", "agent.ports"),
    ("agent.config", "agent.formats.entries"),
    ("agent.formats.fields", "agent.keys"),
    ("agent.formats.fields", "agent.ring"),
    ("agent.ring", "agent.store.journal"),
    ("agent.store.journal", "agent.recorder"),
    ("agent.store.check", "agent.evidence.verify"),
    ("agent.evidence.verify", "agent.recorder"),
    ("agent.recorder", "agent.evidence.export"),
    ("agent.recorder", "agent.supervisor"),
    ("agent.supervisor", "agent.cli"),
    ("agent.supervisor", "agent.adapters.disk"),
    ("agent.formats.entries", "agent.adapters.disk"),
]
OUTWARDS = [
    ("agent.supervisor", "hw.panel"),
    ("agent.store.journal", "hw.panel"),
    ("agent.adapters.disk", "hw.panel"),
    ("agent.cli", "dock.cli"),
    ("agent.cli", "firmware.cli"),
]
INWARDS = [
    ("agent.adapters.disk", "agent.keys"),
    ("agent.adapters.disk", "agent.store.journal"),
    ("hw.panel", "agent.keys"),
    ("hw.panel", "agent.store.journal"),
    ("hw.panel", "agent.adapters.disk"),
    ("hw.capture.encoder", "agent.ring"),
    ("hw.sim.board", "agent.supervisor"),
    ("hw.panel", "firmware.cli"),
    ("dock.cli", "agent.recorder"),
    ("dock.cli", "agent.supervisor"),
    ("dock.cli", "hw.boards"),
    ("firmware.cli", "agent.states"),
    ("firmware.cli", "agent.cli"),
    ("firmware.cli", "hw.panel"),
]
TESTS = [
    ("agent.store.journal", "tests"),
    ("hw.panel", "tests"),
    ("dock.cli", "tests"),
    ("firmware.cli", "tests"),
]
ALLOWED = [
    ("agent.ports", "agent.model"),
    ("agent.keys", "agent.formats.entries"),
    ("agent.store.journal", "agent.keys"),
    ("agent.supervisor", "agent.recorder"),
    ("agent.supervisor", "agent.evidence.verify"),
    ("agent.cli", "agent.adapters.disk"),
    ("agent.cli", "hw.panel"),
    ("agent.adapters.disk", "agent.formats.entries"),
    ("agent.adapters.disk", "agent.ports"),
    ("hw.panel", "agent.config"),
    ("hw.panel", "agent.model"),
    ("hw.capture.encoder", "agent.formats.fields"),
    ("dock.cli", "agent.evidence.verify"),
    ("dock.cli", "agent.adapters.disk"),
    ("firmware.cli", "agent.store.journal"),
    ("firmware.cli", "agent.terminal"),
    ("firmware.cli", "hw.boards"),
]


def lint(folder: Path) -> tuple[int, str]:
    """Exit code and report of import-linter on the project in `folder`, its line breaks taken out."""
    done = subprocess.run([LINTER, "--no-cache", "--no-logo"], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def lay_house(folder: Path, imports: list[tuple[str, str]]) -> None:
    """A house of the same rooms, empty but for these imports (importer, imported)."""
    pyproject = (PROJECT / "pyproject.toml").read_text()
    (folder / "pyproject.toml").write_text(pyproject)
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    rooms = re.findall(r"\w+", " ".join(contracts[0]["layers"]))
    names = (
        {f"agent.{room}" for room in rooms} | {"dock.cli", "firmware.cli"} | {name for pair in imports for name in pair}
    )
    for name in sorted(names):
        if not name.startswith("tests"):
            lay_module(folder, name, [imported for importer, imported in imports if importer == name])


def lay_module(folder: Path, name: str, imported: list[str]) -> None:
    *packages, module = name.split(".")
    for package in packages:
        folder = folder / package
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    (folder / f"{module}.py").write_text("".join(f"import {other}\n" for other in imported))


def test_the_contracts_hold() -> None:
    code, report = lint(PROJECT)
    assert code == 0, report


@pytest.mark.parametrize("wrong", [UPWARDS, OUTWARDS, INWARDS, TESTS], ids=["upwards", "outwards", "inwards", "tests"])
def test_each_wrong_import_is_found(wrong: list[tuple[str, str]], tmp_path: Path) -> None:
    lay_house(tmp_path, wrong + ALLOWED)
    code, report = lint(tmp_path)
    assert code == 1, report
    assert [pair for pair in wrong if f"{pair[0]} -> {pair[1]} (l." not in report] == []


def test_allowed_imports_pass(tmp_path: Path) -> None:
    lay_house(tmp_path, ALLOWED)
    code, report = lint(tmp_path)
    assert code == 0, report


def test_a_module_without_a_place_in_the_layers_is_found(tmp_path: Path) -> None:
    lay_house(tmp_path, ALLOWED)
    lay_module(tmp_path, "agent.somewhere", [])
    code, report = lint(tmp_path)
    assert code == 1, report
    assert "agent.somewhere" in report
