"""`temoin doctor`: what is wrong with a camera, from facts that somebody else has looked up.

Guarantees: pure; every fact that could not be had is a finding, never an exception; what depends on a part that cannot
be used is not judged. A finding's level and remedy are those of agent/troubles.py. Assumes facts of one moment: what a
running agent changes while they are gathered may show as it was before or after.
"""

from __future__ import annotations

from collections.abc import Iterator

from agent.config import MIB_BYTES, check_footage, check_memory
from agent.doctor_board import card_health, parts, selftest
from agent.errors import ConfigError, TemoinError
from agent.facts import Card, Facts, Journal, Validity
from agent.finding import Finding, Values
from agent.formats.fields import format_utc
from agent.model import TimeSource
from agent.selftest import LOW_MINUTES, MS_PER_DAY, RENEW_WITHIN_DAYS
from agent.status import conditions, refusal
from agent.store.space import minutes_left, reserve_bytes
from agent.troubles import AGENT, CONDITIONS, REFUSALS, AgentState, Level, Process

_CARD_ALERTS = frozenset(
    {"card_write_failed", "card_read_failed", "card_delete_failed", "journal_write_failed", "journal_unreadable"}
)


def findings(facts: Facts) -> tuple[Finding, ...]:
    """Every finding, in the order of `Check`."""
    rules = (
        *(_configuration, _board, _memory, _certificate, _key, _policy, _card, card_health, _space, _journal),
        *(_last_run, _alerts, _clock, selftest, parts, _footage, _run_folder, _agent, _capture, _panel, _network),
    )
    return tuple(finding for rule in rules for finding in rule(facts))


def unreadable(error: TemoinError) -> tuple[Finding, ...]:
    """All that can be said when there is no configuration: nothing else could be looked at."""
    return (_problem("configuration_wrong", error),)


def worst(found: tuple[Finding, ...]) -> Level:
    """The level of the worst finding."""
    levels = {finding.level for finding in found}
    return next((level for level in (Level.ERROR, Level.WARNING) if level in levels), Level.OK)


def _problem(code: str, error: TemoinError) -> Finding:
    return Finding(code, {"problem": str(error)})


def _configuration(facts: Facts) -> Iterator[Finding]:
    yield Finding("configuration_read", {"camera": facts.config.dev, "file": str(facts.config.file)})


def _board(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.board, TemoinError):
        yield _problem("board_wrong", facts.board)
    else:
        yield Finding("board_read", {"board": facts.board.name, "model": facts.board.model})


