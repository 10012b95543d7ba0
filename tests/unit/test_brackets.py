"""Between which times a recording lies, as docks claim: the arithmetic, and what may and may not count as a claim."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.evidence.brackets import DRIFT_PPM, RECENT_NS, Sighting
from agent.evidence.reporting import WIDE_MS
from agent.evidence.verdict import Bracket, Report, Verdict, widest
from agent.evidence.verify import verify
from agent.formats.canonical import Value
from agent.formats.entries import Entry
from agent.formats.fields import format_utc
from agent.model import NS_PER_MS, NS_PER_S
from tests.support.agency import TestAgency, make_agency
from tests.support.evidence import Builder, builder

UTC_MS = 1_800_000_000_000
HOUR_NS = 3600 * NS_PER_S
DAY_MS = 86_400_000
MONTH_MS = 30 * DAY_MS
MOMENTS = st.integers(0, 40 * 24 * HOUR_NS)


# --- arithmetic -------------------------------------------------------------------------------------------------------


def test_a_moment_before_and_after_what_was_said() -> None:
    said = Sighting("dock-01", UTC_MS, 20, after_ns=90 * NS_PER_S, before_ns=100 * NS_PER_S)
    # 60 s before it can have been said at the latest, 50 s before it can have been said at the earliest.
    assert said.not_before_ms(40 * NS_PER_S) == UTC_MS - 20 - 60_030
    assert said.not_after_ms(40 * NS_PER_S) == UTC_MS + 21 - 49_975
    assert said.not_before_ms(100 * NS_PER_S + HOUR_NS) == UTC_MS - 20 + 3_600_000 - 1_800
    assert said.not_after_ms(90 * NS_PER_S + HOUR_NS) == UTC_MS + 21 + 3_600_000 + 1_800


@pytest.mark.parametrize("at_ns", [0, 1, NS_PER_MS - 1, NS_PER_MS, NS_PER_MS + 1, 10 * NS_PER_MS])
def test_what_is_no_whole_millisecond_is_rounded_outwards(at_ns: int) -> None:
    said = Sighting("dock-01", 0, 0, after_ns=5 * NS_PER_MS, before_ns=5 * NS_PER_MS)
    apart_ns = at_ns - 5 * NS_PER_MS
    assert said.not_before_ms(at_ns) * NS_PER_MS <= apart_ns - abs(apart_ns) * DRIFT_PPM // 1_000_000
    assert said.not_after_ms(at_ns) * NS_PER_MS >= apart_ns + abs(apart_ns) * DRIFT_PPM // 1_000_000


@given(
    at_ns=MOMENTS,
    spoke_ns=MOMENTS,
    lag_ns=st.integers(0, 2 * HOUR_NS),
    lead_ns=st.integers(0, 2 * HOUR_NS),
    rate=st.integers(-DRIFT_PPM, DRIFT_PPM),
    error_us=st.integers(-20_000, 20_000),
)
def test_the_true_time_is_in_the_bracket_of_an_honest_dock(
    at_ns: int, spoke_ns: int, lag_ns: int, lead_ns: int, rate: int, error_us: int
) -> None:
    """Wherever between its two entries the dock spoke, however the boot clock drifts, whatever error it owns up to."""

    def true_ms(boot_ns: int) -> Fraction:
        return UTC_MS + Fraction(boot_ns * (1_000_000 + rate), 1_000_000 * NS_PER_MS)

    said_ms = int(true_ms(spoke_ns) + Fraction(error_us, 1000))
    said = Sighting("dock-01", said_ms, 20, spoke_ns - lag_ns, spoke_ns + lead_ns)
    assert said.not_before_ms(at_ns) <= true_ms(at_ns) <= said.not_after_ms(at_ns)


@given(at_ns=MOMENTS, spoke_ns=MOMENTS, err_ms=st.integers(0, 60_000))
def test_a_bracket_is_no_wider_than_its_parts(at_ns: int, spoke_ns: int, err_ms: int) -> None:
    said = Sighting("dock-01", UTC_MS, err_ms, spoke_ns, spoke_ns)
    drift_ms = -(-abs(at_ns - spoke_ns) * DRIFT_PPM // (1_000_000 * NS_PER_MS))
    width_ms = said.not_after_ms(at_ns) - said.not_before_ms(at_ns)
    assert 2 * err_ms + 1 <= width_ms <= 2 * err_ms + 2 * drift_ms + 3


def test_the_widest_of_all_is_the_one_that_says_least() -> None:
    narrow, wide, half, nothing = Bracket(0, 1), Bracket(0, 9), Bracket(5, None), Bracket()
    assert widest([narrow, wide]) == wide
    assert widest([half, wide]) == half
    assert widest([half, nothing, wide]) == nothing
    assert widest([]) == nothing


# --- in a journal -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False)


@pytest.fixture
def made(agency: TestAgency, tmp_path: Path) -> Builder:
    begun = builder(tmp_path / "data", agency)
    begun.genesis()
    return begun


def beacon(made: Builder, head: str | None = None, dock: str = "dock-01", /, **own: Value) -> Entry:
    """An answer of the dock to the last entry, right when it is journalled."""
    common: dict[str, Value] = {"nonce": "1" * 32, "err_ms": 5, "token": None, "dock_head": "0" * 64}
    utc: dict[str, Value] = {"utc": format_utc(made.utc_ms)}
    return made.said("beacon", dock, **{**common, **utc, "head": head or made._prev, **own})


def later(made: Builder, length_ns: int) -> None:
    made.mono_ns += length_ns
    made.utc_ms += length_ns // NS_PER_MS


def check(made: Builder) -> Report:
    return verify(made.write(), made.agency.root_pem)


def codes(report: Report) -> list[str]:
    return [reason.code for reason in report.reasons]


def holds_the_truth(report: Report, made: Builder) -> bool:
    """The builder's own time, which its entries say within 20 ms, is in every bracket."""
    for each in report.recordings:
        assert each.press.utc_ms is not None
        began, ended = each.began, each.ended
        truth_ms = each.press.utc_ms - 2_000
        if began.not_before_ms is not None and began.not_before_ms > truth_ms + 2:
            return False
        if ended.not_after_ms is not None and ended.not_after_ms < truth_ms + each.footage_ns // NS_PER_MS - 2:
            return False
    return True


