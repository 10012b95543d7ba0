"""What was looked up about a camera, for the doctor to judge: values only.

Guarantees: what could not be had is the error that says why, in the place of the fact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.config import Board, CameraConfig
from agent.errors import TemoinError
from agent.formats.statement import Policy
from agent.health import CardHealth, Outcome, SeenPart
from agent.model import Light, Stamp
from agent.status import agent_state
from agent.store.last import LastFile
from agent.troubles import AgentState, Process


@dataclass(frozen=True, slots=True)
class Validity:
    """When a chain is valid, its root included: UTC in ms since 1970."""

    first_ms: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class Machine:
    """The computer. `lockable_bytes`: what the agent may lock into memory, None without a limit."""

    memory_bytes: int | None
    lockable_bytes: int | None


@dataclass(frozen=True, slots=True)
class Card:
    """The data folder. `ours`: this user may write to it and to the folders in it."""

    read_only: bool
    ours: bool
    free_bytes: int


@dataclass(frozen=True, slots=True)
class Noted:
    """An `alert` or `refused` entry: how often since the last start, and the newest one's own values and remedy."""

    kind: str
    cause: str
    count: int
    values: Mapping[str, str]
    remedy: str


@dataclass(frozen=True, slots=True)
class Tested:
    """One check of a self-test, in the journal's words."""

    name: str
    outcome: Outcome
    values: Mapping[str, str]
    remedy: str | None


@dataclass(frozen=True, slots=True)
class SelfTested:
    """The last `selftest` entry since the last start."""

    stamp: Stamp
    checks: tuple[Tested, ...]


@dataclass(frozen=True, slots=True)
class Journal:
    """What the journal says. `newest` stamps its last entry; `clean`: how the run before the last start ended, None if
    that is not within reach; `own`: it is signed under this camera's certificate; `tested`: None if not since then."""

    last: LastFile
    newest: Stamp
    clean: bool | None
    noted: tuple[Noted, ...]
    own: bool
    tested: SelfTested | None


@dataclass(frozen=True, slots=True)
class Agent:
    """The agent's process and its last status, empty if there is none. `now_ns` is on the boot clock.

    `capture_said`: words of the capture process since it was last started; `light`: what the panel shows now, None
    where that cannot be seen.
    """

    process: Process
    status: Mapping[str, object]
    now_ns: int
    capture_said: str
    light: Light | None

    @property
    def state(self) -> AgentState:
        return agent_state(self.status, self.now_ns, self.process)


@dataclass(frozen=True, slots=True)
class Facts:
    """All that was looked up; an error where it could not be had.

    `now_ms` is the UTC of the board's own clock, None where it has none. `journal` None: there is none yet. `card`
    None: there is no data folder. `run_folder`: whether it is there. `card_health`: None where the card tells nothing.
    `parts`: none of a simulated board.
    """

    config: CameraConfig
    board: Board | TemoinError
    machine: Machine
    certificate: Validity | TemoinError
    key: TemoinError | None
    policy: Policy | TemoinError
    card: Card | TemoinError | None
    journal: Journal | TemoinError | None
    now_ms: int | None
    footage: TemoinError | None
    run_folder: bool | TemoinError
    agent: Agent
    network: Validity | TemoinError | None
    card_health: CardHealth | None
    parts: tuple[SeenPart, ...]
