"""A new agency as folders by holder: who may do what is who holds which folder (docs/operations-agency.md).

Pure: everything that is random or of today comes in, and a plan of files comes out. Guarantees: outside the demo every
private key but a camera's own stands under its holder's passphrase; the demo's keys are plain, and every certificate
of it says DEMO. What is planned is checked the way the camera will check it before it is handed out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.serialization import Encoding

from agent.config import MAX_PRERECORD_MS
from agent.errors import ConfigError, FormatError
from agent.formats import fields
from agent.formats.age import RecipientKind, generate_identity, parse_identity, seal_with_passphrase
from agent.formats.canonical import Value
from agent.formats.statement import PROFILES, Statement, compose
from agent.keys import Role, load_policy
from agent.ports import Random
from agent.toml_table import Address
from firmware.certificates import BACKDATED_DAYS, Authority, Issued, PrivateKey, issue, make_root, sign
from firmware.docks import DockRequest, check_names, dock_toml, mosquitto_acl, mosquitto_conf
from firmware.folders import Plan, PlannedFile
from firmware.pkcs8 import private_pem
from firmware.radio import HOSTAPD_CONF, HOSTAPD_USERS, SUPPLICANT_CONF, hostapd_conf, hostapd_users, supplicant_conf

RETENTION_DAYS: Mapping[str, int] = {"fr-2016": 180, "fr-2022": 30}
"""Six months under the texts of 2016 and 2019; one month under R241-13 as décret 2022-1395 has it."""

PURGE_DAYS = 7
"""Days that a received blob stays on the card, against a dock that loses it before its first backup."""

MAX_NAME_CHARACTERS = 58  # with "DEMO " before it, within X.520's 64 of an organisation's name
MAX_CAMERAS = 1000  # the policy names each one in a line of at most 64 KiB
MAX_DOCKS = 64  # as many as a policy may list

_MS_PER_DAY = 86_400_000


class Holder(StrEnum):
    """Who holds a folder under a passphrase of their own."""

    CA = "ca"
    POLICY = "policy"
    READER = "reader"
    ESCROW = "escrow"


@dataclass(frozen=True, slots=True)
class Request:
    """What `init` was asked for. `board` is what camera.toml says; `board_toml` is a board file to put beside it.

    `radio`: the board docks over Wi-Fi. `broker` is where cameras find the broker of their dock.
    """

    agency: str
    name: str
    cameras: tuple[str, ...]
    board: str
    board_toml: bytes | None
    simulated: bool
    radio: bool
    kind: RecipientKind
    profile: str
    prerecord_ms: int
    footage: str | None
    docks: tuple[DockRequest, ...]
    broker: Address
    demo: bool


@dataclass(frozen=True, slots=True)
class Agency:
    """The plan of the folders, and the root's fingerprint (hex SHA-256 of its DER), which is published."""

    plan: Plan
    fingerprint: str


def check_request(request: Request) -> None:
    """Raise ConfigError that names the option, before anybody is asked for a passphrase."""
    _check_id("--agency", request.agency)
    if not 0 < len(request.name) <= MAX_NAME_CHARACTERS or not request.name.isprintable():
        raise ConfigError("--name", "is not a name", f"give 1 to {MAX_NAME_CHARACTERS} printable characters")
    if not 0 < len(request.cameras) <= MAX_CAMERAS:
        raise ConfigError("--camera", f"{len(request.cameras)} cameras", f"name 1 to {MAX_CAMERAS}")
    for camera in request.cameras:
        _check_id("--camera", camera)
    if len(set(request.cameras)) != len(request.cameras):
        raise ConfigError("--camera", "the same id twice", "give each camera its own")
    if not 0 < len(request.docks) <= MAX_DOCKS:
        raise ConfigError("--dock", f"{len(request.docks)} docks", f"name 1 to {MAX_DOCKS}")
    docks = tuple(dock.dock for dock in request.docks)
    for name in docks:
        _check_id("--dock", name)
    check_names(docks, request.cameras)
    if request.profile not in RETENTION_DAYS:
        raise ConfigError("--profile", f"{request.profile!r} is unknown", f"give {' or '.join(PROFILES)}")
    if not 0 <= request.prerecord_ms <= MAX_PRERECORD_MS:
        raise ConfigError("--prerecord-s", "is out of range", f"give 0 to {MAX_PRERECORD_MS // 1000}")