def test_a_beacon_brackets_what_its_boot_recorded_before_and_after(made: Builder) -> None:
    made.record((2,))
    later(made, HOUR_NS)
    made.append("selftest", {"checks": []})
    made.dock()
    beacon(made)
    later(made, 2 * HOUR_NS)
    made.record((2,))
    report = check(made)
    assert codes(report) == ["bracket-claimed"]
    assert report.verdict is Verdict.PARTIAL
    first, second = (each.began.width_ms for each in report.recordings)
    assert first is not None
    assert second is not None
    assert 3_600 < first < 3_660
    assert 7_200 < second < 7_260
    assert holds_the_truth(report, made)
    text = "\n".join(report.lines())
    assert "by the claim of dock dock-01, not proven by a token" in text
    assert report.bracket == widest([each.widest for each in report.recordings])
    said = report.as_json()["bracket"]
    assert isinstance(said, dict)
    assert (said["claimed_by"], said["disputed"]) == (["dock-01"], False)
    assert said["width_ms"] == report.bracket.width_ms


def test_the_last_entry_before_the_question_may_be_old_and_an_ack_makes_up_for_it(made: Builder) -> None:
    """Two hours lie between the last entry and the docking: the beacon alone may have been made all that time ago."""
    made.record((2,))
    later(made, 2 * HOUR_NS)
    head = made._prev
    made.dock()
    beacon(made, head)
    wide = check(made)
    assert codes(wide) == ["bracket-wide"]
    assert wide.bracket.width_ms is not None
    assert wide.bracket.width_ms > 2 * 3_600_000
    later(made, NS_PER_S)
    made.said("ack", seq=made.seq - 1, head=made._prev, utc=format_utc(made.utc_ms))
    report = check(made)
    assert codes(report) == ["bracket-claimed"]
    assert report.bracket.width_ms is not None
    assert report.bracket.width_ms < 1_000 + 7_200 + 100
    assert holds_the_truth(report, made)


@pytest.mark.parametrize("own", [{"head": "f" * 64}, {"seq": 1}, {"session": "1" * 32}])
def test_an_ack_of_something_else_narrows_nothing(made: Builder, own: dict[str, Value]) -> None:
    made.record((2,))
    later(made, 2 * HOUR_NS)
    head = made._prev
    made.dock()
    beacon(made, head)
    ack: dict[str, Value] = {"seq": made.seq - 1, "head": made._prev, "utc": format_utc(made.utc_ms)}
    made.said("ack", **{**ack, **own})
    assert "bracket-wide" in codes(check(made))


