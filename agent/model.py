"""Frozen values that the parts hand to each other. No behaviour beyond what follows from the value itself.

"Monotonic" is CLOCK_BOOTTIME in nanoseconds everywhere; UTC never travels without its error bound and source.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from agent.health import HealthMeasured

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000


class Activity(StrEnum):
    """What the camera is doing; the total table of agent/states.py moves between these."""

    BOOTING = "booting"
    IDLE = "idle"
    READY = "ready"
    ARMING = "arming"
    RECORDING = "recording"
    STOPPING = "stopping"
    REFUSING = "refusing"
    SHUTTING_DOWN = "shutting_down"


class Condition(StrEnum):
    """What is true beside the activity; conditions never end or refuse a recording."""

    DOCKED = "docked"
    LOW_BATTERY = "low_battery"
    NO_SOUND = "no_sound"
    WRITER_LATE = "writer_late"
    CLOCK_UNKNOWN = "clock_unknown"
    CAMERA_FAILING = "camera_failing"
    INTERRUPTED = "interrupted"
    NO_WEARER = "no_wearer"
    KEY_LOST = "key_lost"
    LENS_COVERED = "lens_covered"
    LENS_BLURRED = "lens_blurred"
    SPACE_LOW = "space_low"
    CARD_WORN = "card_worn"


class TimeSource(StrEnum):
    """Where an entry's UTC comes from (docs/formats.md, "The journal")."""

    BEACON = "beacon"
    RTC = "rtc"
    NONE = "none"
    DISPUTED = "disputed"


@dataclass(frozen=True, slots=True)
class Stamp:
    """One reading of the clocks: what an entry's `time`, `mono_ns` and `boot` are made of."""

    utc_ms: int | None
    err_ms: int | None
    source: TimeSource
    mono_ns: int
    boot: str


class StopCause(StrEnum):
    """Why a recording ended."""

    HOLD = "hold"
    INTERRUPTED = "interrupted"
    CUT_OFF = "cut_off"
    CARD = "card"
    SHUTDOWN = "shutdown"


class GapCause(StrEnum):
    """Why footage is missing inside a recording."""

    AGENT_RESTART = "agent_restart"
    CAPTURE_RESTART = "capture_restart"
    OVERRUN = "overrun"
    CAPTURE_LATE = "capture_late"


class NoticeState(StrEnum):
    """Whether the filmed persons were told that they are being recorded."""

    ANNOUNCED = "announced"
    IMPOSSIBLE = "impossible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class FragmentInfo:
    """What is known of one GOP without opening it.

    `serial` counts fragments since the agent's start, without holes unless one was dropped; `epoch` names the init that
    it belongs to; `length` is padded, in bytes.
    """

    serial: int
    epoch: int
    t0_ns: int
    dur_ns: int
    frames: int
    sound: bool
    length: int

    @property
    def end_ns(self) -> int:
        return self.t0_ns + self.dur_ns


class Colour(StrEnum):
    """Colours of the camera's one light."""

    OFF = "off"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    BLUE = "blue"


class Pattern(StrEnum):
    """How the light shows its colour."""

    STEADY = "steady"
    SLOW = "slow"
    FAST = "fast"


class Tone(StrEnum):
    """What the buzzer says, once."""

    NONE = "none"
    START = "start"
    STOP = "stop"
    MARK = "mark"
    WARNING = "warning"
    REFUSAL = "refusal"


class Vibration(StrEnum):
    """What the officer feels, once."""

    NONE = "none"
    SHORT = "short"
    DOUBLE = "double"
    LONG = "long"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Light:
    """The light's state: held until something else is shown, or until it goes dark by itself."""

    colour: Colour
    pattern: Pattern = Pattern.STEADY


DARK = Light(Colour.OFF)


@dataclass(frozen=True, slots=True)
class Cue:
    """A momentary signal: one tone and one vibration. Never repeated by being held."""

    tone: Tone = Tone.NONE
    vibration: Vibration = Vibration.NONE


@dataclass(frozen=True, slots=True)
class Battery:
    """State of charge in percent; None where the board cannot tell."""

    percent: int | None
    charging: bool = False


