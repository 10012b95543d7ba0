"""What bad input gets from `temoin run`: one line with file, field and remedy, a code that is not 0, nothing lost.

And a panel that refuses.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from agent import local_socket
from agent.__main__ import Simulated
from agent.adapters.service import ServiceManager
from agent.adapters.signer import load_private_key
from agent.adapters.status import read_status
from agent.agent import CAPTURE_SOCKET, Agent
from agent.cli import main
from agent.clock import TimeKeeper
from agent.config import load_board, load_camera
from agent.errors import ConfigError
from agent.formats.age import RecipientKind, generate_identity, parse_identity
from agent.keys import Role
from agent.model import Colour
from agent.ring import Ring
from agent.store.check import recover
from agent.store.journal import Journal
from agent.store.last import read_last
from firmware.certificates import Issued, issue, sign
from hw.boards import board_file
from hw.sim.camera import PROCESS
from hw.sim.clock import SimClock
from hw.sim.disk import SimDisk
from hw.sim.panel import light_now
from tests.support.agency import NOW_MS, TestAgency, make_agency, seeded_random


@dataclass
class Camera:
    """A camera's folder that a test may spoil."""

    agency: TestAgency
    folder: Path

    def edit(self, file: str, change: Callable[[str], str]) -> None:
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        changed = change(text)
        assert changed != text
        path.write_text(changed, encoding="utf-8")

    def put(self, file: str, data: bytes) -> None:
        (self.folder / file).write_bytes(data)

    def use(self, issued: Issued) -> None:
        self.put("camera.pem", issued.pem)
        self.put("camera.key", issued.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def board(self, change: Callable[[str], str]) -> None:
        """A board file of its own."""
        self.put("board.toml", change(board_file("sim").read_text(encoding="utf-8")).encode())
        self.edit("camera.toml", lambda text: text.replace('board = "sim"', 'board = "./board.toml"'))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    folder = tmp_path_factory.mktemp("made")
    return make_agency(folder, RecipientKind.CLASSIC, footage=folder / "missing.mp4")


@pytest.fixture
def camera(made: TestAgency, tmp_path: Path) -> Iterator[Camera]:
    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    shutil.copytree(made.camera_folder(), tmp_path / "camera")
    yield Camera(made, tmp_path / "camera")
    for each, handler in handlers.items():
        signal.signal(each, handler)


def refused(camera: Camera, capsys: pytest.CaptureFixture[str]) -> str:
    """What `temoin run` says of it: one line; and nothing was recorded."""
    assert main(["run", "--config", str(camera.folder / "camera.toml")]) == 1
    said, complained = capsys.readouterr()
    assert said == ""
    assert complained.startswith("temoin: ")
    assert complained.count("\n") == 1
    assert complained.count("; ") >= 1, "no remedy"
    assert "Traceback" not in complained
    assert not (camera.folder / "data" / "segments").exists()
    check_capture_ended(camera)
    return complained


def check_capture_ended(camera: Camera) -> None:
    """Capture, which starts before anything is checked, has not outlived the refusal; nobody can connect any more."""
    run = camera.folder / "run"
    if run.is_dir() and (run / PROCESS).exists():
        assert not Path("/proc", (run / PROCESS).read_text(encoding="ascii").strip()).exists()
    if run.is_dir() and (run / CAPTURE_SOCKET).exists():
        with pytest.raises(ConfigError, match="nobody listens"):
            local_socket.connect(run / CAPTURE_SOCKET)


def shows_refusing(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    """The panel and the status say it too."""
    run = camera.folder / "run"
    assert light_now(run, SimClock(run, None).boot_ns()).colour is Colour.AMBER
    assert read_status(run)["activity"] == "refusing"
    assert main(["status", "--config", str(camera.folder / "camera.toml")]) == 0
    assert "n’a pas pu démarrer" in capsys.readouterr().out


# Configuration and board.


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        (lambda text: "stealth = true\n" + text, "stealth", "unknown key"),
        (lambda text: text.replace('dev = "cam-01"', "dev = 1"), "dev", "is not a text"),
        (lambda text: text.replace('language = "fr"', 'language = "de"'), "language", "not allowed"),
        (lambda text: text.replace('dev = "cam-01"', 'dev = "CAM"'), "dev", "not allowed"),
        (lambda text: text.replace('dev = "cam-01"', ""), "dev", "missing"),
        (lambda text: text + "[", "", "TOML"),
        (lambda text: text.replace('board = "sim"', 'board = "no-such-board"'), "", "no-such-board"),
    ],
)
def test_a_configuration(
    camera: Camera,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[str], str],
    field: str,
    problem: str,
) -> None:
    camera.edit("camera.toml", change)
    said = refused(camera, capsys)
    assert field in said
    assert problem in said


