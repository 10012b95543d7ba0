"""One TOML file a board, packaged with the program: agent/config.py says what each key means and may be."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from agent.errors import ConfigError


def board_names() -> list[str]:
    """Names of the packaged boards, sorted."""
    return sorted(file.name.removesuffix(".toml") for file in files(__name__).iterdir() if file.name.endswith(".toml"))


def board_file(name: str) -> Path:
    """The packaged file of a board. Raises ConfigError for a name that none has."""
    if name not in board_names():
        raise ConfigError("board", f"{name!r} is not packaged", f"give a path, or one of: {', '.join(board_names())}")
    return Path(str(files(__name__) / f"{name}.toml"))
