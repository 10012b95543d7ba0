"""Policies that a dock brought: whole or not there after a cut, and the newest that holds is the one in force."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from agent.config import MIB_BYTES, load_board
from agent.credentials import Chosen, choose_policy, policy_refused
from agent.errors import ConfigError
from agent.formats.age import RecipientKind
from agent.formats.fields import format_utc
from agent.model import Stamp, TimeSource
from agent.store.last import LastFile
from agent.store.relay import forget_before, keep_policy, newest_version, relayed_policies
from agent.store.state import JournalState
from hw.boards import board_file
from hw.sim.disk import SimDisk
from tests.support.agency import NOW_MS, TestAgency, make_agency
from tests.support.signer import SeededSigner
from tests.support.store import Board, start

NOW = Stamp(NOW_MS, 100, TimeSource.RTC, 1, "5f0c2f5e-6a8b-4d0a-9d0e-0123456789ab")
UNKNOWN = Stamp(None, None, TimeSource.NONE, 1, NOW.boot)
DAY_MS = 24 * 3600 * 1000


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), RecipientKind.CLASSIC)


@pytest.fixture
def disk(tmp_path: Path) -> SimDisk:
    (tmp_path / "data").mkdir()
    return SimDisk(tmp_path / "data", flush=lambda descriptor: None)


def bring(disk: SimDisk, agency: TestAgency, version: int, **changes: int | str) -> None:
    keep_policy(disk, version, agency.sign_policy(version=version, **changes) + agency.policy_pem)


def choose(disk: SimDisk, agency: TestAgency, now: Stamp = NOW, found: LastFile | None = None) -> Chosen:
    """On a board with just the memory for the configured policy."""
    config = agency.config()
    board = load_board(config.board_file(board_file))
    memory, ring_bytes = board.memory, board.ring_bytes(agency.policy.prerecord_ms)
    total_mib = memory.system_mib + memory.agent_mib + memory.capture_mib + -(-ring_bytes // MIB_BYTES)
    just = replace(board, memory=replace(memory, total_mib=total_mib))
    return choose_policy(config, just, agency.root, disk, found, now)


def test_without_a_dock_it_is_the_configured_one(disk: SimDisk, agency: TestAgency) -> None:
    chosen = choose(disk, agency)
    assert (chosen.policy, chosen.refused) == (agency.policy, None)
    assert newest_version(disk) == 0
    forget_before(disk, 9)


def test_the_newest_that_holds_is_in_force(disk: SimDisk, agency: TestAgency) -> None:
    bring(disk, agency, 2, retention_days=60)
    bring(disk, agency, 10)
    bring(disk, agency, 3)
    assert [each.version for each in relayed_policies(disk)] == [10, 3, 2]
    assert choose(disk, agency).policy.version == newest_version(disk) == 10
    forget_before(disk, 3)
    assert [each.version for each in relayed_policies(disk)] == [10, 3]


@pytest.mark.parametrize(
    ("now", "later_ms", "version"),
    [(NOW, -1, 2), (NOW, 101, 1), (NOW, DAY_MS, 1), (UNKNOWN, -2 * DAY_MS, 1), (UNKNOWN, DAY_MS, 1)],
)
def test_one_whose_day_has_not_come_or_may_not_have_come_waits(
    disk: SimDisk, agency: TestAgency, now: Stamp, later_ms: int, version: int
) -> None:
    bring(disk, agency, 2, not_before=format_utc(NOW_MS + later_ms))
    chosen = choose(disk, agency, now)
    assert chosen.policy.version == version
    assert (chosen.refused is None) == (version == 2)


def test_a_camera_without_a_time_goes_by_the_last_one_of_its_journal(disk: SimDisk, agency: TestAgency) -> None:
    bring(disk, agency, 2, not_before=format_utc(NOW_MS - DAY_MS))
    assert choose(disk, agency, UNKNOWN, found(disk, last_utc_ms=NOW_MS, policy=None)).policy.version == 2


def test_the_configured_one_may_be_older_than_the_journal_knows_and_the_brought_one_stands_in(
    disk: SimDisk, agency: TestAgency
) -> None:
    bring(disk, agency, 2)
    assert choose(disk, agency, NOW, found(disk, None, ("ab" * 32, 2))).policy.version == 2
    with pytest.raises(ConfigError, match="is older than 3"):
        choose(disk, agency, NOW, found(disk, None, ("ab" * 32, 3)))


@pytest.mark.parametrize("wrong", ["camera", "memory", "signature", "chain", "torn", "empty"])
def test_one_that_cannot_be_used_is_told_and_costs_nothing(disk: SimDisk, agency: TestAgency, wrong: str) -> None:
    bring(disk, agency, 2)
    line, pem = agency.sign_policy(version=3), agency.policy_pem
    data = {
        "camera": agency.sign_policy(version=3, cameras=["cam-09"]) + pem,
        "memory": agency.sign_policy(version=3, prerecord_ms=120_000) + pem,
        "signature": line.replace(b'"version":3', b'"version":4') + pem,
        "chain": line + agency.root_pem,
        "torn": line[:-20],
        "empty": b"",
    }[wrong]
    keep_policy(disk, 3, data)
    chosen = choose(disk, agency)
    assert chosen.policy.version == 2
    assert chosen.refused is not None
    assert policy_refused(chosen.refused)["cause"] == "policy_not_usable"


@pytest.mark.parametrize("mild", [False, True])
def test_a_cut_leaves_it_whole_or_not_there_and_the_next_docking_brings_it(
    tmp_path: Path, agency: TestAgency, mild: bool
) -> None:
    data = agency.sign_policy(version=2) + agency.policy_pem
    for number in range(1, 20):
        root = tmp_path / str(number)
        root.mkdir()
        count = 0

        def cut(operation: str, path: str, number: int = number) -> None:
            nonlocal count
            count += 1
            if count == number:
                raise KeyboardInterrupt

        disk = SimDisk(root, cut, flush=lambda descriptor: None)
        try:
            keep_policy(disk, 2, data)
        except KeyboardInterrupt:
            disk.power_cut(lambda n: n - 1 if mild else 0)
        else:
            assert number > 8
            return
        after = SimDisk(root, flush=lambda descriptor: None)
        assert [each.line + each.chain_pem for each in relayed_policies(after)] in ([], [data])
        keep_policy(after, 2, data)
        assert [each.line + each.chain_pem for each in relayed_policies(after)] == [data]
    raise AssertionError("it never ended")


def found(disk: SimDisk, last_utc_ms: int | None, policy: tuple[str, int] | None) -> LastFile:
    journal = start(disk, Board(), SeededSigner("policy"))
    state: JournalState = replace(journal.state, last_utc_ms=last_utc_ms, policy=policy)
    return LastFile(state, 0, (), {}, frozenset(), ())
