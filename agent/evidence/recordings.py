"""Checks what the journal says of recordings: each fragment in its place, none twice, none missing without a word.

Guarantees: a recording without a reason has its segments and fragments in order, contiguous in their files and in time
but for its `gap` entries, and the counts of `segment.seal` and `recording.stop` are those of its fragments. What was
said of a segment is given out when it is closed, so that its blob can be checked while the journal streams by. Assumes
entries whose chain agent/evidence/chain.py checks. Source: docs/formats.md, "The journal" and "Segments".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum

from agent.evidence.read import Line, segment_label
from agent.evidence.verdict import Findings, RecordingSummary, Verdict
from agent.formats import fields
from agent.formats.canonical import Object
from agent.model import NS_PER_MS, Stamp


class Fate(Enum):
    """How a segment's file came to its end."""

    SEALED = "sealed"
    RECOVERED = "recovered"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Place:
    """A fragment in its segment's file, in bytes; `blob` is the hash of the file up to its end, `where` its entry."""

    n: int
    offset: int
    length: int
    blob: str
    plain: str
    where: str

    @property
    def end(self) -> int:
        return self.offset + self.length


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """All that the journal says of one segment's file.

    `size` and `blob` are of the whole file: as it was sealed, or as recovery found it; None while it is open.
    `mismatch_n` is the first fragment that recovery found changed, `last_n` the last that it found whole.
    """

    rec: str
    seg: int
    header: str
    nonce: str
    init: str
    init_bytes: int
    places: tuple[Place, ...]
    fate: Fate
    size: int | None
    blob: str | None
    last_n: int | None
    mismatch_n: int | None
    where: str

    @property
    def label(self) -> str:
        return segment_label(self.rec, self.seg)


@dataclass(slots=True)
class _Segment:
    seg: int
    body: Object
    where: str
    places: list[Place] = field(default_factory=list)


@dataclass(slots=True)
class _Recording:
    rec: str
    press: Stamp
    press_ns: int | None
    segments: int = 0
    fragments: int = 0
    next_seg: int = 0
    first_ns: int | None = None
    end_ns: int = 0
    frame_ns: int = 0
    footage_ns: int = 0
    gap: tuple[int, int] | None = None
    segment: _Segment | None = None
    stopped: str | None = None

    def summary(self) -> RecordingSummary:
        return RecordingSummary(self.rec, self.press, self.segments, self.fragments, self.footage_ns, self.stopped)


