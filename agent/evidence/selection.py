"""Finds one recording in the journal of a camera's folder, and the stretch of journal that goes with it to court.

Guarantees: two passes over the journal, memory grows with the recording only; every entry that leaves follows the one
before it and is signed by the camera of the genesis entry, or, as an unsigned fragment, is followed by a signed entry
of the same stretch; the stretch never ends in an unsigned one. Bodies of other recordings and of other people stay
behind, their heads do not: the chain stays whole. Assumes that nobody writes to the folder meanwhile.
Source: docs/formats.md, "The journal" and "The bundle".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509

from agent import keys
from agent.errors import CertificateError, ExportError, SignatureError
from agent.evidence.read import Damage, Line, Torn, read_journal
from agent.formats import fields, statement
from agent.formats.canonical import Object
from agent.formats.entries import Entry
from agent.model import NS_PER_MS

_VERIFY = "run temoin verify on the data folder"
_ALWAYS_SHOWN = frozenset(
    {
        "genesis",
        "boot",
        "checkpoint",
        "policy",
        "dock",
        "undock",
        "beacon",
        "ack",
        "token",
        "trim",
        "key.rotate",
        "update",
        "reset",
        "shutdown",
    }
)
"""Kinds that say something of the camera or of the time, and nothing of any person."""
_SHOWN_WHILE_RECORDING = frozenset({"alert", "selftest", "refused"})


@dataclass(frozen=True, slots=True)
class Token:
    """A time-stamp reply (DER) that the journal holds, and the entry that holds it."""

    seq: int
    reply: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """One fragment as its entry describes it: `off` and `len` in the segment's file, `plain` of the padded fragment."""

    seq: int
    seg: int
    n: int
    offset: int
    length: int
    t0_ns: int
    dur_ns: int
    frames: int
    pre: bool
    plain: str
    blob: str

    @property
    def end_ns(self) -> int:
        return self.t0_ns + self.dur_ns


@dataclass(frozen=True, slots=True)
class Segment:
    """What `segment.open` says of one segment. Hashes are hex SHA-256, `nonce` hex."""

    seg: int
    header: str
    nonce: str
    init: str
    init_bytes: int


@dataclass(slots=True)
class _Survey:
    """What the first pass has seen so far."""

    recording: str
    chain: tuple[bytes, ...] = ()
    slow_signer: bool = False
    begin: int | None = None
    waiting_token: tuple[int, Token] | None = None
    token_before: Token | None = None
    start: Entry | None = None
    stop: int | None = None
    segments: list[Segment] = field(default_factory=list)
    fragments: list[Fragment] = field(default_factory=list)
    last_good: dict[int, int] = field(default_factory=dict)
    gaps: list[int] = field(default_factory=list)
    since_stop: set[str] = field(default_factory=set)
    token_after: Token | None = None
    first_seq: int | None = None
    last_signed: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """One recording and its stretch of journal, entries `first` to `last`.

    `chain` are DER certificates of the camera; `last_good` gives, for a segment that was recovered after a cut, the
    last fragment that recovery found whole (-1: none); `stop` is None while the recording has no `recording.stop`.
    """

    recording: str
    dev: str
    jid: str
    chain: tuple[bytes, ...]
    wearer: str | None
    first: int
    last: int
    stop: int | None
    segments: tuple[Segment, ...]
    fragments: tuple[Fragment, ...]
    last_good: dict[int, int]
    gaps: tuple[int, ...]
    token_before: Token | None
    token_after: Token | None

    @property
    def start(self) -> int:
        """Sequence number of `recording.start`."""
        return int(self.recording.rpartition("-")[2])

    def cut(self, start_ms: int | None, end_ms: int | None) -> tuple[Fragment, ...]:
        """The whole fragments of which something lies between two times, in ms since the first one began.

        Raises ExportError if there is none, or if one of them cannot be had.
        """
        zero = self.fragments[0].t0_ns
        begin = zero + (start_ms or 0) * NS_PER_MS
        end = self.fragments[-1].end_ns if end_ms is None else zero + end_ms * NS_PER_MS
        wanted = [each for each in self.fragments if each.end_ns > begin and each.t0_ns < end]
        while wanted and not self._is_whole(wanted[-1]):
            wanted.pop()
        if not wanted:
            length_ms = (self.fragments[-1].end_ns - zero) // NS_PER_MS
            raise ExportError(self.recording, f"nothing to export; it lasts {length_ms} ms", "check --start and --end")
        for each in wanted:
            if not self._is_whole(each):
                at_s = (each.t0_ns - zero) // (1000 * NS_PER_MS)
                problem = f"entry {each.seq} (at {at_s} s) has no whole fragment since the power was cut"
                raise ExportError(self.recording, problem, f"export up to it, with --end {at_s}")
        return tuple(wanted)

    def _is_whole(self, fragment: Fragment) -> bool:
        return fragment.n <= self.last_good.get(fragment.seg, fragment.n)


