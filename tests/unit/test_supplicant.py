"""What wpa_supplicant's words mean: pure, an event after the other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.model import RadioFault, RadioState
from hw.supplicant import NO_POWER_SAVE, PATIENCE_NS, REASSOCIATE, Association
from tests.support.supplicant import AUTHENTICATION, TEMP_DISABLED, UNKNOWN

ON_NS = 1_000
LATE_NS = ON_NS + PATIENCE_NS
CONNECTED = "<3>CTRL-EVENT-CONNECTED - Connection to 02:00:00:00:00:00 completed [id=0 id_str=]"
DISCONNECTED = "<3>CTRL-EVENT-DISCONNECTED bssid=02:00:00:00:00:00 reason=3"
NOT_FOUND = "<3>CTRL-EVENT-NETWORK-NOT-FOUND "
EAP_FAILURE = "<3>CTRL-EVENT-EAP-FAILURE EAP authentication failed"
CERT_ERROR = "<3>CTRL-EVENT-EAP-TLS-CERT-ERROR reason=1 depth=1 subject='/CN=x' err='self-signed certificate in chain'"
WRONG_KEY = TEMP_DISABLED.format(ssid="pm", reason="WRONG_KEY")


def status(state: str) -> str:
    return f"bssid=02:00:00:00:00:00\nssid=pm\nid=0\nwpa_state={state}\naddress=02:00:00:00:01:00\n"


def after(*said: str, now_ns: int = LATE_NS) -> tuple[RadioState, RadioFault | None]:
    association = Association(ON_NS)
    for each in said:
        association.heard(each)
    found = association.state(now_ns)
    return found.state, found.fault


SEARCHING, ASSOCIATED = (RadioState.SEARCHING, None), (RadioState.ASSOCIATED, None)
REFUSED, WRONG_DOCK, NOTHING, NO_RADIO = (
    (RadioState.FAILED, fault)
    for fault in (RadioFault.REFUSED, RadioFault.WRONG_DOCK, RadioFault.NOT_FOUND, RadioFault.NO_RADIO)
)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((), SEARCHING),
        ((status("SCANNING"),), SEARCHING),
        (AUTHENTICATION, SEARCHING),
        ((CONNECTED,), ASSOCIATED),
        ((status("COMPLETED"),), ASSOCIATED),
        ((CONNECTED, DISCONNECTED), SEARCHING),
        ((CONNECTED, status("SCANNING")), SEARCHING),
        ((CONNECTED, status("INTERFACE_DISABLED")), NO_RADIO),
        ((NOT_FOUND,), NOTHING),
        ((NOT_FOUND, CONNECTED), ASSOCIATED),
        ((NOT_FOUND, CONNECTED, DISCONNECTED), SEARCHING),
        ((EAP_FAILURE,), REFUSED),
        ((WRONG_KEY,), REFUSED),
        ((EAP_FAILURE, WRONG_KEY, NOT_FOUND), REFUSED),
        ((NOT_FOUND, EAP_FAILURE), REFUSED),
        ((TEMP_DISABLED.format(ssid="pm", reason="CONN_FAILED"),), SEARCHING),
        ((CERT_ERROR,), WRONG_DOCK),
        ((CERT_ERROR, EAP_FAILURE, DISCONNECTED, WRONG_KEY), WRONG_DOCK),
        ((EAP_FAILURE, CERT_ERROR), WRONG_DOCK),
        ((CERT_ERROR, EAP_FAILURE, CONNECTED), ASSOCIATED),
        ((status("INTERFACE_DISABLED"),), NO_RADIO),
        ((status("INTERFACE_DISABLED"), status("SCANNING")), SEARCHING),
    ],
)
def test_what_it_says_is_a_state(said: tuple[str, ...], expected: tuple[RadioState, RadioFault | None]) -> None:
    assert after(*said) == expected


@pytest.mark.parametrize(
    ("said", "soon"),
    [((NOT_FOUND,), SEARCHING), ((status("INTERFACE_DISABLED"),), SEARCHING), ((EAP_FAILURE,), REFUSED)],
)
def test_what_may_be_there_in_a_moment_is_no_fault_yet(
    said: tuple[str, ...], soon: tuple[RadioState, RadioFault | None]
) -> None:
    assert after(*said, now_ns=LATE_NS - 1) == soon
    assert after(*said)[0] is RadioState.FAILED


@pytest.mark.parametrize("before", [(), (CONNECTED,), (NOT_FOUND,), (CERT_ERROR,)], ids=str)
@pytest.mark.parametrize("said", UNKNOWN, ids=lambda said: said[:30])
def test_what_it_does_not_know_changes_nothing(said: str, before: tuple[str, ...]) -> None:
    association = Association(ON_NS)
    for each in before:
        association.heard(each)
    assert association.heard(said) == ()
    assert after(*before, said) == after(*before)


@pytest.mark.parametrize(
    ("said", "answers"),
    [
        (status("DISCONNECTED"), (REASSOCIATE,)),
        (status("INACTIVE"), (REASSOCIATE,)),
        (status("SCANNING"), ()),
        (status("ASSOCIATING"), ()),
        (status("INTERFACE_DISABLED"), ()),
        (status("COMPLETED"), (NO_POWER_SAVE,)),
        (CONNECTED, (NO_POWER_SAVE,)),
        (DISCONNECTED, ()),
    ],
)
def test_what_is_said_to_it(said: str, answers: tuple[str, ...]) -> None:
    assert Association(ON_NS).heard(said) == answers


def test_power_save_is_switched_off_once_an_association() -> None:
    association = Association(ON_NS)
    said = [association.heard(each) for each in (CONNECTED, status("COMPLETED"), DISCONNECTED, status("COMPLETED"))]
    assert said == [(NO_POWER_SAVE,), (), (), (NO_POWER_SAVE,)]


@given(st.lists(st.text(max_size=60) | st.sampled_from([CONNECTED, DISCONNECTED, NOT_FOUND, CERT_ERROR]), max_size=9))
def test_whatever_it_says_there_is_a_state_and_a_fault_with_failed_alone(said: list[str]) -> None:
    state, fault = after(*said)
    assert (fault is not None) == (state is RadioState.FAILED)
