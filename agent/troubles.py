"""What can be wrong with a camera, how bad that is, and what to do: one table for status, doctor and the handbook.

Guarantees: every condition, every cause of a refusal, every state of the agent's process and every finding of the
doctor has its row here and its words in agent/catalogue.toml (`condition.`, `refusal.`, `agent.`, `doctor.` and
`remedy.`); tests hold the tables and the catalogue against each other. An alert brings its remedy along in its entry.
Source of docs/operations-camera.md, "When something is wrong".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from agent.catalogue import say
from agent.health import Outcome, SelfCheck
from agent.model import Condition


class Level(StrEnum):
    """ERROR: a press is not recorded, not kept, or not worth what it should be. WARNING: it is, but see to this."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Advice:
    """How bad, and the key of what to do in the catalogue's `remedy` table; None where there is nothing to do."""

    level: Level
    remedy: str | None


class Process(StrEnum):
    """The process that holds the data folder's lock, as the system shows it."""

    ALIVE = "alive"
    STOPPED = "stopped"
    GONE = "gone"


class AgentState(StrEnum):
    """What is with the agent. All but RUNNING: nothing is recorded."""

    RUNNING = "running"
    HUNG = "hung"
    STOPPED = "stopped"
    KILLED = "killed"
    REFUSED = "refused"
    ENDED = "ended"
    ABSENT = "absent"


def _error(remedy: str) -> Advice:
    return Advice(Level.ERROR, remedy)


def _warning(remedy: str) -> Advice:
    return Advice(Level.WARNING, remedy)


_WELL = Advice(Level.OK, None)

CONDITIONS: Mapping[Condition, Advice] = MappingProxyType(
    {
        Condition.DOCKED: _WELL,
        Condition.LOW_BATTERY: _warning("charge_battery"),
        Condition.NO_SOUND: _warning("check_microphone"),
        Condition.WRITER_LATE: _error("wait_for_card"),
        Condition.CLOCK_UNKNOWN: _warning("dock_for_time"),
        Condition.CAMERA_FAILING: _error("check_camera"),
        Condition.INTERRUPTED: _warning("press_again"),
        Condition.NO_WEARER: _warning("hand_out"),
        Condition.KEY_LOST: _error("hand_in"),
        Condition.LENS_COVERED: _warning("uncover_lens"),
        Condition.LENS_BLURRED: _warning("wipe_lens"),
        Condition.SPACE_LOW: _warning("dock_camera"),
        Condition.CARD_WORN: _warning("replace_card"),
    }
)

SELFTEST: Mapping[tuple[SelfCheck, Outcome], str] = MappingProxyType(
    {
        (SelfCheck.CAMERA, Outcome.FAILED): "check_camera",
        (SelfCheck.LENS, Outcome.FAILED): "uncover_lens",
        (SelfCheck.FOCUS, Outcome.WARN): "wipe_lens",
        (SelfCheck.MICROPHONE, Outcome.WARN): "see_journal",
        (SelfCheck.MICROPHONE, Outcome.FAILED): "check_microphone",
        (SelfCheck.CLOCK, Outcome.WARN): "dock_for_time",
        (SelfCheck.CLOCK, Outcome.FAILED): "dock_for_time",
        (SelfCheck.SPACE, Outcome.WARN): "dock_camera",
        (SelfCheck.SPACE, Outcome.FAILED): "dock_camera",
        (SelfCheck.KEY, Outcome.FAILED): "hand_in",
        (SelfCheck.CERTIFICATE, Outcome.WARN): "renew_certificate",
        (SelfCheck.CERTIFICATE, Outcome.FAILED): "renew_certificate",
        (SelfCheck.POLICY, Outcome.FAILED): "new_policy",
        (SelfCheck.BATTERY, Outcome.WARN): "charge_battery",
        (SelfCheck.BATTERY, Outcome.FAILED): "charge_battery",
        (SelfCheck.CARD, Outcome.WARN): "replace_card",
        (SelfCheck.CARD, Outcome.FAILED): "replace_card",
        (SelfCheck.SUPPLY, Outcome.WARN): "check_supply",
    }
)
"""What to do about an outcome that is neither well nor unknown. One that is not here cannot come."""

REFUSALS: Mapping[str, Advice] = MappingProxyType(
    {
        "not_enrolled": _error("enrol_again"),
        "policy_missing": _error("new_policy"),
        "policy_invalid": _error("new_policy"),
        "recipients_invalid": _error("new_policy"),
        "card_full": _error("dock_camera"),
        "card_unwritable": _error("replace_card"),
        "card_unreadable": _error("replace_card"),
        "start_failed": _error("run_doctor"),
    }
)

AGENT: Mapping[AgentState, Advice] = MappingProxyType(
    {
        AgentState.RUNNING: _WELL,
        AgentState.HUNG: _error("restart_camera"),
        AgentState.STOPPED: _error("continue_agent"),
        AgentState.KILLED: _error("start_agent"),
        AgentState.REFUSED: _error("run_doctor"),
        AgentState.ENDED: _warning("start_agent"),
        AgentState.ABSENT: _warning("start_agent"),
    }
)


