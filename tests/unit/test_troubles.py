"""Each trouble has its words, its remedy and its row in the handbook; none of them is said in passing only."""

from __future__ import annotations

import pytest

from agent.catalogue import LANGUAGES, keys, say
from agent.model import Condition
from agent.troubles import AGENT, CONDITIONS, FINDINGS, REFUSALS, Advice, AgentState, Check, Level
from tests.support.operations import PAGE, rewritten, tables

ADVICE: dict[str, Advice] = {
    **{f"condition.{condition}": advice for condition, advice in CONDITIONS.items()},
    **{f"refusal.{cause}": advice for cause, advice in REFUSALS.items()},
    **{f"agent.{state}": advice for state, advice in AGENT.items()},
    **{f"doctor.{code}": kind.advice for code, kind in FINDINGS.items()},
}


def words_of(table: str) -> set[str]:
    return {key.removeprefix(f"{table}.") for key in keys() if key.startswith(f"{table}.")}


def test_the_tables_are_whole() -> None:
    assert set(CONDITIONS) == set(Condition)
    assert set(AGENT) == set(AgentState)
    assert words_of("refusal") == set(REFUSALS)
    assert words_of("agent") == {state.value for state in AgentState}
    assert words_of("doctor") == set(FINDINGS)
    assert words_of("check") == {check.value for check in Check} == {kind.check.value for kind in FINDINGS.values()}


@pytest.mark.parametrize("key", ADVICE)
def test_a_trouble_has_a_remedy_in_words_and_what_is_well_has_none(key: str) -> None:
    advice = ADVICE[key]
    assert (advice.remedy is None) == (advice.level is Level.OK)
    assert key in keys()
    if advice.remedy is not None:
        assert f"remedy.{advice.remedy}" in keys()


def test_a_state_in_which_nothing_is_recorded_says_so() -> None:
    for state in set(AgentState) - {AgentState.RUNNING}:
        assert "nothing is recorded" in say(f"agent.{state}", "en")
        assert "rien n’est enregistré" in say(f"agent.{state}", "fr")


def test_the_handbooks_tables_are_the_programs() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert rewritten(page) == page, "python -m tests.support.operations"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_handbook_has_every_trouble(language: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    for key, advice in ADVICE.items():
        if advice.remedy is not None:
            assert f"`{key}`" in page
            assert say(f"remedy.{advice.remedy}", language) in page


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    assert set(tables()) == {"agent", "refusals", "conditions", "selftest", "doctor", "alerts"}
    with pytest.raises(ValueError, match="no place for the table agent"):
        rewritten("")
