"""A recording's places on a whole simulated camera: in its journal, for the verifier, the dock and the court."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.formats.age import Opener, parse_recipients
from agent.formats.entries import Entry
from agent.formats.fields import format_utc
from agent.model import Place
from agent.placing import Placing
from tests.support.agency import NOW_MS, TestAgency, seeded_random
from tests.support.dock_rig import DockRig
from tests.support.rig import Rig

DAY_MS = 24 * 3600 * 1000
PARIS = (488_566_133, 23_522_217)


class Walk:
    """A camera whose receiver tells a position with each second that is filmed."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def film(self, script: str, fixed: bool = True) -> None:
        for letter in script:
            self.rig.film(letter)
            if fixed:
                self.rig.supervisor.news.post(Place(*PARIS, 12, self.rig.clock.now_ns))
            self.rig.settle()

    def order_late(self, rec: str | None) -> None:
        """An order that the writer takes when the recording `rec` has ended."""
        placing = Placing(parse_recipients(self.rig.agency.policy.recipients), seeded_random("late"), lambda: "Nord")
        located = placing.step(self.rig.clock.now_ns, rec)
        assert located is not None
        self.rig.supervisor.orders.post(located)
        self.rig.settle()

    def opened(self, entry: Entry) -> dict[str, object]:
        assert entry.body is not None
        file = base64.b64decode(str(entry.body["sealed"]))
        opener = Opener(file, [self.rig.agency.identity])
        said: dict[str, object] = json.loads(opener.open_chunk(0, file[opener.payload_offset :], last=True))
        return said


@pytest.fixture
def walk(tmp_path: Path, agency: TestAgency) -> Iterator[Walk]:
    rig = Rig(tmp_path, agency)
    yield Walk(rig)
    rig.close()


def test_a_recording_has_the_place_where_it_began_and_each_minute_one_more(walk: Walk) -> None:
    walk.film("IPPP")
    walk.rig.tap()
    walk.film("P" * 62)
    places = walk.rig.entries("place")
    [start] = walk.rig.entries("recording.start")
    assert start.body is not None
    assert len(places) == 2
    assert {str(each.body["rec"]) for each in places if each.body is not None} == {start.body["rec"]}
    assert walk.opened(places[0]) == {
        "typ": "temoin/place/1",
        "source": "gnss",
        "latitude_e7": PARIS[0],
        "longitude_e7": PARIS[1],
        "error_m": 12,
    }
    walk.rig.check(more=frozenset({"open"}))


def test_what_comes_when_the_recording_has_ended_is_no_entry(walk: Walk) -> None:
    walk.film("IPPP")
    walk.rig.tap()
    walk.film("P")
    rec = walk.rig.supervisor.status().recording
    walk.rig.press()
    walk.film("PPP")
    walk.rig.release()
    assert walk.rig.entries("recording.stop")
    count = len(walk.rig.entries("place"))
    walk.order_late(rec)
    assert len(walk.rig.entries("place")) == count == 1
    walk.rig.check()


def test_the_next_recording_does_not_take_what_was_meant_for_the_one_before(walk: Walk) -> None:
    walk.film("IPPP")
    walk.rig.tap()
    walk.film("P")
    before = walk.rig.supervisor.status().recording
    walk.rig.press()
    walk.film("PPP")
    walk.rig.release()
    walk.rig.run(1_000)
    walk.rig.tap()
    walk.film("PP")
    assert walk.rig.supervisor.status().recording not in (None, before)
    walk.order_late(before)
    recs = [str(each.body["rec"]) for each in walk.rig.entries("place") if each.body is not None]
    assert len(recs) == len(set(recs)) == 2
    walk.rig.check(more=frozenset({"open"}))


def test_without_position_and_hand_out_a_recording_has_no_place(walk: Walk) -> None:
    walk.film("IPPP", fixed=False)
    walk.rig.tap()
    walk.film("P" * 12, fixed=False)
    assert walk.rig.entries("recording.start")
    assert walk.rig.entries("place") == []


def test_a_recording_that_a_crash_left_open_goes_on_with_its_place(walk: Walk) -> None:
    walk.film("IPPP")
    walk.rig.tap()
    walk.film("PP")
    walk.rig.restart()
    again = Walk(walk.rig)
    again.film("IPP")
    places = walk.rig.entries("place")
    assert len(places) == 2
    assert len({str(each.body["rec"]) for each in places if each.body is not None}) == 1
    walk.rig.check(more=frozenset({"open", "recovered"}))


def test_the_sector_is_that_of_the_hand_out_until_the_next_docking(tmp_path: Path, agency: TestAgency) -> None:
    rig = DockRig(tmp_path, agency)
    walk = Walk(rig)
    assert rig.custody.sector(rig.keeper.stamp()) is None
    rig.touch()
    rig.run(15_000)
    utc = {"from": format_utc(NOW_MS), "until": format_utc(NOW_MS + DAY_MS)}
    rig.dock.say("assign", wearer="ab" * 16, service="Nuit", sector="Secteur 4", **utc)
    rig.run(1_000)
    rig.lift()
    rig.tap()
    walk.film("IPPP" + "P" * 61, fixed=False)
    [place] = rig.entries("place")
    assert walk.opened(place) == {"typ": "temoin/place/1", "source": "assign", "sector": "Secteur 4"}
    rig.press()
    walk.film("PPP", fixed=False)
    rig.release()
    rig.touch()
    rig.run(15_000)
    assert rig.custody.sector(rig.keeper.stamp()) is None
    assert rig.dock.archive, "the dock has the journal, and the place sealed in it"
    rig.check(more=frozenset({"elsewhere"}))
    rig.close()
