"""Strict TOML: every key asked for once, checked, and no other allowed.

Guarantees: a key that is unknown, missing, of another type or out of range is a ConfigError that names file, key and
what is allowed; nothing is opened but the file itself.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from agent.errors import ConfigError

MAX_CONFIG_FILE_BYTES = 64 * 1024  # ours have under 2 KiB: whatever is longer is another file

_ADDRESS = re.compile(r"([a-z0-9.-]{1,253}):([1-9][0-9]{0,4})")
_LAST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """A host by name or IPv4 number, and a port. `str()` is `host:port`, as policies and files have it."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_address(text: str, where: str) -> Address:
    """`host:port`. Raises ConfigError."""
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match[2]) > _LAST_PORT:
        raise ConfigError(where, f"{text!r} is not an address", "give host:port, like dock-01.local:8443")
    return Address(match[1], int(match[2]))


def read_table(path: Path) -> Table:
    """The root table of a file. Raises ConfigError."""
    return Table(str(path), "", _read(path.absolute()))


def _read(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG_FILE_BYTES + 1)
    except OSError as error:
        problem = error.strerror or "cannot be read"
        raise ConfigError(str(path), problem, "check the path, and who runs this") from None
    if len(data) > MAX_CONFIG_FILE_BYTES:
        raise ConfigError(str(path), f"is longer than {MAX_CONFIG_FILE_BYTES} bytes", "give the right file")
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(str(path), f"is not TOML in UTF-8 ({error})", "correct that line") from None


class Table:
    """One table of a file: hands out each key once, checked, and names what nobody asked for at the end."""

    def __init__(self, file: str, name: str, values: Mapping[str, object]) -> None:
        self._file = file
        self._name = name
        self._values = values
        self._asked: set[str] = set()

    def error(self, key: str, problem: str, remedy: str) -> ConfigError:
        return ConfigError(f"{self._file}: {self._name}{key}", problem, remedy)

    def close(self) -> None:
        """Raise ConfigError for the first key that is not of this table."""
        unknown = sorted(self._values.keys() - self._asked)
        if unknown:
            known = ", ".join(sorted(self._asked))
            raise self.error(unknown[0], "unknown key", f"remove it, or spell it as one of: {known}")

    def keys(self) -> list[str]:
        """The keys that the file gives here, sorted: for a table whose keys are names."""
        return sorted(self._values)

    def table(self, key: str) -> Table:
        found = self._get(key, f"a table [{key}]")
        if not isinstance(found, dict):
            raise self.error(key, "is not a table", f"write it as [{key}]")
        return Table(self._file, f"{self._name}{key}.", found)

    def optional_table(self, key: str) -> Table | None:
        self._asked.add(key)
        return self.table(key) if key in self._values else None

    def text(self, key: str) -> str:
        found = self._get(key, "a text")
        if not isinstance(found, str) or not found or not found.isprintable():
            raise self.error(key, "is not a text", "write it in quotes, printable and not empty")
        return found

    def optional_text(self, key: str) -> str | None:
        self._asked.add(key)
        return self.text(key) if key in self._values else None

    def matching(self, key: str, pattern: re.Pattern[str], said: str) -> str:
        found = self.text(key)
        if not pattern.fullmatch(found):
            raise self.error(key, f"{found!r} is not allowed", f"give {said}")
        return found

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        found = self.text(key)
        if found not in allowed:
            raise self.error(key, f"{found!r} is not allowed", f"give {' or '.join(allowed)}")
        return found

    def address(self, key: str) -> Address:
        return parse_address(self.text(key), f"{self._file}: {self._name}{key}")

    def boolean(self, key: str) -> bool:
        found = self._get(key, "true or false")
        if not isinstance(found, bool):
            raise self.error(key, "is not true or false", "write true or false, without quotes")
        return found

    def integer(self, key: str, least: int, most: int) -> int:
        return self._checked(key, self._get(key, f"a whole number, {least} to {most}"), least, most)

    def integers(self, key: str, least: int, most: int, longest: int) -> tuple[int, ...]:
        found = self._get(key, f"a list of whole numbers, {least} to {most}")
        if not isinstance(found, list) or not 1 <= len(found) <= longest:
            raise self.error(key, f"is not a list of 1 to {longest}", f"list whole numbers, {least} to {most}")
        return tuple(self._checked(key, item, least, most) for item in found)

    def optional_integer(self, key: str, least: int, most: int) -> int | None:
        self._asked.add(key)
        return self.integer(key, least, most) if key in self._values else None

    def texts(self, key: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """A list of some of the allowed texts, one at least, none twice."""
        said = f"list some of {', '.join(allowed)}"
        found = self._get(key, f"a list: {said}")
        if not isinstance(found, list) or not found:
            raise self.error(key, "is not a list with something in it", said)
        for number, item in enumerate(found):
            if item not in allowed:
                raise self.error(key, f"{item!r} is not allowed", said)
            if item in found[:number]:
                raise self.error(key, f"{item!r} is there twice", said)
        return tuple(found)

    def choice(self, key: str, allowed: tuple[int, ...]) -> int:
        found = self.integer(key, min(allowed), max(allowed))
        if found not in allowed:
            raise self.error(key, f"{found} is not allowed", f"give one of {', '.join(map(str, allowed))}")
        return found

    def _checked(self, key: str, found: object, least: int, most: int) -> int:
        if not isinstance(found, int) or isinstance(found, bool):
            raise self.error(key, "is not a whole number", f"give {least} to {most}, without quotes")
        if not least <= found <= most:
            raise self.error(key, f"{found} is out of range", f"give {least} to {most}")
        return found

    def _get(self, key: str, wanted: str) -> object:
        self._asked.add(key)
        if key not in self._values:
            raise self.error(key, "missing", f"give {wanted}")
        return self._values[key]