def test_no_configuration(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    (camera.folder / "camera.toml").unlink()
    assert "camera.toml" in refused(camera, capsys)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("total_mib = 512", "total_mib = 256", "memory.total_mib"),
        ("frames_per_second = 25", "frames_per_second = 500", "video.frames_per_second"),
        ("rtc = true", "rtc = 1", "clock.rtc"),
        ("reserve_mib = 256", "reserve_mib = 256\nfree = 1", "storage.free"),
    ],
)
def test_a_board_file(camera: Camera, capsys: pytest.CaptureFixture[str], old: str, new: str, field: str) -> None:
    camera.board(lambda text: text.replace(old, new))
    assert f"board.toml: {field}: " in refused(camera, capsys)


def test_memory_that_does_not_add_up_shows_on_the_panel(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    camera.board(lambda text: text.replace("total_mib = 512", "total_mib = 300"))
    assert "memory.total_mib: 300 MiB are less than" in refused(camera, capsys)
    shows_refusing(camera, capsys)


def test_a_simulated_board_without_footage(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    camera.edit("camera.toml", lambda text: "\n".join(line for line in text.splitlines() if "footage" not in line))
    assert "camera.toml: footage: missing" in refused(camera, capsys)


def test_footage_that_is_not_there(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(camera.folder / "camera.toml")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"temoin: {camera.agency.config().footage}: ")
    assert said.count("\n") == 1
    shows_refusing(camera, capsys)


# Policy.


def recipient(kind: RecipientKind, seed: str) -> str:
    return parse_identity(generate_identity(kind, seeded_random(seed))).recipient().text


def spoiled(line: bytes) -> bytes:
    """A good line with another policy's signature."""
    text, _, _ = line.rpartition(b"\t")
    return text + b"\tMEUCIQDx\n"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (lambda agency: b"", "policy.line"),
        (lambda agency: b"no policy at all\n", "policy.line"),
        (lambda agency: spoiled(agency.policy_line), "signature"),
        (lambda agency: agency.policy_line.replace(b'"version":1', b'"version":2'), "signature"),
        (lambda agency: agency.sign_policy(agency="pm-other"), "agency"),
        (lambda agency: agency.sign_policy(cameras=["cam-99"]), "cameras"),
        (lambda agency: agency.sign_policy(not_before="2099-01-01T00:00:00.000Z"), "policy.line"),
    ],
)
def test_a_policy(
    camera: Camera, capsys: pytest.CaptureFixture[str], line: Callable[[TestAgency], bytes], problem: str
) -> None:
    camera.put("policy.line", line(camera.agency))
    said = refused(camera, capsys)
    assert problem in said
    assert "policy.line" in said
    assert (camera.folder / "run" / PROCESS).exists(), "capture did not start before the policy was read"
    shows_refusing(camera, capsys)


@pytest.mark.parametrize(
    "recipients",
    [
        [],
        [recipient(RecipientKind.CLASSIC, "a"), recipient(RecipientKind.POST_QUANTUM, "b")],
        [recipient(RecipientKind.CLASSIC, "a")[:-1] + "x"],
        ["ssh-ed25519 AAAA"],
        [recipient(RecipientKind.CLASSIC, "a")] * 2,
    ],
)
def test_recipients(camera: Camera, capsys: pytest.CaptureFixture[str], recipients: list[str]) -> None:
    text = camera.agency.policy_line.partition(b"\t")[0].decode()
    value = json.loads(text)
    value["recipients"] = recipients
    changed = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    camera.put("policy.line", signed_by_policy_key(camera.agency, changed))
    assert "recipients" in refused(camera, capsys)
    shows_refusing(camera, capsys)


def signed_by_policy_key(agency: TestAgency, text: bytes) -> bytes:
    key = load_private_key(agency.folder / "policy" / "policy.key", None)
    return text + b"\t" + base64.b64encode(sign(key, text)) + b"\n"


def with_journal(camera: Camera, version: int) -> bytes:
    """A card whose journal knows that version of the policy; its bytes."""
    root = camera.folder / "data"
    root.mkdir(exist_ok=True)
    run = camera.folder / "run"
    run.mkdir(exist_ok=True)
    disk = SimDisk(root)
    disk.lock()
    journal = Journal.start(
        disk,
        read_last(disk),
        camera.agency.signer(),
        TimeKeeper(SimClock(run, None), 0).stamp,
        os.urandom,
        dev="cam-01",
        software="1.0",
        model="sim",
        source="test",
    )
    journal.append("policy", {"hash": "ab" * 32, "version": version})
    recover(journal, disk)
    journal.close()
    disk.power_cut(lambda n: n - 1)
    shutil.rmtree(root / "segments")
    return journal_bytes(camera)


def journal_bytes(camera: Camera) -> bytes:
    return b"".join(path.read_bytes() for path in sorted((camera.folder / "data" / "journal").glob("*.log")))


