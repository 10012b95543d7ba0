"""The evidence path in one thread, hash, seal, hash and write, against the stock `age` on the same bytes and disk."""

from __future__ import annotations

import importlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from agent.adapters.disk import RealDisk
from agent.formats.age import Identity, Recipient, RecipientKind, generate_identity, parse_identity
from agent.model import NS_PER_S
from agent.store.segments import FOLDER, SealBuffer, SegmentWriter, segment_path
from tests.bench.place import Place
from tests.bench.table import MIN_RUNS, Row, against, alternate, median, ratios, spread

MIB = 1024 * 1024
FRAGMENTS = 64
RUNS = 9
LIMIT = 0.5


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("evidence_path")
    data = os.urandom(FRAGMENTS * MIB)
    plain = folder / "plain"
    plain.write_bytes(data)
    classic = _identity(RecipientKind.CLASSIC).recipient()
    card = _Card(folder / "data", data)
    (ours, peer), what = (
        alternate(RUNS, lambda: card.write(classic), lambda: _age(plain, folder / "peer.age", classic.text)),
        f"evidence path, {FRAGMENTS} fragments of 1 MiB, X25519",
    )
    ratio = ratios(ours, peer)
    yield Row(
        what,
        spread(ours, "MB/s"),
        against("age CLI", peer, "MB/s", ratio),
        f"{LIMIT} of age or better",
        median(ratio) >= LIMIT,
        "No fsync on either side. age encrypts in a process of its own (its start is in its time), reads a file in the "
        "page cache, and computes no SHA-256; the agent's thread computes two.",
    )
    yield _pyrage(card, classic, plain, folder / "peer.age")
    hybrid = _identity(RecipientKind.POST_QUANTUM).recipient()
    again = [card.write(hybrid) for _ in range(RUNS)]
    yield Row(
        "the same to a post-quantum recipient",
        spread(again, "MB/s"),
        "none: Debian's age does not write that kind",
        note="The kind of recipient costs once a segment, in its header, not by the byte.",
    )
    together = [card.write(classic, synced=True) for _ in range(RUNS)]
    yield Row("the same with an fdatasync a segment (16 MiB)", spread(together, "MB/s"))


class _Card:
    """Writes the bytes as segments of at most 16 MiB, as a recording does."""

    def __init__(self, root: Path, data: bytes) -> None:
        root.mkdir()
        self._disk = RealDisk(root)
        self._disk.make_folder(FOLDER)
        self._data = memoryview(data)
        self._root = root
        self._buffer = SealBuffer()
        self._runs = 0

    def write(self, recipient: Recipient, synced: bool = False) -> float:
        """MB/s of one pass."""
        self._runs += 1
        rec = f"run-{self._runs}"
        init = bytes(65_536)
        began = time.perf_counter()
        number = 0
        writer = SegmentWriter(self._disk, segment_path(rec, 0), [recipient], init, os.urandom, self._buffer)
        for start in range(0, len(self._data), MIB):
            if writer.full(MIB, NS_PER_S):
                self._close(writer, synced)
                number += 1
                path = segment_path(rec, number)
                writer = SegmentWriter(self._disk, path, [recipient], init, os.urandom, self._buffer)
            writer.append(self._data[start : start + MIB], NS_PER_S)
        self._close(writer, synced)
        rate = len(self._data) / 1e6 / (time.perf_counter() - began)
        for file in (self._root / FOLDER / rec).iterdir():
            file.unlink()
        return rate

    def _close(self, writer: SegmentWriter, synced: bool) -> None:
        if synced:
            writer.sync(first=True)
        writer.abandon()


def _age(plain: Path, out: Path, recipient: str) -> float:
    out.unlink(missing_ok=True)
    began = time.perf_counter()
    subprocess.run(["age", "-r", recipient, "-o", out, plain], check=True)
    return plain.stat().st_size / 1e6 / (time.perf_counter() - began)


def _pyrage(card: _Card, recipient: Recipient, plain: Path, out: Path) -> Row:
    what = "the same against pyrage in this process"
    try:
        pyrage = importlib.import_module("pyrage")
    except ImportError:
        return Row(what, "not measured", note="pyrage is not installed: pip install -e '.[dev]'")
    key = pyrage.x25519.Recipient.from_str(recipient.text)

    def peer() -> float:
        out.unlink(missing_ok=True)
        began = time.perf_counter()
        pyrage.encrypt_file(str(plain), str(out), [key])
        return plain.stat().st_size / 1e6 / (time.perf_counter() - began)

    ours, theirs = alternate(MIN_RUNS, lambda: card.write(recipient), peer)
    ratio = ratios(ours, theirs)
    return Row(
        what,
        spread(ours, "MB/s"),
        against("pyrage", theirs, "MB/s", ratio),
    )


def _identity(kind: RecipientKind) -> Identity:
    return parse_identity(generate_identity(kind, os.urandom))
