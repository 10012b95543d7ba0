"""The command line itself: its help, and what the other commands make of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.cli import main
from agent.formats.age import RecipientKind
from tests.support.agency import TestAgency, make_agency

COMMANDS = ("run", "status", "sim", "verify", "export", "salvage")


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), RecipientKind.CLASSIC)


def complaint(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 1) -> str:
    """The one line that the command says."""
    assert main([str(each) for each in arguments]) == code
    said, complained = capsys.readouterr()
    assert said == ""
    assert complained.startswith("temoin: ")
    assert complained.count("\n") == 1
    return complained


def test_the_help_names_every_command_and_each_says_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    for command in COMMANDS:
        assert f"\n    {command} " in said
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        described = capsys.readouterr().out
        assert described.startswith(f"usage: temoin {command} ")
        for line in described.splitlines():
            if line.startswith("  --") and not line.startswith("  --help"):
                assert len(line.split(None, 2)) > 1, f"{command}: {line} says nothing"


@pytest.mark.parametrize(
    "arguments", [[], ["fly"], ["run"], ["run", "--fast"], ["export", "x"], ["export", "--start", "1:00"]]
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_status_without_an_agent(agency: TestAgency, capsys: pytest.CaptureFixture[str]) -> None:
    config = agency.camera_folder() / "camera.toml"
    assert "no status" in complaint(capsys, "status", "--config", config)
    run = agency.config().run
    run.mkdir(exist_ok=True)
    for nonsense in (b"[]", b"{", b"\xff"):
        (run / "status.json").write_bytes(nonsense)
        complaint(capsys, "status", "--config", config)
    (run / "status.json").write_text(json.dumps({"boot_ns": 1, "activity": "ready", "conditions": "?", "light": 3}))
    assert main(["status", "--config", str(config)]) == 0
    assert "ne répond pas" in capsys.readouterr().out
    assert main(["status", "--config", str(config), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["answers"] is False
    (run / "status.json").unlink()


def test_sim_without_an_agent_and_unknown_actions(agency: TestAgency, capsys: pytest.CaptureFixture[str]) -> None:
    config = agency.camera_folder() / "camera.toml"
    assert "start the agent" in complaint(capsys, "sim", "--config", config, "press")
    complaint(capsys, "sim", "--config", config, "explode")
    complaint(capsys, "sim", "--config", config, "battery", "many")


def test_verify_that_cannot_check_exits_with_2(
    agency: TestAgency, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    trust = agency.folder / "ca" / "agency.pem"
    assert str(tmp_path / "none") in complaint(capsys, "verify", tmp_path / "none", "--trust", trust, code=2)
    complaint(capsys, "verify", tmp_path, "--trust", trust, code=2)
    complaint(capsys, "verify", tmp_path, "--trust", tmp_path / "none.pem", code=2)
    assert "--head" in complaint(capsys, "verify", tmp_path, "--trust", trust, "--head", "x", code=2)


@pytest.mark.parametrize("wrong", [b"", b"nonsense", b"\xff\n\x1b[2J", "camera", "two"])
def test_verify_under_what_is_no_agencys_certificate_exits_with_2(
    agency: TestAgency, capsys: pytest.CaptureFixture[str], tmp_path: Path, wrong: bytes | str
) -> None:
    camera = b"".join(each.public_bytes(Encoding.PEM) for each in agency.chain())
    data = wrong if isinstance(wrong, bytes) else camera if wrong == "camera" else agency.root_pem * 2
    trust = tmp_path / "agency.pem"
    trust.write_bytes(data)
    (tmp_path / "data" / "journal").mkdir(parents=True)
    assert str(trust) in complaint(capsys, "verify", tmp_path / "data", "--trust", trust, code=2)


def test_export_and_salvage_of_what_is_not_there(
    agency: TestAgency, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = agency.folder / "reader"
    identity = reader / "agency.age-identity"
    given = ("--data", tmp_path, "--identity", identity, "--signer", reader, "--out", tmp_path / "bundle")
    complaint(capsys, "export", "cam-01-00000000-3", *given)
    assert not (tmp_path / "bundle").exists()
    complaint(capsys, "salvage", tmp_path / "none.mp4.age", "--identity", identity)
    junk = tmp_path / "junk.mp4.age"
    junk.write_bytes(b"no age file")
    monkeypatch.chdir(tmp_path)
    complaint(capsys, "salvage", junk, "--identity", identity)
    complaint(capsys, "salvage", junk, "--identity", junk)
    assert [path.name for path in tmp_path.iterdir()] == ["junk.mp4.age"]
