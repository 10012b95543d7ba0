"""What the folder of a dock says: dock.toml, and the configuration of its broker (docs/operations-dock.md).

Pure. Guarantees: the broker lets nobody in without a certificate of the agency, and a certificate reaches its own
camera's topics only, the dock's all of them; it keeps nothing on disk and bounds what it keeps in memory. All paths are
relative to the folder, in which broker and dock are started.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.errors import ConfigError
from agent.toml_table import Address

BROKER_PORT = 8883  # IANA: secure-mqtt
INTAKE_PORT = 8443
HEALTH_PORT = 9464  # where Prometheus' exporters usually answer; on the loopback only
LOOPBACK = "127.0.0.1"
EVERYWHERE = "0.0.0.0"  # noqa: S104  (cameras come over the station's network; TLS demands their certificate)

MAX_PACKET_BYTES = 262_144 + 16_384  # a whole journal batch (docs/docking.md), its topic and properties
MAX_QUEUED_BYTES = 32 * 1024 * 1024  # of one client that is slow: what does not fit is sent again from the journal
MAX_QUEUED_MESSAGES = 256
MAX_INFLIGHT = 20  # each camera has at most 8 under way
MAX_CLIENTS = 256  # a region's dock takes more stations, not more cameras each
KEEPALIVE_S = 60


@dataclass(frozen=True, slots=True)
class DockRequest:
    """One dock: its id, and `intake`, where cameras reach its HTTPS intake."""

    dock: str
    intake: Address


def default_docks(docks: tuple[str, ...], demo: bool) -> tuple[DockRequest, ...]:
    """Each at the address it is expected at: on this computer in the demo, else under its own name in mDNS."""
    return tuple(
        DockRequest(dock, Address(LOOPBACK, INTAKE_PORT + index) if demo else Address(f"{dock}.local", INTAKE_PORT))
        for index, dock in enumerate(docks)
    )


def default_broker(docks: tuple[str, ...], demo: bool) -> Address:
    """The broker of the first dock."""
    return Address(LOOPBACK if demo else f"{docks[0]}.local", BROKER_PORT)


def check_names(docks: tuple[str, ...], cameras: tuple[str, ...]) -> None:
    """Raise ConfigError for a dock twice, or with a camera's id: the broker knows both by their certificates' CN."""
    if len(set(docks)) != len(docks):
        raise ConfigError("--dock", "the same id twice", "give each dock its own")
    for dock in docks:
        if dock in cameras:
            raise ConfigError("--dock", f"{dock!r} is a camera's id", "give docks and cameras different ids")


def dock_toml(agency: str, request: DockRequest, broker_port: int, demo: bool) -> bytes:
    """The dock's own configuration, as dock/config.py reads it."""
    listen = Address(LOOPBACK if demo else EVERYWHERE, request.intake.port)
    return (
        "# Written by temoin-fleet init. Paths are relative to this file's folder.\n"
        f'dock = "{request.dock}"\n'
        f'agency = "{agency}"\n'
        'language = "fr"\n'
        "\n[folders]\n"
        'data = "data"\n'
        'archive = "archive"\n'
        "\n[files]\n"
        'policy = "policy.line"\n'
        'policy_certificate = "policy.pem"\n'
        'agency_certificate = "agency.pem"\n'
        'certificate = "dock.pem"\n'
        'key = "dock.key"\n'
        'tls_certificate = "dock-tls.pem"\n'
        'tls_key = "dock-tls.key"\n'
        "\n[broker]\n"
        f'address = "{LOOPBACK}:{broker_port}"\n'
        "\n[intake]\n"
        f'listen = "{listen}"\n'
        f'host = "{request.intake}"             # as the policy lists it: tickets send cameras there\n'
        "\n[health]\n"
        f'listen = "{LOOPBACK}:{HEALTH_PORT}"\n'
        "\n[clock]\n"
        "error_ms = 1000                     # how wrong this computer's clock may be, with chrony running\n"
    ).encode()


def mosquitto_conf(broker_port: int, demo: bool) -> bytes:
    """Mosquitto's configuration, for 2.0.11 and newer."""
    listener = f"listener {broker_port} {LOOPBACK}" if demo else f"listener {broker_port}"
    demo_only = (
        "\n# DEMO: whoever starts it as root stays root, or it could not read the keys.\nuser root\n" if demo else ""
    )
    return (
        "# Written by temoin-fleet init. Start it in this folder: mosquitto -c mosquitto.conf\n"
        f"{demo_only}"
        "\n# Who may come in: holders of a certificate of the agency, known by its CN, which is also their client id.\n"
        "per_listener_settings true\n"
        f"{listener}\n"
        "cafile agency.pem\n"
        "certfile dock-tls.pem\n"
        "keyfile dock-tls.key\n"
        "tls_version tlsv1.3\n"
        "require_certificate true\n"
        "use_identity_as_username true\n"
        "use_username_as_clientid true\n"
        "allow_anonymous false\n"
        "acl_file mosquitto.acl\n"
        f"max_connections {MAX_CLIENTS}\n"
        "\n# Nothing on disk: a broker that dies loses what was under way, and each side sends it again from its own\n"
        "# journal. A file that is written each 30 minutes would lose the same.\n"
        "persistence false\n"
        "\n# Bounds. A message that finds no place is sent again by whoever misses the signed answer.\n"
        f"max_packet_size {MAX_PACKET_BYTES}\n"
        f"max_inflight_messages {MAX_INFLIGHT}\n"
        f"max_queued_messages {MAX_QUEUED_MESSAGES}\n"
        f"max_queued_bytes {MAX_QUEUED_BYTES}\n"
        f"max_keepalive {KEEPALIVE_S}\n"
        "set_tcp_nodelay true\n"
        "sys_interval 0\n"
        "\nlog_dest stderr\n"
        "log_type error\n"
        "log_type warning\n"
        "log_type notice\n"
        "connection_messages true\n"
    ).encode()


def mosquitto_acl(dock: str) -> bytes:
    """What each certificate may do; %u is the CN of the one that was shown. What is not named is refused."""
    return (
        "# Written by temoin-fleet init. A camera: its own topics, by its certificate.\n"
        "pattern write temoin/1/%u/status\n"
        "pattern write temoin/1/%u/journal\n"
        "pattern read temoin/1/%u/dock\n"
        "\n# The dock itself.\n"
        f"user {dock}\n"
        "topic readwrite temoin/1/#\n"
    ).encode()