def select(data: Path, recording: str) -> Selection:
    """Find the recording. Raises ExportError, UnreadableError."""
    survey = _Survey(recording)
    for item in read_journal(data):
        if isinstance(item, Line):
            _take(survey, item)
            if survey.token_after is not None:
                break
        elif isinstance(item, Damage) and survey.start is not None:
            raise ExportError(item.where, item.problem, "use an untouched copy")
    return _selection(survey)


def entries_of(data: Path, selection: Selection, root: x509.Certificate) -> Iterator[Entry]:
    """The stretch, each entry checked against the one before and against the camera's certificate, under `root`.

    Bodies that do not belong to the recording are withheld. Raises ExportError.
    """
    verifier = _verifier(selection, root)
    before: Entry | None = None
    for line in _lines(data, selection.first, selection.last):
        entry = line.entry
        head = entry.head
        if (head.dev, head.jid) != (selection.dev, selection.jid):
            raise ExportError(line.where, "is of another camera or journal", _VERIFY)
        expected = selection.first if before is None else before.head.seq + 1
        if head.seq != expected or (before is not None and head.prev != before.digest.hex()):
            raise ExportError(line.where, "does not follow the entry before it", _VERIFY)
        if head.kind == "key.rotate":
            raise ExportError(line.where, "the camera's key changes between the token and the end", _VERIFY)
        if entry.signature is not None:
            try:
                verifier.check(entry.digest, entry.signature, line.where)
            except SignatureError as error:
                raise ExportError(error.where, error.problem, _VERIFY) from None
        before = entry
        yield entry if _is_shown(entry, selection) else entry.without_body()
    if before is None or before.head.seq != selection.last:
        raise ExportError("journal", f"ends before entry {selection.last}", _VERIFY)


def camera_chain(selection: Selection) -> tuple[x509.Certificate, ...]:
    """The camera's certificates, its own first. Raises CertificateError."""
    return tuple(keys.parse_certificate(der, "genesis: certificate") for der in selection.chain)


def _verifier(selection: Selection, root: x509.Certificate) -> keys.Verifier:
    try:
        chain = camera_chain(selection)
        # When it was valid is judged by who checks the bundle, at the time that a token proves.
        role = keys.check_chain(chain, root, ("camera", "sim"), "camera", None)
        if role.id != selection.dev:
            raise CertificateError("camera: role", f"is {role.urn}, the journal is of {selection.dev}")
        return keys.Verifier(chain[0])
    except CertificateError as error:
        raise ExportError(error.where, error.problem, "give the certificate of the camera's agency") from None


def _lines(data: Path, first: int, last: int) -> Iterator[Line]:
    for item in read_journal(data):
        if isinstance(item, Torn):
            continue
        number = item.entry.head.seq if isinstance(item, Line) else item.number
        if number > last:
            return
        if number < first:
            continue
        if isinstance(item, Damage):
            raise ExportError(item.where, item.problem, "use an untouched copy")
        yield item


def _is_shown(entry: Entry, selection: Selection) -> bool:
    kind, body = entry.head.kind, entry.body
    if body is None:
        return False
    if kind in _ALWAYS_SHOWN:
        return True
    if kind in _SHOWN_WHILE_RECORDING:
        return entry.head.seq > selection.start and (selection.stop is None or entry.head.seq < selection.stop)
    if "rec" in body:
        return body["rec"] == selection.recording
    if "statement" not in body or body["statement"] is None:
        return False
    said = statement.parse_in(body).value
    if "rec" in said:
        return said["rec"] == selection.recording
    return kind == "assign" and selection.wearer is not None and said["wearer"] == selection.wearer


# --- the first pass ---------------------------------------------------------------------------------------------------


def _take(survey: _Survey, line: Line) -> None:
    entry = line.entry
    seq = entry.head.seq
    if survey.first_seq is None:
        survey.first_seq = seq
    if survey.stop is not None:
        survey.since_stop.add(entry.digest.hex())
    if entry.body is not None:
        _take_body(survey, entry, entry.body)
    if entry.signature is not None:
        survey.last_signed = seq


def _take_body(survey: _Survey, entry: Entry, body: Object) -> None:
    kind = entry.head.kind
    if kind in ("genesis", "key.rotate") and survey.start is None:
        survey.chain = tuple(fields.decode_base64(each, "chain") for each in fields.list_of(body, "chain"))
    if kind in ("genesis", "checkpoint"):
        survey.slow_signer = body["slow_signer"] is True
    if kind == "token":
        _take_token(survey, entry, body)
    elif survey.start is None and kind == "genesis":
        survey.begin = entry.head.seq
    elif survey.start is None and kind == "checkpoint" and survey.waiting_token is not None:
        survey.begin, survey.token_before = survey.waiting_token
        survey.waiting_token = None
    if body.get("rec") == survey.recording:
        _take_own(survey, entry, body)


