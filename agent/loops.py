"""The two loops beside the main one: intake (socket to ring) and writer (ring to card), each in a thread of its own.

Guarantees: the intake never waits for the writer; a writer that is told to end first does all that was ordered. What
either raises wakes the main loop, which checks them. Assumes: the main loop is the supervisor's only caller.
"""

from __future__ import annotations

from agent.intake import Intake
from agent.recorder import Recorder
from agent.supervisor import Supervisor
from agent.threads import Loop

WAIT_S = 0.25


def start_loops(intake: Intake, recorder: Recorder, supervisor: Supervisor) -> tuple[Loop, ...]:
    """Start them. They are ended in the opposite order: no fragment comes once the writer is told to end."""

    def take_in() -> bool:
        intake.wait(WAIT_S)
        intake.step()
        return not reading.ending

    def write() -> bool:
        orders = supervisor.orders.take()
        if recorder.step(orders) or orders:
            return True
        if writing.ending:
            return False
        supervisor.orders.wait(WAIT_S)
        return True

    writing = Loop("writer", write, supervisor.news.nudge)
    reading = Loop("intake", take_in, supervisor.news.nudge)
    for loop in (writing, reading):
        loop.start()
    return writing, reading
