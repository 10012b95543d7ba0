"""How the main loop gives its orders to the writer: what matters more always finds a slot.

Guarantees: an order that finds no slot is told as an `alert` as soon as there is room, never waited for.
"""

from __future__ import annotations

from collections.abc import Callable

from agent import orders
from agent.formats.canonical import Value
from agent.mailbox import Mailbox

ORDERS = 64
FOR_CONTROL, FOR_ENDS = 16, 8  # slots that notes leave to marks, and marks to start, stop and shutdown


class OrderBox:
    """`no_slot` is called when something that the officer asked for found none."""

    def __init__(self, no_slot: Callable[[], None]) -> None:
        self.mailbox: Mailbox[orders.Order] = Mailbox(ORDERS)
        self._no_slot = no_slot
        self._lost = 0

    def post(self, order: orders.Order) -> None:
        """Give the order, or tell that it is lost."""
        match order:
            case orders.Note(kind="alert" | "refused" | "selftest") | orders.CheckRoom() | orders.Located():
                leaving = FOR_CONTROL
            case orders.Mark() | orders.Notice():
                leaving = FOR_ENDS
            case _:
                leaving = 0
        if not self.mailbox.post(order, leaving=leaving) and leaving < FOR_CONTROL:
            self._no_slot()

    def post_all(self, due: list[orders.Order]) -> None:
        """Give each of them."""
        for order in due:
            self.post(order)

    def alert(self, cause: str, values: dict[str, Value], remedy: str) -> None:
        """An `alert` entry."""
        self.post(orders.Note("alert", {"cause": cause, "values": values, "remedy": remedy}))

    def tell_lost(self, more: int) -> None:
        """Alert what found no slot since the last time, here and (`more`, a count that only grows) elsewhere."""
        lost = more + self.mailbox.refused
        if lost > self._lost and self.mailbox.has_room(FOR_ENDS):
            self._lost = lost
            values: dict[str, Value] = {"lost": lost}
            self.mailbox.post(orders.Note("alert", {"cause": "queue_full", "values": values, "remedy": "check_card"}))
