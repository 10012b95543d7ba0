"""Between the capture process and the agent: passes everything on, and copies what capture sends into a file.

`python -m tests.kills.tap FILE COMMAND...`: COMMAND is the capture process's; its `--socket S` is the agent's. The file
is appended to, before the agent gets the bytes: whatever was in the ring is in it.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from agent import local_socket
from agent.errors import PipeError
from agent.formats import pipe

PIECE_BYTES = 1 << 16


def main(arguments: list[str]) -> int:
    """Runs until either side ends; the exit code of the capture process."""
    copy, command = Path(arguments[0]), arguments[1:]
    place = command.index("--socket") + 1
    own = copy.with_name(f"{copy.name}.sock")
    listener = local_socket.listen(own)
    listener.setblocking(True)
    command[place], agent_path = str(own), Path(command[place])
    agent = local_socket.connect(agent_path)
    agent.settimeout(None)
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    listener.settimeout(20)
    capture, _ = listener.accept()
    capture.settimeout(None)
    descriptor = os.open(copy.with_name(f"{copy.name}.{os.getpid()}"), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    while True:
        ready, _, _ = select.select([capture, agent], [], [])
        for source, target in ((capture, agent), (agent, capture)):
            if source in ready and not _pass_on(source, target, descriptor if source is capture else None):
                process.kill()
                return process.wait()


def _pass_on(source: socket.socket, target: socket.socket, descriptor: int | None) -> bool:
    try:
        data = source.recv(PIECE_BYTES)
        if descriptor is not None and data:
            os.write(descriptor, data)
        target.sendall(data)
    except OSError:
        return False
    return bool(data)


def payloads(copy: Path) -> Iterator[bytes]:
    """The payload of every `mdat` that went through, of all taps of this name; what was cut off at the end too."""
    for path in sorted(copy.parent.glob(f"{copy.name}.[0-9]*")):
        data = path.read_bytes()
        offset = 0
        while offset + pipe.HEADER_BYTES <= len(data):
            frame = pipe.parse_header(data[offset : offset + pipe.HEADER_BYTES])
            offset += pipe.HEADER_BYTES
            part = data[offset : offset + frame.length]
            offset += frame.length
            if isinstance(frame, pipe.FragmentHeader):
                yield part[_mdat(part) :]


def _mdat(fragment: bytes) -> int:
    """Where the payload of the `mdat` begins: after `moof` and its own header."""
    moof_bytes = int.from_bytes(fragment[:4], "big")
    if fragment[moof_bytes + 4 : moof_bytes + 8] not in (b"mdat", b""):
        raise PipeError("mdat", "is not where it belongs", "look at the tap")
    return moof_bytes + 8


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
