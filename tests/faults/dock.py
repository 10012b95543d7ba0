"""`temoin-dock run` with a trap in its disks and its voice, and a clock that may be wrong.

The dock is the real one, built as `dock.cli` builds it. `trap.json` beside dock.toml, set before the start or while it
runs, names the step before which it is killed, or before which the archive's disk is filled; steps are the operations
on both disks and each message to a camera. `skew` there holds the seconds by which the dock's clock is wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from agent.adapters.disk import RealDisk, _RealFile
from agent.adapters.mqtt import MqttBroker
from agent.model import Arrived, Greeting, Message
from agent.ports import File
from agent.terminal import run
from dock.config import DockConfig, load_dock
from dock.log import Log
from dock.opening import Opened, StationClock, open_station
from dock.process import DockProcess

TRAP, SKEW, FILLER = "trap.json", "skew", "filler"
KILL, FULL = "kill", "full"

Step = Callable[[str, str], None]


class Trapped:
    """Counts the steps since the trap was set, over all threads."""

    def __init__(self, folder: Path, archive: Path) -> None:
        self._trap = folder / TRAP
        self._archive = archive
        self._lock = threading.Lock()
        self._count = 0

    def __call__(self, operation: str, path: str) -> None:
        with self._lock:
            try:
                found = json.loads(self._trap.read_text(encoding="utf-8"))
            except FileNotFoundError:
                self._count = 0
                return
            self._count += 1
            if self._count < found["number"]:
                return
            self._trap.unlink()
            self._count = 0
            sys.stderr.write(json.dumps({"event": "trap", "operation": operation, "path": path, **found}) + "\n")
            sys.stderr.flush()
            if found["fate"] == KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            fill(self._archive)


def fill(folder: Path) -> None:
    """Nothing fits on this disk any more."""
    with (folder / FILLER).open("ab", buffering=0) as file:
        for piece in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while file.write(bytes(piece)):
                    pass


class TrappedFile(_RealFile):
    """A file whose every operation is a step."""

    step: Step

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.step("write", self._path)
        super().write(data)

    def sync(self) -> None:
        self.step("sync", self._path)
        super().sync()


class TrappedDisk(RealDisk):
    """A disk whose every change is a step."""

    def __init__(self, root: Path, step: Step) -> None:
        super().__init__(root)
        self._step = step

    def _watched(self, path: str, file: File) -> TrappedFile:
        assert isinstance(file, _RealFile)
        file.__class__ = TrappedFile
        assert isinstance(file, TrappedFile)
        file.step = self._step
        return file

    def make_folder(self, path: str) -> None:
        self._step("make_folder", path)
        super().make_folder(path)

    def create(self, path: str) -> TrappedFile:
        self._step("create", path)
        return self._watched(path, super().create(path))

    def resume(self, path: str, length: int) -> TrappedFile:
        self._step("resume", path)
        return self._watched(path, super().resume(path, length))

    def rename(self, old: str, new: str) -> None:
        self._step("rename", old)
        super().rename(old, new)

    def unlink(self, path: str) -> None:
        self._step("unlink", path)
        super().unlink(path)

    def sync_folder(self, path: str) -> None:
        self._step("sync_folder", path)
        super().sync_folder(path)


class TrappedBroker:
    """Each message to a camera is a step, each acknowledgement of one of its own too."""

    def __init__(self, broker: MqttBroker, step: Step) -> None:
        self._broker = broker
        self._step = step

    def connect(self, connection: int, greeting: Greeting) -> None:
        self._broker.connect(connection, greeting)

    def publish(self, message: Message) -> None:
        self._step("publish", message.topic)
        self._broker.publish(message)

    def acknowledge(self, arrived: Arrived) -> None:
        self._step("acknowledge", arrived.topic)
        self._broker.acknowledge(arrived)

    def close(self, last: Message | None) -> None:
        self._broker.close(last)


class SkewedClock(StationClock):
    """Wrong by what the file says now."""

    def __init__(self, error_ms: int, skew: Path) -> None:
        super().__init__(error_ms)
        self._skew = skew

    def utc_ms(self) -> int:
        try:
            return super().utc_ms() + int(self._skew.read_text(encoding="ascii")) * 1000
        except FileNotFoundError:
            return super().utc_ms()


class TrappedDock(DockProcess):
    """The dock's process with all of these."""

    def __init__(self, config: DockConfig, log: Log) -> None:
        super().__init__(config, log, os.urandom)
        folder = config.file.parent
        self._step = Trapped(folder, config.archive)
        self._clock = SkewedClock(config.error_ms, folder / SKEW)
        self._broker = TrappedBroker(self._broker, self._step)  # type: ignore[assignment]  # it has the same calls

    def _open(self) -> Opened:
        return open_station(
            self._config, self._papers, self._clock, self._random, lambda root: TrappedDisk(root, self._step)
        )


def main() -> int:
    """The exit code of `temoin-dock run`."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    config = load_dock(parser.parse_args().config)

    async def until_told() -> None:
        process = TrappedDock(config, Log(lambda: time.time_ns() // 1_000_000))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, process.end)
        await process.run()

    def work() -> int:
        asyncio.run(until_told())
        return 0

    return run("temoin-dock", work)


if __name__ == "__main__":
    sys.exit(main())
