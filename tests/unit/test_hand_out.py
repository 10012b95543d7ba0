"""`temoin-dock assign`: what may be typed, which camera it is for, and who has which camera by its own word."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from agent.catalogue import LANGUAGES
from agent.errors import ConfigError
from agent.formats.fields import format_utc
from agent.toml_table import Address
from dock.cameras import Camera, HandOut, camera_lines, cameras, overview
from dock.hand_out import SHIFT_MS, Typed, assign, docked_now, parse
from dock.trouble import Trouble
from tests.support.agency import NOW_MS, TestAgency, make_agency
from tests.support.dock import SESSION, Bench, all_entries, names
from tests.support.evidence import Builder, builder

WEARER = "ab" * 16
GOOD = {"camera": "cam-01", "wearer": WEARER, "service": "Nuit", "sector": "Nord", "until": None}
OTHER_SESSION = "2" * 32


def typed(**changes: str | None) -> Typed:
    return Typed(**{**GOOD, **changes})  # type: ignore[arg-type]  # each has the type of its field


@pytest.fixture(scope="module")
def agency(tmp_path_factory: pytest.TempPathFactory) -> TestAgency:
    return make_agency(tmp_path_factory.mktemp("agency"), simulated=False)


@pytest.fixture
def bench(agency: TestAgency, tmp_path: Path) -> Bench:
    made = Bench(tmp_path, agency)
    made.start()
    return made


@pytest.fixture
def card(agency: TestAgency, tmp_path: Path) -> Builder:
    made = builder(tmp_path / "card", agency)
    made.genesis()
    made.record((1, 2))
    made.dock("dock-01", SESSION)
    return made


# What is typed.


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"camera": "Caméra 1"}, "CAMERA"),
        ({"camera": ""}, "CAMERA"),
        ({"camera": "c" * 33}, "CAMERA"),
        ({"wearer": "Dupont"}, "--wearer"),
        ({"wearer": "AB" * 16}, "--wearer"),
        ({"wearer": WEARER + "0"}, "--wearer"),
        ({"wearer": WEARER + "\n"}, "--wearer"),
        ({"service": ""}, "--service"),
        ({"service": " Nuit"}, "--service"),
        ({"sector": "x" * 101}, "--sector"),
        ({"sector": "a\tb"}, "--sector"),
        ({"until": "18:00"}, "--until"),
        ({"until": "2027-02-30T00:00:00.000Z"}, "--until"),
        ({"until": format_utc(NOW_MS)}, "--until"),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(changes: dict[str, str], where: str, language: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(typed(**changes), NOW_MS, language)
    assert caught.value.where == where
    assert caught.value.remedy
    assert "{" not in str(caught.value)


def test_it_lasts_a_shift_or_as_long_as_somebody_says() -> None:
    assert parse(typed(), NOW_MS, "fr").until_ms == NOW_MS + SHIFT_MS
    assert parse(typed(until=format_utc(NOW_MS + 1)), NOW_MS, "fr").until_ms == NOW_MS + 1
    longest = parse(typed(service="é" * 100, sector="x"), NOW_MS, "fr")
    assert (longest.value["service"], longest.value["from"]) == ("é" * 100, format_utc(NOW_MS))


# At the counter.


def confirming(bench: Bench, card: Builder, turns: int = 3) -> Callable[[], bool]:
    """Time passes: the dock says what is due, and the camera's journal of it comes back."""
    left = [turns]

    def wait() -> bool:
        for said in bench.tick():
            if said.name == "assign":
                own = ("wearer", "service", "sector", "from", "until")
                card.said("assign", session=SESSION, **{key: said.value[key] for key in own})
                bench.send(card, all_entries(card))
        left[0] -= 1
        return left[0] > 0

    return wait


def test_a_camera_on_the_dock_is_handed_out_once_it_has_confirmed(bench: Bench, card: Builder) -> None:
    bench.ask(card)
    bench.send(card, all_entries(card))
    request = parse(typed(), NOW_MS, "fr")
    assign(bench.catalogue, request, frozenset(bench.station.docked), confirming(bench, card), "fr")
    (found,) = cameras(bench.catalogue, NOW_MS)
    assert found.hand_out == HandOut(WEARER, "Nuit", "Nord", format_utc(NOW_MS), format_utc(NOW_MS + SHIFT_MS))
    assert bench.catalogue.orders("cam-01") == []
    assert [entry.head.kind for entry in bench.own_entries("assign")] == ["assign"]


def test_the_next_hand_out_replaces_it_also_for_the_same_wearer(bench: Bench, card: Builder) -> None:
    bench.ask(card)
    bench.send(card, all_entries(card))
    docked = frozenset(bench.station.docked)
    for seconds in (0, 60):
        request = parse(typed(), NOW_MS + seconds * 1000, "fr")
        assign(bench.catalogue, request, docked, confirming(bench, card), "fr")
    assert len(list(bench.own_entries("assign"))) == 2  # an older confirmation is none of this one