def plan_agency(request: Request, passphrases: Mapping[Holder, str] | None, now_ms: int, random: Random) -> Agency:
    """The folders of a new agency. `passphrases` has one for each holder; None for the demo, and only there."""
    assert (passphrases is None) == request.demo
    check_request(request)

    def passphrase_of(holder: Holder) -> str | None:
        return None if passphrases is None else passphrases[holder]

    authority = make_root(request.agency, request.name, request.demo, now_ms, random)
    root_pem = authority.certificate.public_bytes(Encoding.PEM)
    fingerprint = hashlib.sha256(authority.certificate.public_bytes(Encoding.DER)).hexdigest()
    identities = {holder: generate_identity(request.kind, random) for holder in (Holder.READER, Holder.ESCROW)}
    recipients = [parse_identity(identity).recipient().text for identity in identities.values()]
    policy = issue(authority, Role("policy", request.agency), now_ms, random)
    policy_line = _policy_line(request, policy, recipients, now_ms)
    export = issue(authority, Role("export", request.agency), now_ms, random)
    files: dict[str, PlannedFile] = {
        "ca/ca.key": _key_file(authority.key, passphrase_of(Holder.CA), random),
        "ca/agency.pem": PlannedFile(root_pem),
        "ca/FINGERPRINT.txt": PlannedFile(_fingerprint_text(request, fingerprint)),
        "policy/policy.key": _key_file(policy.key, passphrase_of(Holder.POLICY), random),
        "policy/policy.pem": PlannedFile(policy.pem),
        "policy/policy.line": PlannedFile(policy_line),
        "reader/agency.age-identity": _identity_file(
            identities[Holder.READER], passphrase_of(Holder.READER), now_ms, random
        ),
        "reader/export.key": _key_file(export.key, passphrase_of(Holder.READER), random),
        "reader/export.pem": PlannedFile(export.pem),
        "reader/agency.pem": PlannedFile(root_pem),
        "escrow/escrow.age-identity": _identity_file(
            identities[Holder.ESCROW], passphrase_of(Holder.ESCROW), now_ms, random
        ),
    }
    shared = {
        "agency.pem": PlannedFile(root_pem),
        "policy.pem": PlannedFile(policy.pem),
        "policy.line": PlannedFile(policy_line),
    }
    for camera in request.cameras:
        load_policy(policy_line, policy.pem, authority.certificate, camera, request.agency, None, "policy.line")
        for name, planned in {**shared, **_camera_files(request, camera, authority, now_ms, random)}.items():
            files[f"cameras/{camera}/{name}"] = planned
    for dock in request.docks:
        for name, planned in {**shared, **_dock_files(request, dock, authority, now_ms, random)}.items():
            files[f"docks/{dock.dock}/{name}"] = planned
    folders = [f"cameras/{camera}/{name}" for camera in request.cameras for name in ("data", "run")]
    folders += [f"docks/{dock.dock}/{name}" for dock in request.docks for name in ("data", "archive")]
    return Agency(Plan(files, tuple(folders)), fingerprint)


def _camera_files(
    request: Request, camera: str, authority: Authority, now_ms: int, random: Random
) -> dict[str, PlannedFile]:
    """What only this camera has. Its key is not encrypted: nobody types a passphrase into a camera."""
    issued = issue(authority, Role("sim" if request.simulated else "camera", camera), now_ms, random)
    files = {
        "camera.toml": PlannedFile(_camera_toml(request, camera)),
        "camera.key": _key_file(issued.key, None, random),
        "camera.pem": PlannedFile(issued.pem),
        **_tls_files("camera-tls", camera, authority, now_ms, random),
    }
    if request.radio:
        files[SUPPLICANT_CONF] = PlannedFile(supplicant_conf(request.agency, camera))
    if request.board_toml is not None:
        files[request.board] = PlannedFile(request.board_toml)
    return files


def _dock_files(
    request: Request, dock: DockRequest, authority: Authority, now_ms: int, random: Random
) -> dict[str, PlannedFile]:
    """What only this dock has. It starts with nobody at its keyboard: its keys are not encrypted either."""
    issued = issue(authority, Role("dock", dock.dock), now_ms, random)
    port = request.broker.port
    access_point = {
        HOSTAPD_CONF: PlannedFile(hostapd_conf(request.agency)),
        HOSTAPD_USERS: PlannedFile(hostapd_users()),
    }
    return {
        **(access_point if request.radio else {}),
        "dock.toml": PlannedFile(dock_toml(request.agency, dock, port, request.demo)),
        "dock.key": _key_file(issued.key, None, random),
        "dock.pem": PlannedFile(issued.pem),
        **_tls_files("dock-tls", dock.dock, authority, now_ms, random),
        "mosquitto.conf": PlannedFile(mosquitto_conf(port, request.demo)),
        # Not secret, but Mosquitto (2.0.18 and newer) does not like an ACL that others can read.
        "mosquitto.acl": PlannedFile(mosquitto_acl(dock.dock), secret=True),
    }


