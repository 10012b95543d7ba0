"""The journal's way to the dock: the window, the acks, going back."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from agent.formats.wire import MAX_BATCH_BYTES
from agent.sending import ANSWER_NS, MAX_UNDER_WAY, NOTHING, QUIET_NS, Sending
from agent.store.outbox import Outbox
from agent.store.state import Reference
from hw.sim.disk import SimDisk
from tests.support.signer import SeededSigner
from tests.support.store import Board, Camera


class Made:
    """A camera with a long journal, and what was sent of it."""

    def __init__(self, root: Path, entries: int = 700) -> None:
        root.mkdir()
        self.disk = SimDisk(root, flush=lambda descriptor: None)
        self.camera = Camera(self.disk, Board(), SeededSigner("sending"), [], {})
        for _ in range(entries):
            values = {str(n): "x" * 200 for n in range(15)}
            self.camera.append("alert", {"cause": "test", "values": {**values}, "remedy": "none"})
        self.camera.commit()
        self.sending = Sending(Outbox(self.disk))

    @property
    def durable(self) -> Reference:
        assert self.camera.journal.durable is not None
        return self.camera.journal.durable

    def sent(self, now_ns: int = 0) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        while (each := self.sending.next(self.durable, now_ns)) is not None:
            assert len(each.batch.payload) <= MAX_BATCH_BYTES
            found.append((each.batch.first, each.last))
        return found

    def reference(self, seq: int) -> Reference:
        following = Outbox(self.disk).batch(seq + 1, self.durable.seq)
        return self.durable if following is None else Reference(seq, following.batch.prev)

    def ack(self, seq: int, now_ns: int = 0) -> None:
        self.sending.acknowledged(self.reference(seq), self.durable, now_ns)


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path / "data")


def test_nothing_goes_before_anybody_has_said_where_the_archive_ends(made: Made) -> None:
    assert made.sent() == []


def test_eight_batches_are_under_way_and_each_ack_makes_room(made: Made) -> None:
    made.sending.acknowledged(NOTHING, made.durable, 0)
    first = made.sent()
    assert len(first) == MAX_UNDER_WAY
    assert first[0][0] == 0
    assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(first))
    made.ack(first[1][1])
    more = made.sent()
    assert more[0][0] == first[-1][1] + 1
    assert len(more) == 2
    made.ack(made.durable.seq)
    assert made.sent() == []


def test_an_ack_that_is_no_further_sends_back_to_it_once_for_all_that_were_under_way(made: Made) -> None:
    made.sending.acknowledged(NOTHING, made.durable, 0)
    first = made.sent()
    made.ack(first[2][1], 1)
    made.sent(1)
    for _ in range(5):
        made.ack(first[2][1], 2)
    assert made.sent(2)[0][0] == first[2][1] + 1
    made.ack(first[2][1], QUIET_NS + 1)
    assert made.sent(QUIET_NS + 1) == []
    made.ack(first[2][1], QUIET_NS + 2)
    assert made.sent(QUIET_NS + 2)[0][0] == first[2][1] + 1


def test_an_archive_that_was_set_back_is_filled_from_there(made: Made) -> None:
    made.ack(500)
    made.sent()
    made.ack(100)
    assert made.sent()[0][0] == 101


def test_silence_sends_again_after_a_while_and_a_lost_connection_at_once(made: Made) -> None:
    made.sending.acknowledged(NOTHING, made.durable, 0)
    first = made.sent()
    assert made.sent(ANSWER_NS - 1) == []
    assert made.sent(ANSWER_NS)[0] == first[0]
    made.sending.lost()
    assert made.sent(ANSWER_NS)[0] == first[0]
    made.sending.pause(ANSWER_NS + 5)
    assert made.sent(ANSWER_NS + 4) == []
    assert made.sent(ANSWER_NS + 5)[0] == first[0]


@pytest.mark.parametrize("where", ["beyond", "at the end", "in the middle"])
def test_an_archive_with_another_entry_gets_nothing_more(made: Made, where: str) -> None:
    seq = {"beyond": made.durable.seq + 1, "at the end": made.durable.seq, "in the middle": 300}[where]
    made.sending.acknowledged(Reference(seq, "f" * 64), made.durable, 0)
    assert made.sent() == []
    assert made.sending.differs


def test_without_an_answer_it_begins_behind_what_was_acknowledged_last(made: Made) -> None:
    made.sending.assume(made.reference(600))
    assert made.sent()[0][0] == 601
    made.sending.assume(None)
    assert made.sent()[0][0] == 0
