"""What `temoin sim` may say, and what its socket does with everything else."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError, FormatError
from hw.sim.control import ACTIONS, MAX_LINE_BYTES, SOCKET, Action, Control, parse, send

WITH_VALUE = {name: allowed for name, allowed in ACTIONS.items() if allowed is not None}


@pytest.mark.parametrize("name", [name for name, allowed in ACTIONS.items() if allowed is None])
def test_actions_without_a_value_take_none(name: str) -> None:
    assert parse([name]) == Action(name)
    with pytest.raises(FormatError, match=f"{name}: takes no value"):
        parse([name, "1"])


@pytest.mark.parametrize("name", WITH_VALUE)
def test_values_within_their_range_and_no_others(name: str) -> None:
    least, most, _ = WITH_VALUE[name]
    for value in (least, most):
        assert parse([name, str(value)]) == Action(name, value)
    for value in (least - 1, most + 1):
        with pytest.raises(FormatError, match=f"{name}: '{value}' is not a whole number of .*; give one value, "):
            parse([name, str(value)])


@pytest.mark.parametrize("value", ["", "+5", "05", "5.0", " 5", "5 ", "５", "-0", "1_0", "0x5", "five", "9" * 5000])
def test_a_value_has_one_spelling(value: str) -> None:
    with pytest.raises(FormatError, match="battery: "):
        parse(["battery", value])


@pytest.mark.parametrize("words", [[], [""], ["Press"], ["pres"], ["press "], ["battery"], ["battery", "5", "6"]])
def test_anything_else_is_refused_with_a_remedy(words: list[str]) -> None:
    with pytest.raises(FormatError, match="; give one"):
        parse(words)


@given(st.lists(st.text(max_size=8), max_size=3))
def test_what_is_accepted_says_the_same_again(words: list[str]) -> None:
    try:
        action = parse(words)
    except FormatError:
        return
    assert words == ([action.name] if ACTIONS[action.name] is None else [action.name, str(action.value)])


class Board:
    """Notes what it is told; `release` is not possible, `power-cut` ends the connection without an answer."""

    def __init__(self) -> None:
        self.told: list[Action] = []

    def perform(self, action: Action) -> None:
        self.told.append(action)
        if action.name == "release":
            raise FormatError("release", "the button\tis not\ndown", "press it first")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Deeper than the 107 bytes of a socket's name."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    return folder


@pytest.fixture
def board(run: Path) -> Iterator[Board]:
    found = Board()
    control = Control(run, found.perform, lambda: None)
    control.start()
    yield found
    control.close()
    assert not (run / SOCKET).exists()


def test_an_action_reaches_the_board_and_is_answered(run: Path, board: Board) -> None:
    assert send(run, "battery", ["17"]) == "ok"
    assert send(run, "press", []) == "ok"
    assert board.told == [Action("battery", 17), Action("press")]


def test_what_is_not_possible_now_is_the_clients_error(run: Path, board: Board) -> None:
    with pytest.raises(FormatError, match=r"^release: the button is not down; press it first$"):
        send(run, "release", [])


def test_nonsense_never_leaves_the_client(run: Path, board: Board) -> None:
    with pytest.raises(FormatError, match="action: 'dance' is not an action"):
        send(run, "dance", [])
    assert board.told == []


def test_nobody_there_is_one_line_with_a_remedy(run: Path) -> None:
    with pytest.raises(ConfigError, match=r"nobody listens there .*; start the agent first: temoin run"):
        send(run, "press", [])
    with pytest.raises(ConfigError, match="nobody listens there"):
        send(run / "missing", "press", [])


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"press\n", b"ok\n"),
        (b"press\npress\n", b"error\taction\t"),
        (b"press", b"error\taction\t"),
        (b"\n", b"error\taction\t"),
        (b"", b"error\taction\t"),
        (b"press \n", b"error\tpress\ttakes no value\t"),
        (b"press\r\n", b"error\taction\t"),
        (b"\xff\xfe\n", b"error\taction\t"),
        (b"battery 1\t2\n", b"error\tbattery\t'1\\t2' is not"),
        (b"x" * MAX_LINE_BYTES, b"error\taction\t"),
    ],
)
def test_the_board_answers_nonsense_with_one_line_and_goes_on(
    run: Path, board: Board, said: bytes, answer: bytes
) -> None:
    with talk(run) as client:
        client.sendall(said)
        client.shutdown(socket.SHUT_WR)
        received = receive(client)
    assert received.startswith(answer)
    assert received.count(b"\n") == 1
    assert send(run, "press", []) == "ok"


def test_a_client_that_leaves_costs_nothing(run: Path, board: Board) -> None:
    talk(run).close()
    assert send(run, "press", []) == "ok"


def test_a_killed_agents_socket_is_replaced(run: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left, name_in(run) as name:
        left.bind(name)
    control = Control(run, Board().perform, lambda: None)
    control.start()
    assert send(run, "press", []) == "ok"
    control.close()


def test_the_power_is_cut_without_an_answer(run: Path) -> None:
    """The process is gone before it can answer: for that action this is the answer."""
    with socket.socket(socket.AF_UNIX) as listener, name_in(run) as name:
        listener.bind(name)
        listener.listen(2)
        listener.settimeout(5)

        def hang_up() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                connection.recv(100)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        assert send(run, "power-cut", []) == "ok"
        with pytest.raises(ConfigError, match="ended without an answer"):
            send(run, "press", [])
        thread.join()


def test_a_tap_is_let_go_of_when_its_time_has_come(run: Path) -> None:
    """The thread asks again after as long as it was told, without any action."""
    waits: list[float | None] = [0.0, 0.0, None]
    done = threading.Event()

    def step() -> float | None:
        wait = waits.pop(0)
        if wait is None:
            done.set()
        return wait

    control = Control(run, Board().perform, step)
    control.start()
    assert done.wait(5)
    control.close()


@contextlib.contextmanager
def name_in(run: Path) -> Iterator[str]:
    folder = os.open(run, os.O_PATH)
    yield f"/proc/self/fd/{folder}/{SOCKET}"
    os.close(folder)


def talk(run: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(5)
    with name_in(run) as name:
        client.connect(name)
    return client


def receive(client: socket.socket) -> bytes:
    found = b""
    while more := client.recv(1000):
        found += more
    return found
