"""`temoin-dock`: the station's command. This version has no station yet: it says so, and what to use meanwhile."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from agent import VERSION
from agent.errors import ConfigError
from agent.terminal import run

PROGRAM = "temoin-dock"


def main(arguments: Sequence[str] | None = None) -> int:
    """The console script. Returns the exit code; argparse itself exits with 2."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="The dock: not in this version.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {VERSION}")
    parser.parse_args(arguments)
    return run(PROGRAM, _absent)


def _absent() -> int:
    raise ConfigError(
        PROGRAM,
        "this version has no dock yet: evidence stays on the camera's card",
        "check and export from its data folder with `temoin verify` and `temoin export`",
    )
