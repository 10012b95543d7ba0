"""What the camera's own store leaves after a power cut anywhere is never more than PARTIAL to the verifier.

The store's write orders and the verifier's rules were written apart; here they meet. Each run cuts before operation k
of the card, starts the camera again on what is left, and verifies the folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.adapters.signer import FileSigner
from agent.evidence.verdict import Report, Verdict
from agent.evidence.verify import verify
from agent.formats.age import CHUNK_BYTES, RecipientKind, parse_recipients
from agent.formats.canonical import Object
from agent.model import NS_PER_S
from agent.store.check import recover
from agent.store.journal import Journal
from agent.store.last import read_last
from agent.store.segments import SealBuffer, SegmentWriter, segment_path
from hw.sim.disk import SimDisk
from tests.support.agency import TestAgency, make_agency
from tests.support.store import Board

AFTER_A_START = {"bracket", "recovered"}
AFTER_A_CUT = AFTER_A_START | {"torn", "open", "unsealed", "unnamed"}


class PowerCutError(Exception):
    """Ends the run that a test cuts off."""


class Watch(Board):
    """The board's clocks, which a recording moves on."""

    def pass_ns(self, passed_ns: int) -> None:
        self._ns += passed_ns


@dataclass
class Run:
    """One run of the agent's store: it records the same two recordings."""

    journal: Journal
    disk: SimDisk
    board: Watch
    agency: TestAgency
    buffer: SealBuffer = field(default_factory=SealBuffer)

    def record(self, counts: tuple[int, ...]) -> None:
        rec, t0_ns = self.journal.next_recording_id(), self.board.stamp().mono_ns
        press_ns, total = t0_ns + NS_PER_S, 0
        recipients = parse_recipients(self.agency.policy.recipients)
        for seg, count in enumerate(counts):
            path = segment_path(rec, seg)
            segment = SegmentWriter(self.disk, path, recipients, bytes(CHUNK_BYTES), self.board.random, self.buffer)
            for n in range(count):
                written = segment.append(memoryview(self.board.random(CHUNK_BYTES)), NS_PER_S)
                segment.sync(first=n == 0)
                if total == 0:
                    self.append_start(rec, press_ns)
                if n == 0:
                    self.append_open(rec, seg, segment)
                start_ns = t0_ns + total * NS_PER_S
                body: Object = {
                    "rec": rec,
                    "seg": seg,
                    "n": n,
                    "off": written.off,
                    "len": written.len,
                    "t0_ns": str(start_ns),
                    "dur_ns": str(NS_PER_S),
                    "frames": 25,
                    "sound": True,
                    "pre": start_ns + NS_PER_S <= press_ns,
                    "plain": written.plain,
                    "blob": written.blob,
                }
                self.journal.append("fragment", body)
                self.journal.commit()
                total += 1
            sealed = segment.finish(b"mfra")
            body = {"rec": rec, "seg": seg, "n": count, "size": sealed.size, "blob": sealed.blob}
            self.journal.append("segment.seal", body)
        stop: Object = {
            "rec": rec,
            "cause": "hold",
            "press_ns": None,
            "fragments": total,
            "duration_ms": total * 1000,
        }
        self.journal.append("recording.stop", stop)
        self.journal.commit()
        self.board.pass_ns(total * NS_PER_S)

    def append_start(self, rec: str, press_ns: int) -> None:
        body: Object = {
            "rec": rec,
            "cause": "press",
            "press_ns": str(press_ns),
            "wanted_ms": 1000,
            "got_ms": 1000,
            "reason": None,
            "wearer": None,
            "source": "test",
            "counter": None,
        }
        self.journal.append("recording.start", body)

    def append_open(self, rec: str, seg: int, segment: SegmentWriter) -> None:
        opened = segment.opened
        body: Object = {
            "rec": rec,
            "seg": seg,
            "header": opened.header,
            "nonce": opened.nonce,
            "init": opened.init,
            "init_len": opened.init_len,
            "recipients": list(opened.recipients),
            "policy": self.agency.policy.hash_hex,
            "source": "test",
        }
        self.journal.append("segment.open", body)


@dataclass
class Card:
    """A folder and how many operations the last run did on it."""

    root: Path
    agency: TestAgency
    signer: FileSigner
    board: Watch = field(default_factory=Watch)
    operations: int = 0

    def run(self, recordings: tuple[tuple[int, ...], ...], cut_at: int | None) -> bool:
        """Start the camera, recover, record; cut the power before operation `cut_at`. False if it came to that."""
        self.operations = 0

        def observe(operation: str, path: str) -> None:
            if cut_at is not None and self.operations >= cut_at:
                raise PowerCutError(f"before {operation} {path}")
            self.operations += 1

        disk = SimDisk(self.root, observe, flush=lambda descriptor: None)
        try:
            journal = Journal.start(
                disk,
                read_last(disk),
                self.signer,
                self.board.stamp,
                self.board.random,
                dev="cam-01",
                software="1.0",
                model="sim",
                source="test",
            )
            recover(journal, disk)
            policy: Object = {"hash": self.agency.policy.hash_hex, "version": self.agency.policy.version}
            journal.append("policy", policy)
            journal.commit()
            for counts in recordings:
                Run(journal, disk, self.board, self.agency).record(counts)
        except PowerCutError:
            disk.power_cut(lambda n: n // 2)
            self.board.reboot()
            return False
        self.board.reboot()
        return True

    def verify(self) -> Report:
        return verify(self.root, self.agency.root_pem)


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), RecipientKind.CLASSIC, simulated=False)


def card(tmp_path: Path, agency: TestAgency) -> Card:
    tmp_path.mkdir(exist_ok=True)
    return Card(tmp_path, agency, agency.signer())


def test_what_the_store_writes_is_whole(agency: TestAgency, tmp_path: Path) -> None:
    whole = card(tmp_path / "card", agency)
    assert whole.run(((3, 2), (2,)), None)
    assert whole.run(((1,),), None)
    report = whole.verify()
    assert [reason.code for reason in report.reasons] == ["bracket"], report.lines()
    assert [recording.fragments for recording in report.recordings] == [5, 2, 1]


def test_a_cut_anywhere_is_partial_at_worst(agency: TestAgency, tmp_path: Path) -> None:
    script = ((2, 1),)
    whole = card(tmp_path / "whole", agency)
    whole.run(script, None)
    for cut_at in range(whole.operations):
        cut = card(tmp_path / str(cut_at), agency)
        assert not cut.run(script, cut_at)
        if list(cut.root.glob("journal/*.log")):
            assert_honest(cut.verify(), AFTER_A_CUT, cut_at)
        assert cut.run((), None)
        assert_honest(cut.verify(), AFTER_A_START, cut_at)


def assert_honest(report: Report, allowed: set[str], cut_at: int) -> None:
    codes = {reason.code for reason in report.reasons}
    assert codes <= allowed, (cut_at, report.lines())
    assert report.verdict is Verdict.PARTIAL
