"""`temoin status` and `temoin doctor` beside a real agent that runs, is suspended, is killed; and on real mounts."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats.age import RecipientKind
from agent.model import NS_PER_S
from agent.status import STALE_NS
from tests.support.agency import make_agency
from tests.support.footage import make_footage
from tests.support.shift import Camera, boot_ns, command
from tests.support.shift import make_agency as init_agency


def doctor(config: Path) -> tuple[int, dict[str, str | None]]:
    """Exit code, and what each finding is about."""
    done = command("temoin", "doctor", "--config", config, "--json")
    assert done.stderr == ""
    return done.returncode, {one["code"]: one["about"] for one in json.loads(done.stdout)["findings"]}


def status(config: Path) -> list[str]:
    done = command("temoin", "status", "--config", config)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def wait_until_stale() -> None:
    ends_ns = boot_ns() + STALE_NS + NS_PER_S
    while boot_ns() < ends_ns:
        time.sleep(0.1)


def test_an_agent_that_runs_is_suspended_and_is_killed(tmp_path: Path) -> None:
    film = make_footage(tmp_path / "film.mp4", frames=50)
    agency = init_agency(tmp_path / "agency", film, "classic", prerecord_s=5)
    folder = Path(shutil.copytree(agency.camera, tmp_path / "camera"))
    config = folder / "camera.toml"
    with Camera(folder) as camera:
        camera.start()
        camera.wait_for("ready")
        code, found = doctor(config)
        assert code == 0, found
        assert found["agent_running"] == "activity.ready"
        assert {"panel_shows", "capture_silent", "journal_readable", "run_clean"} <= found.keys()

        os.kill(camera.agent.pid, signal.SIGSTOP)
        wait_until_stale()
        code, found = doctor(config)
        assert (code, found["agent_failing"]) == (1, "agent.stopped")
        assert "panel_stays_lit" not in found
        first, second = status(config)
        assert first == "L’agent ne répond pas : rien n’est enregistré"
        assert second.startswith("L’agent est suspendu")
        os.kill(camera.agent.pid, signal.SIGCONT)
        camera.wait("answering", lambda status: boot_ns() - int(str(status["boot_ns"])) < STALE_NS)
        assert doctor(config)[0] == 0

        camera.do("tap")
        camera.wait_for("recording")
        camera.agent.kill()
        wait_until_stale()
        code, found = doctor(config)
        assert (code, found["agent_failing"]) == (1, "agent.killed")
        assert "recording_open" in found
        assert status(config)[1].startswith("L’agent s’est arrêté sans prévenir")


@pytest.fixture(params=["ro,size=20m", "size=20m"])
def mounted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, str]]:
    film = make_footage(tmp_path / "film.mp4", frames=25)
    config = make_agency(tmp_path, RecipientKind.CLASSIC, footage=film).config()
    options = str(request.param)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", config.data], check=False)
    if done.returncode != 0:
        pytest.skip("mount is not allowed here")
    yield config.file, "card_read_only" if "ro" in options else "space_below_reserve"
    subprocess.run(["umount", config.data], check=True)


def test_a_card_that_is_read_only_or_small(mounted: tuple[Path, str]) -> None:
    config, expected = mounted
    code, found = doctor(config)
    assert code == 1
    assert expected in found
