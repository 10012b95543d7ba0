"""`temoin-dock run` with a real broker and a camera's real adapters: a docking, deaths in the middle, hostile words."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.evidence.verdict import Verdict
from agent.evidence.verify import verify
from agent.formats import wire
from agent.formats.entries import Entry
from agent.formats.fields import text_of
from agent.model import PublishRefused
from dock.cli import main
from tests.support.dock import all_entries, batch_of
from tests.support.dock_process import HandCamera, RunningDock, running_dock
from tests.support.evidence import Builder, builder

SESSION, OTHER_SESSION = "5e" * 16, "6f" * 16
ROOT = Path(__file__).parents[2]


@pytest.fixture
def dock(tmp_path: Path) -> Iterator[RunningDock]:
    with running_dock(tmp_path) as made:
        yield made


@pytest.fixture
def card(dock: RunningDock, tmp_path: Path) -> Builder:
    made = builder(tmp_path / "card", dock.agency)
    made.genesis()
    made.record((2, 1))
    return made


def status(made: Builder, session: str, state: str = "docked") -> bytes:
    newest = all_entries(made)[-1]
    return wire.Status(
        dev=made.dev,
        jid=made.jid,
        session=session,
        nonce="0" * 32,
        state=wire.StatusState(state),
        seq=newest.head.seq,
        head=newest.digest.hex(),
        low=0,
    ).encode()


def ask(camera: HandCamera, made: Builder, session: str = SESSION) -> tuple[object, object]:
    """A question; where the archive ends, by the dock's answer."""
    camera.session = session
    camera.say(wire.status_topic(camera.dev), status(made, session), retained=True)
    assert camera.hear("beacon").value["nonce"] == "0" * 32
    ack = camera.hear("ack").value
    return ack["seq"], ack["head"]


def send(camera: HandCamera, entries: list[Entry]) -> None:
    batch = batch_of(entries)
    camera.say(wire.journal_topic(camera.dev), batch.payload, batch.properties)


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 0
    return capsys.readouterr().out


def test_a_docking_with_a_death_at_each_step(
    dock: RunningDock, card: Builder, capsys: pytest.CaptureFixture[str]
) -> None:
    camera = HandCamera(dock, card.folder)
    camera.connect(1)
    assert ask(camera, card) == (-1, "0" * 64)
    entries = all_entries(card)
    send(camera, entries[:4])
    assert camera.hear("ack").value["seq"] == 3
    dock.kill()
    dock.start()
    assert ask(camera, card, OTHER_SESSION) == (3, entries[3].digest.hex())  # what it acknowledged it has
    send(camera, entries[4:])
    assert camera.hear("ack").value["seq"] == entries[-1].head.seq
    tickets = [camera.hear("ticket"), camera.hear("ticket")]
    paths = [f"segments/{text_of(each.value, 'rec')}/{each.value['seg']:04d}.mp4.age" for each in tickets]
    assert camera.upload(tickets[0], paths[0]) == 201
    first = camera.hear("receipt").value
    assert (first["blob"], first["size"]) == (tickets[0].value["blob"], tickets[0].value["size"])
    dock.mosquitto.kill()
    dock.mosquitto.start()
    dock.wait_until_healthy()
    camera.connect(2)
    ask(camera, card, "70" * 16)
    assert camera.hear("receipt").value["blob"] == first["blob"]  # the camera's journal does not tell of it yet
    again = camera.hear("ticket")
    assert again.value["blob"] == tickets[1].value["blob"]
    assert camera.upload(again, paths[1]) == 201
    assert camera.upload(again, paths[1]) == 200
    assert camera.hear("receipt").value["blob"] == tickets[1].value["blob"]
    report = verify(dock.archive / "cam-01", dock.agency.root_pem)
    assert report.verdict in (Verdict.VALID, Verdict.PARTIAL)
    listed = shown(capsys, "list", "--config", str(dock.config))
    rec = text_of(first, "rec")
    assert rec in listed
    assert "complet" in listed
    assert shown(capsys, "show", rec, "--config", str(dock.config)).count("au dépôt") == 2
    assert rec in shown(capsys, "hold", rec, "--config", str(dock.config))
    assert camera.hear("hold").value["rec"] == rec  # a second later, without another docking
    camera.broker.close(None)
    assert dock.stop() == 0
    assert dock.events()[-1]["event"] == "stopped"


