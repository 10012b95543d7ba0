"""The capture process as the agent sees it: its socket, its exit codes, its one line."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import CaptureError, PipeError
from agent.formats import mp4, pipe
from hw.capture.footage import Footage
from hw.capture.inbox import Inbox
from hw.capture.main import main, serve
from hw.capture.muxer import Muxer
from hw.capture.source import Ended, Look, Packet, Post, SoundBlock
from tests.support.capture import SOUND, VIDEO, JumpingPacer, film
from tests.support.footage import make_footage

BOARD = Path(__file__).parents[2] / "hw" / "boards" / "sim.toml"


class Script:
    """A source that posts what it was given, all at once."""

    def __init__(self, packets: list[Packet]) -> None:
        self._packets = packets
        self.stopped = False
        self.percents: list[int] = []

    def film_at(self, percent: int) -> None:
        self.percents.append(percent)
        if percent < 10:
            raise CaptureError("encoder", "refuses", "restart the board")

    def start(self, post: Post) -> None:
        for packet in self._packets:
            post(packet)

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture(scope="module")
def packets(tmp_path_factory: pytest.TempPathFactory) -> list[Packet]:
    path = make_footage(tmp_path_factory.mktemp("main") / "film.mp4", frames=101, beeps=True)
    return film(Footage(path, VIDEO, SOUND, JumpingPacer()), 101)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The agent's end, and the capture's end, which Serving closes."""
    agent, capture = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    agent.settimeout(20)
    with agent:
        yield agent, capture


