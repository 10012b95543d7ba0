"""`temoin verify` in one pass over journal and blobs, against `openssl dgst -sha256` of the same blobs."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from tests.bench.place import Place
from tests.bench.table import Row, against, alternate, median, ratios, spread
from tests.support.agency import make_agency
from tests.support.evidence import Piece, builder

MIB = 1024 * 1024
SEGMENTS, FRAGMENTS = 18, 14
RUNS = 7
LIMIT = 0.8


def rows(place: Place) -> Iterator[Row]:
    folder = place.fresh("verify")
    agency = make_agency(folder)
    made = builder(folder / "card", agency)
    (folder / "card" / "segments").mkdir(parents=True)
    piece = Piece(made.draw(MIB))
    made.genesis()
    path = folder / "card" / "segments"
    rec = f"{made.dev}-{made.jid[:8]}-{made.seq}"
    (path / rec).mkdir()
    made.record([FRAGMENTS] * SEGMENTS, lambda number: piece)
    card = made.write()
    blobs = sorted(path.rglob("*.age"))
    total = sum(blob.stat().st_size for blob in blobs) / 1e6

    def ours() -> float:
        began = time.perf_counter()
        report = verify(card, agency.root_pem)
        took = time.perf_counter() - began
        assert report.verdict is Verdict.SIMULATED, f"{report.verdict}: {report.reasons[:2]}"
        return total / took

    def peer() -> float:
        began = time.perf_counter()
        subprocess.run(["openssl", "dgst", "-sha256", *blobs], check=True, stdout=subprocess.DEVNULL)
        return total / (time.perf_counter() - began)

    mine, theirs = alternate(RUNS, ours, peer)
    ratio = ratios(mine, theirs)
    yield Row(
        f"verify, {total:.0f} MB in {len(blobs)} segments, {made.seq} entries",
        spread(mine, "MB/s"),
        against("openssl dgst", theirs, "MB/s", ratio),
        f"{LIMIT} of openssl or better",
        median(ratio) >= LIMIT,
        "Both read from the page cache, in one thread.",
    )
