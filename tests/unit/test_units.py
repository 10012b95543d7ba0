"""systemd's units and the installer: systemd itself reads them, and they agree with each other."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
INSTALLER = UNITS / "dock-install"
MOSQUITTO = """[Unit]
Description=Debian's own unit, in short
[Service]
Type=notify
ExecStartPre=/bin/mkdir -m 740 -p /var/log/mosquitto
ExecStart=/usr/sbin/mosquitto -c /etc/mosquitto/mosquitto.conf
"""


def test_systemd_understands_every_unit(tmp_path: Path) -> None:
    for path in UNITS.glob("temoin-*"):
        text = re.sub(r"^ExecStart=/\S+", "ExecStart=/bin/true", path.read_text(), flags=re.M)  # it must exist
        (tmp_path / path.name).write_text(text)
    (tmp_path / "mosquitto.service").write_text(MOSQUITTO.replace("/usr/sbin/mosquitto", "/bin/true"))
    (tmp_path / "mosquitto.service.d").mkdir()
    drop_in = (UNITS / "mosquitto-temoin.conf").read_text().replace("/usr/sbin/mosquitto", "/bin/true")
    (tmp_path / "mosquitto.service.d" / "temoin.conf").write_text(drop_in)
    units = sorted(str(path) for path in tmp_path.iterdir() if path.is_file())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    mine = [line for line in done.stderr.splitlines() if str(tmp_path) in line or "temoin" in line]
    assert (done.returncode, mine) == (0, [])


def test_the_installer_is_a_script_that_installs_each_unit() -> None:
    assert subprocess.run(["bash", "-n", INSTALLER], check=False).returncode == 0
    text = INSTALLER.read_text()
    for path in UNITS.iterdir():
        assert path == INSTALLER or f"systemd/{path.name}" in text


def test_the_units_and_the_installer_agree_on_where_things_are() -> None:
    text = INSTALLER.read_text()
    places = dict(re.findall(r"^([A-Z_]+)=(/\S+)$", text, re.M))
    dock = (UNITS / "temoin-dock.service").read_text()
    assert f"--config {places['HOME_OF_DOCK']}/dock.toml" in dock
    assert f"ReadWritePaths={places['HOME_OF_DOCK']}\n" in dock
    assert f"ExecStart={places['PROGRAM']}/bin/temoin-dock " in dock
    assert f"WorkingDirectory={places['HOME_OF_BROKER']}\n" in (UNITS / "mosquitto-temoin.conf").read_text()
    backup = (UNITS / "temoin-dock-backup.service").read_text()
    assert f"--config {places['HOME_OF_DOCK']}/dock.toml --to-file /etc/temoin-dock/backup" in backup


def test_the_broker_does_not_get_the_key_that_signs() -> None:
    text = INSTALLER.read_text()
    given = re.search(r"for name in ([^;]+); do\n  install [^\n]*HOME_OF_BROKER", text)
    assert given is not None
    assert set(given[1].split()) == {"dock-tls.key", "dock-tls.pem", "agency.pem", "mosquitto.conf", "mosquitto.acl"}
