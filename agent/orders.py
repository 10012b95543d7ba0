"""What the loops say to each other: orders to the writer, and its reports to the main loop. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from agent.formats.canonical import Object
from agent.model import GapCause, NoticeState, StopCause, Unavailable


@dataclass(frozen=True, slots=True)
class Start:
    """A press: record from press - pre-record on."""

    press_ns: int


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


Order = Start | Mark | Notice | Stop | CutShort | Note | CheckRoom


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
    """Whether the card has room for a recording; `why` not, or None."""

    why: Unavailable | None


Report = Durable | Stopped | Marked | Refused | Failed | Room
