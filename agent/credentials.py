"""What a start takes from the camera's configuration: the agency's root, its own key, and the policy in force.

Guarantees: nothing is used that does not hold as a whole; the policy is the newest that holds now, be it of the
configuration or brought by a dock (agent/store/relay.py), and never older than the one that the journal names. A
dock's policy that cannot be used costs nothing but an alert.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent import keys
from agent.adapters.signer import FileSigner
from agent.config import Board, CameraConfig, check_memory
from agent.errors import ConfigError
from agent.formats.canonical import MAX_LONG_LINE_BYTES, Object
from agent.formats.fields import format_utc
from agent.formats.statement import Policy
from agent.model import Stamp
from agent.ports import Disk
from agent.store.last import LastFile
from agent.store.relay import relayed_policies
from agent.terminal import printable

MAX_SAID = 200


@dataclass(frozen=True, slots=True)
class Chosen:
    """The policy in force, and why a newer one that a dock brought is not (None if there is no such)."""

    policy: Policy
    refused: str | None


def load_credentials(config: CameraConfig, board: Board, now: Stamp) -> tuple[x509.Certificate, FileSigner]:
    """The agency's root and this camera's key. Raises ConfigError, CertificateError, KeyFileError."""
    root = keys.load_chain(_read(config.agency_certificate), str(config.agency_certificate))[0]
    where = str(config.certificate)
    chain = keys.load_chain(_read(config.certificate), where)
    kinds = ("sim" if board.simulated else "camera",)
    role = keys.check_chain(chain, root, kinds, where, None)
    if role.id != config.dev:
        raise ConfigError(f"{config.file}: dev", f"{config.dev} is not {role.id} of {where}", "enrol the camera again")
    if now.utc_ms is not None and now.err_ms is not None:  # refused when it has expired for sure; a clock may be behind
        issued_ms = max(int(each.not_valid_before_utc.timestamp()) * 1000 for each in (*chain, root))
        keys.check_chain(chain, root, kinds, where, max(issued_ms, now.utc_ms - now.err_ms))
    return root, FileSigner(config.key, tuple(each.public_bytes(Encoding.DER) for each in chain))


def choose_policy(
    config: CameraConfig, board: Board, root: x509.Certificate, disk: Disk, found: LastFile | None, now: Stamp
) -> Chosen:
    """The newest policy that holds. Raises ConfigError when there is none, DiskError."""
    least = None if found is None or found.state.policy is None else found.state.policy[1]
    last_utc_ms = 0 if found is None else found.state.last_utc_ms or 0
    brought, refused = _relayed(config, board, root, disk, least, now, last_utc_ms)
    try:
        own = _configured(config, board, root, least, now)
    except ConfigError:
        if brought is None:
            raise
        own = brought
    newest = own if brought is None or own.version >= brought.version else brought
    return Chosen(newest, refused)


def policy_refused(problem: str) -> Object:
    """The body of an `alert` about it."""
    values: Object = {"problem": printable(problem)[:MAX_SAID]}
    return {"cause": "policy_not_usable", "values": values, "remedy": "new_policy"}


def _relayed(
    config: CameraConfig,
    board: Board,
    root: x509.Certificate,
    disk: Disk,
    least: int | None,
    now: Stamp,
    last_utc_ms: int,
) -> tuple[Policy | None, str | None]:
    """The newest usable policy that a dock brought, and why a newer one is not.

    A camera without a time goes by the last one that its journal had: the dock brings a policy before it takes effect.
    """
    refused = None
    for each in relayed_policies(disk):
        where = f"policy {each.version} of the dock"
        try:
            policy = keys.load_policy(each.line, each.chain_pem, root, config.dev, config.agency, least, where)
            _check_in_force(policy, now, where)
            if now.utc_ms is None and policy.not_before_ms > last_utc_ms:
                raise _not_in_force(policy, where)
            check_memory(board, policy.prerecord_ms)
        except ConfigError as error:
            refused = refused or str(error)
        else:
            return policy, refused
    return None, refused


def _configured(config: CameraConfig, board: Board, root: x509.Certificate, least: int | None, now: Stamp) -> Policy:
    where = str(config.policy)
    certificate = _read(config.policy_certificate)
    keys.load_chain(certificate, str(config.policy_certificate))  # an unreadable one is named by its own file
    policy = keys.load_policy(_read(config.policy), certificate, root, config.dev, config.agency, least, where)
    _check_in_force(policy, now, where)
    check_memory(board, policy.prerecord_ms)
    return policy


def _check_in_force(policy: Policy, now: Stamp, where: str) -> None:
    if now.utc_ms is not None and now.err_ms is not None and now.utc_ms + now.err_ms < policy.not_before_ms:
        raise _not_in_force(policy, where)


def _not_in_force(policy: Policy, where: str) -> ConfigError:
    begins = format_utc(policy.not_before_ms)
    remedy = "set the clock, or use the policy that is in force"
    return ConfigError(f"{where}: not_before", f"{begins} has not come", remedy)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_LONG_LINE_BYTES)
    except OSError as error:
        raise ConfigError(str(path), error.strerror or str(error), "enrol the camera again") from None
