"""A plugin of pytest's that says each step in report.py's form, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.vm import report


class Told:
    """`write` takes whole lines; `flush` sends them."""

    def __init__(self, write: Callable[[str], object], flush: Callable[[], None]) -> None:
        self._write = write
        self._flush = flush
        self._done: dict[str, report.Done] = {}

    def say(self, line: report.Line) -> None:
        self._write(report.encode(line))
        self._flush()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        for item in session.items:
            self.say(report.Collected(item.nodeid))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.say(report.Start(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Three times a test: setup, call, teardown. The worst of them is its outcome."""
        self._done[report.nodeid] = _joined(self._done.get(report.nodeid), report)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.say(self._done.pop(nodeid))


def _joined(before: report.Done | None, now: pytest.TestReport) -> report.Done:
    ms = round(now.duration * 1000)
    figures = {name: str(value) for name, value in now.user_properties}
    text = "" if now.passed else f"{now.when}: {now.longreprtext}"[-report.MAX_TEXT :]
    if before is None:
        return report.Done(now.nodeid, now.outcome, ms, text, figures)
    outcome = now.outcome if before.outcome == "passed" else before.outcome
    return report.Done(now.nodeid, outcome, before.ms + ms, before.text + text, figures)
