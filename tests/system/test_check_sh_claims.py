"""check.sh believes nobody: what statement.json and the camera say is derived again from the journal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from agent.formats import bundle
from agent.formats.canonical import Value
from tests.support.agency import make_agency
from tests.support.evidence import builder
from tests.support.exports import (
    DAY_MS,
    INIT,
    OTHER_INIT,
    film,
    make_bundle,
    piece,
    record,
    run_check,
    say_again,
)
from tests.support.forgeries import (
    FRAGMENT_BYTES,
    Made,
    change_bytes,
    check,
    copy_of,
    last_failure,
    lines_of,
    make,
    resigned,
    rewrite,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("check"))


# --- the statement lies -----------------------------------------------------------------------------------------------


def clip_claim(made: Made, changes: Mapping[str, object]) -> list[object]:
    value = json.loads((made.folder / bundle.STATEMENT_FILE).read_bytes())
    return [{**value["clips"][0], **changes}]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"fragments": 4}, "the counts of clip.mp4"),
        ({"frames": 124}, "the counts of clip.mp4"),
        ({"pre": 3}, "the counts of clip.mp4"),
        ({"segments": [{"count": 3, "first": 0, "offset": 65536, "seg": 0}]}, "the counts of clip.mp4"),
        (
            {
                "segments": [
                    {"count": 3, "first": 0, "offset": 65536, "seg": 0},
                    {"count": 2, "first": 0, "offset": 262145, "seg": 1},
                ]
            },
            "offset in clip.mp4",
        ),
        (
            {
                "segments": [
                    {"count": 2, "first": 0, "offset": 65536, "seg": 0},
                    {"count": 2, "first": 0, "offset": 196608, "seg": 1},
                ]
            },
            "the fragments of clip.mp4 are not those of the journal",
        ),
        ({"file": "../clip.mp4"}, "statement.json: not of the expected form"),
        ({"init": {"file": "init.mp4", "sha256": "0" * 64, "size": 65536}}, "init.mp4 is not the one of segment 0"),
        ({"moov": {"sha256": "0" * 64, "size": 2712}}, "clip.mp4: its size"),
        ({"sha256": "$(touch forged)" + "0" * 49}, "statement.json: not of the expected form"),
    ],
)
def test_what_is_said_of_the_clip_is_derived_again(
    made: Made, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    folder = copy_of(made, tmp_path)
    resigned(made, folder, {"clips": clip_claim(made, changes)})
    found = check(made, folder)
    assert found.code == 1
    assert named in found.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"agency": "pm-other"}, "another agency"),
        ({"camera": "0" * 64}, "camera.pem: not the one"),
        ({"cut": {"after": 1, "before": 0}}, "statement.json: cut"),
        ({"cut": {"after": 0, "before": 1}}, "the fragments of clip.mp4 are not those"),
        ({"dev": "cam-02"}, "of another camera or journal"),
        ({"exporter": "somebody"}, "does not have the role export:somebody"),
        ({"gaps": [7]}, "gaps are not those of the journal"),
        ({"recording": "cam-01-00000000-3"}, "no recording.start"),
        ({"stop": 3}, "stop is not that of the journal"),
        ({"typ": "temoin/export/2"}, "not of the expected form"),
        ({"more": 1}, "not of the expected form"),
        ({"tokens": {"after": "0" * 64, "before": None, "roots": None}}, "after.tsr, but no token"),
        ({"tokens": {"after": None, "before": "0" * 64, "roots": None}}, "before.tsr, but no token"),
        ({"journal": {"first": 1, "head": "0" * 64, "last": 13, "sha256": "0" * 64}}, "entry 0: unexpected number"),
        (
            {"journal": {"first": 0, "head": "0" * 64, "last": 13, "sha256": "0" * 64}},
            "entry 13: its hash is not the head",
        ),
    ],
)
def test_what_is_said_of_the_journal_is_derived_again(
    made: Made, tmp_path: Path, changes: dict[str, object], named: str
) -> None:
    folder = copy_of(made, tmp_path)
    resigned(made, folder, changes)
    found = check(made, folder)
    assert found.code == 1
    assert named in found.out.splitlines()[-1]


# --- odd bundles that pass --------------------------------------------------------------------------------------------


def test_a_cut_with_two_inits_a_gap_and_text_that_looks_like_fields(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    trap = '"},"plain":"' + "0" * 64 + '","rec":"x'
    camera.mono_ns += 10_000_000_000
    rec = camera.start()
    second = film(camera, 0, (3,))
    camera.append("alert", {"cause": "test", "values": {"plain": trap}, "remedy": "none"})
    camera.gap(2_000_000_000)
    film(camera, second + 2, (2,), OTHER_INIT)
    camera.stop()
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle", start_ms=1500, end_ms=6500).folder
    found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    assert found.code == 0, found.out
    assert "4 of the recording's 5 fragments" in found.out
    assert "1 gaps named" in found.out
    assert "the clip is a cut" in found.out
    assert (folder / "clip-2.mp4").exists()
    change_bytes(folder / "clip-2.mp4", FRAGMENT_BYTES, b"!")
    assert "clip-2.mp4: the bytes at offset 65536" in last_failure(
        run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    )


@pytest.mark.parametrize(
    ("kind", "changes", "problem"),
    [
        (
            "fragment",
            {"t0_ns": "47000000000"},
            "entry 6: a hole before this fragment that no gap entry names",
        ),
        ("fragment", {"pre": False}, "entry 5: pre does not say whether it ends before the press"),
        ("segment.seal", {"n": 3}, "entry 7: the count of the segment"),
        ("recording.stop", {"fragments": 3}, "entry 8: the recording has 3 fragments, the journal 2"),
    ],
)
def test_what_the_camera_says_of_itself_has_to_agree(
    tmp_path: Path, kind: str, changes: dict[str, Value], problem: str
) -> None:
    """Entries that are signed and chained, and contradict each other."""
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency)
    camera.genesis()
    camera.mono_ns += 10_000_000_000
    rec = camera.start()
    segment = camera.open_segment(INIT)
    camera.fragment(segment, piece(0))
    if kind == "fragment":
        say_again(camera, changes)
    camera.fragment(segment, piece(1))
    camera.seal(segment)
    if kind == "segment.seal":
        say_again(camera, changes)
    camera.stop()
    if kind == "recording.stop":
        say_again(camera, changes)
    camera.write()
    made = Made(agency, make_bundle(camera, agency, rec, tmp_path / "bundle").folder)
    assert problem in last_failure(check(made, made.folder))


def test_a_slow_signer_is_covered_by_its_next_signature(tmp_path: Path) -> None:
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency, slow_signer=True)
    camera.genesis()
    rec = record(camera, 0, (4,))
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle").folder
    found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
    assert found.code == 0, found.out
    assert "2 fragments covered by the next one" in found.out
    lines = lines_of(folder)
    for number, problem in ((1, "entry 1: not signed"), (6, "not the one that the exporter signed")):
        forged = [b"\t".join([*lines[number].split(b"\t")[:1], b"-", lines[number].split(b"\t")[2]])]
        rewrite(folder, [*lines[:number], *forged, *lines[number + 1 :]])
        found = run_check(folder, "--ca-sha256", agency.fingerprint, now_ms=agency.now_ms + DAY_MS)
        assert problem in last_failure(found)


def test_an_unsigned_tail_is_nobodys(tmp_path: Path) -> None:
    """A slow signer's last fragments, put behind the last signature by an exporter who signs for them."""
    agency = make_agency(tmp_path, simulated=False)
    camera = builder(tmp_path / "data", agency, slow_signer=True)
    camera.genesis()
    camera.mono_ns += 10_000_000_000
    rec = camera.start()
    segment = camera.open_segment(INIT)
    camera.fragment(segment, piece(0))
    tail = camera.fragment(segment, piece(1), signed=False)
    camera.leave_open(segment)
    camera.write()
    folder = make_bundle(camera, agency, rec, tmp_path / "bundle").folder
    rewrite(folder, [*lines_of(folder), tail.line])
    value = json.loads((folder / bundle.STATEMENT_FILE).read_bytes())["journal"]
    value |= {"last": tail.head.seq, "head": tail.digest.hex()}
    value["sha256"] = hashlib.sha256((folder / "journal.log").read_bytes()).hexdigest()
    made = Made(agency, folder)
    resigned(made, folder, {"journal": value, "cut": {"after": 1, "before": 0}})
    assert f"entry {tail.head.seq}: no signature follows" in last_failure(check(made, folder))
