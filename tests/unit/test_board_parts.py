"""Board files of real boards: each way in which parts can contradict each other, with file, key and remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.board_parts import EncoderKind, Led, Level, Pin
from agent.config import Board, load_board
from agent.errors import ConfigError
from agent.model import Colour
from hw.boards import board_file, board_names

CLIPON = board_file("zero2w-clipon").read_text()
PI5 = board_file("pi5").read_text()
REAL = [name for name in board_names() if name != "sim"]


def board_of(tmp_path: Path, text: str) -> Board:
    path = tmp_path / "board.toml"
    path.write_text(text)
    return load_board(path)


@pytest.mark.parametrize("name", REAL)
def test_every_board_that_makes_evidence_has_its_parts_and_a_clock(name: str) -> None:
    board = load_board(board_file(name))
    assert not board.simulated
    assert board.clock.rtc
    assert board.parts is not None
    assert set(board.parts.lights) == set(Colour) - {Colour.OFF}


def test_a_simulated_board_has_no_parts_and_may_name_none(tmp_path: Path) -> None:
    assert load_board(board_file("sim")).parts is None
    with pytest.raises(ConfigError, match="camera: unknown key; remove it, or spell it as one of: battery, clock"):
        board_of(tmp_path, CLIPON.replace("simulated = false", "simulated = true"))


def test_the_clip_on() -> None:
    parts = load_board(board_file("zero2w-clipon")).parts
    assert parts is not None
    assert (parts.sensor, parts.encoder) == ("imx708", EncoderKind.HARDWARE)
    assert parts.wiring.button == Pin(17, Level.LOW)
    assert parts.wiring.sensor == Pin(25, Level.HIGH)
    assert parts.lights[Colour.AMBER] == {"red", "green"}
    assert (parts.supplies.battery, parts.supplies.charger, parts.supplies.cut_off_mv) == ("battery", None, 3_300)
    assert (parts.gpsd, parts.radio) == (False, "wlan0")


def test_what_a_board_may_leave_out(tmp_path: Path) -> None:
    bare = CLIPON.replace('battery = "battery"', "").replace("cut_off_mv = 3_300", "")
    bare = bare.replace('sensor = { gpio = 25, active = "high" }', "")
    bare = bare.replace("[radio]", "").replace('interface = "wlan0"', "")
    parts = board_of(tmp_path, bare).parts
    assert parts is not None
    assert (parts.gpsd, parts.radio) == (False, None)
    assert parts.wiring.sensor is None
    assert (parts.supplies.battery, parts.supplies.cut_off_mv) == (None, None)


@pytest.mark.parametrize("fitted", [True, False])
def test_a_gnss_receiver_is_fitted_where_the_board_says_so(tmp_path: Path, fitted: bool) -> None:
    parts = board_of(tmp_path, f"{CLIPON}\n[place]\ngpsd = {str(fitted).lower()}\n").parts
    assert parts is not None
    assert parts.gpsd is fitted


def test_a_lamp_may_be_a_led_of_the_kernel(tmp_path: Path) -> None:
    parts = board_of(tmp_path, CLIPON.replace('red = { gpio = 5, active = "high" }', 'red = { led = "cam:red" }')).parts
    assert parts is not None
    assert parts.lamps["red"] == Led("cam:red")


BUTTON = "button = { gpio = 17"
RED = 'red = { gpio = 5, active = "high" }'
LEDS = 'red = { led = "cam:red" }\ngreen = { led = "cam:red" }'
GREEN = 'green = { gpio = 6, active = "high" }'
LIGHT_TABLES = CLIPON[CLIPON.index("[lamps]") : CLIPON.index("[power]")]
NINE_LAMPS = "[lamps]\n" + "".join(f'l{n} = {{ led = "l{n}" }}\n' for n in range(9)) + "[lights]\n"

WRONG = {
    "table missing": ("[microphone]", "[mic]", "microphone: missing; give a table [microphone]"),
    "unknown part": (BUTTON, f'horn = {{ gpio = 4, active = "low" }}\n{BUTTON}', "pins.horn: unknown key; remove it"),
    "unknown key of a pin": (BUTTON, "button = { pull = 1, gpio = 17", "pins.button.pull: unknown key"),
    "part missing": ("switch_off =", "switch_of =", "pins.switch_off: missing; give a table [switch_off]"),
    "pin without a level": (BUTTON + ', active = "low"', BUTTON, "pins.button.active: missing; give a text"),
    "level": (BUTTON + ', active = "low"', BUTTON + ', active = "up"', "'up' is not allowed; give low or high"),
    "the HAT's pin": (BUTTON, "button = { gpio = 1", "pins.button.gpio: 1 is out of range; give 2 to 27"),
    "beyond the header": (BUTTON, "button = { gpio = 28", "pins.button.gpio: 28 is out of range; give 2 to 27"),
    "two parts on one pin": (BUTTON, "button = { gpio = 27", "pins.switch_off.gpio: 27 is the pin of pins.button.gpio"),
    "a lamp on the buzzer": ("gpio = 13", "gpio = 23", "lamps.blue.gpio: 23 is the pin of pins.buzzer.gpio too; give"),
    "a part on a bus": (BUTTON, "button = { gpio = 18", "pins.button.gpio: 18 is the pin of pins.buses too; give each"),
    "a bus pin twice": ("[2, 3, 18,", "[2, 2, 18,", "pins.buses: names pin 2 twice; name each pin once"),
    "encoder": ('"hardware"', '"nvenc"', "camera.encoder: 'nvenc' is not allowed; give hardware or libx264"),
    "sensor": ('"imx708"', '"../imx"', "camera.sensor: '../imx' is not allowed; give the sensor's name in libcamera"),
    "microphone": (
        "hw:CARD=",
        "pulse:",
        "microphone.device: 'pulse:sndrpigooglevoi,DEV=0' is not allowed; give ALSA's",
    ),
    "no clock": ("rtc = true ", "rtc = false ", "clock.rtc_error_ms: 2000 is out of range; give 0 to 0"),
    "no lamps": (LIGHT_TABLES, "[lamps]\n[lights]\n", "lamps: names 0; name 1 to 8"),
    "too many lamps": (LIGHT_TABLES, NINE_LAMPS, "lamps: names 9; name 1 to 8"),
    "lamp's name": (RED, 'Red = { led = "x" }', "lamps.Red: is not the name of a lamp; give 1 to 16 characters"),
    "a path for a LED": (RED, 'red = { led = "../x" }', "lamps.red.led: '../x' is not allowed; give the name of its"),
    "LED and pin": (RED, 'red = { led = "x", gpio = 5 }', "lamps.red.gpio: unknown key; remove it"),
    "one LED for two lamps": (f"{RED}\n{GREEN}", LEDS, "lamps.red.led: is that of green too; give each lamp a LED"),
    "colours alike": ('amber = ["red", "green"]', 'amber = ["red"]', "lights.red: looks like amber; let other lamps"),
    "a colour of no lamp": ('blue = ["blue"]', "blue = []", "lights.blue: is not a list with something in it; list"),
    "unknown lamp": ('blue = ["blue"]', 'blue = ["white"]', "lights.blue: 'white' is not allowed; list some of blue"),
    "lamp twice": (
        '["red", "green"]',
        '["red", "red"]',
        "lights.amber: 'red' is there twice; list some of blue, green",
    ),
    "lamp that is no text": ('blue = ["blue"]', "blue = [7]", "lights.blue: 7 is not allowed; list some of blue"),
    "colour missing": ('blue = ["blue"]', "", "lights.blue: missing; give a list: list some of blue, green, red"),
    "unknown colour": ('blue = ["blue"]', 'blue = ["blue"]\noff = ["red"]', "lights.off: unknown key"),
    "lamp of no colour": (RED, RED + '\nwhite = { led = "w" }', "lights.white: is a lamp of no colour; remove it from"),
    "a path for a battery": ('"battery"', '"../../battery"', "power.battery: '../../battery' is not allowed; give the"),
    "charger as battery": ("cut_off_mv", 'charger = "battery"\ncut_off_mv', "power.charger: is the battery; give the"),
    "cut-off without battery": ('battery = "battery"', "", "power.cut_off_mv: is of a battery that is not named; name"),
    "cut-off too low": ("3_300", "2_499", "power.cut_off_mv: 2499 is out of range; give 2500 to 20000"),
    "a receiver of no kind": ("[radio]", "[place]\n[radio]", "place.gpsd: missing; give true or false"),
    "a receiver that is a text": (
        "[radio]",
        '[place]\ngpsd = "yes"\n[radio]',
        "place.gpsd: is not true or false; write",
    ),
    "unknown key of a receiver": ("[radio]", "[place]\ngpsd = true\nport = 1\n[radio]", "place.port: unknown key"),
    "radio without interface": ('interface = "wlan0"', "", "radio.interface: missing; give a text"),
    "a path for a radio": (
        '"wlan0"',
        '"../wlan0"',
        "radio.interface: '../wlan0' is not allowed; give the radio's network",
    ),
    "unknown key of a radio": ('interface = "wlan0"', 'interface = "wlan0"\nssid = "x"', "radio.ssid: unknown key"),
    "cut-off too high": ("3_300", "20_001", "power.cut_off_mv: 20001 is out of range"),
}


@pytest.mark.parametrize("name", sorted(WRONG))
def test_each_contradiction_is_named_with_file_key_and_remedy(name: str, tmp_path: Path) -> None:
    old, new, said = WRONG[name]
    assert old in CLIPON
    with pytest.raises(ConfigError) as caught:
        board_of(tmp_path, CLIPON.replace(old, new, 1))
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / 'board.toml'}: ")
    assert said in line
    assert caught.value.remedy
    assert "\n" not in line


def test_a_board_that_makes_evidence_must_have_a_clock(tmp_path: Path) -> None:
    without = CLIPON.replace("rtc = true ", "rtc = false ").replace("rtc_error_ms = 2_000", "rtc_error_ms = 0")
    with pytest.raises(ConfigError) as caught:
        board_of(tmp_path, without)
    assert str(caught.value).endswith(
        "board.toml: clock.rtc: false on a board that makes evidence; fit a real-time clock, give true"
    )


@pytest.mark.parametrize(
    ("width", "height", "most"), [(1920, 1080, 30), (1280, 720, 60), (1920, 1072, 30), (1600, 1072, 36)]
)
def test_the_hardware_encodes_level_4_and_no_frame_more(width: int, height: int, most: int, tmp_path: Path) -> None:
    def filmed(frames_per_second: int) -> str:
        text = CLIPON.replace("width = 1280", f"width = {width}").replace("height = 720", f"height = {height}")
        return text.replace("frames_per_second = 30", f"frames_per_second = {frames_per_second}")

    assert board_of(tmp_path, filmed(most)).video.frames_per_second == most
    if most < 60:
        with pytest.raises(ConfigError, match=f"are more than the hardware encodes; give at most {most}, or smaller"):
            board_of(tmp_path, filmed(most + 1))


def test_libx264_above_720_lines_needs_its_memory(tmp_path: Path) -> None:
    enough = PI5.replace("capture_mib = 160", "capture_mib = 159")
    with pytest.raises(ConfigError, match=r"memory\.capture_mib: 159 are too few for libx264 above 720 lines; give at"):
        board_of(tmp_path, enough)
    lower = enough.replace("height = 1080", "height = 720").replace("width = 1920", "width = 1280")
    assert board_of(tmp_path, lower).memory.capture_mib == 159
    hardware = enough.replace('"libx264"', '"hardware"')
    assert board_of(tmp_path, hardware).memory.capture_mib == 159