class PlaceSource(StrEnum):
    """Who says where the camera is."""

    GNSS = "gnss"


@dataclass(frozen=True, slots=True)
class Place:
    """A position: degrees of WGS 84 times 10^7, the estimated error on the ground, and when it was told."""

    latitude_e7: int
    longitude_e7: int
    error_m: int
    boot_ns: int
    source: PlaceSource = PlaceSource.GNSS


@dataclass(frozen=True, slots=True)
class Unavailable:
    """Why nothing can be recorded: a cause for the journal and a message key of the catalogue for the officer."""

    cause: str
    values: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ButtonEdge:
    """The button's contact closed or opened at `at_ns`; bounces included."""

    pressed: bool
    at_ns: int


@dataclass(frozen=True, slots=True)
class Contact:
    """A dock or charger touches the contacts, or no longer. Turns the radio on, and nothing else."""

    on: bool


@dataclass(frozen=True, slots=True)
class BatteryChanged:
    """The battery's charge, or whether it is being charged, is another one."""

    battery: Battery


@dataclass(frozen=True, slots=True)
class SwitchOff:
    """The board's switch-off input has been held for 5 s."""


@dataclass(frozen=True, slots=True)
class OutputFailed:
    """Light, buzzer or vibration did not take what it was told: an `alert`."""

    output: str


class RadioState(StrEnum):
    """What the radio does: nothing; looks for the access point of a dock; is on its network; cannot get there."""

    OFF = "off"
    SEARCHING = "searching"
    ASSOCIATED = "associated"
    FAILED = "failed"


class RadioFault(StrEnum):
    """Why it cannot get there. It goes on trying all the same."""

    NO_RADIO = "no_radio"
    NO_SUPPLICANT = "no_supplicant"
    NOT_FOUND = "not_found"
    WRONG_DOCK = "wrong_dock"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class RadioChanged:
    """The radio's state is another one; `fault` where it has failed, None else."""

    state: RadioState
    fault: RadioFault | None = None


BoardEvent = ButtonEdge | Contact | BatteryChanged | SwitchOff | OutputFailed | RadioChanged | HealthMeasured | Place
"""What a board posts. A callback that posts returns at once and never raises."""


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker has taken connection `connection`, and the subscription. `peer`: its TLS certificate, DER."""

    connection: int
    peer: bytes


@dataclass(frozen=True, slots=True)
class Disconnected:
    """Connection `connection` is over, or never came about. What was not `Published` before is lost."""

    connection: int
    why: str


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message; it may come twice. `properties` are its user properties, in their order."""

    connection: int
    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Published:
    """The broker has message `number` (PUBACK, reason code 0). That is no promise that anybody else will."""

    connection: int
    number: int


@dataclass(frozen=True, slots=True)
class PublishRefused:
    """PUBACK with any other reason code, 0x10 (nobody subscribes) among them."""

    connection: int
    number: int
    reason_code: int


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The intake has answered upload `number` with this HTTP status, whatever it is."""

    number: int
    status: int


@dataclass(frozen=True, slots=True)
class UploadFailed:
    """Upload `number` ended without an answer: no connection, no such file, a peer that was not accepted, stopped."""

    number: int
    why: str


NetworkEvent = Connected | Disconnected | Arrived | Published | PublishRefused | Uploaded | UploadFailed
"""What broker and uploader post. A callback that posts returns at once and never raises."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a camera connects with: the topic it listens to, and its will (QoS 1, retained)."""

    listen: str
    will_topic: str
    will: bytes


@dataclass(frozen=True, slots=True)
class Message:
    """To publish with QoS 1. `number` is the caller's, and comes back in Published or PublishRefused."""

    number: int
    topic: str
    payload: bytes
    properties: tuple[tuple[str, str], ...] = ()
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Upload:
    """`PUT` the file `path` of the data folder, `size` bytes, to `url` with these headers and Content-Length only."""

    number: int
    path: str
    size: int
    url: str
    headers: tuple[tuple[str, str], ...]
