"""statement.json: what is encoded is parsed to the same, and nothing else is taken."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import FormatError
from agent.formats import bundle
from agent.formats.bundle import ClipStatement, ExportStatement, SegmentRange

HASH = "0" * 64
JID = "0123456789abcdef" * 2


def clip(number: int = 1, ranges: tuple[SegmentRange, ...] = (SegmentRange(0, 0, 3, 65_536),)) -> ClipStatement:
    return ClipStatement(
        file=bundle.clip_file(number),
        size_bytes=400_000,
        sha256=HASH,
        init_file=bundle.init_file(number),
        init_bytes=65_536,
        init_sha256=HASH,
        moov_bytes=2_000,
        moov_sha256=HASH,
        fragments=sum(each.count for each in ranges),
        frames=75,
        pre=1,
        segments=ranges,
    )


STATEMENT = ExportStatement(
    agency="pm-test",
    exporter="reader-1",
    utc_ms=1_767_254_400_000,
    dev="cam-01",
    jid=JID,
    camera=HASH,
    recording=f"cam-01-{JID[:8]}-3",
    stop=12,
    gaps=(7,),
    cut_before=0,
    cut_after=2,
    clips=(clip(), clip(2)),
    first=0,
    last=20,
    head=HASH,
    journal_sha256=HASH,
    token_before=None,
    token_after=HASH,
    token_roots=HASH,
    verdict="PARTIAL",
    reasons=("PARTIAL: the time bracket is open", "é"),
)

ranges = st.builds(
    SegmentRange, st.integers(0, 100_000), st.integers(0, 100_000), st.integers(1, 2**40), st.integers(1, 2**50)
)
statements = st.builds(
    replace,
    st.just(STATEMENT),
    stop=st.none() | st.integers(0, 2**53 - 1),
    gaps=st.lists(st.integers(0, 2**53 - 1), max_size=5).map(tuple),
    clips=st.lists(st.lists(ranges, min_size=1, max_size=4), min_size=1, max_size=3).map(
        lambda found: tuple(clip(number, tuple(each)) for number, each in enumerate(found, start=1))
    ),
    token_before=st.none() | st.just(HASH),
    verdict=st.sampled_from(bundle.VERDICTS),
    reasons=st.lists(st.text('abc é"\\{}[]:,', min_size=1, max_size=300), max_size=3).map(tuple),
    utc_ms=st.integers(0, 2**41),
)


@settings(max_examples=50)
@given(statements)
def test_what_is_encoded_parses_to_the_same(statement: ExportStatement) -> None:
    assert bundle.parse(statement.encode()) == statement


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"typ": "temoin/export/2"}, "typ"),
        ({"more": 1}, "more"),
        ({"clips": []}, "clips"),
        ({"agency": "PM"}, "agency"),
        ({"exporter": ""}, "exporter"),
        ({"gaps": [-1]}, "gaps"),
        ({"gaps": ["1"]}, "gaps"),
        ({"stop": False}, "stop"),
        ({"utc": "2026-01-01"}, "utc"),
        ({"jid": "1" * 32}, "recording"),
        ({"dev": "cam-02"}, "recording"),
        ({"camera": "A" * 64}, "camera"),
        ({"verdict": {"level": "FINE", "reasons": []}}, "level"),
        ({"verdict": {"level": "VALID", "reasons": [""]}}, "reasons"),
        ({"verdict": {"level": "VALID", "reasons": ["x" * 301]}}, "reasons"),
        ({"cut": {"after": 0}}, "cut.before"),
        ({"journal": {"first": 0, "head": HASH, "last": 2, "sha256": HASH, "x": 1}}, "journal"),
    ],
)
def test_each_field_is_checked_and_named(changes: dict[str, object], field: str) -> None:
    value = json.loads(STATEMENT.encode()) | changes
    with pytest.raises(FormatError, match=field):
        bundle.parse(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"file": "clip-2.mp4"}, "not those of clip 1"),
        ({"file": "../clip.mp4"}, "file"),
        ({"fragments": 4}, "sum of its segments"),
        ({"segments": []}, "segments"),
        ({"init": {"file": "init-2.mp4", "sha256": HASH, "size": 1}}, "not those of clip 1"),
        ({"segments": [{"count": 0, "first": 0, "offset": 65_536, "seg": 0}]}, "count"),
    ],
)
def test_each_field_of_a_clip_is_checked(changes: dict[str, object], field: str) -> None:
    value = json.loads(STATEMENT.encode())
    value["clips"][0] |= changes
    with pytest.raises(FormatError, match=field):
        bundle.parse(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode())


def test_one_encoding_and_one_size() -> None:
    data = STATEMENT.encode()
    for other in (
        data + b"\n",
        data.replace(b",", b", ", 1),
        b"{" + data[1:].replace(b'"agency"', b'"agency":"a","agency"', 1),
    ):
        with pytest.raises(FormatError):
            bundle.parse(other)
    with pytest.raises(FormatError, match="more than"):
        bundle.parse(b" " * (bundle.MAX_STATEMENT_BYTES + 1))


def test_a_long_recording_fits_and_one_too_long_is_refused() -> None:
    """Eight hours in segments of 30 s."""
    segments = tuple(SegmentRange(seg, 0, 30, 65_536 + seg * 30 * 1_048_576) for seg in range(960))
    assert len(replace(STATEMENT, clips=(clip(1, segments),)).encode()) < bundle.MAX_STATEMENT_BYTES // 3
    with pytest.raises(FormatError, match="more than"):
        replace(STATEMENT, clips=(clip(1, segments * 6),)).encode()
