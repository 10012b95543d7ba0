"""Looks up what the doctor judges: the camera's files, its card, its journal, its process.

Guarantees: read only: no file is made, changed, locked or touched, on the card or beside it, and a running agent
notices nothing; what cannot be read becomes the error that says so. Bounded: of a journal as much as `MAX_FILES` files
is read. Assumes that files may change while they are read, because the agent may be running.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import keys
from agent.adapters import machine
from agent.adapters.disk import RealDisk
from agent.adapters.signer import FileSigner, load_private_key
from agent.adapters.status import read_status
from agent.config import Board, CameraConfig, Services, load_board
from agent.errors import ConfigError, FormatError, StoreError, TemoinError
from agent.facts import Agent, Card, Facts, Journal, Machine, Noted, SelfTested, Tested, Validity
from agent.formats import fields
from agent.formats.canonical import MAX_LONG_LINE_BYTES, Object
from agent.formats.entries import Entry, parse_line
from agent.formats.fields import encode_base64
from agent.formats.statement import Policy
from agent.health import CardHealth, Outcome, SeenPart
from agent.log_tail import LogTail
from agent.model import Light
from agent.ports import Disk
from agent.store.last import FOLDER as JOURNAL
from agent.store.last import LastFile, file_path, read_last
from agent.store.segments import FOLDER as SEGMENTS
from agent.troubles import Process

Found = TypeVar("Found")
Chain = tuple[x509.Certificate, ...]

MAX_FILES = 8  # 32 MiB of journal, some ten hours of recording without a start
_NOTED = tuple(f'"kind":"{kind}"'.encode() for kind in ("alert", "refused", "selftest", "boot", "genesis"))


@dataclass(frozen=True, slots=True)
class Drivers:
    """What only the board's own drivers know. `utc_ms` and `light` are asked for simulated boards only, `rtc` and
    `parts` for real ones.

    `light(run, boot_ns)`: what somebody looking at the board sees. `capture_log(run)`: what the capture process said
    since it was last started. `boot_ns`: the boot clock, which status and light are on. `rtc`: UTC of the real-time
    clock in ms, and its error; None if it does not answer. `parts(board, services)`: those that the board file names.
    `card_health(data)`: of the card that the data folder is on.
    """

    board_file: Callable[[str], Path]
    boot_ns: Callable[[], int]
    utc_ms: Callable[[Path], int]
    light: Callable[[Path, int], Light]
    capture_log: Callable[[Path], Path | None]
    rtc: Callable[[], tuple[int, int] | None]
    parts: Callable[[Board, Services | None], tuple[SeenPart, ...]]
    card_health: Callable[[Path], CardHealth | None]
    open_disk: Callable[[Path], Disk] = RealDisk


def look_up(config: CameraConfig, drivers: Drivers) -> Facts:
    """All facts. Never raises for what is wrong with the camera."""
    board = _or_error(lambda: load_board(config.board_file(drivers.board_file)))
    simulated = not isinstance(board, TemoinError) and board.simulated
    root = _or_error(lambda: _root(config))
    chain = _or_error(lambda: keys.load_chain(_read(config.certificate), str(config.certificate)))
    card, journal = _card(config, drivers, chain)
    last = journal.last if isinstance(journal, Journal) else None
    return Facts(
        config=config,
        board=board,
        machine=Machine(machine.memory_bytes(), machine.lockable_bytes(machine.lock_holder(config.data))),
        certificate=_or_error(lambda: _validity(config, board, chain, root)),
        key=_key(config.key, chain),
        policy=_or_error(lambda: _policy(config, root, last)),
        card=card,
        journal=journal,
        now_ms=_now_ms(config, board, drivers),
        footage=None if config.footage is None else _unreadable(config.footage),
        run_folder=_or_error(lambda: _run_folder(config.run)),
        agent=_agent(config, drivers, simulated),
        network=_or_error(lambda: _network(config, root)),
        card_health=drivers.card_health(config.data),
        parts=() if simulated or isinstance(board, TemoinError) else drivers.parts(board, config.services),
    )


def _or_error(look: Callable[[], Found]) -> Found | TemoinError:
    try:
        return look()
    except TemoinError as error:
        return error


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # a pipe of that name would be waited for
            raise ConfigError(str(path), "is not there, or not a plain file", "put back the one that temoin-fleet made")
        with path.open("rb") as file:
            return file.read(MAX_LONG_LINE_BYTES)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error), "check the path, and who runs this") from None


def _unreadable(film: Path) -> TemoinError | None:
    """Whether the film plays is for the capture process to say, in its own words."""
    found = _or_error(lambda: _read(film))
    if isinstance(found, TemoinError):
        return found
    return None if found else ConfigError(str(film), "is empty", "name a video file")


def _run_folder(run: Path) -> bool:
    """Whether it is there; one that is not there is made by the start."""
    if not run.exists():
        return False
    if not machine.mount(run, ()).writable:
        raise ConfigError(str(run), "this user may not write to it", "choose a run folder of your own")
    return True


def _root(config: CameraConfig) -> x509.Certificate:
    return keys.load_chain(_read(config.agency_certificate), str(config.agency_certificate))[0]


def _validity(
    config: CameraConfig, board: Board | TemoinError, chain: Chain | TemoinError, root: x509.Certificate | TemoinError
) -> Validity:
    """Of the camera's chain, as `temoin run` checks it."""
    simulated = not isinstance(board, TemoinError) and board.simulated
    return _checked(chain, root, "sim" if simulated else "camera", config.dev, config.certificate)