def _memory(facts: Facts) -> Iterator[Finding]:
    board, policy = facts.board, facts.policy
    if isinstance(board, TemoinError) or isinstance(policy, TemoinError):
        return
    ring_bytes = board.ring_bytes(policy.prerecord_ms)
    ring_mib = -(-ring_bytes // MIB_BYTES)
    parts = board.memory
    needed_mib = parts.system_mib + parts.agent_mib + parts.capture_mib + ring_mib
    machine_bytes = facts.machine.memory_bytes
    values = {"needed_mib": needed_mib, "total_mib": parts.total_mib, "ring_mib": ring_mib}
    try:
        check_memory(board, policy.prerecord_ms)
    except ConfigError as error:
        yield _problem("memory_over_budget", error)
    else:
        if machine_bytes is not None and machine_bytes < needed_mib * MIB_BYTES:
            yield Finding("memory_too_small", {**values, "machine_mib": machine_bytes // MIB_BYTES})
        else:
            yield Finding("memory_enough", values)
    lockable_bytes = facts.machine.lockable_bytes
    if lockable_bytes is None or lockable_bytes >= ring_bytes:
        yield Finding("ring_lockable", {"ring_mib": ring_mib})
    else:
        yield Finding("ring_not_lockable", {"ring_mib": ring_mib, "limit_mib": lockable_bytes // MIB_BYTES})


def _judged_ms(facts: Facts) -> int | None:
    """The time that certificates and policy are judged by: the board's clock, or at least the journal's last."""
    last_ms = None
    if isinstance(facts.journal, Journal):
        last_ms = facts.journal.last.state.last_utc_ms
    known = [each for each in (facts.now_ms, last_ms) if each is not None]
    return max(known) if known else None


def _error_ms(facts: Facts) -> int:
    """How wrong that time may be: as the start does, nothing is refused that the error could explain."""
    return 0 if isinstance(facts.board, TemoinError) else facts.board.clock.rtc_error_ms


def _validity(facts: Facts, validity: Validity, valid: str, ending: str, expired: str) -> Finding:
    now_ms = _judged_ms(facts)
    until: Values = {"until": format_utc(validity.last_ms)}
    if now_ms is None:
        return Finding(valid, until)
    if now_ms - _error_ms(facts) > validity.last_ms:
        return Finding(expired, until)
    days = max(0, validity.last_ms - now_ms) // MS_PER_DAY
    return Finding(ending, {**until, "days": days}) if days < RENEW_WITHIN_DAYS else Finding(valid, until)


def _certificate(facts: Facts) -> Iterator[Finding]:
    validity, now_ms = facts.certificate, _judged_ms(facts)
    if isinstance(validity, TemoinError):
        yield _problem("certificate_wrong", validity)
    elif now_ms is not None and now_ms + _error_ms(facts) < validity.first_ms:
        yield Finding("certificate_not_yet", {"since": format_utc(validity.first_ms), "now": format_utc(now_ms)})
    else:
        yield _validity(facts, validity, "certificate_valid", "certificate_ending", "certificate_expired")


def _key(facts: Facts) -> Iterator[Finding]:
    if facts.key is not None:
        yield _problem("key_wrong", facts.key)
    elif not isinstance(facts.certificate, TemoinError):
        yield Finding("key_fits")


def _policy(facts: Facts) -> Iterator[Finding]:
    policy, now_ms = facts.policy, _judged_ms(facts)
    if isinstance(policy, TemoinError):
        yield _problem("policy_wrong", policy)
        return
    since = format_utc(policy.not_before_ms)
    if now_ms is not None and now_ms + _error_ms(facts) < policy.not_before_ms:
        yield Finding("policy_not_yet", {"version": policy.version, "since": since, "now": format_utc(now_ms)})
        return
    values: Values = {
        "version": policy.version,
        "recipients": len(policy.recipients),
        "since": since,
        "prerecord_s": policy.prerecord_ms // 1000,
    }
    yield Finding("policy_in_force", values)


def _card(facts: Facts) -> Iterator[Finding]:
    card = facts.card
    folder = {"folder": str(facts.config.data)}
    if card is None:
        yield Finding("card_missing", folder)
    elif isinstance(card, TemoinError):
        yield _problem("card_unreadable", card)
    elif card.read_only:
        yield Finding("card_read_only", folder)
    elif not card.ours:
        yield Finding("card_not_ours", folder)
    else:
        yield Finding("card_writable", folder)


def _space(facts: Facts) -> Iterator[Finding]:
    board, policy, card = facts.board, facts.policy, facts.card
    if isinstance(board, TemoinError) or isinstance(policy, TemoinError) or not isinstance(card, Card):
        return
    needed_bytes = reserve_bytes(policy.prerecord_ms, board.video.max_bit_rate_bps)
    reserved_bytes = max(needed_bytes, board.storage.reserve_mib * MIB_BYTES)
    minutes = minutes_left(card.free_bytes, reserved_bytes, board.video.bit_rate_bps)
    values: Values = {
        "free_mib": card.free_bytes // MIB_BYTES,
        "reserve_mib": reserved_bytes // MIB_BYTES,
        "time": f"{minutes // 60} h {minutes % 60:02d}",
    }
    if card.free_bytes < reserved_bytes:
        yield Finding("space_below_reserve", values)
    else:
        yield Finding("space_low" if minutes < LOW_MINUTES else "space_left", values)


def _journal(facts: Facts) -> Iterator[Finding]:
    journal = facts.journal
    if isinstance(journal, TemoinError):
        yield _problem("journal_damaged", journal)
    elif journal is None:
        if facts.card is not None and not isinstance(facts.card, TemoinError):
            yield Finding("journal_none")
    elif not journal.own:
        yield Finding("journal_of_another", {"camera": journal.last.state.position.dev})
    else:
        state = journal.last.state
        yield Finding("journal_readable", {"entries": state.position.seq, "journal": state.position.jid[:8]})


def _last_run(facts: Facts) -> Iterator[Finding]:
    journal = facts.journal
    if not isinstance(journal, Journal):
        return
    state = journal.last.state
    running = facts.agent.process is not Process.GONE
    clean = journal.clean if running else state.clean
    if state.interrupted is not None:
        yield Finding("recording_interrupted", {"recording": state.interrupted})
    if state.open and not running:
        yield Finding("recording_open", {"recording": state.open[0].rec})
    elif clean is False and state.interrupted is None:
        yield Finding("run_cut")
    elif clean and state.interrupted is None:
        yield Finding("run_clean")
    if journal.last.torn and not running:  # of a running agent: a write that is under way
        torn = journal.last.torn[-1]
        yield Finding("line_torn", {"file": torn.file, "offset": torn.offset})


def _alerts(facts: Facts) -> Iterator[Finding]:
    if not isinstance(facts.journal, Journal):
        return
    for noted in facts.journal.noted:
        count = {"count": noted.count}
        if noted.kind == "refused":
            advice = REFUSALS.get(noted.cause)
            remedy = noted.remedy if advice is None else advice.remedy
            yield Finding("refusal_journalled", count, f"refusal.{noted.cause}", noted.values, remedy)
        else:
            code = "card_alert_journalled" if noted.cause in _CARD_ALERTS else "alert_journalled"
            yield Finding(code, count, f"alert.{noted.cause}", noted.values, noted.remedy)
    if not facts.journal.noted:
        yield Finding("alerts_none")


def _clock(facts: Facts) -> Iterator[Finding]:
    journal, board = facts.journal, facts.board
    if isinstance(board, TemoinError):
        return
    last_ms = journal.last.state.last_utc_ms if isinstance(journal, Journal) else None
    error_ms = board.clock.rtc_error_ms
    if board.clock.rtc and facts.now_ms is not None and last_ms is not None and facts.now_ms + error_ms < last_ms:
        yield Finding("clock_behind", {"now": format_utc(facts.now_ms), "last": format_utc(last_ms)})
        return
    source = journal.newest.source if isinstance(journal, Journal) else TimeSource.NONE
    if source is TimeSource.DISPUTED:
        yield Finding("clock_disputed")
    elif board.clock.rtc and facts.now_ms is not None:
        yield Finding("clock_known", {"now": format_utc(facts.now_ms), "error_ms": error_ms})
    elif board.clock.rtc:
        yield Finding("clock_unknown")
    else:
        known_ms = None if not isinstance(journal, Journal) else journal.newest.err_ms
        yield Finding("clock_unknown" if known_ms is None else "clock_from_dock", {"error_ms": known_ms or 0})


def _footage(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.board, TemoinError):
        return
    try:
        check_footage(facts.config, facts.board)
    except ConfigError as error:
        yield _problem("footage_wrong", error)
        return
    if facts.footage is not None:
        yield _problem("footage_wrong", facts.footage)
    elif facts.config.footage is not None:
        yield Finding("footage_readable", {"file": str(facts.config.footage)})


def _run_folder(facts: Facts) -> Iterator[Finding]:
    if isinstance(facts.run_folder, TemoinError):
        yield _problem("run_folder_wrong", facts.run_folder)
    else:
        code = "run_folder_writable" if facts.run_folder else "run_folder_new"
        yield Finding(code, {"folder": str(facts.config.run)})


def _agent(facts: Facts) -> Iterator[Finding]:
    status, state = facts.agent.status, facts.agent.state
    why = refusal(status)
    if why is not None and state in (AgentState.RUNNING, AgentState.REFUSED):
        cause, values = why
        advice = REFUSALS.get(cause)
        remedy = None if advice is None else advice.remedy
        # The start was refused: the doctor, who is being asked, has found why, or the words say it.
        own = "correct_start" if remedy == "run_doctor" else remedy
        yield Finding("agent_refusing", {}, f"refusal.{cause}", values, own)
        return
    if state is not AgentState.RUNNING:
        code = "agent_down" if AGENT[state].level is Level.WARNING else "agent_failing"
        yield Finding(code, {}, f"agent.{state}", {}, AGENT[state].remedy)
        return
    yield Finding("agent_running", {}, f"activity.{status.get('activity')}")
    for condition in conditions(status):
        advice = CONDITIONS[condition]
        if advice.level is not Level.OK:
            code = "condition_warns" if advice.level is Level.WARNING else "condition_fails"
            yield Finding(code, {}, f"condition.{condition}", {}, advice.remedy)


def _capture(facts: Facts) -> Iterator[Finding]:
    said = facts.agent.capture_said or str(facts.agent.status.get("camera_said") or "")
    if said:
        yield Finding("capture_spoke", {"said": said})
    elif facts.agent.state is AgentState.RUNNING:
        yield Finding("capture_silent")


def _panel(facts: Facts) -> Iterator[Finding]:
    light = facts.agent.light
    if light is None:
        return
    dark = light.colour.value == "off"
    values = {"colour": light.colour.value, "pattern": light.pattern.value}
    if facts.agent.state is AgentState.RUNNING:
        yield Finding("panel_dark" if dark else "panel_shows", values)
    elif not dark and facts.agent.state is not AgentState.REFUSED:
        yield Finding("panel_stays_lit", values)


def _network(facts: Facts) -> Iterator[Finding]:
    network = facts.config.network
    if network is None:
        yield Finding("network_none")
    elif isinstance(facts.network, TemoinError):
        yield _problem("network_wrong", facts.network)
    elif facts.network is not None:
        found = _validity(facts, facts.network, "network_configured", "network_ending", "network_expired")
        yield Finding(found.code, {"broker": str(network.broker), **found.values})
