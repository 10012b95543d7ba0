"""A bundle of one minute, checked by its own check.sh with stock tools, and by `temoin verify`."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from tests.bench.camera import temoin
from tests.bench.place import Place
from tests.bench.table import MIN_RUNS, Row, alternate, median, ratios, spread
from tests.support.agency import make_agency
from tests.support.evidence import builder
from tests.support.exports import DAY_MS, INIT, make_bundle, piece, run_check

SEGMENTS, FRAGMENTS = 4, 15
_FRAME_BYTES = 41_800  # a padded fragment of 1 MiB: a second at 8 Mbit/s


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("checking")
    agency = make_agency(folder)
    made = builder(folder / "card", agency)
    made.genesis()
    rec = made.start()
    for first in range(0, SEGMENTS * FRAGMENTS, FRAGMENTS):
        segment = made.open_segment(INIT)
        for second in range(first, first + FRAGMENTS):
            made.fragment(segment, piece(second, _FRAME_BYTES))
        made.seal(segment)
    made.stop()
    made.write()
    bundle = folder / "bundle"
    make_bundle(made, agency, rec, bundle)
    root = agency.folder / "ca" / "agency.pem"

    def ours() -> float:
        began = time.perf_counter()
        found = run_check(bundle, "--ca-sha256", agency.fingerprint, "--allow-simulated", now_ms=agency.now_ms + DAY_MS)
        assert found.code == 0, found.out
        return time.perf_counter() - began

    def peer() -> float:
        command = [temoin(), "verify", str(bundle), "--trust", str(root), "--allow-simulated"]
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - began

    mine, theirs = alternate(MIN_RUNS, ours, peer)
    clip_bytes = (bundle / "clip.mp4").stat().st_size
    yield Row(
        f"check.sh, {SEGMENTS * FRAGMENTS} fragments ({clip_bytes / 1e6:.0f} MB), {made.seq} signatures",
        spread(mine, "s", 2),
        f"temoin verify {spread(theirs, 's', 2)}; ratio {median(ratios(mine, theirs)):.1f}",
        note="dash, openssl, coreutils and awk: two processes a signature, two a fragment.",
    )
