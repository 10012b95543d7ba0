"""What a docking journals: in which order, how often, and once."""

from __future__ import annotations

from agent.formats.statement import Statement
from agent.keeping import ACK_NS, Keeping
from agent.model import NS_PER_S
from agent.orders import Keep
from agent.session import Heard


def heard(name: str, dseq: int, seq: int = 0) -> Heard:
    return Heard(Statement(name, {"dseq": dseq, "dock": "d", "seq": seq}, b"{}", b"x" * 8), ())


class Writer:
    """Takes Keeps as long as it has slots."""

    def __init__(self, slots: int = 1_000) -> None:
        self.slots = slots
        self.kept: list[Keep] = []

    def __call__(self, keep: Keep) -> bool:
        if len(self.kept) >= self.slots:
            return False
        self.kept.append(keep)
        return True

    @property
    def kinds(self) -> list[list[str]]:
        return [[kind for kind, _ in keep.entries] for keep in self.kept]


def test_one_keep_is_under_way_and_what_comes_meanwhile_goes_together() -> None:
    writer = Writer()
    keeping = Keeping(writer, -1)
    keeping.add(heard("assign", 1), None)
    keeping.step(0)
    for dseq in (2, 3):
        keeping.add(heard("hold", dseq), None)
        keeping.step(0)
    assert writer.kinds == [["assign"]]
    assert keeping.kept(writer.kept[0].number + 1) == []
    assert [entry.kind for entry in keeping.kept(writer.kept[0].number)] == ["assign"]
    keeping.step(0)
    assert writer.kinds == [["assign"], ["hold", "hold"]]
    assert [entry.kind for entry in keeping.kept(writer.kept[1].number)] == ["hold", "hold"]


def test_a_keep_that_found_no_slot_is_tried_again() -> None:
    writer = Writer(slots=0)
    keeping = Keeping(writer, -1)
    keeping.add(heard("assign", 1), None)
    keeping.step(0)
    writer.slots = 1
    keeping.step(0)
    assert writer.kinds == [["assign"]]


def test_an_ack_is_journalled_at_once_then_every_ten_seconds_the_last_one_and_only_if_it_says_more() -> None:
    writer = Writer()
    keeping = Keeping(writer, 5)

    def step(now_ns: int) -> list[list[str]]:
        keeping.step(now_ns)
        new, writer.kept[:] = writer.kinds, []
        keeping.kept(keeping._numbers)
        return new

    keeping.hold(heard("ack", 1, seq=5))
    assert step(0) == []
    keeping.hold(heard("ack", 2, seq=7))
    keeping.hold(heard("ack", 3, seq=9))
    assert step(1) == [["ack"]]
    keeping.hold(heard("ack", 4, seq=10))
    assert step(ACK_NS) == []
    assert step(ACK_NS + 1) == [["ack"]]
    keeping.hold(heard("ack", 5, seq=8))  # an archive that was set back
    assert step(10 * ACK_NS) == []
    keeping.hold(heard("ack", 6, seq=11))
    assert step(10 * ACK_NS + 1) == [["ack"]]


def test_a_beacon_waits_for_the_undocking_and_the_last_one_counts() -> None:
    writer = Writer()
    keeping = Keeping(writer, -1)
    keeping.hold(heard("ack", 1, seq=3))
    keeping.hold(heard("beacon", 2))
    keeping.step(0)
    keeping.kept(1)
    last = heard("beacon", 4)
    keeping.hold(heard("ack", 3, seq=4))
    keeping.hold(last)
    keeping.step(NS_PER_S)
    assert writer.kinds == [["ack"]]
    keeping.release()
    keeping.add_own("undock", {})
    keeping.step(2 * NS_PER_S)
    assert writer.kinds == [["ack"], ["ack", "beacon", "undock"]]
    assert keeping.kept(2)[1].heard == last