class Check(StrEnum):
    """What the doctor looks at, in the order in which it tells."""

    CONFIGURATION = "configuration"
    BOARD = "board"
    MEMORY = "memory"
    CERTIFICATE = "certificate"
    KEY = "key"
    POLICY = "policy"
    CARD = "card"
    SPACE = "space"
    JOURNAL = "journal"
    LAST_RUN = "last_run"
    ALERTS = "alerts"
    CLOCK = "clock"
    SELFTEST = "selftest"
    PARTS = "parts"
    FOOTAGE = "footage"
    RUN_FOLDER = "run_folder"
    AGENT = "agent"
    CAPTURE = "capture"
    PANEL = "panel"
    NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that the doctor can find: what it belongs to, and the advice."""

    check: Check
    advice: Advice


def _rows(check: Check, **advice: Advice) -> dict[str, Kind]:
    return {code: Kind(check, one) for code, one in advice.items()}


FINDINGS: Mapping[str, Kind] = MappingProxyType(
    {
        **_rows(
            Check.CONFIGURATION,
            configuration_read=_WELL,
            configuration_wrong=_error("correct_configuration"),
        ),
        **_rows(Check.BOARD, board_read=_WELL, board_wrong=_error("correct_configuration")),
        **_rows(
            Check.MEMORY,
            memory_enough=_WELL,
            memory_over_budget=_error("lower_prerecord"),
            memory_too_small=_error("lower_prerecord"),
            ring_lockable=_WELL,
            ring_not_lockable=_warning("raise_memlock_limit"),
        ),
        **_rows(
            Check.CERTIFICATE,
            certificate_valid=_WELL,
            certificate_ending=_warning("renew_certificate"),
            certificate_expired=_error("renew_certificate"),
            certificate_not_yet=_warning("dock_for_time"),
            certificate_wrong=_error("enrol_again"),
        ),
        **_rows(Check.KEY, key_fits=_WELL, key_wrong=_error("enrol_again")),
        **_rows(
            Check.POLICY,
            policy_in_force=_WELL,
            policy_not_yet=_error("new_policy"),
            policy_wrong=_error("new_policy"),
        ),
        **_rows(
            Check.CARD,
            card_writable=_WELL,
            card_missing=_warning("insert_card"),
            card_read_only=_error("replace_card"),
            card_not_ours=_error("give_folder"),
            card_unreadable=_error("replace_card"),
            card_fresh=_WELL,
            card_ageing=_warning("replace_card"),
            card_worn_out=_error("replace_card"),
        ),
        **_rows(
            Check.SPACE,
            space_left=_WELL,
            space_low=_warning("dock_camera"),
            space_below_reserve=_error("dock_camera"),
        ),
        **_rows(
            Check.JOURNAL,
            journal_readable=_WELL,
            journal_none=_WELL,
            journal_damaged=_error("keep_card"),
            journal_of_another=_error("keep_card"),
        ),
        **_rows(
            Check.LAST_RUN,
            run_clean=_WELL,
            run_cut=_warning("press_again"),
            recording_interrupted=_warning("press_again"),
            recording_open=_warning("start_agent"),
            line_torn=_warning("nothing_to_do"),
        ),
        **_rows(
            Check.ALERTS,
            alerts_none=_WELL,
            alert_journalled=_warning("see_journal"),
            card_alert_journalled=_error("replace_card"),
            refusal_journalled=_warning("see_journal"),
        ),
        **_rows(
            Check.CLOCK,
            clock_known=_WELL,
            clock_from_dock=_WELL,
            clock_unknown=_warning("dock_for_time"),
            clock_disputed=_warning("dock_for_time"),
            clock_behind=_warning("dock_for_time"),
        ),
        **_rows(
            Check.SELFTEST,
            selftest_none=_WELL,
            selftest_at=_WELL,
            selftest_undated=_WELL,
            selftest_well=_WELL,
            selftest_unknown=_WELL,
            selftest_warns=_warning("see_status"),
            selftest_fails=_warning("see_status"),
        ),
        **_rows(
            Check.PARTS,
            parts_there=_WELL,
            pins_missing=_error("check_kernel_pins"),
            sensor_missing=_error("check_camera_cable"),
            encoder_missing=_error("check_encoder"),
            microphone_missing=_warning("check_microphone_overlay"),
            clock_missing=_warning("check_rtc_overlay"),
            battery_missing=_warning("check_power_driver"),
            charger_missing=_warning("check_power_driver"),
            led_missing=_error("check_led_name"),
            keeper_missing=_error("start_keeper"),
            capture_missing=_error("start_capture"),
            radio_missing=_warning("check_radio"),
        ),
        **_rows(Check.FOOTAGE, footage_readable=_WELL, footage_wrong=_error("correct_footage")),
        **_rows(
            Check.RUN_FOLDER,
            run_folder_writable=_WELL,
            run_folder_new=_WELL,
            run_folder_wrong=_error("give_folder"),
        ),
        **_rows(
            Check.AGENT,
            agent_running=_WELL,
            agent_down=_warning("start_agent"),
            agent_failing=_error("restart_camera"),
            agent_refusing=_error("run_doctor"),
            condition_warns=_warning("see_status"),
            condition_fails=_error("see_status"),
        ),
        **_rows(Check.CAPTURE, capture_silent=_WELL, capture_spoke=_warning("check_camera")),
        **_rows(
            Check.PANEL,
            panel_shows=_WELL,
            panel_dark=_error("check_panel"),
            panel_stays_lit=_error("check_panel"),
        ),
        **_rows(
            Check.NETWORK,
            network_none=_WELL,
            network_configured=_WELL,
            network_ending=_warning("renew_certificate"),
            network_expired=_error("renew_certificate"),
            network_wrong=_error("enrol_again"),
        ),
    }
)


def with_remedy(text: str, remedy: str | None, language: str) -> str:
    """The trouble and what to do, in one line."""
    return text if remedy is None else f"{text} → {say(f'remedy.{remedy}', language)}"
