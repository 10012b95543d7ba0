"""The bundle for the court: its file names, and `statement.json`, what the exporter signs (docs/formats.md).

Guarantees: `parse` accepts exactly what `ExportStatement.encode` writes. What the statement says of the clips (counts,
offsets, gaps) follows from the journal beside it: a verifier derives it again and believes none of it. Assumes that the
caller has verified the CMS signature and the signer's role `export:<exporter>`.

`check.sh` reads these bytes too, field after field in the canonical order: a field added here is added there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agent.errors import FormatError
from agent.formats import fields
from agent.formats.bodies import MAX_SEGMENTS
from agent.formats.canonical import Object, decode, encode
from agent.formats.fields import hash_hex, integer, listing, nullable, record, text

TYPE = "temoin/export/1"
STATEMENT_FILE = "statement.json"
SIGNATURE_FILE = "statement.p7s"
JOURNAL_FILE = "journal.log"
CAMERA_FILE = "camera.pem"
AGENCY_FILE = "agency.pem"
TSA_FILE = "tsa.pem"
TOKEN_BEFORE_FILE = "before.tsr"  # noqa: S105 - a file's name
TOKEN_AFTER_FILE = "after.tsr"  # noqa: S105 - a file's name
CHECK_FILE = "check.sh"
CHECK_TEXT_FILE = "CHECK.txt"

MAX_STATEMENT_BYTES = 256 * 1024
MAX_CLIPS = 1000
MAX_GAPS = 10_000
MAX_REASONS = 100
MAX_REASON_CHARACTERS = 300
VERDICTS = ("INVALID", "FORK", "UNTRUSTED", "INCOMPLETE", "SIMULATED", "PARTIAL", "VALID")

_POSITIVE = integer(1)


def clip_file(number: int) -> str:
    """Name of clip `number`, from 1: `clip.mp4`, `clip-2.mp4`, ..."""
    return "clip.mp4" if number == 1 else f"clip-{number}.mp4"


def init_file(number: int) -> str:
    """Name of the padded init of clip `number`, from 1."""
    return "init.mp4" if number == 1 else f"init-{number}.mp4"


_SEGMENT_RANGE = record(
    {"count": _POSITIVE, "first": integer(0, 100_000), "offset": _POSITIVE, "seg": integer(0, MAX_SEGMENTS)}
)
_CLIP = record(
    {
        "file": fields.file_name,
        "fragments": _POSITIVE,
        "frames": _POSITIVE,
        "init": record({"file": fields.file_name, "sha256": hash_hex, "size": _POSITIVE}),
        "moov": record({"sha256": hash_hex, "size": _POSITIVE}),
        "pre": integer(),
        "segments": listing(_SEGMENT_RANGE, MAX_SEGMENTS, least=1),
        "sha256": hash_hex,
        "size": _POSITIVE,
    }
)
_STATEMENT = record(
    {
        "agency": fields.identifier,
        "camera": hash_hex,
        "clips": listing(_CLIP, MAX_CLIPS, least=1),
        "cut": record({"after": integer(), "before": integer()}),
        "dev": fields.identifier,
        "exporter": fields.identifier,
        "gaps": listing(integer(), MAX_GAPS),
        "jid": fields.random_hex,
        "journal": record({"first": integer(), "head": hash_hex, "last": integer(), "sha256": hash_hex}),
        "recording": fields.recording_id,
        "stop": nullable(integer()),
        "tokens": record({"after": nullable(hash_hex), "before": nullable(hash_hex), "roots": nullable(hash_hex)}),
        "typ": fields.one_of(TYPE),
        "utc": fields.utc,
        "verdict": record(
            {"level": fields.one_of(*VERDICTS), "reasons": listing(text(MAX_REASON_CHARACTERS), MAX_REASONS)}
        ),
    }
)


@dataclass(frozen=True, slots=True)
class SegmentRange:
    """`count` fragments of a segment, from its fragment `first`, lie one after the other from `offset` of the clip."""

    seg: int
    first: int
    count: int
    offset: int


@dataclass(frozen=True, slots=True)
class ClipStatement:
    """What is said of one clip. Hashes are hex SHA-256; `pre` counts the fragments that end at or before the press.

    `init_*` are of the padded init as it was sealed; `moov_*` of the clip's own index, its last `moov_bytes`.
    """

    file: str
    size_bytes: int
    sha256: str
    init_file: str
    init_bytes: int
    init_sha256: str
    moov_bytes: int
    moov_sha256: str
    fragments: int
    frames: int
    pre: int
    segments: tuple[SegmentRange, ...]


@dataclass(frozen=True, slots=True)
class ExportStatement:
    """`statement.json`.

    `camera` is the hash of the camera's DER certificate; `cut_before` and `cut_after` count the recording's fragments
    that no clip shows; `gaps` are the sequence numbers of the recording's `gap` entries, `stop` that of its
    `recording.stop`; `first`, `last`, `head` describe journal.log, `head` being the hash of its last entry's head.
    Token hashes are of before.tsr, after.tsr and tsa.pem. The verdict is on the whole data folder, at export.
    """

    agency: str
    exporter: str
    utc_ms: int
    dev: str
    jid: str
    camera: str
    recording: str
    stop: int | None
    gaps: tuple[int, ...]
    cut_before: int
    cut_after: int
    clips: tuple[ClipStatement, ...]
    first: int
    last: int
    head: str
    journal_sha256: str
    token_before: str | None
    token_after: str | None
    token_roots: str | None
    verdict: str
    reasons: tuple[str, ...]

    def encode(self) -> bytes:
        """The bytes of `statement.json`. Raises FormatError for what `parse` would not take."""
        value: Object = {
            "agency": self.agency,
            "camera": self.camera,
            "clips": [_clip_object(clip) for clip in self.clips],
            "cut": {"after": self.cut_after, "before": self.cut_before},
            "dev": self.dev,
            "exporter": self.exporter,
            "gaps": list(self.gaps),
            "jid": self.jid,
            "journal": {
                "first": self.first,
                "head": self.head,
                "last": self.last,
                "sha256": self.journal_sha256,
            },
            "recording": self.recording,
            "stop": self.stop,
            "tokens": {"after": self.token_after, "before": self.token_before, "roots": self.token_roots},
            "typ": TYPE,
            "utc": fields.format_utc(self.utc_ms),
            "verdict": {"level": self.verdict, "reasons": list(self.reasons)},
        }
        data = encode(value)
        if parse(data) != self:
            raise FormatError("statement", "does not say what it was made of")
        return data


def parse(data: bytes) -> ExportStatement:
    """The statement in these bytes. Raises FormatError that names the field."""
    value = decode(data, MAX_STATEMENT_BYTES)
    _STATEMENT(value, "statement")
    journal, cut = fields.object_of(value, "journal"), fields.object_of(value, "cut")
    tokens, verdict = fields.object_of(value, "tokens"), fields.object_of(value, "verdict")
    clips = tuple(_clip(clip, number) for number, clip in enumerate(_objects(value, "clips"), start=1))
    recording = fields.text_of(value, "recording")
    dev, jid = fields.text_of(value, "dev"), fields.text_of(value, "jid")
    if recording.rpartition("-")[0] != f"{dev}-{jid[:8]}":
        raise FormatError("statement.recording", "is not of this dev and jid")
    return ExportStatement(
        agency=fields.text_of(value, "agency"),
        exporter=fields.text_of(value, "exporter"),
        utc_ms=fields.parse_utc(value["utc"], "statement.utc"),
        dev=dev,
        jid=jid,
        camera=fields.text_of(value, "camera"),
        recording=recording,
        stop=None if value["stop"] is None else fields.integer_of(value, "stop"),
        gaps=tuple(each for each in fields.list_of(value, "gaps") if isinstance(each, int)),
        cut_before=fields.integer_of(cut, "before"),
        cut_after=fields.integer_of(cut, "after"),
        clips=clips,
        first=fields.integer_of(journal, "first"),
        last=fields.integer_of(journal, "last"),
        head=fields.text_of(journal, "head"),
        journal_sha256=fields.text_of(journal, "sha256"),
        token_before=_text_or_none(tokens, "before"),
        token_after=_text_or_none(tokens, "after"),
        token_roots=_text_or_none(tokens, "roots"),
        verdict=fields.text_of(verdict, "level"),
        reasons=tuple(str(each) for each in fields.list_of(verdict, "reasons")),
    )


def _clip_object(clip: ClipStatement) -> Object:
    return {
        "file": clip.file,
        "fragments": clip.fragments,
        "frames": clip.frames,
        "init": {"file": clip.init_file, "sha256": clip.init_sha256, "size": clip.init_bytes},
        "moov": {"sha256": clip.moov_sha256, "size": clip.moov_bytes},
        "pre": clip.pre,
        "segments": [
            {"count": each.count, "first": each.first, "offset": each.offset, "seg": each.seg} for each in clip.segments
        ],
        "sha256": clip.sha256,
        "size": clip.size_bytes,
    }


def _clip(value: Object, number: int) -> ClipStatement:
    where = f"statement.clips[{number - 1}]"
    init, moov = fields.object_of(value, "init"), fields.object_of(value, "moov")
    names = fields.text_of(value, "file"), fields.text_of(init, "file")
    if names != (clip_file(number), init_file(number)):
        raise FormatError(where, f"the files {' and '.join(names)} are not those of clip {number}")
    ranges = tuple(
        SegmentRange(*(fields.integer_of(each, key) for key in ("seg", "first", "count", "offset")))
        for each in _objects(value, "segments")
    )
    fragments = fields.integer_of(value, "fragments")
    if sum(each.count for each in ranges) != fragments:
        raise FormatError(f"{where}.fragments", "is not the sum of its segments' counts")
    return ClipStatement(
        file=names[0],
        size_bytes=fields.integer_of(value, "size"),
        sha256=fields.text_of(value, "sha256"),
        init_file=names[1],
        init_bytes=fields.integer_of(init, "size"),
        init_sha256=fields.text_of(init, "sha256"),
        moov_bytes=fields.integer_of(moov, "size"),
        moov_sha256=fields.text_of(moov, "sha256"),
        fragments=fragments,
        frames=fields.integer_of(value, "frames"),
        pre=fields.integer_of(value, "pre"),
        segments=ranges,
    )


def _objects(value: Object, key: str) -> Sequence[Object]:
    return [each for each in fields.list_of(value, key) if isinstance(each, dict)]


def _text_or_none(value: Object, key: str) -> str | None:
    return None if value[key] is None else fields.text_of(value, key)
