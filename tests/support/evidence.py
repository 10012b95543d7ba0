"""A camera's folder made without any of the camera's own store: what verify and export are held against.

The journal is written through `entries.make`, segments through `age.Sealer`; counts and hashes are kept by hand, so
that a mistake of the store and the same mistake of a reader do not cancel out. Fragments are random bytes unless the
test brings its own.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from agent.formats import entries
from agent.formats.age import CHUNK_BYTES, SEALED_CHUNK_BYTES, Recipient, Sealer, parse_recipients
from agent.formats.canonical import Object, Value
from agent.formats.entries import Entry, Position
from agent.formats.fields import ZERO_HASH, encode_base64, format_utc
from agent.model import NS_PER_MS, NS_PER_S, Stamp, TimeSource
from agent.ports import Signer
from agent.store.state import Reference
from tests.support.agency import TestAgency

JID = "0123456789abcdef" * 2
FRAMES = 25


def boot_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


@dataclass(frozen=True, slots=True)
class Piece:
    """A padded fragment in clear and what its entry says of its time."""

    data: bytes
    frames: int = FRAMES
    duration_ns: int = NS_PER_S
    sound: bool = True


@dataclass(slots=True)
class OpenSegment:
    """A segment being written."""

    rec: str
    seg: int
    path: Path
    sealer: Sealer
    data: bytearray
    first_offset: int
    n: int = 0
    blob: str = ""
    end: int = 0


@dataclass(slots=True)
class Builder:
    """Writes one camera's folder, entry after entry. Everything is on disk after `write`."""

    folder: Path
    signer: Signer
    dev: str
    agency: TestAgency
    recipients: tuple[Recipient, ...]
    policy: tuple[str, int]
    utc_ms: int
    slow_signer: bool = False
    jid: str = JID
    seed: int = 1
    boot: int = 1
    mono_ns: int = 40 * NS_PER_S
    files: list[list[Entry]] = field(default_factory=list)
    tails: dict[int, bytes] = field(default_factory=dict)
    records: list[str] = field(default_factory=list)
    last_signed: tuple[int, str] = (0, ZERO_HASH)
    unsigned: list[int] = field(default_factory=list)
    open_recordings: list[Object] = field(default_factory=list)
    torn: list[Object] = field(default_factory=list)
    interrupted: str | None = None
    ack: Object | None = None
    dseq: dict[str, int] = field(default_factory=dict)
    lies: dict[str, Object] = field(default_factory=dict)
    """For a kind of entry, fields of its body that the camera's key signs other than they are."""
    _random: random.Random = field(default_factory=lambda: random.Random(1))
    _prev: str = ZERO_HASH
    _seq: int = 0
    _current: dict[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    # --- entries ------------------------------------------------------------------------------------------------------

    def draw(self, size: int) -> bytes:
        return self._random.randbytes(size)

    @property
    def seq(self) -> int:
        """Number of the next entry."""
        return self._seq

    def append(self, kind: str, body: Mapping[str, Value], signed: bool = True) -> Entry:
        """The next entry, signed by the builder's signer; 1 ms later than the one before."""
        body = {**body, **self.lies.get(kind, {})}
        self.mono_ns += NS_PER_MS
        self.utc_ms += 1
        stamp = Stamp(self.utc_ms, 20, TimeSource.BEACON, self.mono_ns, boot_id(self.boot))
        entry = entries.make(Position(self.dev, self.jid, self._seq, self._prev), kind, body, self.draw(16), stamp)
        if signed:
            entry = entry.with_signature(self.signer.sign(entry.digest))
            self.last_signed = entry.head.seq, entry.digest.hex()
            self.unsigned = []
        else:
            self.unsigned.append(entry.head.seq)
        if not self.files:
            self.files.append([])
        self.files[-1].append(entry)
        self._prev = entry.digest.hex()
        self._seq += 1
        return entry

    def genesis(self) -> None:
        """genesis, boot and policy: a camera's first start."""
        self.append(
            "genesis",
            {
                "chain": [encode_base64(each) for each in self.signer.chain],
                "key_class": self.signer.key_class,
                "slow_signer": self.slow_signer,
                "model": "test",
                "software": "0.1.0",
                "enrolment": None,
            },
        )
        self._append_boot(None, self.last_signed)
        self.append("policy", {"hash": self.policy[0], "version": self.policy[1]})

    def dock(self, dock: str = "dock-01", session: str = "0" * 32) -> None:
        """A session with a dock of the agency begins."""
        chain = [encode_base64(self.agency.dock(dock).certificate.public_bytes(Encoding.DER))]
        self.append("dock", {"session": session, "dock": dock, "beacon": None, "chain": chain})

    def said(self, name: str, signer: str = "dock-01", /, **own: Value) -> Entry:
        """A statement that the dock `signer` signed, journalled; `own` gives or changes its fields."""
        self.dseq[signer] = dseq = self.dseq.pop(signer, 0) + 1
        value: dict[str, Value] = {"dev": self.dev, "jid": self.jid, "dseq": dseq, **own}
        return self.append(name, self.agency.says(name, signer, **value))

    def acknowledge(self) -> Reference:
        """An `ack` of all entries so far, journalled."""
        self.ack = {"seq": self._seq - 1, "head": self._prev}
        entry = self.said("ack", seq=self._seq - 1, head=self._prev)
        return Reference(entry.head.seq, entry.digest.hex())

    def rotate(self) -> None:
        """A new file, which begins with a checkpoint."""
        self.files.append([])
        self.append("checkpoint", self.checkpoint())

    def restart(self, same_boot: bool = False) -> None:
        """A start of the agent: new file, checkpoint, boot."""
        weak = {"first": self.unsigned[0], "last": self.unsigned[-1]} if self.unsigned else None
        if not same_boot:
            self.boot += 1
            self.mono_ns = 5 * NS_PER_S
        last_signed = self.last_signed
        self.rotate()
        self._append_boot(weak, last_signed)

    def tear(self, data: bytes) -> None:
        """An incomplete last line in the current file; the next boot names it."""
        number = len(self.files) - 1
        self.tails[number] = data
        offset = sum(len(entry.line) for entry in self.files[number])
        self.torn.append(
            {
                "file": f"journal/{self.files[number][0].head.seq:08d}.log",
                "offset": offset,
                "length": len(data),
                "hash": hashlib.sha256(data).hexdigest(),
            }
        )

    def checkpoint(self) -> Object:
        return {
            "prev_head": self._prev,
            "open": list(self.open_recordings),
            "ack": self.ack,
            "policy": {"hash": self.policy[0], "version": self.policy[1]},
            "slow_signer": self.slow_signer,
            "chain": [encode_base64(each) for each in self.signer.chain],
            "dseq": [{"dock": dock, "dseq": dseq} for dock, dseq in self.dseq.items()],
            "assignment": None,
            "last_utc": format_utc(self.utc_ms),
            "token": None,
            "interrupted": self.interrupted,
            "low": 0,
        }

    def _append_boot(self, weak: Object | None, last_signed: tuple[int, str]) -> None:
        self.append(
            "boot",
            {
                "software": "0.1.0",
                "image": None,
                "source": "test",
                "clean": False,
                "last_signed": {"seq": last_signed[0], "head": last_signed[1]},
                "torn": list(self.torn),
                "leftover": None,
                "weak": weak,
                "counter": None,
            },
        )
        self.torn = []

    # --- recordings ---------------------------------------------------------------------------------------------------

    def start(self, press_ns: int | None = None) -> str:
        """recording.start; footage begins 2 s before the press unless that is given."""
        rec = f"{self.dev}-{self.jid[:8]}-{self._seq}"
        self.records.append(rec)
        press = self.mono_ns if press_ns is None else press_ns
        first_ns = press - 2 * NS_PER_S
        self._current = {"rec": rec, "press_ns": press, "next_ns": first_ns, "first_ns": first_ns}
        self._current |= {"segments": 0, "fragments": 0}
        self.append(
            "recording.start",
            {
                "rec": rec,
                "cause": "press",
                "press_ns": str(press),
                "wanted_ms": 2000,
                "got_ms": 2000,
                "reason": None,
                "wearer": None,
                "source": "test",
                "counter": None,
            },
        )
        return rec

    def open_segment(self, init: bytes | None = None) -> OpenSegment:
        """A new segment of the current recording with its init."""
        plain = self.draw(CHUNK_BYTES) if init is None else init
        sealer = Sealer(self.recipients, self.draw)
        data = bytearray(sealer.header + sealer.nonce)
        data += _seal(sealer, plain)
        rec, seg = str(self._current["rec"]), _integer(self._current["segments"])
        path = self.folder / "segments" / rec / f"{seg:04d}.mp4.age"
        self._current["segments"] = seg + 1
        self.append(
            "segment.open",
            {
                "rec": rec,
                "seg": seg,
                "header": hashlib.sha256(sealer.header).hexdigest(),
                "nonce": sealer.nonce.hex(),
                "init": hashlib.sha256(plain).hexdigest(),
                "init_len": len(plain),
                "recipients": [hashlib.sha256(each.text.encode()).hexdigest() for each in self.recipients],
                "policy": self.policy[0],
                "source": "test",
            },
        )
        return OpenSegment(rec, seg, path, sealer, data, len(data))

    def fragment(self, segment: OpenSegment, piece: Piece | None = None, signed: bool = True) -> Entry:
        """The next fragment of the current recording."""
        piece = piece or Piece(self.draw(CHUNK_BYTES))
        offset = len(segment.data)
        segment.data += _seal(segment.sealer, piece.data)
        segment.blob, segment.end = hashlib.sha256(segment.data).hexdigest(), len(segment.data)
        t0_ns = _integer(self._current["next_ns"])
        end_ns = t0_ns + piece.duration_ns
        press_ns = _integer(self._current["press_ns"])
        if end_ns > self.mono_ns:
            self.utc_ms += (end_ns - self.mono_ns) // NS_PER_MS
            self.mono_ns = end_ns
        entry = self.append(
            "fragment",
            {
                "rec": segment.rec,
                "seg": segment.seg,
                "n": segment.n,
                "off": offset,
                "len": segment.end - offset,
                "t0_ns": str(t0_ns),
                "dur_ns": str(piece.duration_ns),
                "frames": piece.frames,
                "sound": piece.sound,
                "pre": end_ns <= press_ns,
                "plain": hashlib.sha256(piece.data).hexdigest(),
                "blob": segment.blob,
            },
            signed,
        )
        segment.n += 1
        self._current["next_ns"] = end_ns
        self._current["fragments"] = _integer(self._current["fragments"]) + 1
        return entry

    def gap(self, length_ns: int) -> None:
        """Footage is missing, and an entry says so."""
        from_ns = _integer(self._current["next_ns"])
        self._current["next_ns"] = from_ns + length_ns
        to_ns = str(from_ns + length_ns)
        rec = self._current["rec"]
        self.append("gap", {"rec": rec, "from_ns": str(from_ns), "to_ns": to_ns, "cause": "capture_late"})

    def skip(self, length_ns: int) -> None:
        """Footage is missing, and nothing says so."""
        self._current["next_ns"] = _integer(self._current["next_ns"]) + length_ns

    def seal(self, segment: OpenSegment, index: bytes = b"index") -> None:
        """The last chunk, and segment.seal."""
        segment.data += segment.sealer.finish(index)
        self.put(segment)
        size, blob = len(segment.data), hashlib.sha256(segment.data).hexdigest()
        self.append(
            "segment.seal", {"rec": segment.rec, "seg": segment.seg, "n": segment.n, "size": size, "blob": blob}
        )

    def put(self, segment: OpenSegment) -> None:
        """Lay the file as it is."""
        segment.path.parent.mkdir(parents=True, exist_ok=True)
        segment.path.write_bytes(segment.data)

    def recover(
        self,
        segment: OpenSegment,
        last_n: int | None,
        mismatch_n: int | None = None,
        readable: int | None = None,
    ) -> None:
        """segment.recovered, of the file that lies there; only `readable` bytes of it can be read, if given."""
        there = segment.path.is_file()
        data = segment.path.read_bytes()[:readable] if there else b""
        end = segment.first_offset
        if last_n is not None:
            end += sum(
                _integer(entry.body["len"])
                for entries_of_file in self.files
                for entry in entries_of_file
                if entry.head.kind == "fragment"
                and entry.body is not None
                and (entry.body["rec"], entry.body["seg"]) == (segment.rec, segment.seg)
                and _integer(entry.body["n"]) <= last_n
            )
        self.append(
            "segment.recovered",
            {
                "rec": segment.rec,
                "seg": segment.seg,
                "size": len(data),
                "blob": hashlib.sha256(data).hexdigest() if there and readable is None else None,
                "last_n": last_n,
                "last_end": 0 if last_n is None else end,
                "mismatch_n": mismatch_n,
            },
        )

    def stop(self, cause: str = "hold") -> None:
        """recording.stop."""
        length_ns = _integer(self._current["next_ns"]) - _integer(self._current["first_ns"])
        self.append(
            "recording.stop",
            {
                "rec": self._current["rec"],
                "cause": cause,
                "press_ns": str(self.mono_ns) if cause == "hold" else None,
                "fragments": self._current["fragments"],
                "duration_ms": length_ns // NS_PER_MS,
            },
        )
        self.open_recordings = []

    def leave_open(self, segment: OpenSegment) -> None:
        """Power fails: the file stays without its last chunk, the next checkpoint tells of the recording."""
        self.put(segment)
        current = self._current
        self.open_recordings = [
            {
                "rec": segment.rec,
                "press_ns": str(current["press_ns"]),
                "first_ns": str(current["first_ns"]),
                "segments": current["segments"],
                "fragments": current["fragments"],
                "end_ns": str(current["next_ns"]),
                "open": {
                    "seg": segment.seg,
                    "n": segment.n,
                    "size": segment.end,
                    "blob": segment.blob,
                    "end_ns": str(current["next_ns"]),
                },
            }
        ]

    def record(self, segments: Sequence[int] = (3, 2), make: Callable[[int], Piece] | None = None) -> str:
        """A whole recording, sealed and stopped, of segments with so many fragments."""
        self.mono_ns += 10 * NS_PER_S
        self.utc_ms += 10_000
        rec = self.start()
        number = 0
        for count in segments:
            segment = self.open_segment()
            for n in range(count):
                # Of a slow signer every second fragment is signed, and the last of a segment.
                signed = not self.slow_signer or n % 2 == 1 or n == count - 1
                self.fragment(segment, None if make is None else make(number), signed)
                number += 1
            self.seal(segment)
        self.stop()
        return rec

    # --- disk ---------------------------------------------------------------------------------------------------------

    def write(self) -> Path:
        """The journal's files; segments were laid when they were sealed."""
        (self.folder / "journal").mkdir(parents=True, exist_ok=True)
        (self.folder / "segments").mkdir(exist_ok=True)
        for number, made in enumerate(self.files):
            data = b"".join(entry.line for entry in made) + self.tails.get(number, b"")
            (self.folder / "journal" / f"{made[0].head.seq:08d}.log").write_bytes(data)
        return self.folder


def builder(folder: Path, agency: TestAgency, dev: str = "cam-01", slow_signer: bool = False, seed: int = 1) -> Builder:
    """A builder for one of the agency's cameras, before its genesis."""
    return Builder(
        folder=folder,
        signer=agency.signer(dev),
        dev=dev,
        agency=agency,
        recipients=parse_recipients(agency.policy.recipients),
        policy=(agency.policy.hash_hex, agency.policy.version),
        utc_ms=agency.now_ms,
        slow_signer=slow_signer,
        jid=hashlib.sha256(f"{dev} {seed}".encode()).hexdigest()[:32],
        seed=seed,
    )


def shift(folder: Path, agency: TestAgency, dev: str = "cam-01", seed: int = 1) -> Builder:
    """A whole shift on disk: two recordings in three journal files, with a restart between them."""
    made = builder(folder, agency, dev, seed=seed)
    made.genesis()
    made.record((3, 2))
    made.rotate()
    made.append("selftest", {"checks": []})
    made.append("shutdown", {"cause": "switch"})
    made.restart()
    made.record((2, 3))
    made.write()
    return made


def _seal(sealer: Sealer, plain: bytes) -> bytes:
    out = bytearray(len(plain) // CHUNK_BYTES * SEALED_CHUNK_BYTES)
    sealer.seal(plain, memoryview(out))
    return bytes(out)


def _integer(value: Value) -> int:
    assert isinstance(value, int)
    return value