def _network(config: CameraConfig, root: x509.Certificate | TemoinError) -> Validity | None:
    """Of the chain that the camera shows in TLS, whose key must be beside it."""
    network = config.network
    if network is None:
        return None
    chain = keys.load_chain(_read(network.certificate), str(network.certificate))
    validity = _checked(chain, root, "camera-tls", config.dev, network.certificate)
    wrong = _key(network.key, chain)
    if wrong is not None:
        raise wrong
    return validity


def _checked(
    chain: Chain | TemoinError, root: x509.Certificate | TemoinError, kind: str, dev: str, file: Path
) -> Validity:
    for each in (root, chain):
        if isinstance(each, TemoinError):
            raise each
    assert not isinstance(chain, TemoinError)
    assert not isinstance(root, TemoinError)
    role = keys.check_chain(chain, root, (kind,), str(file), None)
    if role.id != dev:
        raise ConfigError(str(file), f"is of {role.id}, not of {dev}", "enrol the camera again")
    both = (*chain, root)
    return Validity(
        round(max(each.not_valid_before_utc.timestamp() for each in both) * 1000),
        keys.valid_until_ms(both),
    )


def _key(path: Path, chain: Chain | TemoinError) -> TemoinError | None:
    """Its file and, where there is a certificate, whether it is its key. The key itself is forgotten at once."""

    def load() -> None:
        if isinstance(chain, TemoinError):
            load_private_key(path, None)
        else:
            FileSigner(path, tuple(each.public_bytes(Encoding.DER) for each in chain))

    return _or_error(load)


def _policy(config: CameraConfig, root: x509.Certificate | TemoinError, last: LastFile | None) -> Policy:
    if isinstance(root, TemoinError):
        raise root
    in_force = None if last is None else last.state.policy
    certificate = _read(config.policy_certificate)
    keys.load_chain(certificate, str(config.policy_certificate))  # an unreadable one is named by its own file
    return keys.load_policy(
        _read(config.policy),
        certificate,
        root,
        config.dev,
        config.agency,
        None if in_force is None else in_force[1],
        str(config.policy),
    )


def _now_ms(config: CameraConfig, board: Board | TemoinError, drivers: Drivers) -> int | None:
    if isinstance(board, TemoinError) or not board.clock.rtc:
        return None
    if board.simulated:
        return drivers.utc_ms(config.run)
    reading = drivers.rtc()
    return None if reading is None else reading[0]


def _agent(config: CameraConfig, drivers: Drivers, simulated: bool) -> Agent:
    status: Mapping[str, object] | TemoinError = _or_error(lambda: read_status(config.run))
    log = drivers.capture_log(config.run)
    now_ns = drivers.boot_ns()
    return Agent(
        process=Process(machine.agent_process(config.data)),
        status={} if isinstance(status, TemoinError) else status,
        now_ns=now_ns,
        capture_said="" if log is None else LogTail(log, from_bytes=0).last_line(),
        light=drivers.light(config.run, now_ns) if simulated else None,
    )


