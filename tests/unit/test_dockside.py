"""The thread that docks: what it loads and when, and that nothing of it can harm the agent."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from agent.docking import Neighbours
from agent.dockside import Dockside
from agent.errors import KeyFileError
from agent.formats.canonical import Value

NETWORK = (
    "paho",
    "ssl",
    "http",
    "urllib.request",
    "agent.sync",
    "agent.session",
    "agent.docking",
    "agent.adapters.mqtt",
)


def test_the_agent_loads_nothing_of_a_docking_before_the_first_contact() -> None:
    script = f"import sys, agent.__main__; print(*[name for name in {NETWORK} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


class Alerts:
    """What was alerted, and when the first one came."""

    def __init__(self) -> None:
        self.causes: list[str] = []
        self.came = threading.Event()

    def __call__(self, cause: str, values: dict[str, Value], remedy: str) -> None:
        self.causes.append(cause)
        self.came.set()


@pytest.mark.parametrize(("error", "tries"), [(KeyFileError("key", "is gone"), 2), (RuntimeError("a defect"), 1)])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_goes_wrong_is_an_alert_and_the_end_of_that_docking(error: Exception, tries: int) -> None:
    def needed() -> Neighbours:
        raise error

    alerts = Alerts()
    dockside = Dockside(needed, lambda: 0, alerts)
    for number in range(2):
        alerts.came.clear()
        dockside.contact(True)
        assert alerts.came.wait(10 if number < tries else 0.2) == (number < tries)
        dockside.contact(False)
    dockside.close()
    assert alerts.causes == ["docking_failed"] * tries


def test_without_a_contact_nothing_begins() -> None:
    alerts = Alerts()
    asked: list[int] = []

    def needed() -> Neighbours:
        asked.append(1)
        raise KeyFileError("key", "is gone")

    dockside = Dockside(needed, lambda: 0, alerts)
    dockside.contact(False)
    dockside.close()
    assert asked == []
    assert alerts.causes == []
