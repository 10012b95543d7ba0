"""systemd's units and the installers: systemd itself reads them, and they agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import MAX_PRERECORD_MS, MIB_BYTES, check_memory, load_board
from agent.errors import ConfigError
from agent.model import NS_PER_S, Activity
from agent.states import panel
from firmware.agency import SERVICES
from hw.boards import board_file
from hw.keeper import PipeReader
from hw.panel import HeldLight, parse

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
INSTALLERS = (UNITS / "dock-install", UNITS / "camera-install")
FAULT_LIGHT = UNITS / "temoin-fault-light"
KINDS = (".service", ".socket", ".path", ".timer", ".slice")
DROP_INS = {"mosquitto-temoin.conf": "mosquitto.service"}
MOSQUITTO = """[Unit]
Description=Debian's own unit, in short
[Service]
Type=notify
ExecStartPre=/bin/mkdir -m 740 -p /var/log/mosquitto
ExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf
"""


def installed() -> list[Path]:
    """What the installers put somewhere."""
    return [path for path in sorted(UNITS.rglob("*")) if path.is_file() and path not in INSTALLERS]


def unit(name: str) -> str:
    return (UNITS / name).read_text(encoding="utf-8")


def settings(name: str, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit(name), re.M)


def with_programs_that_are_here(text: str) -> str:
    """systemd complains about a program that is not installed, before it says anything else."""

    def here(found: re.Match[str]) -> str:
        return found[0] if Path(found[2]).exists() else f"{found[1]}/bin/true"

    return re.sub(r"^(Exec\w+=-?)(/\S+)", here, text, flags=re.M)


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    texts = {path.name: path.read_text() for path in installed() if path.suffix in KINDS}
    for name, text in {**texts, "mosquitto.service": MOSQUITTO}.items():
        (tmp_path / name).write_text(with_programs_that_are_here(text))
    for drop_in, changed in DROP_INS.items():
        folder = tmp_path / f"{changed}.d"
        folder.mkdir()
        (folder / drop_in).write_text(with_programs_that_are_here(unit(drop_in)))
    units = sorted(str(path) for path in tmp_path.iterdir() if path.is_file())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    mine = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "temoin" in line]
    assert (done.returncode, mine) == (0, [])


@pytest.mark.parametrize(("name", "tenths"), [("temoin", 20), ("temoin-capture", 12), ("temoin-keeper", 14)])
def test_a_camera_s_services_stay_as_tight_as_is_said(name: str, tenths: int) -> None:
    """systemd's own measure, 0 to 100; docs/hardware.md, "Services"."""
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={tenths}"]
    done = subprocess.run([*command, UNITS / f"{name}.service"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("installer", INSTALLERS, ids=lambda path: path.name)
def test_an_installer_is_a_script(installer: Path) -> None:
    assert subprocess.run(["bash", "-n", installer], check=False).returncode == 0


@pytest.mark.parametrize("path", installed(), ids=lambda path: str(path.relative_to(UNITS)))
def test_each_file_is_installed_by_one_installer(path: Path) -> None:
    name = path.name if path.parent == UNITS else str(path.relative_to(ROOT))
    named = [installer.name for installer in INSTALLERS if re.search(rf"(?:^|[/( ]){name}\b", installer.read_text())]
    assert len(named) == 1, f"{path.name}: {named}"


def test_what_a_unit_names_is_there() -> None:
    names = {path.name for path in installed()} | {path.name.removeprefix("temoin-") for path in installed()}
    for path in installed():
        if path.suffix in KINDS:
            for named in re.findall(r"\btemoin[a-z-]*\.(?:service|socket|path|timer|slice)", path.read_text()):
                assert named in names, f"{path.name}: {named}"


def test_systemd_makes_the_users_as_they_are_said(tmp_path: Path) -> None:
    """Each is of the groups whose sockets and devices it needs, and of no other."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/group").write_text("video:x:44:\naudio:x:29:\n")
    users = UNITS / "sysusers.d" / "temoin.conf"
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path}", users], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    members = {
        name: set(filter(None, users.split(",")))
        for name, _, _, users in (line.split(":") for line in (tmp_path / "etc/group").read_text().splitlines())
    }
    capture, keeper, agent = "temoin-capture", "temoin-keeper", "temoin"
    assert members == {
        "video": {capture},
        "audio": {capture},
        "gpio": {agent, keeper},
        agent: {capture},
        capture: set(),
        keeper: {agent},
    }


def places(installer: str) -> dict[str, str]:
    return dict(re.findall(r"^([A-Z_]+)=(/\S+)$", unit(installer), re.M))


def test_the_dock_s_units_and_its_installer_agree_on_where_things_are() -> None:
    where = places("dock-install")
    dock = unit("temoin-dock.service")
    assert f"--config {where['HOME_OF_DOCK']}/dock.toml" in dock
    assert f"ReadWritePaths={where['HOME_OF_DOCK']}\n" in dock
    assert f"ExecStart={where['PROGRAM']}/bin/temoin-dock " in dock
    assert f"WorkingDirectory={where['HOME_OF_BROKER']}\n" in unit("mosquitto-temoin.conf")
    assert f"WorkingDirectory={where['HOME_OF_ACCESS_POINT']}\n" in unit("temoin-access-point.service")
    backup = unit("temoin-dock-backup.service")
    assert f"--config {where['HOME_OF_DOCK']}/dock.toml --to-file /etc/temoin-dock/backup" in backup


def test_the_camera_s_units_its_installer_and_its_configuration_agree_on_where_things_are() -> None:
    where = places("camera-install")
    home, run, program = where["HOME_OF_CAMERA"], where["RUN_OF_CAMERA"], where["PROGRAM"]
    configured = dict(re.findall(r'^(\w+) = "(.+)"$', SERVICES, re.M))
    assert settings("temoin.service", "ExecStart") == [f"{program}/bin/temoin run --config {home}/camera.toml"]
    assert settings("temoin.service", "ExecStopPost") == [f"{program}/bin/{FAULT_LIGHT.name} {configured['keeper']}"]
    assert settings("temoin.service", "StateDirectory") == [Path(home).name]
    assert settings("temoin.service", "RuntimeDirectory") == [Path(run).name]
    assert settings("temoin-capture.socket", "ListenStream") == [configured["capture"]]
    for action in ("reboot", "poweroff"):
        assert settings(f"temoin-{action}.path", "PathExists") == [f"{run}/{action}"]
        assert settings(f"temoin-{action}.path", "Unit") == [f"temoin-power@{action}.service"]
    assert settings("temoin-power@.service", "ExecStart")[0] == f"/bin/rm -f {run}/%i"
    (capture,) = settings("temoin-capture.service", "ExecStart")
    assert capture.startswith(f"{program}/bin/python -m hw.capture.service --socket {run}/capture.sock ")
    (keeper,) = settings("temoin-keeper.service", "ExecStart")
    assert keeper.startswith(f"{program}/bin/python -m hw.keeper ")
    assert f"--pipe {configured['keeper']} " in keeper
    assert f"/run/{settings('temoin-keeper.service', 'RuntimeDirectory')[0]}/panel" == configured["keeper"]
    assert f"d {run} 0750 temoin temoin\n" in (UNITS / "tmpfiles.d" / "temoin.conf").read_text()
    assert settings("temoin-radio@.service", "WorkingDirectory") == [home]
    for service in (capture, keeper):
        assert "--board /etc/temoin/board.toml" in service


def mib(text: str) -> int:
    number, letter = int(text[:-1]), text[-1]
    assert letter == "M"
    return number


def test_the_units_limits_are_the_design_s() -> None:
    (whole,) = (mib(text) for text in settings("temoin.slice", "MemoryMax"))
    (agent,) = (mib(text) for text in settings("temoin.service", "MemoryMax"))
    (locked,) = (mib(text) for text in settings("temoin.service", "LimitMEMLOCK"))
    (capture,) = (mib(text) for text in settings("temoin-capture.service", "MemoryMax"))
    assert (whole, capture, agent - locked) == (320, 160, 64)
    assert agent + capture == whole


@pytest.mark.parametrize("name", ["pi4", "pi5", "zero2w-clipon", "sim"])
def test_a_board_that_is_not_refused_has_memory_for_all_of_it(name: str) -> None:
    """The limits that the installer gives the units, for each pre-record that the board's budget allows."""
    (program,) = re.findall(
        r"^read -r both agent ring capture < <.*? -c '([^']+)'", unit("camera-install"), re.M | re.S
    )
    told = subprocess.run([sys.executable, "-c", program, board_file(name)], capture_output=True, text=True, check=True)
    both, agent, locked, capture = map(int, told.stdout.split())
    board = load_board(board_file(name))
    memory = board.memory
    assert (both, capture) == (memory.total_mib - memory.system_mib, memory.capture_mib)
    assert (agent, locked) == (both - capture, agent - memory.agent_mib)
    tried = 0
    for prerecord_s in range(MAX_PRERECORD_MS // 1000 + 1):
        try:
            check_memory(board, prerecord_s * 1000)
        except ConfigError:
            continue
        tried += 1
        assert board.ring_bytes(prerecord_s * 1000) <= locked * MIB_BYTES
    assert tried > 30


@pytest.mark.parametrize(
    ("home", "own"),
    [
        ("HOME_OF_BROKER", {"mosquitto.conf", "mosquitto.acl"}),
        ("HOME_OF_ACCESS_POINT", {"hostapd.conf", "hostapd.eap_user"}),
    ],
)
def test_neither_broker_nor_access_point_gets_the_key_that_signs(home: str, own: set[str]) -> None:
    given = re.search(rf"for name in ([^;]+); do\n *install [^\n]*{home}", unit("dock-install"))
    assert given is not None
    assert set(given[1].split()) == {"dock-tls.key", "dock-tls.pem", "agency.pem", *own}


@pytest.mark.parametrize(("name", "interface"), [("pi4", "wlan0"), ("zero2w-clipon", "wlan0"), ("sim", "")])
def test_the_installer_reads_the_radio_of_a_board(name: str, interface: str) -> None:
    (program,) = re.findall(r"^radio=\$\(sed -n '([^']+)'", unit("camera-install"), re.M)
    found = subprocess.run(["sed", "-n", program, board_file(name)], capture_output=True, text=True, check=True).stdout
    assert found.strip() == interface


class Pipe:
    """The keeper's end of its pipe, and what was written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.reader = PipeReader(path)

    def lines(self) -> list[bytes]:
        return self.reader.read()[0]


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    pipe = Pipe(tmp_path / "panel")
    yield pipe
    pipe.reader.close()


def fault_light(path: Path, **environment: str) -> int:
    return subprocess.run([FAULT_LIGHT, path], env={"PATH": "/usr/bin:/bin", **environment}, check=False).returncode


@pytest.mark.parametrize("result", ["exit-code", "watchdog", "signal", "oom-kill", "timeout", "start-limit-hit"])
def test_a_service_that_has_failed_shows_that_nothing_is_recorded(pipe: Pipe, result: str) -> None:
    assert fault_light(pipe.path, SERVICE_RESULT=result) == 0
    (line,) = pipe.lines()
    told = parse(line)
    assert isinstance(told, HeldLight)
    assert told.light == panel(Activity.REFUSING, frozenset())
    assert told.dark_at_ns is not None
    left_ns = told.dark_at_ns - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    rest_s = int(settings("temoin-again.timer", "OnUnitInactiveSec")[0])
    rest_s += int(settings("temoin-again.timer", "AccuracySec")[0])
    assert rest_s * NS_PER_S < left_ns <= 60 * NS_PER_S


def test_a_service_that_was_ended_in_order_shows_nothing(pipe: Pipe) -> None:
    assert fault_light(pipe.path, SERVICE_RESULT="success") == 0
    assert fault_light(pipe.path) == 0
    assert pipe.lines() == []


def test_without_a_keeper_nothing_waits(pipe: Pipe, tmp_path: Path) -> None:
    assert fault_light(tmp_path / "nowhere", SERVICE_RESULT="signal") == 0
    (tmp_path / "file").touch()
    assert fault_light(tmp_path / "file", SERVICE_RESULT="signal") == 0
    assert (tmp_path / "file").read_bytes() == b""
    os.mkfifo(tmp_path / "pipe")  # of a keeper that is gone
    assert fault_light(tmp_path / "pipe", SERVICE_RESULT="signal") == 124, "as timeout says it"