def test_a_policy_older_than_the_one_in_force(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    before = with_journal(camera, version=9)
    assert "policy.line: version: 1 is older than 9" in refused(camera, capsys)
    assert journal_bytes(camera) == before
    shows_refusing(camera, capsys)


# Certificates and keys.


@pytest.mark.parametrize(
    ("issued", "problem"),
    [
        (lambda agency: agency.issue("dock", "cam-01"), "role"),
        (lambda agency: agency.issue("camera", "cam-01"), "role"),
        (lambda agency: agency.issue("sim", "cam-02"), "cam-02"),
    ],
)
def test_a_certificate_of_another_role(
    camera: Camera, capsys: pytest.CaptureFixture[str], issued: Callable[[TestAgency], Issued], problem: str
) -> None:
    camera.use(issued(camera.agency))
    assert problem in refused(camera, capsys)
    shows_refusing(camera, capsys)


def test_an_expired_certificate(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    long_ago_ms = NOW_MS - 40 * 365 * 86_400_000
    old = issue(camera.agency.authority(), Role("sim", "cam-01"), long_ago_ms, seeded_random("old"))
    camera.use(old)
    said = refused(camera, capsys)
    assert "camera.pem" in said
    assert "not_after: expired on 1996" in said
    shows_refusing(camera, capsys)


@pytest.mark.parametrize("root_too", [False, True])
def test_a_certificate_of_another_agency(
    camera: Camera, capsys: pytest.CaptureFixture[str], tmp_path: Path, root_too: bool
) -> None:
    (tmp_path / "other").mkdir()
    other = make_agency(tmp_path / "other", RecipientKind.CLASSIC, seed="other")
    camera.use(other.issue("sim", "cam-01"))
    if root_too:
        camera.put("agency.pem", other.root_pem)
    assert ("policy.line" if root_too else "camera.pem") in refused(camera, capsys)
    shows_refusing(camera, capsys)


@pytest.mark.parametrize("file", ["camera.pem", "camera.key", "agency.pem", "policy.pem", "policy.line"])
@pytest.mark.parametrize("data", [None, b"", b"\xff\xfe nonsense\n" * 10])
def test_files_that_are_missing_or_something_else(
    camera: Camera, capsys: pytest.CaptureFixture[str], file: str, data: bytes | None
) -> None:
    if data is None:
        (camera.folder / file).unlink()
    else:
        camera.put(file, data)
    assert file in refused(camera, capsys)
    shows_refusing(camera, capsys)


def test_a_key_of_another_certificate(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    other = camera.agency.issue("sim", "cam-01")
    camera.put("camera.key", other.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "camera.key" in refused(camera, capsys)
    shows_refusing(camera, capsys)


# The card.


def test_a_data_folder_used_by_another_agent(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    (camera.folder / "data").mkdir(exist_ok=True)
    disk = SimDisk(camera.folder / "data")
    disk.lock()
    assert "another agent is using this data folder" in refused(camera, capsys)
    assert not (camera.folder / "run" / "panel.json").exists(), "the panel is the other agent's"
    disk.power_cut()


def test_a_data_folder_that_is_a_file(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(camera.folder / "data", ignore_errors=True)
    camera.put("data", b"")
    assert str(camera.folder / "data") in refused(camera, capsys)
    shows_refusing(camera, capsys)


def test_a_run_folder_that_is_a_file(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(camera.folder / "run", ignore_errors=True)
    camera.put("run", b"")
    assert str(camera.folder / "run") in refused(camera, capsys)


@pytest.mark.parametrize(
    "spoil", [lambda data: b"x" + data[1:], lambda data: data.replace(b'"kind":"boot"', b'"kind":"bool"')]
)
def test_a_journal_that_is_damaged_is_left_as_it_is(
    camera: Camera, capsys: pytest.CaptureFixture[str], spoil: Callable[[bytes], bytes]
) -> None:
    with_journal(camera, version=1)
    (file,) = (camera.folder / "data" / "journal").glob("*.log")
    file.write_bytes(spoil(file.read_bytes()))
    before = journal_bytes(camera)
    assert "journal/00000000.log: is damaged" in refused(camera, capsys)
    assert journal_bytes(camera) == before
    shows_refusing(camera, capsys)


def test_the_card_of_another_camera(camera: Camera, capsys: pytest.CaptureFixture[str]) -> None:
    before = with_journal(camera, version=1)
    camera.use(camera.agency.issue("sim", "cam-01"))
    assert "another certificate" in refused(camera, capsys)
    assert journal_bytes(camera) == before


def test_what_was_captured_does_not_outlive_the_agent_in_memory(camera: Camera, tmp_path: Path) -> None:
    config = load_camera(camera.folder / "camera.toml")
    config.data.mkdir(exist_ok=True)
    machine = Simulated(config, load_board(board_file("sim")))
    disk = machine.open_disk(config.data)
    agent = Agent(config, load_board(board_file("sim")), disk, machine.make_devices, "film", ServiceManager({}, 1))
    arena = bytearray(2 * 65_536)
    ring = Ring(memoryview(arena), 10**9)
    ring.set_init(bytes(65_536))
    view = ring.reserve(65_536)
    assert view is not None
    view[:] = b"x" * 65_536
    ring.publish(10**9, 10**9, 25, True)
    agent._ring = ring
    agent.close()
    assert not any(arena)
