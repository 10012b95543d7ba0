"""`temoin-dock`: the station's command.

Each command imports what it needs when it runs. An error is one line and exit code 1; `run` ends by SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent import VERSION
from agent.errors import ConfigError, FormatError
from agent.terminal import run

if TYPE_CHECKING:
    from dock.catalogue import Catalogue
    from dock.config import DockConfig

PROGRAM = "temoin-dock"
Command = Callable[[argparse.Namespace], int]


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit code; argparse itself exits with 2."""
    parsed = _parser().parse_args(arguments)
    command: Command = parsed.command
    return run(PROGRAM, lambda: command(parsed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The dock: takes what cameras hand over.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Command, said: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=said, description=said[0].upper() + said[1:] + ".")
        sub.set_defaults(command=command)
        sub.add_argument("--config", metavar="F", type=Path, required=True, help="the dock's dock.toml")
        return sub

    add("run", _run, "run the dock until it is told to end")
    add("list", _list, "list the recordings of the archive, and who has which camera")
    sub = add("show", _show, "say what the archive has of one recording")
    sub.add_argument("recording", metavar="RECORDING", help="its id, as `list` shows it")
    sub = add("hold", _hold, "have a recording kept, here and on its camera, from its next docking on")
    sub.add_argument("recording", metavar="RECORDING", help="its id, as `list` shows it")
    sub.add_argument("--until", metavar="UTC", help="like 2027-01-31T00:00:00.000Z; until further notice without it")
    sub = add("assign", _assign, "hand a camera out: it is on this dock, and somebody takes it")
    sub.add_argument("camera", metavar="CAMERA", help="its id, as it is written on it")
    sub.add_argument("--wearer", metavar="PSEUDONYM", help="of this hand-out, 32 hexadecimal digits; drawn without it")
    sub.add_argument("--service", metavar="S", required=True, help="the service that the wearer works for")
    sub.add_argument("--sector", metavar="S", required=True, help="where the wearer goes")
    sub.add_argument("--until", metavar="UTC", help="like 2027-01-31T18:00:00.000Z; 24 hours from now without it")
    add("doctor", _doctor, "check configuration, certificates, broker, clock and space")
    return parser


def _run(parsed: argparse.Namespace) -> int:
    import asyncio
    import signal
    import time

    from dock.config import load_dock
    from dock.log import Log
    from dock.process import DockProcess

    config = load_dock(parsed.config)

    async def until_told() -> None:
        process = DockProcess(config, Log(lambda: time.time_ns() // 1_000_000), os.urandom)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, process.end)
        await process.run()

    asyncio.run(until_told())
    return 0


def _list(parsed: argparse.Namespace) -> int:
    from dock.cameras import camera_lines, cameras
    from dock.shown import list_lines, recordings

    with _catalogue(parsed.config) as (config, catalogue):
        _print(list_lines(recordings(catalogue), config.language))
        _print(camera_lines(cameras(catalogue, _now_ms()), config.language))
    return 0


def _show(parsed: argparse.Namespace) -> int:
    from dock.cameras import camera_lines, cameras
    from dock.shown import recording, show_lines

    with _catalogue(parsed.config) as (config, catalogue):
        found = recording(catalogue, parsed.recording)
        _print(show_lines(found, config.language))
        own = [camera for camera in cameras(catalogue, _now_ms()) if camera.dev == found.dev]
        _print(camera_lines(own, config.language))
    return 0


def _hold(parsed: argparse.Namespace) -> int:
    from agent.catalogue import say
    from dock.shown import recording

    with _catalogue(parsed.config) as (config, catalogue):
        found = recording(catalogue, parsed.recording)
        try:
            catalogue.order(found.dev, "hold", {"rec": found.rec, "until": parsed.until}, _now_ms())
        except FormatError as error:
            raise ConfigError("--until", error.problem, "write it like 2027-01-31T00:00:00.000Z") from None
    _print([say("dock.hold_ordered", config.language, recording=found.rec, camera=found.dev)])
    return 0


def _assign(parsed: argparse.Namespace) -> int:
    import secrets
    import time

    from agent.catalogue import say
    from dock.hand_out import CONFIRM_S, Typed, assign, docked_now, parse

    wearer = secrets.token_hex(16) if parsed.wearer is None else parsed.wearer
    with _catalogue(parsed.config) as (config, catalogue):
        language = config.language
        typed = Typed(parsed.camera, wearer, parsed.service, parsed.sector, parsed.until)
        request = parse(typed, _now_ms(), language)
        docked = docked_now(config.health, language)
        deadline = time.monotonic() + CONFIRM_S

        def wait() -> bool:
            time.sleep(0.2)
            return time.monotonic() < deadline

        assign(catalogue, request, docked, wait, language)
    until = str(request.value["until"])
    _print([say("dock.assigned", language, camera=request.camera, wearer=wearer, until=until)])
    return 0


def _doctor(parsed: argparse.Namespace) -> int:
    from dock.config import load_dock
    from dock.doctor import examine

    config = load_dock(parsed.config)
    lines, sound = examine(config)
    _print(lines)
    return 0 if sound else 1


@contextlib.contextmanager
def _catalogue(path: Path) -> Iterator[tuple[DockConfig, Catalogue]]:
    """The catalogue as the running dock left it: it is made by `run`."""
    from dock.catalogue import Catalogue
    from dock.config import load_dock
    from dock.opening import CATALOGUE

    config = load_dock(path)
    file = config.data / CATALOGUE
    if not file.exists():
        raise ConfigError(str(file), "there is no catalogue yet", "start the dock once: temoin-dock run")
    with contextlib.closing(Catalogue.open(f"sqlite:///{file}")) as catalogue:
        yield config, catalogue


def _print(lines: Sequence[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _now_ms() -> int:
    import time

    return time.time_ns() // 1_000_000


if __name__ == "__main__":
    sys.exit(main())
