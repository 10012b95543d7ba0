"""A camera's store in tests: clocks that only move when asked to, a scripted camera, and a reader that checks it all.

The reader stands by itself: it opens the folder, not the Disk port, and knows the rules from docs/formats.md.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.errors import FormatError
from agent.formats import age, fields
from agent.formats.canonical import Object
from agent.formats.entries import Entry, parse_line
from agent.keys import Verifier
from agent.model import Stamp, TimeSource
from agent.ports import Disk
from agent.store.journal import Journal
from agent.store.last import read_last
from agent.store.segments import SealBuffer, SegmentWriter, segment_path
from agent.store.state import JournalState, apply, from_genesis
from tests.support.signer import SeededSigner

DEV = "cam-1"
POLICY_HASH = "ab" * 32
FRAGMENT_BYTES = 65_536
SECOND_NS = 10**9
RECIPIENTS = age.parse_recipients(
    [age.parse_identity(age.generate_identity(age.RecipientKind.CLASSIC, lambda n: bytes([7] * n))).recipient().text]
)
BUFFER = SealBuffer()
INIT = bytes(65_536)


class Board:
    """Clocks and randomness of one camera: each stamp is a millisecond later, each reboot has a new boot id."""

    def __init__(self) -> None:
        self.boots = 1
        self._ns = SECOND_NS
        self._drawn = 0

    def reboot(self) -> None:
        self.boots += 1
        self._ns = SECOND_NS

    def stamp(self) -> Stamp:
        self._ns += 10**6
        utc_ms = 1_767_225_600_000 + self.boots * 1_000_000 + self._ns // 10**6
        return Stamp(utc_ms, 50, TimeSource.RTC, self._ns, f"{self.boots:08x}-0000-4000-8000-000000000000")

    def random(self, count: int) -> bytes:
        self._drawn += 1
        return hashlib.shake_256(self._drawn.to_bytes(8, "big")).digest(count)


class Camera:
    """One run of the agent's store over a disk. `told` are the lines that a commit made durable: promises."""

    def __init__(self, disk: Disk, board: Board, signer: SeededSigner, told: list[bytes], bytes_told: dict[str, int]):
        self.disk = disk
        self.board = board
        self.told = told
        self.bytes_told = bytes_told
        self.journal = start(disk, board, signer)
        self._waiting: list[bytes] = []
        self._rec = ""
        self._segment: SegmentWriter | None = None
        self._seg = self._n = 0
        self._t0_ns = 5 * SECOND_NS

    def append(self, kind: str, body: Object) -> None:
        self._waiting.append(self.journal.append(kind, body).line)

    @property
    def last_line(self) -> bytes:
        """The newest line that waits for `commit`."""
        return self._waiting[-1]

    def commit(self) -> None:
        self.journal.commit()
        self.told += self._waiting
        self._waiting = []

    def start_recording(self) -> None:
        """The first fragment in its own commit."""
        self._rec, self._seg = self.journal.next_recording_id(), -1
        segment = self.open_segment()
        where = segment.append(self.fragment(), SECOND_NS)
        segment.sync(first=True)
        self.bytes_told[segment_path(self._rec, self._seg)] = where.off + where.len
        self.append("recording.start", recording_start(self._rec))
        self.append_open(segment)
        self.append("fragment", fragment_body(self._rec, self._seg, 0, where.off, where.plain, where.blob, self._t0_ns))
        self.commit()
        self._n = 1

    def open_segment(self) -> SegmentWriter:
        path = segment_path(self._rec, self._seg + 1)
        self._segment = SegmentWriter(self.disk, path, RECIPIENTS, INIT, self.board.random, BUFFER)
        self._seg += 1
        self._n = 0
        return self._segment

    def append_open(self, segment: SegmentWriter) -> None:
        opened = segment.opened
        body: Object = {
            **segment_open(self._rec, self._seg),
            "header": opened.header,
            "nonce": opened.nonce,
            "init": opened.init,
            "init_len": opened.init_len,
            "recipients": list(opened.recipients),
        }
        self.append("segment.open", body)

    def fragment(self) -> memoryview:
        self._t0_ns += SECOND_NS
        return memoryview(self.board.random(FRAGMENT_BYTES))

    def write(self, fragments: int, *, new_segment: bool = False) -> None:
        """A group of fragments under one pair of fsyncs."""
        opening = new_segment or self._segment is None
        segment = self.open_segment() if opening or self._segment is None else self._segment
        written = [(segment.append(self.fragment(), SECOND_NS), self._t0_ns) for _ in range(fragments)]
        segment.sync(first=opening)
        self.bytes_told[segment_path(self._rec, self._seg)] = written[-1][0].off + written[-1][0].len
        if opening:
            self.append_open(segment)
        for where, t0_ns in written:
            body = fragment_body(self._rec, self._seg, self._n, where.off, where.plain, where.blob, t0_ns)
            self.append("fragment", body)
            self._n += 1
        self.commit()

    def seal(self) -> None:
        assert self._segment is not None
        sealed = self._segment.finish(b"mfra")
        self.bytes_told[segment_path(self._rec, self._seg)] = sealed.size
        body: Object = {
            "rec": self._rec,
            "seg": self._seg,
            "n": self._n,
            "size": sealed.size,
            "blob": sealed.blob,
        }
        self.append("segment.seal", body)
        self._segment = None

    def stop_recording(self) -> None:
        self.seal()
        (found,) = self.journal.state.open
        self.append("recording.stop", recording_stop(self._rec, found.fragments))
        self.commit()


