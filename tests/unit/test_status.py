"""`temoin status` says of each trouble what it is and what to do, and of a silent agent that nothing is recorded."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalogue import LANGUAGES, say
from agent.errors import ConfigError
from agent.formats.canonical import Value
from agent.model import NS_PER_S, Activity, Colour, Condition, Light, NoticeState, Unavailable
from agent.status import STALE_NS, Docking, Status, agent_state, as_json, as_object, lines, refused
from agent.troubles import CONDITIONS, REFUSALS, AgentState, Level, Process

NOW_NS = 1_000 * NS_PER_S
SUPERSET = {"answers", "agent", "troubles"}


def status(
    *conditions: Condition,
    activity: Activity = Activity.READY,
    unavailable: Unavailable | None = None,
    camera_said: str = "",
    docking: Docking | None = None,
) -> dict[str, object]:
    made = Status(
        activity=activity,
        conditions=frozenset(conditions),
        light=Light(Colour.GREEN),
        recording=None,
        press_ns=None,
        durable_end_ns=None,
        captured_end_ns=None,
        notice=NoticeState.UNKNOWN,
        battery_percent=80,
        unavailable=unavailable,
        camera_said=camera_said,
        docking=docking,
    )
    return as_object(made, NOW_NS)


def troubles(found: dict[str, object], now_ns: int = NOW_NS, process: Process = Process.ALIVE) -> list[dict[str, str]]:
    said = json.loads(as_json(found, now_ns, process))
    assert said.keys() == found.keys() | SUPERSET
    assert all(said[key] == json.loads(json.dumps(value)) for key, value in found.items())
    listed: list[dict[str, str]] = said["troubles"]
    return listed


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("condition", [one for one in Condition if CONDITIONS[one].level is not Level.OK])
def test_a_condition_comes_with_its_remedy(condition: Condition, language: str) -> None:
    found = status(condition)
    expected = f"{say(f'condition.{condition}', language)} → {say(f'remedy.{CONDITIONS[condition].remedy}', language)}"
    assert expected in lines(found, NOW_NS, language, Process.ALIVE)
    (trouble,) = troubles(found)
    assert (trouble["code"], trouble["remedy"]) == (f"condition.{condition}", CONDITIONS[condition].remedy)
    assert trouble[language] == expected


def test_a_camera_that_fails_is_quoted() -> None:
    found = status(Condition.CAMERA_FAILING, camera_said="film.mp4: no video stream\x1b[2J")
    (line,) = [line for line in lines(found, NOW_NS, "en", Process.ALIVE) if line.startswith("no picture")]
    assert line.startswith('no picture arrives ("film.mp4: no video stream\\x1b[2J") → Check lens')


def test_errors_come_before_warnings() -> None:
    found = status(Condition.LOW_BATTERY, Condition.WRITER_LATE, Condition.CAMERA_FAILING)
    assert [one["code"] for one in troubles(found)] == [
        "condition.writer_late",
        "condition.camera_failing",
        "condition.low_battery",
    ]


@pytest.mark.parametrize("cause", REFUSALS)
def test_a_refusal_comes_with_its_cause_and_remedy(cause: str) -> None:
    values = {"problem": "the card is full", "free_bytes": "1", "needed_bytes": "2"}
    found = status(activity=Activity.REFUSING, unavailable=Unavailable(cause, values))
    (trouble,) = troubles(found)
    assert (trouble["code"], trouble["remedy"]) == (f"refusal.{cause}", REFUSALS[cause].remedy)
    assert "{" not in trouble["fr"] + trouble["en"]


@pytest.mark.parametrize(
    ("process", "activity", "state"),
    [
        (Process.ALIVE, Activity.RECORDING, AgentState.HUNG),
        (Process.STOPPED, Activity.RECORDING, AgentState.STOPPED),
        (Process.GONE, Activity.RECORDING, AgentState.KILLED),
        (Process.GONE, Activity.SHUTTING_DOWN, AgentState.ENDED),
    ],
)
def test_a_stale_status_says_that_nothing_is_recorded(process: Process, activity: Activity, state: AgentState) -> None:
    found = status(Condition.LOW_BATTERY, activity=activity)
    late_ns = NOW_NS + STALE_NS
    assert agent_state(found, late_ns - 1, process) is AgentState.RUNNING
    assert agent_state(found, late_ns, process) is state
    for language in LANGUAGES:
        first, second, *more = lines(found, late_ns, language, process)
        assert first == say("status.no_answer", language)
        assert second.startswith(say(f"agent.{state}", language) + " → ")
        assert not more, "conditions of an agent that is gone say nothing about now"
    assert json.loads(as_json(found, late_ns, process))["answers"] is False


def test_a_start_that_failed_says_why_however_old() -> None:
    found = refused(ConfigError("policy.line: version", "1 is older than 2", "give the newest policy"), NOW_NS)
    for now_ns in (NOW_NS, NOW_NS + 100 * STALE_NS):
        assert agent_state(found, now_ns, Process.GONE) is AgentState.REFUSED
        (trouble,) = troubles(found, now_ns, Process.GONE)
        assert "1 is older than 2" in trouble["en"]
        assert trouble["en"] in lines(found, now_ns, "en", Process.GONE)


def test_no_status_at_all_is_an_agent_that_never_started() -> None:
    assert agent_state({}, NOW_NS, Process.GONE) is AgentState.ABSENT


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(sorted(status()))


@given(st.dictionaries(FIELDS | st.text(max_size=4), JSON, max_size=6), st.sampled_from(Process))
def test_a_status_of_any_shape_is_said_in_printable_lines(found: dict[str, Value], process: Process) -> None:
    shown: dict[str, object] = dict(found)
    for language in LANGUAGES:
        assert all(line.isprintable() for line in lines(shown, NOW_NS, language, process))
    assert json.loads(as_json(shown, NOW_NS, process))["agent"] in set(AgentState)


def test_a_docking_is_said_with_what_is_left_to_do() -> None:
    found = status(Condition.DOCKED, activity=Activity.IDLE, docking=Docking("dock-01", 7, 9, 2, 1234))
    assert found["docking"] == {"dock": "dock-01", "position": 7, "total": 9, "uploads": 2, "upload_bytes": 1234}
    said = lines(found, NOW_NS, "fr", Process.ALIVE)
    assert "Station dock-01 : 7 entrées du journal sur 9" in said
    assert "2 segments sans reçu, 1234 octets" in said
    found = status(Condition.DOCKED, activity=Activity.IDLE, docking=Docking("dock-01", 9, 9, 0, 0))
    assert "Every segment has its receipt" in lines(found, NOW_NS, "en", Process.ALIVE)
