"""One agency, one film: made once for all tests on the rig."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats.age import RecipientKind
from tests.support.agency import TestAgency, make_agency
from tests.support.rig import Rig


@pytest.fixture(scope="session")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), RecipientKind.CLASSIC)


@pytest.fixture
def rig(tmp_path: Path, agency: TestAgency) -> Iterator[Rig]:
    made = Rig(tmp_path, agency)
    yield made
    made.close()
