"""docs/asyncapi.yaml, openapi.yaml, operations-dock.md say what the code does: topics, fields, routes, causes, keys."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # it has none

from agent.formats import wire
from agent.formats.statement import FIELDS
from dock import health, intake
from dock.blobs import parse_url_path, url_path
from dock.cli import main
from dock.config import load_dock
from tests.support.agency import make_agency

ROOT = Path(__file__).parents[2]
ASYNCAPI = yaml.safe_load((ROOT / "docs" / "asyncapi.yaml").read_text())
OPENAPI = yaml.safe_load((ROOT / "docs" / "openapi.yaml").read_text())
PAGE = (ROOT / "docs" / "operations-dock.md").read_text()
INTAKE = Path(intake.__file__).read_text()
MESSAGES = ASYNCAPI["components"]["messages"]


def test_the_topics_are_those_of_the_wire() -> None:
    documented = {name: channel["address"].replace("{dev}", "cam-01") for name, channel in ASYNCAPI["channels"].items()}
    assert documented == {channel.value: wire.topic("cam-01", channel) for channel in wire.Channel}


def test_each_type_of_statement_is_a_message_with_its_fields() -> None:
    assert {name: set(MESSAGES[name]["payload"]["required"]) for name in MESSAGES.keys() - {"status", "batch"}} == {
        name: set(fields) for name, fields in FIELDS.items()
    }
    assert set(ASYNCAPI["channels"]["dock"]["messages"]) == set(FIELDS)
    assert ASYNCAPI["components"]["schemas"]["chain"]["required"] == [wire.CHAIN_PROPERTY]


def test_the_status_has_these_fields_and_states() -> None:
    status = wire.Status("cam-01", "0" * 32, "1" * 32, "2" * 32, wire.StatusState.DOCKED, 7, "3" * 64, 2)
    payload = MESSAGES["status"]["payload"]
    encoded = yaml.safe_load(status.encode())
    assert set(payload["required"]) == set(payload["properties"]) == set(encoded)
    assert payload["properties"]["state"]["enum"] == [state.value for state in wire.StatusState]
    assert payload["properties"]["typ"]["const"] == encoded["typ"] == wire.STATUS_TYPE
    for name in ("jid", "session", "nonce", "head", "dev"):
        kind = payload["properties"][name]["$ref"].rsplit("/", 1)[1]
        assert re.fullmatch(ASYNCAPI["components"]["schemas"][kind]["pattern"], encoded[name])


def test_a_batch_has_these_properties_and_this_length() -> None:
    batch = MESSAGES["batch"]
    assert batch["headers"]["required"] == [wire.FIRST_PROPERTY, wire.PREV_PROPERTY]
    assert batch["payload"]["maxLength"] == wire.MAX_BATCH_BYTES


def test_the_intake_has_this_route_with_these_names() -> None:
    (path,) = [path for path in OPENAPI["paths"] if path not in health.ROUTES]
    rec, seg = "cam-01-0011aabb-12", 7
    assert path.format(rec=rec, seg=f"{seg:04d}") == url_path(rec, seg)
    assert parse_url_path(url_path(rec, seg)) == (rec, seg)
    patterns = {each["name"]: each["schema"].get("pattern", "") for each in OPENAPI["paths"][path]["put"]["parameters"]}
    assert re.fullmatch(patterns["rec"], rec)
    assert re.fullmatch(patterns["seg"], "0007")
    assert set(OPENAPI["paths"]) == {path, *health.ROUTES}
    assert set(OPENAPI["paths"][path]) == {"put"}


def test_every_answer_of_the_intake_is_documented_and_none_other() -> None:
    answered = {(cause, int(status)) for cause, status in re.findall(r'"([a-z_]+)", (4\d\d|5\d\d)\)', INTAKE)}
    (path,) = [path for path in OPENAPI["paths"] if path not in health.ROUTES]
    documented = {int(status) for status in OPENAPI["paths"][path]["put"]["responses"]}
    assert documented == {status for _, status in answered} | {200, 201}
    schema = OPENAPI["components"]["responses"]["refused"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]["cause"]["enum"]) == {cause for cause, _ in answered}


def test_every_cause_is_explained_to_the_technician() -> None:
    causes = set(re.findall(r'NotAdmittedError\([^\n]*, "([a-z_]+)", \d+\)', INTAKE))
    causes |= set(re.findall(r'_refuse\("([a-z_]+)"', INTAKE)) | {"cut"}
    causes |= set(re.findall(r'refused\("([a-z_]+)"', (ROOT / "dock" / "process.py").read_text()))
    table = PAGE[PAGE.index("| cause of a refusal") : PAGE.index("## When something is wrong")]
    listed = {cause for row in re.findall(r"^\| (`[^|]+)\|", table, re.M) for cause in re.findall(r"`([a-z_]+)`", row)}
    assert listed == causes


def test_every_event_of_the_log_is_named() -> None:
    source = "".join(path.read_text() for path in (ROOT / "dock").glob("*.py"))
    events = set(re.findall(r'log\.write\(\s*"([a-z_]+)"', source)) | {"alerts"}
    named = set(re.findall(r"`([a-z_]+)`", PAGE[PAGE.index("The log (") : PAGE.index("| cause of a refusal")]))
    assert events <= named


def keys_of(table: Mapping[str, object], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for key, value in table.items():
        found |= keys_of(value, f"{key}.") if isinstance(value, dict) else {prefix + key}
    return found


def test_every_key_of_dock_toml_is_described(tmp_path: Path) -> None:
    path = make_agency(tmp_path).dock_folder() / "dock.toml"
    load_dock(path)
    section = PAGE[PAGE.index("## dock.toml") : PAGE.index("## The broker")]
    described = set(re.findall(r"`([a-z_.]+)`", section))
    assert keys_of(tomllib.loads(path.read_text())) <= described


def test_every_command_is_described_and_none_other(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    shown = set(re.findall(r"^    ([a-z]+) ", capsys.readouterr().out, re.M))
    assert set(re.findall(r"^\| `temoin-dock ([a-z]+)", PAGE, re.M)) == shown
