"""What a dock, or somebody who is none, may say to a camera: what is taken, what leaves no trace but a refusal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from agent.formats.canonical import Value
from agent.formats.fields import format_utc
from agent.formats.statement import Statement, compose, parse_line
from agent.keys import Role, load_chain
from agent.model import Condition, TimeSource
from firmware.certificates import issue, sign
from tests.support.agency import NOW_MS, TestAgency, make_agency, seeded_random
from tests.support.dock_rig import DockRig
from tests.support.simdock import SimDock

DAY_MS = 24 * 3600 * 1000
HOUR_S = 3600


@pytest.fixture
def rig(tmp_path: Path, agency: TestAgency) -> Iterator[DockRig]:
    made = DockRig(tmp_path, agency)
    yield made
    made.close()


def docked(rig: DockRig) -> SimDock:
    rig.touch()
    rig.run(15_000)
    assert rig.supervisor.status().docking is not None
    return rig.dock


def record(rig: DockRig, script: str = "PPP") -> None:
    rig.run(100)
    rig.tap()
    rig.film("I" + script)
    rig.press()
    rig.film("PPP")
    rig.release()


def assign(until_ms: int = NOW_MS + DAY_MS) -> dict[str, Value]:
    utc = {"from": format_utc(NOW_MS), "until": format_utc(until_ms)}
    return {"wearer": "ab" * 16, "service": "Nuit", "sector": "Nord", **utc}


def kinds(rig: DockRig) -> list[str]:
    return [entry.head.kind for entry in rig.entries()]


WRONG: dict[str, tuple[str, Callable[[SimDock], Statement]]] = {
    "session": ("statement_session", lambda dock: dock.make("assign", **assign(), session="0" * 32)),
    "dev": ("statement_device", lambda dock: dock.make("assign", **assign(), dev="cam-02")),
    "jid": ("statement_journal", lambda dock: dock.make("assign", **assign(), jid="0" * 32)),
    "dseq": ("statement_dseq", lambda dock: dock.make("assign", **assign(), dseq=0)),
    "dock": ("statement_dock", lambda dock: dock.make("assign", **assign(), dock="dock-99")),
    "agency": ("statement_signature", lambda dock: dock.make("assign", **assign(), agency="pm-other")),
    "signature": ("statement_signature", lambda dock: _forged(dock)),
    "config": ("config_unknown", lambda dock: dock.make("config", hash="0" * 64, values={})),
}


def _forged(dock: SimDock) -> Statement:
    good = dock.make("assign", **assign())
    return Statement(good.name, good.value, good.text, dock.make("assign", **assign()).signature)


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_leaves_no_trace_but_one_refusal_a_minute(rig: DockRig, wrong: str) -> None:
    cause, make = WRONG[wrong]
    dock = docked(rig)
    before = kinds(rig)
    for _ in range(3):
        dock.send(make(dock).line)
        rig.run(1_000)
    more = [kind for kind in kinds(rig)[len(before) :] if kind != "ack"]
    assert more == ["refused"]
    assert rig.causes("refused") == [cause]
    assert rig.custody.wearer(rig.keeper.stamp()) is None
    rig.run(60_000)
    dock.send(make(dock).line)
    rig.run(1_000)
    assert rig.causes("refused") == [cause] * 2
    rig.lift()
    rig.check()


@pytest.mark.parametrize("data", [b"", b"nonsense", b"{}\tAA\n", b"\xff" * 100])
def test_what_is_no_statement_is_refused(rig: DockRig, data: bytes) -> None:
    docked(rig).send(data)
    rig.run(1_000)
    assert rig.causes("refused") == ["statement_format"]


def test_a_statement_under_anothers_certificate_is_refused(rig: DockRig, tmp_path: Path) -> None:
    dock = docked(rig)
    good = dock.make("assign", **assign())
    (tmp_path / "stranger").mkdir()
    stranger = make_agency(tmp_path / "stranger", agency="pm-test", seed="stranger").dock()
    camera = rig.agency.chain()[0].public_bytes(Encoding.DER)
    for chain in ((stranger.certificate.public_bytes(Encoding.DER),), (camera,), (b"x" * 200,)):
        dock.send(good.line, chain)
        rig.run(61_000)
    assert rig.causes("refused") == ["statement_dock"] * 3
    assert "assign" not in kinds(rig)


def test_a_dock_that_the_policy_does_not_list_is_never_docked_to(rig: DockRig, agency: TestAgency) -> None:
    rig.dock = SimDock(agency, rig.root, lambda: rig.clock.now_ns, rig.utc_ms, name="dock-99")
    rig.touch()
    rig.run(5_000)
    assert "dock" not in kinds(rig)
    assert rig.causes("refused") == ["statement_dock"]
    assert rig.dock.archive == []


def test_an_exact_duplicate_is_dropped_without_a_trace(rig: DockRig) -> None:
    dock = docked(rig)
    dock.waiting_orders.append(("assign", assign()))
    said = dock.say("assign", **assign())
    rig.run(1_000)
    before = kinds(rig)
    for _ in range(5):
        dock.send(said.line)
        rig.run(1_000)
    assert [kind for kind in kinds(rig)[len(before) :] if kind != "ack"] == []
    assert kinds(rig).count("assign") == 1


def test_everything_but_a_beacon_is_ignored_before_the_beacon(rig: DockRig) -> None:
    dock = rig.dock
    dock._answer = lambda status: None  # type: ignore[method-assign]  # this dock does not answer
    rig.touch()
    dock.dev, dock.jid, dock.session = "cam-01", rig.journal.state.position.jid, dock.statuses[-1].session
    before = kinds(rig)
    dock.say("assign", **assign())
    dock.say("hold", rec="cam-01-00000000-5", until=None)
    dock.say("ack", seq=-1, head="0" * 64)
    rig.run(3_000)
    assert kinds(rig) == before
    assert dock.batches == []


def test_a_statement_of_the_docking_before_is_refused(rig: DockRig) -> None:
    dock = docked(rig)
    old = [line for _, line in dock.said]
    rig.lift()
    rig.run(1_000)
    rig.touch()
    rig.run(61_000)
    before = kinds(rig)
    for line in old:
        dock.send(line)
        rig.run(100)
    more = [kind for kind in kinds(rig)[len(before) :] if kind != "ack"]
    assert more == ["refused"]
    rig.lift()
    rig.check()


# Time.


def test_a_camera_without_a_clock_gets_its_time(rig: DockRig) -> None:
    rig.clock.set_rtc(None)
    rig.restart()
    assert rig.keeper.stamp().source is TimeSource.NONE
    docked(rig)
    stamp = rig.keeper.stamp()
    assert stamp.source is TimeSource.BEACON
    assert stamp.utc_ms is not None
    assert stamp.err_ms is not None
    assert abs(stamp.utc_ms - rig.utc_ms()) <= stamp.err_ms < 100
    dock_entry = rig.entries("dock")[0]
    assert dock_entry.head.stamp.source is TimeSource.BEACON
    rig.lift()
    rig.check()


@pytest.mark.parametrize("delay_ms", [0, 400, 9_000, 29_000, 31_000])
def test_half_the_round_trip_is_in_the_error_and_after_30_s_a_beacon_is_none(rig: DockRig, delay_ms: int) -> None:
    rig.clock.set_rtc(None)
    rig.restart()
    dock = rig.dock
    dock._answer = lambda status: None  # type: ignore[method-assign]
    rig.touch()
    status = dock.statuses[-1]
    dock.dev, dock.jid, dock.session = "cam-01", status.jid, status.session
    said = dock.make(
        "beacon",
        nonce=status.nonce,
        head=status.head,
        err_ms=5,
        token=None,
        dock_head="0" * 64,
        utc=format_utc(rig.utc_ms()),
    )
    rig.run(delay_ms)
    open_still = dock.statuses[-1] == status
    dock.send(said.line)
    rig.run(50)
    stamp = rig.keeper.stamp()
    if not open_still:  # another question is open by now
        assert stamp.source is TimeSource.NONE
        return
    assert stamp.utc_ms is not None
    assert stamp.err_ms is not None
    assert abs(stamp.utc_ms - rig.utc_ms()) <= stamp.err_ms
    assert stamp.err_ms >= delay_ms // 2


@pytest.mark.parametrize("own", [{"nonce": "0" * 32}, {"head": "0" * 64}])
def test_a_beacon_for_another_question_gives_no_time(rig: DockRig, own: dict[str, Value]) -> None:
    rig.clock.set_rtc(None)
    rig.restart()
    dock = rig.dock
    dock._answer = lambda status: None  # type: ignore[method-assign]
    rig.touch()
    status = dock.statuses[-1]
    dock.dev, dock.jid, dock.session = "cam-01", status.jid, status.session
    dock.beacon(**{"nonce": status.nonce, "head": status.head, **own})  # type: ignore[arg-type]
    rig.run(1_000)
    assert rig.keeper.stamp().source is TimeSource.NONE
    assert "dock" not in kinds(rig)


def test_a_clock_that_is_a_month_off_is_disputed_once(rig: DockRig) -> None:
    rig.clock.set_rtc(NOW_MS - 30 * DAY_MS)
    rig.restart()
    docked(rig)
    assert rig.keeper.stamp().source is TimeSource.DISPUTED
    assert Condition.CLOCK_UNKNOWN in rig.supervisor.status().conditions
    rig.run(130_000)
    assert rig.causes("alert") == ["clock_disputed"]


def test_certificates_of_another_time_end_the_session_and_give_no_time(rig: DockRig) -> None:
    rig.clock.set_rtc(None)
    rig.restart()
    truth = rig.utc_ms
    rig.dock.utc_ms = lambda: truth() + 40 * 365 * DAY_MS
    rig.touch()
    rig.run(10_000)
    assert rig.keeper.stamp().source is TimeSource.NONE
    assert "dock" not in kinds(rig)
    assert rig.causes("refused") == ["certificate_dates"]
    rig.dock.utc_ms = truth
    rig.run(40_000)
    assert rig.keeper.stamp().source is TimeSource.BEACON


@pytest.mark.parametrize("whose", ["dock", "dock-tls"])
@pytest.mark.parametrize("years", [-20, 20])
def test_either_certificate_has_to_be_valid_at_the_time_that_the_beacon_says(
    rig: DockRig, agency: TestAgency, whose: str, years: int
) -> None:
    dock = rig.dock
    at_ms = NOW_MS + years * 365 * DAY_MS
    issued = issue(agency.authority(), Role(whose, dock.name), at_ms, seeded_random("of another time"))
    der = issued.certificate.public_bytes(Encoding.DER)
    if whose == "dock":
        dock.chain, dock.key = (der,), issued.key
    else:
        dock.peer = der
    rig.touch()
    rig.run(5_000)
    assert "dock" not in kinds(rig)
    assert rig.causes("refused") == ["certificate_dates"]
    assert rig.keeper.stamp().source is TimeSource.RTC


# Hand-out and holds.


def test_an_assignment_names_the_wearer_of_the_next_recording_until_the_next_docking(rig: DockRig) -> None:
    assert Condition.NO_WEARER in rig.supervisor.status().conditions
    dock = docked(rig)
    dock.say("assign", **assign())
    rig.run(1_000)
    rig.lift()
    assert Condition.NO_WEARER not in rig.supervisor.status().conditions
    record(rig)
    rig.restart()
    record(rig)
    rig.clock.set_rtc(None)
    rig.power_cut(lambda n: n - 1)
    rig.settle()
    record(rig)  # another boot without a time: nobody can say whether it still holds
    rig.touch()
    rig.run(5_000)
    rig.lift()
    record(rig)
    assert [body["wearer"] for body in rig.bodies("recording.start")] == ["ab" * 16, "ab" * 16, None, None]
    rig.touch()
    rig.run(20_000)
    rig.lift()
    rig.check(more=frozenset({"elsewhere"}))


def test_a_press_right_after_a_restart_names_the_wearer(rig: DockRig) -> None:
    """Before the survey of the journal is done, and with the hand-out in a file before the newest one."""
    rig.surveys = False
    dock = docked(rig)
    dock.say("assign", **assign())
    rig.run(1_000)
    rig.lift()
    for _ in range(2):
        rig.restart()
        assert not rig.custody.ready
        assert Condition.NO_WEARER not in rig.supervisor.status().conditions
        record(rig)
    rig.touch()  # a docking ends it, surveyed or not
    rig.run(15_000)
    rig.lift()
    record(rig)
    rig.restart()
    assert not rig.custody.ready
    record(rig)
    assert [body["wearer"] for body in rig.bodies("recording.start")] == ["ab" * 16, "ab" * 16, None, None]


def test_an_assignment_ends_by_the_boot_clock(rig: DockRig) -> None:
    dock = docked(rig)
    dock.say("assign", **assign(rig.utc_ms() + 100_000))
    rig.run(1_000)
    rig.lift()
    record(rig)
    rig.run(100_000)
    assert Condition.NO_WEARER in rig.supervisor.status().conditions
    record(rig)
    assert [body["wearer"] for body in rig.bodies("recording.start")] == ["ab" * 16, None]


# Tickets and receipts.


@pytest.mark.parametrize(
    ("own", "cause"),
    [
        ({"url": "https://evil.example/blob"}, "ticket_host"),
        ({"url": "http://127.0.0.1:8443/blob"}, "ticket_host"),
        ({"url": "https://127.0.0.1:8443@evil.example/blob"}, "ticket_host"),
        ({"url": "https://user@127.0.0.1:8443/blob"}, "ticket_host"),
        ({"url": "https://127.0.0.1/blob"}, "ticket_host"),
        ({"url": "https://127.0.0.1:8443\\@evil.example/"}, "ticket_host"),
        ({"blob": "0" * 64}, "ticket_segment"),
        ({"size": 1}, "ticket_segment"),
        ({"seg": 7}, "ticket_segment"),
        ({"rec": "cam-01-00000000-3"}, "ticket_segment"),
        ({"headers": [{"name": "Host", "value": "evil.example"}]}, "ticket_header"),
        ({"headers": [{"name": "X: y", "value": "a"}]}, "ticket_header"),
    ],
)
def test_a_ticket_for_anything_else_is_refused(rig: DockRig, own: dict[str, Value], cause: str) -> None:
    rig.film("I")
    rig.dock._go_on = lambda: None  # type: ignore[method-assign]  # this dock asks for nothing by itself
    record(rig)
    docked(rig)
    (key,) = rig.dock.sealed
    rig.dock.ticket(key, **own)
    rig.run(1_000)
    assert rig.dock.uploads == []
    assert rig.causes("refused") == [cause]


@pytest.mark.parametrize(
    "own",
    [
        {"blob": "0" * 64},
        {"size": 1},
        {"seg": 7},
        {"rec": "cam-01-00000000-3"},
        {"seal_seq": 1},
        {"seal_head": "0" * 64},
    ],
)
def test_a_receipt_for_anything_else_purges_nothing(rig: DockRig, own: dict[str, Value]) -> None:
    rig.film("I")
    rig.dock._go_on = lambda: None  # type: ignore[method-assign]
    record(rig)
    docked(rig)
    (key,) = rig.dock.sealed
    rig.dock.receipt(key, **own)
    rig.run(5_000)
    assert rig.causes("refused") == ["receipt_segment"]
    assert "receipt" not in kinds(rig)
    assert "purge" not in kinds(rig)
    assert len(list((rig.root / "segments").glob("*/*"))) == 1


def test_a_second_receipt_for_the_same_segment_is_no_entry(tmp_path: Path, agency: TestAgency) -> None:
    rig = DockRig(tmp_path / "kept", agency, purge_days=30)
    rig.film("I")
    record(rig)
    docked(rig)
    (key,) = rig.dock.sealed
    rig.dock.receipt(key)
    rig.run(5_000)
    assert kinds(rig).count("receipt") == 1
    assert rig.causes("refused") == []
    rig.lift()
    rig.check()
    rig.close()


def test_a_policy_that_a_dock_brings_is_kept_if_it_is_newer_and_for_this_camera(
    rig: DockRig, agency: TestAgency
) -> None:
    dock = docked(rig)
    chain = tuple(each.public_bytes(Encoding.DER) for each in load_chain(agency.policy_pem, "policy.pem"))
    dock.send(agency.sign_policy(version=2, retention_days=31), chain)
    rig.run(500)
    assert [path.name for path in (rig.root / "policy").iterdir()] == ["2.policy"]
    dock.send(agency.sign_policy(version=3, cameras=["cam-09"]), chain)
    dock.send(agency.sign_policy(version=1, retention_days=32), chain)
    rig.run(500)
    assert rig.causes("refused") == ["policy_invalid"]
    text = compose("policy", {k: v for k, v in _policy(agency).items() if k != "typ"})
    forged = Statement("policy", {}, text, sign(agency.dock().key, text)).line
    dock.send(forged, dock.chain)
    rig.run(61_000)
    dock.send(forged, chain)
    rig.run(500)
    assert [path.name for path in (rig.root / "policy").iterdir()] == ["2.policy"]
    rig.lift()
    rig.check()


def _policy(agency: TestAgency) -> dict[str, Value]:
    return {**parse_line(agency.policy_line).value, "version": 9}
