"""The dock loses its power at every point of a docking, in every way that a disk may take it."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from hw.sim.disk import Choose
from tests.crash.test_dock_cuts import agency, camera, cut_and_dock_again, harshest, mildest, operations
from tests.support.agency import TestAgency
from tests.support.evidence import Builder

__all__ = ["agency", "camera"]


@pytest.mark.parametrize("choose", [harshest, mildest, random.Random(1).randrange, random.Random(2).randrange])
def test_power_cut_anywhere(tmp_path: Path, agency: TestAgency, camera: Builder, choose: Choose) -> None:
    for at in range(operations(tmp_path / "whole", agency, camera)):
        cut_and_dock_again(tmp_path / str(at), agency, camera, at, choose)