def start(disk: Disk, board: Board, signer: SeededSigner) -> Journal:
    """`Journal.start` as every test does it; not committed."""
    found = read_last(disk)
    return Journal.start(
        disk, found, signer, board.stamp, board.random, dev=DEV, software="1.0", model="sim-720", source="test"
    )


def recording_start(rec: str) -> Object:
    return {
        "rec": rec,
        "cause": "press",
        "press_ns": str(7 * SECOND_NS),
        "wanted_ms": 30_000,
        "got_ms": 1000,
        "reason": "capture_started_later",
        "wearer": None,
        "source": "test",
        "counter": None,
    }


def recording_stop(rec: str, fragments: int, cause: str = "hold") -> Object:
    return {"rec": rec, "cause": cause, "press_ns": None, "fragments": fragments, "duration_ms": fragments * 1000}


def segment_open(rec: str, seg: int) -> Object:
    return {
        "rec": rec,
        "seg": seg,
        "header": "0" * 64,
        "nonce": "0" * 32,
        "init": "0" * 64,
        "init_len": 65_536,
        "recipients": ["0" * 64],
        "policy": POLICY_HASH,
        "source": "test",
    }


def fragment_body(rec: str, seg: int, n: int, off: int, plain: str, blob: str, t0_ns: int) -> Object:
    return {
        "rec": rec,
        "seg": seg,
        "n": n,
        "off": off,
        "len": age.SEALED_CHUNK_BYTES,
        "t0_ns": str(t0_ns),
        "dur_ns": str(SECOND_NS),
        "frames": 25,
        "sound": True,
        "pre": False,
        "plain": plain,
        "blob": blob,
    }


@dataclass(frozen=True, slots=True)
class CardReading:
    """A whole journal that passed every check."""

    entries: tuple[Entry, ...]
    state: JournalState

    @property
    def lines(self) -> list[bytes]:
        return [entry.line for entry in self.entries]

    def of(self, kind: str) -> list[Object]:
        """Bodies of one kind."""
        return [entry.body for entry in self.entries if entry.head.kind == kind and entry.body is not None]


def read_card(root: Path, signer: SeededSigner, torn_unnamed: bool = False) -> CardReading:
    """Read and check the journal, and the segments that it speaks of. AssertionError or FormatError says what is wrong.

    `torn_unnamed`: the card was not started again, so torn lines since its last start have no boot entry yet.
    """
    verifier = Verifier(signer.certificate)
    entries: list[Entry] = []
    unnamed: list[Object] = []
    for path in sorted((root / "journal").glob("*.log")):
        *lines, rest = path.read_bytes().split(b"\n")
        assert lines, f"{path.name} has its name, but no whole first line"
        assert parse_line(lines[0] + b"\n").head.seq == int(path.stem), f"{path.name} begins with another entry"
        for line in lines:
            entry = parse_line(line + b"\n")
            if entry.head.seq < len(entries):
                assert entries[entry.head.seq].line == line + b"\n", f"entry {entry.head.seq} is there in two ways"
                continue
            if entry.head.kind == "boot":
                assert entry.body is not None
                assert entry.body["torn"] == unnamed, "torn lines are not what boot names"
                unnamed = []
            entries.append(entry)
        if rest:
            digest = hashlib.sha256(rest).hexdigest()
            offset = path.stat().st_size - len(rest)
            named: Object = {"file": f"journal/{path.name}", "offset": offset, "length": len(rest), "hash": digest}
            unnamed.append(named)
    assert torn_unnamed or not unnamed, "a torn line that no boot names"
    state = from_genesis(entries[0])
    for entry in entries:
        assert entry.signature is not None
        verifier.check(entry.digest, entry.signature, str(entry.head.seq))
        state = apply(state, entry) if entry.head.seq else state
    reading = CardReading(tuple(entries), state)
    _check_files(root, reading)
    return reading


def _check_files(root: Path, reading: CardReading) -> None:
    """Every fragment's bytes are there; every file is known, or an orphan that an entry names."""
    known: set[str] = set()
    for body in reading.of("segment.open"):
        known.add(segment_path(fields.text_of(body, "rec"), fields.integer_of(body, "seg")))
    for body in reading.of("fragment"):
        path = segment_path(fields.text_of(body, "rec"), fields.integer_of(body, "seg"))
        end = fields.integer_of(body, "off") + fields.integer_of(body, "len")
        data = (root / path).read_bytes()[:end]
        if hashlib.sha256(data).hexdigest() != body["blob"]:
            raise FormatError(path, f"fragment {body['n']} has an entry, but not its bytes")
    orphans = {(body["file"], body["size"], body["hash"]) for body in reading.of("orphan")}
    for file in files_in(root / "segments"):
        label = fields.file_name_of(str(file.relative_to(root)))
        if label not in known:
            data = file.read_bytes()
            assert (label, len(data), hashlib.sha256(data).hexdigest()) in orphans, f"{label}: no entry knows it"


def files_in(folder: Path) -> Iterator[Path]:
    """All files below a folder, which may be missing."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def check_promises(root: Path, reading: CardReading, told: list[bytes], bytes_told: dict[str, int]) -> None:
    """What was said to be durable is there, in its order."""
    found = reading.lines
    position = 0
    for line in told:
        assert line in found[position:], (
            f"a durable entry is lost: {re.sub(rb'.*(.kind.{20}).*', rb'..', line[:300])!r}"
        )
        position = found.index(line, position) + 1
    for path, size in bytes_told.items():
        sizes = [found.stat().st_size for found in (root / path).parent.glob(f"{Path(path).name}*")]
        assert max(sizes, default=0) >= size, f"{path} lost durable bytes, under its own name and as an orphan"
