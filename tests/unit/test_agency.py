"""`temoin-fleet init`: who gets what, under which modes and passphrases, whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import resource
import stat
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from agent.adapters.signer import load_private_key
from agent.config import check_footage, check_memory, load_board, load_camera
from agent.errors import ConfigError, DiskError
from agent.formats.age import RecipientKind, open_with_passphrase, parse_identities, parse_recipients
from agent.formats.statement import parse_line
from agent.keys import check_chain, load_chain, load_policy
from agent.toml_table import Address
from dock.config import load_dock
from firmware.agency import MAX_CAMERAS, RETENTION_DAYS, Holder, Request, plan_agency
from firmware.cli import main
from firmware.docks import DockRequest
from firmware.folders import Plan, PlannedFile, write_plan
from firmware.radio import CHANNELS_MHZ
from hw.boards import board_file
from tests.support.agency import AGENCY, NOW_MS, TestAgency, make_agency, seeded_random
from tests.support.terminal import Ended, run_on_terminal

ROOT = Path(__file__).parents[2]
PASSPHRASES = {holder: f"the passphrase of {holder.value}" for holder in Holder}
REQUEST = Request(
    agency=AGENCY,
    name="Police municipale d'Été",
    cameras=("cam-01", "cam-02"),
    board="sim",
    board_toml=None,
    simulated=True,
    radio=False,
    kind=RecipientKind.POST_QUANTUM,
    profile="fr-2022",
    prerecord_ms=30_000,
    footage=None,
    docks=(DockRequest("dock-01", Address("127.0.0.1", 8443)),),
    broker=Address("127.0.0.1", 8883),
    demo=True,
)
SECRETS = {
    "ca/ca.key",
    "policy/policy.key",
    "reader/agency.age-identity",
    "reader/export.key",
    "escrow/escrow.age-identity",
    *(f"cameras/{camera}/{name}.key" for camera in ("cam-01", "cam-02") for name in ("camera", "camera-tls")),
    *(f"docks/dock-01/{name}" for name in ("dock.key", "dock-tls.key", "mosquitto.acl")),
}
PUBLIC = {
    "ca/agency.pem",
    "ca/FINGERPRINT.txt",
    "policy/policy.pem",
    "policy/policy.line",
    "reader/export.pem",
    "reader/agency.pem",
    *(
        f"cameras/{camera}/{name}"
        for camera in ("cam-01", "cam-02")
        for name in ("camera.toml", "camera.pem", "camera-tls.pem", "agency.pem", "policy.pem", "policy.line")
    ),
    *(
        f"docks/dock-01/{name}"
        for name in (
            "dock.toml",
            "dock.pem",
            "dock-tls.pem",
            "agency.pem",
            "policy.pem",
            "policy.line",
            "mosquitto.conf",
        )
    ),
}
INIT = ["--agency", AGENCY, "--name", "Police municipale de Test", "--camera", "cam-01"]


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), cameras=("cam-01", "cam-02"))


@dataclass(frozen=True, slots=True)
class Earnest:
    """An agency that is no demo, made once on a terminal (each passphrase costs its seconds), and what was shown."""

    ended: Ended
    folder: Path

    def read(self, name: str) -> bytes:
        return (self.folder / name).read_bytes()


@pytest.fixture(scope="module")
def earnest(tmp_path_factory: pytest.TempPathFactory) -> Earnest:
    folder = tmp_path_factory.mktemp("earnest") / "agency"
    answers = [f"{PASSPHRASES[holder]}\n".encode() for holder in Holder for _ in range(2)]
    program = ["-m", "firmware", "init", str(folder), *INIT, "--kind", "classic"]
    return Earnest(run_on_terminal(program, answers, b": ", ROOT), folder)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_each_holder_gets_a_folder_and_secrets_are_their_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        for umask in (0o000, 0o077, 0o777):
            os.umask(umask)
            folder = tmp_path / f"agency-{umask}"
            write_plan(folder, plan_agency(REQUEST, None, NOW_MS, seeded_random("modes")).plan)
            os.umask(0o022)
            found = modes(folder)
            assert {name for name, mode in found.items() if mode == 0o600} == SECRETS
            assert {name for name, mode in found.items() if mode == 0o644} == PUBLIC
            assert {name for name, mode in found.items() if mode == 0o700} == {
                "ca", "policy", "reader", "escrow", "cameras", "docks",
                *(f"cameras/{c}{rest}" for c in ("cam-01", "cam-02") for rest in ("", "/data", "/run")),
                *(f"docks/dock-01{rest}" for rest in ("", "/data", "/archive")),
            }  # fmt: skip
            assert len(found) == len(SECRETS) + len(PUBLIC) + 15
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_every_certificate_leads_to_the_root_and_the_demo_says_so(agency: TestAgency) -> None:
    roles = {
        "policy/policy.pem": "policy:pm-test",
        "reader/export.pem": "export:pm-test",
        "cameras/cam-01/camera.pem": "sim:cam-01",
        "cameras/cam-02/camera.pem": "sim:cam-02",
        "cameras/cam-02/camera-tls.pem": "camera-tls:cam-02",
        "docks/dock-01/dock.pem": "dock:dock-01",
        "docks/dock-01/dock-tls.pem": "dock-tls:dock-01",
    }
    for name, urn in roles.items():
        chain = load_chain((agency.folder / name).read_bytes(), name)
        kind = urn.split(":")[0]
        assert check_chain(chain, agency.root, (kind,), name, NOW_MS).urn == f"urn:temoin:{urn}"
        command = [
            "openssl",
            "verify",
            "-x509_strict",
            "-CAfile",
            "ca/agency.pem",
            "-attime",
            str(NOW_MS // 1000),
            name,
        ]
        assert subprocess.run(command, cwd=agency.folder, capture_output=True, check=False).returncode == 0
    for pem in agency.folder.rglob("*.pem"):
        (certificate,) = load_chain(pem.read_bytes(), str(pem))
        (organisation,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert str(organisation.value).startswith("DEMO ")


def test_an_earnest_agency_is_made_on_a_terminal_and_shows_no_secret(earnest: Earnest) -> None:
    assert (earnest.ended.code, earnest.ended.stderr) == (0, "")
    assert earnest.ended.shown.count("New passphrase of the holder of ") == len(Holder)
    for secret in PASSPHRASES.values():
        assert secret not in earnest.ended.shown + earnest.ended.stdout
    assert "Hand out each folder" in earnest.ended.stdout


def test_an_earnest_agency_does_not_say_demo(earnest: Earnest) -> None:
    for pem in earnest.folder.rglob("*.pem"):
        (certificate,) = load_chain(pem.read_bytes(), str(pem))
        (organisation,) = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        assert organisation.value == "Police municipale de Test"
    assert b"DEMO" not in earnest.read("ca/FINGERPRINT.txt")


def test_the_camera_of_a_real_board_is_a_camera() -> None:
    real = plan_agency(replace(REQUEST, simulated=False), None, NOW_MS, seeded_random("real")).plan.files
    (certificate,) = load_chain(real["cameras/cam-01/camera.pem"].data, "camera.pem")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["urn:temoin:camera:cam-01"]
    assert b"footage" not in real["cameras/cam-01/camera.toml"].data


def test_outside_the_demo_every_secret_is_under_the_passphrase_of_its_holder(earnest: Earnest) -> None:
    for name, holder in (
        ("ca/ca.key", Holder.CA),
        ("policy/policy.key", Holder.POLICY),
        ("reader/export.key", Holder.READER),
    ):
        assert earnest.read(name).startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
        load_private_key(earnest.folder / name, partial(PASSPHRASES.__getitem__, holder))
    opened: list[str] = []
    for name, holder in (("reader/agency.age-identity", Holder.READER), ("escrow/escrow.age-identity", Holder.ESCROW)):
        text = open_with_passphrase(earnest.read(name), PASSPHRASES[holder]).decode()
        (identity,) = parse_identities(text)
        opened.append(identity.recipient().text)
        assert text.splitlines()[1] == f"# public key: {opened[-1]}"
    assert parse_line(earnest.read("policy/policy.line")).value["recipients"] == opened
    assert parse_line(earnest.read("policy/policy.line")).value["purge_days"] == 7
    load_private_key(earnest.folder / "cameras" / "cam-01" / "camera.key", None)  # nobody types one into a camera
    everything = b"".join(path.read_bytes() for path in earnest.folder.rglob("*") if path.is_file())
    assert b"AGE-SECRET-KEY" not in everything
    assert everything.count(b"BEGIN PRIVATE KEY") == 4  # a camera's and a dock's: to sign, and for TLS
    assert not any(passphrase.encode() in everything for passphrase in PASSPHRASES.values())


@pytest.mark.parametrize("kind", list(RecipientKind))
@pytest.mark.parametrize("profile", sorted(RETENTION_DAYS))
def test_the_policy_is_what_was_asked_for(kind: RecipientKind, profile: str) -> None:
    request = replace(REQUEST, kind=kind, profile=profile, prerecord_ms=12_000)
    files = plan_agency(request, None, NOW_MS, seeded_random("policy")).plan.files
    root = load_chain(files["ca/agency.pem"].data, "agency.pem")[0]
    folder = "cameras/cam-02"
    policy = load_policy(
        files[f"{folder}/policy.line"].data, files[f"{folder}/policy.pem"].data, root, "cam-02", AGENCY, 1, "policy"
    )
    assert (policy.profile, policy.retention_days) == (profile, {"fr-2022": 30, "fr-2016": 180}[profile])
    assert policy.purge_days == 0
    assert (policy.version, policy.cameras, policy.prerecord_ms) == (1, ("cam-01", "cam-02"), 12_000)
    assert [recipient.kind for recipient in parse_recipients(policy.recipients)] == [kind, kind]
    assert policy.not_before_ms == NOW_MS - 86_400_000
    assert (policy.sound, policy.prerecord_sound, policy.docks) == (True, False, ("dock-01",))
    assert parse_line(files[f"{folder}/policy.line"].data).value["intake_hosts"] == ["127.0.0.1:8443"]


def test_the_fingerprint_is_what_openssl_and_sha256sum_say(agency: TestAgency) -> None:
    der = subprocess.run(
        ["openssl", "x509", "-in", agency.folder / "ca" / "agency.pem", "-outform", "DER"],
        capture_output=True,
        check=True,
    ).stdout
    assert hashlib.sha256(der).hexdigest() == agency.fingerprint
    assert (agency.folder / "ca" / "FINGERPRINT.txt").read_text().splitlines()[0] == agency.fingerprint


def test_no_key_and_no_serial_number_is_used_twice(agency: TestAgency) -> None:
    found = [load_chain(pem.read_bytes(), str(pem))[0] for pem in agency.folder.rglob("*.pem")]
    certificates = {certificate.public_bytes(Encoding.DER): certificate for certificate in found}
    assert len({certificate.serial_number for certificate in certificates.values()}) == len(certificates) == 9
    assert len({certificate.public_key().public_numbers() for certificate in certificates.values()}) == 9  # type: ignore[union-attr]  # P-256, as checked above


def test_a_full_policy_line_stays_under_its_limit() -> None:
    cameras = tuple(f"camera-{number:025d}" for number in range(MAX_CAMERAS))
    assert {len(camera) for camera in cameras} == {32}
    request = replace(REQUEST, cameras=cameras[:1])
    files = plan_agency(request, None, NOW_MS, seeded_random("full")).plan.files
    line = files["policy/policy.line"].data
    assert len(line) + MAX_CAMERAS * len('"",' + cameras[0]) < 64 * 1024


# The command.


def shown_by(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["init", *arguments])
    shown = capsys.readouterr()
    return code, shown.out, shown.err


def test_the_demo_is_made_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = tmp_path / 'a "film".mp4'
    film.write_bytes(b"x")
    folder = tmp_path / "agency"
    code, out, err = shown_by(
        capsys, str(folder), *INIT, "--camera", "cam-02", "--demo", "--footage", str(film), "--kind", "classic"
    )
    assert (code, err) == (0, "")
    root = load_chain((folder / "ca" / "agency.pem").read_bytes(), "agency.pem")[0]
    assert hashlib.sha256(root.public_bytes(Encoding.DER)).hexdigest() in out
    assert "DEMO" in out
    for camera in ("cam-01", "cam-02"):
        config = load_camera(folder / "cameras" / camera / "camera.toml")
        board = load_board(config.board_file(board_file))
        check_footage(config, board)
        check_memory(board, 30_000)
        assert config.footage == film
    secrets = [path.read_text() for path in folder.rglob("*") if path.suffix in (".key", ".age-identity")]
    lines = [line for text in secrets for line in text.splitlines() if not line.startswith(("#", "-----"))]
    assert len(lines) > 10
    assert not any(line in out for line in lines)


def test_another_board_file_travels_with_the_camera(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "zero.toml"
    path.write_text(board_file("pi4").read_text().replace("reserve_mib = 256", "reserve_mib = 512"))
    code, _, err = shown_by(capsys, str(tmp_path / "a"), *INIT, "--demo", "--board", str(path))
    assert (code, err) == (0, "")
    folder = tmp_path / "a" / "cameras" / "cam-01"
    assert (folder / "board.toml").read_text() == path.read_text()
    assert 'board = "board.toml"' in (folder / "camera.toml").read_text()
    assert "urn:temoin:camera:cam-01" in subprocess.run(
        ["openssl", "x509", "-in", folder / "camera.pem", "-noout", "-ext", "subjectAltName"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout  # fmt: skip


WRONG = {
    "id": (["--agency", "PM"], "--agency: 'PM' is not an id of 1 to 32 characters"),
    "camera": (["--camera", "../x"], "--camera: '../x' is not an id"),
    "camera twice": (["--camera", "cam-01"], "--camera: the same id twice; give each camera its own"),
    "dock": (["--dock", "Dock"], "--dock: 'Dock' is not an id"),
    "dock twice": (["--dock", "d", "--dock", "d"], "--dock: the same id twice; give each dock its own"),
    "dock as a camera": (["--dock", "cam-01"], "--dock: 'cam-01' is a camera's id; give docks and cameras different"),
    "intake": (["--intake-host", "https://x"], "--intake-host: 'https://x' is not an address; give host:port"),
    "intakes": (["--dock", "a", "--dock", "b", "--intake-host", "a:1"], "--intake-host: 1 for 2 docks; give one for"),
    "broker": (["--broker", "localhost:65536"], "--broker: 'localhost:65536' is not an address"),
    "name": (["--name", "x" * 59], "--name: is not a name; give 1 to 58 printable characters"),
    "no name": (["--name", ""], "--name: is not a name"),
    "board": (["--board", "zero"], "board: 'zero' is not packaged"),
    "board file": (["--board", "./none.toml"], "none.toml: No such file"),
    "pre-record": (["--prerecord-s", "121"], "--prerecord-s: is out of range; give 0 to 120"),
    "negative": (["--prerecord-s", "-1"], "--prerecord-s: is out of range"),
    "footage": (["--footage", "/none/film.mp4"], "--footage /none/film.mp4: No such file"),
    "footage a folder": (["--footage", "/"], "--footage /: Is a directory"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_each_wrong_option_is_one_line_and_leaves_nothing(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, said = WRONG[name]
    code, out, err = shown_by(capsys, str(tmp_path / "agency"), *INIT, "--demo", *options)
    assert (code, out) == (1, "")
    assert err.startswith("temoin-fleet: ")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_board_whose_memory_does_not_add_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "small.toml"
    path.write_text(board_file("sim").read_text().replace("total_mib = 512", "total_mib = 256"))
    code, _, err = shown_by(capsys, str(tmp_path / "agency"), *INIT, "--demo", "--board", str(path))
    assert code == 1
    assert "memory.total_mib: 256 MiB are less than the 398 MiB" in err
    assert not (tmp_path / "agency").exists()


@pytest.mark.parametrize(
    "arguments", [["init"], [], ["enrol"], ["init", "x", "--kind", "rsa"], ["init", "x", "--pass"]]
)
def test_a_command_line_that_is_none_exits_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: temoin-fleet")


@pytest.mark.parametrize("what", ["file", "folder", "dangling link"])
def test_an_existing_name_is_never_replaced(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "agency"
    if what == "file":
        target.write_text("mine")
    elif what == "folder":
        target.mkdir()
    else:
        target.symlink_to("nowhere")
    code, _, err = shown_by(capsys, str(target), *INIT)  # refused before anybody is asked for a passphrase
    assert (code, err) == (
        1,
        f"temoin-fleet: {target}: exists already; give the name of a new folder; nothing is replaced\n",
    )
    assert [path.name for path in tmp_path.iterdir()] == ["agency"]


def test_a_folder_in_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = shown_by(capsys, str(tmp_path / "a" / "b"), *INIT)
    assert (code, err) == (1, f"temoin-fleet: {tmp_path / 'a'}: is no folder; make it first\n")


def test_a_disk_that_fails_half_way_leaves_nothing(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    files = {"ca/first": PlannedFile(b"x", secret=True), "ca/second": PlannedFile(b"x" * 100_000)}
    # The kernel refuses the second file's end with EFBIG (Python ignores SIGXFSZ), as a full disk would with ENOSPC.
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(DiskError) as caught:
            write_plan(tmp_path / "agency", Plan(files))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert os.strerror(errno.EFBIG) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_appears_meanwhile_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "agency"

    class Late(dict[str, PlannedFile]):
        """A plan during whose writing somebody else makes the target."""

        def items(self):  # type: ignore[no-untyped-def]  # dict's own return type has no public name
            target.mkdir()
            (target / "theirs").write_text("x")
            return super().items()

    with pytest.raises(ConfigError, match="exists already"):
        write_plan(target, Plan(Late({"mine": PlannedFile(b"x")})))
    assert [path.name for path in tmp_path.iterdir()] == ["agency"]
    assert (target / "theirs").read_text() == "x"


def test_without_a_terminal_no_agency_is_made(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "firmware", "init", str(tmp_path / "agency"), *INIT]
    done = subprocess.run(
        command, input=b"secret-secret\n" * 8, capture_output=True, cwd=ROOT, start_new_session=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(b"temoin-fleet: passphrase: there is no terminal to ask for it; ")
    assert list(tmp_path.iterdir()) == []


# Docks.


def test_a_dock_is_where_it_was_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "agency"
    options = ["--dock", "north", "--dock", "south", "--intake-host", "n.example:443", "--intake-host", "10.0.0.2:8443"]
    code, out, err = shown_by(capsys, str(folder), *INIT, "--demo", *options, "--broker", "10.0.0.1:8883")
    assert (code, err) == (0, "")
    assert f"{folder / 'docks' / 'south'}  -> the dock south" in out
    policy = parse_line((folder / "docks" / "south" / "policy.line").read_bytes()).value
    assert (policy["docks"], policy["intake_hosts"]) == (["north", "south"], ["n.example:443", "10.0.0.2:8443"])
    network = load_camera(folder / "cameras" / "cam-01" / "camera.toml").network
    assert network is not None
    assert str(network.broker) == "10.0.0.1:8883"
    assert network.key == folder / "cameras" / "cam-01" / "camera-tls.key"
    for dock, intake in (("north", "n.example:443"), ("south", "10.0.0.2:8443")):
        config = load_dock(folder / "docks" / dock / "dock.toml")
        assert (config.dock, config.agency, config.intake_host, config.broker.port) == (dock, AGENCY, intake, 8883)
        load_private_key(config.tls_key, None)


def test_in_earnest_a_dock_has_a_name_and_listens_to_the_station(earnest: Earnest) -> None:
    config = load_dock(earnest.folder / "docks" / "dock-01" / "dock.toml")
    assert (config.intake_host, str(config.intake)) == ("dock-01.local:8443", "0.0.0.0:8443")
    network = load_camera(earnest.folder / "cameras" / "cam-01" / "camera.toml").network
    assert network is not None
    assert str(network.broker) == "dock-01.local:8883"
    broker = earnest.read("docks/dock-01/mosquitto.conf").decode().splitlines()
    assert "listener 8883" in broker
    assert "user root" not in broker


def test_the_demo_stays_on_this_computer(agency: TestAgency) -> None:
    broker = (agency.dock_folder() / "mosquitto.conf").read_text().splitlines()
    assert "listener 8883 127.0.0.1" in broker
    assert load_dock(agency.dock_folder() / "dock.toml").intake.host == "127.0.0.1"


def test_a_board_with_a_radio_gets_its_network_and_the_dock_an_access_point() -> None:
    request = replace(REQUEST, radio=True)
    wired = plan_agency(REQUEST, None, NOW_MS, seeded_random("radio")).plan.files
    files = plan_agency(request, None, NOW_MS, seeded_random("radio")).plan.files
    assert files.keys() - wired.keys() == {
        "cameras/cam-01/wpa_supplicant.conf",
        "cameras/cam-02/wpa_supplicant.conf",
        "docks/dock-01/hostapd.conf",
        "docks/dock-01/hostapd.eap_user",
    }
    camera = files["cameras/cam-02/wpa_supplicant.conf"].data.decode()
    dock = files["docks/dock-01/hostapd.conf"].data.decode()
    assert f'    ssid="{AGENCY}"\n' in camera
    assert f"\nssid={AGENCY}\n" in dock
    assert '    identity="camera-tls:cam-02"\n' in camera
    channel = int(re.findall(r"^channel=(\d+)$", dock, re.MULTILINE)[0])
    assert str(CHANNELS_MHZ[channel]) in re.findall(r"^    scan_freq=(.*)$", camera, re.MULTILINE)[0].split()
    assert "\ncountry=FR\n" in camera
    assert "\ncountry_code=FR\n" in dock
    named = re.findall(r'(?:ca_cert|client_cert|server_cert|private_key|eap_user_file)="?([^"\n]+)', camera + dock)
    assert {f"cameras/cam-02/{name}" for name in named[:3]} <= files.keys()
    assert {f"docks/dock-01/{name}" for name in named[3:]} <= files.keys()
    for name in files.keys() - wired.keys():
        assert b"PRIVATE" not in files[name].data
        assert not re.search(rb"psk|passphrase|password", files[name].data), "no secret is in them"


@pytest.mark.parametrize(("board", "has_radio"), [("sim", False), ("zero2w-clipon", True)])
def test_the_board_says_whether_there_is_a_radio(tmp_path: Path, board: str, has_radio: bool) -> None:
    arguments = ["init", str(tmp_path / "agency"), "--agency", "pm", "--name", "V", "--camera", "c", "--demo"]
    assert main([*arguments, "--board", board]) == 0
    assert (tmp_path / "agency" / "cameras" / "c" / "wpa_supplicant.conf").exists() is has_radio
