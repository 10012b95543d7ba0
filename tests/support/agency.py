"""An agency for tests, made by the technician's own functions: the same seed and date give the same bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.adapters.signer import FileSigner, load_private_key
from agent.config import CameraConfig, load_camera
from agent.formats.age import Identity, RecipientKind, parse_identities
from agent.formats.canonical import Object, Value
from agent.formats.fields import format_utc
from agent.formats.statement import Policy, Statement, compose, parse_line, policy_of
from agent.keys import Role, load_chain
from agent.ports import Random
from agent.toml_table import Address
from firmware.agency import Request, plan_agency
from firmware.certificates import Authority, Issued, issue, sign
from firmware.docks import BROKER_PORT, INTAKE_PORT, LOOPBACK, DockRequest
from firmware.folders import write_plan

NOW_MS = 1_767_254_400_000  # 2026-01-01T08:00:00Z
AGENCY = "pm-test"
DOCK = "dock-01"
NAME = "Police municipale de Test"


def seeded_random(seed: str) -> Random:
    """Bytes that look random and are the same for the same seed: SHAKE-256 over the seed and a counter."""
    count = 0

    def random(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{seed} {count}".encode()).digest(size)

    return random


@dataclass(frozen=True, slots=True)
class TestAgency:
    """The folders of a demo agency (plain keys), and what tests need of them as values."""

    __test__: ClassVar[bool] = False  # pytest: a helper, not a class of tests

    folder: Path
    cameras: tuple[str, ...]
    now_ms: int
    root: x509.Certificate
    fingerprint: str
    identity: Identity
    escrow: Identity
    policy: Policy
    policy_line: bytes
    policy_pem: bytes
    random: Random

    @property
    def agency(self) -> str:
        return self.policy.agency

    @property
    def root_pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def camera_folder(self, dev: str = "cam-01") -> Path:
        return self.folder / "cameras" / dev

    def dock_folder(self, dock: str = DOCK) -> Path:
        return self.folder / "docks" / dock

    def config(self, dev: str = "cam-01") -> CameraConfig:
        return load_camera(self.camera_folder(dev) / "camera.toml")

    def chain(self, dev: str = "cam-01") -> tuple[x509.Certificate, ...]:
        path = self.camera_folder(dev) / "camera.pem"
        return load_chain(path.read_bytes(), str(path))

    def signer(self, dev: str = "cam-01") -> FileSigner:
        chain = tuple(certificate.public_bytes(Encoding.DER) for certificate in self.chain(dev))
        return FileSigner(self.camera_folder(dev) / "camera.key", chain)

    def authority(self) -> Authority:
        return Authority(self.root, load_private_key(self.folder / "ca" / "ca.key", None), f"DEMO {NAME}")

    def issue(self, kind: str, identifier: str) -> Issued:
        """One more certificate of this agency, a dock's for example."""
        return issue(self.authority(), Role(kind, identifier), self.now_ms, self.random)

    def dock(self, dock: str = "dock-01") -> Issued:
        """The signing key and certificate of a dock: the same at each call."""
        return issue(self.authority(), Role("dock", dock), self.now_ms, seeded_random(f"{self.agency} {dock}"))

    def says(self, name: str, signer: str, /, **own: Value) -> Object:
        """What an entry holds of a statement that the dock `signer` signed; `own` gives or changes its fields."""
        value: dict[str, Value] = {
            "agency": self.agency,
            "dock": signer,
            "session": "0" * 32,
            "utc": format_utc(self.now_ms),
            **own,
        }
        text = compose(name, value)
        return {"statement": Statement(name, value, text, sign(self.dock(signer).key, text)).embedded}

    def sign_policy(self, **changes: Value) -> bytes:
        """The policy's line with these fields changed, signed again."""
        value: dict[str, Value] = {**parse_line(self.policy_line).value, **changes}
        del value["typ"]
        text = compose("policy", value)
        key = load_private_key(self.folder / "policy" / "policy.key", None)
        return Statement("policy", value, text, sign(key, text)).line


def make_agency(
    parent: Path,
    kind: RecipientKind = RecipientKind.POST_QUANTUM,
    cameras: tuple[str, ...] = ("cam-01",),
    simulated: bool = True,
    prerecord_ms: int = 30_000,
    footage: Path | None = None,
    agency: str = AGENCY,
    now_ms: int = NOW_MS,
    seed: str = "agency",
    docks: tuple[str, ...] = (DOCK,),
    broker_port: int = BROKER_PORT,
    intake_port: int = INTAKE_PORT,
    radio: bool = False,
    host: str = LOOPBACK,
) -> TestAgency:
    """Make `parent/agency` on the real disk and load it. `simulated=False` gives the role `camera`.

    Every dock's intake is on `intake_port` of `host`.
    """
    folder = parent / "agency"
    random = seeded_random(seed)
    request = Request(
        agency=agency,
        name=NAME,
        cameras=cameras,
        board="sim",
        board_toml=None,
        simulated=simulated,
        radio=radio,
        kind=kind,
        profile="fr-2022",
        prerecord_ms=prerecord_ms,
        footage=None if footage is None else str(footage),
        docks=tuple(DockRequest(dock, Address(host, intake_port)) for dock in docks),
        broker=Address(host, broker_port),
        demo=True,
    )
    made = plan_agency(request, None, now_ms, random)
    write_plan(folder, made.plan)
    root_path = folder / "ca" / "agency.pem"
    policy_line = (folder / "policy" / "policy.line").read_bytes()
    return TestAgency(
        folder=folder,
        cameras=cameras,
        now_ms=now_ms,
        root=load_chain(root_path.read_bytes(), str(root_path))[0],
        fingerprint=made.fingerprint,
        identity=parse_identities((folder / "reader" / "agency.age-identity").read_text())[0],
        escrow=parse_identities((folder / "escrow" / "escrow.age-identity").read_text())[0],
        policy=policy_of(parse_line(policy_line)),
        policy_line=policy_line,
        policy_pem=(folder / "policy" / "policy.pem").read_bytes(),
        random=random,
    )
