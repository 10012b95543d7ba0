"""What a command says when it ends, and how it asks for a passphrase, on a real terminal."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import ConfigError, KeyFileError
from agent.terminal import INTERRUPTED, PIPE_CLOSED, printable, run
from firmware.passphrase import MIN_CHARACTERS, choose_passphrase
from tests.support.terminal import Ended, run_on_terminal

SECRET = "correct horse battery"
ROOT = Path(__file__).parents[2]
ASK = "from agent.terminal import *; run('ask', lambda: print(repr(ask_passphrase('Say it: '))) or 0)"
CHOOSE = "import sys; from firmware.passphrase import *; from agent.terminal import run;"
CHOOSE += "sys.exit(run('choose', lambda: print(len(choose_passphrase('the mayor'))) or 0))"


def raising(error: BaseException) -> Callable[[], int]:
    def main() -> int:
        raise error

    return main


def test_an_error_on_purpose_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError("a\nfile\x1b[2J\u202e.toml", "is wrong", "correct it")
    assert run("temoin-fleet", raising(error)) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err == "temoin-fleet: a file\\x1b[2J\\u202e.toml: is wrong; correct it\n"


def test_the_code_of_the_command_is_handed_on() -> None:
    assert run("x", lambda: 0) == 0
    assert run("x", lambda: 2) == 2


def test_an_interrupt_is_said_and_a_defect_keeps_its_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("temoin", raising(KeyboardInterrupt())) == INTERRUPTED
    assert capsys.readouterr().err == "temoin: interrupted\n"
    with pytest.raises(ZeroDivisionError):
        run("temoin", lambda: 1 // 0)


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    code = "from agent.terminal import run; import sys; sys.exit(run('x', lambda: sys.stdout.write('y' * 100000) * 0))"
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() == PIPE_CLOSED


def test_printable_leaves_french_alone() -> None:
    assert printable("évidence d’été: 7 €") == "évidence d’été: 7 €"
    assert printable("\udcff\t\x7f") == "\\udcff\\t\\x7f"


def on_terminal(program: str, *answers: bytes, prompt: bytes = b": ") -> Ended:
    return run_on_terminal(["-c", program], answers, prompt, ROOT)


def test_a_passphrase_is_read_without_echo_whatever_it_holds() -> None:
    typed = " é€ spaces \\ and ' quotes "
    ended = on_terminal(ASK, typed.encode() + b"\n")
    assert ended.stdout == repr(typed) + "\n"
    assert ended.shown == "Say it: \r\n"
    assert ended.stderr == ""


@pytest.mark.parametrize(
    ("typed", "said"),
    [(b"\xff\xfe\n", "it is not UTF-8 text"), (b"\x04", "the terminal was closed before its end")],
)
def test_what_is_no_passphrase(typed: bytes, said: str) -> None:
    ended = on_terminal(ASK, typed)
    assert ended.stderr.startswith(f"ask: passphrase: {said}; ")
    assert ended.stdout == ""


def test_without_a_terminal_it_is_refused_whatever_the_pipe_says() -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHOOSE],
        input=f"{SECRET}\n{SECRET}\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        start_new_session=True,  # no controlling terminal, wherever these tests run
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "choose: passphrase: there is no terminal to ask for it; run it from a terminal: a passphrase is never an"
        " argument, the environment or a pipe\n"
    )


def test_a_new_passphrase_is_typed_twice_and_never_shown() -> None:
    line = SECRET.encode() + b"\n"
    ended = on_terminal(CHOOSE, b"short\n", line, line[:-2] + b"x\n", line, line)
    assert (ended.code, ended.stdout, ended.stderr) == (0, f"{len(SECRET)}\n", "")
    assert ended.shown.count("New passphrase of the mayor, at least 12 characters") == 3
    assert ended.shown.count("The same again") == 2
    for secret in (SECRET, "short", "correct"):
        assert secret not in ended.shown


@pytest.mark.parametrize(
    ("answers", "chosen"),
    [
        (["a" * MIN_CHARACTERS] * 2, True),
        (["a" * (MIN_CHARACTERS - 1)] * 3, False),
        (["é" * MIN_CHARACTERS] * 2, True),
        (["a tab\tin the middle"] * 3, False),
        ([SECRET, "x" + SECRET] * 3, False),
        (["", "", SECRET, SECRET], True),
    ],
)
def test_three_attempts_at_a_good_one(answers: list[str], chosen: bool) -> None:
    left = list(answers)
    if chosen:
        assert choose_passphrase("x", lambda _prompt: left.pop(0)) == answers[-1]
    else:
        with pytest.raises(KeyFileError) as caught:
            choose_passphrase("x", lambda _prompt: left.pop(0))
        assert not any(answer in str(caught.value) for answer in answers)
    assert left == []
