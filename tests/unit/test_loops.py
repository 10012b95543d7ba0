"""The small parts that the loops are made of: mailbox, battery rule, thread, the log's last words."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.battery import BatteryWatch
from agent.config import BatteryLevels
from agent.log_tail import MAX_BYTES, LogTail
from agent.mailbox import Mailbox
from agent.model import Battery
from agent.threads import Loop

LEVELS = BatteryLevels(warn_percent=(20, 10, 5), cut_off_percent=3)


@given(st.lists(st.sampled_from([0, 2, 5]) | st.none(), max_size=40))
def test_a_mailbox_keeps_order_leaves_slots_and_counts_what_it_refused(posts: list[int | None]) -> None:
    mailbox: Mailbox[int] = Mailbox(8)
    kept: list[int] = []
    refused = 0
    for number, leaving in enumerate(posts):
        if leaving is None:
            assert mailbox.take() == kept
            kept = []
            continue
        fits = len(kept) < 8 - leaving
        assert mailbox.has_room(leaving) is fits
        assert mailbox.post(number, leaving=leaving) is fits
        kept += [number] if fits else []
        refused += not fits
    assert mailbox.take() == kept
    assert mailbox.take() == []
    assert mailbox.refused == refused


def test_a_mailbox_wakes_its_taker() -> None:
    mailbox: Mailbox[int] = Mailbox(2)
    mailbox.post(1)
    mailbox.wait(60)  # returns at once
    mailbox.take()
    mailbox.nudge()
    mailbox.wait(60)
    assert mailbox.take() == []
    mailbox.wait(0)


@given(st.lists(st.integers(0, 100), max_size=30))
def test_the_battery_warns_when_a_level_is_reached_from_above(readings: list[int]) -> None:
    watch = BatteryWatch(LEVELS)
    before = 100
    for percent in readings:
        crossed = any(percent <= level < before for level in LEVELS.warn_percent)
        assert watch.take(Battery(percent)) is crossed
        assert watch.low is (percent <= 20)
        assert watch.empty is (percent <= 3)
        before = percent


def test_a_battery_that_is_charged_or_unreadable_is_not_empty() -> None:
    watch = BatteryWatch(LEVELS)
    watch.take(Battery(1, charging=True))
    assert not watch.empty
    assert watch.take(Battery(None)) is False
    assert not watch.low


def test_a_loop_tells_what_ended_it_and_wakes_who_checks() -> None:
    woken = threading.Event()

    def fail() -> bool:
        raise ZeroDivisionError

    loop = Loop("test", fail, woken.set)
    loop.check()
    loop.start()
    loop.join()
    assert woken.is_set()
    with pytest.raises(ZeroDivisionError):
        loop.check()


def test_a_loop_ends_when_its_turn_says_so() -> None:
    turns = 0

    def turn() -> bool:
        nonlocal turns
        turns += 1
        if turns == 3:
            loop.end()
        return not loop.ending

    loop = Loop("test", turn, lambda: None)
    loop.start()
    loop.join()
    assert turns == 3
    loop.check()


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (b"", ""),
        (b"\n\n", ""),
        (b"one\ntwo\n", "two"),
        (b"one\ntwo", "two"),
        (b"one\n  \n", "one"),
        (b"\x1b[31mred\xff\n", "\\x1b[31mred\ufffd"),
        (b"x" * 2 * MAX_BYTES + b"\nlast\n", "last"),
    ],
)
def test_the_last_words_are_those_that_were_added(tmp_path: Path, added: bytes, said: str) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"of the run before\n")
    tail = LogTail(file)
    assert tail.last_line() == ""
    with file.open("ab") as opened:
        opened.write(added)
    assert tail.last_line() == said


def test_no_log_no_words(tmp_path: Path) -> None:
    assert LogTail(tmp_path / "none").last_line() == ""