def read_exactly(agent: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = agent.recv(length - len(data))
        if not piece:
            raise EOFError
        data += piece
    return bytes(data)


def read_frame(agent: socket.socket) -> tuple[pipe.Header, bytes]:
    header = pipe.parse_header(read_exactly(agent, pipe.HEADER_BYTES))
    return header, read_exactly(agent, header.length)


def read_part(agent: socket.socket) -> tuple[pipe.Header, bytes]:
    """The next init or fragment."""
    header, data = read_frame(agent)
    while isinstance(header, pipe.ObservationHeader):
        header, data = read_frame(agent)
    return header, data


class Serving(threading.Thread):
    """serve() beside the test, which plays the agent."""

    def __init__(self, capture: socket.socket, source: Script) -> None:
        super().__init__(daemon=True)
        self._capture, self._source = capture, source
        self.raised: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            serve(self._capture, self._source, Muxer(VIDEO, SOUND), Inbox(10_000))
        except (CaptureError, PipeError) as error:
            self.raised = error
        finally:
            self._capture.close()


def test_an_init_then_every_gop_then_its_error(
    packets: list[Packet], ends: tuple[socket.socket, socket.socket]
) -> None:
    agent, capture = ends
    source = Script([*packets, Ended(CaptureError("film", "is over"))])
    serving = Serving(capture, source)
    header, data = read_part(agent)
    assert isinstance(header, pipe.InitHeader)
    init = mp4.parse_init(memoryview(data))
    frames = 0
    for _ in range(5):
        header, data = read_part(agent)
        assert isinstance(header, pipe.FragmentHeader)
        runs = mp4.parse_fragment(memoryview(data), init)
        assert len(runs[0].samples) == header.frames
        frames += header.frames
    assert frames == 101
    with pytest.raises(EOFError):
        read_part(agent)
    serving.join(60)
    assert str(serving.raised) == "film: is over"
    assert source.stopped


def test_each_look_is_sent_with_what_was_heard_since_the_one_before(ends: tuple[socket.socket, socket.socket]) -> None:
    agent, capture = ends
    loud, missing = b"\xe8\x03\x18\xfc", SoundBlock(13, b"\xff\x7f", heard=False)
    looks = [Look(number, 90, 40, 900, 33_000, None) for number in (10, 12, 14)]
    packets: list[Packet] = [looks[0], SoundBlock(11, loud, heard=True), looks[1], missing, looks[2]]
    Serving(capture, Script(packets))
    heard = [(False, 0, 0, 0), (True, 1000, 1000, 0), (False, 0, 0, 0)]
    for each, (there, peak, rms, clipped) in zip(looks, heard, strict=True):
        header, data = read_frame(agent)
        assert header == pipe.ObservationHeader()
        expected = pipe.Observation(each.boot_ns, 90, 40, 900, 33_000, None, there, peak, rms, clipped, 0)
        assert pipe.parse_observation(data) == expected


def test_a_film_is_observed_each_second(packets: list[Packet], ends: tuple[socket.socket, socket.socket]) -> None:
    agent, capture = ends
    Serving(capture, Script([*packets, Ended(CaptureError("film", "is over"))]))
    seen = list[pipe.Observation]()
    with contextlib.suppress(EOFError):
        while True:
            header, data = read_frame(agent)
            if isinstance(header, pipe.ObservationHeader):
                seen.append(pipe.parse_observation(data))
    assert [each.heard for each in seen] == [False, True, True, True]
    assert all(each.peak > 10_000 for each in seen[1:])
    assert all(each.luma > 50 and each.contrast > 30 and each.sharpness > 1_000 for each in seen)


def test_it_ends_when_the_agent_does(packets: list[Packet], ends: tuple[socket.socket, socket.socket]) -> None:
    agent, capture = ends
    source = Script(packets)
    serving = Serving(capture, source)
    read_part(agent)
    agent.close()
    serving.join(60)
    assert not serving.is_alive()
    assert serving.raised is None
    assert source.stopped


def test_it_ends_when_the_agent_does_and_the_source_is_silent(
    packets: list[Packet], ends: tuple[socket.socket, socket.socket]
) -> None:
    agent, capture = ends
    serving = Serving(capture, Script(packets[:3]))
    read_part(agent)
    agent.close()
    serving.join(60)
    assert not serving.is_alive()


def test_a_command_in_pieces_is_obeyed(packets: list[Packet], ends: tuple[socket.socket, socket.socket]) -> None:
    agent, capture = ends
    command = pipe.pack_sound(on=False)
    agent.send(command[:3])
    agent.send(command[3:])
    Serving(capture, Script([*packets, Ended(CaptureError("film", "is over"))]))
    read_part(agent)
    headers = [read_part(agent)[0] for _ in range(4)]
    assert [header.sound for header in headers if isinstance(header, pipe.FragmentHeader)] == [False] * 4


def test_a_rate_is_passed_on_to_the_source(packets: list[Packet], ends: tuple[socket.socket, socket.socket]) -> None:
    agent, capture = ends
    agent.send(pipe.pack_rate(70) + pipe.pack_rate(50))
    source = Script([*packets, Ended(CaptureError("film", "is over"))])
    serving = Serving(capture, source)
    while not isinstance(read_part(agent)[0], pipe.FragmentHeader):
        pass
    agent.close()
    serving.join(60)
    assert source.percents == [70, 50]


def test_an_agent_that_breaks_the_protocol_is_named(
    packets: list[Packet], ends: tuple[socket.socket, socket.socket]
) -> None:
    agent, capture = ends
    agent.send(b"TMNC\x02\x01\x01\x00")
    serving = Serving(capture, Script(packets))
    serving.join(60)
    assert isinstance(serving.raised, PipeError)
    assert serving.raised.where == "version"


def test_a_rate_that_is_refused_costs_no_picture(
    packets: list[Packet], ends: tuple[socket.socket, socket.socket], capsys: pytest.CaptureFixture[str]
) -> None:
    agent, capture = ends
    agent.send(pipe.pack_rate(9))
    source = Script([*packets, Ended(CaptureError("film", "is over"))])
    serving = Serving(capture, source)
    parts = [read_part(agent)[0] for _ in range(6)]
    serving.join(60)
    assert source.percents == [9]
    assert sum(header.frames for header in parts if isinstance(header, pipe.FragmentHeader)) == 101
    said = "capture: encoder: refuses; restart the board; filming goes on at the rate before\n"
    assert capsys.readouterr().err == said


def run_main(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    return code, capsys.readouterr().err


def test_wrong_footage_is_one_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "missing.mp4"
    code, said = run_main(capsys, "--socket", "/none", "--board", str(BOARD), "--footage", str(missing))
    assert (code, said) == (1, f"capture: {missing}: is not a file; give a video file\n")


def test_no_agent_is_one_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, where = make_footage(tmp_path / "film.mp4", frames=3), tmp_path / "socket"
    code, said = run_main(capsys, "--socket", str(where), "--board", str(BOARD), "--footage", str(path))
    assert code == 1
    problem = "nobody listens there (No such file or directory)"
    assert said == f"capture: {where}: {problem}; start the agent first: temoin run\n"


def test_a_wrong_board_file_is_one_line_and_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = tmp_path / "board.toml"
    board.write_text("colour = 1\n")
    code, said = run_main(capsys, "--socket", "/none", "--board", str(board), "--footage", "film.mp4")
    assert code == 1
    assert said.startswith(f"capture: {board}")
    assert said.count("\n") == 1


def test_a_simulated_board_needs_footage(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = run_main(capsys, "--socket", "/none", "--board", str(BOARD))
    assert (code, said) == (1, "capture: --footage: the simulated board sim has no camera; give a video file\n")


def test_a_real_board_plays_no_footage(capsys: pytest.CaptureFixture[str]) -> None:
    board = BOARD.with_name("pi5.toml")
    code, said = run_main(capsys, "--socket", "/none", "--board", str(board), "--footage", "film.mp4")
    assert (code, said) == (1, "capture: --footage: the board pi5 films with its camera; leave it out\n")


def test_a_wrong_command_line_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--footage", "film.mp4"])
    assert raised.value.code == 2
    assert "--socket" in capsys.readouterr().err


@pytest.mark.parametrize(("board", "footage"), [("sim.toml", "film.mp4"), ("pi5.toml", None)])
def test_it_loads_what_it_films_with_and_nothing_else(board: str, footage: str | None, tmp_path: Path) -> None:
    path = None if footage is None else make_footage(tmp_path / footage, frames=3)
    program = f"""
import sys
from pathlib import Path
from agent.config import load_board
from hw.capture.main import BootClock, source_of
source_of(load_board(Path({str(BOARD.with_name(board))!r})), {f"Path({str(path)!r})" if path else None}, BootClock())
print(*sorted(name for name in sys.modules if name.startswith(("hw.capture.", "picamera2", "libcamera"))))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = {name.removeprefix("hw.capture.") for name in done.stdout.split()}
    film, camera = {"footage", "fitter"}, {"camera", "picamera", "microphone", "alsa"}
    assert loaded & (film | camera | {"picamera2", "libcamera"}) == (film if footage else camera)


def test_it_loads_nothing_of_the_agent_but_errors_configuration_and_formats() -> None:
    program = "import sys, hw.capture.main; print(*sorted(name for name in sys.modules if name.startswith('agent')))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    names = ("board_parts", "config", "errors", "formats", "health", "local_socket", "model", "ports", "toml_table")
    allowed = {"agent", *(f"agent.{name}" for name in names)}
    formats = {f"agent.formats.{name}" for name in ("boxes", "mp4", "pipe", "tracks")}
    assert set(done.stdout.split()) <= allowed | formats
    heavy = subprocess.run(
        [sys.executable, "-c", program.replace("'agent'", "'cryptography'")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert heavy.stdout.strip() == ""