def test_hostile_words_leave_a_line_in_the_log_and_nothing_else(dock: RunningDock, card: Builder) -> None:
    camera = HandCamera(dock, card.folder)
    camera.connect()
    wrong = [
        (wire.status_topic("cam-01"), b"{}", ()),
        (wire.status_topic("cam-01"), b"\xff" * 2000, ()),
        (wire.status_topic("cam-01"), status(card, SESSION).replace(b"cam-01", b"cam-02"), ()),
        (wire.journal_topic("cam-01"), b"x" * 262_145, (("first", "0"), ("prev", "0" * 64))),
        (wire.journal_topic("cam-01"), b"no line", (("first", "0"), ("prev", "0" * 64))),
        (wire.journal_topic("cam-01"), b"a\tb\tc\n", (("first", "-1"), ("prev", "0" * 64))),
        (wire.journal_topic("cam-01"), b"a\tb\tc\n", ()),
        (wire.journal_topic("cam-01"), b"", ()),
    ]
    for topic, payload, properties in wrong:
        camera.say(topic, payload, properties)
    camera.say(wire.status_topic("cam-02"), b"x")
    assert camera.posts.wait_for(PublishRefused).reason_code == 0x87
    assert ask(camera, card) == (-1, "0" * 64)  # it answers all the same
    assert [event["cause"] for event in dock.events() if event["event"] == "refused"] == ["malformed"] * len(wrong)
    text = dock.get("/metrics")[1]
    assert f'temoin_dock_refusals_total{{cause="malformed"}} {float(len(wrong))}' in text
    assert [path.name for path in dock.archive.iterdir()] == ["lock"]
    camera.broker.close(None)


def test_without_a_broker_it_runs_and_says_so(dock: RunningDock) -> None:
    dock.mosquitto.kill()
    code, text = 200, ""
    while code == 200:
        code, text = dock.health()
    assert (code, '"broker": false' in text, '"station": true' in text) == (503, True, True)
    dock.mosquitto.start()
    dock.wait_until_healthy()


def test_a_second_dock_on_the_same_archive_is_refused(dock: RunningDock, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--config", str(dock.config)]) == 1
    assert "another agent is using this data folder" in capsys.readouterr().err


def test_a_catalogue_that_fails_ends_the_process_in_one_line(dock: RunningDock, card: Builder) -> None:
    """Whoever meets it: here an upload that outlives its docking. The next start goes on with a sound one."""
    camera = HandCamera(dock, card.folder)
    camera.connect(1)
    ask(camera, card)
    send(camera, all_entries(card))
    ticket = camera.hear("ticket")
    camera.say(wire.status_topic(camera.dev), status(card, SESSION, "gone"), retained=True)
    dock.wait_for_event("undocked")
    catalogue = dock.archive.parent / "data" / "catalogue.sqlite"

    def rename(old: str, new: str) -> None:
        with contextlib.closing(sqlite3.connect(catalogue)) as connection:
            connection.execute(f"ALTER TABLE {old} RENAME TO {new}")

    rename("segments", "lost")
    camera.begin_upload(ticket, f"segments/{text_of(ticket.value, 'rec')}/{ticket.value['seg']:04d}.mp4.age")
    assert dock.process is not None
    assert dock.process.wait(20) == 1
    said = [line for line in dock.log.read_text(encoding="utf-8").splitlines() if not line.startswith("{")]
    assert len(said) == 1, said
    assert said[0].startswith("temoin-dock: catalogue: ")
    assert "it can be made again from the archive" in said[0]
    rename("lost", "segments")
    dock.start()
    camera.connect(2)
    ask(camera, card, OTHER_SESSION)
    assert camera.hear("ticket").value["blob"] == ticket.value["blob"]


def test_metrics_are_those_that_the_page_lists(dock: RunningDock) -> None:
    page = (ROOT / "docs" / "operations-dock.md").read_text()
    told = {name.removesuffix("_total") for name in re.findall(r"^# TYPE (temoin_\w+) ", dock.get("/metrics")[1], re.M)}
    listed = {name.removesuffix("_total") for name in re.findall(r"^\| `(temoin_\w+)", page, re.M)}
    assert {name for name in told if not name.endswith("_created")} == listed
