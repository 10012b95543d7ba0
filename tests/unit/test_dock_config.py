"""dock.toml: the right one, and each way to be wrong with its file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.errors import ConfigError
from dock.config import load_dock
from tests.support.agency import TestAgency, make_agency


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("dock-config"))


def test_a_dock_file_gives_absolute_paths_from_its_own_folder(agency: TestAgency) -> None:
    folder = agency.dock_folder()
    config = load_dock(folder / "dock.toml")
    assert (config.dock, config.agency, config.language) == ("dock-01", "pm-test", "fr")
    assert (config.data, config.archive) == (folder / "data", folder / "archive")
    assert (config.key, config.tls_key) == (folder / "dock.key", folder / "dock-tls.key")
    assert (config.certificate, config.tls_certificate) == (folder / "dock.pem", folder / "dock-tls.pem")
    assert config.policy.read_bytes() == agency.policy_line
    assert config.policy_certificate.read_bytes() == agency.policy_pem
    assert config.agency_certificate.read_bytes() == agency.root_pem
    assert (str(config.broker), str(config.intake), config.intake_host, str(config.health)) == (
        "127.0.0.1:8883", "127.0.0.1:8443", "127.0.0.1:8443", "127.0.0.1:9464",
    )  # fmt: skip
    assert config.error_ms == 1000


WRONG = {
    "unknown key": (
        "[intake]",
        "[intake]\nfast = true",
        "intake.fast: unknown key; remove it, or spell it as one of: ",
    ),
    "unknown table": ("[intake]", "[web]\n[intake]", "web: unknown key"),
    "missing": ('archive = "archive"\n', "", "folders.archive: missing; give a text"),
    "dock id": ('dock = "dock-01"', 'dock = "Dock"', "dock: 'Dock' is not allowed; give 1 to 32 characters"),
    "language": ('"fr"', '"de"', "language: 'de' is not allowed; give fr or en"),
    "no port": ('address = "127.0.0.1:8883"', 'address = "127.0.0.1"', "broker.address: '127.0.0.1' is not an address"),
    "a number": ('address = "127.0.0.1:8883"', "address = 8883", "broker.address: is not a text"),
    "no clock": ("error_ms = 1000", "error_ms = 0", "clock.error_ms: 0 is out of range; give 1 to 60000"),
    "open health": ('"127.0.0.1:9464"', '"0.0.0.0:9464"', "health.listen: 0.0.0.0:9464 is not on the loopback; give"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_each_wrong_dock_file_is_named_with_its_key(name: str, agency: TestAgency, tmp_path: Path) -> None:
    old, new, said = WRONG[name]
    text = (agency.dock_folder() / "dock.toml").read_text()
    assert old in text
    path = tmp_path / "dock.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_dock(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert caught.value.remedy
