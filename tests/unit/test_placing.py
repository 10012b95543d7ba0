"""When a place is journalled, and what is sealed then."""

from __future__ import annotations

import base64
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.formats import bodies
from agent.formats.age import Opener, RecipientKind, generate_identity, parse_identity
from agent.formats.canonical import MAX_LINE_BYTES
from agent.formats.place import PLAIN_BYTES, place_text
from agent.formats.statement import MAX_POST_QUANTUM_RECIPIENTS, MAX_RECIPIENTS
from agent.model import NS_PER_S, Place
from agent.orders import Located
from agent.placing import AGAIN_NS, LEAST_NS, MAX_AGE_NS, MOVED_M, Placing, distance_m
from tests.support.agency import seeded_random

IDENTITY = parse_identity(generate_identity(RecipientKind.CLASSIC, seeded_random("identity")))
REC, OTHER_REC = "cam-01-0123abcd-7", "cam-01-0123abcd-99"
PARIS = (488_566_133, 23_522_217)
METRE_E7 = 90  # of latitude, about


class Officer:
    """Walks through the clock, a second a step, and keeps what is to be journalled."""

    def __init__(self, sector: str | None = "Nord") -> None:
        self.sector = sector
        self.placing = Placing([IDENTITY.recipient()], seeded_random("placing"), lambda: self.sector)
        self.now_ns = 1_000 * NS_PER_S
        self.told: list[tuple[int, str]] = []
        """Second, and `gnss` or the sector."""

    def fix(self, north_m: int = 0, age_ns: int = 0, error_m: int = 5) -> None:
        self.placing.take(Place(PARIS[0] + north_m * METRE_E7, PARIS[1], error_m, self.now_ns - age_ns))

    def second(self, rec: str | None = REC) -> Located | None:
        found = self.placing.step(self.now_ns, rec)
        if found is not None:
            said = opened(found)
            self.told.append((self.now_ns // NS_PER_S - 1_000, str(said.get("sector", said["source"]))))
        self.now_ns += NS_PER_S
        return found


def opened(located: Located) -> dict[str, object]:
    file = base64.b64decode(located.sealed, validate=True)
    opener = Opener(file, [IDENTITY])
    text = opener.open_chunk(0, file[opener.payload_offset :], last=True)
    assert len(text) == PLAIN_BYTES
    said: dict[str, object] = json.loads(text)
    return said


def test_nothing_is_said_while_nothing_is_recorded() -> None:
    officer = Officer()
    officer.fix()
    assert officer.second(None) is None
    assert officer.second(None) is None


def test_a_recording_begins_with_its_place() -> None:
    officer = Officer()
    officer.second(None)
    officer.fix()
    officer.now_ns += 3 * NS_PER_S
    found = officer.second()
    assert found is not None
    assert found.rec == REC
    assert found.taken_ns == officer.now_ns - 4 * NS_PER_S, "when it was told, not when it was written"
    assert opened(found) == {
        "typ": "temoin/place/1",
        "source": "gnss",
        "latitude_e7": PARIS[0],
        "longitude_e7": PARIS[1],
        "error_m": 5,
    }


def test_without_a_position_it_is_the_sector_of_the_hand_out_once() -> None:
    officer = Officer("Nord")
    found = officer.second()
    assert found is not None
    assert opened(found) == {"typ": "temoin/place/1", "source": "assign", "sector": "Nord"}
    assert found.taken_ns == officer.now_ns - NS_PER_S
    for _ in range(200):
        officer.second()
    assert officer.told == [(0, "Nord")]


def test_without_either_there_is_no_entry_until_one_is_known() -> None:
    officer = Officer(None)
    for _ in range(30):
        officer.second()
    officer.fix()
    officer.second()
    assert officer.told == [(30, "gnss")]


@pytest.mark.parametrize(("age_ns", "told"), [(MAX_AGE_NS, "gnss"), (MAX_AGE_NS + 1, "Nord")])
def test_a_position_that_is_old_is_none(age_ns: int, told: str) -> None:
    officer = Officer()
    officer.fix(age_ns=age_ns)
    officer.second()
    assert officer.told == [(0, told)]


def test_at_rest_it_is_said_each_minute() -> None:
    officer = Officer()
    for _ in range(181):
        officer.fix()
        officer.second()
    assert [at for at, _ in officer.told] == [0, 60, 120, 180]


def test_on_foot_it_is_said_when_it_has_moved() -> None:
    officer = Officer()
    for second in range(100):
        officer.fix(north_m=2 * second)
        officer.second()
    assert [at for at, _ in officer.told] == [0, 26, 52, 78]


def test_in_a_car_it_is_said_each_ten_seconds_at_most() -> None:
    officer = Officer()
    for second in range(35):
        officer.fix(north_m=30 * second)
        officer.second()
    assert [at for at, _ in officer.told] == [0, 10, 20, 30]


def test_a_position_that_is_lost_gives_way_to_the_sector_and_comes_back() -> None:
    officer = Officer()
    officer.fix()
    for _ in range(40):
        officer.second()
    officer.fix()
    officer.second()
    assert officer.told == [(0, "gnss"), (11, "Nord"), (40, "gnss")]


def test_the_next_recording_begins_with_its_place_too() -> None:
    officer = Officer()
    officer.second()
    officer.second(None)
    officer.second(OTHER_REC)
    officer.second(REC)
    assert [at for at, _ in officer.told] == [0, 2, 3]


@given(
    st.lists(st.tuples(st.integers(-3_000, 3_000), st.booleans(), st.sampled_from(["Nord", "Sud", None])), max_size=60)
)
def test_whatever_happens_two_entries_of_a_recording_are_ten_seconds_apart(
    walk: list[tuple[int, bool, str | None]],
) -> None:
    officer = Officer()
    for north_m, fixed, sector in walk:
        officer.sector = sector
        if fixed:
            officer.fix(north_m)
        officer.second()
    times = [at for at, _ in officer.told]
    assert all(later - earlier >= LEAST_NS // NS_PER_S for earlier, later in itertools.pairwise(times))
    if any(fixed or sector for _, fixed, sector in walk):
        assert times


# --- distances --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        ((0, 0), (0, 0), 0),
        ((488_566_133, 23_522_217), (488_584_000, 22_945_000), 4_229),  # Paris: City Hall to the tower
        ((0, 0), (0, 1_000_000), 11_119),  # a tenth of a degree of the equator
        ((600_000_000, 0), (600_000_000, 1_000_000), 5_560),
        ((-170_000_000, 1_799_995_000), (-170_000_000, -1_799_995_000), 106),  # over the date line
    ],
)
def test_a_distance_is_right_to_a_percent(one: tuple[int, int], other: tuple[int, int], metres: int) -> None:
    found = distance_m(Place(*one, 1, 0), Place(*other, 1, 0))
    assert abs(found - metres) <= metres / 100 + 1
    assert found == distance_m(Place(*other, 1, 0), Place(*one, 1, 0))


def test_a_minute_and_fifty_metres_are_what_the_page_says() -> None:
    assert (AGAIN_NS, MOVED_M) == (60 * NS_PER_S, 50)


# --- what is sealed ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "where", ["N", "é" * 100, '"' * 100, "\U0001f694" * 100, Place(-900_000_000, -1_800_000_000, 10_000, 0)]
)
def test_what_is_sealed_is_always_as_long(where: Place | str) -> None:
    text = place_text(where)
    assert len(text) == PLAIN_BYTES
    json.loads(text)


@pytest.mark.parametrize(
    ("kind", "count"),
    [(RecipientKind.CLASSIC, MAX_RECIPIENTS), (RecipientKind.POST_QUANTUM, MAX_POST_QUANTUM_RECIPIENTS)],
)
def test_it_fits_into_a_line_for_as_many_recipients_as_a_policy_has(kind: RecipientKind, count: int) -> None:
    random = seeded_random("many")
    recipients = [parse_identity(generate_identity(kind, random)).recipient() for _ in range(count)]
    found = Placing(recipients, random, lambda: "\U0001f694" * 100).step(0, REC)
    assert found is not None
    body = bodies.encode_body(
        "place", {"salt": "0" * 32, "rec": found.rec, "press_ns": str(found.taken_ns), "sealed": found.sealed}
    )
    assert len(body) + 1_024 <= MAX_LINE_BYTES
