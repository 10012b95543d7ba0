"""Receipts, and in their order what came with them, on their way to the journal.

Guarantees: a receipt goes to the writer once for each segment, and only for one on the card that has none yet, as its
own entry describes it; any other is dropped, or refused. What comes before it is known what lies on the card waits for
that. Assumes that who gives a statement has verified it. Source: docs/docking.md, 8.
"""

from __future__ import annotations

from agent.formats import fields
from agent.keeping import Keeping
from agent.model import Arrived
from agent.ports import Broker
from agent.session import Heard, NotTaken
from agent.store.custody import Custody
from agent.store.state import Reference


class Receipts:
    """What a dock said that becomes an entry before anything follows from it."""

    def __init__(self, custody: Custody, keeping: Keeping, broker: Broker) -> None:
        self._custody = custody
        self._keeping = keeping
        self._broker = broker
        self._waiting: list[tuple[Heard, Arrived]] = []
        self._at_writer: set[tuple[str, int]] = set()

    def add(self, heard: Heard, arrived: Arrived) -> None:
        """A receipt, an assignment, a hold. Its message is acknowledged once it is durable, or dropped."""
        self._waiting.append((heard, arrived))

    def step(self) -> list[NotTaken]:
        """Give the writer what is to be kept; what is refused."""
        if not self._custody.ready:
            return []
        waiting, self._waiting = self._waiting, []
        refused: list[NotTaken] = []
        for heard, arrived in waiting:
            problem = None
            if heard.statement.name == "receipt":
                problem = self._problem(heard)
                if problem is not None or self._is_known(heard):
                    self._broker.acknowledge(arrived)
                    refused += [] if problem is None else [problem]
                    continue
                self._at_writer.add(_segment_of(heard))
            self._keeping.add(heard, arrived)
        return refused

    def kept(self, receipt: Heard) -> None:
        """It is durable."""
        self._at_writer.discard(_segment_of(receipt))

    def _is_known(self, heard: Heard) -> bool:
        held = self._custody.get(*_segment_of(heard))
        return _segment_of(heard) in self._at_writer or (held is not None and held.receipt is not None)

    def _problem(self, heard: Heard) -> NotTaken | None:
        value = heard.statement.value
        held = self._custody.get(*_segment_of(heard))
        seal = Reference(fields.integer_of(value, "seal_seq"), fields.text_of(value, "seal_head"))
        if held is not None and (held.seal, held.blob, held.size) == (seal, value["blob"], value["size"]):
            return None
        problem = f"segment {value['seg']} of {value['rec']} is not what the journal says, or has left the card"
        return NotTaken("receipt_segment", problem)


def _segment_of(receipt: Heard) -> tuple[str, int]:
    value = receipt.statement.value
    return fields.text_of(value, "rec"), fields.integer_of(value, "seg")
