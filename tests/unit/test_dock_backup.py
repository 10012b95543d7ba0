"""The backup: whole files under their names, nothing deleted or replaced by something else, no key."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import DiskError
from dock.backup import back_up
from dock.catalogue import Catalogue
from dock.config import DockConfig, load_dock
from dock.opening import CATALOGUE
from tests.support.agency import make_agency

ROOT = Path(__file__).parents[2]
LOG = Path("archive/cam-01/journal/00000000.log")
BLOB = Path("archive/cam-01/segments/cam-01-0011aabb-3/0000.mp4.age")


@pytest.fixture
def config(tmp_path: Path) -> DockConfig:
    folder = make_agency(tmp_path).dock_folder()
    for path, data in ((LOG, b"one\ntwo\nhalf a li"), (BLOB, b"b" * 100_000), (Path("data/journal/1.log"), b"own\n")):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(data)
    (folder / f"{BLOB}.1.tmp").write_bytes(b"an upload")
    (folder / "archive" / "lock").write_bytes(b"")
    Catalogue.open(f"sqlite:///{folder / 'data' / CATALOGUE}").close()
    return load_dock(folder / "dock.toml")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    made = tmp_path / "backup"
    made.mkdir()
    return made


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_all_but_keys_and_what_is_not_whole(config: DockConfig, target: Path) -> None:
    assert back_up(config, target) == []
    assert names(target) == {
        "dock.toml", "dock.pem", "dock-tls.pem", "agency.pem", "policy.line", "policy.pem",
        "mosquitto.conf", "mosquitto.acl", str(LOG), str(BLOB), "data/journal/1.log", f"data/{CATALOGUE}",
    }  # fmt: skip
    assert (target / LOG).read_bytes() == b"one\ntwo\n"
    assert (target / BLOB).read_bytes() == b"b" * 100_000
    catalogue = Catalogue.open(f"sqlite:///{target / 'data' / CATALOGUE}")
    assert catalogue.journals() == []
    catalogue.close()


def test_a_journal_grows_and_nothing_is_deleted(config: DockConfig, target: Path) -> None:
    source = config.file.parent
    back_up(config, target)
    before = (target / BLOB).stat().st_mtime_ns
    (source / LOG).write_bytes(b"one\ntwo\nhalf a line is whole now\n")
    (source / "data" / "journal" / "1.log").unlink()
    (source / "dock.toml").write_text((source / "dock.toml").read_text() + "# changed\n")
    assert back_up(config, target) == []
    assert (target / LOG).read_bytes() == (source / LOG).read_bytes()
    assert (target / BLOB).stat().st_mtime_ns == before
    assert (target / "data" / "journal" / "1.log").read_bytes() == b"own\n"
    assert (target / "dock.toml").read_text().endswith("# changed\n")


@pytest.mark.parametrize(
    ("path", "data"),
    [
        (LOG, b"one\nTWO\nthree\n"),
        (LOG, b"one\n"),
        (BLOB, b"b" * 99_999),
        (BLOB, b"b" * 100_001),
    ],
    ids=["another line", "a shorter journal", "a shorter blob", "a longer blob"],
)
def test_what_changed_is_left_and_said(path: Path, data: bytes, config: DockConfig, target: Path) -> None:
    back_up(config, target)
    kept = (target / path).read_bytes()
    (config.file.parent / path).write_bytes(data)
    assert back_up(config, target) == [target / path]
    assert (target / path).read_bytes() == kept


def test_a_target_that_cannot_be_written(config: DockConfig, target: Path) -> None:
    (target / "archive").write_bytes(b"a file where a folder belongs")
    with pytest.raises(DiskError, match="archive"):
        back_up(config, target)


def test_the_command_needs_a_folder_that_is_there(config: DockConfig, target: Path, tmp_path: Path) -> None:
    named = tmp_path / "named"

    def command() -> subprocess.CompletedProcess[str]:
        run = [sys.executable, "-m", "dock.backup", "--config", str(config.file), "--to-file", str(named)]
        return subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)

    done = command()
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "names no folder" in done.stderr
    named.write_text("/not/mounted\n")
    assert "'/not/mounted' is no folder; mount it" in command().stderr
    named.write_text(f"{target}\n")
    assert (command().returncode, (target / LOG).exists()) == (0, True)
