"""Threads that run a loop each, and do not die in silence."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Loop(threading.Thread):
    """Calls `turn` until it returns False or `end` was called. What `turn` raises is kept for `check`.

    `failed` is called after that, from this thread: to wake whoever checks.
    """

    def __init__(self, name: str, turn: Callable[[], bool], failed: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._turn = turn
        self._failed = failed
        self._error: BaseException | None = None
        self._ending = threading.Event()

    @property
    def ending(self) -> bool:
        """`end` was called."""
        return self._ending.is_set()

    def run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            self._error = error
            self._failed()

    def end(self) -> None:
        """Ask it to end with its next turn; `turn` looks at `ending`."""
        self._ending.set()

    def check(self) -> None:
        """Raise what ended the loop, if something did: a defect takes the whole agent down, and it starts again."""
        if self._error is not None:
            raise self._error
