"""Policies that a dock has brought, kept on the card until a start takes the newest one.

Guarantees: a file `policy/<version>.policy` is whole, and is never replaced. It holds the policy's line, then the PEM
of the chain that signed it: the bytes that `keys.load_policy` takes; nothing here says that they are valid, so each
start checks them again. A `next.tmp` was never anything. Source: docs/docking.md, "Policies".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agent.formats.canonical import MAX_LONG_LINE_BYTES
from agent.ports import Disk

FOLDER = "policy"
MAX_CHAIN_BYTES = 32_768

_NEXT = f"{FOLDER}/next.tmp"
_NAME = re.compile(r"([1-9][0-9]{0,15})\.policy")


@dataclass(frozen=True, slots=True)
class Relayed:
    """A policy as it came: `line`, and the PEM of its chain."""

    version: int
    line: bytes
    chain_pem: bytes


def keep_policy(disk: Disk, version: int, data: bytes) -> None:
    """Make it durable. Raises DiskError. Older ones stay until `forget_before`."""
    path = _path(version)
    disk.make_folder(FOLDER)
    disk.sync_folder("")
    if disk.exists(path):
        return
    if disk.exists(_NEXT):
        disk.unlink(_NEXT)
    file = disk.create(_NEXT)
    try:
        file.write(data)
        file.sync()
    finally:
        file.close()
    disk.rename(_NEXT, path)
    disk.sync_folder(FOLDER)


def relayed_policies(disk: Disk) -> list[Relayed]:
    """What was kept, the newest first. Raises DiskError."""
    found: list[Relayed] = []
    for version in _versions(disk):
        data = disk.read(_path(version), 0, MAX_LONG_LINE_BYTES + MAX_CHAIN_BYTES)
        line, newline, pem = data.partition(b"\n")
        found.append(Relayed(version, line + newline, pem))
    return sorted(found, key=lambda each: -each.version)


def newest_version(disk: Disk) -> int:
    """Version of the newest policy that was kept, 0 for none. Raises DiskError."""
    return max(_versions(disk), default=0)


def forget_before(disk: Disk, version: int) -> None:
    """Delete what is older than the policy in force. Raises DiskError."""
    for older in _versions(disk):
        if older < version:
            disk.unlink(_path(older))


def _versions(disk: Disk) -> list[int]:
    if not disk.exists(FOLDER):
        return []
    return [int(match[1]) for name in disk.names(FOLDER) if (match := _NAME.fullmatch(name))]


def _path(version: int) -> str:
    return f"{FOLDER}/{version}.policy"
