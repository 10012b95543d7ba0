"""The camera's configuration and its board file: strict TOML to frozen values, and every limit of them with its reason.

Guarantees: a key that is unknown, missing, of another type or out of range is a ConfigError that names file, key and
what is allowed; paths are absolute, resolved against the folder of the file that names them; nothing is opened but that
file. Assumes: `camera.toml` names a packaged board by its name, which whoever may import `hw` turns into a path.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.board_parts import BoardParts, EncoderKind, read_parts
from agent.errors import ConfigError
from agent.toml_table import Address, Table, read_table

MIB_BYTES = 1024 * 1024

MAX_PRERECORD_MS = 120_000  # what the policy's format allows; no text sizes the pre-record (common practice: 30 s)
RING_RESERVE_MS = 15_000  # the writer may wait this long for a card before a fragment is dropped
FRAGMENT_MS = 1_000  # one GOP; the shortest fragment the ring is sized for
RING_UNIT_BYTES = 65_536  # fragments are padded to multiples of it, and so is the ring
MAX_PADDING_BYTES = RING_UNIT_BYTES + 7  # what the padding of one fragment can add (docs/formats.md, "Segments")

MIN_WIDTH_PIXELS, MAX_WIDTH_PIXELS = 160, 1920  # below it nobody is recognised; above it no board of this class encodes
MIN_HEIGHT_PIXELS, MAX_HEIGHT_PIXELS = 120, 1080
MIN_FRAMES_PER_SECOND, MAX_FRAMES_PER_SECOND = 5, 60  # under 5 a movement is lost
MIN_BIT_RATE_BPS = 250_000  # a legible face at the smallest size
MAX_BIT_RATE_BPS = 32_000_000  # one second of it, 4 MB, and its overshoot stay under the 8 MiB of a frame of the pipe
SAMPLE_RATES_HZ = (16_000, 24_000, 32_000, 44_100, 48_000)  # AAC's own, from speech upwards
MIN_MEMORY_MIB, MAX_MEMORY_MIB = 256, 65_536
MIN_SYSTEM_MIB = 48  # Linux with systemd and nothing else
MIN_AGENT_MIB = 64  # the agent's own limit, without the ring
MIN_CAPTURE_MIB = 128  # capture's own limit at 720p
MIN_SOFTWARE_1080_MIB = 160  # ... and above 720p where libx264 encodes
SOFTWARE_HEIGHT_PIXELS = 720
MACROBLOCK_PIXELS = 16
HARDWARE_MACROBLOCKS_PER_S = 245_760  # H.264 level 4.0, the encoder of VideoCore IV and VI: 1080p30 and no more
MAX_RTC_ERROR_MS = 600_000  # a clock that is wrong by more than 10 minutes is no clock
MIN_RESERVE_MIB, MAX_RESERVE_MIB = 64, 65_536  # the journal, and one recording's end, must still fit
MAX_WARNINGS = 5

IDENTIFIER = re.compile(r"[a-z0-9-]{1,32}")
IDENTIFIER_SAID = "1 to 32 characters a-z, 0-9 and -"
_WORD = re.compile(r"[a-z0-9_.]{1,64}")  # the journal's genesis entry carries the model in this form
_BOARD_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
LANGUAGES = ("fr", "en")


@dataclass(frozen=True, slots=True)
class Network:
    """How a camera reaches its dock: the broker, and the certificate (role `camera-tls`) that it shows in TLS.

    Which docks it trusts, and where it may send blobs, is the policy's matter.
    """

    broker: Address
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Services:
    """Where a real board's other two services listen: the keeper of its outputs, and what starts capture."""

    keeper: Path
    capture: Path


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera's `camera.toml`. All paths are absolute; `footage` is the film of a simulated board, else None, and
    `services` those of a real one, else None.

    A camera whose `network` is None never docks.
    """

    file: Path
    dev: str
    agency: str
    board: str
    language: str
    data: Path
    run: Path
    policy: Path
    policy_certificate: Path
    agency_certificate: Path
    certificate: Path
    key: Path
    footage: Path | None
    network: Network | None
    services: Services | None

    def board_file(self, packaged: Callable[[str], Path]) -> Path:
        """The board file: `packaged(name)` for a plain name, else the path that was given."""
        if _BOARD_NAME.fullmatch(self.board):
            return packaged(self.board)
        return self.file.parent / self.board


@dataclass(frozen=True, slots=True)
class Video:
    """What the encoder is set to. `max_bit_rate_bps` is what the ring, and the space reserve, are sized for."""

    width: int
    height: int
    frames_per_second: int
    bit_rate_bps: int
    max_bit_rate_bps: int


@dataclass(frozen=True, slots=True)
class Sound:
    """The microphone's stream."""

    sample_rate_hz: int


