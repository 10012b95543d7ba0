"""A new passphrase, asked for twice on the terminal of its holder.

Guarantees: nothing shorter than MIN_CHARACTERS and nothing mistyped becomes a passphrase; it comes from the terminal
only (agent/terminal.py) and stands in no error.
"""

from __future__ import annotations

from collections.abc import Callable

from agent.errors import KeyFileError
from agent.terminal import ask_passphrase

MIN_CHARACTERS = 12  # with ROUNDS of PBKDF2 or age's scrypt behind it, beyond guessing if it is words drawn at random
_ATTEMPTS = 3


def choose_passphrase(whose: str, ask: Callable[[str], str] = ask_passphrase) -> str:
    """The passphrase that its holder typed twice the same. Raises KeyFileError after three attempts."""
    for attempt in range(1, _ATTEMPTS + 1):
        again = "" if attempt == 1 else f" (attempt {attempt} of {_ATTEMPTS})"
        first = ask(f"New passphrase of {whose}, at least {MIN_CHARACTERS} characters{again}: ")
        if len(first) < MIN_CHARACTERS or not first.isprintable():
            continue
        if ask(f"The same again, for {whose}: ") == first:
            return first
    raise KeyFileError(
        f"passphrase of {whose}",
        f"not typed twice the same, printable and with at least {MIN_CHARACTERS} characters",
        "start again; six words drawn at random are a good one",
    )
