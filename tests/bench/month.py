"""A card after a month of service: 432,000 entries (about 370 MB) that a verifier accepts, made in a minute or two.

22 shifts with a boot and a docking each: first short recordings of one second, which are there with their bytes (2,000
in all), then recordings of ten minutes, received and purged, as a month's footage does not fit a card. Signatures,
chain, receipts and the segments that are there are real; of what was purged only the entries are, with hashes of
nothing. The last file is a little over half full: a start reads it whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from agent.formats.age import CHUNK_BYTES, SEALED_CHUNK_BYTES
from agent.formats.canonical import Value
from agent.formats.entries import Entry
from agent.formats.fields import format_utc
from agent.formats.statement import Statement, compose
from agent.model import NS_PER_MS, NS_PER_S
from agent.store.journal import MAX_FILE_BYTES
from firmware.certificates import Issued, sign
from tests.support.agency import DOCK, TestAgency
from tests.support.evidence import Builder, Piece, builder

ENTRIES = 432_000
SHIFTS = 22
KEPT = 2_000
SEGMENTS_A_RECORDING, FRAGMENTS_A_SEGMENT = 20, 30
NIGHT_NS = 12 * 3600 * NS_PER_S
_SEGMENT_BYTES = 3200 + (FRAGMENTS_A_SEGMENT + 1) * SEALED_CHUNK_BYTES + 700


@dataclass(frozen=True, slots=True)
class Month:
    """What was made."""

    folder: Path
    entries: int
    journal_bytes: int
    segments: int


def make_month(
    folder: Path, agency: TestAgency, dev: str = "cam-01", entries: int = ENTRIES, kept: int = KEPT
) -> Month:
    """Write such a card into `folder`, which is new. The agency's date should lie a month back.

    `kept`: about so many of its segments have their bytes, of 128 KiB each. A little more than `entries` are made.
    """
    (folder / "journal").mkdir(parents=True)
    (folder / "segments").mkdir()
    card = _Card(folder, agency, dev)
    made = card.made
    made.genesis()
    shift = 0
    while made.seq < entries or card.file_bytes < MAX_FILE_BYTES // 2:
        if shift < SHIFTS and made.seq >= entries * shift // SHIFTS:
            card.begin_shift(first=shift == 0)
            shift += 1
            for _ in range(kept // SHIFTS):
                card.record_small()
        card.record_and_dock()
    made.append("shutdown", {"cause": "switch"})
    card.spill(all_of_it=True)
    return Month(folder, made.seq, card.journal_bytes, card.segments)


class _Card:
    """A builder whose files go to the disk as soon as they are full."""

    def __init__(self, folder: Path, agency: TestAgency, dev: str) -> None:
        self.made: Builder = builder(folder, agency, dev)
        self.journal_bytes = 0
        self.segments = 0
        self.file_bytes = 0
        self._counted = 0
        self._dock: Issued = agency.dock(DOCK)
        self._agency = agency
        self._dseq = 0
        self._mib = Piece(self.made.draw(CHUNK_BYTES))

    def begin_shift(self, first: bool) -> None:
        """The camera is switched off at night and on in the morning."""
        if not first:
            self.made.append("shutdown", {"cause": "switch"})
            self.made.restart()
            self.made.utc_ms += NIGHT_NS // NS_PER_MS
            self.made.mono_ns += NIGHT_NS
            self._flush()
        self.made.dock(DOCK)

    def record_and_dock(self) -> None:
        """Ten minutes, received by the dock and purged at once."""
        made = self.made
        made.mono_ns += 60 * NS_PER_S
        made.utc_ms += 60_000
        press_ns = made.mono_ns
        rec = made.start(press_ns)
        t0_ns = press_ns - 2 * NS_PER_S
        seals: list[tuple[int, Entry]] = []
        for seg in range(SEGMENTS_A_RECORDING):
            t0_ns = self._segment(rec, seg, t0_ns, press_ns)
            seals.append((seg, self._seal(rec, seg)))
        total = SEGMENTS_A_RECORDING * FRAGMENTS_A_SEGMENT
        made.append(
            "recording.stop",
            {
                "rec": rec,
                "cause": "hold",
                "press_ns": str(made.mono_ns),
                "fragments": total,
                "duration_ms": total * 1000,
            },
        )
        for seg, seal in seals:
            receipt = self._receipt(rec, seg, seal)
            reference: dict[str, Value] = {"seq": receipt.head.seq, "head": receipt.digest.hex()}
            made.append("purge", {"rec": rec, "seg": seg, "receipt": reference})
        self.segments += SEGMENTS_A_RECORDING
        self.spill()

    def record_small(self) -> None:
        """One second that is still on the card."""
        (self.made.folder / "segments" / f"{self.made.dev}-{self.made.jid[:8]}-{self.made.seq}").mkdir()
        self.made.record((1,), lambda number: self._mib)
        self.segments += 1
        self.spill()

    def spill(self, all_of_it: bool = False) -> None:
        """Write the newest file away when it is full, and forget its entries."""
        newest = self.made.files[-1]
        self.file_bytes += sum(len(entry.line) for entry in newest[self._counted :])
        self._counted = len(newest)
        if self.file_bytes >= MAX_FILE_BYTES or all_of_it:
            if not all_of_it:
                self.made.rotate()
            self._flush(all_of_it)

    def _flush(self, last_too: bool = False) -> None:
        files = self.made.files if last_too else self.made.files[:-1]
        for file in files:
            data = b"".join(entry.line for entry in file)
            (self.made.folder / "journal" / f"{file[0].head.seq:08d}.log").write_bytes(data)
            self.journal_bytes += len(data)
        self.made.files = self.made.files[len(files) :]
        self.file_bytes = self._counted = 0

    def _segment(self, rec: str, seg: int, t0_ns: int, press_ns: int) -> int:
        """The entries of one segment but its seal; where its footage ends."""
        made = self.made
        opening: dict[str, Value] = {
            "header": self._hash(),
            "nonce": made.draw(16).hex(),
            "init": self._hash(),
            "init_len": CHUNK_BYTES,
            "recipients": [self._hash(), self._hash()],
            "policy": made.policy[0],
            "source": "bench",
        }
        made.append("segment.open", {"rec": rec, "seg": seg, **opening})
        for n in range(FRAGMENTS_A_SEGMENT):
            end_ns = t0_ns + NS_PER_S
            if end_ns > made.mono_ns:
                made.utc_ms += (end_ns - made.mono_ns) // NS_PER_MS
                made.mono_ns = end_ns
            body: dict[str, Value] = {
                "rec": rec,
                "seg": seg,
                "n": n,
                "off": 3200 + (n + 1) * SEALED_CHUNK_BYTES,
                "len": SEALED_CHUNK_BYTES,
                "t0_ns": str(t0_ns),
                "dur_ns": str(NS_PER_S),
                "frames": 25,
                "sound": True,
                "pre": end_ns <= press_ns,
                "plain": self._hash(),
                "blob": self._hash(),
            }
            made.append("fragment", body)
            t0_ns = end_ns
        return t0_ns

    def _seal(self, rec: str, seg: int) -> Entry:
        body: dict[str, Value] = {"rec": rec, "seg": seg, "n": FRAGMENTS_A_SEGMENT, "size": _SEGMENT_BYTES}
        return self.made.append("segment.seal", {**body, "blob": self._hash()})

    def _receipt(self, rec: str, seg: int, seal: Entry) -> Entry:
        made = self.made
        assert seal.body is not None
        self._dseq += 1
        made.dseq[DOCK] = self._dseq
        value: dict[str, Value] = {
            "agency": self._agency.agency,
            "dock": DOCK,
            "dev": made.dev,
            "jid": made.jid,
            "dseq": self._dseq,
            "session": "0" * 32,
            "utc": format_utc(made.utc_ms),
            "rec": rec,
            "seg": seg,
            "blob": seal.body["blob"],
            "size": _SEGMENT_BYTES,
            "seal_seq": seal.head.seq,
            "seal_head": seal.digest.hex(),
            "store": "archive",
            "version": "1",
            "dock_head": "0" * 64,
        }
        text = compose("receipt", value)
        said = Statement("receipt", value, text, sign(self._dock.key, text))
        return made.append("receipt", {"statement": said.embedded})

    def _hash(self) -> str:
        return self.made.draw(32).hex()