def test_one_that_is_not_confirmed_is_withdrawn(bench: Bench, card: Builder) -> None:
    bench.ask(card)
    with pytest.raises(ConfigError, match="annulée"):
        assign(bench.catalogue, parse(typed(), NOW_MS, "fr"), frozenset({"cam-01"}), lambda: False, "fr")
    assert "assign" not in names(bench.tick())


@pytest.mark.parametrize("docked", [frozenset(), frozenset({"cam-02", "cam-03"})])
def test_a_camera_that_is_away_is_not_handed_out(bench: Bench, docked: frozenset[str]) -> None:
    with pytest.raises(ConfigError, match="cam-01: is not on the dock") as caught:
        assign(bench.catalogue, parse(typed(), NOW_MS, "en"), docked, lambda: False, "en")
    assert all(dev in str(caught.value) for dev in docked)
    assert bench.catalogue.orders("cam-01") == []


# Who has it.


def test_it_is_over_at_the_next_docking_or_at_its_end(bench: Bench, card: Builder) -> None:
    span = {"from": format_utc(NOW_MS), "until": format_utc(NOW_MS + 1000)}
    card.said("assign", session=SESSION, wearer=WEARER, service="Nuit", sector="Nord", **span)
    bench.ask(card)
    bench.send(card, all_entries(card))
    worn = [cameras(bench.catalogue, NOW_MS + later)[0].hand_out is not None for later in (0, 999, 1000)]
    assert worn == [True, True, False]
    card.dock("dock-01", OTHER_SESSION)
    bench.send(card, all_entries(card))
    assert cameras(bench.catalogue, NOW_MS)[0].hand_out is None


def test_it_follows_from_the_archive_alone(bench: Bench, card: Builder) -> None:
    span = {"from": format_utc(NOW_MS), "until": format_utc(NOW_MS + 1000)}
    card.said("assign", session=SESSION, wearer=WEARER, service="Nuit", sector="Nord", **span)
    bench.ask(card)
    bench.send(card, all_entries(card))
    before = cameras(bench.catalogue, NOW_MS)
    bench.catalogue.rebuild(bench.archive, bench.blobs)
    assert cameras(bench.catalogue, NOW_MS) == before
    assert before[0].hand_out is not None


def test_what_is_here_and_what_is_awaited(bench: Bench, card: Builder) -> None:
    bench.ask(card)
    said = bench.send(card, all_entries(card))
    bench.upload(card, next(each for each in said if each.name == "ticket"))
    assert cameras(bench.catalogue, NOW_MS) == [Camera("cam-01", len(all_entries(card)), 1, 1, None)]


# What is said of it.

WORN = HandOut(WEARER, "Nuit", "Nord", format_utc(NOW_MS), format_utc(NOW_MS + 1000))


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_line_a_camera(language: str) -> None:
    worn, free = camera_lines([Camera("cam-01", 9, 2, 1, WORN), Camera("cam-02", 9, 2, 1, None)], language)
    assert all(word in worn for word in ("cam-01", WEARER, "Nuit", "Nord", WORN.until))
    assert "cam-02" in free
    assert "porteur" in free or "wearer" in free


def test_the_overview_names_no_whole_pseudonym() -> None:
    last = {"cam-01": Trouble("fork", 2_000_000_000), "archive": Trouble("archive_full", 0)}
    found = overview([Camera("cam-01", 9, 2, 1, WORN)], frozenset({"cam-00"}), last, 5_500_000_000)
    assert WEARER not in str(found)
    empty = {"camera": "cam-00", "docked": True, "entries": 0, "received": 0, "awaited": 0}
    assert found == {
        "cameras": [
            {**empty, "wearer": None, "until": None, "alert": None},
            {
                "camera": "cam-01",
                "docked": False,
                "entries": 9,
                "received": 2,
                "awaited": 1,
                "wearer": WEARER[:8],
                "until": WORN.until,
                "alert": {"cause": "fork", "age_s": 3},
            },
        ],
        "others": {"archive": {"cause": "archive_full", "age_s": 5}},
    }


# The running dock is asked.


@pytest.fixture
def answer() -> Iterator[Callable[[bytes], Address]]:
    """A listener that says so, whatever it is asked."""
    servers: list[HTTPServer] = []

    def serve(body: bytes) -> Address:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return Address("127.0.0.1", server.server_port)

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_it_names_what_is_docked(answer: Callable[[bytes], Address]) -> None:
    said = b'{"cameras": [{"camera": "cam-01", "docked": true}, {"camera": "cam-02", "docked": false}]}'
    assert docked_now(answer(said), "fr") == {"cam-01"}


@pytest.mark.parametrize("said", [b"", b"[]", b"{}", b'{"cameras": [1]}', b'{"cameras": [{"camera": "cam-01"}]}'])
def test_another_answer_is_none(said: bytes, answer: Callable[[bytes], Address]) -> None:
    with pytest.raises(ConfigError, match="ne répond pas"):
        docked_now(answer(said), "fr")


def test_nobody_listens(answer: Callable[[bytes], Address]) -> None:
    with pytest.raises(ConfigError, match="does not answer; start it"):
        docked_now(Address("127.0.0.1", 1), "en")
