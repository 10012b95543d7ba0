"""What the live views of `make dock` and `make camera` show: from JSON to rows, with a screen and without."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping

import pytest
from rich.console import Console
from rich.table import Table

from agent.catalogue import keys
from agent.model import DARK, Activity, Colour, Condition, Light, NoticeState, Pattern
from hw.sim.play.views import DOCK_COLUMNS, NOTHING, Seen, camera_rows, camera_sheet, changes, dock_rows, dock_table

CAMERA = {
    "camera": "cam-01",
    "docked": True,
    "entries": 27,
    "received": 1,
    "awaited": 2,
    "wearer": "72fd28fc",
    "until": "2026-11-25T18:54:35.726Z",
    "alert": {"cause": "fork", "age_s": 61},
}
RECORDING: dict[str, object] = {
    "boot_ns": 70_000_000_000,
    "activity": "recording",
    "conditions": ["no_wearer", "no_sound"],
    "recording": "cam-01-8eccf1b8-3",
    "press_ns": 5_000_000_000,
    "durable_end_ns": 70_000_000_000,
    "notice": "announced",
    "battery_percent": 15,
    "docking": None,
}


def seen(status: Mapping[str, object], light: Light = DARK, felt: tuple[str, ...] = ()) -> Seen:
    return Seen(status, light, felt, 70_000_000_000, 3 * 1024 * 1024 + 5, 7_900, 10_000)


def drawn(table: Table) -> str:
    console = Console(width=250, force_terminal=False, file=io.StringIO())
    with console.capture() as said:
        console.print(table)
    return said.get()


def values(status: Mapping[str, object]) -> dict[str, str]:
    return {row.cells[0].rpartition(" / ")[2]: row.cells[1] for row in camera_rows(seen(status))}


def test_a_row_a_camera_and_one_for_what_is_none() -> None:
    away = {**CAMERA, "camera": "cam-02", "docked": False, "wearer": None, "alert": None}
    rows = dock_rows({"cameras": [CAMERA, away], "others": {"archive": {"cause": "archive_full", "age_s": 5}}})
    assert [row.text for row in rows] == [
        "cam-01 | posée / docked | 27 | 1 / 3 | 72fd28fc | fork (1:01)",
        "cam-02 | partie / away | 27 | 1 / 3 | personne / nobody | –",
        "archive | archive_full (0:05)",
    ]


@pytest.mark.parametrize("found", [{}, {"cameras": None}, {"cameras": [7]}, {"cameras": [{}]}, {"others": []}])
def test_a_dock_that_says_nonsense_breaks_no_view(found: Mapping[str, object]) -> None:
    assert drawn(dock_table(dock_rows(found), "", []))


def test_the_screen_shows_every_column_the_trouble_and_what_can_be_done() -> None:
    text = drawn(dock_table(dock_rows({"cameras": [CAMERA]}), "does not answer", ["assign cam-01"]))
    assert all(word in text for word in ("cam-01", "docked", "27", "1 / 3", "72fd28fc", "fork"))
    assert "does not answer" in text
    assert "assign cam-01" in text
    assert {f"play.column_{name}" for name in DOCK_COLUMNS} <= keys()


def test_what_the_officer_sees_and_feels() -> None:
    rows = camera_rows(seen(RECORDING, Light(Colour.RED, Pattern.FAST), ("a", "b", "c", "d")))
    assert rows[0].cells[1] == "● rouge / red, clignotant rapide / fast blink"
    assert "red" in rows[0].style
    assert rows[1].cells[1] == "b · c · d"
    text = drawn(camera_sheet(rows, ["space: tap"]))
    assert all(row.cells[1] in text for row in rows)
    assert "space: tap" in text


def test_a_recording_with_its_length_and_notice() -> None:
    found = values(RECORDING)
    assert found["recording"].startswith("cam-01-8eccf1b8-3  1:05 à l’abri")
    assert "people were told" in found["recording"]
    assert (found["battery"], found["before the press"], found["free space"]) == ("15 %", "7 / 10 s", "3 MiB")
    assert "no wearer on record" in found["conditions"]
    assert "no sound" in found["conditions"]


def test_before_anything_is_durable_no_length_is_said() -> None:
    assert values({**RECORDING, "durable_end_ns": None})["recording"] == "cam-01-8eccf1b8-3"
    assert "0:00" in values({**RECORDING, "durable_end_ns": 1})["recording"]  # what is safe is from before the press
    assert values({**RECORDING, "recording": None})["recording"] == NOTHING


def test_an_agent_that_does_not_answer_shows_nothing_of_its_last_status() -> None:
    rows = camera_rows(seen({}))
    assert len(rows) == 3
    assert "nothing is recorded" in rows[-1].text


def test_a_docking_says_how_far_it_is() -> None:
    docking = {"dock": "dock-01", "position": 3, "total": 9, "uploads": 2, "upload_bytes": 17}
    assert "3 of 9" in values({**RECORDING, "docking": docking})["dock"]
    assert "Every segment" in values({**RECORDING, "docking": {**docking, "uploads": 0}})["dock"]


@pytest.mark.parametrize("activity", Activity)
def test_every_activity_condition_notice_and_light_has_words(activity: Activity) -> None:
    status = {**RECORDING, "activity": activity.value, "conditions": [each.value for each in Condition]}
    for notice in NoticeState:
        for colour in Colour:
            shown = camera_rows(seen({**status, "notice": notice.value}, Light(colour, Pattern.SLOW)))
            said = " ".join(row.text for row in shown)
            assert not {key for key in keys() if key in said and "." in key}


def test_without_a_screen_only_what_is_new_is_said() -> None:
    before = camera_rows(seen(RECORDING))
    later = camera_rows(seen({**RECORDING, "durable_end_ns": 71_000_000_000, "battery_percent": 14}))
    assert changes(before, before) == []
    assert changes(later, before) == ["Batterie / battery | 14 %"]


def test_nothing_in_it_commands_a_terminal() -> None:
    evil = json.loads('{"camera": "\\u001b[2Jcam", "docked": true, "wearer": "[red]x", "alert": {"cause": "\\u0007"}}')
    rows = dock_rows({"cameras": [evil]})
    assert "\x1b" not in rows[0].text
    assert "\x07" not in rows[0].text
    assert "[red]x" in drawn(dock_table(rows, "", []))  # no markup either
