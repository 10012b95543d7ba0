"""The dock's configuration: strict TOML to frozen values.

Guarantees: as agent/config.py: what is unknown, missing, of another type or out of range is a ConfigError that names
file, key and what is allowed; paths are absolute. The listener of /health and /metrics is on the loopback, whatever
the file says otherwise is refused: it asks nobody for a certificate.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.config import IDENTIFIER, IDENTIFIER_SAID, LANGUAGES
from agent.toml_table import Address, read_table

MAX_ERROR_MS = 60_000  # with a worse clock than that a dock has no time to give
_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True, slots=True)
class DockConfig:
    """One dock's `dock.toml`. All paths are absolute.

    `intake` is where the HTTPS intake listens, `intake_host` the `host:port` under which the policy lists it and under
    which tickets send cameras there; they differ behind address translation. `error_ms` bounds the error of this
    computer's clock, as its beacons say.
    """

    file: Path
    dock: str
    agency: str
    language: str
    data: Path
    archive: Path
    policy: Path
    policy_certificate: Path
    agency_certificate: Path
    certificate: Path
    key: Path
    tls_certificate: Path
    tls_key: Path
    broker: Address
    intake: Address
    intake_host: str
    health: Address
    error_ms: int


def load_dock(path: Path) -> DockConfig:
    """Read `dock.toml`. Raises ConfigError."""
    file = path.absolute()
    folder = file.parent
    root = read_table(path)
    names = ("folders", "files", "broker", "intake", "health", "clock")
    folders, files, broker, intake, health, clock = map(root.table, names)
    config = DockConfig(
        file=file,
        dock=root.matching("dock", IDENTIFIER, IDENTIFIER_SAID),
        agency=root.matching("agency", IDENTIFIER, IDENTIFIER_SAID),
        language=root.one_of("language", LANGUAGES),
        data=folder / folders.text("data"),
        archive=folder / folders.text("archive"),
        policy=folder / files.text("policy"),
        policy_certificate=folder / files.text("policy_certificate"),
        agency_certificate=folder / files.text("agency_certificate"),
        certificate=folder / files.text("certificate"),
        key=folder / files.text("key"),
        tls_certificate=folder / files.text("tls_certificate"),
        tls_key=folder / files.text("tls_key"),
        broker=broker.address("address"),
        intake=intake.address("listen"),
        intake_host=str(intake.address("host")),
        health=health.address("listen"),
        error_ms=clock.integer("error_ms", 1, MAX_ERROR_MS),
    )
    for table in (folders, files, broker, intake, health, clock, root):
        table.close()
    if config.health.host not in _LOOPBACK:
        raise health.error("listen", f"{config.health} is not on the loopback", "give 127.0.0.1:PORT")
    return config
