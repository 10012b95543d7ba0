"""What is sent when: one segment at a time, and what taking the camera off the dock costs, at whichever moment."""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.formats.fields import integer_of, text_of
from agent.store.custody import started_seq
from agent.store.segments import segment_path
from tests.support.agency import TestAgency
from tests.support.dock_rig import DockRig

RECORDINGS = 3
DELAYS_MS = {5: 200, 6: 1_500}
"""Of a message, or an upload, by what SimDock draws for it."""
MORE = frozenset({"elsewhere"})


def slow(delay: int) -> Callable[[int], int]:
    """A network that delays everything alike, and loses nothing."""
    return lambda n: delay if n == 8 else 0


def record(rig: DockRig) -> None:
    rig.run(100)  # over the dead time of the edge before
    rig.tap()
    rig.film("IPP")
    rig.press()
    rig.film("PPP")
    rig.release()


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(delay=st.sampled_from(list(DELAYS_MS)), stays=st.lists(st.integers(20, 45), min_size=1, max_size=4))
def test_undocking_at_any_moment_costs_at_most_the_one_upload_under_way(
    tmp_path_factory: pytest.TempPathFactory, agency: TestAgency, delay: int, stays: list[int]
) -> None:
    rig = DockRig(tmp_path_factory.mktemp("uploads"), agency, slow(delay))
    try:
        for _ in range(RECORDINGS):
            record(rig)
        cut: Counter[str] = Counter()
        for stay in stays:  # in quarters of a delay: the first ticket is there after five or six
            rig.touch()
            rig.run(stay * DELAYS_MS[delay] // 4)
            cut.update(upload.path for upload in rig.dock.under_way)
            rig.lift()
            rig.run(12_000)
        rig.touch()
        rig.run(60_000)
        begun = Counter(upload.path for upload in rig.dock.uploads)
        segments = {segment_path(text_of(body, "rec"), integer_of(body, "seg")) for body in rig.bodies("segment.seal")}
        assert len(segments) == RECORDINGS
        assert set(rig.dock.blobs) == segments
        assert all(1 <= begun[path] <= 1 + cut[path] for path in segments), (begun, cut)
        rig.lift()
        rig.check(more=MORE)
    finally:
        rig.close()


def test_a_receipt_that_comes_twice_at_once_is_one_entry(tmp_path: Path, agency: TestAgency) -> None:
    """A dock says again what may have been lost, while the first one is still with the writer."""
    rig = DockRig(tmp_path, agency, purge_days=30)
    rig.dock.fate = slow(5)
    record(rig)
    rig.touch()
    while not rig.dock.blobs:
        rig.run(50)
    (key,) = rig.dock.sealed
    rig.dock.receipt(key)
    rig.dock.receipt(key)
    rig.run(5_000)
    assert len(rig.bodies("receipt")) == 1
    assert rig.causes("refused") == []
    rig.lift()
    rig.check()
    rig.close()


@pytest.mark.parametrize("found", ["unreadable", "empty"])
def test_a_segment_that_cannot_be_read_stays_on_the_card_and_holds_nothing_up(
    tmp_path: Path, agency: TestAgency, found: str
) -> None:
    """It has no ticket and no receipt; all else leaves the card, and a start need not read back to it."""
    rig = DockRig(tmp_path, agency)
    rig.run(100)
    rig.tap()
    rig.film("IPPP")
    if found == "unreadable":
        rig.disk.fail("read", "segments/*", errno.EIO)
    else:
        (file,) = rig.root.glob("segments/*/*")
        file.write_bytes(b"")
    rig.restart()
    rig.film("IPP")
    rig.press()
    rig.film("PPP")
    rig.release()
    record(rig)
    (lost,) = (body for body in rig.bodies("segment.recovered"))
    assert (lost["size"], lost["blob"] is None) == (0, found == "unreadable")
    rig.touch()
    rig.run(15_000)
    path = segment_path(text_of(lost, "rec"), integer_of(lost, "seg"))
    assert path not in rig.dock.blobs
    assert len(rig.dock.blobs) == len(rig.bodies("purge")) == 2
    assert [str(each.relative_to(rig.root)) for each in rig.root.glob("segments/*/*")] == [path]
    assert ("card_read_failed" in rig.causes()) == (found == "unreadable")
    rig.lift()
    rig.run(1_000)
    assert rig.journal.state.low > started_seq(text_of(lost, "rec"))
    rig.close()
