"""hw/power.py on the kernel's power-supply class, as its driver for tests fills it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.board_parts import Supplies
from agent.model import Battery
from hw.power import EMPTY_READINGS, SUPPLIES, KernelPower
from tests.support.driven_battery import DrivenBattery

SUPPLIED = Supplies(DrivenBattery.NAME, DrivenBattery.CHARGER, 3_300)


@pytest.fixture
def battery() -> DrivenBattery:
    battery = DrivenBattery()
    for parameter, value in (
        ("capacity", "80"),
        ("status", "discharging"),
        ("voltage", "3900000"),
        ("present", "true"),
    ):
        battery.set(parameter, value)
    battery.plug(False)
    return battery


def no_contact() -> bool:
    raise AssertionError("the kernel tells of charger and battery: nobody asks for the contact")


def test_charge_voltage_and_charging_are_the_kernels(battery: DrivenBattery) -> None:
    power = KernelPower(SUPPLIED, no_contact)
    assert power.battery() == Battery(80, charging=False)
    assert power.millivolts == 3_900
    battery.set("capacity", "19")
    assert power.battery().percent == 80, "read when it is measured, not when it is asked for"
    assert power.measure() == Battery(19, charging=False)


@pytest.mark.parametrize(
    ("status", "plugged", "charging"),
    [
        ("charging", False, True),
        ("full", False, True),
        ("discharging", True, False),
        ("not-charging", True, True),
        ("not-charging", False, False),
    ],
)
def test_every_status_that_the_kernel_has_a_word_for(
    battery: DrivenBattery, status: str, plugged: bool, charging: bool
) -> None:
    battery.set("status", status)
    battery.plug(plugged)
    assert KernelPower(SUPPLIED, no_contact).battery() == Battery(80, charging)


def test_a_battery_at_its_cut_off_is_empty_whatever_the_gauge_says(battery: DrivenBattery) -> None:
    battery.set("voltage", "3300000")
    power = KernelPower(SUPPLIED, no_contact)
    for _ in range(EMPTY_READINGS - 1):
        assert power.battery().percent == 80
        power.measure()
    assert power.battery().percent == 0


def test_a_battery_that_was_taken_out_is_not_known(battery: DrivenBattery) -> None:
    battery.set("present", "false")
    assert KernelPower(SUPPLIED, no_contact).battery().percent is None


def test_the_names_are_the_classes(battery: DrivenBattery) -> None:
    assert {"test_ac", DrivenBattery.NAME, DrivenBattery.CHARGER} <= {path.name for path in Path(SUPPLIES).iterdir()}
