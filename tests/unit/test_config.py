"""Configuration and board files: the right ones, and each way to be wrong with its file, key and remedy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import (
    MAX_BIT_RATE_BPS,
    MAX_PADDING_BYTES,
    MAX_PRERECORD_MS,
    MIB_BYTES,
    RING_RESERVE_MS,
    RING_UNIT_BYTES,
    Board,
    Services,
    check_footage,
    check_memory,
    load_board,
    load_camera,
)
from agent.errors import ConfigError
from agent.toml_table import MAX_CONFIG_FILE_BYTES
from hw.boards import board_file, board_names
from tests.support.agency import TestAgency, make_agency

SIM = board_file("sim").read_text()
FRAGMENT_LIMIT_BYTES = 8 * MIB_BYTES  # of a frame on capture's socket


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("config"))


def board_of(tmp_path: Path, text: str) -> Board:
    path = tmp_path / "board.toml"
    path.write_text(text)
    return load_board(path)


def test_a_camera_file_gives_absolute_paths_from_its_own_folder(agency: TestAgency) -> None:
    config = agency.config()
    folder = agency.camera_folder()
    assert (config.dev, config.agency, config.board, config.language) == ("cam-01", "pm-test", "sim", "fr")
    assert (config.data, config.run, config.key) == (folder / "data", folder / "run", folder / "camera.key")
    assert config.policy.read_bytes() == agency.policy_line
    assert config.policy_certificate.read_bytes() == agency.policy_pem
    assert config.agency_certificate.read_bytes() == agency.root_pem
    assert config.footage is None
    assert config.network is not None
    assert str(config.network.broker) == "127.0.0.1:8883"
    assert config.network.certificate == folder / "camera-tls.pem"
    assert config.network.key == folder / "camera-tls.key"
    assert config.board_file(board_file) == board_file("sim")


def test_a_camera_without_a_network_never_docks(agency: TestAgency, tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text((agency.camera_folder() / "camera.toml").read_text().split("[network]")[0])
    assert load_camera(path).network is None


WRONG_CAMERA = {
    "unknown key": ("dev =", 'colour = "red"\ndev =', "colour: unknown key; remove it, or spell it as one of: agency,"),
    "unknown key in a table": ("data =", 'logs = "x"\ndata =', "folders.logs: unknown key"),
    "missing key": ('language = "fr"\n', "", "language: missing; give a text"),
    "missing table": ("[folders]", "[folder]", "folders: missing; give a table [folders]"),
    "table that is none": ('dev = "cam-01"', 'files = 7\ndev = "cam-01"', "is not TOML"),
    "number for a text": ('dev = "cam-01"', "dev = 7", "dev: is not a text"),
    "id in capitals": ('dev = "cam-01"', 'dev = "CAM-01"', "dev: 'CAM-01' is not allowed; give 1 to 32 characters"),
    "id too long": ('dev = "cam-01"', f'dev = "{"a" * 33}"', "give 1 to 32 characters a-z, 0-9 and -"),
    "empty agency": ('agency = "pm-test"', 'agency = ""', "agency: is not a text"),
    "unknown language": ('language = "fr"', 'language = "de"', "language: 'de' is not allowed; give fr or en"),
    "control character": ('run = "run"', 'run = "r\\u0007n"', "folders.run: is not a text"),
    "key twice": ('language = "fr"', 'language = "fr"\nlanguage = "fr"', "is not TOML"),
    "broker": ("127.0.0.1:8883", "127.0.0.1", "network.broker: '127.0.0.1' is not an address; give host:port"),
    "port 0": ("127.0.0.1:8883", "127.0.0.1:0", "network.broker: '127.0.0.1:0' is not an address"),
    "port too high": ("127.0.0.1:8883", "127.0.0.1:65536", "network.broker: '127.0.0.1:65536' is not an address"),
    "unknown key of the network": (
        "broker =",
        'wifi = "x"\nbroker =',
        "network.wifi: unknown key; remove it, or spell",
    ),
    "not TOML": ("[files]", "[files", "is not TOML in UTF-8"),
}


@pytest.mark.parametrize("name", sorted(WRONG_CAMERA))
def test_each_wrong_camera_file_is_named_with_its_key(name: str, agency: TestAgency, tmp_path: Path) -> None:
    old, new, said = WRONG_CAMERA[name]
    text = (agency.camera_folder() / "camera.toml").read_text()
    assert text.count(old) >= 1
    path = tmp_path / "camera.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        load_camera(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_key_where_a_table_belongs(tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text("folders = 7\n")
    with pytest.raises(ConfigError, match=r"folders: is not a table; write it as \[folders\]"):
        load_camera(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"camera\.toml: No such file"):
        load_camera(tmp_path / "camera.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load_board(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b'name = "caf\xe9"\n')
    with pytest.raises(ConfigError, match="is not TOML in UTF-8"):
        load_board(tmp_path / "latin.toml")
    (tmp_path / "long.toml").write_bytes(b"#" * (MAX_CONFIG_FILE_BYTES + 1))
    with pytest.raises(ConfigError, match="is longer than"):
        load_board(tmp_path / "long.toml")
    (tmp_path / "deep.toml").write_text("a = " + "[" * 5000)
    with pytest.raises(ConfigError, match="is not TOML"):
        load_board(tmp_path / "deep.toml")


@pytest.mark.parametrize("name", board_names())
def test_every_packaged_board_is_valid_and_fits_its_memory(name: str) -> None:
    board = load_board(board_file(name))
    assert board.name == name
    check_memory(board, MAX_PRERECORD_MS)


def test_a_board_that_is_not_packaged() -> None:
    with pytest.raises(ConfigError, match="board: 'zero' is not packaged; give a path, or one of: pi4, pi5, sim"):
        board_file("zero")


def test_the_simulated_board() -> None:
    board = load_board(board_file("sim"))
    assert board.simulated
    assert (board.video.width, board.video.height, board.video.frames_per_second) == (1280, 720, 25)
    assert (board.clock.rtc, board.clock.rtc_error_ms) == (True, 2000)
    assert board.battery.warn_percent == (20, 10, 5)


WRONG_BOARD = {
    "unknown key": ("[sound]", "[sound]\nvolume = 7", "sound.volume: unknown key"),
    "unknown table": ("[sound]", "[radio]\non = true\n[sound]", "radio: unknown key"),
    "missing": ("frames_per_second = 25\n", "", "video.frames_per_second: missing; give a whole number, 5 to 60"),
    "a text": ("width = 1280", 'width = "1280"', "video.width: is not a whole number; give 160 to 1920"),
    "a float": ("width = 1280", "width = 1280.0", "video.width: is not a whole number"),
    "a truth for a number": ("total_mib = 512", "total_mib = true", "memory.total_mib: is not a whole number"),
    "a number for a truth": ("simulated = true", "simulated = 1", "simulated: is not true or false"),
    "too wide": ("width = 1280", "width = 3840", "video.width: 3840 is out of range; give 160 to 1920"),
    "odd": ("height = 720", "height = 721", "video.height: 721 is odd; give an even number"),
    "too fast": ("max_bit_rate_bps = 8_000_000", "max_bit_rate_bps = 32_000_001", "is out of range; give 250000 to"),
    "most under usual": ("max_bit_rate_bps = 8_000_000", "max_bit_rate_bps = 3_999_999", "give at least 4000000"),
    "sample rate": ("48_000", "47_999", "sound.sample_rate_hz: 47999 is not allowed; give one of 16000, 24000"),
    "agent too small": ("agent_mib = 64", "agent_mib = 63", "memory.agent_mib: 63 is out of range; give 64 to"),
    "capture too small": ("capture_mib = 128", "capture_mib = 127", "memory.capture_mib: 127 is out of range"),
    "clock without bound": ("rtc_error_ms = 2_000", "rtc_error_ms = 0", "clock.rtc_error_ms: 0 is out of range"),
    "bound without clock": ("rtc = true", "rtc = false", "clock.rtc_error_ms: 2000 is out of range; give 0 to 0"),
    "no reserve": ("reserve_mib = 256", "reserve_mib = 0", "storage.reserve_mib: 0 is out of range; give 64 to"),
    "no warning": ("[20, 10, 5]", "[]", "battery.warn_percent: is not a list of 1 to 5"),
    "rising warnings": ("[20, 10, 5]", "[5, 10, 20]", "battery.warn_percent: does not fall"),
    "the same warning": ("[20, 10, 5]", "[20, 20, 5]", "battery.warn_percent: does not fall"),
    "a warning of 100": ("[20, 10, 5]", "[100, 10, 5]", "battery.warn_percent: 100 is out of range; give 1 to 99"),
    "cut off first": ("cut_off_percent = 3", "cut_off_percent = 5", "5 comes before the warning at 5"),
    "model": ('model = "sim"', 'model = "Zero 2 W"', "model: 'Zero 2 W' is not allowed"),
    "name": ('name = "sim"', 'name = "-"', "name: '-' is not allowed"),
}


@pytest.mark.parametrize("name", sorted(WRONG_BOARD))
def test_each_wrong_board_file_is_named_with_its_key(name: str, tmp_path: Path) -> None:
    old, new, said = WRONG_BOARD[name]
    assert old in SIM
    with pytest.raises(ConfigError) as caught:
        board_of(tmp_path, SIM.replace(old, new, 1))
    assert str(caught.value).startswith(f"{tmp_path / 'board.toml'}: ")
    assert said in str(caught.value)
    assert caught.value.remedy


def test_a_board_without_a_clock(tmp_path: Path) -> None:
    text = SIM.replace("rtc = true", "rtc = false").replace("rtc_error_ms = 2_000", "rtc_error_ms = 0")
    assert not board_of(tmp_path, text).clock.rtc


def test_a_memory_budget_that_does_not_add_up_is_refused_to_the_mebibyte(tmp_path: Path) -> None:
    # 160 + 64 + 128 and a ring of 45.75 MiB
    enough = board_of(tmp_path, SIM.replace("total_mib = 512", "total_mib = 398"))
    check_memory(enough, 30_000)
    short = board_of(tmp_path, SIM.replace("total_mib = 512", "total_mib = 397"))
    with pytest.raises(ConfigError) as caught:
        check_memory(short, 30_000)
    assert str(caught.value) == (
        f"{tmp_path / 'board.toml'}: memory.total_mib: 397 MiB are less than the 398 MiB of system 160, agent 64,"
        " capture 128 and ring 46 (pre-record 30000 ms); lower video.max_bit_rate_bps or the policy's pre-record"
    )
    with pytest.raises(ConfigError, match="ring 47 "):
        check_memory(enough, 31_000)


@given(st.integers(0, MAX_PRERECORD_MS), st.integers(4_000_000, MAX_BIT_RATE_BPS))
def test_the_ring_holds_prerecord_and_reserve_however_they_are_padded(prerecord_ms: int, rate_bps: int) -> None:
    sim = load_board(board_file("sim"))
    board = Board(
        sim.file, sim.name, sim.model, True,
        type(sim.video)(1280, 720, 25, 4_000_000, rate_bps),
        sim.sound, sim.memory, sim.clock, sim.storage, sim.battery, sim.parts,
    )  # fmt: skip
    size = board.ring_bytes(prerecord_ms)
    assert size % RING_UNIT_BYTES == 0
    whole_seconds = (prerecord_ms + RING_RESERVE_MS) // 1000
    assert size >= whole_seconds * (rate_bps // 8 + MAX_PADDING_BYTES)
    assert rate_bps // 8 + MAX_PADDING_BYTES <= FRAGMENT_LIMIT_BYTES
    assert size <= (whole_seconds + 1) * (rate_bps // 8 + MAX_PADDING_BYTES) + RING_UNIT_BYTES


def test_footage_belongs_to_simulated_boards(tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    config = make_agency(tmp_path, footage=film).config()
    assert config.footage == film
    simulated = board_of(tmp_path, SIM)
    real = load_board(board_file("pi4"))
    check_footage(config, simulated)
    with pytest.raises(ConfigError, match=r"camera\.toml: footage: the board pi4 films with its camera; remove"):
        check_footage(config, real)
    (tmp_path / "bare").mkdir()
    bare = make_agency(tmp_path / "bare").config()
    with pytest.raises(ConfigError, match=r"camera\.toml: footage: missing; the simulated board sim films a file"):
        check_footage(bare, simulated)


def test_services_belong_to_real_boards(tmp_path: Path) -> None:
    bare = make_agency(tmp_path).config()
    services = replace(bare, services=Services(tmp_path / "panel", tmp_path / "start.sock"))
    check_footage(services, load_board(board_file("pi4")))
    with pytest.raises(ConfigError, match=r"camera\.toml: services: missing; the board pi4 films and shines through"):
        check_footage(bare, load_board(board_file("pi4")))
    with pytest.raises(ConfigError, match=r"camera\.toml: services: the simulated board sim has none; remove"):
        check_footage(replace(services, footage=tmp_path / "film.mp4"), board_of(tmp_path, SIM))


def test_the_services_paths_are_resolved_against_the_file(agency: TestAgency, tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    path.write_text(
        (agency.camera_folder() / "camera.toml").read_text()
        + '[services]\nkeeper = "/run/keeper/panel"\ncapture = "start.sock"\n'
    )
    assert load_camera(path).services == Services(Path("/run/keeper/panel"), path.parent / "start.sock")
    path.write_text(path.read_text() + 'other = "x"\n')
    with pytest.raises(ConfigError, match=r"services.*other"):
        load_camera(path)


def test_a_board_file_beside_the_camera_file(agency: TestAgency, tmp_path: Path) -> None:
    path = tmp_path / "camera.toml"
    text = (agency.camera_folder() / "camera.toml").read_text()
    path.write_text(text.replace('board = "sim"', 'board = "board.toml"'))
    assert load_camera(path).board_file(board_file) == tmp_path / "board.toml"