def _tls_files(kind: str, identifier: str, authority: Authority, now_ms: int, random: Random) -> dict[str, PlannedFile]:
    issued = issue(authority, Role(kind, identifier), now_ms, random)
    return {f"{kind}.key": _key_file(issued.key, None, random), f"{kind}.pem": PlannedFile(issued.pem)}


def _policy_line(request: Request, policy: Issued, recipients: list[str], now_ms: int) -> bytes:
    # Without a time stamping authority yet: a later version of the policy names one. Sound of the
    # time before the press is off by default: who pressed nothing has not said that the conversation is of interest.
    value: dict[str, Value] = {
        "agency": request.agency,
        "version": 1,
        # As the certificates: whole seconds, and in the past for a camera whose clock is behind.
        "not_before": fields.format_utc(now_ms // 1000 * 1000 - BACKDATED_DAYS * _MS_PER_DAY),
        "cameras": list(request.cameras),
        "profile": request.profile,
        "recipients": list(recipients),
        "docks": [dock.dock for dock in request.docks],
        "intake_hosts": [str(dock.intake) for dock in request.docks],
        "tsa_roots": [],
        "retention_days": RETENTION_DAYS[request.profile],
        "purge_days": 0 if request.demo else PURGE_DAYS,
        "prerecord_ms": request.prerecord_ms,
        "prerecord_sound": False,
        "sound": True,
    }
    text = compose("policy", value)
    return Statement("policy", value, text, sign(policy.key, text)).line


SERVICES = """
[services]
keeper = "/run/temoin-keeper/panel"
capture = "/run/temoin-capture/start.sock"
"""
"""Where the units of a real board have them (systemd/)."""


def _camera_toml(request: Request, camera: str) -> bytes:
    footage = '# footage = "film.mp4"      # a simulated board films this file\n' if request.simulated else ""
    if request.footage is not None:
        footage = f"footage = {toml_text(request.footage)}\n"
    run = '"run"' if request.simulated else '"/run/temoin"  # in memory: it is written twice a second'
    return (
        "# Written by temoin-fleet init. Paths are relative to this file's folder.\n"
        f"dev = {toml_text(camera)}\n"
        f"agency = {toml_text(request.agency)}\n"
        f"board = {toml_text(request.board)}\n"
        'language = "fr"\n'
        f"{footage}"
        "\n[folders]\n"
        'data = "data"\n'
        f"run = {run}\n"
        "\n[files]\n"
        'policy = "policy.line"\n'
        'policy_certificate = "policy.pem"\n'
        'agency_certificate = "agency.pem"\n'
        'certificate = "camera.pem"\n'
        'key = "camera.key"\n'
        "\n[network]\n"
        f'broker = "{request.broker}"\n'
        'certificate = "camera-tls.pem"\n'
        'key = "camera-tls.key"\n'
        f"{'' if request.simulated else SERVICES}"
    ).encode()


def toml_text(text: str) -> str:
    """A basic string of TOML. Raises ConfigError for what camera.toml does not take."""
    if not text.isprintable():
        raise ConfigError("--footage", "its name has characters that cannot be printed", "rename the file")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fingerprint_text(request: Request, fingerprint: str) -> bytes:
    demo = "DEMO: nobody may rely on this agency.\n" if request.demo else ""
    return (
        f"{fingerprint}\n\n{demo}SHA-256 of the DER of agency.pem, the root certificate of {request.agency}:\n"
        f"{request.name}.\n\n"
        "Publish the first line where everybody can read it and no one person can change it: in the minutes of the\n"
        "municipal council, on the web site, with the prefecture. A court gives it to check.sh --ca-sha256.\n"
        "It is computed by: openssl x509 -in agency.pem -outform DER | sha256sum\n"
    ).encode()


def _key_file(key: PrivateKey, passphrase: str | None, random: Random) -> PlannedFile:
    return PlannedFile(private_pem(key, passphrase, random), secret=True)


def _identity_file(identity: str, passphrase: str | None, now_ms: int, random: Random) -> PlannedFile:
    """As age-keygen writes it; under a passphrase a whole age file, which `age -d -i` asks the passphrase of."""
    recipient = parse_identity(identity).recipient().text
    text = f"# created: {fields.format_utc(now_ms)}\n# public key: {recipient}\n{identity}\n".encode()
    return PlannedFile(
        text if passphrase is None else seal_with_passphrase(text, passphrase, random=random), secret=True
    )


def _check_id(option: str, value: str) -> None:
    try:
        fields.identifier(value, option)
    except FormatError as error:
        raise ConfigError(option, f"{value!r} is {error.problem}", "choose another id") from None
