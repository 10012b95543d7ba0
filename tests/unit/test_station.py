"""The station's rules: what a camera is told, and what is in the archive when it is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from tests.support.agency import TestAgency, make_agency
from tests.support.dock import NOTHING, Bench, all_entries, names, one, position
from tests.support.evidence import Builder, builder


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), cameras=("cam-01", "cam-02"), simulated=False)


@pytest.fixture
def bench(agency: TestAgency, tmp_path: Path) -> Bench:
    made = Bench(tmp_path, agency)
    made.start()
    return made


@pytest.fixture
def camera(agency: TestAgency, tmp_path: Path) -> Builder:
    made = builder(tmp_path / "camera", agency)
    made.genesis()
    made.record((2, 1))
    return made


def test_a_whole_docking(bench: Bench, camera: Builder, agency: TestAgency) -> None:
    said = bench.ask(camera, nonce="1" * 32)
    assert names(said) == ["beacon", "ack", "policy"]
    assert said[0].value["nonce"] == "1" * 32
    assert position(said[1]) == NOTHING
    entries = all_entries(camera)
    said = bench.send(camera, entries)
    assert position(said[0]) == (entries[-1].head.seq, entries[-1].digest.hex())
    assert names(said) == ["ack", "ticket", "ticket"]
    first = bench.upload(camera, said[1])
    assert names(first) == ["receipt"]
    assert names(bench.upload(camera, said[2])) == ["receipt"]
    receipt = first[0].value
    assert (receipt["seg"], receipt["blob"]) == (0, said[1].value["blob"])
    assert bench.tick() == []
    report = verify(bench.root / "archive" / "cam-01", agency.root_pem)
    assert report.verdict is Verdict.VALID or [each.code for each in report.reasons] == ["bracket"]
    assert [path.name for path in (bench.root / "archive" / "cam-01" / "journal").iterdir()] == ["00000000.log"]
    assert one(said, "ack").value["dseq"] < receipt["dseq"]  # type: ignore[operator]  # both are integers