def _take_token(survey: _Survey, entry: Entry, body: Object) -> None:
    said = statement.parse_in(body).value
    token = Token(entry.head.seq, fields.decode_base64(said["tsr"], "token.tsr"))
    if survey.start is None:
        if survey.slow_signer:
            # Unsigned fragments are read as such only after a checkpoint that declares the slow signer.
            survey.waiting_token = entry.head.seq, token
        else:
            survey.begin, survey.token_before = entry.head.seq, token
    elif survey.stop is not None and said["head"] in survey.since_stop and said["head"] == said["imprint"]:
        survey.token_after = token


def _take_own(survey: _Survey, entry: Entry, body: Object) -> None:
    seq, kind = entry.head.seq, entry.head.kind
    if kind == "recording.start":
        survey.start = entry
    elif survey.start is None:
        raise ExportError(f"entry {seq}", "is of the recording, but its start is not there", _VERIFY)
    elif kind == "segment.open":
        survey.segments.append(
            Segment(
                seg=fields.integer_of(body, "seg"),
                header=fields.text_of(body, "header"),
                nonce=fields.text_of(body, "nonce"),
                init=fields.text_of(body, "init"),
                init_bytes=fields.integer_of(body, "init_len"),
            )
        )
    elif kind == "fragment":
        survey.fragments.append(_fragment(seq, body))
    elif kind == "segment.recovered":
        last = body["last_n"]
        survey.last_good[fields.integer_of(body, "seg")] = last if isinstance(last, int) else -1
    elif kind == "gap":
        survey.gaps.append(seq)
    elif kind == "recording.stop":
        survey.stop = seq
        survey.since_stop.add(entry.digest.hex())


def _fragment(seq: int, body: Object) -> Fragment:
    return Fragment(
        seq=seq,
        seg=fields.integer_of(body, "seg"),
        n=fields.integer_of(body, "n"),
        offset=fields.integer_of(body, "off"),
        length=fields.integer_of(body, "len"),
        t0_ns=fields.ns_of(body, "t0_ns"),
        dur_ns=fields.ns_of(body, "dur_ns"),
        frames=fields.integer_of(body, "frames"),
        pre=body["pre"] is True,
        plain=fields.text_of(body, "plain"),
        blob=fields.text_of(body, "blob"),
    )


def _selection(survey: _Survey) -> Selection:
    recording = survey.recording
    if survey.start is None:
        raise ExportError(recording, "is not in the journal", "temoin verify lists the recordings of the data folder")
    if not survey.chain:
        raise ExportError(recording, "the camera's genesis entry was trimmed", "export from the dock's archive")
    last = survey.token_after.seq if survey.token_after else survey.last_signed
    fragments = tuple(each for each in survey.fragments if each.seq <= last)
    if not fragments:
        raise ExportError(recording, "has no fragment that a signature covers", _VERIFY)
    _check_order(recording, survey.segments, fragments)
    assert survey.start.body is not None
    assert survey.first_seq is not None
    wearer = survey.start.body["wearer"]
    return Selection(
        recording=recording,
        dev=survey.start.head.dev,
        jid=survey.start.head.jid,
        chain=survey.chain,
        wearer=wearer if isinstance(wearer, str) else None,
        first=survey.first_seq if survey.begin is None else survey.begin,
        last=last,
        stop=survey.stop,
        segments=tuple(survey.segments),
        fragments=fragments,
        last_good=survey.last_good,
        gaps=tuple(survey.gaps),
        token_before=survey.token_before,
        token_after=survey.token_after,
    )


def _check_order(recording: str, segments: Sequence[Segment], fragments: Sequence[Fragment]) -> None:
    """Fragments count up without holes, in segments that were opened: what is not so cannot be offered as whole."""
    opened = [segment.seg for segment in segments]
    if opened != sorted(set(opened)):
        raise ExportError(recording, "opens a segment twice, or one before another", _VERIFY)
    seg, n = -1, -1
    for each in fragments:
        if (each.seg, each.n) != (seg, n + 1) and not (each.seg > seg and each.n == 0):
            raise ExportError(f"entry {each.seq}", f"fragment {each.seg}/{each.n} follows {seg}/{n}", _VERIFY)
        if each.seg not in opened:
            raise ExportError(f"entry {each.seq}", f"segment {each.seg} was never opened", _VERIFY)
        seg, n = each.seg, each.n
