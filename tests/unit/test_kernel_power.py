"""Battery, charger and firmware as the kernel's files tell of them, hostile ones included."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.board_parts import Supplies
from agent.model import Battery
from hw.power import EMPTY_READINGS, KernelPower


class Sysfs:
    """A folder made like /sys/class/power_supply: a gauge and a charger."""

    def __init__(self, folder: Path, cut_off_mv: int | None = 3_300) -> None:
        self.folder = folder
        self.contact = False
        (folder / "bat").mkdir(parents=True)
        (folder / "usb").mkdir()
        self.set("bat/capacity", "80").set("bat/status", "Discharging").set("bat/voltage_now", "3900000")
        self.set("usb/online", "0")
        self.power = KernelPower(Supplies("bat", "usb", cut_off_mv), lambda: self.contact, folder)

    def set(self, name: str, value: str | bytes) -> Sysfs:
        (self.folder / name).write_bytes(value if isinstance(value, bytes) else f"{value}\n".encode())
        return self


@pytest.fixture
def sysfs(tmp_path: Path) -> Sysfs:
    return Sysfs(tmp_path)


def test_what_a_gauge_tells(sysfs: Sysfs) -> None:
    assert sysfs.power.battery() == Battery(80, charging=False)
    assert sysfs.power.millivolts == 3_900


@pytest.mark.parametrize(
    ("status", "online", "charging"),
    [
        ("Charging", "0", True),
        ("Full", "0", True),
        ("Discharging", "1", False),  # a charger that is too weak: the battery empties all the same
        ("Not charging", "1", True),
        ("Not charging", "0", False),
        ("Unknown", "1", True),
        ("Unknown", "2", True),
        ("charging", "1", True),  # no word of the kernel's: the charger tells
    ],
)
def test_who_says_that_it_is_being_charged(sysfs: Sysfs, status: str, online: str, charging: bool) -> None:
    sysfs.set("bat/status", status).set("usb/online", online)
    assert sysfs.power.measure().charging is charging


@pytest.mark.parametrize("online", ["3", "-1", "yes", "", "01", "1 "])
def test_a_charger_that_says_nothing_of_the_kernels_leaves_it_to_the_contact(sysfs: Sysfs, online: str) -> None:
    sysfs.set("bat/status", "Unknown").set("usb/online", online)
    assert not sysfs.power.measure().charging
    sysfs.contact = True
    assert sysfs.power.measure().charging


@pytest.mark.parametrize(("said", "percent"), [("0", 0), ("100", 100), ("101", None), ("-1", None), ("080", None)])
def test_a_charge_is_0_to_100_or_not_known(sysfs: Sysfs, said: str, percent: int | None) -> None:
    assert sysfs.set("bat/capacity", said).power.measure().percent == percent


HOSTILE = [b"", b"\n", b"80", b"80\n\n", b"80\n" * 100, b"8" * 5000 + b"\n", b"\xff\n", b"80\x00\n", b" 80\n", b"8e1\n",
           "८०\n".encode()]  # fmt: skip


@pytest.mark.parametrize("said", HOSTILE)
def test_what_is_not_of_the_kernels_form_is_not_known(sysfs: Sysfs, said: bytes) -> None:
    for name in ("capacity", "status", "voltage_now", "present"):
        sysfs.set(f"bat/{name}", said)
    sysfs.set("usb/online", said)
    assert sysfs.power.measure() == Battery(None, charging=False)
    assert sysfs.power.millivolts is None


@given(said=st.binary(max_size=80))
def test_no_bytes_raise_or_give_a_charge_out_of_range(tmp_path_factory: pytest.TempPathFactory, said: bytes) -> None:
    sysfs = Sysfs(tmp_path_factory.mktemp("sysfs"))
    for name in ("bat/capacity", "bat/status", "bat/voltage_now", "usb/online"):
        sysfs.set(name, said)
    percent = sysfs.power.measure().percent
    assert percent is None or 0 <= percent <= 100


def test_files_that_are_gone_and_folders_in_their_place(sysfs: Sysfs) -> None:
    (sysfs.folder / "bat/capacity").unlink()
    (sysfs.folder / "bat/capacity").mkdir()
    (sysfs.folder / "bat/status").unlink()
    (sysfs.folder / "bat/voltage_now").unlink()
    (sysfs.folder / "bat/voltage_now").symlink_to("nowhere")
    assert sysfs.power.measure() == Battery(None, charging=False)
    absent = KernelPower(Supplies("bat2", "usb2", 3_300), lambda: True, sysfs.folder)
    assert absent.battery() == Battery(None, charging=True)


def test_a_battery_that_is_taken_out(sysfs: Sysfs) -> None:
    assert sysfs.set("bat/present", "1").power.measure().percent == 80
    assert sysfs.set("bat/present", "0").power.measure().percent is None


def test_a_board_without_a_battery_knows_its_charger_only(tmp_path: Path) -> None:
    (tmp_path / "usb").mkdir()
    (tmp_path / "usb/online").write_text("1\n")
    assert KernelPower(Supplies(None, "usb", None), lambda: False, tmp_path).battery() == Battery(None, charging=True)


def test_a_battery_at_its_cut_off_is_empty_whatever_its_gauge_says_but_not_for_a_moment(sysfs: Sysfs) -> None:
    assert EMPTY_READINGS == 3
    sysfs.set("bat/voltage_now", "3300999")  # 3300 mV
    assert [sysfs.power.measure().percent for _ in range(4)] == [80, 80, 0, 0]
    assert not sysfs.power.battery().charging
    sysfs.set("bat/voltage_now", "3301000")
    assert sysfs.power.measure().percent == 80
    sysfs.set("bat/voltage_now", "3300000")
    assert [sysfs.power.measure().percent for _ in range(2)] == [80, 80]
    sysfs.set("bat/voltage_now", "no")
    assert sysfs.power.measure().percent == 80
    sysfs.set("bat/voltage_now", "3300000")
    assert [sysfs.power.measure().percent for _ in range(3)] == [80, 80, 0]


def test_without_a_cut_off_the_gauge_has_the_last_word(tmp_path: Path) -> None:
    sysfs = Sysfs(tmp_path, cut_off_mv=None).set("bat/voltage_now", "1")
    assert [sysfs.power.measure().percent for _ in range(4)] == [80] * 4


def test_battery_reads_no_file(sysfs: Sysfs) -> None:
    sysfs.set("bat/capacity", "7")
    assert sysfs.power.battery().percent == 80
    sysfs.power.measure()
    assert sysfs.power.battery().percent == 7
