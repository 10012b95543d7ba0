"""What every Power does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.board_parts import Supplies
from agent.model import Battery
from agent.ports import Power
from hw.power import KernelPower
from hw.sim.power import SimPower
from tests.support.driven_battery import DrivenBattery
from tests.support.real_parts import REAL_PARTS


@dataclass
class Bench:
    """A battery and its charger, as somebody with both hands moves them; `again`: the agent has started again."""

    charge: Callable[[int], None]
    touch: Callable[[bool], None]
    again: Callable[[], Power]
    look: Callable[[], Battery]


def simulated(run: Path) -> Bench:
    power = SimPower(run)
    return Bench(power.set_percent, power.set_contact, lambda: SimPower(run), power.battery)


def of_the_kernel(run: Path) -> Bench:
    """A gauge that tells only the charge: whether it is being charged, the contact tells."""
    gauge = run / "gauge"
    gauge.mkdir()
    capacity = gauge / "capacity"
    capacity.write_text("100\n")
    contact = [False]
    supplies = Supplies("gauge", None, None)
    power = KernelPower(supplies, lambda: contact[0], run)
    return Bench(
        lambda percent: _write(capacity, percent),
        lambda on: contact.__setitem__(0, on),
        lambda: KernelPower(supplies, lambda: contact[0], run),
        power.measure,
    )


def of_the_driver(run: Path) -> Bench:
    """The kernel's own files, of its driver for tests; it is told to leave charging to the contact."""
    battery = DrivenBattery()
    battery.set("status", "not-charging")
    battery.set("capacity", "100")
    contact = [False]
    supplies = Supplies(DrivenBattery.NAME, None, None)
    power = KernelPower(supplies, lambda: contact[0])
    return Bench(
        lambda percent: battery.set("capacity", str(percent)),
        lambda on: contact.__setitem__(0, on),
        lambda: KernelPower(supplies, lambda: contact[0]),
        power.measure,
    )


def _write(path: Path, number: int) -> None:
    path.write_text(f"{number}\n")


@pytest.fixture(params=[simulated, of_the_kernel, *([of_the_driver] if REAL_PARTS else [])])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    make: Callable[[Path], Bench] = request.param
    return make(tmp_path)


@pytest.mark.parametrize("percent", [0, 1, 50, 99, 100])
def test_the_charge_is_told_in_percent(bench: Bench, percent: int) -> None:
    bench.charge(percent)
    assert bench.look() == Battery(percent, charging=False)


def test_a_contact_charges(bench: Bench) -> None:
    bench.touch(True)
    assert bench.look() == Battery(100, charging=True)
    bench.touch(False)
    assert bench.look() == Battery(100, charging=False)


def test_the_battery_outlives_the_agent(bench: Bench) -> None:
    bench.charge(42)
    bench.touch(True)
    assert bench.again().battery() == Battery(42, charging=True)
