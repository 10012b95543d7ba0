"""The doctor on camera folders that are really broken: each fault is found, named and told; nothing is touched.

Faults are made on the card and in the files, by the camera's own rules run by hand (tests/support/rig.py) where the
journal must have them; clocks are given. What no test can break (memory, mounts) is put into facts.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import cli
from agent.adapters.disk import RealDisk
from agent.config import MIB_BYTES, load_camera
from agent.doctor import findings
from agent.doctor_facts import Drivers, look_up
from agent.doctor_report import as_json, exit_code, lines, text
from agent.errors import DiskError
from agent.facts import Agent, Card, Facts, Journal, Machine
from agent.finding import Finding
from agent.formats.age import RecipientKind
from agent.formats.canonical import Value
from agent.formats.fields import format_utc
from agent.health import CardHealth, Outcome, PartKind, Reserve, SeenPart, SelfCheck
from agent.model import DARK, NS_PER_S, Colour, Light, Stamp, TimeSource
from agent.ports import Disk
from agent.selftest import LOW_MINUTES, RENEW_WITHIN_DAYS
from agent.states import Event
from agent.troubles import SELFTEST, Check, Level, Process
from hw.boards import board_file
from hw.sim import onlooker
from hw.sim.disk import SimDisk
from hw.sim.panel import light_now
from tests.support.agency import NOW_MS, TestAgency, make_agency
from tests.support.rig import Rig

BOOT_NS = 5_000 * NS_PER_S
DAY_MS = 86_400_000
VALID_DAYS = 3650
LATER_MS = NOW_MS + 3_600_000  # after whatever a test played


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    folder = tmp_path_factory.mktemp("doctor")
    film = folder / "film.mp4"
    film.write_bytes(b"a film, as far as anybody but capture knows")
    return make_agency(folder, RecipientKind.CLASSIC, footage=film)


@pytest.fixture
def camera(tmp_path: Path, agency: TestAgency) -> Path:
    """A folder as temoin-fleet init leaves it, of this test's own."""
    return Path(shutil.copytree(agency.camera_folder(), tmp_path / "camera"))


@pytest.fixture
def rig(camera: Path, agency: TestAgency) -> Iterator[Rig]:
    """The camera's rules, by hand, on the camera's own card."""
    (camera / "data").rmdir()
    made = Rig(camera, agency)
    yield made
    made.close()


def facts(
    camera: Path, now_ms: int = LATER_MS, boot_ns: int = BOOT_NS, open_disk: Callable[[Path], Disk] = RealDisk
) -> Facts:
    looks = Drivers(
        board_file,
        lambda: boot_ns,
        utc_ms=lambda run: now_ms,
        light=light_now,
        capture_log=onlooker.capture_log,
        rtc=lambda: (now_ms, 2_500),
        parts=lambda board, services: (),
        card_health=lambda data: None,
        open_disk=open_disk,
    )
    return look_up(load_camera(camera / "camera.toml"), looks)


def troubles(found: tuple[Finding, ...]) -> list[str]:
    """Codes of what is not well, but for an agent that has not been started."""
    return [one.code for one in found if one.level is not Level.OK and one.code != "agent_down"]


def examine(camera: Path, now_ms: int = LATER_MS) -> list[str]:
    return troubles(findings(facts(camera, now_ms)))


def command(camera: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[str]]:
    """Exit code and codes of `temoin doctor --json`."""
    code = cli.main(["doctor", "--config", str(camera / "camera.toml"), "--json"])
    said = capsys.readouterr()
    assert said.err == ""
    return code, [each["code"] for each in json.loads(said.out)["findings"]]


def edit(camera: Path, old: str, new: str) -> None:
    file = camera / "camera.toml"
    said = file.read_text()
    assert old in said
    file.write_text(said.replace(old, new))


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(folder)): (
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in [folder, *sorted(folder.rglob("*"))]
        if path.exists() and not path.is_socket()
    }


