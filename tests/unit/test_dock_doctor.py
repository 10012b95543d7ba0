"""The dock's doctor: what chrony's words mean, and what can be wrong with a dock's folder, in both languages."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from dock.cli import main
from dock.doctor import bound_of
from tests.support.agency import TestAgency, make_agency
from tests.support.mosquitto import free_port

TRACKING = "A9FE7B7B,time.example,3,1795534831.5,0.000010,0.000005,0.000020,-3.2,0.001,0.05,{},{},64.2,{}\n"


@pytest.mark.parametrize(
    ("delay", "dispersion", "leap", "bound_ms"),
    [
        ("0.010", "0.0025", "Normal", 8),
        ("0.000000", "0.000000", "Normal", 1),
        ("1.0", "0.5", "Insert second", 1001),
        ("0.010", "0.0025", "Not synchronised", None),
        ("x", "0.0025", "Normal", None),
    ],
)
def test_chronys_bound_is_half_the_delay_and_the_dispersion(
    delay: str, dispersion: str, leap: str, bound_ms: int | None
) -> None:
    assert bound_of(TRACKING.format(delay, dispersion, leap)) == bound_ms


def test_what_is_no_answer_of_chrony_is_no_bound() -> None:
    assert [bound_of(text) for text in ("", "506 Cannot talk to daemon\n", ",,,")] == [None, None, None]


def _other_dock(agency: TestAgency, folder: Path) -> None:
    (folder / "dock.toml").write_text((folder / "dock.toml").read_text().replace('dock = "dock-01"', 'dock = "dock-2"'))


def _no_archive(agency: TestAgency, folder: Path) -> None:
    (folder / "archive").rmdir()


def _open_key(agency: TestAgency, folder: Path) -> None:
    (folder / "dock.key").chmod(0o644)


def _not_of_the_policy(agency: TestAgency, folder: Path) -> None:
    (folder / "policy.line").write_bytes(agency.sign_policy(docks=["elsewhere"]))


def _another_intake(agency: TestAgency, folder: Path) -> None:
    (folder / "policy.line").write_bytes(agency.sign_policy(intake_hosts=["elsewhere:1"]))


WRONG: dict[str, tuple[Callable[[TestAgency, Path], None], str]] = {
    "another dock's files": (_other_dock, "not of the dock dock-2"),
    "no archive": (_no_archive, "archive"),
    "a key that others can read": (_open_key, "chmod 600"),
    "a policy without this dock": (_not_of_the_policy, "docks: dock-01 is not among them"),
    "a policy without its intake": (_another_intake, "intake_hosts: 127.0.0.1:8443 is not among them"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
@pytest.mark.parametrize("language", ["fr", "en"])
def test_what_is_wrong_is_said_with_what_to_do(
    name: str, language: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agency = make_agency(tmp_path, now_ms=time.time_ns() // 1_000_000, broker_port=free_port())
    folder = agency.dock_folder()
    config = folder / "dock.toml"
    config.write_text(config.read_text().replace('language = "fr"', f'language = "{language}"'))
    break_it, said = WRONG[name]
    break_it(agency, folder)
    assert main(["doctor", "--config", str(config)]) == 1
    out = capsys.readouterr().out
    assert said in out
    assert ("À corriger" if language == "fr" else "To be mended") in out
