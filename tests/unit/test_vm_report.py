"""What `make vm` hears from its machine, and what it makes of it: nothing that is missing counts as passed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.vm.report import OUTCOMES, Begin, Collected, Done, End, Line, ReportError, Start, encode, parse
from tests.vm.verdict import Heard

lines = (
    st.builds(Begin, st.text(), st.integers(0, 10**6))
    | st.builds(Collected, st.text())
    | st.builds(Start, st.text())
    | st.builds(End, st.integers(0, 10))
    | st.builds(
        Done,
        st.text(),
        st.sampled_from(OUTCOMES),
        st.integers(0, 10**6),
        st.text(),
        st.dictionaries(st.text(), st.text()),
    )
)


@given(lines)
def test_a_line_comes_back_as_it_was_said(line: Line) -> None:
    text = encode(line)
    assert text.isascii()
    assert text.count("\n") == 1
    assert parse(text) == line


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "[]\n", "5\n", "{}\n", '{"line": "end"}\n', '{"line": "other", "code": 0}\n',
        '{"code": 0, "line": "end"}', '{"code": 0,"line": "end"}\n', '{"code": "0", "line": "end"}\n',
        '{"code": true, "line": "end"}\n', '{"code": 0, "line": "end", "more": 0}\n', '{"line": "start", "test": 5}\n',
        encode(Done("a", "passed", 1)).replace("passed", "error"),
        encode(Begin("6.12", 1)).replace("\n", "\r\n"),
    ],
)  # fmt: skip
def test_anything_else_is_none_of_ours(text: str) -> None:
    with pytest.raises(ReportError):
        parse(text)


def said(*more: Line, without: tuple[Line, ...] = ()) -> list[str]:
    """The faults of a machine that ran two tests, with this said besides or left out."""
    heard = Heard(["f::a", "f::b"])
    whole: list[Line] = [Begin("6.12", 9), Collected("f::a"), Collected("f::b")]
    whole += [Start("f::a"), Done("f::a", "passed", 5), Start("f::b"), Done("f::b", "passed", 7), *more, End(0)]
    for line in whole:
        if line not in without:
            heard.take(line)
    return heard.faults()


def test_all_that_was_wanted_has_passed() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("without", "fault"),
    [
        (Begin("6.12", 9), "the machine did not begin"),
        (Collected("f::b"), "other tests than were wanted: f::b"),
        (Done("f::b", "passed", 7), "f::b: was running when the machine ended"),
        (End(0), "the machine did not come to its end"),
    ],
)
def test_what_is_missing_is_a_fault(without: Line, fault: str) -> None:
    assert any(each.startswith(fault) for each in said(without=(without,)))


def test_a_test_that_never_started_is_a_fault() -> None:
    assert said(without=(Start("f::b"), Done("f::b", "passed", 7))) == ["f::b: came back 0 times"]


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        (Collected("f::c"), "other tests than were wanted: f::c"),
        (Done("f::a", "passed", 5), "f::a: came back 2 times"),
        (Done("f::c", "failed", 5, "why"), "f::c: failed\nwhy"),
        (Done("f::c", "skipped", 5), "f::c: skipped"),
        (Start("f::c"), "f::c: was running"),
        (End(1), "pytest ended with 1"),
    ],
)
def test_what_is_too_much_or_went_wrong_is_a_fault(more: Line, fault: str) -> None:
    found = said(more, without=(End(0),)) if isinstance(more, End) else said(more)
    assert any(each.startswith(fault) for each in found)


def test_the_table_has_each_file_and_each_figure() -> None:
    heard = Heard([])
    heard.take(Done("f::a", "passed", 1500, figures={"edge": "2 ms"}))
    heard.take(Done("f::b", "failed", 500))
    assert heard.table().splitlines() == ["f     1 passed  2.0 s", "edge  2 ms"]
