"""What every Capture does, whether the agent is its parent or may only ask for it."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent import local_socket
from agent.errors import CaptureError
from hw.capture_service import KILL_WITHIN_S
from tests.support.capture_ways import WITHIN_S, Filming, MakeFilming, Serviced

LAST_WORDS = "capture: no more film"


@pytest.fixture(params=[Filming, Serviced])
def filming(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Filming]:
    make: MakeFilming = request.param
    made = make(tmp_path)
    yield made
    made.close()


@pytest.fixture
def serviced(tmp_path: Path) -> Iterator[Serviced]:
    made = Serviced(tmp_path)
    yield made
    made.close()


def wait_until(true: Callable[[], bool]) -> None:
    ends = time.monotonic() + WITHIN_S
    while not true():
        assert time.monotonic() < ends, "in vain"
        time.sleep(0.002)


def test_it_runs_from_start_to_kill(filming: Filming) -> None:
    capture = filming.capture()
    assert not capture.alive()
    assert capture.last_words() == ""
    capture.start()
    assert capture.alive()
    process = filming.connected()
    assert process.delivers()
    assert capture.alive()
    capture.kill()
    assert not capture.alive()
    assert process.over(), "killed means that nothing more comes"
    capture.kill()
    capture.start()
    assert filming.connected().pid != process.pid


def test_a_process_that_is_stopped_is_killed_too(filming: Filming) -> None:
    capture = filming.capture()
    capture.start()
    process = filming.connected()
    os.kill(process.pid, signal.SIGSTOP)
    assert capture.alive()
    capture.kill()
    assert process.over()


def test_a_second_start_changes_nothing(filming: Filming) -> None:
    capture = filming.capture()
    capture.start()
    capture.start()
    process = filming.connected()
    capture.start()
    assert not process.over()
    assert filming.nobody()
    capture.kill()
    assert filming.nobody(), "there never was a second one"


def test_one_that_ends_by_itself_is_not_alive_and_its_last_words_are_there(filming: Filming) -> None:
    filming.fail(f"a first line\n{LAST_WORDS}\n\n")
    capture = filming.capture()
    capture.start()
    wait_until(lambda: not capture.alive())
    assert capture.last_words() == LAST_WORDS
    filming.fails.unlink()
    capture.start()
    assert filming.connected().delivers()
    assert capture.last_words() == LAST_WORDS, "until there are others"


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_one_that_is_killed_by_somebody_else_is_not_alive(filming: Filming, last: signal.Signals) -> None:
    capture = filming.capture()
    capture.start()
    process = filming.connected()
    os.kill(process.pid, last)
    wait_until(lambda: not capture.alive())
    capture.start()
    assert filming.connected().pid != process.pid


def test_what_an_earlier_agent_left_behind_ends_before_the_next_one_begins(filming: Filming) -> None:
    filming.capture().start()
    left = filming.connected()
    os.kill(left.pid, signal.SIGSTOP)
    filming.capture().start()
    process = filming.connected()
    assert process.pid != left.pid
    assert left.over()
    assert process.delivers()


def test_last_words_obey_no_terminal(filming: Filming) -> None:
    filming.fail("\x1b[2Jcapture: \u202egone")
    capture = filming.capture()
    capture.start()
    wait_until(lambda: not capture.alive())
    assert capture.last_words() == r"\x1b[2Jcapture: \u202egone"


def test_a_flood_of_words_stops_nobody(filming: Filming) -> None:
    filming.fail("many words\n" * 100_000 + LAST_WORDS)
    capture = filming.capture()
    capture.start()
    wait_until(lambda: not capture.alive())
    assert capture.last_words(), "those that it could take"


def test_the_agent_s_end_is_the_end_of_capture(serviced: Serviced) -> None:
    """As the kernel closes it for an agent that is killed."""
    with local_socket.connect(serviced.start_socket):
        process = serviced.connected()
        os.kill(process.pid, signal.SIGSTOP)
    wait_until(process.over)


def test_an_agent_that_does_not_listen_is_no_hindrance(serviced: Serviced) -> None:
    serviced.fail("many words\n" * 100_000)
    with local_socket.connect(serviced.start_socket) as left:
        poll = select.poll()
        poll.register(left, select.POLLRDHUP)
        assert poll.poll(WITHIN_S * 1000), "the process could say all of it, and has ended"


def test_what_a_process_said_at_its_end_is_there_whenever_the_service_has_the_time_to_read_it(
    serviced: Serviced,
) -> None:
    capture = serviced.capture()
    capture.start()
    process = serviced.connected()
    serviced.service.send_signal(signal.SIGSTOP)
    serviced.fail("many words\n" * 3000 + LAST_WORDS)
    wait_until(process.ended)
    serviced.service.send_signal(signal.SIGCONT)
    wait_until(lambda: not capture.alive())
    assert capture.last_words() == LAST_WORDS


def test_without_the_service_capture_cannot_be_started(serviced: Serviced) -> None:
    capture = serviced.capture()
    capture.start()
    process = serviced.connected()
    serviced.service.kill()
    serviced.service.wait()
    wait_until(lambda: not capture.alive())
    with pytest.raises(CaptureError, match=r"start\.sock: nobody listens there .*temoin-capture\.socket"):
        capture.start()
    assert not capture.alive()
    os.kill(process.pid, signal.SIGKILL)  # as systemd does with what is left of a service


def test_a_service_that_hangs_delays_nobody(serviced: Serviced) -> None:
    capture = serviced.capture()
    capture.start()
    left = serviced.connected()
    serviced.service.send_signal(signal.SIGSTOP)
    began = time.monotonic()
    assert capture.alive()
    assert capture.last_words() == ""
    capture.kill()
    assert not capture.alive()
    capture.start()
    assert KILL_WITHIN_S <= time.monotonic() - began < KILL_WITHIN_S + 5
    serviced.service.send_signal(signal.SIGCONT)
    process = serviced.connected()
    assert left.over(), "the service keeps the order that it was told in"
    assert process.delivers()
