"""Seeded dockings: the network loses, doubles, delays and reorders; people press, lift and dock; power goes.

In the end, after calm dockings, each entry and blob is at the dock exactly once, the verifier is content with what the
camera has, and nothing was deleted before its receipt (DockRig looks at each deletion).
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.formats.fields import integer_of, text_of
from agent.model import Activity
from agent.states import Moment
from agent.store.segments import segment_path
from tests.support.agency import TestAgency
from tests.support.dock_rig import DockRig
from tests.support.simdock import CALM

MORE = frozenset({"elsewhere", "interrupted", "recovered", "open", "gap", "unnamed", "bracket-wide"})
STEPS = ("touch", "lift", "record", "press", "wait", "wait_long", "film", "kill", "power_cut", "drop", "refuse")


def seeded(seed: int) -> Callable[[int], int]:
    drawn = random.Random(seed)
    return lambda n: drawn.randrange(n)


def pressed(rig: DockRig) -> None:
    """A press is answered in the step that sees it, whatever the docking does."""
    rig.run(100)  # over the dead time of the edge before
    before = rig.activity()
    heard = len(rig.felt(Moment.HEARD))
    at_ns = rig.press()
    assert rig.felt(Moment.HEARD)[heard:] == [at_ns], before
    rig.run(100)
    rig.release()


def record(rig: DockRig) -> None:
    pressed(rig)
    if rig.activity() is Activity.ARMING:
        rig.film("IPP")
    rig.film("P")
    rig.press()
    rig.film("PPP")
    rig.release()


def act(rig: DockRig, step: str, fate: Callable[[int], int]) -> None:
    match step:
        case "touch":
            rig.touch()
        case "lift":
            rig.lift()
        case "record":
            record(rig)
        case "press":
            pressed(rig)
        case "wait":
            rig.run(fate(2_000) + 1)
        case "wait_long":
            rig.run(40_000)
        case "film":
            rig.film("IPPP" if rig._capture is None or not rig.camera.alive() else "PPP")
        case "kill":
            rig.restart()
        case "power_cut":
            rig.power_cut(fate)
        case "drop":
            rig.dock.cut()
        case _:
            rig.dock.refuse_messages = fate(4)


def finish(rig: DockRig) -> None:
    """End what is being recorded; then dockings without a fault."""
    rig.dock.fate = CALM
    rig.dock.refuse_messages = 0
    if rig.activity() in (Activity.ARMING, Activity.RECORDING):
        rig.film("IPP")
        rig.press()
        rig.film("PPP")
        rig.release()
    for _ in range(3):
        rig.lift()
        rig.run(12_000)
        rig.touch()
        rig.run(75_000)
    rig.lift()
    rig.run(1_000)
    rig.touch()
    rig.run(15_000)


def check(rig: DockRig) -> None:
    entries = rig.entries()
    lines = [entry.line for entry in entries]
    assert rig.dock.archive == lines[: len(rig.dock.archive)]
    assert all(entry.head.kind == "ack" for entry in entries[len(rig.dock.archive) :])
    for kind in ("segment.seal", "segment.recovered"):
        for body in rig.bodies(kind):
            if body["blob"] is not None:
                path = segment_path(text_of(body, "rec"), integer_of(body, "seg"))
                assert hashlib.sha256(rig.dock.blobs[path]).hexdigest() == body["blob"]
                assert not (rig.root / path).exists()
    purged = [(body["rec"], body["seg"]) for body in rig.bodies("purge")]
    assert len(purged) == len(set(purged))
    rig.check(more=MORE)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32), steps=st.lists(st.sampled_from(STEPS), max_size=14))
def test_in_the_end_everything_is_at_the_dock_exactly_once(
    tmp_path_factory: pytest.TempPathFactory, agency: TestAgency, seed: int, steps: list[str]
) -> None:
    fate = seeded(seed)
    rig = DockRig(tmp_path_factory.mktemp("docking"), agency, fate)
    try:
        rig.film("IP")
        record(rig)
        for step in ("touch", *steps):
            act(rig, step, fate)
        finish(rig)
        check(rig)
    finally:
        rig.close()
