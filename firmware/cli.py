"""`temoin-fleet`: the technician's command. `init` makes an agency, in one folder for each holder.

Guarantees: a passphrase is asked for on the terminal only and nothing secret is printed; the folder appears whole or
not at all; every error is one line and an exit code (1; 2 for a command line that is not one).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.config import Board, check_memory, load_board
from agent.errors import ConfigError
from agent.formats.age import RecipientKind
from agent.formats.statement import PROFILES
from agent.terminal import run
from agent.toml_table import parse_address
from firmware.agency import Agency, Holder, Request, check_request, plan_agency
from firmware.docks import DockRequest, default_broker, default_docks
from firmware.folders import check_absent, write_plan
from firmware.passphrase import choose_passphrase
from hw.boards import board_file

PROGRAM = "temoin-fleet"
DEFAULT_PRERECORD_S = 30
BOARD_COPY = "board.toml"
DEFAULT_DOCK = "dock-01"

_KINDS = {"post-quantum": RecipientKind.POST_QUANTUM, "classic": RecipientKind.CLASSIC}
_HOLDERS = {
    Holder.CA: "the holder of ca/ (issues certificates)",
    Holder.POLICY: "the holder of policy/ (signs what cameras may do)",
    Holder.READER: "the holder of reader/ (opens evidence)",
    Holder.ESCROW: "the holder of escrow/ (opens evidence if the reader cannot)",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit code; argparse itself exits with 2."""
    parsed = _parser().parse_args(arguments)
    return run(PROGRAM, lambda: _init(parsed, choose_passphrase))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Keys, cameras and updates of an agency.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    init = commands.add_parser(
        "init",
        help="make a new agency: one folder for each holder of keys",
        description="Makes DIR with the folders ca, policy, reader, escrow, cameras/ID and docks/ID, one for each."
        " Outside --demo it asks each holder for a passphrase on the terminal.",
    )
    init.add_argument("folder", metavar="DIR", type=Path, help="new folder; an existing one is refused")
    init.add_argument("--agency", metavar="ID", required=True, help="id of the agency: 1 to 32 of a-z, 0-9 and -")
    init.add_argument("--name", metavar="TEXT", required=True, help="what people call the agency")
    init.add_argument("--camera", metavar="ID", action="append", required=True, help="id of a camera; may be repeated")
    init.add_argument(
        "--dock", metavar="ID", action="append", help=f"id of a dock; may be repeated (default: {DEFAULT_DOCK})"
    )
    init.add_argument(
        "--intake-host",
        metavar="HOST:PORT",
        action="append",
        help="where cameras send evidence to, one for each dock (default: ID.local:8443)",
    )
    init.add_argument("--broker", metavar="HOST:PORT", help="where cameras find the broker (default: ID.local:8883)")
    init.add_argument("--board", metavar="NAME|FILE", default="sim", help="board of the cameras (default: sim)")
    init.add_argument("--kind", choices=_KINDS, default="post-quantum", help="evidence keys (default: post-quantum)")
    init.add_argument("--profile", choices=PROFILES, default="fr-2022", help="legal profile (default: fr-2022)")
    init.add_argument(
        "--prerecord-s", metavar="N", type=int, default=DEFAULT_PRERECORD_S, help="seconds kept before a press (30)"
    )
    init.add_argument("--footage", metavar="FILE", type=Path, help="film of a simulated board")
    init.add_argument("--demo", action="store_true", help="plain key files, DEMO in every certificate")
    return parser


def _init(parsed: argparse.Namespace, choose: Callable[[str], str]) -> int:
    target: Path = parsed.folder
    check_absent(target)
    request = _request(parsed)
    check_request(request)
    passphrases: Mapping[Holder, str] | None = None
    if not request.demo:
        passphrases = {holder: choose(whose) for holder, whose in _HOLDERS.items()}
    agency = plan_agency(request, passphrases, time.time_ns() // 1_000_000, os.urandom)
    write_plan(target, agency.plan)
    sys.stdout.write(_summary(target, request, agency))
    return 0


def _request(parsed: argparse.Namespace) -> Request:
    named: str = parsed.board
    is_file = "/" in named or named.endswith(".toml")
    path = Path(named) if is_file else board_file(named)
    board = load_board(path)
    names = tuple(parsed.dock or [DEFAULT_DOCK])
    request = Request(
        agency=parsed.agency,
        name=parsed.name,
        cameras=tuple(parsed.camera),
        board=BOARD_COPY if is_file else named,
        board_toml=path.read_bytes() if is_file else None,
        simulated=board.simulated,
        radio=board.parts is not None and board.parts.radio is not None,
        kind=_KINDS[parsed.kind],
        profile=parsed.profile,
        prerecord_ms=parsed.prerecord_s * 1000,
        footage=_footage(parsed.footage, board),
        docks=_docks(names, parsed.intake_host, parsed.demo),
        broker=parse_address(parsed.broker, "--broker") if parsed.broker else default_broker(names, parsed.demo),
        demo=parsed.demo,
    )
    check_request(request)
    check_memory(board, request.prerecord_ms)
    return request


def _docks(names: tuple[str, ...], intakes: list[str] | None, demo: bool) -> tuple[DockRequest, ...]:
    if intakes is None:
        return default_docks(names, demo)
    if len(intakes) != len(names):
        raise ConfigError(
            "--intake-host", f"{len(intakes)} for {len(names)} docks", "give one for each, in their order"
        )
    return tuple(
        DockRequest(name, parse_address(intake, "--intake-host")) for name, intake in zip(names, intakes, strict=True)
    )


def _footage(path: Path | None, board: Board) -> str | None:
    """The film's absolute path, as camera.toml names it."""
    if path is None:
        return None
    if not board.simulated:
        raise ConfigError("--footage", f"the board {board.name} films with its camera", "leave it out")
    try:
        with path.open("rb"):
            return str(path.resolve())
    except OSError as error:
        raise ConfigError(f"--footage {path}", error.strerror or "cannot be read", "give a video file") from None


def _summary(target: Path, request: Request, agency: Agency) -> str:
    """What was made, who gets it, and what to publish. Nothing secret."""
    lines = [f"{target}: agency {request.agency} ({request.name}), one folder for each holder:"]
    lines += [f"  {target / holder.value}  -> {whose}" for holder, whose in _HOLDERS.items()]
    lines += [f"  {target / 'cameras' / camera}  -> the camera {camera}, and nobody else" for camera in request.cameras]
    lines += [f"  {target / 'docks' / dock.dock}  -> the dock {dock.dock}, and nobody else" for dock in request.docks]
    lines += [f"Publish the fingerprint of the root certificate: {agency.fingerprint}"]
    if request.demo:
        lines += ["DEMO: no key is under a passphrase. Never film anybody under this agency."]
    else:
        lines += ["Hand out each folder, then delete it here: docs/operations-agency.md says how."]
    return "\n".join(lines) + "\n"
