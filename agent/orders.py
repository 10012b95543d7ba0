"""What the loops say to each other: orders to the writer, its reports, and what a docking tells. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from agent.formats.canonical import Object
from agent.model import GapCause, NoticeState, StopCause, Unavailable


@dataclass(frozen=True, slots=True)
class Start:
    """A press: record from press - pre-record on. `short_reason`: why the ring may hold less, if there is a reason."""

    press_ns: int
    short_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """A tap while recording."""

    press_ns: int


@dataclass(frozen=True, slots=True)
class Notice:
    """Two taps: what the filmed persons were told."""

    press_ns: int
    state: NoticeState


@dataclass(frozen=True, slots=True)
class Located:
    """Where the camera was at `taken_ns`, sealed (base64): an entry of `rec`, or nothing once that has ended."""

    rec: str
    taken_ns: int
    sealed: str


@dataclass(frozen=True, slots=True)
class Stop:
    """End the recording with the fragment that holds `until_ns`; `press_ns` is the leading edge of the hold."""

    cause: StopCause
    press_ns: int | None
    until_ns: int


@dataclass(frozen=True, slots=True)
class CutShort:
    """Nothing more will come: end a stop that still waits for its last fragment with what the ring holds."""

    why: GapCause


@dataclass(frozen=True, slots=True)
class Note:
    """An entry that belongs to no recording: alert, selftest, shutdown."""

    kind: str
    body: Object


@dataclass(frozen=True, slots=True)
class CheckRoom:
    """Look whether a recording may begin; answered by `Room`."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Entries of a docking, made durable together; answered by `Kept` with the same number."""

    number: int
    entries: tuple[tuple[str, Object], ...]


@dataclass(frozen=True, slots=True)
class KeepPolicy:
    """A newer policy with the chain that signed it, for the next start."""

    version: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PurgeDue:
    """Delete what was received `purge_days` before a time that the dock has signed; None: that time is disputed."""

    signed_utc_ms: int | None
    purge_days: int


@dataclass(frozen=True, slots=True)
class TrimDue:
    """Delete journal files that are old enough at a time that the dock has signed; the last `ack` is durable."""

    signed_utc_ms: int


@dataclass(frozen=True, slots=True)
class Settle:
    """The docking is over: let the journal say from where on the next start has to read."""


Errand = Keep | KeepPolicy | PurgeDue | TrimDue | Settle
"""What a docking wants of the writer: done when nothing else waits."""
Order = Start | Mark | Notice | Located | Stop | CutShort | Note | CheckRoom | Errand


@dataclass(frozen=True, slots=True)
class Durable:
    """Everything of the recording up to `end_ns` is on the card, its entries too."""

    rec: str
    end_ns: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The recording is complete on the card; `rec` is None when it ended before anything of it was durable."""

    rec: str | None
    cause: StopCause


@dataclass(frozen=True, slots=True)
class Marked:
    """A mark or a notice is durable."""

    notice: NoticeState | None


@dataclass(frozen=True, slots=True)
class Refused:
    """A press that cannot become a recording."""

    why: Unavailable


@dataclass(frozen=True, slots=True)
class Failed:
    """The card does not take the journal any more: nothing can be recorded until the next start."""

    why: Unavailable


@dataclass(frozen=True, slots=True)
class Room:
    """Whether the card has room for a recording; `why` not, or None. `free_bytes`: None while it cannot be told."""

    why: Unavailable | None
    free_bytes: int | None


@dataclass(frozen=True, slots=True)
class Kept:
    """The entries of the `Keep` of this number are durable."""

    number: int


Report = Durable | Stopped | Marked | Refused | Failed | Room | Kept


@dataclass(frozen=True, slots=True)
class Docked:
    """A dock of the policy has authenticated itself in a session."""

    dock: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a docking is: the journal up to `position` of `total` entries, and segments that wait for a receipt."""

    position: int
    total: int
    uploads: int
    upload_bytes: int


@dataclass(frozen=True, slots=True)
class Undocked:
    """That session is over."""


DockingNews = Docked | Progress | Undocked
