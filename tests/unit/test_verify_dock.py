"""A dock's own journal: under its role it is as good as a camera's, and it is no evidence of a camera."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.evidence.verdict import Report, Verdict
from agent.evidence.verify import verify
from agent.formats.canonical import Value
from agent.formats.fields import encode_base64
from tests.support.agency import TestAgency, make_agency
from tests.support.dock import IssuedSigner
from tests.support.evidence import Builder, builder

HOLD: dict[str, Value] = {"rec": "cam-01-01234567-3", "until": None, "dev": "cam-01", "jid": "2" * 32}


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False)


@pytest.fixture
def made(agency: TestAgency, tmp_path: Path) -> Builder:
    """A dock's journal after its first start."""
    begun = builder(tmp_path / "data", agency)
    begun.dev, begun.signer = "dock-01", IssuedSigner(agency.dock("dock-01"))
    chain: list[Value] = [encode_base64(each) for each in begun.signer.chain]
    genesis: dict[str, Value] = {"chain": chain, "key_class": "file", "slow_signer": False, "model": "dock"}
    begun.append("genesis", {**genesis, "software": "0.1.0", "enrolment": None})
    begun._append_boot(None, begun.last_signed)
    return begun


def check(made: Builder) -> Report:
    return verify(made.write(), made.agency.root_pem)


def codes(report: Report) -> list[str]:
    return [reason.code for reason in report.reasons if reason.code != "bracket"]


def test_what_a_dock_said_to_cameras_of_whichever_session(made: Builder) -> None:
    made.said("hold", **HOLD)
    made.said("hold", **{**HOLD, "dev": "cam-02", "jid": "3" * 32}, session="4" * 32)
    made.append("alert", {"cause": "fork", "values": {}, "remedy": "see_log"})
    report = check(made)
    assert (codes(report), report.verdict, report.layout) == ([], Verdict.PARTIAL, "dock")
    assert report.role == "urn:temoin:dock:dock-01"


def test_a_dock_makes_no_recordings(made: Builder) -> None:
    """Its certificate opens no way to evidence that no camera signed."""
    made.record((1,))
    report = check(made)
    assert report.verdict is Verdict.INVALID
    assert "no dock writes recording.start entries" in "\n".join(report.lines())


@pytest.mark.parametrize("kind", ["dock", "beacon", "ack", "policy", "undock", "trim"])
def test_what_only_a_camera_writes(made: Builder, kind: str) -> None:
    bodies: dict[str, dict[str, Value]] = {
        "policy": {"hash": "0" * 64, "version": 1},
        "undock": {"session": "0" * 32, "dock": "dock-01", "beacon": None},
        "trim": {"first": 0, "last": 1, "ack": {"seq": 0, "head": "0" * 64}},
    }
    if kind == "dock":
        made.dock()
    elif kind == "ack":
        made.acknowledge()
    elif kind == "beacon":
        made.said("beacon", nonce="1" * 32, head="0" * 64, err_ms=1, token=None, dock_head="0" * 64)
    else:
        made.append(kind, bodies[kind])
    assert "kind" in codes(check(made))


def test_a_statement_of_another_dock(made: Builder) -> None:
    made.said("hold", "dock-02", **HOLD)
    report = check(made)
    assert (codes(report), report.verdict) == (["statement"], Verdict.INVALID)


def test_a_statement_that_another_key_signed(made: Builder, agency: TestAgency) -> None:
    other = IssuedSigner(agency.issue("dock", "dock-01"))
    said = agency.says("hold", "dock-01", dseq=1, **HOLD)
    made.signer = other
    chain: list[Value] = [encode_base64(other.chain[0])]
    made.lies["genesis"] = {"chain": chain}
    made.files.clear()
    made._seq, made._prev = 0, "0" * 64
    genesis: dict[str, Value] = {"key_class": "file", "slow_signer": False, "model": "dock", "software": "0.1.0"}
    made.append("genesis", {**genesis, "enrolment": None})
    made.append("hold", said)
    report = check(made)
    assert codes(report) == ["statement"]
    assert "the signature is not of this key" in report.reasons[0].problem


def test_numbers_rise_over_all_cameras(made: Builder) -> None:
    made.said("hold", **HOLD)
    made.dseq["dock-01"] = 0
    made.said("hold", **{**HOLD, "dev": "cam-02"})
    assert codes(check(made)) == ["state"]


def test_a_journal_under_the_certificate_of_another_dock(made: Builder, agency: TestAgency) -> None:
    der = agency.dock("dock-02").certificate.public_bytes(Encoding.DER)
    made.files.clear()
    made._seq, made._prev = 0, "0" * 64
    made.signer = IssuedSigner(agency.dock("dock-02"))
    genesis: dict[str, Value] = {"key_class": "file", "slow_signer": False, "model": "dock", "software": "0.1.0"}
    made.append("genesis", {**genesis, "enrolment": None, "chain": [encode_base64(der)]})
    report = check(made)
    assert report.verdict is Verdict.UNTRUSTED
