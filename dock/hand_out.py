"""A camera is handed out at the counter: `temoin-dock assign`.

Guarantees: what is typed is parsed strictly, and what is wrong with it is said in the dock's language, with what to do;
only a camera that is on this dock now is handed out, so that no assignment waits for somebody else's shift; `assign`
returns only once the camera's own journal, as it is in the archive, tells of the assignment. One that is not confirmed
in time is withdrawn. Assumes that the dock runs: it alone knows what is docked.
"""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from agent.catalogue import say
from agent.config import IDENTIFIER
from agent.errors import ConfigError, FormatError
from agent.formats.canonical import Value
from agent.formats.fields import format_utc, parse_utc
from agent.toml_table import Address
from dock.cameras import cameras
from dock.catalogue import Catalogue

SHIFT_MS = 24 * 3600 * 1000
"""How long a hand-out lasts when nobody says otherwise: the longest shift."""
CONFIRM_S = 20
_ANSWER_TIMEOUT_S = 5
_MAX_ANSWER_BYTES = 1024 * 1024
_WEARER = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Request:
    """Who takes which camera, where to, until when (UTC)."""

    camera: str
    wearer: str
    service: str
    sector: str
    from_ms: int
    until_ms: int

    @property
    def value(self) -> Mapping[str, Value]:
        """The own fields of an `assign`."""
        return {
            "wearer": self.wearer,
            "service": self.service,
            "sector": self.sector,
            "from": format_utc(self.from_ms),
            "until": format_utc(self.until_ms),
        }


@dataclass(frozen=True, slots=True)
class Typed:
    """What somebody typed; `until` None: SHIFT_MS from now."""

    camera: str
    wearer: str
    service: str
    sector: str
    until: str | None


def parse(typed: Typed, now_ms: int, language: str) -> Request:
    """Raises ConfigError that names the argument, in this language."""
    if not IDENTIFIER.fullmatch(typed.camera):
        raise _wrong("CAMERA", "camera", language, given=typed.camera)
    if not _WEARER.fullmatch(typed.wearer):
        raise _wrong("--wearer", "wearer", language, given=typed.wearer)
    for name, text in (("--service", typed.service), ("--sector", typed.sector)):
        if not 1 <= len(text) <= 100 or text != text.strip() or not text.isprintable():
            raise _wrong(name, "text", language, given=text)
    until_ms = now_ms + SHIFT_MS
    if typed.until is not None:
        try:
            until_ms = parse_utc(typed.until, "--until")
        except FormatError:
            raise _wrong("--until", "until", language, given=typed.until) from None
        if until_ms <= now_ms:
            raise _wrong("--until", "past", language, given=typed.until, now=format_utc(now_ms))
    return Request(typed.camera, typed.wearer, typed.service, typed.sector, now_ms, until_ms)


def docked_now(health: Address, language: str) -> frozenset[str]:
    """The cameras that the running dock has in a session. Raises ConfigError when it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{health}/cameras", timeout=_ANSWER_TIMEOUT_S) as answer:
            found = json.loads(answer.read(_MAX_ANSWER_BYTES))
        return frozenset(str(each["camera"]) for each in found["cameras"] if each["docked"] is True)
    except (OSError, ValueError, KeyError, TypeError):
        raise _wrong(str(health), "silent", language) from None


def assign(
    catalogue: Catalogue, request: Request, docked: frozenset[str], wait: Callable[[], bool], language: str
) -> None:
    """Order it, and wait until the camera has it. `wait` lets time pass; False: no longer.

    Raises ConfigError when the camera is not docked or does not confirm, CatalogueError.
    """
    if request.camera not in docked:
        there = ", ".join(sorted(docked)) or say("dock.none", language)
        raise _wrong(request.camera, "away", language, docked=there)
    catalogue.order(request.camera, "assign", request.value, request.from_ms)
    while not _has(catalogue, request):
        if not wait():
            catalogue.withdraw(request.camera, "assign")
            raise _wrong(request.camera, "unconfirmed", language)


def _has(catalogue: Catalogue, request: Request) -> bool:
    """Whether the camera's journal tells of this very hand-out."""
    for camera in cameras(catalogue, request.from_ms):
        worn = camera.hand_out
        if camera.dev == request.camera and worn is not None:
            return worn.wearer == request.wearer and worn.since == format_utc(request.from_ms)
    return False


def _wrong(where: str, name: str, language: str, **values: str) -> ConfigError:
    problem = say(f"assign.{name}", language, **values)
    return ConfigError(where, problem, say(f"assign.{name}_remedy", language))
