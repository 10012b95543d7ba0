"""Puts a station together from its configuration: files, keys, policy, archive, catalogue, journal.

Guarantees: what would make cameras refuse this dock (role, dates, policy, intake host) is a ConfigError or
CertificateError with a remedy at the start, not a silence later; one process at a time has the archive. Without a
catalogue the archive is read and one is made. Reads and writes files; called in the thread that the station runs in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import VERSION
from agent.adapters.clock import SystemClock
from agent.adapters.disk import RealDisk
from agent.adapters.signer import FileSigner
from agent.adapters.tls import TlsFiles
from agent.errors import ConfigError, TemoinError
from agent.formats.fields import list_of
from agent.formats.statement import Statement, parse_line, policy_of
from agent.keys import check_chain, load_chain, verify_statement
from agent.model import Stamp, TimeSource
from agent.ports import Random
from dock.archive import Archive
from dock.blobs import BlobStore
from dock.catalogue import Catalogue
from dock.config import DockConfig
from dock.journal import DockJournal
from dock.statements import Author
from dock.station import Moment, Rules, Station

CATALOGUE = "catalogue.sqlite"
_MAX_FILE_BYTES = 256 * 1024


class StationClock:
    """The computer's clock with the error bound that its configuration claims, and the boot clock."""

    def __init__(self, error_ms: int) -> None:
        self._clock = SystemClock()
        self._error_ms = error_ms

    def utc_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def moment(self) -> Moment:
        return Moment(self.utc_ms(), self._error_ms, self._clock.boot_ns())

    def stamp(self) -> Stamp:
        """For the dock's own journal."""
        return Stamp(self.utc_ms(), self._error_ms, TimeSource.RTC, self._clock.boot_ns(), self._clock.boot_id())


@dataclass(frozen=True, slots=True)
class Papers:
    """What the dock's files say, checked: root, its own signer, the agency's policy with its chain."""

    root: x509.Certificate
    signer: FileSigner
    policy: Statement
    policy_chain: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Opened:
    """A station that is ready, and what has to be closed after it."""

    station: Station
    journal: DockJournal
    catalogue: Catalogue


def tls_files(config: DockConfig) -> TlsFiles:
    """What broker and intake show and trust."""
    return TlsFiles(config.agency_certificate, config.tls_certificate, config.tls_key)


def load_papers(config: DockConfig, now_ms: int) -> Papers:
    """Read and check them all. Raises ConfigError, CertificateError, KeyFileError."""
    root = load_chain(_read(config.agency_certificate), str(config.agency_certificate))[0]
    for path, kind in ((config.certificate, "dock"), (config.tls_certificate, "dock-tls")):
        role = check_chain(load_chain(_read(path), str(path)), root, (kind,), str(path), now_ms)
        if role.id != config.dock:
            raise ConfigError(
                str(path), f"is of {role.urn}, not of the dock {config.dock}", "give this dock's own files"
            )
    chain = _der(load_chain(_read(config.certificate), str(config.certificate)))
    policy, policy_chain = _load_policy(config, root)
    return Papers(root, FileSigner(config.key, chain), policy, policy_chain)


def open_station(
    config: DockConfig,
    papers: Papers,
    clock: StationClock,
    random: Random,
    make_disk: Callable[[Path], RealDisk] = RealDisk,
) -> Opened:
    """Open archive, catalogue and journal. Raises StoreError, DiskError, ConfigError."""
    for folder in (config.data, config.archive):
        if not folder.is_dir():
            raise ConfigError(str(folder), "is no folder", "make it, or correct [folders] in dock.toml")
    disk, data = make_disk(config.archive), make_disk(config.data)
    disk.lock()
    data.lock()
    archive, blobs = Archive(disk), BlobStore(disk)
    for _, _, place in archive.journals():
        blobs.clean(place)
    catalogue = open_catalogue(config, archive, blobs)
    journal = DockJournal.start(data, papers.signer, clock.stamp, random, dock=config.dock, software=VERSION)
    author = Author(journal, papers.signer, config.agency, config.dock)
    rules = Rules(
        root=papers.root,
        intake_host=config.intake_host,
        store=config.dock,
        policy=papers.policy,
        policy_chain=papers.policy_chain,
    )
    return Opened(Station(rules, archive, blobs, catalogue, journal, author), journal, catalogue)


def open_catalogue(config: DockConfig, archive: Archive, blobs: BlobStore) -> Catalogue:
    """The catalogue; a missing one is made from the archive."""
    path = config.data / CATALOGUE
    missing = not path.exists()
    catalogue = Catalogue.open(f"sqlite:///{path}")
    if missing:
        catalogue.rebuild(archive, blobs)
    return catalogue


def _load_policy(config: DockConfig, root: x509.Certificate) -> tuple[Statement, tuple[bytes, ...]]:
    where = str(config.policy)
    try:
        statement = parse_line(_read(config.policy))
        if statement.name != "policy":
            raise ConfigError("typ", f"is {statement.name}, not policy", "give the file policy.line")
        policy = policy_of(statement)
        chain = load_chain(_read(config.policy_certificate), "certificate")
        verify_statement(statement, chain, root, "certificate", policy.not_before_ms)
    except TemoinError as error:
        remedy = error.remedy or "ask the holder of the policy key for a signed policy"
        raise ConfigError(f"{where}: {error.where}", error.problem, remedy) from None
    if policy.agency != config.agency:
        raise ConfigError(f"{where}: agency", f"is {policy.agency}, not {config.agency}", "give this agency's policy")
    if config.dock not in policy.docks:
        raise ConfigError(f"{where}: docks", f"{config.dock} is not among them", "cameras would refuse this dock")
    if config.intake_host not in list_of(statement.value, "intake_hosts"):
        said = f"{config.intake_host} is not among them"
        raise ConfigError(f"{where}: intake_hosts", said, "cameras would refuse every ticket of this dock")
    return statement, _der(chain)


def _der(chain: tuple[x509.Certificate, ...]) -> tuple[bytes, ...]:
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or "cannot be read", "give the folder that init made") from None
