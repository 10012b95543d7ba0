"""Writes tests/vectors/wire/: messages over MQTT 5, and one for each way to be wrong.

    index.json    each message: topic, user properties, the file of its payload, and what it means or why it is refused
    *.payload     the payloads

Nothing of agent/ takes part.

    python -m tests.vectors.make_wire [--check]
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.signed_json import base64_of, canonical, noise
from tests.support.vectors import run
from tests.vectors import entries_story
from tests.vectors.make_statement import DEV, JID, SESSION, digest

FOLDER = Path(__file__).parent / "wire"

STATUS: dict[str, object] = {
    "dev": DEV,
    "head": digest("head"),
    "jid": JID,
    "low": 3,
    "nonce": noise("nonce", 16).hex(),
    "seq": 41,
    "session": SESSION,
    "state": "docked",
    "typ": "temoin/status/1",
}
LINES = [entries_story.join(*parts) for parts in entries_story.journal()[2:6]]
FIRST = [["first", "2"], ["prev", json.loads(entries_story.journal()[2][0])["prev"]]]
CERTIFICATE = entries_story.dock_certificate()
CHAIN = base64_of(CERTIFICATE)
NOT_COUNT = "not an integer from 0 to 9007199254740991"
NOT_DECIMAL = "batch.first: not a number in decimal of 1 to 15 digits"
NOT_RANDOM = "not 128 bits in 32 lower-case hex digits"

Message = tuple[str, list[list[str]], bytes, dict[str, object]]


def status(**changed: object) -> bytes:
    """The payload, some fields changed; a field set to Ellipsis is left out."""
    return canonical({name: value for name, value in {**STATUS, **changed}.items() if value is not ...})


def of_status(payload: bytes, error: str | None = None) -> Message:
    return f"temoin/1/{DEV}/status", [], payload, {"error": error} if error else {"status": json.loads(payload)}


def of_journal(payload: bytes, properties: list[list[str]], error: str | None = None) -> Message:
    said: dict[str, object] = {"error": error} if error else {"first": 2, "prev": FIRST[1][1]}
    return f"temoin/1/{DEV}/journal", properties, payload, said


def of_dock(properties: list[list[str]], error: str | None = None) -> Message:
    said: dict[str, object] = {"error": error} if error else {"chain": properties[0][1].split(" ")}
    return f"temoin/1/{DEV}/dock", properties, b"", said


def of_topic(topic: str) -> Message:
    error = f"topic: {topic[:80]!r} is not temoin/1/<dev>/journal, dock or status"
    return topic, [], status(), {"error": error}


MESSAGES: dict[str, Message] = {
    "valid-status": of_status(status()),
    "valid-status-gone": of_status(status(state="gone")),
    "valid-status-one-entry": of_status(status(seq=0, low=0)),
    "valid-journal": of_journal(b"".join(LINES), FIRST),
    "valid-journal-other-properties": of_journal(b"".join(LINES), [["x", "1"], *reversed(FIRST)]),
    "valid-journal-largest": of_journal(b"x" * 262_143 + b"\n", FIRST),
    "valid-dock": of_dock([["chain", CHAIN]]),
    "valid-dock-four": of_dock([["chain", " ".join([CHAIN] * 4)]]),
    "status-empty": of_status(b"", "json: not JSON in UTF-8"),
    "status-space": of_status(
        status().replace(b",", b", ", 1), "json: not in the canonical encoding (keys sorted and once, no white space)"
    ),
    "status-field-missing": of_status(status(low=...), "status.low: missing"),
    "status-field-unknown": of_status(status(battery=80), "status: unknown field 'battery'"),
    "status-state": of_status(status(state="away"), "status.state: 'away' is none of docked, gone"),
    "status-type": of_status(status(typ="temoin/status/2"), "status.typ: 'temoin/status/2' is none of temoin/status/1"),
    "status-nonce-short": of_status(status(nonce="00"), f"status.nonce: {NOT_RANDOM}"),
    "status-session-null": of_status(status(session=None), f"status.session: {NOT_RANDOM}"),
    "status-seq-negative": of_status(status(seq=-1), f"status.seq: {NOT_COUNT}"),
    "status-low-after-the-last": of_status(status(low=42), "status.low: 42 is after the last entry, 41"),
    "status-too-long": of_status(
        status(dev="c" * 1100), f"json: {len(status(dev='c' * 1100))} bytes are more than 1024"
    ),
    "journal-empty": of_journal(b"", FIRST, "batch: 0 bytes, not 1 to 262144"),
    "journal-too-long": of_journal(b"x" * 262_144 + b"\n", FIRST, "batch: 262145 bytes, not 1 to 262144"),
    "journal-half-a-line": of_journal(LINES[0][:-1], FIRST, "batch: does not end with a whole line"),
    "journal-no-first": of_journal(LINES[0], FIRST[1:], "first: comes 0 times among the user properties, not once"),
    "journal-first-twice": of_journal(
        LINES[0], [FIRST[0], *FIRST], "first: comes 2 times among the user properties, not once"
    ),
    "journal-no-prev": of_journal(LINES[0], FIRST[:1], "prev: comes 0 times among the user properties, not once"),
    "journal-prev-capital": of_journal(
        LINES[0], [FIRST[0], ["prev", "A" * 64]], "batch.prev: not a SHA-256 in 64 lower-case hex digits"
    ),
    **{
        f"journal-first-{name}": of_journal(
            LINES[0],
            [["first", text], FIRST[1]],
            NOT_DECIMAL,
        )
        for name, text in {"leading-zero": "02", "negative": "-1", "plus": "+2", "space": " 2", "empty": ""}.items()
    },
    "journal-first-too-large": of_journal(LINES[0], [["first", "1" * 16], FIRST[1]], NOT_DECIMAL),
    "dock-no-chain": of_dock([], "chain: comes 0 times among the user properties, not once"),
    "dock-chain-empty": of_dock([["chain", ""]], "chain: 0 bytes, not 100 to 4096"),
    "dock-chain-of-five": of_dock([["chain", " ".join([CHAIN] * 5)]], "chain: more than 4 certificates"),
    "dock-chain-two-spaces": of_dock([["chain", f"{CHAIN}  {CHAIN}"]], "chain: 0 bytes, not 100 to 4096"),
    "dock-chain-not-base64": of_dock([["chain", "-" * 200]], "chain: not base64"),
    "topic-other-version": of_topic(f"temoin/2/{DEV}/status"),
    "topic-other-root": of_topic(f"/temoin/1/{DEV}/status"),
    "topic-no-channel": of_topic(f"temoin/1/{DEV}"),
    "topic-other-channel": of_topic(f"temoin/1/{DEV}/state"),
    "topic-deeper": of_topic(f"temoin/1/{DEV}/status/x"),
    "topic-wildcard": of_topic("temoin/1/+/status"),
    "topic-no-dev": of_topic("temoin/1//status"),
    "topic-dev-capital": of_topic("temoin/1/CAM/status"),
    "topic-dev-leaves": of_topic("temoin/1/../status"),
}


def generate() -> Mapping[str, bytes]:
    """Names of files to their bytes."""
    files = {f"{name}.payload": payload for name, (_, _, payload, _) in MESSAGES.items()}
    index = {
        name: {"topic": topic, "properties": properties, **said}
        for name, (topic, properties, _, said) in MESSAGES.items()
    }
    files["index.json"] = json.dumps(index, indent=1, sort_keys=True).encode() + b"\n"
    return files


if __name__ == "__main__":
    sys.exit(run(FOLDER, generate))