def _card(
    config: CameraConfig, drivers: Drivers, chain: Chain | TemoinError
) -> tuple[Card | TemoinError | None, Journal | TemoinError | None]:
    if not config.data.exists():
        return None, None
    disk = _or_error(lambda: drivers.open_disk(config.data))
    if isinstance(disk, TemoinError):
        return disk, None
    own = None if isinstance(chain, TemoinError) else encode_base64(chain[0].public_bytes(Encoding.DER))
    return (
        _or_error(lambda: _card_of(config.data, disk)),
        _or_error(lambda: _journal_of(disk, config.dev, own)),
    )


def _card_of(data: Path, disk: Disk) -> Card:
    mount = machine.mount(data, (JOURNAL, SEGMENTS))
    return Card(mount.read_only, mount.writable, disk.free_bytes())


def _journal_of(disk: Disk, dev: str, own: str | None) -> Journal | None:
    """`own`: base64 of this camera's certificate, None if there is none to compare with."""
    last = read_last(disk)
    if last is None:
        return None
    lines = disk.read(file_path(last.first_seq)).split(b"\n")[:-1]
    newest = parse_line(lines[-1] + b"\n").head.stamp
    clean, found = _since_start(disk)
    ours = last.state.position.dev == dev and own in (None, last.state.chain[0])
    noted = _grouped(entry for entry in found if entry.head.kind != "selftest")
    return Journal(last, newest, clean, noted, ours, _tested(found))


def _since_start(disk: Disk) -> tuple[bool | None, list[Entry]]:
    """How the run before the last start ended, and what was noted since: from the newest file back."""
    found: list[Entry] = []
    clean: bool | None = None
    for name in sorted((name for name in disk.names(JOURNAL) if name.endswith(".log")), reverse=True)[:MAX_FILES]:
        start = _first_of_run(disk, f"{JOURNAL}/{name}", found)
        if start is not None:
            clean = start.body["clean"] is True if start.head.kind == "boot" and start.body is not None else True
            break
    return clean, sorted(found, key=lambda entry: entry.head.seq)


def _first_of_run(disk: Disk, path: str, found: list[Entry]) -> Entry | None:
    """Adds the file's alerts, refusals and self-tests after its last start to `found`; the start, if it is here."""
    for line in reversed(disk.read(path).split(b"\n")[:-1]):
        if not any(kind in line for kind in _NOTED):  # parsing a month of fragments would take minutes
            continue
        try:
            entry = parse_line(line + b"\n")
        except FormatError as error:
            raise StoreError(path, f"is damaged: {error}", "keep the card as it is for temoin verify") from None
        if entry.head.kind in ("boot", "genesis"):
            return entry
        if entry.head.kind in ("alert", "refused", "selftest"):
            found.append(entry)
    return None


def _grouped(entries: Iterable[Entry]) -> tuple[Noted, ...]:
    """One for each cause, in the order of their first; values and remedy of the newest."""
    grouped: dict[tuple[str, str], Noted] = {}
    for entry in {entry.head.seq: entry for entry in entries}.values():  # a line repeated across files counts once
        if entry.body is None:
            continue
        kind, cause = entry.head.kind, fields.text_of(entry.body, "cause")
        count = grouped[kind, cause].count + 1 if (kind, cause) in grouped else 1
        values = {name: str(value) for name, value in fields.object_of(entry.body, "values").items()}
        grouped[kind, cause] = Noted(kind, cause, count, values, fields.text_of(entry.body, "remedy"))
    return tuple(grouped.values())


def _tested(entries: Sequence[Entry]) -> SelfTested | None:
    """The newest self-test that says anything."""
    for entry in reversed(entries):
        if entry.head.kind != "selftest" or entry.body is None:
            continue
        checks = entry.body["checks"]
        assert isinstance(checks, list | tuple), "the body was checked"
        return SelfTested(entry.head.stamp, tuple(_check_of(one) for one in checks if isinstance(one, Mapping)))
    return None


def _check_of(check: Object) -> Tested:
    remedy = check["remedy"]
    values = {name: str(value) for name, value in fields.object_of(check, "values").items()}
    outcome = Outcome(fields.text_of(check, "outcome"))
    return Tested(fields.text_of(check, "name"), outcome, values, None if remedy is None else str(remedy))