@dataclass(frozen=True, slots=True)
class Memory:
    """The budget: `system_mib`, `agent_mib`, `capture_mib` and the ring must fit into `total_mib`."""

    total_mib: int
    system_mib: int
    agent_mib: int
    capture_mib: int


@dataclass(frozen=True, slots=True)
class BoardClock:
    """Whether a real-time clock is fitted, and how wrong it may be (0 without one)."""

    rtc: bool
    rtc_error_ms: int


@dataclass(frozen=True, slots=True)
class Storage:
    """`reserve_mib` stays free: below it a press is refused."""

    reserve_mib: int


@dataclass(frozen=True, slots=True)
class BatteryLevels:
    """Percentages, falling, at which the officer is warned, and the one at which a recording is sealed."""

    warn_percent: tuple[int, ...]
    cut_off_percent: int


@dataclass(frozen=True, slots=True)
class Board:
    """One board's file. `model` is what the journal calls the hardware; `parts` is None for a simulated one."""

    file: Path
    name: str
    model: str
    simulated: bool
    video: Video
    sound: Sound
    memory: Memory
    clock: BoardClock
    storage: Storage
    battery: BatteryLevels
    parts: BoardParts | None

    def ring_bytes(self, prerecord_ms: int) -> int:
        """Size of the ring: pre-record and reserve at the highest bit rate, with padding, in units of 64 KiB."""
        assert 0 <= prerecord_ms <= MAX_PRERECORD_MS
        held_ms = prerecord_ms + RING_RESERVE_MS
        footage_bytes = held_ms * self.video.max_bit_rate_bps // 8000
        padding_bytes = -(-held_ms // FRAGMENT_MS) * MAX_PADDING_BYTES
        return -(-(footage_bytes + padding_bytes) // RING_UNIT_BYTES) * RING_UNIT_BYTES


def load_camera(path: Path) -> CameraConfig:
    """Read `camera.toml`. Raises ConfigError."""
    file = path.absolute()
    root = read_table(path)
    folders = root.table("folders")
    files = root.table("files")
    network = root.optional_table("network")
    services = root.optional_table("services")
    folder = file.parent
    footage = root.optional_text("footage")
    config = CameraConfig(
        file=file,
        dev=root.matching("dev", IDENTIFIER, IDENTIFIER_SAID),
        agency=root.matching("agency", IDENTIFIER, IDENTIFIER_SAID),
        board=root.text("board"),
        language=root.one_of("language", LANGUAGES),
        data=folder / folders.text("data"),
        run=folder / folders.text("run"),
        policy=folder / files.text("policy"),
        policy_certificate=folder / files.text("policy_certificate"),
        agency_certificate=folder / files.text("agency_certificate"),
        certificate=folder / files.text("certificate"),
        key=folder / files.text("key"),
        footage=None if footage is None else folder / footage,
        network=None if network is None else _network(network, folder),
        services=None if services is None else _services(services, folder),
    )
    for table in (folders, files, root):
        table.close()
    return config


def load_board(path: Path) -> Board:
    """Read a board file. Raises ConfigError; `check_memory` needs the policy's pre-record and is called besides."""
    file = path.absolute()
    root = read_table(path)
    simulated = root.boolean("simulated")
    tables = {name: root.table(name) for name in ("video", "sound", "memory", "clock", "storage", "battery")}
    board = Board(
        file=file,
        name=root.matching("name", _BOARD_NAME, "1 to 32 characters a-z, 0-9 and -"),
        model=root.matching("model", _WORD, "1 to 64 characters a-z, 0-9, _ and ."),
        simulated=simulated,
        video=_video(tables["video"]),
        sound=Sound(tables["sound"].choice("sample_rate_hz", SAMPLE_RATES_HZ)),
        memory=_memory(tables["memory"]),
        clock=_clock(tables["clock"]),
        storage=Storage(tables["storage"].integer("reserve_mib", MIN_RESERVE_MIB, MAX_RESERVE_MIB)),
        battery=_battery(tables["battery"]),
        parts=None if simulated else read_parts(root),
    )
    for table in (*tables.values(), root):
        table.close()
    _check_production(board, tables)
    return board


def check_memory(board: Board, prerecord_ms: int) -> None:
    """Raise ConfigError for a board whose parts and ring do not fit into its memory."""
    memory = board.memory
    ring_mib = -(-board.ring_bytes(prerecord_ms) // MIB_BYTES)
    needed_mib = memory.system_mib + memory.agent_mib + memory.capture_mib + ring_mib
    if needed_mib > memory.total_mib:
        raise ConfigError(
            f"{board.file}: memory.total_mib",
            f"{memory.total_mib} MiB are less than the {needed_mib} MiB of system {memory.system_mib}, agent"
            f" {memory.agent_mib}, capture {memory.capture_mib} and ring {ring_mib} (pre-record {prerecord_ms} ms)",
            "lower video.max_bit_rate_bps or the policy's pre-record",
        )


def check_footage(config: CameraConfig, board: Board) -> None:
    """Raise ConfigError unless footage is named for a simulated board, services for a real one, and neither else."""
    where = f"{config.file}: footage"
    if board.simulated and config.footage is None:
        raise ConfigError(where, f"missing; the simulated board {board.name} films a file", "name a video file")
    if not board.simulated and config.footage is not None:
        raise ConfigError(where, f"the board {board.name} films with its camera", "remove the line")
    where = f"{config.file}: services"
    if board.simulated and config.services is not None:
        raise ConfigError(where, f"the simulated board {board.name} has none", "remove the table")
    if not board.simulated and config.services is None:
        raise ConfigError(where, f"missing; the board {board.name} films and shines through them", "name both sockets")


def _network(table: Table, folder: Path) -> Network:
    network = Network(
        broker=table.address("broker"),
        certificate=folder / table.text("certificate"),
        key=folder / table.text("key"),
    )
    table.close()
    return network


def _services(table: Table, folder: Path) -> Services:
    services = Services(keeper=folder / table.text("keeper"), capture=folder / table.text("capture"))
    table.close()
    return services


def _video(table: Table) -> Video:
    video = Video(
        width=table.integer("width", MIN_WIDTH_PIXELS, MAX_WIDTH_PIXELS),
        height=table.integer("height", MIN_HEIGHT_PIXELS, MAX_HEIGHT_PIXELS),
        frames_per_second=table.integer("frames_per_second", MIN_FRAMES_PER_SECOND, MAX_FRAMES_PER_SECOND),
        bit_rate_bps=table.integer("bit_rate_bps", MIN_BIT_RATE_BPS, MAX_BIT_RATE_BPS),
        max_bit_rate_bps=table.integer("max_bit_rate_bps", MIN_BIT_RATE_BPS, MAX_BIT_RATE_BPS),
    )
    for key, pixels in (("width", video.width), ("height", video.height)):
        if pixels % 2:  # the encoder's 4:2:0 halves both
            raise table.error(key, f"{pixels} is odd", "give an even number")
    if video.max_bit_rate_bps < video.bit_rate_bps:
        raise table.error("max_bit_rate_bps", "is less than bit_rate_bps", f"give at least {video.bit_rate_bps}")
    return video


def _check_production(board: Board, tables: Mapping[str, Table]) -> None:
    """What only a board that makes evidence must have."""
    if board.parts is None:
        return
    if not board.clock.rtc:
        raise tables["clock"].error("rtc", "false on a board that makes evidence", "fit a real-time clock, give true")
    video, encoder = board.video, board.parts.encoder
    columns, rows = (-(-pixels // MACROBLOCK_PIXELS) for pixels in (video.width, video.height))
    if encoder is EncoderKind.HARDWARE and columns * rows * video.frames_per_second > HARDWARE_MACROBLOCKS_PER_S:
        raise tables["video"].error(
            "frames_per_second",
            f"{video.frames_per_second} of {video.width}x{video.height} are more than the hardware encodes",
            f"give at most {HARDWARE_MACROBLOCKS_PER_S // (columns * rows)}, or smaller pictures",
        )
    software = encoder is EncoderKind.LIBX264 and video.height > SOFTWARE_HEIGHT_PIXELS
    if software and board.memory.capture_mib < MIN_SOFTWARE_1080_MIB:
        raise tables["memory"].error(
            "capture_mib",
            f"{board.memory.capture_mib} are too few for libx264 above {SOFTWARE_HEIGHT_PIXELS} lines",
            f"give at least {MIN_SOFTWARE_1080_MIB}",
        )


def _memory(table: Table) -> Memory:
    return Memory(
        total_mib=table.integer("total_mib", MIN_MEMORY_MIB, MAX_MEMORY_MIB),
        system_mib=table.integer("system_mib", MIN_SYSTEM_MIB, MAX_MEMORY_MIB),
        agent_mib=table.integer("agent_mib", MIN_AGENT_MIB, MAX_MEMORY_MIB),
        capture_mib=table.integer("capture_mib", MIN_CAPTURE_MIB, MAX_MEMORY_MIB),
    )


def _clock(table: Table) -> BoardClock:
    rtc = table.boolean("rtc")
    least, most = (1, MAX_RTC_ERROR_MS) if rtc else (0, 0)
    return BoardClock(rtc, table.integer("rtc_error_ms", least, most))


def _battery(table: Table) -> BatteryLevels:
    warn = table.integers("warn_percent", 1, 99, MAX_WARNINGS)
    cut_off = table.integer("cut_off_percent", 0, 50)
    if list(warn) != sorted(set(warn), reverse=True):
        raise table.error("warn_percent", "does not fall from each to the next", "write it like [20, 10, 5]")
    if warn[-1] <= cut_off:
        raise table.error("cut_off_percent", f"{cut_off} comes before the warning at {warn[-1]}", "give a lower one")
    return BatteryLevels(warn, cut_off)
