"""What the machine's lines amount to: a table of tests and figures, and what is wrong.

Guarantees: a test that was wanted and did not come back, was skipped, or came back from nowhere is a fault; so is a
machine that did not say `end`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from tests.vm.report import Begin, Collected, Done, End, Line, Start


class Heard:
    """Everything that was said, in its order."""

    def __init__(self, wanted: Sequence[str]) -> None:
        self._wanted = list(wanted)
        self.began: Begin | None = None
        self.end: End | None = None
        self.collected: list[str] = []
        self.running: str | None = None
        self.done: list[Done] = []

    def take(self, line: Line) -> None:
        """One line, whatever came before."""
        match line:
            case Begin():
                self.began = line
            case Collected():
                self.collected.append(line.test)
            case Start():
                self.running = line.test
            case Done():
                self.running = None
                self.done.append(line)
            case End():
                self.end = line

    def faults(self) -> list[str]:
        """Each in one line or more; none: all that was wanted has passed."""
        found: list[str] = []
        if self.began is None:
            return ["the machine did not begin: see console.log"]
        if self.collected != self._wanted:
            differ = sorted(set(self.collected) ^ set(self._wanted))
            found.append(f"other tests than were wanted: {', '.join(differ[:5]) or 'in another order'}")
        if self.running is not None:
            found.append(f"{self.running}: was running when the machine ended")
        times = Counter(done.test for done in self.done)
        found += [f"{test}: came back {times[test]} times" for test in self._wanted if times[test] != 1]
        found += [f"{done.test}: {done.outcome}\n{done.text}" for done in self.done if done.outcome != "passed"]
        if self.end is None:
            found.append("the machine did not come to its end")
        elif self.end.code != 0 and not found:
            found.append(f"pytest ended with {self.end.code}")
        return found

    def table(self) -> str:
        """The tests by their file, then what was measured."""
        files = Counter(done.test.split("::", 1)[0] for done in self.done if done.outcome == "passed")
        spent = Counter[str]()
        for done in self.done:
            spent[done.test.split("::", 1)[0]] += done.ms
        rows = [(name, f"{files[name]} passed", f"{spent[name] / 1000:.1f} s") for name in spent]
        rows += [(name, value, "") for done in self.done for name, value in done.figures.items()]
        width = max((len(row[0]) for row in rows), default=0)
        return "\n".join(f"{name:{width}}  {value}  {last}".rstrip() for name, value, last in rows)