def test_an_ack_of_a_session_that_has_no_beacon_yet_narrows_nothing(made: Builder) -> None:
    """Nobody has said by how much that dock may err."""
    made.record((2,))
    later(made, 2 * HOUR_NS)
    head = made._prev
    made.dock()
    beacon(made, head)
    made.dock("dock-02", "2" * 32)
    ack: dict[str, Value] = {"seq": made.seq - 1, "head": made._prev, "utc": format_utc(made.utc_ms)}
    made.said("ack", "dock-02", session="2" * 32, **ack)
    assert codes(check(made)) == ["bracket-wide"]


@pytest.mark.parametrize("wide", [False, True])
def test_from_when_on_a_bracket_is_wide(made: Builder, wide: bool) -> None:
    made.record((1,))
    made.append("selftest", {"checks": []})
    made.dock()
    err_ms = check_width_ms(made)
    beacon(made, err_ms=(WIDE_MS - err_ms) // 2 + (5 if wide else 0))
    assert codes(check(made)) == ["bracket-wide" if wide else "bracket-claimed"]


def check_width_ms(made: Builder) -> int:
    """What a beacon without an error leaves, a little more than measured."""
    beacon_entry = beacon(made, err_ms=0)
    width_ms = check(made).bracket.width_ms
    assert width_ms is not None
    made.files[-1].pop()
    made._seq, made._prev = beacon_entry.head.seq, beacon_entry.head.prev
    return width_ms + 4


def test_a_beacon_of_another_session_brackets_nothing(made: Builder) -> None:
    made.record((1,))
    made.dock()
    beacon(made, session="1" * 32)
    report = check(made)
    assert codes(report) == ["statement", "bracket"]
    assert report.bracket == Bracket()


def test_a_beacon_again_in_the_next_session_brackets_nothing_new(made: Builder) -> None:
    made.record((1,))
    made.dock()
    said = beacon(made)
    narrow = check(made).bracket
    later(made, HOUR_NS)
    made.dock(session="1" * 32)
    assert said.body is not None
    made.append("beacon", {"statement": said.body["statement"]})
    report = check(made)
    assert "statement" in codes(report)
    assert report.bracket == narrow


@pytest.mark.parametrize("head", ["0" * 64, "f" * 64])
def test_a_beacon_that_no_entry_asked_for_brackets_nothing(made: Builder, head: str) -> None:
    made.record((1,))
    made.dock()
    beacon(made, head)
    report = check(made)
    assert codes(report) == ["bracket"]
    assert report.bracket == Bracket()


@pytest.mark.parametrize(("minutes", "expected"), [(9, ["bracket-wide"]), (11, ["bracket"])])
def test_a_beacon_that_answers_an_entry_of_long_ago_brackets_nothing(
    made: Builder, minutes: int, expected: list[str]
) -> None:
    assert RECENT_NS == 10 * 60 * NS_PER_S
    made.record((1,))
    head = made._prev
    made.append("selftest", {"checks": []})
    made.dock()
    later(made, minutes * 60 * NS_PER_S)
    made.append("selftest", {"checks": []})
    beacon(made, head)
    assert codes(check(made)) == expected


def test_a_beacon_in_another_boot_than_its_docking_brackets_nothing(made: Builder) -> None:
    made.record((1,))
    made.dock()
    made.restart()
    beacon(made)
    report = check(made)
    assert codes(report) == ["bracket"]
    assert report.bracket == Bracket()


def test_a_beacon_that_answers_an_entry_of_the_boot_before_brackets_nothing(made: Builder) -> None:
    """By the boot clock there is no distance between the two."""
    made.record((1,))
    head = made._prev
    made.restart()
    made.dock()
    beacon(made, head)
    assert check(made).bracket == Bracket()


def test_a_beacon_of_a_time_at_which_its_dock_may_not_speak(made: Builder) -> None:
    made.record((1,))
    made.dock()
    beacon(made, utc=format_utc(made.utc_ms + 40 * 365 * DAY_MS))
    report = check(made)
    assert codes(report) == ["statement", "bracket"]
    assert report.bracket == Bracket()


def test_what_no_dock_entry_vouches_for_brackets_nothing(made: Builder) -> None:
    """As where it was withheld, or trimmed."""
    made.record((1,))
    made.dock()
    dock = made.files[-1][-1]
    beacon(made)
    made.files[-1][dock.head.seq] = dock.without_body()
    report = check(made)
    assert codes(report) == ["withheld", "bracket"]
    assert any("the dock's signature is not checked" in note for note in report.notes)


def test_other_boots_are_bracketed_by_order_alone(made: Builder) -> None:
    """A dock before, a boot that no dock saw, a dock after it."""
    made.dock()
    beacon(made)
    before_ms = made.utc_ms
    made.restart()
    later(made, HOUR_NS)
    made.record((2,))
    report = check(made)
    assert codes(report) == ["bracket"]
    (recording,) = report.recordings
    assert recording.began.not_before_ms is not None
    assert abs(recording.began.not_before_ms - before_ms) < 20
    assert recording.ended.not_after_ms is None
    made.restart()
    later(made, HOUR_NS)
    made.dock("dock-02", "2" * 32)
    beacon(made, None, "dock-02", session="2" * 32)
    made.write()
    report = check(made)
    assert codes(report) == ["bracket-wide"]
    (recording,) = report.recordings
    assert recording.ended.not_after_ms is not None
    assert abs(recording.ended.not_after_ms - made.utc_ms) < 20
    assert recording.widest.docks == ("dock-01", "dock-02")
    assert holds_the_truth(report, made)


def test_nothing_is_carried_over_what_is_missing(made: Builder) -> None:
    """Two files are gone: what was recorded before, and what comes after, is not linked to any dock."""
    made.record((1,))
    made.rotate()
    made.append("selftest", {"checks": []})
    made.rotate()
    made.dock()
    beacon(made)
    assert codes(check(made)) == ["bracket-claimed"]
    path = made.folder / "journal" / f"{made.files[1][0].head.seq:08d}.log"
    del made.files[1]
    path.unlink()
    report = check(made)
    assert codes(report) == ["missing", "bracket"]
    assert report.bracket == Bracket()


def test_nothing_is_carried_forward_over_what_is_missing_either(made: Builder) -> None:
    made.dock()
    beacon(made)
    made.rotate()
    made.append("selftest", {"checks": []})
    made.restart()
    made.record((1,))
    (recording,) = check(made).recordings
    assert recording.began.not_before_ms is not None
    path = made.folder / "journal" / f"{made.files[1][0].head.seq:08d}.log"
    del made.files[1]
    path.unlink()
    (recording,) = check(made).recordings
    assert recording.began == Bracket()


def test_two_docks_a_month_apart_are_a_dispute_and_the_bracket_covers_both(made: Builder) -> None:
    made.record((1,))
    made.dock()
    beacon(made)
    made.dock("dock-02", "2" * 32)
    beacon(made, None, "dock-02", session="2" * 32, utc=format_utc(made.utc_ms + MONTH_MS))
    report = check(made)
    assert codes(report) == ["bracket-disputed"]
    assert report.bracket.disputed
    assert report.bracket.width_ms is not None
    assert MONTH_MS < report.bracket.width_ms < MONTH_MS + 60_000
    assert "DISPUTED" in "\n".join(report.lines())
    assert holds_the_truth(report, made)


@pytest.mark.parametrize("first_ms", [0, MONTH_MS])
def test_docks_of_different_boots_that_contradict_each_other(made: Builder, first_ms: int) -> None:
    """What was said before is later than what was said after: nobody can say who is right."""
    made.record((1,))
    made.dock()
    beacon(made, utc=format_utc(made.utc_ms + first_ms))
    made.restart()
    made.record((1,))
    made.dock("dock-02", "2" * 32)
    beacon(made, None, "dock-02", session="2" * 32)
    report = check(made)
    assert codes(report) == (["bracket-disputed"] if first_ms else ["bracket-claimed"])
    assert all(each.widest.disputed == bool(first_ms) for each in report.recordings)
    assert holds_the_truth(report, made)


def test_boots_that_no_dock_saw_between_docks_that_contradict_each_other(made: Builder) -> None:
    """Not before February, not after January: neither limit holds if the other one does."""
    made.dock()
    beacon(made, utc=format_utc(made.utc_ms + MONTH_MS))
    made.restart()
    made.record((1,))
    made.restart()
    made.dock("dock-02", "2" * 32)
    beacon(made, None, "dock-02", session="2" * 32)
    report = check(made)
    assert codes(report) == ["bracket-disputed"]
    assert report.bracket == Bracket(None, None, ("dock-01", "dock-02"), True)
