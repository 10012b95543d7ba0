"""What `temoin status` says: the camera's Status as an object for programs, and in the officer's words.

Times are on the boot clock; a status older than STALE_NS says that the agent does not answer, whatever else it holds:
nothing is recorded then. Each trouble is said with its remedy (agent/troubles.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from agent.catalogue import LANGUAGES, say
from agent.errors import TemoinError
from agent.model import NS_PER_S, Activity, Condition, Light, NoticeState, Unavailable
from agent.terminal import printable
from agent.troubles import AGENT, CONDITIONS, REFUSALS, AgentState, Level, Process, with_remedy

STALE_NS = 3 * NS_PER_S


@dataclass(frozen=True, slots=True)
class Docking:
    """How far a docking is: entries of the journal that the dock has, of how many; segments that it has not."""

    dock: str
    position: int
    total: int
    uploads: int
    upload_bytes: int


@dataclass(frozen=True, slots=True)
class Status:
    """What `temoin status` shows; times on the boot clock."""

    activity: Activity
    conditions: frozenset[Condition]
    light: Light
    recording: str | None
    press_ns: int | None
    durable_end_ns: int | None
    captured_end_ns: int | None
    notice: NoticeState
    battery_percent: int | None
    unavailable: Unavailable | None
    camera_said: str
    docking: Docking | None


def as_object(status: Status, now_ns: int) -> dict[str, object]:
    """For `<run>/status.json`."""
    return {
        "boot_ns": now_ns,
        "activity": status.activity.value,
        "conditions": sorted(condition.value for condition in status.conditions),
        "light": {"colour": status.light.colour.value, "pattern": status.light.pattern.value},
        "recording": status.recording,
        "press_ns": status.press_ns,
        "durable_end_ns": status.durable_end_ns,
        "captured_end_ns": status.captured_end_ns,
        "notice": status.notice.value,
        "battery_percent": status.battery_percent,
        "unavailable": _why(status.unavailable),
        "camera_said": status.camera_said,
        "docking": None if status.docking is None else asdict(status.docking),
    }


def refused(error: TemoinError, now_ns: int) -> dict[str, object]:
    """The last status of an agent that could not start."""
    why = Unavailable("start_failed", {"problem": printable(str(error))})
    return {"boot_ns": now_ns, "activity": Activity.REFUSING.value, "unavailable": _why(why)}


def _why(unavailable: Unavailable | None) -> dict[str, object] | None:
    return None if unavailable is None else {"cause": unavailable.cause, "values": unavailable.values}


def as_json(found: Mapping[str, object], now_ns: int, process: Process) -> str:
    """The same, with whether the agent still answers, what is with its process, and each trouble with its remedy."""
    troubles = [
        {"code": trouble.key, "remedy": trouble.remedy, **{language: trouble.line(language) for language in LANGUAGES}}
        for trouble in _troubles(found, now_ns, process)
    ]
    more = {
        "answers": answers(found, now_ns),
        "agent": agent_state(found, now_ns, process).value,
        "troubles": troubles,
    }
    return json.dumps({**found, **more}, indent=2) + "\n"


def answers(found: Mapping[str, object], now_ns: int) -> bool:
    """Whether the status is fresh: the agent that wrote it is not stopped, killed or hung."""
    written_ns = found.get("boot_ns")
    return isinstance(written_ns, int) and 0 <= now_ns - written_ns < STALE_NS


def agent_state(found: Mapping[str, object], now_ns: int, process: Process) -> AgentState:
    """What is with the agent whose last status this is (empty: there is none), and who holds its data folder."""
    why = refusal(found)
    if why is not None and why[0] == "start_failed":
        return AgentState.REFUSED
    if answers(found, now_ns):
        return AgentState.RUNNING
    if process is not Process.GONE:
        return AgentState.STOPPED if process is Process.STOPPED else AgentState.HUNG
    if not found:
        return AgentState.ABSENT
    return AgentState.ENDED if found.get("activity") == Activity.SHUTTING_DOWN else AgentState.KILLED


def conditions(found: Mapping[str, object]) -> tuple[Condition, ...]:
    """The conditions that a status names."""
    named = found.get("conditions")
    if not isinstance(named, list):
        return ()
    return tuple(condition for condition in Condition if condition.value in named)


def refusal(found: Mapping[str, object]) -> tuple[str, dict[str, str]] | None:
    """Cause and values of why nothing can be recorded."""
    why = found.get("unavailable")
    if not isinstance(why, Mapping):
        return None
    values = why.get("values")
    given = {str(key): str(value) for key, value in values.items()} if isinstance(values, Mapping) else {}
    return str(why.get("cause")), given


def lines(found: Mapping[str, object], now_ns: int, language: str, process: Process) -> list[str]:
    """In the officer's words, French or English."""
    troubles = [trouble.line(language) for trouble in _troubles(found, now_ns, process)]
    if not answers(found, now_ns):
        return [say("status.no_answer", language), *troubles]
    said = [say(f"activity.{found.get('activity')}", language)]
    light = found.get("light")
    if isinstance(light, Mapping):
        seen = [say(f"{what}.{light.get(what)}", language) for what in ("colour", "pattern")]
        said.append(say("status.light", language, light=", ".join(seen)))
    said += [say(f"condition.{one}", language) for one in conditions(found) if CONDITIONS[one].level is Level.OK]
    said += troubles
    if found.get("recording") is not None:
        said.append(say("status.recording", language, recording=str(found["recording"])))
        said.append(say(f"notice.{found.get('notice')}", language))
    said += _docking(found, language)
    if found.get("battery_percent") is not None:
        said.append(say("status.battery", language, percent=str(found["battery_percent"])))
    return [printable(line) for line in said]


def _docking(found: Mapping[str, object], language: str) -> list[str]:
    docking = found.get("docking")
    if not isinstance(docking, Mapping):
        return []
    said = {str(key): str(value) for key, value in docking.items()}
    waiting = "uploads" if said.get("uploads") != "0" else "uploads_done"
    return [say("status.journal", language, **said), say(f"status.{waiting}", language, **said)]


@dataclass(frozen=True, slots=True)
class _Trouble:
    """One thing that is not as it should be; `own_words` are of somebody who speaks no French."""

    key: str
    remedy: str | None
    values: Mapping[str, str] = field(default_factory=dict)
    own_words: str = ""

    def line(self, language: str) -> str:
        text = say(self.key, language, **self.values)
        if self.own_words:
            text = say("status.in_its_words", language, trouble=text, words=self.own_words)
        return printable(with_remedy(text, self.remedy, language))


def _troubles(found: Mapping[str, object], now_ns: int, process: Process) -> list[_Trouble]:
    """The worst first: the agent, the refusal, then what makes a recording less than it should be."""
    state = agent_state(found, now_ns, process)
    why = refusal(found)
    said: list[_Trouble] = []
    if why is not None:
        advice = REFUSALS.get(why[0])
        said.append(_Trouble(f"refusal.{why[0]}", None if advice is None else advice.remedy, why[1]))
    if state is AgentState.REFUSED:
        return said
    if state is not AgentState.RUNNING:
        return [_Trouble(f"agent.{state}", AGENT[state].remedy), *said]
    for condition in sorted(conditions(found), key=lambda one: CONDITIONS[one].level is not Level.ERROR):
        if CONDITIONS[condition].level is not Level.OK:
            words = str(found.get("camera_said") or "") if condition is Condition.CAMERA_FAILING else ""
            said.append(_Trouble(f"condition.{condition}", CONDITIONS[condition].remedy, own_words=words))
    return said