class RecordingCheck:
    """Feed each entry with its body to `take`; it gives a segment out when that is closed."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._open: dict[str, _Recording] = {}
        self._done: dict[str, RecordingSummary] = {}
        self._highest_seg: dict[str, int] = {}
        self._footage_end: tuple[str, int] = ("", 0)
        self._policy: str | None = None
        self._takers: dict[str, Callable[[Line, Object], SegmentRecord | None]] = {
            "policy": self._take_policy,
            "recording.start": self._take_start,
            "segment.open": self._take_open,
            "fragment": self._take_fragment,
            "segment.seal": self._take_seal,
            "segment.recovered": self._take_recovered,
            "gap": self._take_gap,
            "mark": self._take_remark,
            "notice": self._take_remark,
            "place": self._take_remark,
            "recording.stop": self._take_stop,
        }
        self._whole = True

    def take(self, line: Line, whole: bool) -> SegmentRecord | None:
        """One entry; `whole` says that no entry and no body before it is missing."""
        self._whole = whole
        taker = self._takers.get(line.entry.head.kind)
        if taker is None or line.entry.body is None:
            return None
        return taker(line, line.entry.body)

    def finish(self) -> Iterator[SegmentRecord]:
        """Segments that are open at the end of the journal."""
        for recording in self._open.values():
            self._findings.add(
                Verdict.PARTIAL, "open", recording.rec, "the recording has not ended at the end of the journal"
            )
            if recording.segment is not None:
                yield _record(recording.rec, recording.segment, Fate.OPEN)

    def summaries(self) -> tuple[RecordingSummary, ...]:
        """All recordings, in the order of their start but for those that have not ended, which are last."""
        return (*self._done.values(), *(recording.summary() for recording in self._open.values()))

    def highest_segment(self, rec: str) -> int | None:
        """The last segment of a recording, None if there is no such recording or it has none."""
        return self._highest_seg.get(rec)

    def is_open(self, rec: str) -> bool:
        """Whether the recording has not ended."""
        return rec in self._open

    def _violation(self, line: Line, code: str, problem: str) -> None:
        """Where something is missing before, what does not fit may be what is missing."""
        verdict = Verdict.INVALID if self._whole else Verdict.INCOMPLETE
        self._findings.add(verdict, code, line.where, problem)

    def _recording(self, line: Line, body: Object) -> _Recording:
        """The open recording that an entry belongs to."""
        rec = fields.text_of(body, "rec")
        found = self._open.get(rec)
        if found is None:
            said = "has ended" if rec in self._done else "never started"
            self._violation(line, "recording", f"belongs to the recording {rec}, which {said}")
            found = _Recording(rec, line.entry.head.stamp, None)
            self._done.pop(rec, None)
            self._open[rec] = found
        return found

    def _segment(self, line: Line, body: Object) -> tuple[_Recording, _Segment | None]:
        recording = self._recording(line, body)
        seg = fields.integer_of(body, "seg")
        if recording.segment is None or recording.segment.seg != seg:
            self._violation(line, "segment", f"belongs to segment {seg}, which is not open")
            return recording, None
        return recording, recording.segment

    def _take_policy(self, line: Line, body: Object) -> None:
        self._policy = fields.text_of(body, "hash")

    def _take_start(self, line: Line, body: Object) -> None:
        head, rec = line.entry.head, fields.text_of(body, "rec")
        if rec != f"{head.dev}-{head.jid[:8]}-{head.seq}":
            self._violation(line, "recording", f"{rec} is not the id of a recording that starts here")
        self._open[rec] = _Recording(rec, head.stamp, fields.ns_of(body, "press_ns"))

    def _take_open(self, line: Line, body: Object) -> SegmentRecord | None:
        recording = self._recording(line, body)
        seg = fields.integer_of(body, "seg")
        # A segment whose first write failed is an orphan: its number is left out.
        if seg < recording.next_seg or (self._whole and recording.segments == 0 and recording.press_ns is None):
            self._violation(line, "segment", f"opens segment {seg} after segment {recording.next_seg - 1}")
        if self._policy is not None and body["policy"] != self._policy:
            self._violation(line, "policy", "names another policy than the one in force")
        left = recording.segment
        if left is not None:
            self._violation(line, "segment", f"opens segment {seg} while segment {left.seg} is not closed")
        recording.segment = _Segment(seg, body, line.where)
        recording.segments += 1
        recording.next_seg = seg + 1
        self._highest_seg[recording.rec] = seg
        return None if left is None else _record(recording.rec, left, Fate.OPEN)

    def _take_fragment(self, line: Line, body: Object) -> None:
        recording, segment = self._segment(line, body)
        place = Place(
            fields.integer_of(body, "n"),
            fields.integer_of(body, "off"),
            fields.integer_of(body, "len"),
            fields.text_of(body, "blob"),
            fields.text_of(body, "plain"),
            line.where,
        )
        if segment is not None:
            before = segment.places[-1] if segment.places else None
            if place.n != (0 if before is None else before.n + 1):
                self._violation(line, "fragment", f"is fragment {place.n}, not the next one of segment {segment.seg}")
            if before is not None and place.offset != before.end:
                self._violation(line, "offset", f"begins at byte {place.offset}, the one before ends at {before.end}")
            segment.places.append(place)
        self._check_footage(recording, line, body)

    def _check_footage(self, recording: _Recording, line: Line, body: Object) -> None:
        t0_ns, duration_ns = fields.ns_of(body, "t0_ns"), fields.ns_of(body, "dur_ns")
        frame_ns = -(-duration_ns // fields.integer_of(body, "frames"))
        end_ns, boot = t0_ns + duration_ns, line.entry.head.stamp.boot
        if recording.first_ns is None:
            recording.first_ns = t0_ns
            if self._footage_end[0] == boot and t0_ns < self._footage_end[1] - frame_ns:
                self._violation(line, "twice", "its footage belongs to an earlier recording already")
        elif abs(t0_ns - recording.end_ns) > max(frame_ns, recording.frame_ns):
            self._check_hole(recording, line, t0_ns)
        if recording.press_ns is not None and body["pre"] is not (end_ns <= recording.press_ns):
            self._violation(line, "pre", "pre does not say whether it ends before the press")
        recording.end_ns, recording.frame_ns, recording.gap = end_ns, frame_ns, None
        recording.fragments += 1
        recording.footage_ns += duration_ns
        self._footage_end = boot, end_ns

    def _check_hole(self, recording: _Recording, line: Line, t0_ns: int) -> None:
        low, high = sorted((recording.end_ns, t0_ns))
        gap = recording.gap
        if gap is None or min(gap) > low or max(gap) < high:
            problem = f"begins {(t0_ns - recording.end_ns) / NS_PER_MS:.0f} ms after the end of the fragment before it"
            self._violation(line, "gap", f"{problem}, and no gap entry covers that")

    def _take_seal(self, line: Line, body: Object) -> SegmentRecord | None:
        recording, segment = self._segment(line, body)
        if segment is None:
            return None
        count, size = fields.integer_of(body, "n"), fields.integer_of(body, "size")
        if count != len(segment.places):
            self._violation(line, "seal", f"counts {count} fragments, the segment has {len(segment.places)}")
        if segment.places and size < segment.places[-1].end:
            self._violation(line, "seal", f"a size of {size} bytes, its last fragment ends at {segment.places[-1].end}")
        recording.segment = None
        return _record(recording.rec, segment, Fate.SEALED, size, fields.text_of(body, "blob"))

    def _take_recovered(self, line: Line, body: Object) -> SegmentRecord | None:
        recording, segment = self._segment(line, body)
        if segment is None:
            return None
        last_n = None if body["last_n"] is None else fields.integer_of(body, "last_n")
        place = next((place for place in segment.places if place.n == last_n), None)
        if last_n is not None and (place is None or place.end != body["last_end"]):
            self._violation(line, "recovered", f"fragment {last_n} does not end where this says")
        blob = None if body["blob"] is None else fields.text_of(body, "blob")
        mismatch_n = None if body["mismatch_n"] is None else fields.integer_of(body, "mismatch_n")
        recording.segment = None
        size = fields.integer_of(body, "size")
        return _record(recording.rec, segment, Fate.RECOVERED, size, blob, last_n, mismatch_n)

    def _take_gap(self, line: Line, body: Object) -> None:
        recording = self._recording(line, body)
        gap = fields.ns_of(body, "from_ns"), fields.ns_of(body, "to_ns")
        before = recording.gap
        recording.gap = gap if before is None else (min(*before, *gap), max(*before, *gap))

    def _take_remark(self, line: Line, body: Object) -> None:
        rec = fields.text_of(body, "rec")
        if rec not in self._open and rec not in self._done:
            self._violation(line, "recording", f"belongs to the recording {rec}, which never started")

    def _take_stop(self, line: Line, body: Object) -> SegmentRecord | None:
        recording = self._recording(line, body)
        left = recording.segment
        if left is not None:
            self._violation(line, "stop", f"stops the recording while segment {left.seg} is not closed")
        if body["fragments"] != recording.fragments:
            self._violation(
                line, "stop", f"counts {body['fragments']} fragments, the recording has {recording.fragments}"
            )
        length_ns = 0 if recording.first_ns is None else recording.end_ns - recording.first_ns
        if body["duration_ms"] != length_ns // NS_PER_MS:
            self._violation(line, "stop", f"a duration of {body['duration_ms']} ms is not that of its fragments")
        recording.stopped = fields.text_of(body, "cause")
        self._done[recording.rec] = recording.summary()
        del self._open[recording.rec]
        return None if left is None else _record(recording.rec, left, Fate.OPEN)


def _record(
    rec: str,
    segment: _Segment,
    fate: Fate,
    size: int | None = None,
    blob: str | None = None,
    last_n: int | None = None,
    mismatch_n: int | None = None,
) -> SegmentRecord:
    return SegmentRecord(
        rec,
        segment.seg,
        fields.text_of(segment.body, "header"),
        fields.text_of(segment.body, "nonce"),
        fields.text_of(segment.body, "init"),
        fields.integer_of(segment.body, "init_len"),
        tuple(segment.places),
        fate,
        size,
        blob,
        last_n,
        mismatch_n,
        segment.where,
    )