def test_a_new_camera_is_well_and_nothing_is_left_behind(camera: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = snapshot(camera)
    found = findings(facts(camera))
    assert troubles(found) == []
    assert "journal_none" in [one.code for one in found]
    assert exit_code(found) == 0
    code, codes = command(camera, capsys)
    assert code == 0
    assert codes[0] == "configuration_read"
    assert snapshot(camera) == before


def test_a_used_card_stays_as_it_is(rig: Rig, camera: Path) -> None:
    rig.film("IPP")
    rig.press()
    rig.film("PP")
    before = snapshot(camera)
    facts(camera)
    assert snapshot(camera) == before


# Files.


def unlink(name: str) -> Callable[[Path], None]:
    return lambda camera: (camera / name).unlink()


def write(name: str, data: bytes) -> Callable[[Path], None]:
    def fault(camera: Path) -> None:
        (camera / name).write_bytes(data)

    return fault


def copy(source: str, target: str) -> Callable[[Path], None]:
    def fault(camera: Path) -> None:
        shutil.copyfile(camera / source, camera / target)

    return fault


def flip(name: str) -> Callable[[Path], None]:
    def fault(camera: Path) -> None:
        data = bytearray((camera / name).read_bytes())
        data[len(data) // 2] ^= 1
        (camera / name).write_bytes(data)

    return fault


def small_board(camera: Path) -> None:
    said = board_file("sim").read_text()
    (camera / "small.toml").write_text(said.replace("total_mib = 512", "total_mib = 380"))
    edit(camera, 'board = "sim"', 'board = "small.toml"')


def real_board(camera: Path) -> None:
    edit(camera, 'board = "sim"', 'board = "zero2w-clipon"')


def no_data(camera: Path) -> None:
    (camera / "data").rmdir()


def data_is_a_file(camera: Path) -> None:
    no_data(camera)
    (camera / "data").write_bytes(b"")


def run_is_a_file(camera: Path) -> None:
    (camera / "run").rmdir()
    (camera / "run").write_bytes(b"")


def empty_film(camera: Path) -> None:
    (camera / "empty.mp4").write_bytes(b"")
    edit(camera, str(load_camera(camera / "camera.toml").footage), "empty.mp4")


def pipe_for(name: str) -> Callable[[Path], None]:
    def fault(camera: Path) -> None:
        (camera / name).unlink()
        os.mkfifo(camera / name)

    return fault


FILES: dict[str, tuple[Callable[[Path], None], list[str], int]] = {
    "no configuration": (unlink("camera.toml"), ["configuration_wrong"], 2),
    "not TOML": (write("camera.toml", b"dev = \xff"), ["configuration_wrong"], 2),
    "unknown key": (lambda camera: edit(camera, "dev =", "device =\ndev ="), ["configuration_wrong"], 2),
    "unknown board": (lambda camera: edit(camera, '"sim"', '"nope"'), ["board_wrong", "certificate_wrong"], 1),
    "memory over budget": (small_board, ["memory_over_budget"], 1),
    "film on a real board": (real_board, ["certificate_wrong", "footage_wrong"], 1),
    "another certificate": (copy("policy.pem", "camera.pem"), ["certificate_wrong", "key_wrong"], 1),
    "no certificate": (unlink("camera.pem"), ["certificate_wrong"], 1),
    "a pipe for a certificate": (pipe_for("camera.pem"), ["certificate_wrong"], 1),
    "damaged certificate": (write("camera.pem", b"-----BEGIN"), ["certificate_wrong"], 1),
    "another agency certificate": (
        copy("policy.pem", "agency.pem"),
        ["certificate_wrong", "policy_wrong", "network_wrong"],
        1,
    ),
    "another camera": (
        lambda camera: edit(camera, '"cam-01"', '"cam-02"'),
        ["certificate_wrong", "policy_wrong", "network_wrong"],
        1,
    ),
    "key others can read": (lambda camera: (camera / "camera.key").chmod(0o640), ["key_wrong"], 1),
    "key of another certificate": (copy("camera-tls.key", "camera.key"), ["key_wrong"], 1),
    "no key": (unlink("camera.key"), ["key_wrong"], 1),
    "policy changed": (flip("policy.line"), ["policy_wrong"], 1),
    "no policy certificate": (unlink("policy.pem"), ["policy_wrong"], 1),
    "card not there": (no_data, ["card_missing"], 0),
    "card not a folder": (data_is_a_file, ["card_unreadable"], 1),
    "no film": (lambda camera: edit(camera, "film.mp4", "nothing.mp4"), ["footage_wrong"], 1),
    "empty film": (empty_film, ["footage_wrong"], 1),
    "run folder is a file": (run_is_a_file, ["run_folder_wrong"], 1),
    "network certificate": (copy("camera.pem", "camera-tls.pem"), ["network_wrong"], 1),
    "network key": (copy("camera.key", "camera-tls.key"), ["network_wrong"], 1),
}


@pytest.mark.parametrize("name", FILES)
def test_a_broken_file_is_found(name: str, camera: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fault, expected, code = FILES[name]
    fault(camera)
    if code != 2:
        assert examine(camera) == expected
    before = snapshot(camera)
    exited, codes = command(camera, capsys)
    assert exited == code
    assert set(expected) <= set(codes)
    assert snapshot(camera) == before


def test_without_a_network_it_says_so(camera: Path) -> None:
    said = (camera / "camera.toml").read_text()
    (camera / "camera.toml").write_text(said[: said.index("\n[network]")])
    found = findings(facts(camera))
    assert "network_none" in [one.code for one in found]
    assert troubles(found) == []


@pytest.mark.parametrize(
    ("at_ms", "expected"),
    [
        (NOW_MS + (VALID_DAYS - RENEW_WITHIN_DAYS - 2) * DAY_MS, []),
        (NOW_MS + (VALID_DAYS - RENEW_WITHIN_DAYS + 2) * DAY_MS, ["certificate_ending", "network_ending"]),
        (NOW_MS + (VALID_DAYS + 2) * DAY_MS, ["certificate_expired", "network_expired"]),
        (NOW_MS - 20 * DAY_MS, ["certificate_not_yet", "policy_not_yet"]),
    ],
)
def test_certificates_by_the_boards_clock(camera: Path, at_ms: int, expected: list[str]) -> None:
    assert examine(camera, at_ms) == expected


def test_a_policy_that_is_not_in_force(camera: Path, agency: TestAgency, rig: Rig) -> None:
    rig.kill()
    later = NOW_MS + 5 * DAY_MS
    (camera / "policy.line").write_bytes(agency.sign_policy(version=2, not_before=format_utc(later)))
    assert "policy_not_yet" in examine(camera)
    assert "policy_not_yet" not in examine(camera, later)


def test_a_policy_older_than_the_journals(camera: Path, agency: TestAgency, rig: Rig) -> None:
    rig.journal.append("policy", {"hash": "ab" * 32, "version": 2})
    rig.journal.commit()
    assert "policy_wrong" in examine(camera)


# The machine and the card.


def test_memory_and_its_lock(camera: Path) -> None:
    known = facts(camera)
    for machine, expected in (
        (Machine(None, None), []),
        (Machine(512 * MIB_BYTES, 64 * MIB_BYTES), []),
        (Machine(256 * MIB_BYTES, None), ["memory_too_small"]),
        (Machine(512 * MIB_BYTES, 8 * MIB_BYTES), ["ring_not_lockable"]),
    ):
        assert troubles(findings(replace(known, machine=machine))) == expected


def test_room_is_told_as_time(camera: Path) -> None:
    known = facts(camera)
    reserve_bytes = 256 * MIB_BYTES
    a_minute_bytes = 4_000_000 // 8 * 60 * 11 // 10
    for free_bytes, expected in (
        (reserve_bytes - 1, ["space_below_reserve"]),
        (reserve_bytes, ["space_low"]),
        (reserve_bytes + a_minute_bytes * LOW_MINUTES - 1, ["space_low"]),
        (reserve_bytes + a_minute_bytes * LOW_MINUTES, []),
    ):
        found = findings(replace(known, card=Card(False, True, free_bytes)))
        assert troubles(found) == expected
    (space,) = [one for one in found if one.check == "space"]
    assert "4 h 00" in text(space, "en")


def test_a_card_that_cannot_be_written(camera: Path) -> None:
    known = facts(camera)
    assert troubles(findings(replace(known, card=Card(True, True, 10**12)))) == ["card_read_only"]
    assert troubles(findings(replace(known, card=Card(False, False, 10**12)))) == ["card_not_ours"]
    gone = DiskError("data", "the card is gone", "put the card back and start again")
    assert troubles(findings(replace(known, card=gone))) == ["card_unreadable"]


@pytest.mark.parametrize(
    ("operation", "pattern", "expected"),
    [
        ("free_bytes", "*", "card_unreadable"),
        ("read", "journal/*", "journal_damaged"),
        ("names", "journal", "journal_damaged"),
    ],
)
def test_a_card_that_fails(rig: Rig, camera: Path, operation: str, pattern: str, expected: str) -> None:
    rig.close()

    def failing(data: Path) -> Disk:
        disk = SimDisk(data)
        disk.fail(operation, pattern, errno.EIO, count=100)
        return disk

    found = findings(facts(camera, open_disk=failing))
    assert expected in troubles(found)
    assert exit_code(found) == 1


# The journal.


def newest_file(camera: Path) -> Path:
    return max((camera / "data" / "journal").glob("*.log"))


def test_a_damaged_journal(rig: Rig, camera: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rig.close()
    flip(str(newest_file(camera).relative_to(camera)))(camera)
    code, codes = command(camera, capsys)
    assert code == 1
    assert "journal_damaged" in codes


def test_the_journal_of_another_certificate(rig: Rig, camera: Path, agency: TestAgency) -> None:
    rig.close()
    issued = agency.issue("sim", "cam-01")
    (camera / "camera.pem").write_bytes(issued.pem)
    assert {"journal_of_another", "key_wrong"} <= set(examine(camera))


def test_a_shift_that_ended_in_order(rig: Rig, camera: Path) -> None:
    rig.supervisor.terminate(rig.clock.now_ns)
    rig.settle()
    rig.close()
    found = findings(facts(camera))
    assert troubles(found) == []
    assert "run_clean" in [one.code for one in found]


def test_a_power_cut_between_recordings(rig: Rig, camera: Path) -> None:
    rig.close()
    assert examine(camera) == ["run_cut"]


def test_a_recording_that_a_power_cut_ended(rig: Rig, camera: Path) -> None:
    rig.film("IPP")
    rig.press()
    rig.film("PP")
    rig.power_cut()
    assert "recording_interrupted" in examine(camera)
    rig.close()
    assert "recording_interrupted" in examine(camera)


def test_a_recording_that_no_start_has_looked_at_yet(rig: Rig, camera: Path) -> None:
    rig.film("IPP")
    rig.press()
    rig.film("PP")
    rig.close()
    assert examine(camera) == ["recording_open"]


def test_a_torn_line_is_a_finding_unless_somebody_is_writing_it(rig: Rig, camera: Path) -> None:
    with newest_file(camera).open("ab") as file:
        file.write(b'{"body":"')
    assert "line_torn" not in examine(camera), "the agent holds the lock"
    rig.close()
    assert examine(camera) == ["run_cut", "line_torn"]


def test_a_card_that_failed_a_write_is_told_with_its_alert(rig: Rig, camera: Path) -> None:
    rig.film("IPP")
    rig.press()
    rig.disk.fail("write", "journal/*", errno.EIO)
    rig.film("PP")
    assert "journal_write_failed" in rig.causes()
    found = findings(facts(camera))
    (alert,) = [one for one in found if one.code == "card_alert_journalled"]
    assert alert.about == "alert.journal_write_failed"
    assert alert.remedy == "replace_card"
    assert exit_code(found) == 1


def test_refused_presses_are_counted_by_cause(rig: Rig, camera: Path) -> None:
    rig.film("IPP")
    rig.disk.say_free(0)
    for _ in range(3):
        rig.press()
        rig.release()
        rig.film("P")
    found = findings(facts(camera))
    (refused,) = [one for one in found if one.code == "refusal_journalled"]
    assert refused.about == "refusal.card_full"
    assert refused.values == {"count": len(rig.bodies("refused"))}
    assert "Carte pleine" in text(refused, "fr")


def test_alerts_before_the_last_start_are_not_told(rig: Rig, camera: Path) -> None:
    rig.supervisor._event(Event.STOPPED, rig.clock.now_ns)
    rig.settle()
    (alert,) = [one for one in findings(facts(camera)) if one.code == "alert_journalled"]
    assert alert.about == "alert.impossible_event"
    assert alert.remedy == "report_defect"
    rig.restart()
    assert "alert_journalled" not in examine(camera)


def test_a_clock_that_went_back(rig: Rig, camera: Path) -> None:
    assert "clock_behind" not in examine(camera)
    assert "clock_behind" in examine(camera, NOW_MS - DAY_MS)


# The agent.


def say_status(camera: Path, **fields: object) -> None:
    status = {"boot_ns": BOOT_NS, "activity": "ready", "conditions": [], "unavailable": None, **fields}
    (camera / "run" / "status.json").write_text(json.dumps(status))


def say_light(camera: Path, colour: str) -> None:
    light = {"light": {"colour": colour, "pattern": "steady"}, "dark_at_ns": None}
    (camera / "run" / "panel.json").write_text(json.dumps(light))


def test_an_agent_that_answers(camera: Path) -> None:
    say_status(camera)
    say_light(camera, "green")
    found = findings(facts(camera))
    assert troubles(found) == []
    assert {"agent_running", "capture_silent", "panel_shows"} <= {one.code for one in found}


def test_what_a_running_agent_says_is_wrong(camera: Path) -> None:
    say_status(camera, conditions=["camera_failing", "low_battery"], camera_said="film.mp4: no video stream")
    say_light(camera, "amber")
    found = findings(facts(camera))
    assert troubles(found) == ["condition_warns", "condition_fails", "capture_spoke"]
    assert [one.remedy for one in found if one.about == "condition.low_battery"] == ["charge_battery"]
    assert any("no video stream" in line for line in lines(found, "fr"))


def test_an_agent_that_refuses(camera: Path) -> None:
    why = {"cause": "card_full", "values": {"free_bytes": "1", "needed_bytes": "2"}}
    say_status(camera, activity="refusing", unavailable=why)
    say_light(camera, "amber")
    found = findings(facts(camera))
    (refusing,) = [one for one in found if one.code == "agent_refusing"]
    assert (refusing.about, refusing.remedy) == ("refusal.card_full", "dock_camera")


def test_a_start_that_was_refused(camera: Path) -> None:
    why = {"cause": "start_failed", "values": {"problem": "policy.line: typ: is not policy"}}
    say_status(camera, boot_ns=0, activity="refusing", unavailable=why)
    found = findings(facts(camera))
    assert troubles(found) == ["agent_refusing"]
    assert exit_code(found) == 1
    assert any("policy.line: typ" in line for line in lines(found, "fr"))


def test_an_agent_that_was_killed(camera: Path) -> None:
    say_status(camera, boot_ns=0, activity="recording")
    found = findings(facts(camera))
    assert troubles(found) == ["agent_failing"]
    assert [one.about for one in found if one.code == "agent_failing"] == ["agent.killed"]


def test_an_agent_that_was_switched_off(camera: Path) -> None:
    say_status(camera, boot_ns=0, activity="shutting_down")
    found = findings(facts(camera))
    assert [one.about for one in found if one.code == "agent_down"] == ["agent.ended"]
    assert exit_code(found) == 0


def test_an_agent_that_hangs_holds_its_lock(camera: Path) -> None:
    say_status(camera, boot_ns=0)
    with (camera / "data" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = facts(camera)
    assert known.agent.process is Process.ALIVE
    assert [one.about for one in findings(known) if one.code == "agent_failing"] == ["agent.hung"]


def test_an_agent_that_is_suspended(camera: Path) -> None:
    say_status(camera, boot_ns=0)
    holder = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, camera / "data" / "lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)
            known = facts(camera)
        finally:
            process.kill()
    assert known.agent.process is Process.STOPPED
    assert [one.about for one in findings(known) if one.code == "agent_failing"] == ["agent.stopped"]


def test_the_panel_is_held_against_the_agent(camera: Path) -> None:
    known = facts(camera)
    running = Agent(Process.ALIVE, {"boot_ns": BOOT_NS, "activity": "ready"}, BOOT_NS, "", DARK)
    assert "panel_dark" in troubles(findings(replace(known, agent=running)))
    gone = Agent(Process.GONE, {}, BOOT_NS, "", Light(Colour.RED))
    assert "panel_stays_lit" in troubles(findings(replace(known, agent=gone)))


def test_capture_is_quoted_if_it_spoke_since_it_was_started(camera: Path) -> None:
    run = camera / "run"
    (run / "capture.log").write_text("capture: film.mp4: no video stream\n\n")
    (run / "capture.pid").write_text("1\n")
    os.utime(run / "capture.log", ns=(1, 2_000))
    os.utime(run / "capture.pid", ns=(1, 1_000))
    (spoke,) = [one for one in findings(facts(camera)) if one.code == "capture_spoke"]
    assert spoke.values == {"said": "capture: film.mp4: no video stream"}
    os.utime(run / "capture.pid", ns=(1, 3_000))
    assert examine(camera) == []


# How it is said.


def test_the_table_is_aligned_and_plain(camera: Path) -> None:
    (camera / "camera.key").unlink()
    found = findings(facts(camera))
    said = lines(found, "en")
    starts = {line.index(text(one, "en")) for one in found for line in said if line.endswith(text(one, "en"))}
    assert len(starts) == 1
    assert all(line.isprintable() for line in said)
    assert said[-1] == "Errors: 1, warnings: 1"
    (at,) = [number for number, line in enumerate(said) if line.startswith("error")]
    assert said[at + 1].strip().startswith("→ Technician")


def test_programs_get_codes_values_and_both_languages(camera: Path) -> None:
    (camera / "camera.key").unlink()
    found = json.loads(as_json(findings(facts(camera))))
    assert found["worst"] == "error"
    (key,) = [one for one in found["findings"] if one["check"] == "key"]
    assert key["level"] == "error"
    assert key["code"] == "key_wrong"
    assert key["text"]["fr"].startswith("inutilisable")
    assert key["text"]["en"].startswith("cannot be used")
    assert key["remedy"]["code"] == "enrol_again"
    assert str(camera / "camera.key") in key["values"]["problem"]


def test_nothing_that_a_file_holds_reaches_the_terminal_raw(camera: Path, capsys: pytest.CaptureFixture[str]) -> None:
    say_status(camera, activity="\x1b[2J", camera_said="\x1b[31m")
    said = lines(findings(facts(camera)), "en")
    assert any("\\x1b[31m" in line for line in said)
    edit(camera, 'board = "sim"', 'board = "\\u001b[2J"')
    cli.main(["doctor", "--config", str(camera / "camera.toml")])
    assert all(line.isprintable() for line in (*said, *capsys.readouterr().out.splitlines()))


# Whatever is broken.


@pytest.fixture(scope="module")
def used(agency: TestAgency, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera with a recording that was cut, a status, a panel and capture's words."""
    camera = Path(shutil.copytree(agency.camera_folder(), tmp_path_factory.mktemp("used") / "camera"))
    (camera / "data").rmdir()
    rig = Rig(camera, agency)
    rig.film("IPP")
    rig.press()
    rig.film("PP")
    rig.close()
    (camera / "capture.sock").unlink()
    say_status(camera)
    say_light(camera, "red")
    for name, said in (("capture.log", "capture: no\n"), ("capture.pid", "1\n"), ("rtc_step.json", '{"step_s": 5}')):
        (camera / "run" / name).write_text(said)
    return camera


def damage(file: Path, how: str, junk: bytes, at: float) -> None:
    data = file.read_bytes()
    where = int(at * len(data))
    match how:
        case "gone":
            file.unlink()
        case "folder":
            file.unlink()
            file.mkdir()
        case "loop":
            file.unlink()
            file.symlink_to(file.name)
        case "cut":
            file.write_bytes(data[:where])
        case "junk":
            file.write_bytes(junk)
        case _:
            file.write_bytes(data[:where] + junk + data[where + len(junk) :])


HOW = st.sampled_from(["gone", "folder", "loop", "cut", "junk", "changed", "changed", "changed"])
JUNK = st.binary(min_size=1, max_size=16) | st.sampled_from([b"[" * 50_000, b"\xff\xfe", b"9" * 5_000, b"{}", b"null"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), how=HOW, junk=JUNK, at=st.floats(0, 1, exclude_max=True))
def test_whatever_file_is_damaged_the_commands_say_so_in_words(
    used: Path, capsys: pytest.CaptureFixture[str], data: st.DataObject, how: str, junk: bytes, at: float
) -> None:
    names = sorted(str(path.relative_to(used)) for path in used.rglob("*") if path.is_file())
    with TemporaryDirectory() as folder:
        camera = Path(shutil.copytree(used, Path(folder) / "camera"))
        damage(camera / data.draw(st.sampled_from(names)), how, junk, at)
        code, codes = command(camera, capsys)
        assert code in (0, 1, 2)
        assert (code == 2) == ("configuration_wrong" in codes)
        assert cli.main(["doctor", "--config", str(camera / "camera.toml")]) == code
        assert cli.main(["status", "--config", str(camera / "camera.toml")]) in (0, 1)
        capsys.readouterr()


# The self-test, the card's wear, the parts.


def selftest_of(**outcomes: str) -> dict[str, Value]:
    checks: list[Value] = [
        {"name": name, "outcome": outcome, "values": {"luma": 16, "contrast": 2}, "remedy": remedy_of(name, outcome)}
        for name, outcome in outcomes.items()
    ]
    return {"checks": checks}


def remedy_of(name: str, outcome: str) -> str | None:
    return SELFTEST.get((SelfCheck(name), Outcome(outcome)))


def rows(found: tuple[Finding, ...], check: Check) -> list[tuple[str, str | None, str | None]]:
    return [(one.code, one.about, one.remedy) for one in found if one.check is check]


def test_the_last_self_test_is_shown_check_by_check(rig: Rig, camera: Path) -> None:
    rig.journal.append("selftest", selftest_of(lens="well", microphone="failed"))
    rig.journal.append("selftest", selftest_of(lens="failed", focus="warn", microphone="well", card="unknown"))
    rig.journal.commit()
    found = findings(facts(camera))
    assert rows(found, Check.SELFTEST) == [
        ("selftest_at", None, None),
        ("selftest_fails", "selftest.lens_failed", "uncover_lens"),
        ("selftest_warns", "selftest.focus_warn", "wipe_lens"),
        ("selftest_well", "selftest.microphone_well", None),
        ("selftest_unknown", "selftest.card_unknown", None),
    ]
    said = [text(one, "en") for one in found if one.check is Check.SELFTEST]
    assert said[1] == "lens covered, or complete darkness (brightness 16, contrast 2)"
    # It is what the camera found then; what holds now, its conditions say.
    assert all(one.level is not Level.ERROR for one in found if one.check is Check.SELFTEST)


def test_a_self_test_before_the_last_start_is_not_shown(rig: Rig, camera: Path) -> None:
    rig.journal.append("selftest", selftest_of(lens="failed"))
    rig.journal.commit()
    rig.restart()
    assert rows(findings(facts(camera)), Check.SELFTEST) == [("selftest_none", None, None)]


def test_a_self_test_at_an_unknown_time(rig: Rig, camera: Path) -> None:
    rig.journal.append("selftest", selftest_of(lens="well"))
    rig.journal.commit()
    known = facts(camera)
    assert isinstance(known.journal, Journal)
    assert known.journal.tested is not None
    at = Stamp(None, None, TimeSource.NONE, 1, "boot")
    undated = replace(known, journal=replace(known.journal, tested=replace(known.journal.tested, stamp=at)))
    assert rows(findings(undated), Check.SELFTEST)[0] == ("selftest_undated", None, None)


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (None, []),
        (CardHealth(None, None), []),
        (CardHealth(20, Reserve.NORMAL), ["card_fresh"]),
        (CardHealth(90, None), ["card_ageing"]),
        (CardHealth(None, Reserve.WARNING), ["card_ageing"]),
        (CardHealth(110, Reserve.URGENT), ["card_worn_out"]),
    ],
)
def test_the_wear_of_a_card_that_tells(camera: Path, health: CardHealth | None, expected: list[str]) -> None:
    found = findings(replace(facts(camera), card_health=health))
    assert [one.code for one in found if one.check is Check.CARD and one.code != "card_missing"][1:] == expected
    assert (exit_code(found) == 1) is (expected == ["card_worn_out"])


def test_parts_that_are_missing_are_told_with_their_remedies(camera: Path) -> None:
    pins = SeenPart(PartKind.PINS, "/dev/gpiochip0", True)
    microphone = SeenPart(PartKind.MICROPHONE, "/proc/asound/mic/pcm0c", False)
    known = facts(camera)
    assert rows(findings(replace(known, parts=(pins,))), Check.PARTS) == [("parts_there", None, None)]
    found = findings(replace(known, parts=(pins, microphone)))
    assert rows(found, Check.PARTS) == [("microphone_missing", None, "check_microphone_overlay")]
    assert exit_code(found) == 0
    gone = findings(replace(known, parts=(replace(pins, there=False), microphone)))
    assert exit_code(gone) == 1
    assert "/dev/gpiochip0" in text(next(one for one in gone if one.check is Check.PARTS), "fr")
