"""What `temoin status` says: the camera's Status as an object for programs, and in the officer's words.

Times are on the boot clock; a status older than STALE_NS says that the agent does not answer, whatever else it holds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from agent.catalogue import say
from agent.errors import TemoinError
from agent.model import NS_PER_S, Activity, Condition, Light, NoticeState, Unavailable
from agent.terminal import printable

STALE_NS = 3 * NS_PER_S


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
    }


def refused(error: TemoinError, now_ns: int) -> dict[str, object]:
    """The last status of an agent that could not start."""
    why = Unavailable("start_failed", {"problem": printable(str(error))})
    return {"boot_ns": now_ns, "activity": Activity.REFUSING.value, "unavailable": _why(why)}


def _why(unavailable: Unavailable | None) -> dict[str, object] | None:
    return None if unavailable is None else {"cause": unavailable.cause, "values": unavailable.values}


def as_json(found: Mapping[str, object], now_ns: int) -> str:
    """The same, with whether the agent still answers."""
    return json.dumps({**found, "answers": answers(found, now_ns)}, indent=2) + "\n"


def answers(found: Mapping[str, object], now_ns: int) -> bool:
    """Whether the status is fresh: the agent that wrote it is not stopped, killed or hung."""
    written_ns = found.get("boot_ns")
    return isinstance(written_ns, int) and 0 <= now_ns - written_ns < STALE_NS


def lines(found: Mapping[str, object], now_ns: int, language: str) -> list[str]:
    """In the officer's words, French or English."""
    if not answers(found, now_ns):
        return [say("status.no_answer", language), *_refusal(found, language)]
    said = [say(f"activity.{found.get('activity')}", language)]
    light = found.get("light")
    if isinstance(light, Mapping):
        seen = [say(f"{what}.{light.get(what)}", language) for what in ("colour", "pattern")]
        said.append(say("status.light", language, light=", ".join(seen)))
    conditions = found.get("conditions")
    if isinstance(conditions, list):
        said += [say(f"condition.{condition}", language) for condition in conditions]
    said += [str(found["camera_said"])] if found.get("camera_said") else []
    said += _refusal(found, language)
    if found.get("recording") is not None:
        said.append(say("status.recording", language, recording=str(found["recording"])))
        said.append(say(f"notice.{found.get('notice')}", language))
    if found.get("battery_percent") is not None:
        said.append(say("status.battery", language, percent=str(found["battery_percent"])))
    return said


def _refusal(found: Mapping[str, object], language: str) -> list[str]:
    why = found.get("unavailable")
    if not isinstance(why, Mapping):
        return []
    values = why.get("values")
    given = {str(key): str(value) for key, value in values.items()} if isinstance(values, Mapping) else {}
    return [say(f"refusal.{why.get('cause')}", language, **given)]
