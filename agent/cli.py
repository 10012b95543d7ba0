"""`temoin`: the camera's command, and what court and reader run on its evidence.

Each command imports what it needs when it runs: the agent's own process stays lean, and `temoin status` quick.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent import VERSION
from agent.errors import CertificateError, ConfigError, KeyFileError
from agent.terminal import ask_passphrase, printable, run

if TYPE_CHECKING:
    from agent.formats.age import Identity

PROGRAM = "temoin"
COULD_NOT_CHECK = 2
Command = Callable[[argparse.Namespace], int]
Add = Callable[[str, Command, str], argparse.ArgumentParser]
MAX_IDENTITY_BYTES = 64 * 1024


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit code; argparse itself exits with 2."""
    parsed = _parser().parse_args(arguments)
    command: Command = parsed.command
    return run(PROGRAM, lambda: command(parsed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Body-worn camera: record, check, export.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, said: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=said, description=said[0].upper() + said[1:] + ".")
        sub.set_defaults(command=command)
        return sub

    _add_camera_commands(add)
    _add_evidence_commands(add)
    return parser


def _add_camera_commands(add: Add) -> None:
    sub = add("run", _run, "run the camera's agent until it is told to end")
    _add_config(sub)
    sub = add("status", _status, "say what the camera is doing, and what its officer sees")
    _add_config(sub)
    sub.add_argument("--json", action="store_true", help="the same for programs")
    sub = add("doctor", _doctor, "look at everything that a camera needs, and say what is wrong and what to do")
    _add_config(sub)
    sub.add_argument("--json", action="store_true", help="the same for programs")
    sub = add("sim", _sim, "do something to a simulated board: press a button, pull the plug")
    sub.add_argument("action", metavar="ACTION", help="press, release, tap, hold, battery N, power-cut, ... (see docs)")
    sub.add_argument("values", metavar="VALUE", nargs="*", help="what the action takes")
    _add_config(sub)


def _add_evidence_commands(add: Add) -> None:
    sub = add("verify", _verify, "check a camera's folder, an archive, a dock's journal or a bundle; no private key")
    sub.add_argument("path", metavar="PATH", type=Path)
    sub.add_argument(
        "--trust", metavar="CA", type=Path, required=True, help="the agency's root certificate (agency.pem)"
    )
    sub.add_argument("--head", metavar="SEQ:HEX", help="a head known from elsewhere: finds a tail that was cut off")
    sub.add_argument("--json", action="store_true", help="the same for programs")
    sub.add_argument("--allow-simulated", action="store_true", help="exit 0 for evidence of a simulated board")
    sub = add("export", _export, "make the bundle of a recording, that a court checks with stock tools")
    sub.add_argument("recording", metavar="RECORDING", help="its id, as `temoin verify` lists it")
    sub.add_argument("--data", metavar="DIR", type=Path, required=True, help="the camera's data folder or its archive")
    sub.add_argument("--identity", metavar="KEY", type=Path, required=True, help="age identity of a recipient")
    sub.add_argument("--signer", metavar="DIR", type=Path, required=True, help="folder with export.key and export.pem")
    sub.add_argument("--out", metavar="DIR", type=Path, required=True, help="new folder of the bundle")
    sub.add_argument("--start", metavar="S", type=_milliseconds, help="seconds from the recording's first picture")
    sub.add_argument("--end", metavar="S", type=_milliseconds, help="seconds from the recording's first picture")
    sub = add("salvage", _salvage, "play what can be decrypted of one segment file, without any proof")
    sub.add_argument("file", metavar="FILE", type=Path, help="a segment (.mp4.age), whole or cut")
    sub.add_argument("--identity", metavar="KEY", type=Path, required=True, help="age identity of a recipient")


def _add_config(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--config", metavar="F", type=Path, required=True, help="the camera's camera.toml")


def _milliseconds(text: str) -> int:
    """Seconds with at most three decimals, as milliseconds."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not seconds like 12 or 12.5")
    whole, _, part = text.partition(".")
    return int(whole) * 1000 + int(part.ljust(3, "0") or 0)


def _run(parsed: argparse.Namespace) -> int:
    from agent.__main__ import run_camera

    return run_camera(parsed.config)


def _status(parsed: argparse.Namespace) -> int:
    from agent.adapters.clock import SystemClock
    from agent.adapters.machine import agent_process
    from agent.adapters.status import read_status
    from agent.config import load_camera
    from agent.status import as_json, lines
    from agent.troubles import Process

    config = load_camera(parsed.config)
    found, process = read_status(config.run), Process(agent_process(config.data))
    now_ns = SystemClock().boot_ns()
    if parsed.json:
        sys.stdout.write(as_json(found, now_ns, process))
    else:
        sys.stdout.write("\n".join(lines(found, now_ns, config.language, process)) + "\n")
    return 0


def _doctor(parsed: argparse.Namespace) -> int:
    from agent.adapters.clock import SystemClock
    from agent.catalogue import DEFAULT_LANGUAGE
    from agent.config import load_camera
    from agent.doctor import findings, unreadable
    from agent.doctor_facts import Drivers, look_up
    from agent.doctor_report import as_json, exit_code, lines
    from hw.boards import board_file
    from hw.card_health import card_health
    from hw.clock import BoardClock
    from hw.parts_seen import parts_seen
    from hw.sim import onlooker
    from hw.sim.panel import light_now

    language = DEFAULT_LANGUAGE
    try:
        config = load_camera(parsed.config)
        language = config.language
        clock = SystemClock()
        looks = Drivers(
            board_file,
            clock.boot_ns,
            utc_ms=onlooker.utc_ms,
            light=light_now,
            capture_log=onlooker.capture_log,
            rtc=lambda: BoardClock(clock, 0).rtc(),
            parts=parts_seen,
            card_health=card_health,
        )
        found = findings(look_up(config, looks))
    except ConfigError as error:
        found = unreadable(error)
    sys.stdout.write(as_json(found) if parsed.json else "\n".join(lines(found, language)) + "\n")
    return exit_code(found)


def _sim(parsed: argparse.Namespace) -> int:
    from agent.config import load_camera
    from hw.sim.control import send

    config = load_camera(parsed.config)
    sys.stdout.write(send(config.run, parsed.action, parsed.values) + "\n")
    return 0


def _verify(parsed: argparse.Namespace) -> int:
    from agent.evidence.read import UnreadableError
    from agent.evidence.verify import verify

    try:
        report = verify(
            parsed.path,
            _read(parsed.trust, "give the agency's root certificate, agency.pem"),
            outside_head=_outside_head(parsed.head),
            now_ms=_now_ms(),
        )
    except CertificateError as error:
        sys.stderr.write(f"{PROGRAM}: {printable(str(error.at(str(parsed.trust))))}\n")
        return COULD_NOT_CHECK
    except (ConfigError, UnreadableError) as error:
        sys.stderr.write(f"{PROGRAM}: {printable(str(error))}\n")
        return COULD_NOT_CHECK
    sys.stdout.write(_json_text(report.as_json()) if parsed.json else "\n".join(report.lines()) + "\n")
    return report.exit_code(parsed.allow_simulated)


def _export(parsed: argparse.Namespace) -> int:
    from agent.adapters.signer import load_private_key
    from agent.evidence.export import ExportSigner, export
    from agent.keys import load_chain

    folder: Path = parsed.signer
    key = load_private_key(folder / "export.key", lambda: ask_passphrase(f"Passphrase of {folder / 'export.key'}: "))
    certificate = folder / "export.pem"
    tsa = folder / "tsa.pem"
    made = export(
        parsed.recording,
        parsed.data,
        _identities(parsed.identity),
        ExportSigner(key, load_chain(_read(certificate, "give the reader's folder"), str(certificate))),
        _read(folder / "agency.pem", "put the agency's root certificate beside export.pem"),
        parsed.out,
        now_ms=_now_ms(),
        random=os.urandom,
        start_ms=parsed.start,
        end_ms=parsed.end,
        tsa_pem=_read(tsa, "") if tsa.exists() else None,
    )
    for clip in made.clips:
        sys.stdout.write(f"{clip}\n")
    sys.stdout.write(f"{made.folder}: check it with ./check.sh --ca-sha256 HEX (see CHECK.txt)\n")
    return 0


def _salvage(parsed: argparse.Namespace) -> int:
    from agent.evidence.salvage import salvage

    file: Path = parsed.file
    out = Path(file.name.removesuffix(".age").removesuffix(".mp4") + ".salvaged.mp4")  # never onto the card
    for line in salvage(file, _identities(parsed.identity), out).lines():
        sys.stdout.write(line + "\n")
    return 0


def _identities(path: Path) -> tuple[Identity, ...]:
    from agent.formats.age import open_with_passphrase, parse_identities

    data = _read(path, "give the identity file of one of the recipients")
    if data.startswith(b"age-encryption.org/"):
        data = open_with_passphrase(data, ask_passphrase(f"Passphrase of {path}: "))
    try:
        return parse_identities(data.decode())
    except UnicodeDecodeError:
        raise KeyFileError(
            str(path), "is not an age identity file", "give the file that `temoin-fleet init` made"
        ) from None


def _read(path: Path, remedy: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_IDENTITY_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error), remedy) from None
    if len(data) > MAX_IDENTITY_BYTES:
        raise ConfigError(str(path), f"is longer than {MAX_IDENTITY_BYTES} bytes", remedy)
    return data


def _outside_head(text: str | None) -> tuple[int, str] | None:
    if text is None:
        return None
    found = re.fullmatch(r"([0-9]{1,15}):([0-9a-f]{64})", text)
    if found is None:
        raise ConfigError("--head", f"{text!r} is not SEQ:HEX", "give the entry's number and its head's SHA-256")
    return int(found[1]), found[2]


def _json_text(value: object) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, indent=2) + "\n"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
